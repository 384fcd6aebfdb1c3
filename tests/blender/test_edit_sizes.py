"""Edits of another size than the learned texture: as `nvd render` puts them on the frames."""

import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon import headless
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.paint import preview
from blender_addon.shot import painting, shots
from blender_addon.shot.resample import resized
from blender_addon.shot.scripting import open_shot

pytestmark = pytest.mark.slow

EXACT = 90.0  # dB, as in test_compositor.py


@pytest.fixture
def registered():
    blender_addon.register()
    yield
    blender_addon.unregister()


def worst(reference, truth, tmp_path, mode="delta") -> float:
    return min(
        reference.psnr(reference.render(tmp_path, t + 1), np.clip(truth.picture(t, mode), 0, 1))
        for t in range(3)
    )


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_compositor_equals_formulas(made_other_sizes, tmp_path, mode, reference):
    open_shot(made_other_sizes / "shot.nvd", mode)
    least = worst(reference, reference.Truth(made_other_sizes), tmp_path, mode)
    print(f"worst frame {least:.1f} dB")
    assert least > EXACT


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_compositor_equals_engine(made_other_sizes, tmp_path, mode, engine, reference):
    shot, out = made_other_sizes / "shot.nvd", tmp_path / "%05d.png"
    engine.run("-m", "nvd_core", "render", shot, "--out", out, "--mode", mode)
    open_shot(shot, mode)
    for t in range(3):
        picture = np.round(reference.render(tmp_path, t + 1) * 255) / 255
        assert reference.psnr(reference.load(tmp_path / f"{t:05d}.png"), picture) > 50


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["delta", "full"])
def test_preview_equals_formulas(
    gpu_ready, registered, made_other_sizes, mode, reference, preview_picture
):
    wanted = reference.Truth(made_other_sizes).picture(1, mode)
    assert np.abs(preview_picture(made_other_sizes, 1, mode) - wanted).max() < 0.05 / 255


@pytest.mark.parametrize("size", [(40, 30), (7, 5), (41, 3), (3, 64), (20, 15)])
def test_resampling_is_the_engines(tmp_path, size, engine):
    image = np.random.default_rng(0).random((15, 20, 4), np.float32)
    np.save(tmp_path / "image.npy", image)
    code = "import sys, numpy as np; from nvd_core.editing.edits import resized; "
    code += "image = np.load(sys.argv[1]); "
    code += "np.save(sys.argv[1], resized(image, int(sys.argv[2]), int(sys.argv[3])))"
    engine.run("-c", code, tmp_path / "image.npy", *size)
    assert np.abs(resized(image, *size) - np.load(tmp_path / "image.npy")).max() < 1e-5


def test_batch_takes_an_edit_of_another_size(made, made_other_sizes, tmp_path, reference):
    words = ["render", str(made / "shot.nvd"), "--out", str(tmp_path / "%04d.png")]
    for layer in reference.Truth(made).layers:
        words += ["--edit", f"{layer}={made_other_sizes / 'shot.nvd/edits' / layer}.png"]
    assert headless.main([*words, "--through", "compositor"]) == 0
    assert (
        reference.psnr(
            reference.load(tmp_path / "0002.png"),
            reference.Truth(made_other_sizes).picture(2, "delta").clip(0, 1),
        )
        > 50
    )


def test_saved_in_its_own_size_and_found_in_the_blend(
    registered, made_other_sizes, tmp_path, reference
):
    """Also where the .blend is rendered without the extension."""
    shutil.copytree(made_other_sizes / "shot.nvd", tmp_path / "shot.nvd")
    entry = shots.add_shot(tmp_path / "shot.nvd")
    layer = entry.layers["toy"]
    pixels = read_pixels(layer.edit)
    write_pixels(layer.edit, pixels)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    assert tuple(bpy.data.images.load(str(tmp_path / "shot.nvd/edits/toy.png")).size) == (192, 128)
    blender_addon.unregister()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.context.window.scene = bpy.data.scenes["NVD shot"]
    assert worst(reference, reference.Truth(made_other_sizes), tmp_path) > EXACT
    blender_addon.register()


def test_an_edit_that_changes_its_size_is_followed(
    registered, made, made_other_sizes, tmp_path, reference
):
    """Scaled up by another program, and read again; and back."""
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    entry = shots.add_shot(tmp_path / "shot.nvd")
    bpy.context.window.scene = entry.scene
    entry.amount("toy", "Visibility").default_value = 0.5
    for source in (made_other_sizes, made):
        for layer in entry.layers:
            shutil.copy(source / "shot.nvd/edits" / f"{layer.name}.png", layer.edit["nvd_path"])
            layer.edit.reload()
        bpy.context.view_layer.update()
        wanted = reference.Truth(source).picture(0, "delta", visibility=(0.5, 1, 1))
        assert reference.psnr(reference.render(tmp_path, 1), wanted.clip(0, 1)) > EXACT
    assert not [image for image in bpy.data.images if "nvd_base" in image and image.users > 0]


def test_learned_and_patterns_have_the_edits_size(registered, made_other_sizes):
    entry = shots.add_shot(made_other_sizes / "shot.nvd")
    layer = entry.layers["background"]
    for what in painting.VIEWS:
        image = painting.show(entry, layer, what)
        assert tuple(image.size) == (170, 301) and painting.shown(layer) == what
    live = preview.Preview(entry)
    assert layer.name in [shown.name for shown in live._layers(entry)]
    painting.show(entry, layer, "learned")
    assert layer.name not in [shown.name for shown in live._layers(entry)]
    live.close()
