"""Where a virtual camera looks: keyframes, and holding the background still.

A camera turns the pixels of its picture into places p' = (x, y) of the clip's frames (paper,
section 4.5). Pixels are (x right, y down), centres at whole numbers.
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
from scipy.interpolate import PchipInterpolator

from nvd_core.fields.model import LayeredVideo
from nvd_core.job import MOST_FRAMES
from nvd_core.runtime.declared import Fault, kinds_of, read, within
from nvd_core.runtime.documents import Unreadable, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import shown

REFINEMENTS = 12
"""steps at the most that bring a held place from the fitted homography to the mapping itself"""
SETTLED_PX = 0.01
"""a place that moved by less in a step is there"""

Pixels = Annotated[float, within(-1e6, 1e6)]


@dataclass(frozen=True)
class Key:
    """The camera at one frame; what a file leaves out is as the clip was shot."""

    frame: Annotated[int, within(0, MOST_FRAMES)]
    """frame of the clip, from 0"""
    scale: Annotated[float, within(1e-3, 1e3)] = 1.0
    """how much larger things appear: 2 zooms in, 0.5 out"""
    x: Pixels = 0.0
    """how far the camera is moved to the right, in pixels of the clip"""
    y: Pixels = 0.0
    """how far it is moved down"""
    rotation: Annotated[float, within(-1e6, 1e6)] = 0.0
    """degrees by which it is turned clockwise, so that the picture turns the other way"""


def load_keys(path: Path | str, frames: int) -> list[Key]:
    """The keys of a YAML file `keys: [{frame: 0, scale: 1.2, ...}, ...]` for a clip of `frames`.

    NvdError where it is none, or a key is unknown, out of range or no number.
    """
    try:
        value = read_yaml(path)
    except Unreadable as error:
        raise _bad(path, "a YAML file with keys", str(error)) from error
    rows = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows or set(value) != {"keys"}:
        raise _bad(path, "keys: and a list of keys, nothing else", shown(value))
    keys = [_key(path, row, frames) for row in rows]
    numbers = [key.frame for key in keys]
    if numbers != sorted(set(numbers)):
        raise _bad(path, "frames that rise from key to key", shown(numbers))
    return keys


def _key(path: Path | str, row: object, frames: int) -> Key:
    try:
        key = read(Key, row)
        if key.frame >= frames:
            raise Fault("frame", "range", "", key.frame)
        return key
    except Fault as fault:
        if fault.what in ("missing", "unknown") or not fault.key:
            others = ", ".join(list(kinds_of(Key))[1:])
            wanted = f"a key with a frame, and of {others} what it sets"
            raise _bad(path, wanted, shown(row)) from fault
        expected = fault.expected.replace("a number", f"a number for {fault.key}")
        if fault.key == "frame":
            expected = f"a frame from 0 to {frames - 1}"
        raise _bad(path, expected, fault.found) from fault


def _bad(path: Path | str, expected: str, found: str) -> NvdError:
    return NvdError(
        f"cannot use the camera keys {path}",
        expected=expected,
        found=found,
        remedy="correct the file; `keys: [{frame: 0}, {frame: 40, scale: 1.5, x: 30}]` is one",
    )


def key_at(keys: list[Key], t: int) -> Key:
    """The camera at frame t: smooth between the keys (PCHIP, no overshoot), still beyond them.

    The logarithm of the scale is interpolated, so that a zoom is even.
    """
    if len(keys) < 2:
        return dataclasses.replace(keys[0], frame=t) if keys else Key(t)
    rows = [[math.log(key.scale), key.x, key.y, key.rotation] for key in keys]
    frames = [key.frame for key in keys]
    log_scale, x, y, rotation = PchipInterpolator(frames, rows)(np.clip(t, frames[0], frames[-1]))
    return Key(t, float(np.exp(log_scale)), float(x), float(y), float(rotation))


def camera_points(
    key: Key, width: int, height: int, clip_width: int, clip_height: int, aspect: float = 1.0
) -> np.ndarray:  # float32 [height, width, 2]
    """The places of the clip's frame that the camera's pixels see.

    Pixels are `aspect` times as wide as high; the camera turns in square ones.

    Without a change the middles of both pictures meet, and pixels are of one size: a picture
    larger than the clip sees more.
    """
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    return _seen(key, x, y, (clip_width, clip_height), aspect)


def camera_corners(
    key: Key, width: int, height: int, clip_width: int, clip_height: int, aspect: float = 1.0
) -> np.ndarray:  # float32 [2, 2, 2]
    """The same of the four corners' pixels alone, between which all others lie."""
    across, down = (width - 1) / 2, (height - 1) / 2
    x, y = np.meshgrid([-across, across], [-down, down])
    return _seen(key, x, y, (clip_width, clip_height), aspect)


def _seen(
    key: Key, x: np.ndarray, y: np.ndarray, clip: tuple[int, int], aspect: float
) -> np.ndarray:  # float32 [..., 2]
    """The places of the clip's frame, (width, height), at x and y from the picture's middle."""
    angle = math.radians(key.rotation)
    cos, sin = math.cos(angle) / key.scale, math.sin(angle) / key.scale
    middle_x, middle_y = (clip[0] - 1) / 2 + key.x, (clip[1] - 1) / 2 + key.y
    places = np.stack(
        [middle_x + cos * x - sin * y / aspect, middle_y + sin * x * aspect + cos * y], -1
    )
    return places.astype(np.float32)


class Hold:
    """Sees a frame's view in every other: the background stays where it is in that frame.

    A place p of the held frame has the background's texture coordinate M(p, held); in frame t the
    same background is at the p' with M(p', t) = M(p, held). It is found by a homography fitted to
    M at t, refined by the mapping itself where p' lies in the frame.
    """

    def __init__(self, model: LayeredVideo, held: int) -> None:
        self.mapping = model.mappings[-1]
        if self.mapping.parts:
            raise NvdError(
                "the background has parts that move on their own: it cannot be held still",
                expected="a background that moves as one",
                found=", ".join(part.name for part in self.mapping.parts),
                remedy="leave out --hold, or decompose the clip without parts of the background",
            )
        self.held = held
        self.device = next(model.parameters()).device
        height, width = model.shape.height, model.shape.width
        self.size = np.array([width, height], np.float32)
        xs, ys = np.linspace(0, width - 1, 24), np.linspace(0, height - 1, 16)
        self.grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)

    def texture_places(self, places: np.ndarray) -> np.ndarray:
        """The background's texture coordinates [H, W, 2] of places of the held frame."""
        return self._mapped(places.reshape(-1, 2), self.held).reshape(places.shape)

    def places(self, uv: np.ndarray, t: int) -> np.ndarray:
        """Where frame t has the background's texture coordinates `uv`: float32 [H, W, 2].

        Places far out of the frame are approximate.
        """
        back, _ = cv2.findHomography(self._mapped(self.grid, t), self.grid)
        if back is None:
            raise NvdError(
                f"the background of frame {t} is folded up: it cannot be held still",
                remedy="leave out --hold, or decompose the clip again with other settings",
            )
        target = _through(back, uv.reshape(-1, 2))
        places = target.copy()
        moving = np.ones(len(places), bool)
        for _ in range(REFINEMENTS):
            near = ((places > -8) & (places < self.size + 8)).all(1)
            chosen = np.flatnonzero(near & moving)
            if not len(chosen):
                break
            step = target[chosen] - _through(back, self._mapped(places[chosen], t))
            places[chosen] += step
            moving[chosen] = np.abs(step).max(1) > SETTLED_PX
        return places.reshape(uv.shape)

    @torch.inference_mode()
    def _mapped(self, places: np.ndarray, t: int) -> np.ndarray:
        xy = torch.from_numpy(places).to(self.device)
        when = torch.full((len(places),), t, device=self.device)
        return self.mapping(xy, when).cpu().numpy()


def _through(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [P, 2] through a homography; those on or behind its horizon go far away."""
    mapped = np.concatenate([points, np.ones_like(points[:, :1])], 1) @ homography.T
    depth = np.where(mapped[:, 2:] > 1e-6, mapped[:, 2:], 1e-6)
    return (mapped[:, :2] / depth).clip(-1e5, 1e5).astype(np.float32)
