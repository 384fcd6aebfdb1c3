"""Textures fitted to the clip: the colours that reproduce all frames best, given the maps.

A network is a smooth guess at a texture, and a rendered picture looks it up bilinearly, which
softens it once more. With places, alphas and light fixed, a picture is linear in the texels, so
that the best ones are a least-squares problem: over all pixels of all frames, f the clip's colour,

    || f - sum_n alpha_n l_n T_n(u, v) ||^2  +  UNLIT || f - sum_n alpha_n T_n(u, v) ||^2

plus K || T - T_network ||^2, which holds texels that few pixels see, and those that are seen half
transparently: at an object's edge the fit would load them with all that is wrong about the alpha.
The second part keeps in the textures what is there all the time, in place of in the light. A few
steps of conjugate gradients reach the best to a few hundredths of a dB. How far the last one goes
is a single number, and yet it takes all frames: from some of them, texels that only the others see
seem to cost nothing, and the step goes too far for them.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from nvd_core.baking.fit_kernels import NodeLookups, add_frame
from nvd_core.runtime.frame_threads import in_lanes
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.texel_lookup import texel_table

KEEP = 1.0
"""K: weight of a texel's network colour, in pixels that see it"""
KEEP_MIXED = 1.0
"""what K has more, per sum of alpha * (1 - alpha) over the pixels that see the texel"""
STEPS = 2
"""of conjugate gradients; two more gain 0.02 dB on bear"""
LEAST_LANES, MOST_LANES = 2, 8
"""sums that are taken side by side and added at the end: as many on any machine"""
LANE_TEXELS = 64_000_000
"""of all of them together, at most"""
LANE_FRAMES = 6
"""of each, at least: making it and adding it takes as long as a frame"""
MOST_TEXELS = 32_000_000
"""more are left as the networks have them: a texel takes 84 bytes while it is fitted, and
16 more for each sum"""


@dataclass(frozen=True)
class SeenFrames:
    """What textures are fitted to; each frame is read again in each pass, by any thread."""

    numbers: Sequence[int]
    colours: Callable[[int], np.ndarray]
    """of a frame, uint8 [H, W, 3], display-encoded"""
    maps: Callable[[int], FrameMaps | NodeLookups]
    """of a frame, without what is garbage"""
    steps: int = STEPS
    at_once: int = MOST_LANES
    """how many frames' maps are read at once, at most"""


@dataclass(frozen=True)
class Texels:
    """The textures of all layers in one array."""

    table: np.ndarray  # int64 [L, 3]: width, height, first texel
    values: np.ndarray  # floating point [N, 3]

    @classmethod
    def of(cls, textures: list[np.ndarray]) -> "Texels":
        """Of textures [h, w, 3]; all of one type."""
        table = texel_table([(texture.shape[1], texture.shape[0]) for texture in textures])
        return cls(table, np.concatenate([texture.reshape(-1, 3) for texture in textures]))

    def textures(self) -> list[np.ndarray]:
        """Views of the single textures [h, w, 3]."""
        parts = [self.values[first : first + w * h] for w, h, first in self.table]
        return [part.reshape(h, w, 3) for part, (w, h, _) in zip(parts, self.table, strict=True)]


def fit_textures(
    textures: list[np.ndarray], mixed: np.ndarray, seen: SeenFrames, progress: Progress
) -> list[np.ndarray]:
    """The textures float32 [h, w, 3] of all layers, front to back, fitted to the clip, 0..1.

    `mixed` [N] is Coverage.mixed(). What no pixel sees stays as it was; so does everything where
    there are more than MOST_TEXELS.
    """
    if sum(texture.shape[0] * texture.shape[1] for texture in textures) > MOST_TEXELS:
        return textures
    start = Texels.of(textures)
    passes = _Passes(seen, start.table, progress)
    progress.stage("fit", passes.frames(seen.steps))
    keep = (KEEP + KEEP_MIXED * mixed)[:, None]
    solved = _solve(start.values, keep, passes, seen.steps)
    return Texels(start.table, solved.clip(0, 1)).textures()


def lanes_for(texels: int, frames: int) -> int:
    """How many sums are taken side by side: few where they are large, or frames are few."""
    few = min(LANE_TEXELS // max(texels, 1), frames // LANE_FRAMES)
    return min(max(few, LEAST_LANES), MOST_LANES)


@dataclass
class _Passes:
    """Goes through the clip once for each step, and says how far it is."""

    seen: SeenFrames
    table: np.ndarray
    progress: Progress
    done: int = 0

    def gradient(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half the negative gradient of the two sums of squares, [N, 3], and the sums of the rows
        of half the second derivative, the same for all channels, [N, 1]."""
        sums = self._sums(values, self.seen.colours)
        return sums[:, :3].copy(), sums[:, 3:].copy()

    def curvature(self, values: np.ndarray) -> np.ndarray:
        """Half the second derivative of the two sums of squares, times `values`; [N, 3]."""
        return -self._sums(values)[:, :3]

    def bend(self, values: np.ndarray) -> float:
        """The product of `values` with their curvature."""
        lanes, none = [0.0] * MOST_LANES, np.zeros((0, 4), values.dtype)

        def add(lane: int, t: int) -> None:
            lanes[lane] += add_frame(self.seen.maps(t), None, self.table, values, none)

        self._run(add, MOST_LANES)
        return sum(lanes)

    def _sums(
        self, values: np.ndarray, colours: Callable[[int], np.ndarray] | None = None
    ) -> np.ndarray:
        """Of all frames, [N, 4]; without `colours` of black ones."""
        count = lanes_for(len(values), len(self.seen.numbers))
        lanes = [np.zeros((len(values), 4), values.dtype) for _ in range(count)]

        def add(lane: int, t: int) -> None:
            frame = None if colours is None else colours(t)
            add_frame(self.seen.maps(t), frame, self.table, values, lanes[lane])

        self._run(add, count)
        for lane in lanes[1:]:
            lanes[0] += lane
        return lanes[0]

    def frames(self, steps: int) -> int:
        """How many frames are looked at in all."""
        return (steps + 1 if steps else 0) * len(self.seen.numbers)

    def _run(self, add: Callable[[int, int], None], lanes: int) -> None:
        frames = in_lanes(add, self.seen.numbers, lanes, self.seen.at_once)
        with closing(frames) as added:
            for _ in added:
                self.done += 1
                self.progress.update(self.done)


def _solve(start: np.ndarray, keep: np.ndarray, passes: _Passes, steps: int) -> np.ndarray:
    """Preconditioned conjugate gradients from the networks' colours; the texels [N, 3].

    keep: K, [N, 1].
    """
    values = start.copy()
    left, scale = passes.gradient(start)
    scale += keep
    direction = left / scale
    size = np.vdot(left, direction)
    for step in range(steps):
        if size <= 0:  # nothing is left to gain
            break
        if step == steps - 1:
            bend = passes.bend(direction) + np.vdot(keep * direction, direction)
            values += values.dtype.type(size / bend) * direction
            break
        curved = passes.curvature(direction)
        curved += keep * direction
        length = size / np.vdot(direction, curved)
        values += length * direction
        left -= length * curved
        conditioned = left / scale
        previous, size = size, np.vdot(left, conditioned)
        direction *= size / previous
        direction += conditioned
    return values
