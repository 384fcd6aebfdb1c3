"""What the Sequencer shows of colours, as the live preview over it has it from a cube."""

import bpy
import gpu
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.paint import preview_shader, view_transform

VIEWS = ("AgX", "Filmic", "Raw")


@pytest.fixture
def colours() -> np.ndarray:
    """[16, 32, 3] of 0..1, also the ends."""
    found = np.random.default_rng(7).random((16, 32, 3), np.float32)
    found[0, 0], found[0, 1] = 0, 1
    return found


def test_plain_views_need_no_cube(empty_file):
    view = empty_file.view_settings
    view.view_transform = "Standard"
    assert view_transform.colour_cube(empty_file) is None
    view.exposure = 1
    assert view_transform.colour_cube(empty_file) is not None


def test_every_setting_is_noticed(empty_file):
    view = empty_file.view_settings
    view.view_transform = "Standard"
    keys = [view_transform.key_of(empty_file)]
    for name, value in (("view_transform", "Filmic"), ("exposure", 0.5), ("gamma", 1.2)):
        setattr(view, name, value)
        keys.append(view_transform.key_of(empty_file))
    view.look = "Medium High Contrast"
    keys.append(view_transform.key_of(empty_file))
    view.use_curve_mapping = True
    keys.append(view_transform.key_of(empty_file))
    view.curve_mapping.curves[3].points[0].location = 0, 0.3
    keys.append(view_transform.key_of(empty_file))
    assert len(set(keys)) == len(keys) and not any(map(view_transform.is_plain, keys[1:]))


@pytest.mark.gpu
@pytest.mark.parametrize("transform", VIEWS)
def test_drawn_as_a_render_shows_it(gpu_ready, empty_file, colours, transform, reference):
    """The shader, by the cube, against the colours themselves as Blender saves them in a render."""
    empty_file.view_settings.view_transform = transform
    before = [len(blocks) for blocks in (bpy.data.images, bpy.data.scenes)]
    cube = view_transform.colour_cube(empty_file)
    wanted = view_transform.seen(colours, empty_file)
    assert before == [len(blocks) for blocks in (bpy.data.images, bpy.data.scenes)]
    plain = reference.psnr(colours, wanted)
    assert reference.psnr(drawn(colours, cube), wanted) > 50 > plain + 20


def test_curves_are_followed(empty_file, colours):
    """By Blender itself: a curve that turns the colours round."""
    view = empty_file.view_settings
    view.view_transform, view.use_curve_mapping = "Raw", True
    straight = view_transform.seen(colours, empty_file)
    ends = view.curve_mapping.curves[3].points
    ends[0].location, ends[1].location = (0, 1), (1, 0)
    view.curve_mapping.update()
    turned = view_transform.seen(colours, empty_file)
    assert np.abs(turned - (1 - straight)).max() < 0.01


def drawn(colours: np.ndarray, cube: np.ndarray) -> np.ndarray:
    """What the preview's shader draws of a picture, display-encoded, [h, w, 3]."""
    height, width, _ = colours.shape
    picture = preview_shader.Picture(width, height)
    texture = preview_shader.from_numpy(colours)
    picture.begin(preview_shader.Frame(texture))
    target = gpu.types.GPUOffScreen(width, height, format="RGBA32F")
    with target.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        gpu.matrix.load_matrix(Matrix.Identity(4))
        gpu.matrix.load_projection_matrix(Matrix.Identity(4))
        shown = preview_shader.cube_texture(cube)
        preview_shader.draw(picture, (-1, -1), 2, 2, power=True, cube=shown)
    buffer = target.texture_color.read()
    buffer.dimensions = height * width * 4
    pixels = np.array(buffer, np.float32).reshape(height, width, 4)[::-1, :, :3]
    return np.maximum(pixels, 0) ** (1 / 2.2)
