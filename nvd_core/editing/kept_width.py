"""Strokes and words that keep their width: drawn in the frames, where their anchors are seen.

Everything else of the stack lies on a layer's sheet, and is larger where the layer is nearer. What
keeps its width lies over all of that. With k its share of a pixel (stroke_cover.py; of words the
letters' mask, centred where the frame shows the middle of their corners), e the sheet's value at
the pixel's place, s the colour, w, l and a the layer's visibility, light and alpha, the frame gets

    w a l k (B(s, e) - e)

on display-encoded values, which is what an entry on the sheet would add that covered k there.
"""

from collections.abc import Collection, Iterable

import cv2
import numpy as np

from nvd_core.editing import kernel_numba
from nvd_core.editing.stack_blend import BLENDS
from nvd_core.editing.stack_pictures import strokes_of
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.editing.stack_text import text_mask
from nvd_core.editing.stroke_cover import Views, laid, of_frame, seen_at
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry
from nvd_core.shot.strokes import Stroke
from nvd_core.shot.values import Values

FONT_SIZE = 32.0
"""pixels of the plate, of words that say nothing else"""
NEAR = 1.0
"""pixels within which the frame has to show an anchor"""


class Drawing:
    """Draws what keeps its width of a shot's stack into the frames `numbers`."""

    def __init__(self, shot: Shot, sheets: Sheets, values: Values, numbers: Iterable[int]) -> None:
        self._shot, self._sheets, self._values = shot, sheets, values
        numbers = list(numbers)
        self.names = [
            name for name in shot.names if any(self._sheets.kept(name, t) for t in numbers)
        ]
        """the layers that something is drawn on"""
        self.entries = sheets.lacks_kept(numbers)
        """what is drawn, by name"""
        self._strokes: dict[str, tuple[Stroke, ...]] = {}
        self._masks: dict[str, np.ndarray] = {}
        self._packed: dict[str, tuple[np.ndarray, kernel_numba.PackedTextures]] = {}

    def shows(self, t: int) -> bool:
        """Whether anything of it may show in frame `t`."""
        return any(self._sheets.kept(n, t) and self._values.at(n, t)[0] > 0 for n in self.names)

    def change(self, maps: FrameMaps, t: int, without: Collection[str] = ()) -> np.ndarray:
        """What is added to frame `t`, float32 [H, W, 3]; 0 where nothing shows.

        `maps` are of all layers, as they stand in the folder; they stay as they are. Nothing is
        drawn on the layers `without`.
        """
        total = np.zeros((*maps.uva.shape[1:3], 3), np.float32)
        for name in self.names:
            entries = self._sheets.kept(name, t)
            if entries and name not in without:
                self._draw(total, maps, name, t, entries)
        return total

    def _draw(
        self,
        total: np.ndarray,
        maps: FrameMaps,
        name: str,
        t: int,
        entries: list[tuple[Entry, float]],
    ) -> None:
        number = self._shot.names.index(name)
        uva = maps.uva[number]
        views, numbers = of_frame(uva)
        visibility, light = self._values.at(name, t)
        below: np.ndarray | None = None
        flat = total.reshape(-1, 3)
        residual = 1 + np.float32(light) * (maps.residual[number].reshape(-1, 3)[numbers] - 1)
        shown = visibility * uva[..., 2].reshape(-1)[numbers, None] * residual
        for entry, strength in entries:
            ink = self._ink(entry, views, numbers, uva.shape[:2])
            where = ink[:, 3] > 0
            if not where.any():
                continue
            if below is None:
                below = self._sheet_at(name, t, uva.reshape(-1, 3)[numbers])
            share = ink[where, 3:] * np.float32(strength)
            colour = ink[where, :3] / ink[where, 3:]
            change = share * (BLENDS[entry.blend](below[where], colour) - below[where])
            below[where] += change
            flat[numbers[where]] += (shown[where] * change).astype(np.float32)

    def _ink(
        self, entry: Entry, views: Views, numbers: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """Premultiplied colours of the pixels, float32 [N, 4]."""
        if entry.kind == "strokes":
            if entry.name not in self._strokes:
                self._strokes[entry.name] = strokes_of(self._shot, entry)
            strokes = self._strokes[entry.name]
            return laid(views, strokes, [entry.pixels or one.width for one in strokes])
        ink = np.zeros((len(numbers), 4), np.float32)
        middle = anchor_of_words(entry)
        place = seen_in_frame(views, numbers, size[1], middle)
        if place is not None:
            if entry.name not in self._masks:
                words = text_mask(self._shot, entry, entry.pixels or FONT_SIZE)
                self._masks[entry.name] = words
            cover = centred(self._masks[entry.name], place, size).reshape(-1)[numbers, None]
            ink[:] = cover * np.append(np.array(entry.colour, np.float32), np.float32(1))
        return ink

    def _sheet_at(self, name: str, t: int, uva: np.ndarray) -> np.ndarray:
        """The sheet's values at places [N, 3], float32 [N, 3]."""
        texture = self._sheets.at(name, t).full
        if name not in self._packed or self._packed[name][0] is not texture:
            self._packed[name] = texture, kernel_numba.pack_textures({0: texture}, False)
        places = np.ascontiguousarray(uva[None, None])
        places[..., 2] = 1
        out = np.empty((1, len(uva), 3), np.float32)
        maps = FrameMaps(places, np.ones_like(places))
        kernel_numba.render_full(maps, self._packed[name][1], False, out)
        return out[0]


def say_lacking(
    progress: Progress, sheets: Sheets, numbers: Iterable[int], where: str, names: Iterable[str]
) -> None:
    """Say which entries that keep their width are not in what is made of the layers `names`."""
    lacking = sheets.lacks_kept(numbers, names)
    if lacking:
        progress.caution(f"what keeps its width is not in {where}: {', '.join(lacking)}")


def anchor_of_words(entry: Entry) -> np.ndarray:
    """The texture's point that words are centred on, in shares: where their diagonals cross."""
    if entry.corners is None:
        return np.array([0.5, 0.5])
    a, b, c, d = (np.array(corner, np.float64) for corner in entry.corners)
    share = np.linalg.solve(np.stack([c - a, b - d], 1), b - a)[0]
    middle: np.ndarray = a + share * (c - a)
    return middle


def seen_in_frame(
    views: Views, numbers: np.ndarray, width: int, point: np.ndarray
) -> np.ndarray | None:
    """The pixel x, y at which a texture's point is seen, pixel centres at whole numbers, or None.

    `numbers` are the views' pixels in a frame of this width.
    """
    if not len(numbers):
        return None
    off = seen_at(views, np.arange(len(numbers)), point[None])[0]
    best = int(np.hypot(off[:, 0], off[:, 1]).argmin())
    if np.hypot(*off[best]) > NEAR:
        return None
    y, x = divmod(int(numbers[best]), width)
    place: np.ndarray = np.array([x, y]) + off[best]
    return place


def centred(mask: np.ndarray, place: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask [h, w] with its middle at the pixel x, y of a picture of this height and width."""
    middle = (np.array(mask.shape[::-1]) - 1) / 2
    move = np.array([[1, 0, place[0] - middle[0]], [0, 1, place[1] - middle[1]]], np.float64)
    moved: np.ndarray = cv2.warpAffine(mask, move, size[::-1], flags=cv2.INTER_LINEAR)
    return moved
