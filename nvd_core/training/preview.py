"""The picture that shows how far the training is: a frame, its reconstruction, the textures."""

from pathlib import Path

import cv2
import numpy as np

from nvd_core.fields.inference import composite_frame, texture_colours
from nvd_core.fields.model import LayeredVideo
from nvd_core.files import written_beside
from nvd_core.training.sampling import ClipData

PREVIEW_WIDTH = 320


def write_preview(model: LayeredVideo, data: ClipData, path: Path) -> None:
    """Write a PNG row: middle frame, reconstruction, then each layer's whole texture square."""
    t = model.shape.frames // 2
    stride = max(1, round(model.shape.width / PREVIEW_WIDTH))
    true = data.frames[t, ::stride, ::stride]
    tiles = [true, _bytes(composite_frame(model, t, stride))]
    side = true.shape[0]
    square = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    tiles += [_bytes(texture_colours(model, n, *square, side, side)) for n in range(model.layers)]
    with written_beside(path) as temporary:
        cv2.imwrite(str(temporary), np.concatenate(tiles, 1)[..., ::-1])


def _bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
