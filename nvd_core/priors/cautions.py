"""What may go wrong on this clip, in plain words, before the training spends its time."""

from pathlib import Path

import numpy as np

from nvd_core.priors.garbage import NEAR_GARBAGE, near_garbage
from nvd_core.priors.parallax import LEAST_GAIN, about_parallax
from nvd_core.priors.pieces import MOST_APART, apart
from nvd_core.runtime.mapped_arrays import streamed
from nvd_core.work import FRAMES, MASKS, flow_arrays, open_array, open_garbage

INCONSISTENT = 0.2
"""Share of the flow that does not agree with itself, above which it is worth a word."""
SMALL = 0.01
"""An object that covers less of the frame than this on average is small."""
BRIGHTNESS = 0.12
"""Change of the mean brightness (0 to 1) over the clip that is worth a word."""


def find_cautions(work: Path, motion_facts: list[dict]) -> list[str]:
    """Sentences for the user, empty where nothing looks doubtful.

    `motion_facts` is what motion.json holds: one dict a layer, the background last.
    """
    work = Path(work)
    frames, masks, ok = (open_array(work, name) for name in (FRAMES, MASKS, flow_arrays(work)[2]))
    return [
        *_about_flow(ok, open_garbage(work)),
        *(text for n, mask in enumerate(masks) for text in _about_object(n, len(masks), mask)),
        *_about_light(frames),
        *_about_motion(motion_facts),
    ]


def _about_flow(ok: np.ndarray, garbage: np.ndarray | None) -> list[str]:
    share = np.array([pair.mean() for pair in streamed(ok.swapaxes(0, 1))])
    texts = []
    left = 1.0  # what is left out is nobody's flow
    if garbage is not None:
        size = ok.shape[2:]
        near = [near_garbage(matte, NEAR_GARBAGE, size).mean() for matte in streamed(garbage)]
        left = max(1 - float(np.mean(near)), 1e-3)
    lost = 1 - float(share.mean()) / left
    if lost > INCONSISTENT:
        texts.append(
            f"{lost:.0%} of the optical flow does not agree with itself (fast motion, blur, noise "
            "or water do that): edits may slide there"
        )
    return texts


def _about_object(number: int, count: int, masks: np.ndarray) -> list[str]:
    """`masks` is uint8 [T, H, W] of one object."""
    name = "the object" if count == 1 else f"object {number + 1}"
    areas, border, pieces = [], [], []
    for mask in streamed(masks):
        inside = mask > 127
        pieces.append(apart(inside))
        areas.append(float(inside.mean()))
        edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
        border.append(max(float(edge.mean()) for edge in edges))
    areas, border = np.array(areas), np.array(border)
    absent = np.flatnonzero(areas == 0)
    texts = []
    if len(absent) == len(areas):
        return [f"{name} has an empty mask in every frame"]
    if len(absent):
        texts.append(
            f"{name} has no mask in {len(absent)} of {len(areas)} frames ({ranges(absent)}): if "
            "it is seen there, give masks for them"
        )
    size = float(areas[areas > 0].mean())
    if size < SMALL:
        texts.append(
            f"{name} is very small ({size:.1%} of the frame): a larger working height helps"
        )
    outside, whole = np.sum(pieces, axis=0)
    if outside > MOST_APART * whole:
        texts.append(
            f"{name} is a scatter of pieces ({outside / whole:.0%} of it lies outside its largest "
            "piece): paint will not hold on it"
        )
    touching = np.flatnonzero(border > 0.05)
    if len(touching) > 0.2 * len(areas):
        texts.append(
            f"{name} touches the border in {len(touching)} of {len(areas)} frames: what leaves "
            "the frame is learned less well"
        )
    return texts


def about_lost(lost: dict[str, list[int]]) -> list[str]:
    """What has to be said of objects whose carried masks were lost, by name, in some frames."""
    return [
        f"the mask of {name} was lost or is in doubt in {len(frames)} frames "
        f"({ranges(np.array(frames))}): there it was found again by its looks, is taken for "
        "hidden, or is like little that was seen before"
        for name, frames in lost.items()
        if frames
    ]


def about_doubted(doubted: dict[str, list[int]]) -> list[str]:
    """What has to be said of parts, by layer.part, that are in doubt in some frames."""
    return [
        f"the part {name} is hidden or in doubt in {len(frames)} frames "
        f"({ranges(np.array(frames))}): where it is wrong there, draw its mask on one of them too"
        for name, frames in doubted.items()
        if frames
    ]


def ranges(numbers: np.ndarray) -> str:
    """1, 2, 3, 7 -> "1-3, 7"; the first three runs only."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(words[:3]) + (", ..." if len(words) > 3 else "")


def _about_light(frames: np.ndarray) -> list[str]:
    means = np.array([frame[::8, ::8].mean() / 255 for frame in streamed(frames)])
    steps = np.abs(np.diff(means))
    if len(steps) and steps.max() > BRIGHTNESS:
        t = int(steps.argmax())
        return [f"the brightness jumps between frames {t} and {t + 1}: the paint may flicker there"]
    if np.ptp(means) > 2 * BRIGHTNESS:
        return ["the brightness changes a lot over the clip: the learned light will be uneven"]
    return []


def _about_motion(facts: list[dict]) -> list[str]:
    texts = []
    for fact in facts:
        background = fact["kind"] == "background"
        name = "the background" if background else "an object"
        gain = fact.get("evidence", {}).get("windows_gain", 0.0)
        if background and gain >= LEAST_GAIN:
            texts.append(about_parallax("background", gain, bool(fact["windows"])))
        refused = fact["refused"].get("homography", "fits")
        if background and fact["model"] != "homography" and not refused.startswith("fits"):
            texts.append(
                "the background's motion could not be followed as a plane: its texture may be less "
                "sharp"
            )
        if fact["frames_carried"] > 2 and not background:
            texts.append(
                f"{name} could not be followed in {fact['frames_carried']} frames (hidden, too "
                "small or too fast there)"
            )
        if fact["inlier_share"] is not None and fact["inlier_share"] < 0.5:
            texts.append(
                f"{name} moves in no simple way (only {fact['inlier_share']:.0%} of it follows one "
                "motion): its texture may be smeared"
            )
    return texts
