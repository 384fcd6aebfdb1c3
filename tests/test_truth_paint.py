"""Recall, ghost, seen and later, re-appearance, seams and soft edges, on cases made by hand."""

import numpy as np
import pytest

from nvd_core.evaluation.truth.edit_fidelity import over
from nvd_core.evaluation.truth.paint_meters import (
    Painted,
    PaintMeter,
    SeamMeter,
    SoftMeter,
    went,
)
from nvd_core.evaluation.truth.tracks import TrackMeter, Tracks

NAMES = ["toy", "background"]
RED, GREEN = np.float32([0.9, 0.1, 0.1]), np.float32([0.1, 0.9, 0.1])
SIZE = 20, 30


def painted_frame(true=(), given=(), ours=()) -> Painted:
    """A grey frame whose left half is the toy; each of the three is a list of (rows, columns) with
    red paint on the toy: in truth, of that in the edit frame, and as rendered."""
    frame = np.full((*SIZE, 3), 0.5, np.float32)
    alphas = np.zeros((2, *SIZE), np.float32)
    alphas[0, :, :15] = 1
    alphas[1] = 1 - alphas[0]
    shares, pictures = np.zeros((2, 2, *SIZE), np.float32), [frame.copy(), frame.copy()]
    for k, places in enumerate((true, given)):
        for place in places:
            shares[k, 0][place] = 1
    for place in true:
        pictures[0][place] = RED
    for place in ours:
        pictures[1][place] = RED
    return Painted(pictures[1], pictures[0], frame, shares[0], shares[1], alphas, None)


def figures(*frames: Painted, edit_frames=(0,)) -> dict:
    meter = PaintMeter(np.stack([RED, GREEN]), list(edit_frames))
    for frame in frames:
        meter.add(frame)
    return meter.values(NAMES)


WORD = np.s_[2:6, 2:6]  # 16 pixels
BACK = np.s_[10:14, 2:6]


def test_all_paint_in_its_place():
    frame = painted_frame([WORD], [WORD], [WORD])
    found = figures(frame, frame, frame)
    assert found["recall"] == {"all": 1, "toy": 1, "background": None}
    assert found["ghost"] == {"all": 0, "toy": 0, "background": None}
    assert found["seen"]["recall"] == 1 and found["later"] == {"edit_psnr": None, "recall": None}
    assert found["reappeared"] == {"edit_psnr": None, "recall": None}


def test_recall_is_the_share_that_got_paint():
    """Of sixteen pixels four have no paint; the edit frame itself is no merit."""
    edit = painted_frame([WORD], [WORD], [WORD])
    other = painted_frame([WORD], [WORD], [np.s_[2:5, 2:6]])
    found = figures(edit, other)
    assert found["recall"]["toy"] == 0.75 and found["ghost"]["all"] == 0
    lost = ((RED - 0.5) ** 2).mean() * 4 / 16
    assert found["seen"]["edit_psnr"] == pytest.approx(-10 * np.log10(lost), abs=0.001)


def test_a_ghost_on_the_back_is_seen():
    edit = painted_frame([WORD], [WORD], [WORD])
    turned = painted_frame([], [], [BACK])
    found = figures(edit, turned)
    assert found["ghost"] == {"all": 1.0, "toy": 1.0, "background": None}
    assert figures(edit, painted_frame([WORD], [WORD], [WORD, np.s_[10:12, 2:6]]))["ghost"][
        "all"
    ] == pytest.approx(8 / 32)


def test_paint_on_the_wrong_object_is_its_ghost():
    edit = painted_frame([WORD], [WORD], [WORD])
    run = painted_frame([WORD], [WORD], [WORD, np.s_[2:4, 20:24]])
    found = figures(edit, run)
    assert found["ghost"]["toy"] == 0 and found["ghost"]["all"] == pytest.approx(8 / 32)


def test_blur_at_the_edge_is_no_ghost():
    edit = painted_frame([WORD], [WORD], [np.s_[0:8, 0:8]])
    assert figures(edit, edit)["ghost"]["all"] == 0


def test_seen_and_later_apart():
    """The back is painted in truth and never given: recall and the edit of what was seen stay."""
    edit = painted_frame([WORD], [WORD], [WORD])
    turned = painted_frame([WORD, BACK], [WORD], [WORD])
    found = figures(edit, turned)
    assert found["recall"]["all"] == 1 and found["seen"]["edit_psnr"] == 100
    assert found["later"]["recall"] == 0
    missed = ((RED - 0.5) ** 2).mean()
    assert found["later"]["edit_psnr"] == pytest.approx(-10 * np.log10(missed), abs=0.001)
    both = figures(edit, painted_frame([WORD, BACK], [WORD], [WORD, BACK]))
    assert both["later"]["recall"] == 1 and both["ghost"]["all"] == 0


def test_without_given_nothing_is_told_apart():
    frame = painted_frame([WORD], [WORD], [WORD])
    frame.given = None
    found = figures(frame, frame)
    assert found["recall"]["all"] == 1
    assert found["seen"] == found["later"] == {"edit_psnr": None, "recall": None}


def test_what_comes_back_is_scored_alone():
    shown, hidden = painted_frame([WORD], [WORD], [WORD]), painted_frame()
    lost = painted_frame([WORD], [WORD], [np.s_[2:4, 2:6]])
    found = figures(shown, shown, hidden, lost, lost)
    assert found["reappeared"]["recall"] == 0.5
    assert found["recall"]["all"] == pytest.approx(2 / 3, abs=1e-4)
    before = figures(lost, hidden, shown, shown, edit_frames=(2,))
    assert before["reappeared"]["recall"] == 0.5, "also what lies before the edit frame"


def test_strong_light_on_paint_is_no_miss():
    """The truth in half the light: an edit in the same light has all of its paint."""
    frame = painted_frame([WORD], [WORD], [WORD])
    for picture in (frame.edited, frame.true, frame.frame):
        picture *= 0.5
    frame.light = np.full((*SIZE, 3), 0.5, np.float32)
    turned = painted_frame([], [], [BACK])
    turned.edited *= 0.5
    turned.frame, turned.true, turned.light = turned.frame * 0.5, turned.true * 0.5, frame.light
    found = figures(frame, frame, turned)
    assert found["recall"]["all"] == 1 and found["ghost"]["all"] == 0.5


def test_half_of_the_way_is_what_counts():
    frame, target = np.zeros((1, 3, 3)), np.full((1, 3, 3), 0.8)
    edited = np.stack([target[0, 0] * share for share in (0.25, 0.5, 1)])[None]
    share, told = went(edited, frame, target)
    np.testing.assert_allclose(share[0], [0.25, 0.5, 1])
    assert told.all() and not went(edited, frame, frame + 0.01)[1].any()


def test_seams_count_within_six_pixels():
    true = np.full((40, 40, 3), 0.5, np.float32)
    border, painted = np.zeros((40, 40), bool), np.ones((40, 40), np.float32)
    border[:, 20] = True
    meter = SeamMeter()
    meter.add(true + 0.1, true, painted, None)
    meter.add(true + 0.1, true, painted, np.zeros_like(border))
    assert meter.value is None
    far = true.copy()
    far[:, :13] += 0.3  # more than 6 px away
    far[:, 14:16] += 0.1  # columns 14 to 26 are near
    meter.add(far, true, painted, border)
    assert meter.value == pytest.approx(-10 * np.log10(0.01 * 2 / 13), abs=0.01)


def test_soft_edges_alone():
    true = np.array([[0, 0, 0.2, 0.5, 0.8, 1, 1]], np.float32)
    hard = (true > 0.4).astype(np.float32)
    meter = SoftMeter()
    assert meter.value is None
    meter.add(hard, true)
    meter.add(true, true)
    assert meter.value == pytest.approx((0.2 + 0.5 + 0.2) / 6)


def test_over_keeps_the_front():
    front, back = np.zeros((1, 3, 4), np.float32), np.zeros((1, 3, 4), np.float32)
    front[0, 0], front[0, 1] = (1, 0, 0, 1), (1, 0, 0, 0.5)
    back[0, 1:] = (0, 1, 0, 1)
    laid = over(front, back)
    np.testing.assert_allclose(laid[0], [(1, 0, 0, 1), (0.5, 0.5, 0, 1), (0, 1, 0, 1)])


def test_tracks_after_an_occlusion():
    """A point that is hidden in frame 2: only what comes after counts, and it is lost there."""
    points = np.tile(np.array([[[10.0, 10]]]), (2, 5, 1))
    occluded = np.zeros((2, 5), bool)
    occluded[0, 2] = True
    meter = TrackMeter(Tracks(points, occluded, np.zeros(2, int)), [(64, 64)])
    meter.predicted[:] = points
    meter.hidden[:] = occluded
    meter.predicted[0, 3:] += 200
    assert meter.scores(256, 256)["delta_avg"] == pytest.approx(5 / 7, abs=1e-4)
    again = meter.scores(256, 256, again=True)
    assert again["delta_avg"] == 0 and again["points"] == 1
    meter.tracks.occluded[:] = False
    assert meter.scores(256, 256, again=True) is None
