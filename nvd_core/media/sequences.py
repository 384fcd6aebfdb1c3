"""Numbered image files: finding them by folder or pattern, in order, with none missing."""

import re
from collections import defaultdict
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE, with_alpha
from nvd_core.media.images import IMAGE_SUFFIXES, Stored, image_rate, read_stored
from nvd_core.media.numbering import file_number, has_place, is_explicit, place_of, split_name
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import MOST_FRAMES

# fmt: off
MOVIE_SUFFIXES = frozenset((
    ".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mxf", ".mpg", ".mpeg", ".ts", ".mts",
    ".m2ts", ".m2t", ".wmv", ".asf", ".3gp", ".3g2", ".y4m", ".mj2", ".flv", ".ogv", ".vob", ".dv",
    ".gxf", ".nut", ".ivf", ".gif", ".apng",
))
# fmt: on
MISSING = ("error", "hold", "skip")
"""what is done where numbers are missing: refuse, show the frame before, take what is there"""

# The EXR's layer behind its name; `C:` alone is a drive
_LAYER = re.compile(r"(?P<path>.+\.exr):(?P<layer>[^:/\\]+)", re.IGNORECASE | re.DOTALL)
_MARKS = re.compile(r"##|@@")
_FOLDER_LAYER = re.compile(r"(?P<path>.{2,}):(?P<layer>[^:/\\]+)", re.DOTALL)


def split_layer(source: Path | str) -> tuple[Path, str | None]:
    """A source, and the layer of its EXRs that is asked for behind a colon: `shot.%04d.exr:beauty`.

    None where no layer is named. A file or folder that has the whole name itself comes first.
    """
    path, text = Path(source), str(source)
    if there(path.exists) or (is_pattern(path) and _has_files(path)):
        return path, None
    if match := _LAYER.fullmatch(text):
        return Path(match["path"]), match["layer"]
    match = _FOLDER_LAYER.fullmatch(text)
    if match and Path(match["path"]).is_dir():
        return Path(match["path"]), match["layer"]
    return path, None


def _has_files(pattern: Path) -> bool:
    with suppress(NvdError):
        return bool(numbered_files(pattern))
    return False


def is_movie(path: Path | str) -> bool:
    """Whether the suffix of `path` is that of a movie file.

    Not so where stills may have it, too, and the name has a place for a number: `m.%04d.gif`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in MOVIE_SUFFIXES and suffix in IMAGE_SUFFIXES and has_place(path.name):
        return there(path.is_file) or not (is_explicit(path.name) or _MARKS.search(path.name))
    return suffix in MOVIE_SUFFIXES


def is_pattern(text: Path | str) -> bool:
    """Whether the file name in `text` holds a place for a frame number, such as %04d or ####.

    A # or @ in the name of a movie is a letter: `take#2.mp4`.
    """
    name = Path(text).name
    return has_place(name) and (is_explicit(name) or not is_movie(name))


def frame_path(pattern: Path | str, number: int) -> Path:
    """The path of frame `number` of a pattern with %04d, %d or ####; NvdError for no or two."""
    pattern = Path(pattern)
    return pattern.with_name(place_of(pattern.name).name(number))


@dataclass(frozen=True)
class Found:
    """Image files in order, the numbers by which they count (None: none), and what to say."""

    files: list[Path]
    numbers: list[int] | None = None
    cautions: tuple[str, ...] = ()


def list_frames(source: Path | str) -> list[Path]:
    """The files of `find_frames`."""
    return find_frames(source).files


def find_frames(source: Path | str, missing: str = "error") -> Found:
    """The image files of a folder, of a pattern, or one image file, in order of their numbers.

    A layer that is named behind them (`split_layer`) plays no part.
    Of a folder hidden files and what is no image are ignored; it must hold one kind of image and
    one numbering; beside a numbered sequence a file of another name is left out, and said.
    Where numbers are missing within the range, or within the one that a pattern names, `missing`
    decides (see MISSING). NvdError where nothing is found, and where a folder holds several
    sequences.
    """
    source, _ = split_layer(source)
    remedy = "check the path, and that you may read what is there"
    with reading(source, "the images", remedy):
        if there(source.is_dir):
            return _frames_of_folder(source, missing)
        if there(source.is_file):  # also a name with a # that is no pattern
            return Found([source])
        if is_pattern(source):
            return _frames_of_pattern(source, missing)
    raise NvdError(
        f"there is no file or folder {source}",
        found=_content_of(source.parent),
        remedy="check the path for a typing error; a clip is a movie, a folder of images, "
        "or a pattern such as shot.%04d.png",
    )


class ImageSequence:
    """Image files as a source of frames; a few of them are decoded ahead.

    `frames`, `width`, `height`, `rate` and `dtype` are those of the whole sequence, taken from its
    first file; `numbers` are those of its files, None where they have none. A frame that is held
    is in `files` again.
    """

    def __init__(self, source: Path | str, alike: bool = False, missing: str = "error"):
        """`alike`: frames whose files say other things of their colours and pixels are refused.

        `missing`: see `find_frames`.
        """
        self.layer = split_layer(source)[1]
        found = find_frames(source, missing)
        self.files, self.numbers, self.cautions = found.files, found.numbers, found.cautions
        self._alike = alike
        first = read_stored(self.files[0], self.layer)
        self.height, self.width = first.pixels.shape[:2]
        self.dtype = first.pixels.dtype
        self.alpha, self.tags, self.others = first.alpha, first.tags, first.others
        self.windows_differ = first.window is not None and self.files[0].suffix.lower() == ".exr"
        self.frames = len(self.files)
        self.own_rate = image_rate(self.files[0])
        self.rate = self.own_rate or Fraction(24)

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """Yield frames `start` to `stop` - 1 as [H, W, C]; NvdError for one that differs.

        Where there is alpha it is of the kind `alpha`; frames may have it or not.
        """
        files = self.files[start:stop]
        stored = in_order(lambda path: read_stored(path, self.layer), files)
        for path, frame in zip(files, stored, strict=True):
            self._check(path, frame)
            kind = frame.alpha if NONE in (frame.alpha, self.alpha) else self.alpha
            yield with_alpha(frame.pixels, frame.alpha, kind)

    def _check(self, path: Path, frame: Stored) -> None:
        """NvdError where a frame is not as the first."""
        pixels = frame.pixels
        problem = f"{path} differs from the first frame, {self.files[0].name}"
        if pixels.shape[:2] != (self.height, self.width) or pixels.dtype != self.dtype:
            raise NvdError(
                problem,
                expected=f"{self.width} x {self.height} {self.dtype}",
                found=f"{pixels.shape[1]} x {pixels.shape[0]} {pixels.dtype}",
                remedy="give frames of one size and depth: render or convert this file again",
            )
        if self._alike and frame.tags.meaning != self.tags.meaning:
            raise NvdError(
                problem,
                expected="the same colour space and pixel aspect in all frames",
                found="other tags (chromaticities, colorInteropID, profile, gamma or aspect)",
                remedy="give frames of one colour space: render or convert this file again",
            )


def _frames_of_folder(folder: Path, missing: str) -> Found:
    paths = _images_of_one_kind(folder)
    sequences = defaultdict(list)
    for path in paths:
        parts = split_name(path.stem)
        sequences[(parts[0], parts[2]) if parts else None].append(path)
    many = [key for key, members in sequences.items() if key and len(members) > 1]
    if len(many) > 1:
        names = sorted(f"{before}#{after}" for before, after in many)
        raise NvdError(
            f"the folder {folder} holds several sequences",
            found=", ".join(names[:4]),
            remedy=f"say which by a pattern, such as {folder / (names[0] + paths[0].suffix)} "
            "with one # for each digit",
        )
    numbered = [key for key in sequences if key]
    if not many and len(numbered) == 1 and len(paths) > 1:
        many = numbered  # one numbered file among others
    if not many:
        paths.sort(key=lambda path: _natural(path.name))
        return Found(paths)
    members = sequences[many[0]]
    others = sorted(path.name for path in paths if path not in set(members))
    by_number: dict[int, Path] = {}
    for path in members:
        number = int(file_number(path) or 0)
        if number in by_number:
            raise NvdError(
                f"two files in {folder} have the number {number}",
                found=f"{by_number[number].name} and {path.name}",
                remedy="remove one of them, or give a pattern such as %04d.png",
            )
        by_number[number] = path
    said = [_left_out(folder, others)] if others else []
    return _without_gaps(folder, by_number, None, missing, said)


def _images_of_one_kind(folder: Path) -> list[Path]:
    kinds = defaultdict(list)
    for path in folder.iterdir():
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file():
            kinds[suffix].append(path)
    if not kinds:
        raise NvdError(
            f"no images in the folder {folder}",
            found=_content_of(folder),
            remedy="give the folder that holds the frames themselves",
        )
    if len(kinds) > 1:
        raise NvdError(
            f"the folder {folder} holds images of several kinds",
            expected="one kind",
            found=", ".join(f"{len(kinds[kind])} {kind}" for kind in sorted(kinds)),
            remedy=f"say which by a pattern, such as {folder / ('%04d' + min(kinds))}",
        )
    (paths,) = kinds.values()
    return paths


def _left_out(folder: Path, names: list[str]) -> str:
    more = ", ..." if len(names) > 3 else ""
    return f"no frames of {folder.name}, and left out: {', '.join(names[:3])}{more}"


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files of a pattern by their number; NvdError where it has no or two places for one."""
    place = place_of(pattern.name)
    numbered = {}
    if pattern.parent.is_dir():
        for path in pattern.parent.iterdir():
            number = place.number(path.name)
            if number is not None and path.is_file():
                numbered[number] = path
    return numbered


def _frames_of_pattern(pattern: Path, missing: str) -> Found:
    numbered = numbered_files(pattern)
    if not numbered:
        raise NvdError(
            f"no file matches {pattern.name} in {pattern.parent}",
            found=_content_of(pattern.parent),
            remedy="write the pattern as the files are named: %04d or #### stands for four digits",
        )
    return _without_gaps(pattern, numbered, place_of(pattern.name).numbers, missing, [])


def _without_gaps(
    source: Path, numbered: dict[int, Path], wanted: range | None, missing: str, said: list[str]
) -> Found:
    """The files of all `wanted` numbers (None: first to last); gaps as `missing` has it."""
    here = sorted(numbered)
    wanted = wanted or range(here[0], here[-1] + 1)
    count = len(wanted) - len(here)
    if not count or missing == "skip":
        if count:
            said = [
                *said,
                f"frames are missing in {source.name}, and skipped: {_gaps(here, wanted)}",
            ]
        return Found([numbered[number] for number in here], here, tuple(said))
    if missing == "error":
        raise _missing(source, here, wanted)
    if len(wanted) > MOST_FRAMES:
        raise _missing(source, here, wanted)
    files, last = [], numbered[here[0]]
    for number in wanted:
        last = numbered.get(number, last)
        files.append(last)
    said = [
        *said,
        f"frames are missing in {source.name}, and the one before is held: {_gaps(here, wanted)}",
    ]
    return Found(files, list(wanted), tuple(said))


def _gaps(here: list[int], wanted: range) -> str:
    """The first of the missing numbers, and how many more there are."""
    there_, missing = set(here), []
    for number in wanted:
        if number not in there_:
            missing.append(str(number))
        if len(missing) == 5:
            break
    more = len(wanted) - len(here) - len(missing)
    return ", ".join(missing) + (f" and {more} more" if more else "")


def _missing(source: Path, here: list[int], wanted: range) -> NvdError:
    every = f"every number from {wanted[0]} to {wanted[-1]}"
    if wanted.step > 1:
        every += f" in steps of {wanted.step}"
    steps = {b - a for a, b in pairwise(here)}
    hint = f" (a frame every {min(steps)} numbers)" if len(steps) == 1 and steps != {1} else ""
    return NvdError(
        f"frames are missing in {source}: {_gaps(here, wanted)}",
        expected=every,
        found=f"{len(here)} files{hint}",
        remedy="render or copy the missing frames, or renumber the files without gaps, or choose "
        "with --missing: hold shows the frame before, skip takes what is there",
    )


def _content_of(folder: Path) -> str:
    """What is in `folder`, in a few words, for an error message."""
    if not there(folder.is_dir):
        return f"no folder {folder}"
    names = sorted(
        (path.name for path in folder.iterdir() if not path.name.startswith(".")), key=_natural
    )
    if not names:
        return "an empty folder"
    listed = ", ".join(names[:3])
    return listed if len(names) <= 3 else f"{listed} and {len(names) - 3} more files"


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if index % 2 else (0, part) for index, part in enumerate(parts)]
