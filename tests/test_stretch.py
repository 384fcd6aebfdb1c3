"""Stretch of coordinates and change of light, each against figures worked out by hand."""

import numpy as np
import pytest

from nvd_core.evaluation.stretch import StretchMeter, singular_values
from nvd_core.evaluation.truth.light import LightMeter
from nvd_core.evaluation.truth.tracks import Tracks
from nvd_core.shot.maps import FrameMaps

HEIGHT, WIDTH = 20, 30


def test_singular_values():
    random = np.random.default_rng(0)
    matrices = random.normal(size=(50, 2, 2))
    largest, smallest = singular_values(matrices[:, :, 0], matrices[:, :, 1])
    expected = np.linalg.svd(matrices, compute_uv=False)
    np.testing.assert_allclose(np.stack([largest, smallest], -1), expected, atol=1e-12)


def maps_of(x: np.ndarray, y: np.ndarray) -> FrameMaps:
    """Pixels at texels (x, y) of a texture of 300 x 200."""
    uva = np.stack([x / 300, 1 - y / 200, np.ones_like(x)], -1)[None].astype(np.float32)
    return FrameMaps(uva, np.ones((1, *x.shape, 3), np.float32))


def test_stretch_counts_both_ways():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    meter = StretchMeter((300, 200))
    meter.add(maps_of(3 * x, 3 * y), 0)
    assert meter.value == 0 and meter.total == 29 * 19
    wide = np.where(x < 20, x, 20 + 5 * (x - 20))  # five texels a pixel from column 20 on
    meter.add(maps_of(wide, y), 0)
    assert meter.extreme == 9 * 19
    meter.add(maps_of(0.2 * x, y), 0)
    assert meter.extreme == 9 * 19 + 29 * 19
    hidden = maps_of(0.2 * x, y)
    hidden.uva[..., 2] = 0
    empty = StretchMeter((300, 200))
    empty.add(hidden, 0)
    assert empty.value is None


def light_meter(learned, true, frames: int = 6) -> LightMeter:
    """`learned` and `true` give the light at (t, x) of a still wall with four points."""
    points = np.array([[(5 + 5 * k, 10)] * frames for k in range(4)], float)
    occluded = np.zeros((4, frames), bool)
    occluded[3, 2:] = True
    meter = LightMeter(Tracks(points, occluded, np.zeros(4, int)))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    for t in range(frames):
        maps = maps_of(x, y)
        maps.residual[0] = learned(t, x)[..., None]
        light = np.repeat(true(t, x)[..., None], 3, 2)
        meter.add(maps, light, np.ones((1, HEIGHT, WIDTH)))
    return meter


def test_light_that_changes_alike_correlates():
    def true(t, x):
        return 1 + 0.4 * np.sin(t + x / 5)

    # twice as bright, with a pattern that stays on the surface: both belong to the texture
    assert light_meter(lambda t, x: true(t, x) * (2 + np.sin(x)), true).value(0) == pytest.approx(1)
    assert light_meter(lambda t, x: 1 / true(t, x), true).value(0) == pytest.approx(-1)
    assert light_meter(lambda t, x: 0 * x + 1, true).value(0) == 0


def test_light_that_stays_says_nothing():
    assert light_meter(lambda t, x: 1 + 0.1 * t + 0 * x, lambda t, x: 1 + x / 30).value(0) is None
    assert light_meter(lambda t, x: 1 + 0 * x, lambda t, x: 1 + t + 0 * x).value(1) is None
