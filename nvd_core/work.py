"""The arrays of `work/`, the scratch folder of a decomposition: names, shapes, opening, releasing.

No other module writes such a name. T frames of H x W pixels, N objects, L = N + 1 layers, flow of
h x w pixels (`priors/flow_size.py`); docs/develop/architecture.md has their meaning.
"""

import gc
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from nvd_core.runtime.array_files import map_npy, npy_layout
from nvd_core.runtime.declared import JSON, Fault, read
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.mapped_arrays import streamed
from nvd_core.runtime.reading import reading, require_finite
from nvd_core.runtime.time_windows import covers

FOLDER = "work"
FRAMES = "frames.npy"  # uint8 [T, H, W, 3], display-encoded
MASKS = "masks.npy"  # uint8 [N, T, H, W], 255 = object
MASK_WEIGHT = "mask_weight.npy"  # uint8 [N, T, H, W], how far to believe the mask, 0 = not at all
FLOW_FORWARD = "flow_forward.npy"  # float16 [T-1, h, w, 2], pixels of the frames
FLOW_BACKWARD = "flow_backward.npy"  # float16 [T-1, h, w, 2]
FLOW_OK = "flow_ok.npy"  # uint8 [2, T-1, h, w], 1 where the two directions agree
RIGHTED_FORWARD = "righted_forward.npy"  # the three as the training reads them, there only where
RIGHTED_BACKWARD = "righted_backward.npy"  # an object's flow was put right; written by the motion
RIGHTED_OK = "righted_ok.npy"
GARBAGE = "garbage.npy"  # uint8 [G, H, W], 255 = left out; G is 1 or T; there only with a matte
MOTION = "motion.npy"  # float64 [L, T, 3, 3], frame -> the layer's reference frame
PART_MASKS = "part_masks.npy"  # uint8 [K, T, H, W], 255 = part; only where a layer has parts
PART_WEIGHT = "part_weight.npy"  # uint8 [K, T, H, W], as mask_weight.npy
PARTS = "parts.npy"  # uint8 [L, T, H, W], number of each pixel's part; 0 = the rest
PART_MOTION = "part_motion.npy"  # float64 [K, T, 3, 3], as motion.npy
MOTION_FACTS = "motion.json"  # what is known of each layer's motion, background last


@dataclass(frozen=True)
class MotionRecord:
    """What motion.json says of a layer; `priors.global_motion.LayerMotion` explains it."""

    layer: int
    kind: Literal["object", "background"]
    model: Literal["translation", "similarity", "affine", "homography"] = "translation"
    reference: int = 0
    extent_widths: float | None = None
    inlier_share: float | None = None
    error_px: float | None = None
    frames_carried: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    windows: list[tuple[int, int]] = field(default_factory=list)
    evidence: dict[str, float] = field(default_factory=dict)
    righted: int | None = None


_FORMS = {
    FRAMES: ("uint8", ("T", "H", "W", "3")),
    MASKS: ("uint8", ("N", "T", "H", "W")),
    MASK_WEIGHT: ("uint8", ("N", "T", "H", "W")),
    FLOW_FORWARD: ("float16", ("T-1", "h", "w", "2")),
    FLOW_BACKWARD: ("float16", ("T-1", "h", "w", "2")),
    FLOW_OK: ("uint8", ("2", "T-1", "h", "w")),
    RIGHTED_FORWARD: ("float16", ("T-1", "h", "w", "2")),
    RIGHTED_BACKWARD: ("float16", ("T-1", "h", "w", "2")),
    RIGHTED_OK: ("uint8", ("2", "T-1", "h", "w")),
    GARBAGE: ("uint8", ("G", "H", "W")),
    MOTION: ("float64", ("L", "T", "3", "3")),
    PART_MASKS: ("uint8", ("K", "T", "H", "W")),
    PART_WEIGHT: ("uint8", ("K", "T", "H", "W")),
    PARTS: ("uint8", ("L", "T", "H", "W")),
    PART_MOTION: ("float64", ("K", "T", "3", "3")),
}
_RESTS_ON = {
    FRAMES: (),
    MASKS: (FRAMES,),
    GARBAGE: (FRAMES,),
    MASK_WEIGHT: (FRAMES, MASKS),
    FLOW_OK: (FRAMES,),
    FLOW_FORWARD: (FRAMES, FLOW_OK),
    FLOW_BACKWARD: (FRAMES, FLOW_OK),
    RIGHTED_FORWARD: (FRAMES, FLOW_OK),
    RIGHTED_BACKWARD: (FRAMES, FLOW_OK),
    RIGHTED_OK: (FRAMES, FLOW_OK),
    MOTION: (FRAMES, MASKS),
    PART_MASKS: (FRAMES,),
    PART_WEIGHT: (FRAMES, PART_MASKS),
    PARTS: (FRAMES, MASKS),
    PART_MOTION: (FRAMES, PART_MASKS),
}
_REMEDY = "remove the folder and run `nvd decompose` again"


def work_folder(folder: Path) -> Path:
    """Where the decomposition folder `folder` keeps its scratch arrays."""
    return inside(folder, FOLDER)


MOST_MOTION, LEAST_DETERMINANT = 1e9, 1e-12
"""what a frame's motion can be: pixels, and how much smaller it makes an area"""


def open_array(work: Path, name: str, mode: str = "r") -> np.memmap:
    """A finished array, memory-mapped; `mode` "r+" to change it in place.

    NvdError where it is damaged, or of another form than the clip in frames.npy asks for.
    """
    path = inside(work, name)
    dtype, form = _FORMS[name]
    with reading(path, "the array", _REMEDY):
        array = map_npy(path, mode)
        shape = array.shape
        empty = any(n == 0 for side, n in zip(form, shape, strict=False) if side != "N")
        if array.dtype != dtype or len(shape) != len(form) or empty:
            raise ValueError(f"{array.dtype} {list(shape)}, not {dtype} [{', '.join(form)}]")
        sizes = _sizes(Path(work), name)
        for side, count in zip(form, shape, strict=True):
            if count != (int(side) if side in "23" else sizes.get(side, count)):
                wanted = ", ".join(f"{sizes.get(side, side)}" for side in form)
                raise ValueError(f"{list(shape)}, not [{wanted}] as the other arrays ask for")
        if name in (MOTION, PART_MOTION):
            _require_motion(array)
    return array


def _require_motion(motion: np.ndarray) -> None:
    """ValueError where a matrix is none that `global_motion` writes: scaled so that its last number
    is 1, with an inverse, and carrying pixels to where pixels can be.
    """
    require_finite(motion, "the motion")
    if np.abs(motion).max() > MOST_MOTION:
        raise ValueError(f"a motion of {np.abs(motion).max():.3g} pixels")
    if np.abs(motion[..., 2, 2] - 1).max() > 1e-6:
        raise ValueError("a matrix of the motion does not end in 1")
    if np.abs(np.linalg.det(motion)).min() < LEAST_DETERMINANT:
        raise ValueError("a matrix of the motion has no inverse")


def _sizes(work: Path, name: str) -> dict[str, int]:
    """T, H, W, N, L, h and w as the headers of those arrays have them that `name` rests on."""
    sizes: dict[str, int] = {}
    for other in _RESTS_ON[name]:
        if (work / other).is_file():
            shape = npy_layout(work / other)[0]
            sizes = dict(zip(_FORMS[other][1], shape, strict=False)) | sizes
    if "T" in sizes:
        sizes["T-1"] = sizes["T"] - 1
    if "N" in sizes:
        sizes["L"] = sizes["N"] + 1
    return sizes


def open_garbage(work: Path) -> np.memmap | None:
    """The garbage matte, uint8 [1 or T, H, W]; None where the clip has none."""
    if not (Path(work) / GARBAGE).is_file():
        return None
    garbage = open_array(work, GARBAGE)
    frames = npy_layout(Path(work) / FRAMES)[0][0]
    with reading(inside(work, GARBAGE), "the array", _REMEDY):
        if len(garbage) not in (1, frames):
            raise ValueError(f"{len(garbage)} mattes, neither 1 nor {frames}")
    return garbage


def flow_arrays(work: Path) -> tuple[str, str, str]:
    """Names of the flow that is to be learned from: forward, backward, and where it holds."""
    if (Path(work) / RIGHTED_OK).is_file():
        return RIGHTED_FORWARD, RIGHTED_BACKWARD, RIGHTED_OK
    return FLOW_FORWARD, FLOW_BACKWARD, FLOW_OK


def righted_layers(work: Path) -> frozenset[int]:
    """Objects whose flow was looked at and put right, where it had to be, before the training."""
    if not (Path(work) / MOTION_FACTS).is_file():
        return frozenset()
    return frozenset(fact["layer"] for fact in motion_facts(work) if fact["righted"] is not None)


def open_parts(work: Path) -> np.memmap | None:
    """The number of each pixel's part, uint8 [L, T, H, W]; None where no layer has parts."""
    return open_array(work, PARTS) if (Path(work) / PARTS).is_file() else None


def motion_facts(work: Path) -> list[dict]:
    """What `global_motion` noted of each layer, the background last."""
    path = inside(work, MOTION_FACTS)
    with reading(path, "the motion", _REMEDY):
        facts = read_json(path)
        layers, frames = npy_layout(Path(work) / MOTION)[0][:2]
        try:
            known = read(list[MotionRecord], facts, JSON)
        except Fault as fault:
            raise Unreadable(f"{fault.key}: {fault.found}, not {fault.expected}") from fault
        if len(known) != layers:
            raise Unreadable(f"{len(known)} records, not one for each of {layers} layers")
        for record in known:
            if not covers(record.windows, frames):
                raise Unreadable(f"windows of layer {record.layer} that leave frames out")
    return [asdict(record) for record in known]


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
        forward, backward, ok = (open_array(work, name) for name in flow_arrays(work))
        self.flow, self.flow_ok = (forward, backward), ok
        self.righted = righted_layers(work)
        self.garbage = open_garbage(work)
        self.boxes = mask_boxes(self.masks)

    @property
    def arrays(self) -> list[np.ndarray]:
        """All of them."""
        more = [] if self.garbage is None else [self.garbage]
        return [self.frames, self.masks, self.mask_weight, *self.flow, self.flow_ok, *more]

    def touches_garbage(self, t: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether pixels, or those right of them or below, lie in the garbage matte, bool [P]."""
        if self.garbage is None:
            return np.zeros(len(t), bool)
        t = t if len(self.garbage) > 1 else np.zeros_like(t)
        right, below = (x + 1).clip(max=self.shape[2] - 1), (y + 1).clip(max=self.shape[1] - 1)
        places = ((y, x), (y, right), (below, x))
        return np.any([self.garbage[t, row, column] > 0 for row, column in places], axis=0)

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
    return [frame_boxes((frame > 127 for frame in streamed(mask)), margin) for mask in masks]


def frame_boxes(insides: Iterable[np.ndarray], margin: float = 0.15) -> np.ndarray:
    """The rows of `mask_boxes` for one object that is `insides` bool [H, W] of the frames."""
    rows = []
    for t, shown in enumerate(insides):
        height, width = shown.shape
        ys, xs = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        if len(xs) == 0:
            continue
        x0, x1, y0, y1 = xs[0], xs[-1] + 1, ys[0], ys[-1] + 1
        dx, dy = (x1 - x0) * margin + 4, (y1 - y0) * margin + 4
        rows.append(
            (t, max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, width), min(y1 + dy, height))
        )
    return np.array(rows).reshape(-1, 5)
