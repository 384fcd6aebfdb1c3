"""Paint made on one frame, brought onto a layer's texture, from where it follows every frame."""

import math
from collections.abc import Generator

import numpy as np
import torch

from nvd_core.editing.kernel_torch import lookup
from nvd_core.shot.maps import LayerMaps

OPAQUE = 0.5
"""alpha above which a pixel of the frame takes its paint to the layer"""
MOST_SAMPLES = 16
"""samples of a pixel along each axis, for mappings that stretch it over many texels"""
LEAST_LIGHT = 0.05
LEAST_OPACITY = 1e-3
FITS = 4
"""times that what the frame shows of the texels is compared with the paint and made up for"""


def paint_to_texture(
    paint: np.ndarray,  # float32 [H, W, 4], display-encoded, straight alpha
    maps: LayerMaps,
    size: tuple[int, int],  # width and height of the texture
    light: np.ndarray | None = None,  # [H, W, 3] or [3]
) -> np.ndarray:  # float32 [h, w, 4], straight alpha
    """The edit image that shows `paint` in the frame with these `maps`.

    Each texel gets the mean of the paint that the frame's pixels, taken as a bilinear surface,
    lay over it; what the lookup then blurs is made up for, so that the frame shows the paint as
    sharp as it was put there. Texels that no opaque pixel reaches stay transparent. Where paint
    from two places meets in a texel (a folded mapping) they are mixed. `light` is what the paint
    was mixed under: give the layer's residual for paint that shall look in this frame as it was
    put there, None for paint that is to be lit. Colours may then lie above 1.
    """
    if paint.shape != (*maps.u.shape, 4):
        raise ValueError(f"expected paint of shape {(*maps.u.shape, 4)}, got {paint.shape}")
    wanted = paint.astype(np.float64)
    if light is not None:
        wanted[..., :3] /= np.maximum(light, LEAST_LIGHT)
    brightest = wanted[wanted[..., 3] > 0, :3].max(initial=0)
    wanted[..., :3] *= wanted[..., 3:]
    inside = maps.alpha > OPAQUE
    cells = _painted_cells(wanted[..., 3], inside)
    texels = np.zeros((size[1] * size[0], 4))
    if len(cells[0]):
        scatter = _Scatter(maps, size, cells)
        pixels = np.nonzero(inside & scatter.pixels)
        given = wanted
        for _ in range(1 + FITS):
            texels[scatter.texels] = _possible(texels[scatter.texels] + scatter(given), brightest)
            given = np.zeros_like(wanted)
            given[pixels] = wanted[pixels] - _looked_up(texels, maps, size, pixels)
    alpha = texels[:, 3:]
    texels[:, :3] = np.divide(texels[:, :3], alpha, out=texels[:, :3], where=alpha > 0)
    return texels.reshape(size[1], size[0], 4).astype(np.float32)


def _possible(texels: np.ndarray, brightest: float) -> np.ndarray:
    """Texels [N, 4], colour times opacity, with the nearest opacity and colour that exist."""
    alpha = np.where(texels[:, 3:] > LEAST_OPACITY, texels[:, 3:], 0)
    colour = np.divide(texels[:, :3], alpha, out=np.zeros_like(texels[:, :3]), where=alpha > 0)
    alpha = alpha.clip(0, 1)
    return np.hstack([colour.clip(0, brightest) * alpha, alpha])


def _looked_up(
    texels: np.ndarray, maps: LayerMaps, size: tuple[int, int], pixels: tuple
) -> np.ndarray:  # [N, 4]
    """What the renderer's lookup finds at the pixels, given by their rows and columns."""
    image = torch.from_numpy(texels.reshape(size[1], size[0], 4))
    return lookup(image, *(torch.from_numpy(a[pixels]) for a in (maps.u, maps.v))).numpy()


def _painted_cells(opacity: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the cells between four pixels of the layer that have paint or border it.

    Cells without paint count too: they are what an edge of the paint fades to.
    """
    whole = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1] & inside[1:, 1:]
    near = np.pad(opacity > 0, 1)
    near = near[:-2] | near[1:-1] | near[2:]
    near = near[:, :-2] | near[:, 1:-1] | near[:, 2:]
    rows, columns = np.nonzero(whole & (near[:-1, :-1] | near[1:, 1:]))
    return rows, columns


def _corners(field: np.ndarray, cells: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """The field's values at the four corners of the cells: left, right, and below them."""
    row, column = cells
    return [field[row + down, column + right] for down in (0, 1) for right in (0, 1)]


def _samples(x: list[np.ndarray], y: list[np.ndarray]) -> int:
    """Samples along a cell's side so that two of them fall on nearly every texel it covers."""
    across = np.hypot(x[1] - x[0], y[1] - y[0])
    down = np.hypot(x[2] - x[0], y[2] - y[0])
    step = float(np.percentile(np.maximum(across, down), 99))
    return int(np.clip(math.ceil(2 * step) + 1, 2, MOST_SAMPLES))


class _Scatter:
    """Means over each texel of what the cells between a frame's pixels lay over it."""

    def __init__(self, maps: LayerMaps, size: tuple[int, int], cells: tuple) -> None:
        self.size, self.cells = size, cells
        x = maps.u.astype(np.float64) * size[0]
        y = (1 - maps.v.astype(np.float64)) * size[1]
        self.x, self.y = _corners(x, cells), _corners(y, cells)
        self.count = _samples(self.x, self.y)
        self.pixels = np.zeros(maps.u.shape, bool)  # the cells' corners
        for down in (0, 1):
            for right in (0, 1):
                self.pixels[cells[0] + down, cells[1] + right] = True
        reached = np.zeros(size[0] * size[1], bool)
        for _, texel in self._samples():
            reached[texel] = True
        self.texels = np.flatnonzero(reached)  # those that the cells reach
        self.number = np.cumsum(reached) - 1

    def __call__(self, values: np.ndarray) -> np.ndarray:  # [H, W, 4] -> [N, 4]
        """Means of `values`, taken as a bilinear surface, in the texels that are reached."""
        corners = _corners(values, self.cells)
        sums = np.zeros((len(self.texels), 5))
        for weights, texel in self._samples():
            value = sum(w * corner for w, corner in zip(weights, corners, strict=True))
            at = self.number[texel]
            for channel in range(4):
                sums[:, channel] += np.bincount(at, value[:, channel], len(sums))
            sums[:, 4] += np.bincount(at, minlength=len(sums))
        return sums[:, :4] / sums[:, 4:]

    def _samples(self) -> Generator[tuple[tuple[float, ...], np.ndarray], None, None]:
        """Of each sample its weights of a cell's corners, and the texel of every cell."""
        columns, rows = self.size
        for i in range(self.count):
            for j in range(self.count):
                fx, fy = (j + 0.5) / self.count, (i + 0.5) / self.count
                weights = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
                x, y = (
                    sum(w * corner for w, corner in zip(weights, corners, strict=True))
                    for corners in (self.x, self.y)
                )
                column = np.floor(x).astype(int).clip(0, columns - 1)
                yield weights, np.floor(y).astype(int).clip(0, rows - 1) * columns + column
