"""Masks as people name them, and pictures whose values are ids of objects.

`!PATH` is the mask upside down: white is what is not the object. `PATH#2` takes the object of that
id from indexed PNGs, or from grey pictures whose values are ids.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from nvd_core.job import INVERTED
from nvd_core.media.images import read_image
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import ImageSequence, is_pattern, split_layer
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import there

_WITH_ID = re.compile(r"(?P<path>.+)#(?P<id>[0-9]{1,5})", re.DOTALL)
_INDEXED = 3
"""PNG's colour type of palettes"""


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


def is_indexed(path: Path) -> bool:
    """Whether a file is a PNG of a palette."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(b"\x89PNG\r\n\x1a\n") and head[25:26] == bytes([_INDEXED])


def palette_ids(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The palette's index of every pixel, uint8 [H, W], and its colours, uint8 [256, 3]."""
    decoder = av.CodecContext.create("png", "r")
    frames = decoder.decode(av.Packet(path.read_bytes())) or decoder.decode(None)
    ids, palette = frames[0].to_ndarray()
    return ids, palette[:, 1:]  # A, R, G, B


class LabelImages:
    """Images as a source of frames [H, W, 1], 255 where the object `id` is, 0 elsewhere."""

    def __init__(self, name: str, source: ImageSequence, id: int):
        self.files, self.frames, self.numbers = source.files, source.frames, source.numbers
        self.width, self.height, self.rate = source.width, source.height, source.rate
        self._id = id
        found = sorted({int(i) for path in dict.fromkeys(self.files) for i in _ids_in(path)})
        if id not in found:
            raise NvdError(
                f"the mask of {name} has no object {id}",
                expected=f"one of the ids {_listed(found)}",
                found=str(id),
                remedy="choose an id that is there",
            )

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """Yield the masks of `start` to `stop` - 1."""
        for path in self.files[start:stop]:
            yield np.where(_ids_of(path) == self._id, np.uint8(255), np.uint8(0))[..., None]


def checked_without_id(name: str, source: Movie | ImageSequence) -> None:
    """NvdError that lists the ids where images of a palette hold several objects.

    A palette of greys that reaches white is a grey picture; one colour beside 0 is one object.
    """
    if isinstance(source, Movie) or not is_indexed(source.files[0]):
        return
    ids: set[int] = set()
    grey = True
    for path in dict.fromkeys(source.files):
        if not is_indexed(path):
            return
        indices, palette = palette_ids(path)
        used = np.unique(indices)
        ids |= {int(i) for i in used}
        colours = palette[used].astype(int)
        grey = grey and bool((np.ptp(colours, axis=1) == 0).all()) and colours.max(initial=0) > 127
    others = sorted(ids - {0})
    if grey or len(others) < 2:
        return
    raise NvdError(
        f"the mask of {name} holds several objects, by their ids",
        expected="the id of one of them",
        found=f"the ids {_listed(others)} in {source.files[0].parent}",
        remedy=f"say which behind the path: --mask {name}=PATH#{others[0]}",
    )


def _ids_of(path: Path) -> np.ndarray:
    """The id of every pixel, [H, W]: a palette's index, or a grey value."""
    if is_indexed(path):
        return palette_ids(path)[0]
    pixels = read_image(path)
    if pixels.shape[2] > 2 and (pixels[..., 1:3] != pixels[..., :1]).any():
        raise NvdError(
            f"{path} has no ids",
            expected="an indexed PNG, or grey values that are ids",
            found="colours",
            remedy="give the mask without #ID, or as an indexed PNG",
        )
    return np.rint(pixels[..., 0]).astype(np.int64) if pixels.dtype.kind == "f" else pixels[..., 0]


def _ids_in(path: Path) -> list[int]:
    found = np.unique(_ids_of(path))
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
