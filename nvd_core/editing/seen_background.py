"""How much of the background's texture is known where a virtual camera looks."""

import cv2
import numpy as np
import torch
from scipy.ndimage import binary_fill_holes

from nvd_core.baking.bake import TextureFrame
from nvd_core.editing.edits import read_texture
from nvd_core.fields.model import LayeredVideo
from nvd_core.media.images import to_float
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.shot import Shot

CELL_POINTS = 17
"""across and down, by which it is told where a window's frames lie in the texture"""


class SeenBackground:
    """Which of the background's texture was seen, holes that things left in it included.

    Of a background with windows in time, a frame's own window alone: beyond it lies another's.
    """

    def __init__(self, shot: Shot, model: LayeredVideo) -> None:
        windows = model.mappings[-1].windows
        self._windows = window_of(windows, model.shape.frames)
        self._cells = [_cell(model, window) for window in windows]
        image = read_texture(shot, shot.names[-1])
        seen = to_float(image[..., 3]) > 0.5 if image.shape[2] == 4 else np.ones(image.shape[:2])
        self.seen = binary_fill_holes(seen).astype(np.float32)

    def at(self, uv: np.ndarray, frame: TextureFrame, t: int) -> np.ndarray:  # float32 [H, W]
        """0 to 1 for network coordinates [H, W, 2] of places in frame t, bilinear; 0 beyond the
        texture.
        """
        number = int(self._windows[t])
        height, width = self.seen.shape
        place = (uv - frame.low) / (frame.high - frame.low) * [width, height] - 0.5
        place = place.clip(-2, max(height, width) + 2).astype(np.float32)
        seen = cv2.remap(self.seen, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        if self._cells:
            low, high = self._cells[number]
            seen[~((uv >= low) & (uv <= high)).all(-1)] = 0
        return seen


@torch.inference_mode()
def _cell(model: LayeredVideo, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest network coordinates [2] that the frames of a window of the background
    have.
    """
    mapping, device = model.mappings[-1], next(model.parameters()).device
    x = np.linspace(-0.5, model.shape.width - 0.5, CELL_POINTS)
    y = np.linspace(-0.5, model.shape.height - 0.5, CELL_POINTS)
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
    xy, low, high = torch.from_numpy(points).to(device), np.full(2, np.inf), np.full(2, -np.inf)
    for t in range(window[0], window[1] + 1):
        uv = mapping(xy, torch.full((len(xy),), t, device=device)).cpu().numpy()
        low, high = np.minimum(low, uv.min(0)), np.maximum(high, uv.max(0))
    return low, high
