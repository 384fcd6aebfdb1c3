"""Coarse masks by Mask R-CNN (He et al., ICCV 2017), as the paper takes them: through torchvision.

`--mask NAME=maskrcnn:CLASS` follows one thing of a COCO class through the clip. torchvision and its
weights are no part of this program: they are looked for only where such a mask is asked for.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.weights import load_weights
from nvd_core.work import FRAMES, MASK_WEIGHT, MASKS, open_array

LEAST_SCORE = 0.5
"""confidence from which a detection counts"""
LEAST_OVERLAP = 0.1
"""IoU with the frame before that makes a detection the same thing"""
TAKEN = 0.5
"""IoU with another object's mask that makes a detection that object"""
_OTHERWISE = "or give the masks as images: one drawn mask for one frame is enough"

Detector = Callable[[np.ndarray], list[tuple[str, float, np.ndarray]]]
"""from a frame uint8 [H, W, 3] to (class, score, mask float32 [H, W] 0..1) of what is in it"""


def load_detector(weights: Path | str | None, classes: list[str], device: str = "auto") -> Detector:
    """Mask R-CNN with the weights of the file, on `device` (auto, cpu or cuda).

    NvdError where it can not look for `classes`.
    """
    if weights is None or not there(Path(weights).is_file):
        raise NvdError(
            "Mask R-CNN needs a file of weights",
            found=str(weights or "no path"),
            remedy="give the path of torchvision's weights (maskrcnn_resnet50_fpn_coco-*.pth) as "
            f"the setting maskrcnn_weights, {_OTHERWISE}",
        )
    try:
        from torchvision.models.detection import (
            MaskRCNN_ResNet50_FPN_Weights,
            maskrcnn_resnet50_fpn,
        )
    except Exception as error:  # a build for another torch fails in other ways than ImportError
        raise NvdError(
            "Mask R-CNN needs torchvision, which cannot be imported",
            found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            remedy=f"install the torchvision that was built for torch {torch.__version__} (for a "
            f"CPU build of torch that is a CPU build of torchvision), {_OTHERWISE}",
        ) from error
    names = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    for wanted in classes:
        if wanted not in names:
            known = sorted(name for name in set(names) if name not in ("__background__", "N/A"))
            raise NvdError(
                f"Mask R-CNN knows no {wanted}",
                expected=", ".join(known),
                remedy=f"name one of these classes, {_OTHERWISE}",
            )
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    problem = f"{weights} does not hold the weights of torchvision's maskrcnn_resnet50_fpn"
    remedy = f"download them again, {_OTHERWISE}"
    with reading(weights, "the weights", remedy, problem=problem):
        model.load_state_dict(load_weights(weights))
    on = choose_device(device)
    model.eval().to(on)

    @torch.inference_mode()
    def detect(frame: np.ndarray) -> list[tuple[str, float, np.ndarray]]:
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(on)
        found = model([image.permute(2, 0, 1).float() / 255])[0]
        rows = zip(found["labels"], found["scores"], found["masks"][:, 0].cpu(), strict=True)
        return [(names[int(n)], float(score), mask.numpy()) for n, score, mask in rows]

    return detect


def detect_masks(work: Path, wanted: dict[int, str], detect: Detector, progress: Progress) -> None:
    """Fill masks.npy and mask_weight.npy in place for objects given by a class.

    `wanted` has the class of every such object's number. An object is the largest thing of its
    class in the first frame that has one, that no object before it has taken, and then what
    overlaps it most from frame to frame. In frames without it its weight is 0: nothing is known.
    NvdError for an object that is found in no frame.
    """
    frames = open_array(work, FRAMES)
    masks = open_array(work, MASKS, "r+")
    weights = open_array(work, MASK_WEIGHT, "r+")
    last: dict[int, np.ndarray] = {}
    progress.stage("detecting", len(frames))
    for t, frame in enumerate(frames):
        found = [(name, mask > 0.5) for name, s, mask in detect(frame) if s >= LEAST_SCORE]
        taken = [masks[n, t] > 127 for n in range(len(masks)) if n not in wanted]
        for n, name in wanted.items():
            chosen = choose([m for other, m in found if other == name], last.get(n), taken)
            masks[n, t] = 0 if chosen is None else chosen * np.uint8(255)
            weights[n, t] = 0 if chosen is None else 255
            if chosen is not None:
                last[n] = chosen
                taken.append(chosen)
        release(frames, masks, weights)
        progress.update(t + 1)
    masks.flush()
    weights.flush()
    for n, name in wanted.items():
        if n not in last:
            raise NvdError(
                f"Mask R-CNN finds no {name} in the clip",
                remedy=f"name another class, {_OTHERWISE}",
            )


def choose(
    found: list[np.ndarray],  # bool [H, W] each
    last: np.ndarray | None,  # bool [H, W], the object where it was seen last
    taken: list[np.ndarray],  # bool [H, W] each, other objects in this frame
) -> np.ndarray | None:
    """Which of the masks found is the object, or None."""
    free = [m for m in found if m.any() and all(overlap(m, other) < TAKEN for other in taken)]
    if last is None:
        return max(free, key=np.count_nonzero, default=None)
    best = max(free, key=lambda mask: overlap(mask, last), default=None)
    return best if best is not None and overlap(best, last) >= LEAST_OVERLAP else None


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection by union of two masks, bool [H, W]."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0
