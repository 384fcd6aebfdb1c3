"""The preview's shader against the formulas and `nvd render`; its cache and its handlers."""

import shutil
import time

import bpy
import gpu
import numpy as np
import pytest
from mathutils import Matrix

import blender_addon
from blender_addon.paint import preview, preview_shader
from blender_addon.paint.preview_cache import MapCache
from blender_addon.shot import painting, shots
from blender_addon.shot.folder import read_shot


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("t", [0, 2])
def test_equals_formulas(gpu_ready, made, mode, t, reference, preview_picture):
    worst = np.abs(preview_picture(made, t, mode) - reference.Truth(made).picture(t, mode)).max()
    print(f"largest difference {worst * 255:.4f} of 255")
    assert worst < 0.05 / 255


@pytest.mark.gpu
def test_linear_frames(gpu_ready, made_linear, reference, preview_picture):
    wanted = reference.Truth(made_linear).picture(1, "delta", linear=True)
    assert np.abs(preview_picture(made_linear, 1) - wanted).max() < 1 / 255


@pytest.mark.gpu
def test_visibility_and_relight(gpu_ready, made, reference, preview_picture):
    changes = {"visibility": (1, 0.25, 0.5), "relight": (0, 2, 0.5)}

    def change(entry):
        for index, layer in enumerate(entry.layers):
            entry.amount(layer.name, "Visibility").default_value = changes["visibility"][index]
            entry.amount(layer.name, "Relight").default_value = changes["relight"][index]

    wanted = reference.Truth(made).picture(0, "delta", **changes)
    assert np.abs(preview_picture(made, 0, change=change) - wanted).max() < 0.05 / 255


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["delta", "full"])
def test_equals_engine_renderer(
    gpu_ready, made, tmp_path, mode, engine, reference, preview_picture
):
    shot, edits = made / "shot.nvd", []
    for layer in reference.Truth(made).layers:
        edits += ["--edit", f"{layer}={shot / 'edits' / layer}.png"]
    out = tmp_path / "%05d.png"
    engine.run("-m", "nvd_core", "render", shot, "--out", out, "--mode", mode, *edits)
    for t in range(3):
        difference = np.clip(preview_picture(made, t, mode), 0, 1) - reference.load(
            tmp_path / f"{t:05d}.png"
        )
        assert np.abs(difference).max() <= 2 / 255


@pytest.mark.gpu
def test_unsaved_paint_and_patterns_show(gpu_ready, made, tmp_path, reference):
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    for texture in (tmp_path / "shot.nvd/textures").iterdir():
        shutil.copy(texture, tmp_path / "shot.nvd/edits" / texture.name)
    entry = shots.add_shot(tmp_path / "shot.nvd")
    live = preview.Preview(entry)
    live.prepare(entry, 1)
    untouched = live.render(entry).read()
    assert np.array_equal(untouched, reference.Truth(made).frames[1].astype(np.float32)), (
        "not as shot"
    )
    layer = entry.layers["background"]
    pixels = painting.read_pixels(layer.edit)
    pixels[:] = (1, 0, 1, 1)
    painting.write_pixels(layer.edit, pixels)
    painted = live.render(entry).read()
    maps = reference.Truth(made).arrays["maps"][1, 2]
    change = np.array([1, 0, 1]) - reference.Truth(made).arrays["texture_background"][..., :3]
    share = maps[..., 2:3] * maps[..., 3:] * reference.bilinear(change, maps[..., 0], maps[..., 1])
    assert np.abs(painted - untouched - share).max() < 0.05 / 255
    painting.show(entry, layer, "learned")
    assert np.array_equal(live.render(entry).read(), untouched)
    painting.show(entry, layer, "checker")
    assert np.abs(live.render(entry).read() - painted).max() > 0.1
    live.close()


@pytest.mark.gpu
def test_follows_the_playhead(gpu_ready, made, reference):
    entry = shots.add_shot(made / "shot.nvd")
    preview.start(entry)
    for t in (2, 0, 1):
        entry.scene.frame_set(t + 1)
        got = preview.running().render(entry).read()
        assert np.abs(got - reference.Truth(made).picture(t, "delta")).max() < 0.05 / 255


def test_a_shot_of_another_scene_than_the_windows(made):
    entry = shots.add_shot(made / "shot.nvd", bpy.data.scenes.new("other"))
    preview.start(entry)
    assert preview.running().ready
    preview.running().forget_frame()
    preview._after_undo(bpy.context.scene)
    assert preview.running().ready


def test_it_goes_over_to_another_state_with_its_shot(folder):
    """A refinement names other files in the manifest, as maps and textures belong together."""
    entry = shots.add_shot(folder)
    preview.start(entry)
    before = preview.running()
    assert not before.is_left(entry)
    shutil.copytree(folder / "edits", folder / "edits/later")
    path = folder / "manifest.json"
    path.write_text(path.read_text("utf-8").replace('"edits/', '"edits/later/'), "utf-8")
    assert not before.is_left(entry)  # its images are still those of the state that is shown
    entry = shots.add_shot(folder)
    assert before.is_left(entry)
    preview._prepare()
    assert preview.running() is not before and not preview.running().is_left(entry)


def test_off_leaves_nothing_behind(made):
    entry = shots.add_shot(made / "shot.nvd")
    images, handlers = len(bpy.data.images), len(bpy.app.handlers.frame_change_post)
    for _ in range(10):
        preview.start(entry)
        assert preview.running() is not None
        preview.stop()
    assert (len(bpy.data.images), len(bpy.app.handlers.frame_change_post)) == (images, handlers)
    preview.start(entry)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert preview.running() is None


def test_cache_keeps_its_limit_and_reads_ahead(made, reference):
    shot = read_shot(made / "shot.nvd")
    size = shot.width * shot.height * 24
    cache = MapCache(shot, limit=2 * size)
    cache.prefetch(0, ["toy"], ahead=8)
    cache.wait()
    assert 0 < cache.used <= 2 * size
    for t in (0, 1, 2, 0):
        assert np.array_equal(cache.get(t, "toy"), reference.Truth(made).arrays["maps"][t, 0])
        assert cache.used <= 2 * size
    cache.close()


@pytest.mark.gpu
@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("enlarged", [1, 3])
def test_what_a_region_of_the_window_is_given(gpu_ready, enlarged, power):
    """A ramp of display values, drawn as the light that is taken back to them."""
    ramp = np.zeros((2, 64, 3), np.float32) + (np.arange(64, dtype=np.float32) / 63)[None, :, None]
    picture = preview_shader.Picture(64, 2)
    picture.begin(preview_shader.Frame(preview_shader.from_numpy(ramp)))
    width, height = 64 * enlarged, 2 * enlarged
    region = gpu.types.GPUOffScreen(width, height, format="RGBA32F")
    with region.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 0))
        gpu.matrix.load_identity()
        gpu.matrix.load_projection_matrix(
            Matrix(((2 / width, 0, 0, -1), (0, 2 / height, 0, -1), (0, 0, 1, 0), (0, 0, 0, 1)))
        )
        preview_shader.draw(picture, (0, 0), width, height, power)
    buffer = region.texture_color.read()
    buffer.dimensions = width * height * 4
    light = np.array(buffer, np.float32).reshape(height, width, 4)[0, :, 0]
    shown = ramp[0, :, 0].repeat(enlarged)
    curve = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    expected = shown**2.2 if power else curve
    assert np.abs(light - expected).max() < 1e-5
    region.free()
    picture.free()


@pytest.mark.gpu
@pytest.mark.long
@pytest.mark.parametrize("size", [(768, 432), (1920, 1080)], ids=["432p", "1080p"])
def test_time_from_stroke_to_picture(gpu_ready, size):
    """Prints the parts; one painted layer with a texture of 2048 x 2048, the frame at rest."""
    random = np.random.default_rng(0)
    width, height = size
    maps = random.random((height, width, 3), np.float32)
    place, light = preview_shader.from_numpy(maps), preview_shader.from_numpy(maps)
    frame = preview_shader.Frame(preview_shader.from_numpy(maps))
    images = [bpy.data.images.new(name, 2048, 2048, alpha=True) for name in ("edit", "learned")]
    for image in images:
        image.colorspace_settings.name = "Non-Color"
    target = preview_shader.Picture(width, height)
    pixels = random.random((2048, 2048, 4), np.float32)
    for _ in range(3):
        painting.write_pixels(images[0], pixels)
        marks = [time.perf_counter()]
        edit, learned = (preview_shader.from_image(image) for image in images)
        marks.append(time.perf_counter())
        target.begin(frame)
        target.add(preview_shader.Layer(edit, learned, place, light))
        marks.append(time.perf_counter())
        target.read()
        marks.append(time.perf_counter())
    parts = np.diff(marks) * 1000
    print("upload {:.0f} ms, draw {:.0f} ms, read {:.0f} ms".format(*parts))
    assert parts.sum() < 20_000


@pytest.mark.gpu
def test_what_an_editor_has_left_on_does_not_make_it_black(gpu_ready):
    """An Image Editor without an image draws its grid with a test of depth, and leaves that on."""
    ramp = np.zeros((4, 8, 3), np.float32) + np.linspace(0, 1, 8, dtype=np.float32)[None, :, None]
    picture = preview_shader.Picture(8, 4)
    with picture.target.bind():
        gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 0), depth=0.0)
    gpu.state.depth_test_set("LESS_EQUAL")
    try:
        picture.begin(preview_shader.Frame(preview_shader.from_numpy(ramp)))
        assert gpu.state.depth_test_get() == "LESS_EQUAL"
    finally:
        gpu.state.depth_test_set("NONE")
    np.testing.assert_array_equal(picture.read(), ramp)
    picture.free()
