"""The pictures of the stack's entries, put where they lie on a sheet.

A picture is taken as premultiplied colours, which alone may be filtered, and pinned by its corners
with a homography. One that has to shrink is brought near its size by area means first.
"""

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.editing.edits import display_colours, resized
from nvd_core.editing.stack_text import text_picture
from nvd_core.editing.stroke_cover import laid, of_texture
from nvd_core.media.images import image_size, read_image
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import is_pattern, numbered_files
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Corners, Entry, entry_path
from nvd_core.shot.strokes import Stroke, read_strokes

LARGEST = 16_384
"""pixels along a side of a picture from which it is pinned; OpenCV counts in 16 bits"""
KEPT_BYTES = 1 << 29
"""of pictures on their sheets that are kept for the next frame"""


@dataclass(frozen=True)
class Placed:
    """A picture where it lies on a sheet."""

    colours: np.ndarray  # float32 [h, w, 3], display-encoded, straight
    alpha: np.ndarray  # float32 [h, w, 1]
    rows: slice
    columns: slice

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self.colours.nbytes + self.alpha.nbytes


class Pictures:
    """The pictures of a shot's entries, read as they are asked for and kept for a while."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        self._movies: dict[str, MoviePictures] = {}
        self._kept: OrderedDict[tuple, Placed] = OrderedDict()

    def number(self, entry: Entry, t: int) -> int | None:
        """Which picture of a movie shows in frame `t`; 0 for other kinds, None where none does."""
        if entry.kind != "movie":
            return 0
        at, count = t - entry.start, self._movie(entry).count
        if at < 0 or (at >= count and entry.after == "hide"):
            return None
        return at % count if entry.after == "loop" else min(at, count - 1)

    def check(self, entry: Entry) -> None:
        """NvdError where a file of the entry is missing, or its header is damaged."""
        if entry.kind == "movie":
            self._movie(entry)
        elif entry.kind == "text":
            text_picture(self._shot, entry, 64, 64)
        elif entry.kind == "strokes":
            strokes_of(self._shot, entry)
        else:
            for relative in entry.files.values():
                image_size(entry_path(self._shot, relative))

    def placed(self, entry: Entry, number: int, width: int, height: int) -> Placed:
        """Picture `number` of the entry on a sheet of this size; NvdError where it is damaged."""

        def make() -> Placed:
            if entry.kind == "movie":
                self._forget(entry.name)  # the picture before: it will hardly be asked for again
            return self._made(entry, number, width, height)

        return self._known((entry.name, number, width, height), make)

    def mask(self, entry: Entry, width: int, height: int) -> Placed:
        """Where an adjustment works, as the alpha of a picture."""

        def make() -> Placed:
            alpha = np.ones((height, width, 1), np.float32)
            if entry.mask:
                colours, own = display_colours(_read(self._shot, entry, entry.mask))
                grey = colours.mean(2, keepdims=True) * (1 if own is None else own)
                alpha = resized(grey, width, height).reshape(height, width, 1).clip(0, 1)
            empty = np.zeros((0, 0, 3), np.float32)
            return Placed(empty, alpha, slice(0, height), slice(0, width))

        return self._known((entry.name, 0, width, height), make)

    def _known(self, key: tuple, make: Callable[[], Placed]) -> Placed:
        """What is kept under `key`, or is made; what was not asked for the longest goes first."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        placed = self._kept[key] = make()
        while len(self._kept) > 1 and sum(one.size for one in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return placed

    def _forget(self, name: str) -> None:
        for key in [key for key in self._kept if key[0] == name]:
            del self._kept[key]

    def _movie(self, entry: Entry) -> "MoviePictures":
        if entry.name not in self._movies:
            self._movies[entry.name] = MoviePictures(self._shot, entry)
        return self._movies[entry.name]

    def _made(self, entry: Entry, number: int, width: int, height: int) -> Placed:
        if entry.kind == "strokes":
            return _drawn(self._shot, entry, width, height)
        if entry.kind == "text":
            picture = text_picture(self._shot, entry, *quad_size(entry.corners, width, height))
        elif entry.kind == "movie":
            picture = self._movie(entry).read(number)
        else:
            picture = _read(self._shot, entry, entry.file or "")
        colours, alpha = display_colours(picture)
        whole = np.ones((*colours.shape[:2], 1), np.float32) if alpha is None else alpha
        corners = None if entry.kind == "paint" else entry.corners
        return pinned(np.dstack([colours * whole, whole]), corners, width, height)


def strokes_of(shot: Shot, entry: Entry) -> tuple[Stroke, ...]:
    """The strokes of an entry; NvdError where its file is missing or damaged."""
    return read_strokes(entry_path(shot, entry.file or ""))


def _drawn(shot: Shot, entry: Entry, width: int, height: int) -> Placed:
    """The strokes of an entry as paint on a sheet, as wide as they were drawn."""
    strokes, longer = strokes_of(shot, entry), max(width, height)
    widths = []
    for one in strokes:
        wider = entry.pixels / one.width if entry.pixels and one.width else 1.0
        widths.append(one.share * longer * wider)
    ink = laid(of_texture(width, height), strokes, widths).reshape(height, width, 4)
    return _straight(ink, slice(0, height), slice(0, width))


def pinned(picture: np.ndarray, corners: Corners | None, width: int, height: int) -> Placed:
    """A premultiplied picture [h, w, 4] with its corners in these places of a sheet."""
    if corners is None:
        return _straight(resized(picture, width, height), slice(0, height), slice(0, width))
    wide, high = quad_size(corners, width, height)
    size = min(picture.shape[1], wide), min(picture.shape[0], high)
    if size != (picture.shape[1], picture.shape[0]):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    places = np.float64(corners) * [width, height]
    x0, y0 = np.floor(places.min(0)).astype(int).clip(0) - 1
    x1, y1 = np.minimum(np.ceil(places.max(0)).astype(int) + 1, [width, height])
    x0, y0 = max(int(x0), 0), max(int(y0), 0)
    if x1 <= x0 or y1 <= y0:  # beside the sheet
        nothing = np.zeros((0, 0, 4), np.float32)
        return _straight(nothing, slice(0, 0), slice(0, 0))
    own = np.float32([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]])
    # OpenCV's places are those of pixels' centres
    onto = _shift(-0.5 - x0, -0.5 - y0) @ homography(own, places) @ _shift(0.5, 0.5)
    box = int(x1 - x0), int(y1 - y0)
    laid = cv2.warpPerspective(picture, onto, box, flags=cv2.INTER_LINEAR, borderValue=0)
    return _straight(laid, slice(y0, int(y1)), slice(x0, int(x1)))


def homography(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The projective map, float64 [3, 3], that takes four points [4, 2] to four others.

    OpenCV's takes float32, which is off by a tenth of a texel where corners lie far outside.
    """
    rows = []
    for (x, y), (u, v) in zip(np.float64(start), np.float64(end), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    found = np.linalg.lstsq(np.array(rows), np.float64(end).ravel(), rcond=None)[0]
    return np.append(found, 1).reshape(3, 3)


def quad_size(corners: Corners | None, width: int, height: int) -> tuple[int, int]:
    """Texels that a quad takes across and down, at its longer sides; of the sheet for None."""
    if corners is None:
        return width, height
    places = np.float64(corners) * [width, height]
    top, right, bottom, left = (
        float(np.hypot(*(places[k] - places[(k + 1) % 4]))) for k in range(4)
    )
    across, down = max(top, bottom), max(left, right)
    return int(np.ceil(across).clip(1, LARGEST)), int(np.ceil(down).clip(1, LARGEST))


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _straight(laid: np.ndarray, rows: slice, columns: slice) -> Placed:
    alpha = laid[..., 3:]
    colours = np.divide(laid[..., :3], alpha, out=np.zeros_like(laid[..., :3]), where=alpha > 0)
    return Placed(colours, alpha.clip(0, 1), rows, columns)


def _read(shot: Shot, entry: Entry, relative: str) -> np.ndarray:
    return checked_picture(read_image(entry_path(shot, relative)), entry)


def checked_picture(image: np.ndarray, entry: Entry) -> np.ndarray:
    """The image; NvdError where it holds what is no colour."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise NvdError(
            f"the picture of {entry.name} holds values that are no colours",
            found="infinite values or NaN",
            remedy="clamp the image and save it again",
        )
    return image


class MoviePictures:
    """The pictures of a movie's entry, by number; in order they are decoded once."""

    def __init__(self, shot: Shot, entry: Entry) -> None:
        """NvdError where there are none."""
        self._shot, self._entry = shot, entry
        self._next = 0
        self._stream: Generator[np.ndarray, None, None] | None = None
        path = entry_path(shot, entry.file or "")
        self._movie: Movie | None = None
        self._files: list[Path] = []
        if is_pattern(path):
            numbered = numbered_files(path)
            self._files = [numbered[number] for number in sorted(numbered)]
        else:
            self._movie = Movie(path)
        self.count = self._movie.frames if self._movie else len(self._files)
        if not self.count:
            raise NvdError(
                f"the movie of {entry.name} has no pictures",
                expected="images such as 00000.png",
                found=f"none at {path}",
                remedy="restore the files, or remove the entry: nvd edits remove",
            )

    def read(self, number: int) -> np.ndarray:
        """Picture `number`, from 0."""
        if self._movie is None:
            file = inside(self._shot.folder, self._files[number].relative_to(self._shot.folder))
            return checked_picture(read_image(file), self._entry)
        if self._stream is None or number != self._next:
            self.close()
            self._stream = self._movie.read(number, self.count)
        picture = next(self._stream)
        self._next = number + 1
        return picture

    def close(self) -> None:
        """End the decoding, which goes on where the next picture is asked for."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
