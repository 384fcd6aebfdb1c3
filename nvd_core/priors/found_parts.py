"""Parts of an object found by themselves: limbs in its outline that sheets of their own explain.

Limbs are taken from the frame in which the outline shows them best (limbs.py), carried through the
clip as drawn ones are (part_propagation.py), and moved as these are (global_motion.py). What that
brings is measured: each frame is told from the others, on one sheet and on several
(sheet_evidence.py). A limb that its own sheet does not tell clearly better goes back to the rest,
and so does one in doubt without which the whole is told better. Where the object as a whole is not
clearly better off, it has no parts.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from nvd_core.media.resizing import resized
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import object_motions
from nvd_core.priors.limbs import widest
from nvd_core.priors.part_masks import numbered
from nvd_core.priors.part_propagation import propagate_parts
from nvd_core.priors.sheet_evidence import Sheets, evidence_scale
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.work import FRAMES, MASKS, PART_MASKS, PART_WEIGHT, PARTS, open_array

INSIDE = 127
"""a mask's value above which a pixel is the object's"""
LONGEST = 480
"""pixels along the longer side at which parts are looked for"""
WHOLE = 0.1
"""share of the object's error that parts must take away"""
EACH = 0.15
"""and each of them of the error where it stands"""
DOUBTED = 0.6
"""share of the frames in doubt of the part that has most of them, from which on it is asked whether
the others are told better without a part"""


@dataclass(frozen=True)
class FoundParts:
    """Parts of an object as one frame shows them, and what they bring."""

    frame: int
    masks: list[np.ndarray]  # bool [h, w] each, front to back
    gain: float
    """share of the error of one sheet that the parts take away"""
    gains: list[float]
    """the same by part, where each stands"""
    doubted: list[list[int]]
    """by part the frames in which it is hidden or in doubt"""

    def named(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each part's name, limb_1 and on, and its mask, uint8 [h, w]."""
        for number, mask in enumerate(self.masks, 1):
            yield f"limb_{number}", np.where(mask, np.uint8(255), np.uint8(0))


def parts_wanted(settings: Settings, names: Sequence[str]) -> list[str]:
    """Of which of the objects parts are to be looked for."""
    asked = settings.find_parts
    return [name for name in names if (asked.get(name) if isinstance(asked, dict) else asked)]


def search_parts(
    work: Path, layers: Sequence[int], progress: Progress
) -> dict[int, FoundParts | None]:
    """The parts of some objects, by number; `work` has frames and masks. It is left as it is."""
    frames, masks = open_array(work, FRAMES), open_array(work, MASKS)
    height, width = frames.shape[1:3]
    largest = max(
        (sum(int((np.array(one) > INSIDE).sum()) for one in masks[n]) for n in layers), default=0
    )
    release(masks)
    scale = evidence_scale((height, width), LONGEST, largest)
    size = round(width * scale), round(height * scale)
    with tempfile.TemporaryDirectory("", ".parts-", work, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        np.save(scratch / FRAMES, np.array([resized(np.array(one), *size) for one in frames]))
        small = [[resized(np.array(one), *size) for one in mask] for mask in masks]
        np.save(scratch / MASKS, np.array(small))
        release(frames, masks)
        compute_flow(scratch, progress)
        return {layer: find_parts(scratch, layer, progress) for layer in layers}


def about_parts(name: str, found: FoundParts | None) -> str:
    """What has to be said of the parts that were looked for in an object."""
    if found is None:
        return f"{name} has no limbs that are better told apart: it stays in one piece"
    parts = ", ".join(part for part, _ in found.named())
    return (
        f"{name} has parts that were found by themselves, on frame {found.frame}: {parts}. They "
        f"tell its frames {100 * found.gain:.0f} % better than one sheet; where they are wrong, "
        "give masks of its parts by --part, or leave out --find-parts (in Blender: Find Parts)"
    )


def about_windows(name: str) -> str:
    """What has to be said of an object in which parts were not looked for, as it has windows."""
    return f"{name} is to have windows in time, so that no parts of it were looked for"


def about_missed(name: str, there: Sequence[str]) -> str:
    """What has to be said where parts are asked for of an object that was not found, of those that
    are `there`."""
    found = f"only {', '.join(there)} was found" if there else "nothing was found that moves"
    return (
        f"parts were to be found of {name}, but {found}; draw it white on black on one frame, and "
        f"decompose the clip again with --mask {name}=FILE"
    )


def find_parts(work: Path, layer: int, progress: Progress) -> FoundParts | None:
    """The parts of an object in the scratch `work`, small, with frames, masks and flow.

    Its arrays of parts are written over. None: one sheet serves the object.
    """
    trial = _Trial(Path(work), layer, progress)
    limbs = widest(trial.shown)
    if limbs is None:
        return None
    masks = [limbs.numbers == k for k in range(1, limbs.count + 1)]
    best = best_parts(trial, limbs.frame, masks)
    return best if best is not None and best.gain >= WHOLE else None


class Tried(Protocol):
    """An object that is told by one sheet, and by several."""

    def errors_whole(self) -> list[np.ndarray]: ...

    def errors_apart(
        self, frame: int, masks: list[np.ndarray]
    ) -> tuple[list[list[int]], list[np.ndarray], list[np.ndarray]]: ...


def best_parts(trial: Tried, frame: int, masks: Sequence[np.ndarray]) -> FoundParts | None:
    """The limbs, of those of a frame, that together tell the object best; None: none does.

    Each tells its own place clearly better, and the whole is not better off without one in doubt.
    """
    before = trial.errors_whole()
    best = _kept(trial, frame, masks, before)
    for mask in [] if best is None else _in_doubt(best):
        others = [one for one in best.masks if one is not mask]
        without = _kept(trial, frame, others, before)
        if without is not None and without.gain > best.gain:
            best = without
    return best


def _kept(
    trial: Tried, frame: int, masks: Sequence[np.ndarray], before: list[np.ndarray]
) -> FoundParts | None:
    """The limbs, of those of a frame, that their own sheets tell clearly better; None: none."""
    chosen = list(masks)
    while chosen:
        doubted, labels, after = trial.errors_apart(frame, chosen)
        gains = [
            _gain(before, after, [one == k for one in labels]) for k in range(1, len(chosen) + 1)
        ]
        worst = int(np.argmin(gains))
        if gains[worst] >= EACH:
            whole = _gain(before, after, [one == one for one in labels])
            return FoundParts(frame, chosen, whole, gains, doubted)
        del chosen[worst]
    return None


def _in_doubt(found: FoundParts) -> list[np.ndarray]:
    """The masks of the limbs that are in doubt in many frames, if there are others beside.

    Where they are carried wrongly the other parts are told worse for them.
    """
    if len(found.masks) < 2:
        return []
    most = max(map(len, found.doubted))
    pairs = zip(found.masks, found.doubted, strict=True)
    return [mask for mask, frames in pairs if frames and len(frames) >= DOUBTED * most]


def _gain(before: list[np.ndarray], after: list[np.ndarray], chosen: list[np.ndarray]) -> float:
    """Share of the squared error that is gone, over the chosen pixels."""
    one, other = (sum(float((e[c] ** 2).sum()) for e, c in zip(errors, chosen, strict=True))
                  for errors in (before, after))  # fmt: skip
    return 1 - other / one if one > 0 else 0.0


class _Trial:
    """An object in a scratch folder, explained by one sheet and by several."""

    def __init__(self, work: Path, layer: int, progress: Progress) -> None:
        self.work, self.layer, self.progress = work, layer, progress
        self.frames = np.array(open_array(work, FRAMES))
        masks = np.array(open_array(work, MASKS)[: layer + 1]) > INSIDE
        self.shown = masks[layer] & ~masks[:layer].any(0)  # bool [T, h, w]
        self.objects = len(open_array(work, MASKS))

    def errors_whole(self) -> list[np.ndarray]:
        """By frame the error of each shown pixel on one sheet."""
        motion = object_motions(self.work, self.layer, self.progress)
        labels = np.zeros(self.shown.shape, np.uint8)
        return Sheets(self.frames, self.shown, labels, motion, self.progress.check).errors()

    def errors_apart(
        self, frame: int, masks: list[np.ndarray]
    ) -> tuple[list[list[int]], list[np.ndarray], list[np.ndarray]]:
        """The frames in doubt by part, each shown pixel's part, and its error on several sheets."""
        count, size = len(masks), self.shown.shape
        drawn = np.zeros((count, *size), np.uint8)
        drawn[:, frame] = np.where(masks, np.uint8(255), np.uint8(0))
        for name in (PART_MASKS, PART_WEIGHT):
            np.save(self.work / name, drawn)
        given = {row: [frame] for row in range(count)}
        doubted = propagate_parts(self.work, self.layer, given, self.progress)
        carried = np.array(open_array(self.work, PART_MASKS)) > INSIDE
        labels = np.zeros((self.objects + 1, *size), np.uint8)
        for t, shown in enumerate(self.shown):
            labels[self.layer, t] = numbered(list(carried[:, t]), shown)
        np.save(self.work / PARTS, labels)
        told = [doubted[row] for row in range(count)]
        motions = object_motions(self.work, self.layer, self.progress, told)
        own = labels[self.layer]
        sheets = Sheets(self.frames, self.shown, own, motions, self.progress.check)
        errors = sheets.errors()
        at = [one[shown] for one, shown in zip(own, self.shown, strict=True)]
        return told, at, errors
