"""Asking Blender what a strip shows: whatever its scene is set to, and no more than is needed."""

import os
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.decompose.mask_drawing import draw_mask
from blender_addon.errors import AddonError
from blender_addon.shot import shots
from blender_addon.strip import composite_strips, strip_probe, timing
from blender_addon.strip.render_job import queue_render
from blender_addon.strip.sources import Source, read_around, read_strip

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture(autouse=True)
def nothing_known():
    timing._known.clear()


@pytest.fixture
def asked(monkeypatch):
    """The frames that were asked for, in the order of asking."""
    ranges, ask = [], strip_probe.ask
    monkeypatch.setattr(
        strip_probe, "ask", lambda strip, frames: ranges.append(frames) or ask(strip, frames)
    )
    return ranges


def effect(scene, kind, channel, *inputs):
    """An effect strip over `inputs`, or beside them."""
    new = compat.strips(scene).new_effect
    names = ("input1", "input2") if bpy.app.version >= (4, 4, 0) else ("seq1", "seq2")
    length = {"length": 30} if bpy.app.version >= (5, 0, 0) else {"frame_end": 41}
    given = dict(zip(names, inputs, strict=False))
    return new(name=kind, type=kind, channel=channel, frame_start=11, **length, **given)


@pytest.mark.parametrize("rate", [24, 30])
def test_a_movie_of_the_scenes_own_odd_rate_is_plain(
    scene, numbered_clip, tmp_path, asked, rate, timeline
):
    scene.render.fps, scene.render.fps_base = rate, 1.001
    strip = timeline.added(scene, "movie", numbered_clip, f"{rate}000_1001")
    assert strip.fps != rate / scene.render.fps_base, "as they are kept, the rates differ"
    assert timing.is_plain(strip)
    told = timeline.check(strip, tmp_path)
    assert (
        told == list(range(len(told))) and len(told) >= timeline.COUNT - 1
    )  # 4.2 rounds its length down
    assert not asked
    scene.render.fps_base = 1.0
    assert not timing.is_plain(strip)


def test_effects_stand_beside_the_strip(scene, numbered_clip, tmp_path, timeline):
    strip = timeline.added(scene, "image", numbered_clip)
    others = [timeline.added(scene, "image", numbered_clip) for _ in range(2)]
    for number, other in enumerate(others):
        other.channel = 2 + number
    effect(scene, "CROSS", 5, *others)
    effect(scene, "SPEED", 6, strip)
    strip.use_reverse_frames = True
    frames = range(11, 11 + timeline.COUNT)
    assert list(strip_probe.ask(strip, frames).values()) == list(reversed(range(timeline.COUNT)))
    assert len(compat.strips(scene)) == 5


def invert(settings):
    settings.use_curve_mapping = True
    first, last = settings.curve_mapping.curves[3].points
    first.location, last.location = (0, 1), (1, 0)
    settings.curve_mapping.update()


def expose(scene):
    scene.view_settings.exposure = -9


def curves(scene):
    invert(scene.view_settings)


def override(scene):
    output = scene.render.image_settings
    output.color_management = "OVERRIDE"
    output.view_settings.view_transform = "Standard"
    output.view_settings.exposure = -9


def mute_channel(scene):
    scene.sequence_editor.channels[1].mute = True


def two_views(scene):
    scene.render.use_multiview = True


def white_balance(scene):
    scene.view_settings.view_transform = "Standard"
    if hasattr(scene.view_settings, "use_white_balance"):
        scene.view_settings.use_white_balance = True
        scene.view_settings.white_balance_temperature = 1800


@pytest.mark.parametrize(
    "change", [expose, curves, override, mute_channel, two_views, white_balance]
)
def test_a_scene_that_changes_its_picture(scene, numbered_clip, change, timeline):
    strip = timeline.added(scene, "movie", numbered_clip)
    strip.use_reverse_frames = True
    expected = read_strip(strip).shows
    assert len(set(expected.values())) == timeline.COUNT
    timing._known.clear()
    change(scene)
    assert read_strip(strip).shows == expected


def fade(scene):
    scene.view_settings.exposure = -1


def blank(scene):
    compat.strips(scene)[0].blend_alpha = 0


def flood(scene):
    scene.view_settings.exposure, scene.view_settings.view_transform = 30, "Standard"
    invert(scene.view_settings)


@pytest.mark.parametrize("change", [fade, blank, curves, flood])
def test_a_picture_that_is_not_clearly_a_number_is_refused(
    scene, numbered_clip, monkeypatch, change, timeline
):
    strip, set_up = timeline.added(scene, "movie", numbered_clip), strip_probe._set_up
    strip.use_reverse_frames = True
    monkeypatch.setattr(
        strip_probe, "_set_up", lambda scene, frames: (set_up(scene, frames), change(scene))
    )
    with pytest.raises(AddonError, match="as they are"):
        read_strip(strip)
    monkeypatch.undo()
    assert read_strip(strip).count == timeline.COUNT, "and nothing wrong is kept"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks into Linux's open files")
@pytest.mark.parametrize("kind", ["movie", "image"])
def test_nothing_is_open_when_the_folder_is_deleted(
    scene, numbered_clip, monkeypatch, kind, timeline
):
    ends = []

    class Folder(strip_probe.tempfile.TemporaryDirectory):
        def __exit__(self, *error):
            files = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
            names = [os.readlink(file) for file in files if file.is_symlink()]
            ends.append([name for name in names if name.startswith(self.name)])
            super().__exit__(*error)

    monkeypatch.setattr(strip_probe.tempfile, "TemporaryDirectory", Folder)
    strip = timeline.added(scene, kind, numbered_clip)
    strip.use_reverse_frames = True
    scenes = len(bpy.data.scenes)
    read_strip(strip)
    assert ends == [[]] and len(bpy.data.scenes) == scenes


def test_no_more_is_asked_than_shows(scene, numbered_clip, tmp_path, asked, timeline):
    strip = timeline.added(scene, "movie", numbered_clip)
    strip.use_reverse_frames = True
    compat.trim(strip, 20, timeline.COUNT - 25)
    assert set(read_strip(strip).shows) == set(range(31, 36))
    read_strip(strip)
    assert asked == [range(31, 36)]
    timing._known.clear()
    timeline.check(strip, tmp_path)


def test_behind_the_trims_as_far_as_the_shot_goes(scene, numbered_clip, asked, timeline):
    strip = timeline.added(scene, "movie", numbered_clip)
    strip.use_reverse_frames = True
    compat.trim(strip, 20, timeline.COUNT - 25)
    source = read_around(strip, range(10, 30))
    assert {picture for picture in source.shows.values()} >= set(range(10, 30))
    assert (source.first, source.last) == (23, 27) and len(source.shows) < timeline.COUNT
    assert sum(map(len, asked)) == len(source.shows), "no frame is asked for twice"
    whole = strip_probe.ask(strip, range(11, 11 + timeline.COUNT))
    assert source.shows == {frame: whole[frame] for frame in source.shows}
    assert len(read_around(strip, range(timeline.COUNT)).shows) == timeline.COUNT


def test_before_the_timelines_first_frame(scene, numbered_clip, asked, timeline):
    strip = timeline.added(scene, "movie", numbered_clip)
    compat.move(strip, -31)
    strip.strobe = 3
    shows = read_strip(strip).shows
    assert shows == {frame: (frame + 20) // 3 * 3 for frame in range(-20, timeline.COUNT - 20)}
    assert asked


class _Counting(dict):
    looks = 0

    def __getitem__(self, key):
        self.looks += 1
        return super().__getitem__(key)


def test_masks_of_a_long_strip_are_placed_in_one_go():
    count = 2000
    shows = _Counting({frame: frame * 2 for frame in range(count)} | {-5: 0})
    source = Source("MOVIE", "", 0, 2 * count - 2, 0, shows, str)
    assert [source.timeline_frame(n) for n in range(0, 6)] == [-5, -5, 1, 1, 2, 2]
    assert [source.timeline_frame(n) for n in range(2 * count)][-2:] == [count - 1, count - 1]
    assert shows.looks < 4 * count


def test_a_strip_in_a_meta_strip(scene, numbered_clip):
    meta = compat.make_strips(scene).new_meta(name="meta", channel=1, frame_start=1)
    inside = meta.strips if hasattr(meta, "strips") else meta.sequences
    path = str(numbered_clip / "24.mkv")
    strip = inside.new_movie(name="inner", filepath=path, channel=1, frame_start=11)
    strip.use_reverse_frames = True
    with pytest.raises(AddonError, match="inner lies in a meta strip: take it out"):
        read_strip(strip)


def test_strips_of_other_kinds_are_refused(scene, numbered_clip, made, engine):
    strip = effect(scene, "COLOR", 1)
    entry = shots.add_shot(made / "shot.nvd", scene, strip=strip.name)
    for use in (timing.shown_pictures, timing.known_pictures, read_strip):
        with pytest.raises(AddonError, match="COLOR is no movie, image or scene strip"):
            use(strip)
    with pytest.raises(AddonError, match="COLOR is no movie, image or scene strip"):
        queue_render(entry, scene, engine.PYTHON)
    for add in (composite_strips.add_scene_strip, composite_strips.add_modifier):
        with pytest.raises(AddonError, match=r"is no movie|no compositor"):
            add(entry, scene)
    other = bpy.data.scenes.new("other")
    orphan = compat.strips(scene).new_scene(name="s", scene=other, channel=2, frame_start=1)
    bpy.data.scenes.remove(other)
    with pytest.raises(AddonError, match="scene of the strip s was deleted"):
        read_strip(orphan)


def test_a_mask_is_drawn_at_the_frame_of_the_strips_own_timeline(scene, numbered_clip):
    edit = bpy.data.scenes.new("edit")
    strip = compat.make_strips(edit).new_movie(
        name="clip", filepath=str(numbered_clip / "24.mkv"), channel=1, frame_start=1
    )
    edit.frame_set(7)
    scene.frame_set(20)
    thing = strip.nvd_decompose.objects.add()
    thing.name = "dog"
    draw_mask(thing, strip)
    assert thing.frame == 7
