"""The picture that a strip shows at each frame of the timeline, against Blender's own rendering."""

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.errors import AddonError
from blender_addon.shot import shots
from blender_addon.strip import composite_strips, strips, timing
from blender_addon.strip.sources import read_strip

IMAGES_RETIME = bpy.app.version >= (4, 4, 0)  # before, only movie strips can be retimed


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.mark.parametrize("rate", ["24", "25", "12", "30000_1001", "24000_1001"])
def test_a_movie_of_another_rate(scene, numbered_clip, tmp_path, rate, timeline):
    strip = timeline.added(scene, "movie", numbered_clip, rate)
    told = timeline.check(strip, tmp_path)
    assert timing.is_plain(strip) == (rate == "24") and told[-1] >= timeline.COUNT - 3
    compat.trim(strip, 5, 4)
    assert timeline.check(strip, tmp_path) == told[5:-4]
    scene.render.fps = 30
    timeline.check(strip, tmp_path)


@pytest.mark.parametrize("kind", ["movie", "image"])
def test_cut_hard(scene, numbered_clip, tmp_path, kind, timeline):
    strip = timeline.added(scene, kind, numbered_clip)
    strip.animation_offset_start = 6
    timeline.sequencer("refresh_all")
    assert timeline.check(strip, tmp_path)[0] == 6
    compat.trim(strip, 5, 4)
    timeline.sequencer("refresh_all")
    assert timing.is_plain(strip) and timeline.check(strip, tmp_path)[0] == 11
    strip.use_reverse_frames = True
    timeline.sequencer("refresh_all")
    timeline.check(strip, tmp_path)


RETIMED = ["movie", "image"] if IMAGES_RETIME else ["movie"]


@pytest.mark.parametrize("kind", RETIMED)
def test_several_speeds(scene, numbered_clip, tmp_path, kind, timeline):
    strip = timeline.added(scene, kind, numbered_clip)
    timeline.retime(strip, 30, 25)
    timeline.retime(strip, 40, 52)
    told = timeline.check(strip, tmp_path)
    steps = np.diff(told)
    assert steps.min() == 0 and steps.max() >= 2 and told[0] == 0 and told[-1] >= timeline.COUNT - 2
    compat.trim(strip, 3, 2)
    timeline.check(strip, tmp_path)


@pytest.mark.parametrize("kind", RETIMED)
def test_a_freeze_frame(scene, numbered_clip, tmp_path, kind, timeline):
    strip = timeline.added(scene, kind, numbered_clip)
    scene.frame_set(30)
    timeline.sequencer("retiming_freeze_frame_add", duration=6)
    assert timeline.check(strip, tmp_path).count(19) >= 6


@pytest.mark.parametrize("kind", ["movie", "image"])
def test_constant_speed_reversed_and_strobe(scene, numbered_clip, tmp_path, kind, timeline):
    strip = timeline.added(scene, kind, numbered_clip)
    if kind in RETIMED:
        timeline.sequencer("retiming_segment_speed_set", speed=50)
        assert len(timeline.check(strip, tmp_path)) > 80
    strip.use_reverse_frames = True
    timeline.sequencer("refresh_all")  # 5.2 keeps pictures from before
    assert timeline.check(strip, tmp_path)[0] > 40
    strip.strobe = 3
    timeline.sequencer("refresh_all")
    timeline.check(strip, tmp_path)


def test_where_masks_are_drawn(scene, numbered_clip, timeline):
    """A frame that shows the picture, or comes nearest to it."""
    strip = timeline.added(scene, "movie", numbered_clip)
    timeline.retime(strip, 31, 21)
    source = read_strip(strip)
    assert source.timeline_frame(20) == 21 and source.picture_at(21) == 20
    for picture in (10, 30):
        assert abs(source.shows[source.timeline_frame(picture)] - picture) <= 1


def test_what_blender_does_not_tell_is_said(scene, numbered_clip):
    other = bpy.data.scenes.new("other")
    strip = compat.make_strips(scene).new_scene(name="s", scene=other, channel=1, frame_start=1)
    assert read_strip(strip).shows[3] == 2
    strip.use_reverse_frames = True
    with pytest.raises(AddonError, match="scene strip s does not play at normal speed"):
        read_strip(strip)


def test_following_the_playhead_never_renders(scene, numbered_clip, timeline):
    strip = timeline.added(scene, "movie", numbered_clip, "25")
    timing._known.clear()
    with pytest.raises(AddonError, match="off and on"):
        strips.source_frame(strip, 12)
    read_strip(strip)
    assert strips.source_frame(strip, 11) == 0 and strips.source_frame(strip, 5) == -1


def test_the_rendered_strip_shows_the_same(scene, folder, tmp_path, engine, reference, timeline):
    scene.render.resolution_x, scene.render.resolution_y = 160, 90
    strip = timeline.movie_strip(scene, folder, tmp_path / "plate.mkv")
    scene.sequence_editor.active_strip = strip
    strip.select = True
    timeline.sequencer("retiming_segment_speed_set", speed=20)
    timeline.retime(strip, 14, 18)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    start, length = compat.strip_span(strip)
    assert length > 5
    before = [timeline.show(scene, tmp_path, frame) for frame in range(start, start + length)]
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert compat.strip_span(made) == (start, length)
    strip.mute = True
    after = [timeline.show(scene, tmp_path, frame) for frame in range(start, start + length)]
    assert min(reference.psnr(*pair) for pair in zip(before, after, strict=True)) > 30
    assert reference.psnr(before[0], before[-1]) < 15, (
        "the frames differ, so another one would show"
    )
    for other in (composite_strips.add_scene_strip, composite_strips.add_modifier):
        with pytest.raises(AddonError, match=r"normal speed|no compositor"):
            other(entry, scene)
    assert not np.array_equal(before[0], before[-1])
