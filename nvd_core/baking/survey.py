"""A look at all frames before they are baked: which part of each texture square, how densely."""

from contextlib import closing

import numpy as np

from nvd_core.baking.coverage import VISIBLE
from nvd_core.baking.frame_maps import TextureFrame, hide_garbage, matte_of
from nvd_core.fields.inference import FrameLayers, frame_layers
from nvd_core.fields.model import LayeredVideo
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.kernel_threads import shared_by
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import MOST_TEXELS

SURVEY_STRIDE = 4
"""pixels between the samples that decide crop and density, at least"""
SURVEY_COLUMNS = 240
"""samples along a frame's longer side at which larger frames are surveyed"""
SURVEY_AREAS = 1 << 22
"""samples of a layer's density that are kept"""
MARGIN = 0.02
"""least widening of the crop on each side, as a share of its size"""
FEWEST_TEXELS = 16


def survey(
    model: LayeredVideo,
    texels_per_pixel: float,
    progress: Progress,
    garbage: np.ndarray | None = None,
    workers: int = 1,
) -> list[TextureFrame]:
    """Crop and texel density of every layer, from a coarse look at all frames.

    `workers` of them are looked at at once.
    """
    low = np.full((model.layers, 2), np.inf)
    high = np.full((model.layers, 2), -np.inf)
    areas: list[list[np.ndarray]] = [[] for _ in range(model.layers)]
    shape = model.shape
    stride = max(SURVEY_STRIDE, round(max(shape.height, shape.width) / SURVEY_COLUMNS))

    def look(t: int) -> FrameLayers:
        layers = frame_layers(model, t, stride, light=False)
        if garbage is not None:
            hide_garbage(layers, matte_of(garbage, t)[::stride, ::stride])
        return layers

    with shared_by(workers), closing(in_order(look, range(shape.frames), workers)) as looked:
        for t, layers in enumerate(looked):
            for n in range(model.layers):
                shown = layers.alpha[n] > VISIBLE
                if not shown.any():
                    continue
                places = layers.uv[n][shown]
                low[n] = np.minimum(low[n], places.min(0))
                high[n] = np.maximum(high[n], places.max(0))
                area = _pixel_areas(layers.uv[n], shown, stride)
                areas[n].append(area[:: -(-len(area) * shape.frames // SURVEY_AREAS) or 1])
            progress.update(t + 1)
    everywhere = [np.concatenate(parts or [np.zeros(0)]) for parts in areas]
    return [
        _texture_frame(low[n], high[n], everywhere[n], texels_per_pixel, stride)
        for n in range(model.layers)
    ]


def _pixel_areas(uv: np.ndarray, shown: np.ndarray, stride: int) -> np.ndarray:
    """Area of a clip pixel in network coordinates, where it and its neighbours are shown."""
    right = (uv[:-1, 1:] - uv[:-1, :-1]) / stride
    below = (uv[1:, :-1] - uv[:-1, :-1]) / stride
    whole = shown[:-1, :-1] & shown[:-1, 1:] & shown[1:, :-1]
    area = np.abs(right[..., 0] * below[..., 1] - right[..., 1] * below[..., 0])
    return area[whole]


def _texture_frame(
    low: np.ndarray, high: np.ndarray, areas: np.ndarray, texels_per_pixel: float, stride: int
) -> TextureFrame:
    if not np.isfinite(low).all():  # never seen: a small square, so that the layer still exists
        low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    pixel = np.sqrt(np.median(areas)) if len(areas) else (high - low).max() / FEWEST_TEXELS
    # the survey may have stepped over the last pixels
    margin = np.maximum(np.maximum(high - low, 1e-3) * MARGIN, stride * pixel)
    low, high = low - margin, high + margin
    density = texels_per_pixel / max(pixel, 1e-6)
    density = min(density, MOST_TEXELS / (high - low).max())
    width, height = np.maximum(np.ceil((high - low) * density), FEWEST_TEXELS).astype(int)
    return TextureFrame(low, high, int(width), int(height))
