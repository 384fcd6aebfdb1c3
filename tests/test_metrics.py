"""Metrics: each against figures worked out by hand."""

import math

import numpy as np
import pytest

from nvd_core.evaluation.metrics import (
    BEST_PSNR,
    FoldMeter,
    IouMeter,
    PsnrMeter,
    psnr,
    squared_error,
    ssim,
)
from nvd_core.shot.maps import FrameMaps


def grey(value, height=32, width=40):
    return np.full((height, width, 3), value, np.float32)


def test_psnr_of_known_errors():
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(1.0) == 0
    assert psnr(0.0) == BEST_PSNR
    assert squared_error(grey(0.5), grey(0.75)) == pytest.approx(0.0625)
    with pytest.raises(ValueError, match="one shape"):
        squared_error(grey(0), grey(0)[:1])


def test_psnr_of_a_clip_comes_from_the_overall_error():
    meter = PsnrMeter()
    assert meter.add(grey(0.5), grey(0.6)) == pytest.approx(20, abs=1e-5)
    assert meter.add(grey(0.5), grey(0.5)) == BEST_PSNR
    assert meter.value == pytest.approx(10 * math.log10(2 / 0.01), abs=1e-5)
    assert meter.per_frame == pytest.approx([20, BEST_PSNR], abs=1e-5)


def test_ssim():
    random = np.random.default_rng(0)
    image = random.random((40, 50, 3), np.float32)
    noisy = (image + random.normal(0, 0.1, image.shape)).clip(0, 1).astype(np.float32)
    assert ssim(image, image) == pytest.approx(1, abs=1e-6)
    assert 0.7 < ssim(noisy, image) < 0.99
    # constant images: only the term of luminance is left
    expected = (2 * 0.5 * 0.7 + 1e-4) / (0.5**2 + 0.7**2 + 1e-4)
    assert ssim(grey(0.5), grey(0.7)) == pytest.approx(expected, abs=1e-4)


def test_iou_sums_over_frames():
    meter = IouMeter()
    assert meter.value is None
    alpha, mask = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.uint8)
    meter.add(alpha, mask)
    assert meter.value is None
    alpha[:5], mask[:, :5] = 0.51, 128
    alpha[5:], mask[:, 5:] = 0.5, 127
    meter.add(alpha, mask)
    assert meter.value == pytest.approx(25 / 75)
    meter.add(np.ones((10, 10), np.float32), np.full((10, 10), 255, np.uint8))
    assert meter.value == pytest.approx(125 / 175)
    with pytest.raises(ValueError, match="shape"):
        meter.add(alpha, mask[:5])


def maps_of(u, v, alpha):
    return FrameMaps(
        np.stack([u, v, alpha], -1)[None].astype(np.float32), np.ones((1, *u.shape, 3))
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_folds_are_what_differs_from_the_majority(mirrored):
    y, x = np.mgrid[0:20, 0:30].astype(np.float32)
    u, v = x / 30, 1 - y / 20
    u[:, 24:] = (48 - x[:, 24:]) / 30  # turned over from column 24 on
    if mirrored:
        u = 1 - u
    meter = FoldMeter()
    meter.add(maps_of(u, v, np.ones_like(u)), 0)
    # of 29 pairs of columns the last five run backwards
    assert meter.total == 29 * 19
    assert meter.value == pytest.approx(5 / 29)


def test_folds_count_only_pixels_inside_the_layer():
    y, x = np.mgrid[0:20, 0:30].astype(np.float32)
    u, v, alpha = x / 30, 1 - y / 20, np.ones((20, 30))
    u[5, 5] = 0.9
    alpha[:, :10] = 0.5
    meter = FoldMeter()
    meter.add(maps_of(u, v, alpha), 0)
    assert meter.value == 0
    assert meter.total == 19 * 19
    empty = FoldMeter()
    empty.add(maps_of(u, v, alpha * 0), 0)
    assert empty.value is None


def test_the_majority_is_that_of_the_whole_clip():
    y, x = np.mgrid[0:20, 0:30].astype(np.float32)
    meter = FoldMeter()
    for u in (x / 30, x / 30, 1 - x / 30):
        meter.add(maps_of(u, 1 - y / 20, np.ones_like(x)), 0)
    assert meter.value == pytest.approx(1 / 3)
