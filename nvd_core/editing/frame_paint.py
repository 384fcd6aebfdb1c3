"""Paint made on one frame, brought onto a layer's texture, from where it follows every frame."""

import math

import numpy as np

from nvd_core.decomposition.maps import LayerMaps

OPAQUE = 0.5
"""alpha above which a pixel of the frame takes its paint to the layer"""
MOST_SAMPLES = 16
"""samples of a pixel along each axis, for mappings that stretch it over many texels"""
LEAST_LIGHT = 0.05


def paint_to_texture(
    paint: np.ndarray,  # float32 [H, W, 4], display-encoded, straight alpha
    maps: LayerMaps,
    size: tuple[int, int],  # width and height of the texture
    light: np.ndarray | None = None,  # [H, W, 3] or [3]
) -> np.ndarray:  # float32 [h, w, 4], straight alpha
    """The edit image that shows `paint` in the frame with these `maps`.

    Each texel gets the mean of the paint that the frame's pixels, taken as a bilinear surface,
    lay over it; texels that no opaque pixel reaches stay transparent. Where paint from two places
    meets in a texel (a folded mapping) they are mixed. `light` is what the paint was mixed under:
    give the layer's residual for paint that shall look in this frame as it was put there, None for
    paint that is to be lit. Colours may then lie above 1.
    """
    height, width = paint.shape[:2]
    if paint.shape != (*maps.u.shape, 4):
        raise ValueError(f"expected paint of shape {(*maps.u.shape, 4)}, got {paint.shape}")
    columns, rows = size
    x = maps.u.astype(np.float64) * columns
    y = (1 - maps.v.astype(np.float64)) * rows
    values = np.empty((height, width, 4))
    values[..., 3] = paint[..., 3]
    colour = paint[..., :3] if light is None else paint[..., :3] / np.maximum(light, LEAST_LIGHT)
    values[..., :3] = colour * paint[..., 3:]
    cells = _painted_cells(paint[..., 3], maps.alpha > OPAQUE)
    sums = np.zeros((rows * columns, 5))
    if len(cells[0]):
        corners = [_corners(field, cells) for field in (x, y, values)]
        _scatter(*corners, _samples(*corners[:2]), columns, rows, sums)
    covered = sums[:, 4:] > 0
    texels = np.divide(sums[:, :4], sums[:, 4:], out=np.zeros_like(sums[:, :4]), where=covered)
    alpha = texels[:, 3:]
    texels[:, :3] = np.divide(texels[:, :3], alpha, out=texels[:, :3], where=alpha > 0)
    return texels.reshape(rows, columns, 4).astype(np.float32)


def _painted_cells(opacity: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the cells between four pixels of the layer that have paint or border it.

    Cells without paint count too: they are what an edge of the paint fades to.
    """
    whole = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1] & inside[1:, 1:]
    near = np.pad(opacity > 0, 1)
    near = near[:-2] | near[1:-1] | near[2:]
    near = near[:, :-2] | near[:, 1:-1] | near[:, 2:]
    return np.nonzero(whole & (near[:-1, :-1] | near[1:, 1:]))


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


def _scatter(x, y, values, samples: int, columns: int, rows: int, sums: np.ndarray) -> None:
    """Add the samples of all cells to the texels that they fall on: values, then their number."""
    for i in range(samples):
        for j in range(samples):
            fx, fy = (j + 0.5) / samples, (i + 0.5) / samples
            weights = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
            at_x, at_y, value = (
                sum(w * corner for w, corner in zip(weights, corners, strict=True))
                for corners in (x, y, values)
            )
            column = np.floor(at_x).astype(int).clip(0, columns - 1)
            texel = np.floor(at_y).astype(int).clip(0, rows - 1) * columns + column
            for channel in range(4):
                sums[:, channel] += np.bincount(texel, value[:, channel], len(sums))
            sums[:, 4] += np.bincount(texel, minlength=len(sums))
