"""Tracks: TAP-Vid's scores against figures worked out by hand, prediction through known maps."""

import numpy as np
import pytest

from nvd_core.evaluation.truth.tracks import TrackMeter, Tracks, read_tracks, tapvid_scores
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps

FRAMES, HEIGHT, WIDTH = 5, 30, 40


def four_points(distance: float):
    """One track of four frames: query, then predictions `distance` away from the truth."""
    points = np.zeros((1, 4, 2))
    points[0, :, 0] = (10, 20, 30, 40)
    predicted = points.copy()
    predicted[0, 1:, 1] += distance
    return points, np.zeros((1, 4), bool), predicted, np.zeros((1, 4), bool)


def test_perfect_tracks():
    assert tapvid_scores(*four_points(0)) == {"AJ": 1, "delta_avg": 1, "OA": 1, "points": 1}


DISTANCES = [(0.9, 1), (1, 0.8), (3, 0.6), (15.9, 0.2), (16, 0)]


@pytest.mark.parametrize(("distance", "share"), DISTANCES)
def test_distances_count_by_threshold(distance, share):
    scores = tapvid_scores(*four_points(distance))
    # where a visible prediction is too far it is a false positive too: 0 of 3 + 3
    assert scores["delta_avg"] == share and scores["AJ"] == share and scores["OA"] == 1


def test_jaccard_counts_misses_and_false_alarms():
    points, occluded, predicted, hidden = four_points(0)
    occluded[0, 3] = True  # said to be visible: a false positive
    hidden[0, 2] = True  # visible, said to be hidden: a miss
    scores = tapvid_scores(points, occluded, predicted, hidden)
    # frames 1 to 3: one true positive, two visible, one false positive
    assert scores["AJ"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["delta_avg"] == 1 and scores["OA"] == pytest.approx(1 / 3, abs=1e-4)


def test_what_is_too_far_is_missed_and_a_false_alarm_at_once():
    points, occluded, predicted, hidden = four_points(0)
    predicted[0, 1] += 100
    scores = tapvid_scores(points, occluded, predicted, hidden)
    # two true positives, three visible, one false positive
    assert scores["AJ"] == 0.5 and scores["delta_avg"] == pytest.approx(2 / 3, abs=1e-4)


def test_only_frames_after_the_first_visible_one_count():
    points, occluded, predicted, hidden = four_points(0)
    occluded[0, :2] = True
    predicted[0, :3] = 99
    hidden[0, :2] = False
    assert tapvid_scores(points, occluded, predicted, hidden)["AJ"] == 1
    occluded[:] = True
    assert tapvid_scores(points, occluded, predicted, hidden)["AJ"] is None


def sliding_maps(t: int, hidden_from: int = WIDTH) -> FrameMaps:
    """An object of 20 x 20 px that goes 3 px a frame to the right before a still background."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    left = 2 + 3 * t
    u, v = (x - left + 0.5) / 20, 1 - (y - 5 + 0.5) / 20
    alpha = ((u > 0) & (u < 1) & (v > 0) & (v < 1) & (x < hidden_from)).astype(np.float32)
    uva = np.zeros((2, HEIGHT, WIDTH, 3), np.float32)
    uva[0] = np.stack([u, v, alpha], -1) * alpha[..., None]
    uva[1] = np.stack([(x + 0.5) / WIDTH, 1 - (y + 0.5) / HEIGHT, 1 - alpha], -1)
    uva[1] *= (1 - alpha)[..., None]
    return FrameMaps(uva, np.ones((2, HEIGHT, WIDTH, 3), np.float32))


def followed(tracks: Tracks, **options) -> TrackMeter:
    meter = TrackMeter(tracks, [(20, 20), (WIDTH, HEIGHT)])
    for t in range(FRAMES):
        meter.add(sliding_maps(t, **options))
    return meter


def moving_points() -> Tracks:
    """One on the object, one on the background that the object then hides."""
    points = np.zeros((2, FRAMES, 2))
    points[0] = [(10 + 3 * t, 12) for t in range(FRAMES)]
    points[1] = (31, 12)
    occluded = np.zeros((2, FRAMES), bool)
    occluded[1] = [2 + 3 * t <= 31 < 22 + 3 * t for t in range(FRAMES)]
    return Tracks(points, occluded, np.array([0, 1]))


def test_points_are_followed_through_the_texture():
    meter = followed(moving_points())
    np.testing.assert_array_equal(meter.predicted[0], moving_points().points[0])
    np.testing.assert_array_equal(meter.hidden, moving_points().occluded)
    assert meter.scores(WIDTH, HEIGHT)["AJ"] == 1
    assert meter.scores(WIDTH, HEIGHT, 0)["points"] == 1
    without_layers = Tracks(moving_points().points, moving_points().occluded)
    assert followed(without_layers).scores(WIDTH, HEIGHT)["AJ"] == 1


def test_a_swimming_mapping_is_seen():
    meter = TrackMeter(moving_points(), [(20, 20), (WIDTH, HEIGHT)])
    for t in range(FRAMES):
        maps = sliding_maps(t)
        maps.uva[0, ..., 0] += 0.1 * (t % 2)  # two pixels to and fro
        meter.add(maps)
    assert np.abs(meter.predicted[0, 1] - moving_points().points[0, 1]).max() == 2
    # 2 px of 40 are 12.8 of 256: only the threshold 16 is met in two of four frames
    assert meter.scores(WIDTH, HEIGHT, 0)["delta_avg"] == pytest.approx((4 * 0.5 + 1) / 5)


def test_what_is_cut_off_counts_as_hidden():
    meter = followed(moving_points(), hidden_from=13)
    # in frame 1 the point lies a pixel behind the edge: too near to tell
    assert meter.hidden[0].tolist() == [False, False, True, True, True]


def saved(path, **changes):
    tracks = moving_points()
    arrays = {"points": tracks.points, "occluded": tracks.occluded} | changes
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    return path


def test_files_of_other_sizes_are_brought_to_the_clip(tmp_path):
    read = read_tracks(saved(tmp_path / "own.npz"), FRAMES, WIDTH, HEIGHT)
    np.testing.assert_array_equal(read.points, moving_points().points)
    assert read.layer is None and read.query.tolist() == [0, 0]
    unit = (moving_points().points + 0.5) / (WIDTH, HEIGHT)
    path = saved(tmp_path / "tapvid.npz", points=unit, size=np.array([1, 1]))
    np.testing.assert_allclose(read_tracks(path, FRAMES, WIDTH, HEIGHT).points, read.points)


@pytest.mark.parametrize(
    "changes",
    [
        {"points": None},
        {"points": np.zeros((2, FRAMES, 3))},
        {"points": np.full((2, FRAMES, 2), np.nan)},
        {"points": np.zeros((2, 3, 2)), "occluded": np.zeros((2, 3), bool)},
        {"occluded": np.array([{}, {}], object)},
        {"layer": np.zeros(5, int)},
        {"layer": np.zeros(2)},
    ],
)
def test_files_that_hold_no_tracks_are_refused(tmp_path, changes):
    path = saved(tmp_path / "bad.npz", **changes)
    with pytest.raises(NvdError, match="does not hold tracks"):
        read_tracks(path, FRAMES, WIDTH, HEIGHT)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    for path in (tmp_path / "text.npz", tmp_path / "absent.npz"):
        with pytest.raises(NvdError, match="does not hold tracks"):
            read_tracks(path, FRAMES, WIDTH, HEIGHT)
