"""One drawn mask carried through synthetic and real clips."""

import numpy as np
import pytest

from nvd_core.priors.carried_clip import CarriedClip
from nvd_core.priors.carried_object import CarriedObject
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import _Drawn, propagate_masks
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


@pytest.mark.parametrize("value", [110, 140])
def test_what_lets_something_through_is_carried(tmp_path, value, moving_clips):
    places = np.array([[20 + 4 * t, 40 + t] for t in range(4)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(4), (40, places))
    true = draw_only(tmp_path, 0)
    drawn = np.load(tmp_path / "masks.npy")
    np.save(tmp_path / "masks.npy", np.where(drawn > 0, np.uint8(value), np.uint8(0)))
    propagate_masks(tmp_path, {0: [0]}, Progress())
    masks = np.load(tmp_path / "masks.npy")[0]
    assert (masks.max((1, 2)) == value).all(), "stored as drawn"
    assert moving_clips.overlap(255 * (masks > value // 2).astype(np.uint8), true[0]) > 0.9


@pytest.mark.parametrize("vanishes", [True, False])
def test_what_vanishes_beside_what_stands_in_front_is_named(tmp_path, vanishes, moving_clips):
    """A known object hides a quarter of the square in every frame."""
    places = np.array([[30 + 3 * t, 40] for t in range(8)])
    moving_clips.warped_clip(tmp_path, np.tile(np.eye(3), (8, 1, 1)), (40, places))
    frames, square = np.load(tmp_path / "frames.npy"), np.load(tmp_path / "masks.npy")[0]
    empty = moving_clips.texture(400, 500, 1)[140 : 140 + frames.shape[1], 170:][
        :, : frames.shape[2]
    ]
    masks = np.zeros((2, *square.shape), np.uint8)
    for t, (x, y) in enumerate(places):
        if vanishes and t > 3:
            frames[t] = empty
        frames[t, y + 30 : y + 60, x : x + 40] = (20, 160, 20)
        masks[0, t, y + 30 : y + 60, x : x + 40] = 255
    masks[1, 0] = square[0]
    for name, array in (("frames", frames), ("masks", masks), ("mask_weight", 0 * masks)):
        np.save(tmp_path / f"{name}.npy", array)
    compute_flow(tmp_path, Progress())
    named = propagate_masks(tmp_path, {1: [0]}, Progress())[1]
    assert named == ([4, 5, 6, 7] if vanishes else [])


def test_what_passes_behind_a_known_object_goes_on_and_comes_out(tmp_path, moving_clips):
    """What is hidden as a whole for some frames moves on as before; the board stands still."""
    places = np.array([[4 + 7 * t, 40] for t in range(19)])
    moving_clips.warped_clip(tmp_path, np.tile(np.eye(3), (19, 1, 1)), (30, places))
    frames, square = np.load(tmp_path / "frames.npy"), np.load(tmp_path / "masks.npy")[0]
    masks = np.stack([np.zeros_like(square), square])
    board = (moving_clips.texture(120, 60, 5) // 2 + (0, 90, 0)).astype(np.uint8)
    frames[:, :, 40:100], masks[0, :, :, 40:100] = board, 255
    masks[1, :, :, 40:100] = 0
    drawn = masks.copy()
    drawn[1, 1:] = 0
    for name, array in (("frames", frames), ("masks", drawn), ("mask_weight", 0 * masks)):
        np.save(tmp_path / f"{name}.npy", array)
    compute_flow(tmp_path, Progress())
    propagate_masks(tmp_path, {1: [0]}, Progress())
    found = np.load(tmp_path / "masks.npy")[1]
    hidden = np.flatnonzero(~masks[1].any((1, 2)))
    assert len(hidden) > 1 and (found[hidden] > 127).sum() < 100
    assert moving_clips.overlap(found[hidden[-1] + 2 :], masks[1, hidden[-1] + 2 :]) > 0.85


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


def test_an_empty_drawn_mask_does_not_outvote_the_others(behind_a_post, moving_clips):
    """Drawn as gone while it is behind the post; it comes out on the other side all the same."""
    work, true = behind_a_post
    drawn = np.zeros_like(true)
    drawn[:, 0] = true[:, 0]
    np.save(work / "masks.npy", drawn)
    np.save(work / "mask_weight.npy", np.zeros_like(true))
    lost = propagate_masks(work, {0: [0, 11]}, Progress())[0]
    masks = np.load(work / "masks.npy")
    assert not masks[0, 11].any() and 11 not in lost, "it stands as drawn"
    assert moving_clips.overlap(masks[0, :7], true[0, :7]) > 0.85
    assert moving_clips.overlap(masks[0, 16:], true[0, 16:]) > 0.8
    assert {10, 12, 13} <= set(lost)


def test_specks_are_told_by_the_whole_object_where_the_border_cuts_it_off(tmp_path, moving_clips):
    moving_clips.warped_clip(tmp_path, moving_clips.camera(2), (40, np.array([[20, 20]] * 2)))
    clip = CarriedClip(tmp_path, ("masks.npy", "mask_weight.npy"))
    carried = CarriedObject(clip, 0, 0, 1)
    carried._looks.move(np.array([[1.0, 0, -55], [0, 1, 0], [0, 0, 1]]), np.eye(3))
    mask = np.zeros_like(carried.mask)
    mask[20:60, :5] = mask[90:93, 90:94] = 1  # 200 and 12 pixels, of 1600
    assert (carried._looks.laid() > 0.5).sum() < 400
    assert carried._without_specks(mask).sum() == 200


def test_frames_are_carried_from_what_shows_the_object():
    assert _Drawn([2, 6], [], 1, 1).runs(9) == [
        range(3, 6),
        range(7, 9),
        range(1, -1, -1),
        range(5, 2, -1),
    ]
    assert _Drawn([2], [0, 5], 1, 1).runs(8) == [range(3, 8), range(1, -1, -1)]
    apart = [range(1, 4), range(10, 10), range(-1, -1, -1), range(8, 4, -1)]
    assert _Drawn([0, 9], [1, 4, 8], 1, 1).runs(10) == apart, "no farther than where it is gone"


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
