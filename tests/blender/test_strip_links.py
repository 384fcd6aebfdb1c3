"""What is known of a strip stays with it: renamed, copied, cut, in files of older versions."""

import bpy
import pytest

from blender_addon.blender import compat
from blender_addon.blender.strip_identity import identity, strip_by
from blender_addon.decompose.strip_job import decompose_strip
from blender_addon.jobs.job import DONE
from blender_addon.jobs.runner import runner
from blender_addon.shot import shots
from blender_addon.strip import composite_strips

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def strip(scene, numbered_clip, timeline):
    return timeline.added(scene, "image", numbered_clip)


def named(scene, name):
    return next(strip for strip in compat.strips(scene) if strip.name == name)


def updated() -> None:
    """What Blender does when it has come to rest."""
    bpy.context.view_layer.update()


def test_a_renamed_strip_is_still_the_shots(scene, strip, folder):
    entry = shots.add_shot(folder, scene, strip=strip.name)
    strip.name = "hero"
    updated()
    assert entry.strip == "hero" and shots.strip_of(scene, entry) == strip
    scene.name = "cut"
    made = composite_strips.add_scene_strip(entry, scene)
    assert made.channel > strip.channel


def test_a_job_finds_its_strip_under_another_name(scene, strip, folder, tmp_path):
    job = decompose_strip(strip, tmp_path / "a.nvd")
    strip.name = "hero"
    updated()
    other = compat.make_strips(scene).new_image(
        name="clip", filepath=str(folder / "frames/00000.png"), channel=5, frame_start=1
    )
    job.cancel()
    runner.queue.tick()
    job.state, job.out = DONE, str(folder)  # a folder that is there, in place of an hour of work
    assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"}
    assert scene.nvd_shots[0].strip == "hero" and other.name == "clip"


@pytest.mark.parametrize("way", ["duplicate", "split", "copied scene"])
def test_no_two_strips_share_an_identity(scene, strip, folder, timeline, way):
    entry = shots.add_shot(folder, scene, strip=strip.name)
    strip.name = "hero"
    updated()
    known = identity(strip)
    if way == "copied scene":
        other = scene.copy()
        updated()
        (copy,) = compat.strips(other)
    else:
        scene.sequence_editor.active_strip, strip.select = strip, True
        timeline.sequencer(way, **({"frame": 30} if way == "split" else {}))
        updated()
        copy = next(strip for strip in compat.strips(scene) if strip.name != "hero")
    original = named(scene, "hero")
    assert identity(original) == known and identity(copy) not in ("", known)
    assert shots.strip_of(scene, entry) == original
    for changed in (original, copy):  # whichever is renamed
        changed.name = f"new {changed.name}"
        updated()
    assert shots.strip_of(scene, entry) == original and entry.strip == "new hero"


def test_a_strip_that_takes_over_the_name_is_another(scene, strip, folder, timeline, numbered_clip):
    entry = shots.add_shot(folder, scene, strip=strip.name)
    known = identity(strip)
    compat.make_strips(scene).remove(strip)
    other = timeline.added(scene, "movie", numbered_clip)
    other.name = "clip"
    assert strip_by(scene, known, "clip") == other  # it has no identity yet
    identity(other)
    assert shots.strip_of(scene, entry) is None


def test_a_file_of_before_takes_its_strip_by_name_once(scene, strip, folder, tmp_path):
    entry = shots.add_shot(folder, scene, strip=strip.name)
    entry.strip_id = ""  # as such files have it
    del strip["nvd_id"], strip["nvd_seen_as"]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "old.blend"))
    entry.strip_id = ""
    del strip["nvd_id"], strip["nvd_seen_as"]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "old.blend"))
    scene = bpy.context.scene
    (entry,), (strip,) = scene.nvd_shots, compat.strips(scene)
    assert entry.strip_id == strip["nvd_id"]
    strip.name = "hero"
    assert shots.strip_of(scene, entry) == strip


def test_objects_belong_to_their_strip(scene, strip, timeline, numbered_clip, tmp_path):
    bpy.ops.nvd.add_object()
    strip.nvd_decompose.objects[0].name = "car"
    strip.nvd_decompose.objects[0].kind = "FILE"
    strip.nvd_decompose.objects[0].path = "/clips/car"
    strip.nvd_decompose.objects[0].windows = 3
    strip.nvd_decompose.mask_margin, strip.nvd_decompose.out = 8, str(tmp_path / "a.nvd")
    other = compat.make_strips(scene).new_movie(
        name="other", filepath=str(numbered_clip / "24.mkv"), channel=4, frame_start=1
    )
    scene.sequence_editor.active_strip = other
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    scene = bpy.context.scene
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    job = runner.jobs_of(scene)[-1]
    words = job.plan["first_steps"][-1]["command"]
    assert not {"--mask", "--mask-margin", "--windows"} & set(words)
    assert words[words.index("--out") + 1] == str(tmp_path / "other.nvd")
    job.cancel()
    name = strip.name
    scene.sequence_editor.active_strip = next(s for s in compat.strips(scene) if s.name == name)
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    job = runner.jobs_of(scene)[-1]
    words = job.plan["first_steps"][-1]["command"]
    assert words[words.index("--windows") + 1] == "car=3"
    job.cancel()


def test_a_copy_of_a_strip_has_a_copy_of_its_objects(scene, strip, timeline):
    bpy.ops.nvd.add_object()
    mask = bpy.data.masks.new("car")
    strip.nvd_decompose.objects[0].mask = mask
    strip.select = True
    timeline.sequencer("duplicate")
    one, two = compat.strips(scene)
    assert one.nvd_decompose.objects[0].mask == two.nvd_decompose.objects[0].mask == mask
    one.nvd_decompose.objects[0].name = "bus"
    assert two.nvd_decompose.objects[0].name == "object"


def test_a_mask_strip_is_found_under_another_name(scene, strip, numbered_clip):
    roto = compat.make_strips(scene).new_movie(
        name="roto", filepath=str(numbered_clip / "24.mkv"), channel=4, frame_start=1
    )
    thing = strip.nvd_decompose.objects.add()
    thing.name, thing.kind, thing.strip = "dog", "STRIP", "roto"
    roto.name = "roto v2"
    assert thing.to_object().strip == roto
    updated()
    assert thing.strip == "roto v2"


@pytest.mark.parametrize("active", [True, False])
def test_a_scenes_list_of_before_goes_to_the_active_strip(scene, strip, tmp_path, active):
    old = scene.nvd_decompose
    for name, path in (("dog", "/clips/dog"), ("car", "/clips/car")):
        thing = old.objects.add()
        thing.name, thing.kind, thing.path = name, "FILE", path
    old.mask_margin, old.out = 8, "/clips/a.nvd"
    scene.sequence_editor.active_strip = strip if active else None
    for _ in range(2):  # once: the second file has nothing to hand over
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "old.blend"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "old.blend"))
        scene = bpy.context.scene
        (strip,), old = compat.strips(scene), scene.nvd_decompose
        if not active:
            assert len(old.objects) == 2 and not strip.nvd_decompose.objects
            scene.sequence_editor.active_strip = strip
            bpy.ops.nvd.add_object()
            assert len(strip.nvd_decompose.objects) == 3
            strip.nvd_decompose.objects.remove(2)
            active = True
        own = strip.nvd_decompose
        assert [(t.name, t.path) for t in own.objects] == [
            ("dog", "/clips/dog"),
            ("car", "/clips/car"),
        ]
        assert (own.mask_margin, own.out) == (8, "/clips/a.nvd") and not old.objects
