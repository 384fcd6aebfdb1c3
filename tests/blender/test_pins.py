"""Pins in Blender: placed, applied as a job, seen by nodes and preview; a grid over the preview."""

import json
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import pin_marks, pins, preview
from blender_addon.shot import pins_file, shots, states
from blender_addon.shot.folder import ShotError
from blender_addon.ui import pin_operators

pytestmark = pytest.mark.usefixtures("extension")
LAYER = "background"


def place_two(entry) -> None:
    """A pin that moves a point near the upper left corner in the first frame."""
    last = entry.read().frames - 1
    assert bpy.ops.nvd.pin_place(x=6.5, y=6.5, frame=last) == {"FINISHED"}
    assert bpy.ops.nvd.pin_place(x=8.5, y=7.5, frame=0) == {"FINISHED"}


def ended(tiny_job):
    job = runner.tools.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    return job


def test_a_pin_is_placed_applied_and_removed(entry, tiny_job, reference):
    maps = entry.read().map(0)
    before = maps.read_bytes()
    place_two(entry)
    assert bpy.ops.nvd.pin_apply(name="corner") == {"FINISHED"}
    job = ended(tiny_job)
    assert job.log.result["off"]["corner"] < 0.5 and maps.read_bytes() != before
    assert not entry.pin_targets
    found = pins_file.read_pins(entry.read())
    assert found.applied and [pin.name for pin in found.pins] == ["corner"]
    assert found.pins[0].to[0] == (0, 8.5, 7.5) and found.pins[0].layer == LAYER
    assert bpy.ops.nvd.pin_remove(name="corner") == {"FINISHED"}
    ended(tiny_job)
    assert maps.read_bytes() == before and not pins_file.read_pins(entry.read()).pins


def test_the_compositor_shows_the_new_maps(entry, tiny_job, tmp_path):
    """Nodes that have shown a frame read its maps again."""
    place_two(entry)
    scene = entry.scene
    scene.render.compositor_device = "CPU"

    def picture(name: str) -> np.ndarray:
        path = tmp_path / f"{name}.png"
        scene.render.filepath = str(path)
        scene.render.use_sequencer = False
        bpy.ops.render.render(write_still=True, scene=scene.name)
        image = bpy.data.images.load(str(path))
        pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], -1)[::-1, :, :3]
        bpy.data.images.remove(image)
        return pixels

    layer = entry.layers[LAYER]
    pixels = np.array(layer.edit.pixels[:]).reshape(layer.edit.size[1], layer.edit.size[0], 4)
    pixels[::4, :, :3] = 1 - pixels[::4, :, :3]
    layer.edit.pixels = pixels.ravel()
    layer.edit.update()
    before = picture("before")
    pins.apply(entry, pin_operators.find_engine().python)
    ended(tiny_job)
    after = picture("after")
    assert np.abs(after - before)[:16, :16].max() > 0.02
    pins.remove(entry, pin_operators.find_engine().python, "Pin 1")
    ended(tiny_job)
    assert np.abs(picture("again") - before).max() < 1 / 255


def test_what_cannot_be_is_said(entry):
    with pytest.raises(RuntimeError, match="not in the picture"):
        bpy.ops.nvd.pin_place(x=-5, y=6, frame=0)
    with pytest.raises(AddonError, match="no frame"):
        pins.place(entry, 5, 5, frame=999)
    bpy.ops.nvd.pin_place(x=5, y=6, frame=0)
    bpy.ops.nvd.pin_place(x=6, y=6, frame=0)  # the same frame: it has moved
    assert len(entry.pin_targets) == 1 and entry.pin_targets[0].x == 6
    with pytest.raises(RuntimeError, match="but one place"):
        bpy.ops.nvd.pin_apply(name="one")
    bpy.ops.nvd.pin_forget()
    assert not entry.pin_targets


def test_a_click_in_the_preview_is_a_pixel_of_the_shot(entry):
    shot = entry.read()
    size = 2 * shot.width, 2 * shot.height
    assert pin_operators.pixel_of((0, 0), size, shot) == (shot.width / 2, shot.height / 2)
    assert pin_operators.pixel_of((-shot.width, shot.height), size, shot) == (0, 0)


def test_marks_are_of_the_frame(entry):
    bpy.ops.nvd.pin_place(x=6, y=7, frame=0)
    bpy.ops.nvd.pin_place(x=8, y=9, frame=1)
    pin = {"name": "a", "layer": LAYER, "at": [0.1, 0.1], "to": [[1, 20, 30]]}
    path = entry.path / "edits/pins.json"
    path.write_text(json.dumps({"schema": "nvd.pins", "version": 1, "pins": [pin]}))
    assert pin_marks.marks(entry, 0) == [(6, 7, pin_marks.MADE)]
    assert pin_marks.marks(entry, 1) == [(20, 30, pin_marks.HELD), (8, 9, pin_marks.MADE)]
    assert not pins_file.read_pins(entry.read()).applied


def test_the_panel_names_the_frames_of_the_timeline(entry):
    """It named those of the clip, which are not what the playhead shows."""
    drawn = []

    class Layout:
        active = True

        def label(self, text="", **_how):
            drawn.append(text)

        def operator(self, *_words, **_how):
            return SimpleNamespace()

        row = column = box = lambda self, **_how: self

    bpy.ops.nvd.pin_place(x=6, y=7, frame=0)
    bpy.ops.nvd.pin_place(x=8, y=9, frame=1)
    pin_operators.draw_pins(Layout(), entry)
    assert drawn == [f"{LAYER}: 1, 2"]


@pytest.mark.slow
def test_overlays_have_strips_of_their_own(entry, tiny_job):
    for what in ("grid", "doubt", "grid"):
        assert bpy.ops.nvd.overlay_to_strip(what=what) == {"FINISHED"}
        job = runner.queue.jobs[-1]
        tiny_job.tick_until(lambda job=job: job.ended, runner.tick)
        assert job.state == "done", job.full_log()
    strips = compat.strips(bpy.context.scene)
    assert sorted(strip.name for strip in strips) == ["take doubt", "take grid"]
    for what in ("grid", "doubt"):
        made = entry.path / f"render/overlay_{what}/00000.png"
        assert made.read_bytes() != entry.read().frame(0).read_bytes()


def test_damaged_pins_are_refused(entry):
    path = entry.path / "edits/pins.json"
    wrong = [{"name": "a", "layer": "nobody", "to": [[0, 1, 1]]}]
    wrong.append({"name": "a", "layer": LAYER, "to": [[0, 1, float("1e9")]]})
    for pin in wrong:
        path.write_text(json.dumps({"schema": "nvd.pins", "version": 1, "pins": [pin]}))
        with pytest.raises(ShotError, match="damaged"):
            pins_file.read_pins(entry.read())


def test_without_a_window(entry, capsys):
    last = entry.read().frames - 1
    words = ["pins", "add", str(entry.path), "--layer", LAYER, "--name", "corner"]
    words += ["--at", "0,6.5,6.5", "--to", f"{last},8.5,7.5"]
    assert headless.main([*words, "--json"]) == headless.OK
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["off"]["corner"] < 0.5
    assert headless.main(["pins", "remove", str(entry.path), "--all"]) == headless.OK
    assert not pins_file.read_pins(entry.read()).pins


@pytest.mark.gpu
def test_the_grid_is_the_engines(gpu_ready, entry, engine, tmp_path, reference):
    live = preview.Preview(entry)
    live.grid = 0.5
    live.prepare(entry, 1)
    shown = live.render(entry).read()
    live.grid = 0.0
    plain = live.render(entry).read()
    live.close()
    words = ["render", entry.path, "--out", tmp_path / "%05d.png", "--overlay", "grid"]
    engine.run("-m", "nvd_core", *words, "--frames", "1-1")
    wanted = reference.load(tmp_path / "00001.png")[..., :3]
    assert np.abs(shown - plain).max() > 0.2
    shows = ((plain >= 0) & (plain <= 1)).all(2)  # the preview does not clamp what a file does
    assert shows.mean() > 0.5 and np.abs(shown - wanted)[shows].max() < 3 / 255


def test_what_is_drawn_reads_the_folder_once(entry, monkeypatch):
    """A redraw is no time to look at every file of a shot, nor is each frame that plays."""
    read, count = states.read_shot, []
    monkeypatch.setattr(states, "read_shot", lambda folder: count.append(folder) or read(folder))
    monkeypatch.setattr(shots, "read_shot", lambda folder: pytest.fail("read to be drawn"))
    for _ in range(3):
        assert pin_marks.marks(entry, 0) == []
    assert len(count) <= 1
    (entry.path / "manifest.json").rename(entry.path / "away.json")
    assert pin_marks.marks(entry, 0) == [] and states.shown_shot(entry.path) is None
