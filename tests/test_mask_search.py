"""Looking for a lost object along a path, by its motion as well as by its looks; its pose; and what
is behind it."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import dis_flow
from nvd_core.priors.mask_canvas import around
from nvd_core.priors.mask_plate import Plate
from nvd_core.priors.mask_pose import checked_step, points_of
from nvd_core.priors.mask_search import (
    REACH,
    Search,
    Sight,
    View,
    along_with,
    best_start,
    residual_motion,
)

pytestmark = pytest.mark.slow


def scored(*places) -> np.ndarray:
    """A map of scores with some (x, y, score) around its middle."""
    scores = np.full((2 * REACH + 1, 2 * REACH + 1), -1.0, np.float32)
    for x, y, score in places:
        scores[REACH + y, REACH + x] = score
    return scores


def test_a_path_goes_through_frames_in_which_nothing_shows():
    """A place that is better for one frame, and from which no path leads on, is not taken."""
    nothing = scored()
    maps = [scored((1, 0, 0.4), (3, 0, 0.5)), nothing, nothing, scored((1, 1, 0.8))]
    assert tuple(best_start(maps)) == (1, 0)
    assert tuple(best_start(maps[:1])) == (1, 0), "farther away costs more"
    assert tuple(best_start([nothing])) == (0, 0)
    ahead = [scored((4, 0, 0.4), (-1, 0, 0.5)), *(scored((k, 0, 0.9)) for k in (5, 6, 6))]
    assert best_start(ahead)[0] > 0, "it is where it will be seen later"


@pytest.fixture(scope="module")
def sights(moving_clips):
    """A block that moves by 5 px a frame over a background that moves by -3, behind a post in the
    first frames; a thing that looks like it stands on the background where it comes out."""
    picture = (0.5 * moving_clips.texture(30, 30, 2) + (110, 30, 0)).astype(np.uint8)
    wall = moving_clips.texture(120, 260, 1)
    wall[50:80, 150:180] = picture
    frames, places = [], []
    for t in range(9):
        frame = wall[:, 3 * t : 3 * t + 200].copy()
        places.append(np.array([75 + 5 * t, 65]))
        x = places[-1][0] - 15
        frame[50:80, x : x + 30] = picture
        if t < 6:
            frame[:, 60:130] = (40, 60, 40)
        frames.append(frame)
    behind = np.array([[1.0, 0, -3], [0, 1, 0], [0, 0, 1]])
    view = View(picture.astype(np.float32), np.ones((30, 30), np.float32), 900.0)

    def sight(k: int) -> Sight | None:
        if not 0 <= k < 8:
            return None
        grey = [cv2.cvtColor(frames[n], cv2.COLOR_RGB2GRAY) for n in (k, k + 1)]
        flow = dis_flow(*grey)
        odds = np.zeros(frames[k].shape[:2], np.float32)
        residual = residual_motion(flow, behind)
        return Sight(frames[k], odds, behind, residual, np.ones_like(odds))

    return view, sight, places


def test_it_is_found_where_it_comes_out_and_not_what_looks_like_it(sights):
    view, sight, places = sights
    search = Search([view], 900.0, np.array([8.0, 0.0]), sight)
    place = places[0] - [5, 0]
    for k in range(8):
        match, place = search.find(k, place)
        assert np.abs(place - places[k]).max() < 5, k
    assert match is not None and match.score > 0.25
    assert np.abs(match.place - places[7]).max() < 3


def test_motion_tells_what_moves_with_it_from_what_moves_against_the_background(sights):
    _, sight, places = sights
    seen = sight(7)
    with_it = along_with(seen, np.array([8.0, 0.0]))
    x, y = places[7]
    assert with_it[y - 8 : y + 8, x - 8 : x + 8].mean() > 0.6
    assert with_it[:40, 20:].mean() < -0.6
    against = along_with(seen, np.array([-8.0, 0.0]))
    assert against[y - 8 : y + 8, x - 8 : x + 8].mean() <= 0.05
    assert np.abs(along_with(seen, np.zeros(2))).max() < 1e-6, "what stands still is not told"


def lab_of(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def test_a_step_is_checked_by_the_looks(moving_clips):
    """Its flow is that of what passes in front; two thirds of it are hidden."""
    picture = (0.6 * moving_clips.texture(48, 48, 2) + (80, 30, 0)).astype(np.uint8)
    frames = [moving_clips.texture(120, 200, 1) for _ in range(2)]
    mask = np.zeros((120, 200), np.float32)
    mask[40:88, 60:108] = 1
    frames[0][40:88, 60:108] = picture
    frames[1][43:91, 66:114] = picture
    frames[1][:, 66:98] = (40, 60, 40)
    look = points_of(lab_of(frames[0]), mask), np.eye(3)
    wrong = shift(-20, 0)
    step = checked_step(lab_of(frames[1]), [look], [wrong, shift(4, 1)])
    assert np.abs(step - shift(6, 3)).max() <= 1
    right = shift(6.4, 2.7)
    assert checked_step(lab_of(frames[1]), [look], [right, wrong]) is right
    assert checked_step(lab_of(frames[1]), [(None, np.eye(3))], [wrong]) is wrong


def test_a_shadow_is_background_and_what_is_new_is_not(moving_clips):
    wall = moving_clips.texture(120, 160, 1)
    picture = (0.6 * moving_clips.texture(30, 30, 2) + (80, 30, 0)).astype(np.uint8)
    mask = np.zeros((120, 160), np.float32)

    def frame_at(x: int, shadow: int) -> np.ndarray:
        frame = wall.copy()
        part = np.s_[70:90, x + shadow : x + shadow + 20]
        frame[part] = (0.6 * frame[part]).astype(np.uint8)
        frame[40:70, x : x + 30] = picture
        return frame

    mask[40:70, 40:70] = 1
    plate = Plate(frame_at(40, 5), mask)
    for t in range(1, 5):
        frame, now = frame_at(40 + 10 * t, 5), np.roll(mask, 10 * t, 1)
        plate.move(np.eye(3))
        canvas = around(now)
        looked = plate.look(frame, canvas)
        odds = canvas.put(plate.odds(looked))
        plate.learn(looked, canvas.take(now))
        plate.add(frame, now)
    assert odds[50:60, 102:108].mean() > 1, "in front of what was seen"
    assert odds[73:87, 88:102].mean() < -0.2, "its shadow"
    assert odds[32:37, 75:100].mean() < -0.5


def test_what_is_thinner_than_a_cell_is_found_again(moving_clips):
    """A railing fills no cell by half; the cells that are most its own are compared."""
    mask = np.zeros((90, 150), np.float32)
    mask[:, ::14] = mask[:, 1::14] = mask[:, 2::14] = 1
    bars = np.full((*mask.shape, 3), (200, 30, 30), np.float32)
    view = View(bars * mask[..., None] + 90 * (1 - mask[..., None]), mask, float(mask.sum()))
    behind = moving_clips.texture(180, 320, 1)
    frame = behind.copy()
    frame[40:130, 100:250][mask > 0] = (200, 30, 30)
    flat = np.zeros(frame.shape[:2], np.float32)
    sight = Sight(frame, flat, np.eye(3), np.zeros((*flat.shape, 2), np.float32), flat)
    search = Search([view], view.area, np.zeros(2), lambda k: sight if k < 2 else None)
    match, _ = search.find(0, np.array([165.0, 90.0]))
    assert match is not None and np.abs(match.place - (175, 85)).max() < 15, "or one bar beside"


def test_what_is_too_small_to_be_compared_is_nowhere():
    dot = View(np.full((1, 1, 3), 200, np.float32), np.ones((1, 1), np.float32), 1e4)
    flat = np.zeros((60, 80), np.float32)
    frame = np.zeros((60, 80, 3), np.uint8)
    sight = Sight(frame, flat, np.eye(3), np.zeros((60, 80, 2), np.float32), flat)
    match, place = Search([dot], 1.0, np.zeros(2), lambda k: sight).find(0, np.array([40.0, 30.0]))
    assert match is None and tuple(place) == (40, 30)
