"""Motion blur in the live preview: which of it is made anew for a frame, and which is still good.

The passes themselves are in blur_shader.py. What is painted as light is kept until it changes, and
a layer's motion as long as the frame is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gpu

from . import preview_shader as shader
from .blur_shader import Blur, LightSheet, Motion, Streaks, motion_of, sheet_of
from .preview_shader import Rectangles

Window = tuple[int, int]


@dataclass
class Painted:
    """A layer with paint that is blurred."""

    name: str
    layer: shader.Layer
    state: object
    """equal where what is painted is; None while somebody paints"""
    has_edges: bool
    windows: tuple[Window, ...]
    parts: tuple[tuple[float, ...], ...] = ()


class PaintStreaks:
    """The blur of a shot's paint. `places`(index, name) has a layer's places with its own matte."""

    def __init__(self, size: tuple[int, int], frames: int, places: Callable):
        self._size, self._frames, self._places = size, frames, places
        self._sheets: dict[str, tuple[object, LightSheet]] = {}
        self._motions: dict[str, tuple[int, Motion]] = {}
        self._streaks: Streaks | None = None
        self._base: shader.Picture | None = None

    def lay(
        self,
        target: gpu.types.GPUOffScreen,
        base: shader.Frame,
        painted: list[Painted],
        index: int,
        blur: Blur,
        region: Rectangles | None = None,
        texels: Callable[[str], Rectangles] | None = None,
    ) -> None:
        """Blur, in place, what stands still in `target`: `base` with what is painted on it.

        region: the part of the picture that is not blurred yet. texels: what of a layer's texture
        is all that was painted on since the last time, where something else is not new.
        """
        if self._streaks is None:
            self._streaks = Streaks(*self._size)
        self._streaks.begin(region)
        for part in painted:
            sheet, motion = self._sheet(part, texels), self.motion(part, index)
            self._streaks.add(part.layer, sheet, motion, blur, base)
        self._streaks.lay(target, base)

    def learned(
        self,
        layers: list[shader.Layer],
        frame: shader.Frame | None,
        over_frame: bool,
        is_known: bool = False,
    ) -> shader.Frame:
        """What paint is added to where layers take the frame's place: all of them as learned.

        is_known: whether that is what it was the last time.
        """
        if self._base is None:
            self._base, is_known = shader.Picture(*self._size), False
        if not is_known:
            self._base.begin(frame, "full", over_frame)
            for layer in layers:
                self._base.add(layer.as_learned, "full")
        return shader.Frame(self._base.painted.texture_color)

    def close(self) -> None:
        """Give everything back."""
        self._sheets.clear()
        self._motions.clear()
        self._streaks = self._base = None

    def _sheet(self, part: Painted, texels: Callable[[str], Rectangles] | None) -> LightSheet:
        known = self._sheets.get(part.name)
        if known is not None and (known[1].over is not None) != part.has_edges:
            known = None
        if known is None or part.state is None or known[0] != part.state:
            before = () if known is None or texels is None else (known[1], texels(part.name))
            known = part.state, sheet_of(part.layer, part.has_edges, *before)
            self._sheets[part.name] = known
        return known[1]

    def motion(self, part: Painted, index: int) -> Motion:
        """How a layer moves in the frame; the same object as long as it is shown."""
        known = self._motions.get(part.name)
        if known is None or known[0] != index:
            own = self._places(index, part.name)
            before, after = (
                self._places(other, part.name)
                if 0 <= other < self._frames and shares_window(part.windows, index, other)
                else None
                for other in (index - 1, index + 1)
            )
            known = self._motions[part.name] = index, motion_of(own, before, after, part.parts)
        return known[1]


def shares_window(windows: tuple[Window, ...], one: int, other: int) -> bool:
    """Whether both frames show the same part of a texture with windows in time."""
    return all((first <= one <= last) == (first <= other <= last) for first, last in windows)
