"""Objects that cross: what comes to touch a carried one is none of it, drawn or not."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.mask_votes import Looks
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow

COUNT, SIDE = 14, 44


@pytest.fixture(scope="module")
def crossing(tmp_path_factory, moving_clips):
    """A square that another one of like colours passes in front of, by 9 pixels a frame against 4;
    the folder, and the true masks of the one in front and of the other, bool [2, T, H, W]."""
    work = tmp_path_factory.mktemp("crossing")
    background = moving_clips.texture(120, 240, 1)
    pictures = [chequered(moving_clips.texture(SIDE, SIDE, n), n) for n in (2, 5)]
    frames = np.stack([background] * COUNT)
    true = np.zeros((2, *frames.shape[:3]), bool)
    for t in range(COUNT):
        for n, (x, y) in ((1, (150 - 4 * t, 30)), (0, (10 + 9 * t, 50))):
            here = np.s_[t, y : y + SIDE, x : x + SIDE]
            frames[here] = pictures[n]
            true[:, t, y : y + SIDE, x : x + SIDE] = False
            true[n, t, y : y + SIDE, x : x + SIDE] = True
    np.save(work / "frames.npy", frames)
    compute_flow(work, Progress())
    return work, true


def coloured(height: int, width: int, seed: int, values: tuple[int, int]) -> np.ndarray:
    """Noise of all colours between two values, smooth over 4 pixels; uint8 [h, w, 3]."""
    noise = np.random.default_rng(seed).integers(*values, (height // 4, width // 4, 3))
    return cv2.resize(noise.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def chequered(grain: np.ndarray, seed: int) -> np.ndarray:
    """Fields of four colours, those of all seeds, with a grain uint8 [h, w, 3]."""
    colours = np.array([[200, 30, 30], [220, 160, 30], [230, 220, 210], [30, 60, 110]])
    fields = np.random.default_rng(seed).integers(0, 4, (4, 4))
    picture = colours[np.kron(fields, np.ones((SIDE // 4, SIDE // 4), int))]
    return (0.8 * picture + 0.2 * grain).astype(np.uint8)


def carried(work, true, keys=None) -> np.ndarray:
    """The overlap of each mask with the true one in each frame, [N, T]; drawn in the first, or in
    those of `keys`."""
    keys = keys or {n: [0] for n in range(len(true))}
    drawn = np.zeros(true.shape, np.uint8)
    for n, frames in keys.items():
        drawn[n, frames] = 255 * true[n, frames]
    np.save(work / "masks.npy", drawn)
    np.save(work / "mask_weight.npy", np.zeros_like(drawn))
    propagate_masks(work, keys, Progress())
    found = np.load(work / "masks.npy") > 127
    return (found & true).sum((2, 3)) / (found | true).sum((2, 3))


def test_a_stranger_that_touches_it_is_not_taken_along(crossing):
    """In front of it: in the end more than half of it is hidden."""
    work, true = crossing
    scores = carried(work, true[1:])
    assert scores.mean() > 0.8 and scores[0, :10].min() > 0.8


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_that_cross_know_of_each_other(crossing, order):
    """Whichever is said to be in front."""
    work, true = crossing
    scores = carried(work, true[list(order)])
    assert scores.mean(1).min() > 0.93 and scores.min() > 0.7


@pytest.mark.parametrize("keys", [{0: [0], 1: [0, COUNT - 1]}, {0: [0, COUNT - 1], 1: [0]}])
def test_one_that_is_drawn_once_more_still_knows_of_the_other(crossing, keys):
    """Also on the way back from a frame in which the other one is not drawn."""
    work, true = crossing
    assert carried(work, true, keys).mean(1).min() > 0.96


def test_what_an_object_says_of_others_is_of_before_it_arrives(moving_clips):
    """So that it is the same whichever of two arrives first."""
    frame = moving_clips.texture(60, 80, 1)
    mask = np.zeros((60, 80), np.float32)
    mask[20:40, 20:50] = 1
    looks = Looks(frame, mask, np.zeros_like(mask))
    looks.move(np.eye(3), np.eye(3))
    said = looks.of_another()
    before = [(look.age, look.along.copy()) for look, _ in said.asked]
    looks.add(frame, mask, np.zeros_like(mask), False)
    looks.move(np.array([[1.0, 0, 5], [0, 1, 0], [0, 0, 1]]), np.eye(3))
    after = [(look.age, look.along) for look, _ in said.asked]
    assert len(before) == len(after) and (said.whole == mask).all()
    for (age, along), (age_now, along_now) in zip(before, after, strict=True):
        assert age == age_now and (along == along_now).all()


def test_an_arm_that_swings_as_it_comes_into_the_picture_is_kept(tmp_path):
    """What the drawn frame's border cut off may be the object's, though it moves otherwise."""
    count, height, width = 10, 135, 240
    body, arm = coloured(60, 28, 2, (20, 235)), coloured(40, 34, 9, (150, 250))
    frames = np.stack([coloured(height, width, 1, (20, 235))] * count)
    true = np.zeros((1, *frames.shape[:3]), bool)
    for t in range(count):
        x = width - 28 - 5 * t
        for picture, left, top in ((arm, x + 26, 55 - 5 * t), (body, x, 30)):
            shown = picture[:, : max(width - left, 0)]
            here = np.s_[t, top : top + len(shown), left : left + shown.shape[1]]
            frames[here], true[(0, *here)] = shown, True
    np.save(tmp_path / "frames.npy", frames)
    compute_flow(tmp_path, Progress())
    assert carried(tmp_path, true).min() > 0.85
