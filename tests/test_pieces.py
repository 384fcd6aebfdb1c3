"""Objects that do not hang together are said: before the training, and in the report."""

import numpy as np
import pytest

from nvd_core.evaluation.metrics import PiecesMeter
from nvd_core.evaluation.paintable import RED, judge
from nvd_core.priors.cautions import _about_object
from nvd_core.priors.pieces import apart


def discs(*places: tuple[int, int, int], size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.any([(x - a) ** 2 + (y - b) ** 2 <= r * r for a, b, r in places], axis=0)


def test_what_lies_outside_the_largest_piece():
    large, small = discs((20, 20, 12)), discs((50, 50, 6))
    assert apart(large | small) == (small.sum(), (large | small).sum())
    assert apart(large) == (0, large.sum())
    assert apart(np.zeros((8, 8), bool)) == (0, 0)
    corner = np.eye(5, dtype=bool)
    assert apart(corner) == (0, 5)  # pixels that touch at a corner hang together


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (discs((30, 30, 14)), False),
        (discs((25, 30, 14), (55, 30, 4)), False),  # a cyclist's wheel behind a tree
        (discs((16, 32, 10), (48, 32, 10)), True),  # two movers taken for one
        (np.random.default_rng(0).random((64, 64)) < 0.2, True),  # a scatter
    ],
)
def test_masks_are_told_before_the_training(mask, said):
    masks = np.repeat(mask[None].astype(np.uint8) * 255, 4, 0)
    texts = [text for text in _about_object(0, 1, masks) if "scatter of pieces" in text]
    assert bool(texts) == said


def test_a_scatter_is_red_in_the_report():
    meter = PiecesMeter()
    assert meter.value is None
    meter.add(discs((16, 32, 10), (48, 32, 10)).astype(np.float32))
    meter.add(np.zeros((64, 64), np.float32))
    assert meter.value == pytest.approx(0.5, abs=0.01)
    keys = ("folded_by_layer", "flicker_by_layer", "stretched_by_layer")
    report = {key: {"them": 0.0} for key in keys}
    report |= {"psnr_without_residual_by_layer": {"them": 32.0}, "coverage": {"them": 1.0}}
    report |= {"alpha_iou": {}, "apart_by_layer": {"them": meter.value}}
    verdict = judge(report, "them")
    assert verdict.light == RED and "several objects" in verdict.reason
