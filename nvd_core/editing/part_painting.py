"""Paint on a frame, brought onto a layer that has parts: each part takes its own.

Between two pixels of different parts lies no surface of either. So each part is taken for itself,
gone on with by a pixel: else a line of texels along every border would stay unpainted.
"""

import numpy as np

from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.shot.manifest import LayerRecord
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.part_places import part_numbers

_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def paint_to_layer(
    paint: np.ndarray,  # float32 [H, W, 4], display-encoded, straight alpha
    maps: LayerMaps,
    layer: LayerRecord,
    size: tuple[int, int],
    light: np.ndarray | None = None,
) -> np.ndarray:  # float32 [h, w, 4], straight alpha
    """As `paint_to_texture`, of a layer with or without parts."""
    if not layer.parts:
        return paint_to_texture(paint, maps, size, light)
    numbers = part_numbers(layer.parts, maps.u, maps.v)
    edit = np.zeros((size[1], size[0], 4), np.float32)
    for number in range(len(layer.parts)):
        own = (numbers == number) & (maps.alpha > 0)
        if not paint[own, 3].any():
            continue
        alone, given = alone_of(own, maps, paint)
        part = paint_to_texture(given, alone, size, light)
        edit = np.where(part[..., 3:] > edit[..., 3:], part, edit)
    return edit


def alone_of(own: np.ndarray, maps: LayerMaps, paint: np.ndarray) -> tuple[LayerMaps, np.ndarray]:
    """The maps and the paint of the part that is `own`, bool [H, W], a pixel beyond its border.

    Places go on there as they came, paint and alpha as the nearest pixel has them.
    """
    height, width = own.shape
    wide = np.pad(own, 2)
    fields = np.dstack([maps.u, maps.v, maps.alpha, paint[..., :3] * paint[..., 3:], paint[..., 3]])
    fields = np.pad(fields.astype(np.float64), [(2, 2), (2, 2), (0, 0)])
    sums, counts = np.zeros((height, width, fields.shape[2])), np.zeros((height, width))
    for y, x in _AROUND:
        near, far = (
            (slice(2 + k * y, 2 + k * y + height), slice(2 + k * x, 2 + k * x + width))
            for k in (1, 2)
        )
        known = wide[near] & ~own
        found = fields[near].copy()
        onwards = known & wide[far]
        found[onwards, :2] += found[onwards, :2] - fields[far][onwards, :2]
        sums[known] += found[known]
        counts += known
    beyond = counts > 0
    fields = fields[2:-2, 2:-2]
    fields[beyond] = sums[beyond] / counts[beyond][:, None]
    fields[~(own | beyond), 2] = 0
    given = paint.copy()
    alpha = fields[beyond, 6:]
    colours = np.divide(fields[beyond, 3:6], alpha, out=np.zeros((len(alpha), 3)), where=alpha > 0)
    given[beyond] = np.hstack([colours, alpha])
    u, v, alphas = (np.ascontiguousarray(fields[..., k], np.float32) for k in range(3))
    return LayerMaps(u.clip(0, 1), v.clip(0, 1), alphas, maps.residual), given
