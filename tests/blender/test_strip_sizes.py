"""What a strip shows: all of its size, whatever the decomposition's is, and the newest paint."""

from itertools import pairwise

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.shot import painting, shots
from blender_addon.strip import composite_strips, refresh

pytestmark = pytest.mark.slow
START = 10


@pytest.fixture(autouse=True)
def extension(empty_file):
    blender_addon.register()
    yield
    blender_addon.unregister()


def scene_of(width: int, height: int) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.dither_intensity = 0
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGB"
    return scene


def paint(entry, colour) -> None:
    image = entry.layers["background"].edit
    painting.write_pixels(image, np.tile(np.float32([*colour, 1]), (120, 200, 1)))
    image.update_tag()  # as Blender does at the end of a stroke
    bpy.context.view_layer.update()


def larger_strip(scene, folder, tmp_path):
    """The clip's frames, twice as wide and high, as the strip that the shot was made from."""
    names = []
    for t in range(3):
        image = bpy.data.images.load(str(folder / f"frames/{t:05d}.png"))
        image.scale(320, 180)
        image.filepath_raw, image.file_format = str(tmp_path / f"large_{t:05d}.png"), "PNG"
        image.save()
        names.append(f"large_{t:05d}.png")
        bpy.data.images.remove(image)
    strip = compat.make_strips(scene).new_image(
        name="plate", filepath=str(tmp_path / names[0]), channel=2, frame_start=START
    )
    for name in names[1:]:
        strip.elements.append(name)
    return strip


@pytest.mark.skipif(not compat.STRIP_COMPOSITOR, reason="no compositor on strips before 5.1")
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_modifier_fills_the_strip(folder, tmp_path, timeline, reference, scale):
    scene = scene_of(320, 180)
    strip = larger_strip(scene, folder, tmp_path)
    strip.transform.scale_x = strip.transform.scale_y = scale
    entry = shots.add_shot(folder, scene, strip=strip.name)
    before = timeline.show(scene, tmp_path, START + 1)
    composite_strips.add_modifier(entry, scene)
    after = timeline.show(scene, tmp_path, START + 1)
    assert reference.psnr(after, before) > 20  # scaled down and up again
    paint(entry, (1, 0, 1))
    painted = timeline.show(scene, tmp_path, START + 1)
    rim = np.s_[2:-2, 2:-2] if scale == 1 else np.s_[47:-47, 82:-82]
    changed = np.abs(painted - before).max(2)[rim]
    for corner in (np.s_[:4, :4], np.s_[-4:, -4:]):
        assert changed[corner].min() > 0.05


@pytest.mark.parametrize("way", ["composite", "modifier"])
def test_new_paint_shows_without_refresh_all(folder, tmp_path, timeline, way, reference):
    if way == "modifier" and not compat.STRIP_COMPOSITOR:
        pytest.skip("no compositor on strips before 5.1")
    scene = scene_of(160, 90)
    strip = timeline.image_strip(scene, folder, START)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    (composite_strips.add_scene_strip if way == "composite" else composite_strips.add_modifier)(
        entry, scene
    )
    pictures = [timeline.show(scene, tmp_path, START + 1)]
    for colour in ((1, 0, 1), (0, 1, 0)):
        paint(entry, colour)
        pictures.append(timeline.show(scene, tmp_path, START + 1))
    found = [reference.psnr(a, b) for a, b in pairwise(pictures)]
    print(found)
    assert max(found) < 20


def test_refreshing_comes_to_rest(folder, timeline, monkeypatch):
    """Asking strips for new pictures is no reason to ask them again."""
    scene = scene_of(160, 90)
    strip = timeline.image_strip(scene, folder, START)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    composite_strips.add_scene_strip(entry, scene)
    if compat.STRIP_COMPOSITOR:
        composite_strips.add_modifier(entry, scene)
    for _ in range(3):
        bpy.context.view_layer.update()
    calls, real = [], refresh.refresh
    monkeypatch.setattr(refresh, "refresh", lambda: (calls.append(1), real()))
    paint(entry, (1, 0, 1))
    for _ in range(4):
        bpy.context.view_layer.update()
    assert 1 <= len(calls) <= 2
    entry.layers["background"].light = 0.5
    for _ in range(4):
        bpy.context.view_layer.update()
    assert len(calls) <= 4
