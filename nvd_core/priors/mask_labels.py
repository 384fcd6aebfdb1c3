"""Masks as people name them, and pictures whose values are ids of objects.

`!PATH` is the mask upside down: white is what is not the object. `PATH#2` takes the object of that
id from indexed PNGs, or from grey pictures whose values are ids.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.job import INVERTED
from nvd_core.media.images import read_image, to_float
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import ImageSequence, is_pattern, split_layer
from nvd_core.priors.palettes import gif_colours, ids_of_colours, is_indexed, palette_ids
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import there

_WITH_ID = re.compile(r"(?P<path>.+)#(?P<id>[0-9]{1,5})", re.DOTALL)
_LOSSY = (".jpg", ".jpeg", ".webp", ".jp2")
_COLOURED = 0.15  # the channels of a pixel differ by more where it is no grey
_MOST_PICTURED = 0.98  # of the pixels; where more have colours there is no black around an object
_MOST_OBJECTS = 64
"""different values that ids, or the colours that stand for them, have at most"""


@dataclass(frozen=True)
class MaskName:
    """What `--mask NAME=` names: a path, an id or None, and whether white is the rest."""

    path: str
    id: int | None = None
    inverted: bool = False


def mask_name(text: Path | str) -> MaskName:
    """Read `!PATH#ID`; a file or folder that has the whole name itself comes first."""
    text = str(text)
    inverted = text.startswith(INVERTED)
    path = text.removeprefix(INVERTED)
    match = _WITH_ID.fullmatch(path)
    if match and not there(Path(path).exists) and not _is_number(path):
        return MaskName(match["path"], int(match["id"]), inverted)
    return MaskName(path, None, inverted)


def _is_number(path: str) -> bool:
    """Whether the # before the digits is a place for a frame number: `m.#2.png` never ends so."""
    return is_pattern(path) and Path(path).suffix != "" and "#" not in Path(path).suffix


class LabelImages:
    """Images as a source of frames [H, W, 1], 255 where the object `id` is, 0 elsewhere.

    The source is a sequence of images, or a GIF.
    """

    def __init__(self, name: str, source: Movie | ImageSequence, id: int):
        self.frames, self.numbers = source.frames, getattr(source, "numbers", None)
        self.files = source.files if isinstance(source, ImageSequence) else [source.path]
        self.width, self.height, self.rate = source.width, source.height, source.rate
        self._id, self._source = id, source
        found = sorted({int(i) for ids in _all_ids(source) for i in _few(ids, self.files[0])})
        if id not in found:
            raise NvdError(
                f"the mask of {name} has no object {id}",
                expected=f"one of the ids {_listed(found)}",
                found=str(id),
                remedy="choose an id that is there",
            )

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """Yield the masks of `start` to `stop` - 1."""
        for ids in _ids_from(self._source, start, stop):
            yield np.where(ids == self._id, np.uint8(255), np.uint8(0))[..., None]


def has_ids(source: Movie | ImageSequence) -> bool:
    """Whether `#ID` can be said of a source: of all but movies, and of GIF."""
    return not isinstance(source, Movie) or is_indexed(source.path)


def checked_without_id(name: str, source: Movie | ImageSequence) -> tuple[str, ...]:
    """NvdError that lists the ids where images of a palette, or of ids, hold several objects.

    A palette of greys that reaches white is a grey picture; one colour beside 0 is one object.
    Of other pictures the first, middle and last are looked at. Returns cautions.
    """
    if _of_palettes(source):
        others = _ids_of_palettes(source)
    elif isinstance(source, Movie):
        return ()
    else:
        looked_at = [source.files[n] for n in sorted({0, source.frames // 2, source.frames - 1})]
        pictures = [read_image(path, source.layer) for path in looked_at]
        if said := about_colours(name, source.files[0], pictures):
            return said
        others = ids_of_values(pictures, looked_at[0])
        if len(others) > 1:  # or a soft mask, of which these frames are faint
            every = (read_image(path, source.layer) for path in dict.fromkeys(source.files))
            others = ids_of_values(every, looked_at[0])
    if len(others) < 2:
        return ()
    where = source.path.name if isinstance(source, Movie) else source.files[0].parent
    raise NvdError(
        f"the mask of {name} holds several objects, by their ids",
        expected="the id of one of them",
        found=f"the ids {_listed(others)} in {where}",
        remedy=f"say which behind the path: --mask {name}=PATH#{others[0]}",
    )


def _of_palettes(source: Movie | ImageSequence) -> bool:
    if isinstance(source, Movie):
        return is_indexed(source.path)
    return all(is_indexed(path) for path in dict.fromkeys(source.files))


def _ids_of_palettes(source: Movie | ImageSequence) -> list[int]:
    """The ids beside 0 in pictures of palettes; none where these are pictures of greys."""
    used: set[int] = set()
    grey = True
    for ids, palette in _with_palettes(source):
        here = np.unique(ids)
        used |= {int(i) for i in here}
        colours = palette[here].astype(int)
        grey = grey and bool((np.ptp(colours, axis=1) == 0).all()) and colours.max(initial=0) > 127
    return [] if grey else sorted(used - {0})


def _with_palettes(source: Movie | ImageSequence) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if isinstance(source, Movie):
        table = gif_colours(source.path)
        for frame in source.read(0, source.frames):
            yield ids_of_colours(frame, table, source.path), table
    else:
        yield from map(palette_ids, dict.fromkeys(source.files))


def about_colours(
    name: str, path: Path, pictures: list[np.ndarray], opaque: bool = True
) -> tuple[str, ...]:
    """What to say of a mask of colours; NvdError where these are flat, as those of several objects.

    One colour on black or white is one object. `opaque`: an alpha that varies is the mask instead.
    """
    colours: set[bytes] = set()
    for picture in pictures:
        if picture.shape[2] < 3:
            return ()
        if opaque and picture.shape[2] == 4 and np.ptp(to_float(picture[..., 3])) > 0:
            return ()
        values = to_float(picture[..., :3])
        strong = np.ptp(values, axis=2) > _COLOURED
        if strong.mean() > _MOST_PICTURED:
            return (f"the mask of {name}, {path.name}, has colours: its brightness is taken",)
        colours |= {colour.tobytes() for colour in np.unique(picture[strong][:, :3], axis=0)}
        if len(colours) > _MOST_OBJECTS:
            return (f"the mask of {name}, {path.name}, has colours: its brightness is taken",)
    if len(colours) < 2:
        return ()
    raise NvdError(
        f"the mask of {name} has {len(colours)} colours, as of several objects",
        expected="grey, white where the object is, or an indexed PNG and the id of the object",
        found=f"colours in {path.name}",
        remedy="paint each object white on black in a mask of its own, or save indexed PNGs and "
        f"say --mask {name}=PATH#1",
    )


def ids_of_values(pictures: Iterable[np.ndarray], path: Path) -> list[int]:
    """The ids beside 0 where grey values are ids: whole numbers, few and far from white.

    Empty where they are a mask.
    """
    if path.suffix.lower() in _LOSSY:
        return []
    found: set[float] = {0.0}
    white = 1.0
    for picture in pictures:
        here = np.unique(picture)
        if picture.shape[2] != 1 or not np.isfinite(here).all():
            return []
        found |= {float(value) for value in here}
        if len(found) > _MOST_OBJECTS or any(value != round(value) for value in found):
            return []
        if picture.dtype.kind != "f":
            white = np.iinfo(picture.dtype).max
            if max(found) > white // 2:
                return []
    return sorted(int(value) for value in found - {0.0}) if white > 1 or max(found) > 1 else []


def _all_ids(source: Movie | ImageSequence) -> Iterator[np.ndarray]:
    """The ids of all different pictures of a source."""
    if isinstance(source, Movie):
        yield from _ids_from(source, 0, source.frames)
    else:
        yield from (_ids_of(path, source.layer) for path in dict.fromkeys(source.files))


def _ids_from(source: Movie | ImageSequence, start: int, stop: int) -> Iterator[np.ndarray]:
    if isinstance(source, Movie):
        table = gif_colours(source.path)
        for frame in source.read(start, stop):
            yield ids_of_colours(frame, table, source.path)
    else:
        yield from (_ids_of(path, source.layer) for path in source.files[start:stop])


def _ids_of(path: Path, layer: str | None = None) -> np.ndarray:
    """The id of every pixel, [H, W]: a palette's index, or a grey value."""
    if is_indexed(path):
        return palette_ids(path)[0]
    pixels = read_image(path, layer)
    if pixels.shape[2] > 2 and (pixels[..., 1:3] != pixels[..., :1]).any():
        raise NvdError(
            f"{path} has no ids",
            expected="an indexed PNG, or grey values that are ids",
            found="colours",
            remedy="give the mask without #ID, or as an indexed PNG",
        )
    return np.rint(pixels[..., 0]).astype(np.int64) if pixels.dtype.kind == "f" else pixels[..., 0]


def _few(ids: np.ndarray, path: Path) -> list[int]:
    found = np.unique(ids)
    if len(found) > 256:
        raise NvdError(
            f"{path} has no ids",
            expected="at most 256 different values",
            found=f"{len(found)}",
            remedy="give the mask without #ID, or as an indexed PNG",
        )
    return [int(i) for i in found if i]


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")


def plain_path(text: Path | str) -> Path:
    """The files of a mask, without what is said before and behind them."""
    return split_layer(mask_name(text).path)[0]
