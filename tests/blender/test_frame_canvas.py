"""Painting on a frame, with the real engine: what arrives on the layers, and what is never lost."""

import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.blender.problems import button_of
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.jobs.waiting import wait
from blender_addon.paint import frame_canvas
from blender_addon.shot import painting, shots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
]
FRAME = 1


@pytest.fixture(autouse=True)
def extension(empty_file, monkeypatch, engine, tiny_job):
    monkeypatch.setenv("NVD_PYTHON", str(engine.PYTHON))
    blender_addon.register()
    bpy.ops.ed.undo_push(message="start")
    yield
    for job in runner.tools.jobs:
        job.cancel()
    tiny_job.tick_until(lambda: not runner.tools.busy, runner.tick)
    runner.tools.jobs.clear()
    blender_addon.unregister()


@pytest.fixture
def entry(folder):
    shots.add_shot(folder)
    bpy.context.scene.frame_current = 1 + FRAME
    bpy.ops.ed.undo_push(message="opened")
    return the_shot()


def the_shot(number=0):
    """The shot's entry: undo and opening make another object of it."""
    return bpy.context.scene.nvd_shots[number]


def press(name, **values):
    """As a click does it, with a step in Blender's undo."""
    assert getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", True, **values) == {"FINISHED"}


def ended(tiny_job, entry):
    """Wait for the shot's job as Blender's timer does, and return it."""
    job = frame_canvas.job_of(entry)
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    return job


def opened(tiny_job, entry):
    press("paint_frame")
    job = ended(tiny_job, entry)
    assert job.state == "done", job.full_log()
    return entry.canvas


def paint(image, colour=(1, 0, 0, 1), rows=slice(30, 50), columns=slice(20, 90)):
    """A box, rows counted from below; without a window there is no brush."""
    pixels = read_pixels(image)
    pixels[rows, columns] = colour
    write_pixels(image, pixels)
    return pixels


def pixels_of(entry):
    return {layer.name: read_pixels(layer.edit) for layer in entry.layers}


def read(path):
    """The file's pixels, RGBA, bottom row first."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    pixels = read_pixels(image)
    bpy.data.images.remove(image)
    return pixels


def same(one, two):
    return all(np.array_equal(one[name], two[name]) for name in one)


def by_command_line(engine, folder, work, colour=(1, 0, 0, 1), words=()):
    """What `nvd render` and `nvd paint` make of a copy of the folder: the layers' pixels."""
    copy = work / "by_command_line.nvd"
    shutil.copytree(folder, copy)
    base = work / "base_%05d.png"
    engine.run("-m", "nvd_core", "render", copy, "--out", base, "--frames", f"{FRAME}-{FRAME}")
    image = bpy.data.images.load(str(base) % FRAME)
    image.colorspace_settings.name = "Non-Color"
    paint(image, colour)
    image.filepath_raw = str(work / "painted.png")
    image.save()
    bpy.data.images.remove(image)
    words = "--frame", FRAME, "--image", work / "painted.png", "--base", str(base) % FRAME, *words
    engine.run("-m", "nvd_core", "paint", copy, *words)
    return {path.stem: read(path) for path in (copy / "edits").iterdir()}


def test_the_canvas_is_the_frame_with_all_paint(entry, folder, tmp_path, engine, tiny_job):
    stroke = paint(entry.layers["background"].edit, (0, 1, 0, 1))
    canvas = opened(tiny_job, entry)
    assert entry.canvas_frame == FRAME and canvas["nvd_path"].startswith(str(folder / "paint"))
    assert bpy.context.scene.tool_settings.image_paint.canvas == canvas
    assert np.array_equal(read(folder / "edits/background.png"), stroke)
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "out/%05d.png")
    shown = read(tmp_path / f"out/{FRAME:05d}.png")
    assert np.array_equal(read_pixels(canvas), shown)
    assert not np.array_equal(shown, read(folder / f"frames/{FRAME:05d}.png"))
    assert not painting.has_unsaved(canvas)


def test_paint_arrives_as_by_the_command_line(entry, folder, tmp_path, engine, tiny_job):
    expected = by_command_line(engine, folder, tmp_path, words=["--lit"])
    before, runner.longest_tick = pixels_of(entry), 0.0
    paint(opened(tiny_job, entry))
    entry.canvas_lit = True
    press("canvas_to_layers")
    assert ended(tiny_job, entry).state == "done" and entry.canvas is None
    print(f"longest tick {1000 * runner.longest_tick:.0f} ms")
    assert runner.longest_tick < 0.2  # other programs run beside the tests
    after = pixels_of(entry)
    assert same(after, expected) and not np.array_equal(after["background"], before["background"])
    on_disk = {name: read(folder / f"edits/{name}.png") for name in after}
    assert same(on_disk, after)
    node = entry.group_node().inputs["background Edit"].links[0].from_node
    assert node.image == entry.layers["background"].edit
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    assert not any(painting.is_unsaved(layer) for layer in entry.layers)
    assert same(pixels_of(entry), expected)


@pytest.mark.parametrize("where", ["the layer", "the canvas"])
def test_strokes_in_the_meantime_are_kept(entry, folder, where, tiny_job):
    canvas = opened(tiny_job, entry)
    paint(canvas)
    press("canvas_to_layers")
    image = canvas if where == "the canvas" else entry.layers["background"].edit
    stroke = paint(image, (0, 0, 1, 1), slice(0, 8), slice(0, 8))
    if where == "the layer":  # saved or not
        painting.save_edits(entry)
    before, on_disk = pixels_of(entry), (folder / "edits/background.png").read_bytes()
    job = ended(tiny_job, entry)
    assert job.state == "failed" and "in the meantime" in job.error.problem
    assert "To Layers again" in job.error.remedy and button_of(job.error) == ""
    assert same(pixels_of(entry), before) and entry.canvas == canvas
    assert np.array_equal(read_pixels(image), stroke)
    assert (folder / "edits/background.png").read_bytes() == on_disk
    press("canvas_to_layers")
    assert ended(tiny_job, entry).state == "done" and entry.canvas is None
    after = pixels_of(entry)["background"]
    assert not np.array_equal(after, before["background"])
    if where != "the canvas":
        assert np.array_equal(after[:8, :8], stroke[:8, :8])


def test_the_same_frame_is_painted_on_twice(entry, tiny_job):
    """Its file is another one then, and nobody else has changed it."""
    for colour, rows in (((1, 0, 0, 1), slice(30, 40)), ((0, 1, 0, 1), slice(60, 70))):
        before = pixels_of(entry)
        paint(opened(tiny_job, entry), colour, rows)
        press("canvas_to_layers")
        assert ended(tiny_job, entry).state == "done" and entry.canvas is None
        assert not same(pixels_of(entry), before)


def test_undo(entry, folder, tiny_job):
    before = pixels_of(entry)
    opened(tiny_job, entry)
    painted = paint(entry.canvas)
    bpy.ops.ed.undo_push(message="a stroke")
    press("canvas_to_layers")
    ended(tiny_job, entry)
    after = pixels_of(the_shot())
    assert not same(after, before)
    for _ in range(2):
        bpy.ops.ed.undo()
        assert same(pixels_of(the_shot()), before) and the_shot().canvas is not None
        assert np.array_equal(read_pixels(the_shot().canvas), painted)
        bpy.ops.ed.redo()
        assert same(pixels_of(the_shot()), after) and the_shot().canvas is None
    bpy.ops.ed.undo()
    painting.save_edits(the_shot())
    saved = read(folder / "edits/background.png")
    assert np.array_equal(saved, before["background"])
    bpy.ops.ed.redo()
    painting.save_edits(the_shot())
    saved = read(folder / "edits/background.png")
    assert np.array_equal(saved, after["background"])


def test_discard_and_undo(entry, tiny_job):
    canvas = opened(tiny_job, entry)
    painted = paint(canvas)
    bpy.ops.ed.undo_push(message="a stroke")
    press("discard_canvas")
    assert the_shot().canvas is None and frame_canvas.job_of(the_shot()) is None
    assert not any(painting.is_unsaved(layer) for layer in the_shot().layers)
    bpy.ops.ed.undo()
    assert np.array_equal(read_pixels(the_shot().canvas), painted)
    bpy.ops.ed.redo()
    assert the_shot().canvas is None
    assert opened(tiny_job, the_shot()) is not None


def test_the_canvas_is_saved_with_the_blend(entry, folder, tmp_path, tiny_job):
    painted = paint(opened(tiny_job, entry))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    entry = the_shot()
    assert entry.canvas.filepath.startswith("//shot.nvd/paint/")
    assert np.array_equal(read_pixels(entry.canvas), painted)
    press("paint_frame")
    assert bpy.context.scene.tool_settings.image_paint.canvas == entry.canvas
    press("canvas_to_layers")
    assert ended(tiny_job, entry).state == "done"


def test_a_folder_that_is_gone_and_found_again(entry, folder, tmp_path, tiny_job):
    painted = paint(opened(tiny_job, entry))
    folder.rename(tmp_path / "moved.nvd")
    with pytest.raises(RuntimeError, match="Find Again"):
        bpy.ops.nvd.canvas_to_layers()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    assert np.array_equal(read_pixels(the_shot().canvas), painted)
    press("find_again", directory=str(tmp_path / "moved.nvd"))
    press("canvas_to_layers")
    assert ended(tiny_job, the_shot()).state == "done"
    assert not folder.exists()


def test_two_shots_at_once(entry, folder, tmp_path, engine, tiny_job):
    shutil.copytree(folder, tmp_path / "second.nvd")
    shots.add_shot(tmp_path / "second.nvd")
    first, second = the_shot(0), the_shot(1)
    jobs = [
        frame_canvas.start_canvas(shot, engine.PYTHON, frame=n)
        for n, shot in ((0, first), (2, second))
    ]
    tiny_job.tick_until(lambda: all(job.ended for job in jobs), runner.tick)
    assert (first.canvas_frame, second.canvas_frame) == (0, 2) and first.canvas != second.canvas
    before = pixels_of(first)
    paint(second.canvas)
    frame_canvas.to_layers(second, engine.PYTHON)
    assert ended(tiny_job, second).state == "done"
    assert second.canvas is None and first.canvas is not None and same(pixels_of(first), before)


def test_what_is_refused(entry, engine, tiny_job):
    with pytest.raises(AddonError, match="Paint on Frame first"):
        frame_canvas.to_layers(entry, engine.PYTHON)
    bpy.context.scene.frame_current = 99
    with pytest.raises(RuntimeError, match="no frame of shot"):
        bpy.ops.nvd.paint_frame()
    frame_canvas.start_canvas(entry, engine.PYTHON, frame=0)
    with pytest.raises(AddonError, match="not done yet"):
        frame_canvas.start_canvas(entry, engine.PYTHON, frame=0)
    ended(tiny_job, entry)
    with pytest.raises(AddonError, match="frame 1 is being painted on"):
        frame_canvas.start_canvas(entry, engine.PYTHON, frame=1)
    image = entry.layers["toy"].edit
    bpy.data.images.remove(image)
    with pytest.raises(AddonError, match="open the shot again"):
        frame_canvas.to_layers(entry, engine.PYTHON)


def test_linear_frames(made_linear, tmp_path, engine, tiny_job):
    shutil.copytree(made_linear / "shot.nvd", tmp_path / "shot.nvd")
    entry = shots.add_shot(tmp_path / "shot.nvd")
    job = wait(frame_canvas.start_canvas(entry, engine.PYTHON, frame=FRAME))
    assert job.state == "done" and entry.canvas_frame == FRAME
    before = pixels_of(entry)
    unpainted = read_pixels(entry.canvas)
    write_pixels(entry.canvas, unpainted)
    frame_canvas.to_layers(entry, engine.PYTHON)
    assert "no paint" in ended(tiny_job, entry).error.problem, "saving alone changes nothing"
    paint(entry.canvas, (4, 0, 0, 1))
    frame_canvas.to_layers(entry, engine.PYTHON)
    job = ended(tiny_job, entry)
    assert job.state == "done" and job.log.cautions
    assert not np.array_equal(pixels_of(entry)["background"], before["background"])
