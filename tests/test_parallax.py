"""Whether windows in time are advised for a background: by parallax, not by light."""

import json

import numpy as np
import pytest

from nvd_core.priors.cautions import find_cautions
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.motion_matches import MatchedClip
from nvd_core.priors.parallax import (
    FEWEST_FRAMES,
    LEAST_ERROR,
    LEAST_GAIN,
    LOOKED_AT,
    BackgroundSheets,
    error_of,
    gain_of,
)
from nvd_core.priors.views import wanted_views
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import split_windows
from nvd_core.settings import fast, paper, update_settings

pytestmark = pytest.mark.slow

COUNT = 30


def fact_of(work, windows: int | None) -> tuple[np.ndarray, dict, list[str]]:
    motion = estimate_global_motion(work, Progress(), windows=[windows])
    facts = json.loads((work / "motion.json").read_text())
    return motion, facts[-1], [text for text in find_cautions(work, facts) if "near parts" in text]


def test_windows_are_advised_where_near_things_shift(tmp_path, moving_clips):
    """And taken where that is asked for; with a number nothing is looked at."""
    moving_clips.walked_past(tmp_path, COUNT, 1.3)
    motion, fact, said = fact_of(tmp_path, LOOKED_AT)
    assert fact["windows"] == [] and fact["evidence"]["windows_gain"] >= LEAST_GAIN
    assert len(said) == 1 and "would take away" in said[0] and "background=auto" in said[0]
    assert "Views in Time: 3" in said[0]
    apart, fact, said = fact_of(tmp_path, None)
    assert fact["windows"] == [[0, 9], [10, 19], [20, 29]]
    assert len(said) == 1 and "background=1 keeps" in said[0]
    whole, fact, said = fact_of(tmp_path, 1)
    assert fact["evidence"] == {} and not said
    np.testing.assert_array_equal(motion, whole)  # looked at, it stays what it was
    assert not np.allclose(apart, whole)


def test_a_wall_in_changing_light_keeps_one_sheet(tmp_path, moving_clips):
    moving_clips.walked_past(tmp_path, COUNT, 1.0, light=0.5)
    _, fact, said = fact_of(tmp_path, None)
    assert fact["windows"] == [] and not said
    assert fact["evidence"].get("windows_gain", 0.0) < LEAST_GAIN


@pytest.mark.parametrize("seed", [None, 3])
def test_a_matte_that_stays_in_the_picture_is_no_parallax(tmp_path, moving_clips, seed):
    """Be it noise that changes, or the same in all frames."""
    moving_clips.walked_past(tmp_path, COUNT, 1.0)
    frames = np.load(tmp_path / "frames.npy")
    matte = np.zeros((1, *frames.shape[1:3]), np.uint8)
    matte[0, -40:] = 255
    once = (1 if seed else COUNT, 40, frames.shape[2], 3)
    frames[:, -40:] = np.random.default_rng(seed or 0).integers(0, 255, once)
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "garbage.npy", matte)
    _, fact, said = fact_of(tmp_path, LOOKED_AT)
    assert fact["evidence"]["sheet_error"] < LEAST_ERROR and not said


def test_a_pan_that_no_sheet_holds_is_no_parallax(tmp_path, moving_clips):
    """Twelve frames long: what lies beyond the sheet is left out of both."""
    high, wide, count = 60, 100, 31
    panorama = moving_clips.texture(high, 13 * wide, 4)
    places = np.linspace(0, 12 * wide, count).round().astype(int)
    np.save(tmp_path / "frames.npy", np.stack([panorama[:, x : x + wide] for x in places]))
    np.save(tmp_path / "masks.npy", np.zeros((0, count, high, wide), np.uint8))
    compute_flow(tmp_path, Progress())
    motions = np.tile(np.eye(3), (count, 1, 1))
    motions[:, 0, 2] = places - places[count // 2]
    apart, split = motions.copy(), split_windows(np.full(count, 9), 3)
    for first, last in split:
        apart[first : last + 1, 0, 2] -= motions[(first + last) // 2, 0, 2]
    sheets = BackgroundSheets(MatchedClip(tmp_path), lambda: None)
    whole = sheets.laid(motions, [(0, count - 1)])
    assert error_of(whole) < LEAST_ERROR
    assert gain_of(whole, sheets.laid(apart, split)) < LEAST_GAIN


def test_a_short_clip_is_not_looked_at(tmp_path, moving_clips):
    moving_clips.walked_past(tmp_path, 6, 2.5)
    assert FEWEST_FRAMES > 6
    _, fact, _ = fact_of(tmp_path, None)
    assert fact["windows"] == [] and fact["evidence"] == {}


@pytest.mark.parametrize(
    ("windows", "wanted"),
    [
        ("auto", LOOKED_AT),
        ({"toy": 4}, LOOKED_AT),
        ({"background": "auto"}, None),
        ({"background": 1}, 1),
        ({"background": 5}, 5),
        (1, 1),
        (3, 1),
    ],
)
def test_what_is_asked_of_the_background(windows, wanted):
    settings = update_settings(fast(), {"windows": windows})
    assert wanted_views(settings, ["toy"], "background")["background"] == wanted
    settings.mapping.start = "identity"
    if wanted in (LOOKED_AT, None):
        assert wanted_views(settings, ["toy"], "background")["background"] == 1
    assert wanted_views(paper(), ["toy"], "background")["background"] == 1
