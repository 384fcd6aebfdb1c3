"""The live preview obeys the stack: its sheet against the formulas, in every frame."""

import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.paint import preview, stack_shader
from blender_addon.paint.stack_sheet import StackSheets, is_previewed, onto_picture
from blender_addon.shot import painting, shots, stack, stack_file

QUAD = ((0.2, 0.1), (0.9, 0.25), (0.8, 0.9), (0.1, 0.7))
BLENDS = {
    "normal": lambda e, s: s,
    "multiply": lambda e, s: e * s,
    "screen": lambda e, s: 1 - (1 - e) * (1 - s),
    "overlay": lambda e, s: np.where(e <= 0.5, 2 * e * s, 1 - 2 * (1 - e) * (1 - s)),
    "soft_light": lambda e, s: (1 - 2 * s) * e * e + 2 * s * e,
    "add": lambda e, s: e + s,
    "subtract": lambda e, s: e - s,
    "darken": np.minimum,
    "lighten": np.maximum,
}


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def entry(folder):
    made = shots.add_shot(folder)
    layer = made.layers["background"]
    pixels = painting.read_pixels(layer.edit)
    pixels[5:30, 20:60] = (0.1, 0.9, 0.3, 0.5)
    painting.write_pixels(layer.edit, pixels)
    painting.save_edits(made)
    return made


def sheet_of(entry, t=1, layer="background"):
    """The sheet as it is drawn, [h, w, 3], bottom row first as Blender's pixels."""
    sheets = StackSheets(entry.read())
    sheets.prepare(entry, t)
    flat = sheets.flat(entry, entry.layers[layer], t)
    buffer = flat.texture.read()
    width, height = flat.learned.size
    buffer.dimensions = width * height * 4
    pixels = np.array(buffer, np.float32).reshape(height, width, 4)[..., :3]
    sheets.close()
    return pixels


def below(entry):
    layer = entry.layers["background"]
    edit, learned = painting.read_pixels(layer.edit), painting.read_pixels(layer.learned)
    c = learned[..., :3]
    return c + edit[..., 3:] * (edit[..., :3] - c)


def painted(entry, seed=1):
    """An entry of paint with colours of all kinds, and that picture."""
    item = stack.add_paint(entry, entry.layers["background"])
    pixels = np.random.default_rng(seed).random((*tuple(item.image.size)[::-1], 4), np.float32)
    pixels[: len(pixels) // 2, :, 3] = 0
    painting.write_pixels(item.image, pixels)
    return item, painting.read_pixels(item.image)


@pytest.mark.gpu
@pytest.mark.parametrize("blend", stack_file.BLENDS)
def test_blends(gpu_ready, entry, blend):
    item, s = painted(entry)
    item.blend, item.opacity = blend, 0.75
    e = below(entry)
    wanted = e + s[..., 3:] * 0.75 * (BLENDS[blend](e, s[..., :3]) - e)
    assert np.abs(sheet_of(entry) - wanted).max() < 1e-4


@pytest.mark.gpu
def test_entries_lie_on_each_other_and_fade(gpu_ready, entry):
    one, s = painted(entry, 1)
    two, r = painted(entry, 2)
    one = entry.stack[0]
    two.blend, two.has_range, two.first, two.last, two.fade_out = "screen", True, 0, 1, 1
    e = below(entry)
    first = e + s[..., 3:] * (s[..., :3] - e)
    for t, share in ((0, 1.0), (1, 0.5), (2, 0.0)):
        wanted = first + share * r[..., 3:] * (BLENDS["screen"](first, r[..., :3]) - first)
        assert np.abs(sheet_of(entry, t) - wanted).max() < 1e-4
    one.on = False
    wanted = e + r[..., 3:] * (BLENDS["screen"](e, r[..., :3]) - e)
    assert np.abs(sheet_of(entry, 0) - wanted).max() < 1e-4


@pytest.mark.gpu
def test_an_adjustment(gpu_ready, entry):
    item = stack.add_plain(entry, entry.layers["background"], "adjustment")
    item.gain, item.gamma = 0.5, 2.0
    e = below(entry)
    assert np.abs(sheet_of(entry) - np.maximum(e * 0.5, 0) ** 0.5).max() < 1e-4
    item.gain, item.gamma, item.hue = 1.0, 1.0, 120.0
    turned = sheet_of(entry)
    assert np.abs(turned - np.roll(e, 1, 2)).max() < 1e-4  # red to green, green to blue
    item.hue, item.saturation, item.opacity = 0.0, 0.0, 0.5
    grey = np.repeat(e.max(2, keepdims=True), 3, 2)
    assert np.abs(sheet_of(entry) - (e + grey) / 2).max() < 1e-4


def test_a_picture_is_pinned_by_its_corners():
    turned = (0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)
    for corners in (QUAD, ((0, 0), (1, 0), (1, 1), (0, 1)), turned):
        matrix = onto_picture(corners)
        for place, wanted in zip(corners, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            u, v, w = matrix @ [*place, 1]
            assert w > 0 and (u / w, v / w) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.gpu
@pytest.mark.slow
def test_the_picture_is_the_engine_s(gpu_ready, entry, folder, tmp_path, engine, reference):
    """All kinds that are drawn, through the whole renderer."""
    if not (engine.ROOT / "nvd_core/editing/stack_sheets.py").is_file():
        pytest.skip("this engine knows no stack")
    background = entry.layers["background"]
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "plain/%05d.png")
    painted(entry)
    path = tmp_path / "logo.png"
    image = bpy.data.images.new("logo", 40, 30, alpha=True)
    pixels = np.random.default_rng(3).random((30, 40, 4), np.float32)
    image.pixels.foreach_set(np.repeat(np.repeat(pixels[::10, ::10], 10, 0), 10, 1).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    logo = stack.add_file(entry, background, "picture", path)
    stack.set_corners(logo, QUAD)
    logo.blend, logo.opacity = "overlay", 0.8
    adjustment = stack.add_plain(entry, background, "adjustment", hue=40.0, gain=1.2)
    stack.set_file(entry, adjustment, "mask", path)
    painting.save_edits(entry)
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "out/%05d.png")
    live = preview.Preview(entry)
    for t in range(3):
        live.prepare(entry, t)
        made = live.render(entry).read().clip(0, 1)
        wanted = reference.load(tmp_path / f"out/{t:05d}.png")
        assert reference.psnr(made, wanted) > 45
        assert reference.psnr(reference.load(tmp_path / f"plain/{t:05d}.png"), wanted) < 30
    live.close()


@pytest.mark.gpu
def test_without_paint_nothing_changes_to_the_bit(gpu_ready, folder):
    entry = shots.add_shot(folder)
    live = preview.Preview(entry)
    live.prepare(entry, 1)
    plain = live.render(entry).read()
    stack.add_paint(entry, entry.layers["toy"])
    live.prepare(entry, 1)
    assert live.stack.shows(entry, entry.layers["toy"], 1)
    assert np.array_equal(live.render(entry).read(), plain)
    live.close()


@pytest.mark.gpu
@pytest.mark.parametrize("by_strokes", [False, True])
def test_a_sheet_is_kept_until_something_changes(gpu_ready, entry, monkeypatch, by_strokes):
    item, _s = painted(entry)
    painting.save_edits(entry)
    made = []
    begin = stack_shader.Sheet.begin
    monkeypatch.setattr(
        stack_shader.Sheet, "begin", lambda *given: (made.append(1), begin(*given))[1]
    )
    live = preview.Preview(entry)
    live.by_strokes = by_strokes

    def draws(t=1):
        made.clear()
        live.prepare(entry, t)
        live.render(entry)
        return len(made)

    assert [draws(), draws(), draws(0)] == [1, 0, 0]
    item.opacity = 0.5
    assert [draws(), draws()] == [1, 0]
    item.has_range, item.first, item.last, item.fade_in = True, 0, 2, 1
    assert [draws(0), draws(1), draws(2)] == [1, 1, 0]
    painting.write_pixels(item.image, np.zeros((*tuple(item.image.size)[::-1], 4)))
    # unsaved paint may change with every stroke: it is made anew where nobody looks whether it has
    assert [draws(), draws()] == [1, not by_strokes]
    painting.save_edits(entry)
    assert [draws(), draws()] == [1, 0]
    live.close()


@pytest.mark.gpu
def test_numbered_pictures_run_with_the_frames(gpu_ready, entry, tmp_path):
    colours = ((1, 0, 0, 1), (0, 1, 0, 1))
    for number, colour in enumerate(colours):
        image = bpy.data.images.new("x", 4, 4)
        image.pixels.foreach_set(np.tile(np.float32(colour), 16))
        image.filepath_raw, image.file_format = str(tmp_path / f"a{number}.png"), "PNG"
        image.save()
    item = stack.add_file(entry, entry.layers["background"], "movie", tmp_path / "a0.png")
    for after, wanted in (("hold", [0, 1, 1]), ("loop", [0, 1, 0])):
        item.after = after
        for t, number in enumerate(wanted):
            assert np.abs(sheet_of(entry, t) - np.float32(colours[number][:3])).max() < 1e-6
    item.after = "hide"
    sheets = StackSheets(entry.read())
    sheets.prepare(entry, 2)
    assert sheets.flat(entry, entry.layers["background"], 2) is None
    sheets.close()
    assert not [image for image in bpy.data.images if image.name.startswith(".NVD stack")]


def test_what_is_not_drawn_is_told(entry, tmp_path):
    words = stack.add_plain(entry, entry.layers["background"], "text", text="Words")
    assert not is_previewed(words)
    (tmp_path / "a.mp4").write_bytes(b"movie")
    assert not is_previewed(
        stack.add_file(entry, entry.layers["background"], "movie", tmp_path / "a.mp4")
    )
    assert not StackSheets(entry.read()).shows(entry, entry.layers["background"], 0)


@pytest.mark.gpu
def test_a_layer_of_another_size(gpu_ready, made_other_sizes, tmp_path):
    """The sheet has the size of the larger one; where nothing lies it is the learned texture."""
    shutil.copytree(made_other_sizes / "shot.nvd", tmp_path / "shot.nvd")
    entry = shots.add_shot(tmp_path / "shot.nvd")
    for layer in entry.layers:
        stack.add_plain(entry, layer, "adjustment")
        sheet = sheet_of(entry, layer=layer.name)
        sizes = sorted([tuple(layer.edit.size), tuple(layer.learned.size)], key=np.prod)
        assert sheet.shape[1::-1] == sizes[-1]
        is_larger = sizes[-1] == tuple(layer.edit.size)
        plain = painting.read_pixels(layer.base if is_larger else layer.learned)
        unpainted = np.abs(sheet - plain[..., :3]).max(2) < 1e-4
        assert 0.2 < unpainted.mean() < 1
