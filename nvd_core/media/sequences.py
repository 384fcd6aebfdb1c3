"""Numbered image files: finding them by folder or pattern, in order, with none missing."""

import re
from collections import defaultdict
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE, with_alpha
from nvd_core.media.images import IMAGE_SUFFIXES, Stored, image_rate, read_stored
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import MOST_DIGITS_OF_FRAME

MOVIE_SUFFIXES = frozenset(
    (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mxf", ".mpg", ".mpeg")
)

_PLACEHOLDER = re.compile(r"%0?(\d*)d|(#+)")
# The last digits of a stem are its number: `shot1_0042_left` is number 42 of `shot1_*_left`.
_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)


# The EXR's layer behind its name; `C:` alone is a drive
_LAYER = re.compile(r"(?P<path>.+\.exr):(?P<layer>[^:/\\]+)", re.IGNORECASE | re.DOTALL)
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
    return len(_PLACEHOLDER.findall(pattern.name)) == 1 and bool(numbered_files(pattern))


def is_movie(path: Path | str) -> bool:
    """Whether the suffix of `path` is that of a movie file."""
    return Path(path).suffix.lower() in MOVIE_SUFFIXES


def is_pattern(text: Path | str) -> bool:
    """Whether the file name in `text` holds a place for a frame number: %04d, %d or ####."""
    return _PLACEHOLDER.search(Path(text).name) is not None


def frame_path(pattern: Path | str, number: int) -> Path:
    """The path of frame `number` of a pattern with %04d, %d or ####; NvdError for no or two."""
    pattern = Path(pattern)
    before, digits, after = _split_pattern(pattern)
    return pattern.with_name(f"{before}{number:0{digits}d}{after}")


def file_number(path: Path | str) -> str | None:
    """The digits that number a file, as written (`00042`), None for a name without any."""
    match = _NUMBERED.match(Path(path).stem)
    return match[2] if match else None


def list_frames(source: Path | str) -> list[Path]:
    """The image files of a folder, of a pattern, or one image file, in order of their numbers.

    A layer that is named behind them (`split_layer`) plays no part.
    Of a folder hidden files and what is no image are ignored; it must hold one kind of image and
    one numbering. NvdError where nothing is found, where a number is missing within the range,
    and where a folder holds several sequences.
    """
    source, _ = split_layer(source)
    remedy = "check the path, and that you may read what is there"
    with reading(source, "the images", remedy):
        if there(source.is_dir):
            return _frames_of_folder(source)
        if there(source.is_file):  # also a name with a # that is no pattern
            return [source]
        if is_pattern(source):
            return _frames_of_pattern(source)
    raise NvdError(
        f"there is no file or folder {source}",
        found=_content_of(source.parent),
        remedy="check the path for a typing error; a clip is a movie, a folder of images, "
        "or a pattern such as shot.%04d.png",
    )


class ImageSequence:
    """Image files as a source of frames; a few of them are decoded ahead.

    `frames`, `width`, `height`, `rate` and `dtype` are those of the whole sequence, taken from its
    first file.
    """

    def __init__(self, source: Path | str, alike: bool = False):
        """`alike`: frames whose files say other things of their colours and pixels are refused."""
        self.layer = split_layer(source)[1]
        self.files = list_frames(source)
        self._alike = alike
        first = read_stored(self.files[0], self.layer)
        self.height, self.width = first.pixels.shape[:2]
        self.dtype = first.pixels.dtype
        self.alpha, self.tags, self.others = first.alpha, first.tags, first.others
        self.windows_differ = first.window is not None and self.files[0].suffix.lower() == ".exr"
        self.frames = len(self.files)
        self.rate = image_rate(self.files[0]) or Fraction(24)

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


def _frames_of_folder(folder: Path) -> list[Path]:
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
    sequences = defaultdict(list)
    for path in paths:
        match = _NUMBERED.match(path.stem)
        sequences[(match[1], match[3]) if match else None].append(path)
    many = [key for key, members in sequences.items() if key and len(members) > 1]
    if len(many) > 1:
        names = sorted(f"{before}#{after}" for before, after in many)
        raise NvdError(
            f"the folder {folder} holds several sequences",
            found=", ".join(names[:4]),
            remedy=f"say which by a pattern, such as {folder / (names[0] + paths[0].suffix)} "
            "with one # for each digit",
        )
    paths.sort(key=lambda path: _natural(path.name))
    if len(sequences) == 1 and many:
        _check_no_gap(folder, {int(file_number(path)): path for path in paths})
    return paths


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files of a pattern by their number; NvdError where it has no or two places for one."""
    before, digits, after = _split_pattern(pattern)
    numbered = {}
    if pattern.parent.is_dir():
        for path in pattern.parent.iterdir():
            name = path.name
            number = name[len(before) : len(name) - len(after)]
            if number.isdecimal() and number.isascii() and path.is_file():
                exact = f"{before}{int(number):0{digits}d}{after}"
                if name == exact:
                    numbered[int(number)] = path
    return numbered


def _frames_of_pattern(pattern: Path) -> list[Path]:
    numbered = numbered_files(pattern)
    if not numbered:
        raise NvdError(
            f"no file matches {pattern.name} in {pattern.parent}",
            found=_content_of(pattern.parent),
            remedy="write the pattern as the files are named: %04d or #### stands for four digits",
        )
    _check_no_gap(pattern, numbered)
    return [numbered[number] for number in sorted(numbered)]


def _split_pattern(pattern: Path) -> tuple[str, int, str]:
    """What stands before the number, its least digits, and what stands after."""
    matches = list(_PLACEHOLDER.finditer(pattern.name))
    if len(matches) != 1:
        raise NvdError(
            f"{pattern.name} is not a pattern of numbered files",
            expected="one place for the frame number",
            found=f"{len(matches)}",
            remedy="write %05d or ##### where the number goes, such as frames/%05d.png",
        )
    match = matches[0]
    digits = len(match[2]) if match[2] else int((match[1] or "1")[:4])
    if digits > MOST_DIGITS_OF_FRAME:
        raise NvdError(
            f"{pattern.name[:80]} is not a pattern of numbered files",
            expected=f"a number of {MOST_DIGITS_OF_FRAME} digits at the most",
            found=match[0][:40],
            remedy="write %05d or ##### where the number goes, such as frames/%05d.png",
        )
    return pattern.name[: match.start()], digits, pattern.name[match.end() :]


def _check_no_gap(source: Path, numbered: dict[int, Path]) -> None:
    first, last = min(numbered), max(numbered)
    count = last - first + 1 - len(numbered)
    if not count:
        return
    missing = []
    for number in range(first, last + 1):
        if number not in numbered:
            missing.append(str(number))
        if len(missing) == 5:
            break
    more = f" and {count - len(missing)} more" if count > len(missing) else ""
    raise NvdError(
        f"frames are missing in {source}: {', '.join(missing)}{more}",
        expected=f"every number from {first} to {last}",
        found=f"{len(numbered)} files",
        remedy="render or copy the missing frames, or renumber the files without gaps",
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
