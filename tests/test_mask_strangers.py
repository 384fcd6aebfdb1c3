"""Objects that cross: what comes to touch a carried one is none of it, drawn or not."""

import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import propagate_masks
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


def chequered(grain: np.ndarray, seed: int) -> np.ndarray:
    """Fields of four colours, those of all seeds, with a grain uint8 [h, w, 3]."""
    colours = np.array([[200, 30, 30], [220, 160, 30], [230, 220, 210], [30, 60, 110]])
    fields = np.random.default_rng(seed).integers(0, 4, (4, 4))
    picture = colours[np.kron(fields, np.ones((SIDE // 4, SIDE // 4), int))]
    return (0.8 * picture + 0.2 * grain).astype(np.uint8)


def carried(work, true) -> np.ndarray:
    """The overlap of each mask with the true one in each frame, [N, T], drawn in the first."""
    drawn = np.zeros(true.shape, np.uint8)
    drawn[:, 0] = 255 * true[:, 0]
    np.save(work / "masks.npy", drawn)
    np.save(work / "mask_weight.npy", np.zeros_like(drawn))
    propagate_masks(work, {n: [0] for n in range(len(true))}, Progress())
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
