"""Frames rendered ahead of the playhead: shown while Blender plays, never an old one, and gone."""

import time

import bpy
import numpy as np
import pytest

from blender_addon.decompose import purging
from blender_addon.jobs.runner import runner
from blender_addon.paint import ahead, playback, preview
from blender_addon.paint.ahead_state import state_of
from blender_addon.shot import painting, shots, stack

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def begun(monkeypatch, tick_until):
    """`begun`(folder): the shot with its preview on, too slow, and frames rendered ahead."""
    monkeypatch.setattr(ahead, "PAUSE", 0.1)

    def begin(folder, **more):
        entry = shots.add_shot(folder, **more)
        preview.start(entry)
        preview.running().by_nodes = False
        bpy.context.scene.nvd_inset.draft_ahead = True
        return entry

    yield begin
    ahead.stop()
    tick_until(lambda: ahead.running() is None, ahead.follow)
    playback.forget()


@pytest.fixture
def until_ready(tick_until):
    def wait(count=3):
        ahead.follow()
        tick_until(lambda: len(ahead._ahead.ready) == count and not ahead.running(), ahead.follow)

    return wait


def play(entry):
    playback.begin(entry.scene)


def shown(entry, t):
    """What is drawn of frame `t`, and whether it was rendered ahead."""
    entry.scene.frame_set(t + 1)
    live = preview.running()
    return live.render(entry).read(), live.was_rendered


def paint(entry, layer, colour):
    edit = entry.layers[layer].edit
    pixels = painting.read_pixels(edit)
    pixels[:] = colour
    painting.write_pixels(edit, pixels)


def rendered(engine, folder, out, reference, t, space="Non-Color"):
    """What `nvd render` makes of frame `t` of the folder as it is saved."""
    suffix = "exr" if space != "Non-Color" else "png"
    engine.run("-m", "nvd_core", "render", folder, "--out", out / f"%05d.{suffix}", "--start", "0")
    return reference.load(out / f"{t:05d}.{suffix}", space)


@pytest.mark.gpu
def test_while_it_plays_what_the_engine_rendered_is_shown(
    gpu_ready, folder, tmp_path, begun, until_ready, engine, reference
):
    entry = begun(folder)
    paint(entry, "background", (1, 0, 1, 1))
    until_ready()
    assert "3 of 3" in ahead.told() and ahead.problem() is None
    wanted = rendered(engine, folder, tmp_path / "fine", reference, 1)
    made, was_rendered = shown(entry, 1)
    assert not was_rendered and np.abs(np.clip(made, 0, 1) - wanted).max() < 2 / 255
    play(entry)
    got, was_rendered = shown(entry, 1)
    assert was_rendered and np.array_equal(np.round(got * 255), np.round(wanted * 255))
    playback.draw(was_rendered)
    assert "1 rendered ahead" in playback.told()
    preview._after_playing(entry.scene)
    assert not preview.running().was_rendered


@pytest.mark.gpu
def test_of_a_linear_plate_too(
    gpu_ready, made_linear, tmp_path, begun, until_ready, engine, reference
):
    import shutil

    folder = shutil.copytree(made_linear / "shot.nvd", tmp_path / "shot.nvd")
    entry = begun(folder)
    paint(entry, "toy", (0.1, 0.9, 0.2, 1))
    until_ready()
    wanted = rendered(engine, folder, tmp_path / "fine", reference, 2, "Linear Rec.709")
    play(entry)
    got, was_rendered = shown(entry, 2)
    assert was_rendered and np.abs(got - reference.encode(wanted)).max() < 1e-3


@pytest.mark.gpu
def test_a_stroke_makes_them_old_at_once_and_new_after_a_pause(
    gpu_ready, folder, tmp_path, begun, until_ready, engine, reference
):
    entry = begun(folder)
    until_ready()
    play(entry)
    before, was_rendered = shown(entry, 1)
    assert was_rendered
    paint(entry, "background", (0, 1, 0, 1))
    live = preview.running()
    assert live.is_old(entry) and not live.is_prepared(entry)  # so it is not drawn
    preview._prepare()
    got, was_rendered = shown(entry, 1)
    assert not was_rendered and np.abs(got - before).max() > 0.1
    until_ready()
    assert not painting.is_unsaved(entry.layers["background"])
    got, was_rendered = shown(entry, 0)
    wanted = rendered(engine, folder, tmp_path / "fine", reference, 0)
    assert was_rendered and np.array_equal(np.round(got * 255), np.round(wanted * 255))
    got, was_rendered = shown(entry, 1)  # and not what was read of it before
    wanted = reference.load(tmp_path / "fine/00001.png")
    assert was_rendered and np.array_equal(np.round(got * 255), np.round(wanted * 255))


def test_whatever_changes_a_frame_makes_another_state(folder):
    entry = shots.add_shot(folder)
    shot, seen = entry.read(), []

    def now(mode="delta"):
        return state_of(entry, shot, mode)

    def differs():
        assert now() not in seen
        assert now() == now()
        seen.append(now())

    differs()
    assert now("full") != now() and now().is_saved
    layer = entry.layers["toy"]
    layer.visibility = 0.5
    differs()
    layer.keyframe_insert("visibility", frame=1)
    layer.visibility = 0.25
    layer.keyframe_insert("visibility", frame=3)
    differs()
    layer.feather = 2.0
    differs()
    entry.motion_blur = True
    differs()
    stack.add_plain(entry, layer, "adjustment", gain=1.5)
    differs()
    entry.stack[0].opacity = 0.5
    differs()
    paint(entry, "leaf-2", (1, 1, 0, 1))
    differs()
    assert not now().is_saved
    painting.save_edits(entry)
    differs()
    assert now().is_saved
    (folder / "edits/toy.png").touch()
    differs()
    painting.show(entry, layer, "checker")
    assert now() is None
    painting.show(entry, layer, "edit")
    assert now() == seen[-1]


def test_it_obeys_the_range_and_begins_at_the_playhead(folder, begun, until_ready):
    entry = begun(folder)
    scene = preview.scene_of(entry)
    scene.frame_start, scene.frame_end = 2, 3
    scene.frame_set(3)
    ahead.follow()
    until_ready(2)
    assert ahead._ahead.ready == {1, 2} and "2 of 2" in ahead.told()
    scene.frame_start = 1
    until_ready(3)


def test_where_the_preview_keeps_up_nothing_is_rendered(folder, begun, tick_until):
    entry = begun(folder)
    preview.running().by_nodes = True
    ahead.follow()
    assert ahead.running() is None and "keeps the rate" in ahead.told()
    play(entry)
    for frame in range(1, 40, 2):  # every second one is dropped
        playback.move(frame, True)
        playback.draw()
    playback.end()
    tick_until(lambda: ahead.running() is not None, ahead.follow)


def test_off_stops_it_within_two_seconds_and_leaves_nothing(folder, begun, tick_until):
    begun(folder)
    tick_until(lambda: ahead.running() is not None, ahead.follow)
    job = ahead.running()
    assert job.plan["about"]["behind"] and job not in runner.queue.jobs
    began = time.monotonic()
    bpy.context.scene.nvd_inset.draft_ahead = False
    tick_until(lambda: ahead.running() is None, ahead.follow)
    assert time.monotonic() - began < 4  # two, on a machine with nothing else to do
    assert not job.folder.exists() and ahead.told() == "" and not ahead._ahead.ready


def test_a_purge_ends_it_and_takes_its_frames(folder, begun, until_ready, tick_until):
    entry = begun(folder)
    until_ready()
    size = purging.sizes(entry)["render"]
    assert size > 1000 and len(list((folder / "render/ahead").glob("*.png"))) == 3
    assert bpy.ops.nvd.purge(render=True) == {"FINISHED"}
    job = runner.queue.newest(purging.KIND, entry.path)
    assert not bpy.context.scene.nvd_inset.draft_ahead
    tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done" and not (folder / "render").exists()


@pytest.mark.gpu
def test_a_frame_that_somebody_removed_is_made_here(gpu_ready, folder, begun, until_ready):
    entry = begun(folder)
    until_ready()
    (folder / "render/ahead/00001.png").unlink()
    play(entry)
    assert [shown(entry, t)[1] for t in range(3)] == [True, False, True]
    assert not preview.message()


def test_a_saved_blend_knows_nothing_of_it(folder, tmp_path, begun, until_ready):
    entry = begun(folder)
    until_ready()
    play(entry)
    entry.scene.frame_set(2)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "x.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    ahead.follow()
    assert not ahead._ahead.ready and ahead.running() is None and preview.running() is None
    assert not any("ahead" in image.filepath for image in bpy.data.images)
    assert not any(len(scene.nvd_jobs) for scene in bpy.data.scenes)
    assert bpy.context.scene.nvd_inset.draft_ahead  # the switch is the scene's, as others are


def test_an_engine_that_fails_is_said_and_not_asked_again(folder, begun, tick_until):
    begun(folder)
    (folder / "manifest.json").write_text("{}")
    tick_until(lambda: ahead.problem() is not None, ahead.follow)
    for _ in range(5):
        ahead.follow()
    assert ahead.running() is None and "manifest" in str(ahead.problem())
