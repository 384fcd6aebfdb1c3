"""Masks voted by several frames: what comes back, what is thin, what moves with the object."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_canvas import around
from nvd_core.priors.mask_edge import settled
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.mask_votes import Looks
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow


def carried(work, frames, true) -> np.ndarray:
    """The masks, bool [T, H, W], that come of the first of the `true` ones."""
    drawn = np.zeros((1, *true.shape), np.uint8)
    drawn[0, 0] = 255 * true[0]
    np.save(work / "frames.npy", frames)
    np.save(work / "masks.npy", drawn)
    np.save(work / "mask_weight.npy", np.zeros_like(drawn))
    compute_flow(work, Progress())
    propagate_masks(work, {0: [0]}, Progress())
    return np.load(work / "masks.npy")[0] > 127


def overlap(found: np.ndarray, true: np.ndarray) -> float:  # bool [T, H, W]
    return float(((found & true).sum((1, 2)) / (found | true).sum((1, 2))).mean())


def moved_over(background, picture, shape, places) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a picture of that shape, bool [h, w], that moves over a still background."""
    frames = np.stack([background] * len(places))
    true = np.zeros(frames.shape[:3], bool)
    high, wide = shape.shape
    for t, (x, y) in enumerate(places):
        frames[t, y : y + high, x : x + wide][shape] = picture[shape]
        true[t, y : y + high, x : x + wide] = shape
    return frames, true


def test_a_part_that_was_hidden_comes_back(tmp_path, moving_clips):
    """A block of the background hides the lower third of what passes."""
    picture = (0.6 * moving_clips.texture(48, 36, 2) + (80, 30, 0)).astype(np.uint8)
    background = moving_clips.texture(120, 200, 1)
    shape = np.ones((48, 36), bool)
    places = [(6 + 5 * t, 40) for t in range(26)]
    frames, true = moved_over(background, picture, shape, places)
    block = (0.5 * moving_clips.texture(22, 40, 5) + (0, 60, 0)).astype(np.uint8)
    frames[:, 72:94, 70:110], true[:, 72:94, 70:110] = block, False
    masks = carried(tmp_path, frames, true)
    assert true[14].sum() < 0.75 * shape.sum() and true[24].sum() == shape.sum()
    assert overlap(masks[13:16], true[13:16]) > 0.985
    assert overlap(masks[24:], true[24:]) > 0.985


def test_what_comes_out_on_the_other_side_of_a_post(tmp_path, moving_clips):
    """A post as wide as three quarters of an object goes past it by a third of its width a frame,
    and the background goes along with the camera: what was hidden shows again behind it."""
    picture = (0.6 * moving_clips.texture(48, 40, 2) + (80, 30, 0)).astype(np.uint8)
    wall = moving_clips.texture(120, 400, 1)
    post = (0.4 * moving_clips.texture(120, 30, 5) + (0, 60, 0)).astype(np.uint8)
    frames, true = np.zeros((14, 120, 160, 3), np.uint8), np.zeros((14, 120, 160), bool)
    for t in range(14):
        frames[t] = wall[:, 8 * t : 8 * t + 160]
        frames[t, 40:88, 60:100], true[t, 40:88, 60:100] = picture, True
        left = 118 - 13 * (t - 3)
        if 0 <= left < 160:
            part = np.s_[t, :, left : left + 30]
            frames[part], true[part] = post[:, : frames[part].shape[1]], False
    masks = carried(tmp_path, frames, true)
    assert true[6:8].sum((1, 2)).max() < 0.5 * true[0].sum()
    assert overlap(masks[5:9], true[5:9]) > 0.95
    assert overlap(masks[9:], true[9:]) > 0.95


def test_thin_parts_are_not_cut_away(tmp_path, moving_clips):
    """A body of 30 px with a pole of 3 px and a ring of 2 px, as a wheel's rim."""
    shape = np.zeros((70, 60), np.uint8)
    shape[30:60, 15:45] = shape[:30, 28:31] = 1
    cv2.circle(shape, (30, 45), 24, 1, 2)
    picture = np.full((70, 60, 3), (200, 60, 40), np.uint8)
    picture[30:60, 15:45] = (0.6 * moving_clips.texture(30, 30, 2) + (80, 0, 0)).astype(np.uint8)
    places = [(10 + 4 * t, 20 + t // 2) for t in range(16)]
    frames, true = moved_over(moving_clips.texture(120, 160, 1), picture, shape > 0, places)
    masks = carried(tmp_path, frames, true)
    assert overlap(masks[-4:], true[-4:]) > 0.95


def test_votes_go_with_the_object_and_say_where_they_know_nothing(moving_clips):
    picture = (0.6 * moving_clips.texture(40, 40, 2) + (80, 30, 0)).astype(np.uint8)
    background = moving_clips.texture(120, 160, 1)
    frames, true = moved_over(background, picture, np.ones((40, 40), bool), [(40, 40), (46, 43)])
    nothing = np.zeros(true.shape[1:], np.float32)
    looks = Looks(frames[0], true[0].astype(np.float32), nothing)
    step = np.array([[1.0, 0, 6], [0, 1, 3], [0, 0, 1]])
    looks.move(step, np.eye(3))
    canvas = around(true[1].astype(np.float32))
    new = frames[1].copy()
    new[50:58, 66:76] = (0, 255, 255)  # what neither object nor background had
    share, trust, _ = looks.votes(new, canvas)
    wanted = canvas.take(true[1]) > 0.5
    known = np.ones(true.shape[1:], bool)
    known[46:62, 62:80] = False
    known = canvas.take(known) > 0.5
    assert ((share > 0.5) == wanted)[known].mean() > 0.98
    assert canvas.put(trust)[52:56, 68:74].max() < 0.1 < 0.8 < np.median(trust[known])


@pytest.mark.parametrize("size", [(120, 160), (480, 900)])
def test_a_canvas_keeps_places(size):
    mask = np.zeros(size, np.float32)
    mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] * 3 // 4] = 1
    canvas = around(mask)
    assert np.prod(canvas.size) <= 260.5**2
    back = canvas.put(canvas.take(mask))
    assert ((back > 0.5) != (mask > 0.5)).sum() <= 4
    assert around(np.zeros(size, np.float32)) is None


def test_an_edge_settles_where_the_picture_has_one():
    lab = np.zeros((40, 40, 3), np.float32)
    lab[:, 20:] = 60
    random = np.random.default_rng(0)
    odds = np.where(np.arange(40) < 18, 1.0, -1.0) + random.normal(0, 1, (40, 40))
    odds[:, 17:23] = 0  # nobody says where the edge is
    found = settled(lab, odds.astype(np.float32)) > 0.5
    assert (found == (np.arange(40) < 20)).mean() > 0.97


def test_a_mask_reaches_the_edge_of_its_frame():
    """The canvas ends there too: nothing beyond it counts as empty."""
    mask = np.zeros((360, 640), np.float32)
    mask[100:, :400] = 1
    canvas = around(mask)
    found = canvas.put(canvas.take(mask))
    assert found[200:, 0].min() > 0.999 and found[-1, :300].min() > 0.999
    assert found[:80].max() == 0 and found[:, 480:].max() == 0


@pytest.mark.parametrize("size", [(1, 640), (40, 3), (3, 3)])
def test_clips_thinner_than_the_reach_of_a_vote(size):
    frame = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    mask = np.zeros(size, np.float32)
    mask[: (size[0] + 1) // 2, : (size[1] + 1) // 2] = 1
    looks, canvas = Looks(frame, mask, np.zeros(size, np.float32)), around(mask)
    share, trust, _ = looks.votes(frame, canvas)
    assert np.isfinite(share).all() and np.isfinite(trust).all()
