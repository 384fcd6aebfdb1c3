"""Whether windows in time are advised for a background: by parallax, not by light."""

import json

import numpy as np
import pytest

from nvd_core.priors.cautions import find_cautions
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.parallax import FEWEST_FRAMES, LEAST_GAIN, LOOKED_AT
from nvd_core.priors.views import wanted_views
from nvd_core.runtime.progress import Progress
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
