"""The traffic light of a layer: which figure decides, and what is said."""

import re
from pathlib import Path

import pytest

from nvd_core.evaluation.paintable import AMBER, GREEN, GREY, MEASURES, RED, WORDS, judge

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "report.md"
GOOD = {
    "folded_by_layer": 0.0,
    "flicker_by_layer": 0.16,
    "alpha_iou": 0.98,
    "apart_by_layer": 0.0,
    "psnr_without_residual_by_layer": 23.7,
    "stretched_by_layer": 0.0,
    "coverage": 0.7,
}
"""about those of the bear of docs/method/clips.md, which takes paint well"""


def report(**changed) -> dict:
    return {key: {"bear": value} for key, value in (GOOD | changed).items()}


def test_good_figures_are_green():
    verdict = judge(report(), "bear")
    assert (verdict.light, verdict.words) == (GREEN, WORDS[GREEN])
    assert "flicker 0.16 px" in verdict.reason and "23.7 dB" in verdict.reason
    assert [light for _, _, light in verdict.rows] == [GREEN] * len(MEASURES)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.key)
def test_every_figure_can_decide_alone(measure):
    step = 1e-6 if measure.more_is_better else -1e-6
    lights = {measure.good: GREEN, measure.good - step: AMBER, measure.bad: AMBER}
    lights |= {measure.bad - step: RED}
    for value, light in lights.items():
        verdict = judge(report(**{measure.key: value}), "bear")
        assert verdict.light == light, value
        if light != GREEN:
            words = measure.amber if light == AMBER else measure.red
            assert verdict.reason.lower().startswith(words.lower())
            assert measure.text(value) in verdict.reason
            assert re.fullmatch(r"[A-Z][^.]*(\.\d+[^.]*)*\.", verdict.reason)  # one sentence


def test_what_was_not_measured_counts_neither_way():
    verdict = judge(report(alpha_iou=None, flicker_by_layer=None), "bear")
    assert verdict.light == GREEN
    lights = {measure.key: light for measure, _, light in verdict.rows}
    assert lights["alpha_iou"] == lights["flicker_by_layer"] == GREY
    without = report()
    without["alpha_iou"] = {}
    verdict = judge(without, "bear")
    assert verdict.light == GREEN and "outline was not checked" in verdict.reason
    assert "outline" not in judge(without, "bear", is_object=False).reason


def test_the_worst_figure_is_the_reason_and_others_are_named():
    verdict = judge(report(flicker_by_layer=3.0, alpha_iou=0.1, coverage=0.2), "bear")
    assert verdict.light == RED
    assert verdict.reason.startswith("Paint trembles") and "outline is no better" in verdict.reason
    assert "seen texels" not in verdict.reason  # only amber


def test_a_layer_that_is_never_seen_is_red():
    verdict = judge(report(folded_by_layer=None, coverage=0.0), "bear")
    assert verdict.light == RED and "no pixel" in verdict.reason


def test_the_guide_has_these_thresholds():
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| .+ \|$", GUIDE.read_text("utf-8"), re.M)
    found = {title: (good, bad) for title, good, bad in rows}
    for measure in MEASURES:
        signs = ("≥", "<") if measure.more_is_better else ("≤", ">")
        wanted = tuple(
            f"{sign} {measure.text(value)}"
            for sign, value in zip(signs, (measure.good, measure.bad), strict=True)
        )
        assert found.get(measure.title) == wanted
