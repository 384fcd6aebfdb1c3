"""The arrays of `work/`, the scratch folder of a decomposition: names, shapes, opening, releasing.

No other module writes such a name. T frames of H x W pixels, N objects, L = N + 1 layers, flow of
h x w pixels (`priors/flow_size.py`); docs/develop/architecture.md has their meaning.
"""

import gc
from pathlib import Path

import numpy as np

from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.mapped_arrays import streamed

FOLDER = "work"
FRAMES = "frames.npy"  # uint8 [T, H, W, 3], display-encoded
MASKS = "masks.npy"  # uint8 [N, T, H, W], 255 = object
MASK_WEIGHT = "mask_weight.npy"  # uint8 [N, T, H, W], how far to believe the mask, 0 = not at all
FLOW_FORWARD = "flow_forward.npy"  # float16 [T-1, h, w, 2], pixels of the frames
FLOW_BACKWARD = "flow_backward.npy"  # float16 [T-1, h, w, 2]
FLOW_OK = "flow_ok.npy"  # uint8 [2, T-1, h, w], 1 where the two directions agree
MOTION = "motion.npy"  # float64 [L, T, 3, 3], frame -> the layer's reference frame
MOTION_FACTS = "motion.json"  # what is known of each layer's motion, background last


def work_folder(folder: Path) -> Path:
    """Where the decomposition folder `folder` keeps its scratch arrays."""
    return inside(folder, FOLDER)


def open_array(work: Path, name: str, mode: str = "r") -> np.memmap:
    """A finished array, memory-mapped; `mode` "r+" to change it in place."""
    return np.load(inside(work, name), mmap_mode=mode)


def motion_facts(work: Path) -> list[dict]:
    """What `global_motion` noted of each layer, the background last."""
    path = inside(work, MOTION_FACTS)
    try:
        return read_json(path)
    except Unreadable as error:
        raise NvdError(
            f"cannot read {path}",
            found=str(error),
            remedy="remove the folder and run `nvd decompose` again",
        ) from error


def remove_work(folder: Path) -> None:
    """Remove the scratch arrays of a finished decomposition; what cannot go is left.

    Nothing may hold one of them any more: Windows removes no file that is mapped, and numpy unmaps
    an array when it is forgotten.
    """
    gc.collect()  # networks and closures in a circle may still hold some
    remove_folder(folder, FOLDER)


class ClipData:
    """What the training reads of `work/`, memory-mapped."""

    def __init__(self, work: Path) -> None:
        self.frames = open_array(work, FRAMES)
        self.masks = open_array(work, MASKS)
        self.mask_weight = open_array(work, MASK_WEIGHT)
        self.flow = (open_array(work, FLOW_FORWARD), open_array(work, FLOW_BACKWARD))
        self.flow_ok = open_array(work, FLOW_OK)
        self.boxes = mask_boxes(self.masks)

    @property
    def arrays(self) -> list[np.ndarray]:
        """All of them."""
        return [self.frames, self.masks, self.mask_weight, *self.flow, self.flow_ok]

    def flow_pixels(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the flow's pixel in which each pixel of a frame lies."""
        (rows, columns), (height, width) = self.flow_ok.shape[2:], self.shape[1:]
        return (2 * y + 1) * rows // (2 * height), (2 * x + 1) * columns // (2 * width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return self.frames.shape[:3]


def mask_boxes(masks: np.ndarray, margin: float = 0.15) -> list[np.ndarray]:
    """Per object, rows (t, x0, y0, x1, y1) of the frames in which it is seen.

    A box is the bounding box of the mask, widened by `margin` of its size plus four pixels.
    """
    _, _, height, width = masks.shape
    boxes = []
    for mask in masks:
        rows = []
        for t, frame in enumerate(streamed(mask)):
            ys, xs = np.flatnonzero((frame > 127).any(1)), np.flatnonzero((frame > 127).any(0))
            if len(xs) == 0:
                continue
            x0, x1, y0, y1 = xs[0], xs[-1] + 1, ys[0], ys[-1] + 1
            dx, dy = (x1 - x0) * margin + 4, (y1 - y0) * margin + 4
            rows.append(
                (t, max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, width), min(y1 + dy, height))
            )
        boxes.append(np.array(rows).reshape(-1, 5))
    return boxes
