"""What is painted on a frame as new paint on the stack, with the real engine; undo; no window."""

import json
import shutil

import bpy
import pytest

from blender_addon import headless
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.jobs.runner import runner
from blender_addon.paint import frame_canvas
from blender_addon.shot import flat, painting, shots, stack
from blender_addon.shot.folder import read_shot

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
def test_the_paint_of_a_frame_becomes_paint_on_the_stack(entry, folder, tiny_job, engine):
    if not (engine.ROOT / "nvd_core/editing/stack_edit.py").is_file():
        pytest.skip("this engine knows no stack")
    below = stack.add_plain(entry, entry.layers["background"], "adjustment", gain=0.5)
    below.opacity = 0.5
    painting.save_edits(entry)
    before = {layer.name: layer.edit.name for layer in entry.layers}
    files = {path.name: path.read_bytes() for path in (folder / "edits").glob("*.png")}
    paint_frame(tiny_job, entry)
    words = {"has_range": True, "first": 2, "last": 90}
    assert bpy.ops.nvd.canvas_to_stack("EXEC_DEFAULT", **words) == {"FINISHED"}
    entry.stack[0].opacity = 0.25  # in the meantime
    ended(tiny_job, entry)
    assert entry.canvas is None and len(entry.stack) > 1
    chosen = entry.stack[entry.active_entry]
    assert chosen.kind == "paint" and entry.layer.name == chosen.layer  # its frames can be set
    assert {layer.name: layer.edit.name for layer in entry.layers} == before
    assert {path.name: path.read_bytes() for path in (folder / "edits").glob("*.png")} == files
    for item in list(entry.stack)[1:]:
        assert item.stored.frames == (1, 2) and item.kind == "paint"
        assert item.name.startswith("Frame 2")
        alpha = read_pixels(item.image)[..., 3]
        assert 0 < alpha.mean() < 0.9 and alpha.max() == 1
    painting.save_edits(entry)
    found = stored(folder)
    assert found[0]["opacity"] == 0.25 and len(found) == len(entry.stack)
    names = [item["name"] for item in found]
    paint_frame(tiny_job, entry)
    assert bpy.ops.nvd.canvas_to_stack("EXEC_DEFAULT") == {"FINISHED"}
    ended(tiny_job, entry)
    more = [item for item in entry.stack if item.name not in names]
    assert more and all(item.name.startswith("Frame 2-2") for item in more)
    assert not any(item.has_range for item in more)
    painting.save_edits(entry)
    assert len(stored(folder)) == len(entry.stack)


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
    """The compositor shows the stack, which is flattened before; what it lacks it refuses, and the
    way of all steps takes the engine then.
    """
    out = tmp_path / "out" / "%05d.png"
    stack.add_paint(entry, entry.layers["toy"])
    painting.save_edits(entry)
    words = ["render", str(folder), "--out", str(out), "--through", "compositor"]
    assert headless.main(words) == 0
    assert flat.is_current(read_shot(folder), [item.stored for item in entry.stack])
    assert headless.main(["import", str(folder), "--json"]) == 0
    assert "compositor is without" not in capsys.readouterr().out
    the_shot().layers["toy"].spill = 0.5
    painting.save_edits(the_shot())
    assert headless.main(words) == 2
    assert "does not show spill of toy" in capsys.readouterr().err
    shutil.rmtree(out.parent)
    words = ["all", str(folder / "frames"), "--out", str(folder), "--movie", str(out)]
    with monkeypatch.context() as by_engine:
        by_engine.setattr("blender_addon.headless.tasks.composite", None)
        assert headless.main(words) == 0
    assert len(list(out.parent.glob("*.png"))) == 3
    entry = the_shot()
    entry.stack[0].on, entry.layers["toy"].spill = False, 0
    painting.save_edits(entry)
    words = ["render", str(folder), "--out", str(tmp_path / "b/%05d.png"), "--through"]
    assert headless.main([*words, "compositor"]) == 0
