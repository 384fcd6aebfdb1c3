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


@pytest.fixture(scope="module")
def behind_a_post(tmp_path_factory, moving_clips):
    """A square that a post of the background hides for some frames, drawn in the first frame; the
    folder, and the square's true masks."""
    work = tmp_path_factory.mktemp("post")
    places = np.array([[6 + 6 * t, 40] for t in range(20)])
    moving_clips.warped_clip(work, np.tile(np.eye(3), (20, 1, 1)), (26, places))
    frames, masks = np.load(work / "frames.npy"), np.load(work / "masks.npy")
    frames[:, :, 60:96] = (moving_clips.texture(120, 36, 5) * 0.5 + (0, 60, 0)).astype(np.uint8)
    masks[:, :, :, 60:96] = 0
    np.save(work / "frames.npy", frames)
    np.save(work / "masks.npy", masks)
    compute_flow(work, Progress())
    return work, draw_only(work, 0)


def test_what_was_hidden_is_found_again(behind_a_post, moving_clips):
    work, true = behind_a_post
    lost = propagate_masks(work, {0: [0]}, Progress())[0]
    masks, weight = np.load(work / "masks.npy"), np.load(work / "mask_weight.npy")
    shown = true[0].any((1, 2))
    assert not shown[10] and shown[6] and shown[16]
    assert moving_clips.overlap(masks[0, :7], true[0, :7]) > 0.85
    assert moving_clips.overlap(masks[0, 16:], true[0, 16:]) > 0.8
    assert (masks[0][~shown] > 127).sum() < 0.05 * (true[0, 0] > 127).sum()
    hidden = np.flatnonzero(~shown)
    assert set(hidden) <= set(lost) and 0 not in lost and 3 not in lost
    assert weight[0, 17].mean() < 0.6 * weight[0, 1].mean(), "what was lost is believed less"


def test_what_is_not_hidden_is_never_lost(tmp_path, moving_clips):
    places = np.array([[20 + 4 * t, 40 + t] for t in range(10)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(10), (40, places))
    draw_only(tmp_path, 0)
    assert propagate_masks(tmp_path, {0: [0]}, Progress()) == {0: []}


@pytest.mark.clips
@pytest.mark.parametrize(("name", "least"), [("bear", 0.85), ("hike", 0.8)])
def test_real_clip(tmp_path, name, least, moving_clips):
    moving_clips.clip_arrays(tmp_path, name, range(10, 50), 320)
    compute_flow(tmp_path, Progress())
    true = draw_only(tmp_path, 20)
    propagate_masks(tmp_path, {0: [20]}, Progress())
    assert moving_clips.overlap(np.load(tmp_path / "masks.npy")[0], true[0]) > least
