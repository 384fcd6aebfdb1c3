"""Paint on a frame brought onto a texture: where it lies, how it looks, what is refused."""

import numpy as np
import pytest
import torch

from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.editing.kernel_torch import lookup
from nvd_core.shot.maps import LayerMaps

HEIGHT, WIDTH = 40, 60


def straight_maps() -> LayerMaps:
    """The texture lies over the frame as it is."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = (x + 0.5) / WIDTH, 1 - (y + 0.5) / HEIGHT
    return LayerMaps(u, v, np.ones_like(u), np.ones((HEIGHT, WIDTH, 3), np.float32))


def flat_paint(colour=(0.8, 0.4, 0.2)) -> np.ndarray:
    """A box from column 20 to 39 and row 10 to 29."""
    paint = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    paint[..., :3] = colour
    paint[10:30, 20:40, 3] = 1
    return paint


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_paint_lies_where_the_coordinates_say(scale):
    edit = paint_to_texture(flat_paint(), straight_maps(), (WIDTH * scale, HEIGHT * scale))
    assert edit.shape == (HEIGHT * scale, WIDTH * scale, 4)
    inner = edit[11 * scale : 29 * scale, 21 * scale : 39 * scale]
    assert (inner[..., 3] == 1).all()
    assert np.abs(inner[..., :3] - (0.8, 0.4, 0.2)).max() < 1e-6
    outside = edit.copy()
    outside[9 * scale : 31 * scale, 19 * scale : 41 * scale] = 0
    assert outside[..., 3].max() == 0
    assert edit[..., 3].sum() == pytest.approx(400 * scale**2, rel=0.02)


def test_v_points_up():
    paint = flat_paint()
    paint[20:, :, 3] = 0  # only the upper half is left
    edit = paint_to_texture(paint, straight_maps(), (WIDTH, HEIGHT))
    assert edit[12:19, 25:35, 3].min() == 1 and edit[21:, :, 3].max() == 0


def test_it_looks_the_same_again_through_a_warped_mapping():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u = (0.1 + 0.7 * x / WIDTH + 0.02 * np.sin(y / 6)).astype(np.float32)
    v = (0.9 - 0.75 * y / HEIGHT + 0.02 * np.cos(x / 9)).astype(np.float32)
    maps = LayerMaps(u, v, np.ones_like(u), np.ones((HEIGHT, WIDTH, 3), np.float32))
    paint = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    paint[..., 0], paint[..., 1] = 0.5 + 0.4 * np.sin(x / 4), 0.5 + 0.4 * np.cos(y / 5)
    paint[4:-4, 4:-4, 3] = 1
    edit = paint_to_texture(paint, maps, (120, 80))
    again = lookup(torch.from_numpy(edit), torch.from_numpy(u), torch.from_numpy(v)).numpy()
    error = np.abs(again - paint)[7:-7, 7:-7]
    assert error[..., 3].max() < 1e-6 and error[..., :3].max() < 0.03


@pytest.mark.parametrize("texels_per_pixel", [2.0, 2.5])
def test_a_stroke_of_one_pixel_comes_back_as_opaque_as_it_was(texels_per_pixel):
    paint = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    paint[..., 0] = 0.9
    paint[5:-5, 30, 3], paint[20, 5:-5, 3] = 1, 0.6
    maps = straight_maps()
    size = round(WIDTH * texels_per_pixel), round(HEIGHT * texels_per_pixel)
    edit = paint_to_texture(paint, maps, size)
    edit[..., :3] *= edit[..., 3:]
    again = lookup(torch.from_numpy(edit), torch.from_numpy(maps.u), torch.from_numpy(maps.v))
    assert np.abs(again[..., 3].numpy() - paint[..., 3]).max() < 0.1
    assert np.abs(again[..., 0].numpy() - 0.9 * paint[..., 3]).max() < 0.1


def test_light_is_taken_out():
    light = np.full((HEIGHT, WIDTH, 3), (0.5, 2.0, 1.0), np.float32)
    edit = paint_to_texture(flat_paint(), straight_maps(), (WIDTH, HEIGHT), light=light)
    np.testing.assert_allclose(edit[20, 30, :3], (1.6, 0.2, 0.2), atol=1e-5)
    dark = paint_to_texture(flat_paint(), straight_maps(), (WIDTH, HEIGHT), light=0 * light)
    assert np.isfinite(dark).all()


def test_a_layer_takes_paint_only_where_it_shows():
    maps = straight_maps()
    maps.alpha[:, 30:] = 0.4
    edit = paint_to_texture(flat_paint(), maps, (WIDTH, HEIGHT))
    assert edit[15:25, 22:28, 3].min() == 1 and edit[:, 31:, 3].max() == 0
    maps.alpha[:] = 0
    assert paint_to_texture(flat_paint(), maps, (WIDTH, HEIGHT)).max() == 0


def test_stretched_pixels_leave_no_holes():
    edit = paint_to_texture(flat_paint(), straight_maps(), (WIDTH * 6, HEIGHT * 6))
    assert edit[11 * 6 : 28 * 6, 21 * 6 : 38 * 6, 3].min() == 1


def test_paint_of_another_size_is_refused():
    with pytest.raises(ValueError, match="shape"):
        paint_to_texture(flat_paint()[:-1], straight_maps(), (WIDTH, HEIGHT))
