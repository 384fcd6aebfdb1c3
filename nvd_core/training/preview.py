"""The picture that shows how far the training is: a frame, its reconstruction, the textures."""

from pathlib import Path

import numpy as np

from nvd_core.fields.inference import composite_frame, texture_colours
from nvd_core.fields.model import LayeredVideo
from nvd_core.media.images import write_image
from nvd_core.work import ClipData

PREVIEW_WIDTH = 320


def write_preview(model: LayeredVideo, data: ClipData, path: Path) -> None:
    """Write a PNG: the middle frame and its reconstruction; below, each layer's texture square.

    Two pictures a row, so that it fills the square that Blender gives to a picture in a panel.
    """
    t = model.shape.frames // 2
    stride = max(1, round(model.shape.width / PREVIEW_WIDTH))
    true = data.frames[t, ::stride, ::stride]
    tiles = [true, _bytes(composite_frame(model, t, stride))]
    height, width = true.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    for n in range(model.layers):
        tile = np.zeros_like(true)
        texture = texture_colours(model, n, *square, side, side)
        tile[top : top + side, left : left + side] = _bytes(texture)
        tiles.append(tile)
    if len(tiles) % 2:
        tiles.append(np.zeros_like(true))
    rows = [np.concatenate(tiles[i : i + 2], 1) for i in range(0, len(tiles), 2)]
    write_image(path, np.concatenate(rows, 0))


def _bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
