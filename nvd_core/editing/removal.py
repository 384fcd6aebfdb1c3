"""Objects taken out of the picture: behind them the background shows, as painted and lit.

The networks know which place of the background's texture lies behind an object. What light falls
there at that time they can only guess, so the light around the hole is continued smoothly into it.
So is the difference between the background as learned and the plate, which is a little off in
colour. What the clip never saw is filled smoothly, as the texture is, and marked in a matte.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from nvd_core.editing.clean_plate import LearnedBackground
from nvd_core.editing.edits import display_colours, read_texture
from nvd_core.editing.kernel_torch import composed, lookup, to_device
from nvd_core.media.images import decode_srgb, encode_srgb, to_float, to_integers
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, relight

LINES_A_PIXEL = 200
"""by itself the hole is grown by a pixel for so many of the picture's lines"""
FAINTEST = 1 / 64
"""alpha of an object above which a pixel is a part of it"""
CELLS = 64
"""along the longer side of the grid on which light and colour are continued"""
LEAST_WEIGHT = 0.05
"""share of a cell that has to be known"""
ROUNDS = 40
_SURE = 0.98
"""alpha of the background above which the plate shows nothing else"""
_MARGIN = 32
"""pixels around the hole that are looked at"""

Change = Callable[[np.ndarray], np.ndarray]


class Removal:
    """Takes the objects `names` out of frames. NvdError where there are no networks to ask."""

    def __init__(
        self,
        shot: Shot,
        names: Sequence[str],
        edits: dict[str, Path] | None,
        values: Values,
        grow: int | None = None,
    ) -> None:
        """`grow`: pixels that the hole is wider than the objects, and as many again to fade."""
        self._shot, self._values = shot, values
        self.names = [shot.layer(name).name for name in names]
        self._removed = [shot.names.index(name) for name in self.names]
        background = len(shot.names) - 1
        if background in self._removed:
            raise NvdError(
                "the background cannot be removed: nothing lies behind it",
                expected=f"one of {', '.join(shot.names[:-1])}",
                found=shot.names[-1],
                remedy="name an object",
            )
        self._kept = [n for n in range(background) if n not in self._removed]
        clip = shot.manifest.clip
        self._grow = max(2, round(clip.height / LINES_A_PIXEL)) if grow is None else grow
        self._behind = LearnedBackground(shot, edits or {}, "leave out --remove")
        self._name = shot.names[-1]
        learned = read_texture(shot, self._name)
        alpha = display_colours(learned)[1]
        never = np.zeros((*learned.shape[:2], 1), np.float32) if alpha is None else 1 - alpha
        self._never = torch.from_numpy(np.ascontiguousarray(never))
        self.unseen_share: list[float] = []
        """of each frame rendered with something removed: what part of the hole no frame saw"""

    def over(self, change: Change, maps: FrameMaps, t: int) -> tuple[Change, np.ndarray]:
        """What follows `change` in frame `t`, and where the clip never saw the background.

        `maps` are of all layers, as they stand in the folder; they are used up. `change` may be
        asked twice. The second is float32 [H, W], 0 to 1.
        """
        hole = self._hole(maps)
        unseen = np.zeros(hole.shape, np.float32)
        if not hole.any():
            return change, unseen
        box = _box(hole, _MARGIN + 2 * self._grow)
        behind = FrameMaps(maps.uva[-1:], maps.residual[-1:])
        sure = behind.uva[0, ..., 2] > _SURE
        self._behind.uncover(behind, t, hole > 0)
        cut = FrameMaps(behind.uva[(slice(None), *box)], behind.residual[(slice(None), *box)])
        if sure[box].any():
            light = continued(cut.residual[0], sure[box])
            np.copyto(cut.residual[0], light, where=~sure[box][..., None])
        relight(cut.residual[0], self._values.at(self._name, t)[1])
        texture = np.ascontiguousarray(self._behind.sheets.at(self._name, t).full)
        clean = composed(cut, to_device({0: texture}, torch.device("cpu"))).numpy()
        u, v = (torch.from_numpy(np.ascontiguousarray(cut.uva[0, ..., n])) for n in (0, 1))
        never = lookup(self._never, u, v)[..., 0].numpy()
        share = hole[box]
        unseen[box] = never * share
        self.unseen_share.append(float(unseen.sum() / hole.sum()))
        sure = sure[box] & (share == 0)
        linear = self._shot.manifest.clip.is_linear

        def fill(frame: np.ndarray) -> np.ndarray:
            changed = change(frame)
            display = _uncut(change, frame, changed, box, linear)
            return _filled(changed, display, box, clean, share, sure, linear)

        return fill, unseen

    def _hole(self, maps: FrameMaps) -> np.ndarray:  # float32 [H, W]
        """How much of each pixel is to be the background: whole to `grow` pixels off an object."""
        alpha = maps.uva[..., 2]
        shown = alpha[self._removed].sum(0) > FAINTEST
        if not shown.any():
            return np.zeros(shown.shape, np.float32)
        far = cv2.distanceTransform((~shown).astype(np.uint8), cv2.DIST_L2, 5)
        hole = (1 - (far - self._grow) / max(self._grow, 1)).clip(0, 1).astype(np.float32)
        kept = alpha[self._kept].sum(0).clip(0, 1) if self._kept else np.float32(0)
        return hole * (1 - kept)


def _box(hole: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of what is not 0, with a margin."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    down, across = (
        slice(max(int(at[0]) - margin, 0), int(at[-1]) + 1 + margin) for at in (rows, columns)
    )
    return down, across


def _uncut(
    change: Change, frame: np.ndarray, changed: np.ndarray, box: tuple[slice, slice], linear: bool
) -> np.ndarray:  # float32 [h, w, 3]
    """Display-encoded values of what `change` made of the frame, brighter than white too.

    Integers are cut there, and the light around the hole would seem to be less than it is.
    """
    part = changed[box]
    if frame.dtype.kind != "u":
        return (encode_srgb(part) if linear else part).astype(np.float32)
    cut = (part != frame[box]) & ((part == 0) | (part == np.iinfo(part.dtype).max))
    if cut.any():
        return change(to_float(frame))[box].astype(np.float32)
    return to_float(part)


def _filled(
    frame: np.ndarray,  # [H, W, 3]
    display: np.ndarray,  # float32 [h, w, 3], the same within the box, display-encoded
    box: tuple[slice, slice],
    clean: np.ndarray,  # float32 [h, w, 3], display-encoded
    share: np.ndarray,  # float32 [h, w]
    sure: np.ndarray,  # bool [h, w]: here the frame shows the background alone
    linear: bool,
) -> np.ndarray:
    """The frame with the background in the hole; other pixels keep their values, bit for bit."""
    part = frame[box]
    if sure.any():
        clean = clean + continued(display - clean, sure)
    mixed = display + share[..., None] * (clean - display)
    if frame.dtype.kind == "u":
        made = to_integers(mixed.clip(0, 1), frame.dtype)
    else:
        made = (decode_srgb(mixed) if linear else mixed).astype(frame.dtype)
    result = frame.copy()
    result[box] = np.where(share[..., None] > 0, made, part)
    return result


def continued(values: np.ndarray, known: np.ndarray) -> np.ndarray:  # float32 [h, w, C]
    """A membrane over `values` [h, w, C]: held by those that are `known`, level in between.

    Solved coarse to fine on grids of up to CELLS cells. (Pull-push would let a single dark pixel at
    the border darken the middle.)
    """
    height, width = known.shape
    step = max(height, width) / CELLS
    grid = max(round(width / max(step, 1)), 1), max(round(height / max(step, 1)), 1)
    weight = known.astype(np.float32)[..., None]
    sums = cv2.resize(np.dstack([values * weight, weight]), grid, interpolation=cv2.INTER_AREA)
    solved = _membrane(sums[..., :-1], sums[..., -1:])
    solved = cv2.resize(solved, (width, height), interpolation=cv2.INTER_LINEAR)
    return solved.reshape(values.shape).astype(np.float32)


def _membrane(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Solution on a grid of weighted sums [h, w, C] and their weights [h, w, 1]."""
    means = sums / np.maximum(weight, 1e-6)
    held = weight > LEAST_WEIGHT
    height, width = held.shape[:2]
    if min(height, width) <= 2 or held.all():
        everywhere = sums.sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(held, means, everywhere)
    half = (width + 1) // 2, (height + 1) // 2
    coarse = cv2.resize(np.dstack([sums, weight]), half, interpolation=cv2.INTER_AREA)
    start = _membrane(coarse[..., :-1], coarse[..., -1:])
    start = cv2.resize(start, (width, height), interpolation=cv2.INTER_LINEAR)
    solved = np.where(held, means, start.reshape(means.shape))
    for _ in range(ROUNDS):
        around = np.pad(solved, ((1, 1), (1, 1), (0, 0)), mode="edge")
        level = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        solved = np.where(held, means, level / 4)
    return solved
