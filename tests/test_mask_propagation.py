"""One drawn mask carried through synthetic and real clips."""

import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.runtime.progress import Cancelled, Progress

pytestmark = pytest.mark.slow


def draw_only(work, key: int) -> np.ndarray:
    """Keep the mask of one frame; returns what stood there."""
    true = np.load(work / "masks.npy")
    drawn = np.zeros_like(true)
    drawn[:, key] = true[:, key]
    np.save(work / "masks.npy", drawn)
    np.save(work / "mask_weight.npy", np.zeros_like(true))
    return true


@pytest.mark.parametrize("key", [0, 5])
def test_square_is_followed(tmp_path, key, moving_clips):
    places = np.array([[20 + 4 * t, 40 + t] for t in range(10)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(10), (40, places))
    true = draw_only(tmp_path, key)
    propagate_masks(tmp_path, {0: [key]}, Progress())
    masks, weight = np.load(tmp_path / "masks.npy"), np.load(tmp_path / "mask_weight.npy")
    assert moving_clips.overlap(masks[0], true[0]) > 0.9
    assert np.array_equal(masks[0, key], true[0, key]), "the drawn mask stays as drawn"
    assert (weight[0, key] == 255).all() and weight.min() > 0
    far, near = (9, 1) if key == 0 else (9, 6)
    assert weight[0, far].mean() < weight[0, near].mean(), "less is believed farther away"


def test_an_interrupted_run_starts_again(tmp_path, moving_clips):
    class StopsSoon(Progress):
        def update(self, done, **_):
            if done > 3:
                self.cancel()
            super().update(done)

    places = np.array([[20 + 4 * t, 40 + t] for t in range(6)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(6), (40, places))
    true = draw_only(tmp_path, 0)
    with pytest.raises(Cancelled):
        propagate_masks(tmp_path, {0: [0]}, StopsSoon())
    propagate_masks(tmp_path, {0: [0]}, Progress())
    assert moving_clips.overlap(np.load(tmp_path / "masks.npy")[0], true[0]) > 0.9


def test_empty_drawn_mask_stays_empty(tmp_path, moving_clips):
    moving_clips.warped_clip(tmp_path, moving_clips.camera(4), (40, np.array([[20, 20]] * 4)))
    np.save(tmp_path / "masks.npy", np.zeros_like(np.load(tmp_path / "masks.npy")))
    propagate_masks(tmp_path, {0: [2]}, Progress())
    assert not np.load(tmp_path / "masks.npy").any()


@pytest.mark.clips
@pytest.mark.parametrize(("name", "least"), [("bear", 0.85), ("hike", 0.8)])
def test_real_clip(tmp_path, name, least, moving_clips):
    moving_clips.clip_arrays(tmp_path, name, range(10, 50), 320)
    compute_flow(tmp_path, Progress())
    true = draw_only(tmp_path, 20)
    propagate_masks(tmp_path, {0: [20]}, Progress())
    assert moving_clips.overlap(np.load(tmp_path / "masks.npy")[0], true[0]) > least
