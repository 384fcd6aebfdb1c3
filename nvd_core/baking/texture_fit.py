"""Textures fitted to the clip: the colours that reproduce all frames best, given the maps.

A network is a smooth guess at a texture, and a rendered picture looks it up bilinearly, which
softens it once more. With places, alphas and light fixed, a picture is linear in the texels, so
that the best ones are a least-squares problem: over all pixels of all frames, f the clip's colour,

    || f - sum_n alpha_n l_n T_n(u, v) ||^2  +  UNLIT || f - sum_n alpha_n T_n(u, v) ||^2

plus K || T - T_network ||^2, which holds texels that few pixels see, and those that are seen half
transparently: at an object's edge the fit would load them with all that is wrong about the alpha.
The second part keeps in the textures what is there all the time, in place of in the light. A few
steps of conjugate gradients reach the best to a few hundredths of a dB; each reads the maps of the
whole clip once.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from nvd_core.runtime.kernel_threads import parallel_njit
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.texel_lookup import spread, texel_corner, texel_table

UNLIT = 0.3
"""weight of the reconstruction without the residual"""
KEEP = 1.0
"""K: weight of a texel's network colour, in pixels that see it"""
KEEP_MIXED = 1.0
"""what K has more, per sum of alpha * (1 - alpha) over the pixels that see the texel"""
STEPS = 2
"""of conjugate gradients; two more gain 0.02 dB on bear"""
MOST_TEXELS = 32_000_000
"""more are left as the networks have them: a texel takes 84 bytes while it is fitted"""

Seen = Callable[[], Generator[tuple[np.ndarray, FrameMaps], None, None]]
"""goes through the clip: uint8 [H, W, 3] display-encoded colours, and the frame's maps"""


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
    textures: list[np.ndarray],
    mixed: np.ndarray,
    seen: Seen,
    frames: int,
    progress: Progress,
    steps: int | None = None,
) -> list[np.ndarray]:
    """The textures float32 [h, w, 3] of all layers, front to back, fitted to the clip, 0..1.

    `mixed` [N] is Coverage.mixed(), `frames` is how many `seen` yields. `steps` are of conjugate
    gradients, by itself STEPS. What no pixel sees stays as
    it was; so does everything where there are more than MOST_TEXELS.
    """
    if sum(texture.shape[0] * texture.shape[1] for texture in textures) > MOST_TEXELS:
        return textures
    steps = STEPS if steps is None else steps
    start = Texels.of(textures)
    progress.stage("fit", (steps + 1) * frames)
    keep = (KEEP + KEEP_MIXED * mixed)[:, None]
    solved = _solve(start, keep, _Passes(seen, frames, progress), steps)
    return Texels(start.table, solved.clip(0, 1)).textures()


@dataclass
class _Passes:
    """Goes through the clip once for each step, and says how far it is."""

    seen: Seen
    frames: int
    progress: Progress
    done: int = 0

    def gradient(self, texels: Texels, diagonal: np.ndarray) -> np.ndarray:
        """Half the negative gradient of the two sums of squares; adds to the scale `diagonal`."""
        return self._sum(texels, diagonal, True)

    def curvature(self, texels: Texels) -> np.ndarray:
        """Half the second derivative of the two sums of squares, times `texels`."""
        return -self._sum(texels, texels.values[:0], False)

    def _sum(self, texels: Texels, diagonal: np.ndarray, wanted: bool) -> np.ndarray:
        total = np.zeros_like(texels.values)
        with closing(self.seen()) as clip:
            for frame, maps in clip:
                target = np.zeros(frame.shape, texels.values.dtype)
                if wanted:
                    target += frame / texels.values.dtype.type(255)
                    target -= 0 if maps.added is None else maps.added
                add_frame(maps, target, texels, total, diagonal)
                self.done += 1
                self.progress.update(self.done)
        return total


def _solve(start: Texels, keep: np.ndarray, passes: _Passes, steps: int) -> np.ndarray:
    """Preconditioned conjugate gradients from the networks' colours; the texels [N, 3].

    keep: K, [N, 1].
    """
    values = start.values.copy()
    scale = np.zeros_like(values) + keep
    left = passes.gradient(start, scale)
    direction = left / scale
    size = np.vdot(left, direction)
    for _ in range(steps):
        if size <= 0:  # nothing is left to gain
            break
        curved = passes.curvature(Texels(start.table, direction))
        curved += keep * direction
        length = size / np.vdot(direction, curved)
        values += length * direction
        left -= length * curved
        conditioned = left / scale
        previous, size = size, np.vdot(left, conditioned)
        direction *= size / previous
        direction += conditioned
    return values


def add_frame(
    maps: FrameMaps, target: np.ndarray, texels: Texels, gradient: np.ndarray, scale: np.ndarray
) -> None:
    """Add what one frame [H, W, 3] contributes.

    To `gradient` [N, 3] half the negative gradient of the module's two sums of squares, and to
    `scale` [N, 3], if it has texels, the sums of the rows of half their second derivative.
    """
    lit, unlit = np.empty_like(target), np.empty_like(target)
    _errors(maps.uva, maps.residual, target, texels.table, texels.values, lit, unlit)
    unlit *= UNLIT
    weight = texels.values.dtype.type(UNLIT)
    _scatter(maps.uva, maps.residual, lit, unlit, weight, texels.table, gradient, scale)


@parallel_njit
def _errors(uva, residual, target, table, texels, lit, unlit):
    for y in prange(target.shape[0]):
        _errors_of_row(uva[:, y], residual[:, y], target[y], table, texels, lit[y], unlit[y])


@njit(cache=True)
def _errors_of_row(uva, residual, target, table, texels, lit, unlit):
    """`target` minus the layers' sums, with the light and without."""
    lit[:] = target
    unlit[:] = target
    for n in range(table.shape[0]):
        for x in range(target.shape[0]):
            alpha = uva[n, x, 2]
            if alpha == 0.0:
                continue
            at, below, right, fx, fy = texel_corner(uva[n, x, 0], uva[n, x, 1], table[n])
            for c in range(3):
                top = texels[at, c] * (1.0 - fx) + texels[at + right, c] * fx
                bottom = texels[at + below, c] * (1.0 - fx) + texels[at + below + right, c] * fx
                colour = alpha * (top * (1.0 - fy) + bottom * fy)
                unlit[x, c] -= colour
                lit[x, c] -= residual[n, x, c] * colour


# A layer's channel is one thread's: no two add to the same texel, and always in the same order
@parallel_njit
def _scatter(uva, residual, lit, unlit, weight, table, gradient, scale):
    for task in prange(table.shape[0] * 3):
        _scatter_channel(
            task // 3, task % 3, uva, residual, lit, unlit, weight, table, gradient, scale
        )


@njit(cache=True)
def _scatter_channel(n, c, uva, residual, lit, unlit, weight, table, gradient, scale):
    """The adjoint of the lookup for channel c of layer n."""
    for y in range(lit.shape[0]):
        for x in range(lit.shape[1]):
            alpha, light = uva[n, y, x, 2], residual[n, y, x, c]
            if alpha == 0.0:
                continue
            corner = texel_corner(uva[n, y, x, 0], uva[n, y, x, 1], table[n])
            spread(gradient, c, corner, alpha * (light * lit[y, x, c] + unlit[y, x, c]))
            if scale.shape[0]:
                total = alpha * weight  # the layers' alphas sum to 1
                for m in range(table.shape[0]):
                    total += alpha * light * uva[m, y, x, 2] * residual[m, y, x, c]
                spread(scale, c, corner, total)
