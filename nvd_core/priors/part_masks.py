"""Parts of a layer, set by hand: their masks, and the number of each pixel's part.

A mask a part, of the whole clip or of some frames, from which it is carried: all parts of an object
together (part_propagation.py), those of the background each as an object is. What no mask takes is
the rest. Beyond a layer's own outline each pixel goes with the nearest within.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.clip_info import ClipInfo
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.masks import MaskSource, load_mask, write_masks
from nvd_core.priors.part_propagation import propagate_parts
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.parts import REST, Given, split_name
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASKS, PART_MASKS, PART_WEIGHT, PARTS, open_array, work_folder

SLIVER = np.ones((3, 3), np.uint8)
"""what the rest must have room for somewhere, pixels"""
INSIDE = 127
"""a mask's value above which a pixel is the layer's or the part's"""


def part_names(parts: Given, layers: Sequence[str]) -> list[list[str]]:
    """By layer the names of its parts, the rest first; empty for a layer without."""
    names: list[list[str]] = [[] for _ in layers]
    for name, _ in parts:
        layer, part = split_name(name)
        of_layer = names[layers.index(layer)]
        of_layer += [part] if of_layer else [REST, part]
    return names


def load_parts(
    parts: Given, info: ClipInfo, frames: Sequence[int | None] | None = None
) -> list[MaskSource]:
    """Open the masks of parts for the clip `info`, as `masks.load_masks` does those of objects."""
    known = frames if frames and len(frames) == len(parts) else [None] * len(parts)
    return [load_mask(n, s, info, frame) for (n, s), frame in zip(parts, known, strict=True)]


def write_parts(
    sources: Sequence[MaskSource],
    parts: Given,
    layers: Sequence[str],
    folder: Path,
    progress: Progress,
) -> dict[str, list[int]]:
    """Write work/parts.npy; by a part's name the frames in which its carried mask was lost.

    NvdError where a part of an object has no pixel of it in any frame.
    """
    work = work_folder(folder)
    frames, height, width = open_array(work, FRAMES).shape[:3]
    names = PART_MASKS, PART_WEIGHT
    write_masks(list(sources), folder, frames, height, width, progress, names)
    of_layer = [[k for k, (p, _) in enumerate(parts) if split_name(p)[0] == n] for n in layers]
    lost = _carried(sources, of_layer, work, progress)
    masks, own = open_array(work, MASKS), open_array(work, PART_MASKS)
    seen_at_all = np.zeros(len(parts), bool)
    seen_at_all[of_layer[-1]] = True  # objects may hide what is the background's
    progress.stage("parts", frames)
    with written_beside(work / PARTS) as path:
        labels = new_array(path, (len(layers), frames, height, width))
        for t in range(frames):
            objects = np.array(masks[:, t]) > INSIDE
            for n, chosen in enumerate(of_layer):
                if not chosen:
                    continue
                seen = objects[n] if n < len(objects) else ~objects.any(0)
                shown = [np.array(own[k, t]) > INSIDE for k in chosen]
                seen_at_all[chosen] |= [bool((part & seen).any()) for part in shown]
                labels[n, t] = numbered(shown, seen)
            release(masks, own, labels)
            progress.update(t + 1)
        labels.flush()
        del labels
        _check_seen(parts, seen_at_all)
    return {parts[k][0]: found for k, found in lost.items() if found}


def _check_seen(parts: Given, seen: np.ndarray) -> None:
    if seen.all():
        return
    name = parts[int(seen.argmin())][0]
    raise NvdError(
        f"the mask of {name} shows nothing of {split_name(name)[0]} in any frame",
        expected="a mask that lies within that of its layer",
        remedy="look whether it is of the frame that it was drawn on; then remove the folder, and "
        "decompose the clip again",
    )


def _carried(
    sources: Sequence[MaskSource], of_layer: Sequence[list[int]], work: Path, progress: Progress
) -> dict[int, list[int]]:
    """Carry the masks that are of some frames only; by a part the frames that need an eye."""
    lost: dict[int, list[int]] = {}
    *objects, background = of_layer
    for n, chosen in enumerate(objects):
        if any(sources[k].partial for k in chosen):
            given = {k: sources[k].given for k in chosen}
            lost |= propagate_parts(work, n, given, progress)
    keys = {k: sources[k].given for k in background if sources[k].partial}
    arrays = PART_MASKS, PART_WEIGHT
    return lost | (propagate_masks(work, keys, progress, arrays=arrays) if keys else {})


def numbered(parts: Sequence[np.ndarray], seen: np.ndarray) -> np.ndarray:
    """The number of each pixel's part, uint8 [H, W]: 1 for the first of `parts`, 0 for the rest.

    parts: bool [H, W] each, front to back. Where the layer is not `seen`, bool [H, W], a pixel has
    the number of the nearest that is; and so have slivers that no mask quite covers.
    """
    numbers = np.zeros(seen.shape, np.uint8)
    for number, part in reversed(list(enumerate(parts, 1))):
        numbers[part] = number
    if not seen.any():
        return np.zeros_like(numbers)
    rest = (seen & (numbers == 0)).astype(np.uint8)
    core = cv2.dilate(cv2.erode(rest, SLIVER), SLIVER)
    if (numbers[seen] > 0).any():
        seen = seen & ((numbers > 0) | (core > 0))
    if seen.all():
        return numbers
    _, nearest = cv2.distanceTransformWithLabels(
        (~seen).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(nearest.max() + 1, np.uint8)
    by_label[nearest[seen]] = numbers[seen]
    return by_label[nearest]
