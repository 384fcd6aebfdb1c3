"""Flicker of coordinates, and PSNR inside a layer: on maps whose answer is known."""

import numpy as np
import pytest

from nvd_core.evaluation.flicker import FlickerMeter
from nvd_core.evaluation.metrics import LayerPsnrMeter
from nvd_core.shot.maps import FrameMaps

HEIGHT, WIDTH = 60, 80
TEXTURE = 160, 120
"""a texel is half a pixel wide: what is measured is pixels, not texels"""


def maps_of(x: np.ndarray, y: np.ndarray) -> FrameMaps:
    """Maps that show the place (x, y) of a surface, pixels [H, W], at every pixel."""
    u, v = (x + 20) / (WIDTH + 40), 1 - (y + 20) / (HEIGHT + 40)
    return FrameMaps(np.stack([u, v, np.ones_like(u)], -1)[None].astype(np.float32), None)


def measured(places, windows=()) -> float | None:
    meter = FlickerMeter(TEXTURE, windows=windows)
    for t in range(12):
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
        meter.add(maps_of(*places(t, x, y)), 0)
    return meter.value


def test_steady_motion_does_not_flicker():
    assert measured(lambda t, x, y: (x + 1.5 * t, y - 0.3 * t)) < 0.01


def test_a_camera_that_shakes_and_zooms_does_not_flicker():
    jolts = np.random.default_rng(0).normal(0, 2, (12, 2))

    def places(t, x, y):
        zoom = 1 + 0.02 * (-1) ** t
        return zoom * x + jolts[t, 0], zoom * y + jolts[t, 1]

    assert measured(places) < 0.01


def test_a_fast_turn_does_not_flicker():
    """By 12 degrees a frame, on a texture that is denser here than there: no place of it trembles,
    though at any one pixel the texels change unevenly.
    """

    def places(t, x, y):
        around = np.arcsin((x - 40) / 50) - np.radians(12) * t
        return 50 * (around + 0.3 * np.sin(3 * around)), y

    assert measured(places) < 0.1


@pytest.mark.parametrize("windows", [(), ((0, 11),)])
def test_a_head_that_nods_on_still_shoulders_does_not_flicker_where_views_are_known(windows):
    """What turns beside the rest has a motion of its own; and trembling on it is still measured."""

    def nods(t, x, y, size=0.0):
        moved = x + 6 * np.sin(1.3 * t) + size * np.sin(2.1 * t) * np.sin(y)
        return np.where(y < 25, moved, x), y

    def value(size: float) -> float:
        meter = FlickerMeter(TEXTURE, windows=windows)
        for t in range(12):
            y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
            meter.add(maps_of(*nods(t, x, y, size)), 0)
        return meter.value

    assert (value(0.0) < 0.05) == bool(windows)
    assert value(1.0) > 0.3


@pytest.mark.parametrize("lines", [(20, 40), (0, 25), (38, 60)])
@pytest.mark.parametrize("random", [False, True])
def test_a_band_that_trembles_is_no_part_that_turns(lines, random):
    """It has a motion of its own too, but one that comes back in the next frame: where views are
    known the measure is that of where they are not.
    """
    shifts = np.random.default_rng(3).normal(0, 1, 12) if random else np.sin(2.1 * np.arange(12))

    def places(t, x, y):
        band = (y >= lines[0]) & (y < lines[1])
        return x + np.where(band, shifts[t], 0), y

    one_view = measured(places)
    assert one_view > 0.3
    assert measured(places, ((0, 11),)) == pytest.approx(one_view, rel=0.05)


@pytest.mark.parametrize("windows", [(), ((0, 11),)])
@pytest.mark.parametrize("size", [0.2, 1.0])
def test_trembling_is_measured_in_pixels(size, windows):
    """The same where views are known: two bodies would have taken half of it each."""

    def places(t, x, y):
        return x + size * np.sin(2.1 * t) * np.sin(y / 3), y

    # second differences of sin(2.1 t) are 4 sin(1.05)^2 as large
    wanted = size * 4 * np.sin(1.05) ** 2 / 2
    assert 0.5 * wanted < measured(places, windows) < 1.3 * wanted


def test_trembling_is_measured_on_a_coarse_texture_too():
    """Whose texel is forty pixels wide."""
    meter = FlickerMeter((WIDTH * 6 / 40, HEIGHT * 6 / 40))
    y, x = np.mgrid[: HEIGHT * 4, : WIDTH * 4].astype(np.float64)
    for t in range(5):
        places = x / 4 + 0.5 * np.sin(2.1 * t) * np.sin(y / 12), y / 4
        meter.add(maps_of(*places), 0)
    wanted = 4 * 0.5 * 4 * np.sin(1.05) ** 2 / 2
    assert 0.5 * wanted < meter.value < 1.3 * wanted


def test_a_layer_of_one_texel_has_no_flicker():
    """Nothing tells where it moves."""
    assert measured(lambda t, x, y: (x * 0, y * 0)) is None


def test_a_few_torn_pixels_do_not_decide():
    def places(t, x, y):
        torn = (x > 74) & (t % 2 == 0)
        return np.where(torn, x + 15, x), y

    assert measured(places) < 0.2


def test_too_little_is_nothing():
    meter = FlickerMeter(TEXTURE)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    for t in range(2):
        meter.add(maps_of(x + t, y), 0)
    assert meter.value is None
    hidden = maps_of(x, y)
    hidden.uva[..., 2] = 0
    for _ in range(3):
        meter.add(hidden, 0)
    assert meter.value is None


def test_psnr_of_a_layer_is_of_its_own_pixels():
    meter = LayerPsnrMeter()
    true = np.full((4, 6, 3), 0.5, np.float32)
    image, alpha = true.copy(), np.zeros((4, 6), np.float32)
    image[:, :3] += 0.1
    image[:, 3:] += 0.4
    assert meter.value is None
    alpha[:, :3] = 1
    meter.add(image, true, alpha)
    assert meter.value == pytest.approx(20, abs=1e-3)
    meter.add(true, true, np.zeros_like(alpha))  # a frame without the layer changes nothing
    assert meter.value == pytest.approx(20, abs=1e-3)
