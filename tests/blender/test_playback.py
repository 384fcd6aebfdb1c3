"""Playing with the live preview on: what is counted, and the scene's setting given back."""

import bpy
import pytest

import blender_addon
from blender_addon.paint import playback, preview
from blender_addon.shot import shots


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


def count(first=1, last=10):
    return playback.Count(first, last, 24.0, began=0.0)


def test_every_frame_drawn_is_none_dropped():
    found = count()
    for frame in range(1, 11):
        found.move(frame)
        for _editor in range(2):  # a frame is shown once, in however many editors
            found.draw(frame / 24)
    assert (found.passed, found.shown, found.dropped, found.stride) == (10, 10, 0, 1)
    assert found.shown_a_second == pytest.approx(24)


def test_what_the_playhead_passes_is_dropped_over_the_end_too():
    found = count()
    for frame in (1, 4, 7, 10, 3):  # behind 10 come 1, 2, 3
        found.move(frame)
        found.draw(0.125 * found.passed)
    assert (found.passed, found.shown, found.dropped) == (13, 5, 8)
    assert found.stride == 3


def test_a_frame_that_was_not_drawn_is_dropped():
    found = count()
    for frame in (1, 2, 3, 4):
        found.move(frame)
        if frame % 2:
            found.draw(frame / 24)
    assert (found.shown, found.dropped) == (2, 2)


def test_beyond_the_shot_nothing_is_counted():
    found = count()
    for frame in (1, 2, 3):
        found.move(frame, inside=frame < 3)
        found.draw(frame / 24)
    assert (found.passed, found.shown) == (2, 2)


def test_the_scenes_setting_comes_back(made):
    scene = bpy.context.scene
    entry = shots.add_shot(made / "shot.nvd")
    preview.start(entry)
    scene.sync_mode = "NONE"
    playback.begin(scene)
    assert scene.sync_mode == "FRAME_DROP" and playback.is_on()
    playback.end()
    assert scene.sync_mode == "NONE" and not playback.is_on()
    scene.nvd_inset.keep_rate = False
    playback.begin(scene)
    assert scene.sync_mode == "NONE"
    playback.end()
    scene.nvd_inset.keep_rate, scene.sync_mode = True, "AUDIO_SYNC"
    playback.begin(scene)
    preview.stop()
    assert scene.sync_mode == "AUDIO_SYNC" and playback.told() == ""


def test_a_blend_saved_while_it_plays_has_the_scenes_own_setting(made, tmp_path):
    scene = bpy.context.scene
    preview.start(shots.add_shot(made / "shot.nvd"))
    scene.sync_mode = "NONE"
    playback.begin(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "x.blend"))
    assert scene.sync_mode == "FRAME_DROP" and playback.is_on()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    assert bpy.context.scene.sync_mode == "NONE" and not playback.is_on()


@pytest.mark.gpu
def test_the_playhead_of_the_preview_is_counted(gpu_ready, made):
    entry = shots.add_shot(made / "shot.nvd")
    preview.start(entry)
    playback.begin(entry.scene)
    for frame in (1, 3):
        entry.scene.frame_set(frame)
        preview.running().render(entry)
        playback.draw()
    assert (playback.count().passed, playback.count().dropped) == (3, 1)
    assert "1 dropped" in playback.told()
    playback.end()
    assert "1 dropped" in playback.told()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert playback.count() is None


def test_blender_calls_it_while_a_preview_is_on_and_not_after(made):
    before = len(bpy.app.handlers.animation_playback_pre)
    preview.start(shots.add_shot(made / "shot.nvd"))
    assert playback.begin in bpy.app.handlers.animation_playback_pre
    assert preview._after_playing in bpy.app.handlers.animation_playback_post
    preview.stop()
    assert len(bpy.app.handlers.animation_playback_pre) == before
