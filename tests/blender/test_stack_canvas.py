"""What is painted on a frame as new paint on the stack, with the real engine; undo; no window."""

import json

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.jobs.runner import runner
from blender_addon.paint import frame_canvas
from blender_addon.shot import painting, shots, stack

pytestmark = [pytest.mark.usefixtures("extension"), pytest.mark.slow]
FRAME = 1


@pytest.fixture
def entry(folder):
    shots.add_shot(folder)
    bpy.context.scene.frame_current = 1 + FRAME
    bpy.ops.ed.undo_push(message="opened")
    return the_shot()


def the_shot():
    """The shot's entry: undo makes another object of it."""
    return bpy.context.scene.nvd_shots[0]


def ended(tiny_job, entry):
    job = frame_canvas.job_of(entry)
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    return job


def paint_frame(tiny_job, entry):
    assert bpy.ops.nvd.paint_frame() == {"FINISHED"}
    ended(tiny_job, entry)
    pixels = read_pixels(entry.canvas)
    pixels[30:50, 20:90] = (1, 0, 0, 1)
    write_pixels(entry.canvas, pixels)


def stored(folder):
    return json.loads((folder / "edits/stack.json").read_text("utf-8"))["entries"]


@pytest.mark.once
def test_the_paint_of_a_frame_becomes_paint_on_the_stack(entry, folder, tiny_job):
    background = entry.layers["background"]
    pixels = read_pixels(background.edit)
    pixels[:20, :20] = (0, 1, 0, 0.5)
    write_pixels(background.edit, pixels)
    painting.save_edits(entry)
    before = {layer.name: layer.edit.name for layer in entry.layers}
    files = {path.name: path.read_bytes() for path in (folder / "edits").glob("*.png")}
    paint_frame(tiny_job, entry)
    done = bpy.ops.nvd.canvas_to_stack("EXEC_DEFAULT", has_range=True, first=2, last=3)
    assert done == {"FINISHED"}
    made = ended(tiny_job, entry).log.result["images"]
    assert entry.canvas is None and len(entry.stack) > 0
    assert {layer.name: layer.edit.name for layer in entry.layers} == before
    assert {path.name: path.read_bytes() for path in (folder / "edits").glob("*.png")} == files
    for item in entry.stack:
        assert item.stored.frames == (1, 2) and item.kind == "paint"
        assert item.name.startswith("Frame 2")
        layer, ours = entry.layers[item.layer], read_pixels(item.image)
        file = bpy.data.images.load(made[item.layer])
        file.alpha_mode = "CHANNEL_PACKED"
        theirs, c = read_pixels(file), read_pixels(layer.base)[..., :3]
        shown = c + theirs[..., 3:] * (theirs[..., :3] - c)
        edit = read_pixels(layer.edit)
        e0 = c + edit[..., 3:] * (edit[..., :3] - c)
        laid = e0 + ours[..., 3:] * (ours[..., :3] - e0)
        assert 0 < ours[..., 3].mean() < 0.9 and set(np.unique(ours[..., 3])) == {0, 1}
        assert np.abs(laid - shown).max() < 0.6 / 255
    painting.save_edits(entry)
    assert [item["frames"] for item in stored(folder)] == [[1, 2]] * len(entry.stack)


def test_what_an_undo_takes_back_is_saved_so(entry, folder):
    """Also where it was saved in between: the file follows what Blender shows."""
    stack.add_paint(entry, entry.layers["toy"])
    bpy.ops.ed.undo_push(message="added")
    the_shot().stack[0].opacity = 0.5
    bpy.ops.ed.undo_push(message="opacity")
    assert bpy.ops.nvd.save_edits("EXEC_DEFAULT", True) == {"FINISHED"}
    assert stored(folder)[0]["opacity"] == 0.5
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert the_shot().stack[0].opacity == 1
    painting.save_edits(the_shot())
    assert "opacity" not in stored(folder)[0]
    bpy.ops.ed.undo()
    assert not len(the_shot().stack)
    painting.save_edits(the_shot())
    assert stored(folder) == [] and (folder / "edits/stack/Paint.png").is_file()
    bpy.ops.ed.redo()
    assert the_shot().stack[0].image.size[0]


@pytest.mark.once
def test_without_a_window(entry, folder, tmp_path, capsys, monkeypatch):
    """The compositor refuses what it does not show; the way of all steps takes the engine."""
    out = tmp_path / "out" / "%05d.png"
    stack.add_paint(entry, entry.layers["toy"])
    painting.save_edits(entry)
    words = ["render", str(folder), "--out", str(out), "--through", "compositor"]
    assert headless.main(words) == 2
    assert "stack of edits" in capsys.readouterr().err
    assert headless.main(["import", str(folder), "--json"]) == 0
    assert "without the stack" in capsys.readouterr().out
    words = ["all", str(folder / "frames"), "--out", str(folder), "--movie", str(out)]
    with monkeypatch.context() as by_engine:
        by_engine.setattr(headless, "composite", None)
        assert headless.main(words) == 0
    assert len(list(out.parent.glob("*.png"))) == 3
    entry = the_shot()
    entry.stack[0].on = False
    painting.save_edits(entry)
    words = ["render", str(folder), "--out", str(tmp_path / "b/%05d.png"), "--through"]
    assert headless.main([*words, "compositor"]) == 0
