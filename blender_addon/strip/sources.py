"""What a strip of the Sequencer shows, as the engine is told it: a source and a range of frames."""

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path

import bpy

from ..blender import compat
from ..errors import AddonError
from .timing import check_kind, shown_pictures

AGAIN = "make the strip from one numbered sequence"
MARGIN = 8  # frames first looked at behind a strip's trims


@dataclass(frozen=True)
class Source:
    """`path` is a movie, a pattern such as shot.%04d.png, or "" where a scene is to be rendered.

    `first` and `last` count the source's pictures from 0: the range that the strip shows from frame
    `start` of the timeline on. `shows` has the picture at every frame where the strip shows, and at
    some behind its trims where they were asked for. `number_of` gives the digits that number a
    picture in its file's name.
    """

    kind: str
    path: str
    first: int
    last: int
    start: int
    shows: dict[int, int]
    number_of: Callable[[int], str]
    base: int = 0  # the number of the sequence's first file
    held: Callable[[int], int] = int  # the number of the file that shows as the one of a number
    scene: bpy.types.Scene | None = None
    scene_first: int = 0  # the scene's frame that is picture 0

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def timeline_frame(self, picture: int) -> int:
        """The timeline's first frame that shows `picture`, or the one nearest to it."""
        pictures, first_frames = self._first_frames
        after = bisect_left(pictures, picture)
        near = range(max(after - 1, 0), min(after + 1, len(pictures)))
        return min((abs(pictures[n] - picture), first_frames[n]) for n in near)[1]

    @cached_property
    def _first_frames(self) -> tuple[list[int], list[int]]:
        """The pictures shown, in their order, and the timeline's first frame that shows each."""
        first = {self.shows[frame]: frame for frame in sorted(self.shows, reverse=True)}
        pictures = sorted(first)
        return pictures, [first[picture] for picture in pictures]

    def picture_at(self, frame: int) -> int:
        """The picture that the timeline's `frame` shows; the nearest one in the range."""
        picture = self.shows[min(max(frame, min(self.shows)), max(self.shows))]
        return min(max(picture, self.first), self.last)


def read_strip(strip, pictures_of: Callable[..., dict[int, int]] = shown_pictures) -> Source:
    """The source of a movie, image or scene strip, cut as the strip is; AddonError for others.

    `pictures_of` is timing.known_pictures where nothing may be rendered.
    """
    check_kind(strip)
    start, length = compat.strip_span(strip)
    shows = pictures_of(strip)
    visible = [shows[frame] for frame in range(start, start + length)]
    first, last = min(visible), max(visible)
    if last - first < 1:
        raise AddonError(
            f"the strip {strip.name} shows a single picture", "choose one that shows at least two"
        )
    if strip.type == "MOVIE":
        return _movie(strip, first, last, start, shows)
    if strip.type == "IMAGE":
        return _images(strip, first, last, start, shows)
    scene_first = strip.scene.frame_start + compat.strip_skipped(strip)
    number_of = "{:05d}".format
    return Source(
        "SCENE",
        "",
        first,
        last,
        start,
        shows,
        number_of,
        scene=strip.scene,
        scene_first=scene_first,
    )


def read_around(strip, pictures: range) -> Source:
    """The same, with `shows` going on behind the trims as far as `pictures` of the source go."""
    source = read_strip(strip)
    margin = max(MARGIN, len(pictures) - len(source.shows))
    while any(source.shows[end(source.shows)] in pictures for end in (min, max)):
        known = len(source.shows)
        source = read_strip(strip, partial(shown_pictures, margin=margin))
        if len(source.shows) == known:
            break
        margin *= 2
    return source


def movie_rate(strip) -> str:
    """Frames a second at which Blender plays the file of a movie strip, as `nvd decompose
    --count-at` reads them; "" where it does not say.

    Its frame n is the picture that shows n of these after the first one: in a file of a variable
    rate not its n-th picture.
    """
    if not strip.fps:
        return ""
    rate = Fraction(strip.fps).limit_denominator(1001)
    if abs(rate / Fraction(strip.fps) - 1) > 1e-7:  # Blender keeps it in single precision
        rate = Fraction(strip.fps).limit_denominator(max(1, int(999_999 / strip.fps)))
    return f"{rate.numerator}/{rate.denominator}" if rate.denominator > 1 else f"{rate.numerator}"


def image_files(strip) -> list[Path]:
    """The files of an image strip in order, hard cuts applied."""
    folder = Path(bpy.path.abspath(strip.directory))
    skipped = compat.strip_skipped(strip)
    return [folder / element.filename for element in strip.elements][skipped:]


def first_file(strip) -> Path:
    """The first file of an image strip that is there; AddonError where there is none."""
    files = image_files(strip)
    found = next((path for path in files if path.is_file()), None)
    if found is None:
        raise _missing(str(files[0]))
    return found


def _movie(strip, first: int, last: int, start: int, shows: dict[int, int]) -> Source:
    path = bpy.path.abspath(strip.filepath)
    if not Path(path).is_file():
        raise _missing(path)
    skipped = compat.strip_skipped(strip)
    shows = {frame: picture + skipped for frame, picture in shows.items()}
    return Source("MOVIE", path, first + skipped, last + skipped, start, shows, "{:05d}".format)


def holds_missing(strip) -> bool:
    """Whether the strip is set to show the picture before where a number is missing."""
    own = getattr(strip, "nvd_decompose", None)  # not in a script that has not registered it
    return strip.type == "IMAGE" and own is not None and own.missing == "hold"


def _images(strip, first: int, last: int, start: int, shows: dict[int, int]) -> Source:
    """A numbered sequence, with the range counted among all the files of its pattern."""
    files = image_files(strip)
    wanted = files[first : last + 1]
    if holds_missing(strip):
        return _held_images(files, first, last, start, shows)
    for path in wanted:
        if not path.is_file():
            raise _missing(str(path))
    before, digits, after = _parts(wanted[0])
    numbers = [int(digits) + n for n in range(len(wanted))]
    expected = [f"{before}{number:0{len(digits)}d}{after}" for number in numbers]
    odd = next((p.name for p, e in zip(wanted, expected, strict=True) if p.name != e), None)
    if odd is not None:
        raise AddonError(f"the strip's pictures do not follow one another at {odd}", AGAIN)
    all_numbers = _numbers_there(wanted[0].parent, before, digits, after)
    index = all_numbers.index(numbers[0])
    template = f"{before}%0{len(digits)}d{after}"
    return Source(
        "IMAGE",
        str(wanted[0].parent / template),
        index,
        index + len(wanted) - 1,
        start,
        {frame: picture - first + index for frame, picture in shows.items()},
        lambda n: f"{all_numbers[n]:0{len(digits)}d}",
        base=all_numbers[0],
    )


def _held_images(files: list[Path], first: int, last: int, start: int, shows: dict) -> Source:
    """A numbered sequence with gaps: every number counts from that of the first file on."""
    before, digits, after = _parts(files[first])
    pattern = re.compile(re.escape(before) + rf"(\d{{{len(digits)},}})" + re.escape(after))
    odd = next((path.name for path in files if not pattern.fullmatch(path.name)), None)
    if odd is not None:
        raise AddonError(f"the file {odd} is not of the same sequence", AGAIN)
    there = _numbers_there(files[first].parent, before, digits, after)
    if not there:
        raise _missing(str(files[first]))
    number = [int(pattern.fullmatch(path.name)[1]) for path in files]
    base, end = there[0], there[-1]
    pictures = [min(max(n, base), end) - base for n in number]
    shown = pictures[first : last + 1]
    return Source(
        "IMAGE",
        str(files[first].parent / f"{before}%0{len(digits)}d{after}"),
        min(shown),
        max(shown),
        start,
        {frame: pictures[picture] for frame, picture in shows.items() if picture < len(pictures)},
        lambda n: f"{n + base:0{len(digits)}d}",
        base=base,
        held=lambda n: there[max(bisect_right(there, n) - 1, 0)],
    )


def _parts(path: Path) -> tuple[str, str, str]:
    """What stands before the number in a file's name, its digits, and what stands after it."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
    if match is None:
        raise AddonError(f"the file {path.name} has no number", AGAIN)
    before, digits, after = match.groups()
    return before, digits, after


def _numbers_there(folder: Path, before: str, digits: str, after: str) -> list[int]:
    """The numbers of all files of a sequence, in their order."""
    pattern = re.compile(re.escape(before) + rf"(\d{{{len(digits)},}})" + re.escape(after))
    try:
        found = map(pattern.fullmatch, os.listdir(folder))
        return sorted(int(name[1]) for name in found if name)
    except OSError:
        return []


def _missing(path: str) -> AddonError:
    return AddonError(f"{path} is missing", "find the strip's files again (File, External Data)")
