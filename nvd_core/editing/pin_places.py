"""Where pins hold: the texture's points at pixels, as the maps have them, and the bends of it."""

from collections.abc import Sequence

import numpy as np

from nvd_core.editing.bend import LayerBend, Track
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.map_files import map_files
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.pins import Pin, read_applied
from nvd_core.shot.shot import Shot

SHOWN = 0.5
"""alpha from which on a pixel tells where the layer's texture lies"""


def bends_of(shot: Shot, pins: Sequence[Pin]) -> dict[str, LayerBend]:
    """The bends by layer that `pins`, all of which are on, ask for.

    NvdError where a layer does not show at a target.
    """
    known: dict[int, list[LayerMaps]] = {}
    bends = {}
    for name in shot.names:
        own = [pin for pin in pins if pin.layer == name]
        if own:
            record = shot.layer(name)
            size = record.texture_width, record.texture_height
            bends[name] = LayerBend(name, size, [_track(shot, pin, known) for pin in own])
    return bends


def applied_bends(shot: Shot) -> dict[str, LayerBend]:
    """The bends that the shot's maps have: for whoever asks the networks beside the maps."""
    return bends_of(shot, read_applied(shot).shown())


def _track(shot: Shot, pin: Pin, known: dict[int, list[LayerMaps]]) -> Track:
    record = shot.layer(pin.layer)
    scale = np.array([record.texture_width, record.texture_height], np.float64)
    scale /= scale.max()
    number = shot.names.index(pin.layer)
    seen = []
    for t, x, y in pin.to:
        if t not in known:
            known[t] = original_layers(shot, t)
        own = known[t][number]
        seen.append(point_at(own, x, y, f"the pin {pin.name}", pin.layer, t)[0] * scale)
    frames = tuple(t for t, _x, _y in pin.to)
    point = np.array(pin.at, np.float64) * scale
    window = _window(shot, pin, frames)
    return Track(pin.name, point, frames, np.array(seen), pin.radius, pin.fade, window)


def _window(shot: Shot, pin: Pin, frames: tuple[int, ...]) -> Window | None:
    """The window in time of all targets; NvdError where they lie in several."""
    windows = shot.layer(pin.layer).windows
    if not windows:
        return None
    (first, *others) = sorted({windows[k] for k in window_of(windows, shot.frames)[list(frames)]})
    if others:
        raise NvdError(
            f"the pin {pin.name} has targets in several windows of {pin.layer}",
            expected=f"frames {first[0]} to {first[1]}, which share a part of its texture",
            found=f"frames {', '.join(map(str, frames[:8]))}",
            remedy="give each window a pin of its own",
        )
    return first


def original_layers(shot: Shot, t: int) -> list[LayerMaps]:
    """The maps of frame `t` as they were before any pin, layer by layer."""
    files = map_files(shot)
    if files.is_pinned(t):
        maps = read_maps(files.original(t), shot.names, files.size)
    else:
        maps = files.read(t)
    return [maps.layer(n) for n in range(len(shot.names))]


def point_at(
    maps: LayerMaps, x: float, y: float, what: str, layer: str, t: int
) -> tuple[np.ndarray, np.ndarray]:  # float64 [2], [2, 2]
    """The texture's point at a pixel, and what a step to the right and one down changes in it.

    In shares from the texture's top left; the steps are the matrix's columns. NvdError, about
    `what`, where the `layer` does not show there in frame `t`.
    """
    height, width = maps.alpha.shape
    across = min(max(x - 0.5, 0.0), width - 1.0)
    down = min(max(y - 0.5, 0.0), height - 1.0)
    left, top = min(int(across), max(width - 2, 0)), min(int(down), max(height - 2, 0))
    rows, columns = slice(top, top + 2), slice(left, left + 2)
    if min(height, width) < 2 or not (maps.alpha[rows, columns] > SHOWN).all():
        raise NvdError(
            f"{what}: the layer {layer} does not show at {x:g}, {y:g} in frame {t}",
            expected="a pixel well inside of the layer",
            found=f"an alpha of {maps.alpha[round(down), round(across)]:.2f} there",
            remedy="choose another pixel, frame or layer",
        )
    corners = np.stack([maps.u[rows, columns], 1 - maps.v[rows, columns]], -1).astype(np.float64)
    fx, fy = across - left, down - top
    upper = corners[0, 0] + fx * (corners[0, 1] - corners[0, 0])
    lower = corners[1, 0] + fx * (corners[1, 1] - corners[1, 0])
    right = (1 - fy) * (corners[0, 1] - corners[0, 0]) + fy * (corners[1, 1] - corners[1, 0])
    return upper + fy * (lower - upper), np.stack([right, lower - upper], -1)
