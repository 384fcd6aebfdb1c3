"""Objects found by the engine, offered in the strip's list; frames that need an eye, drawn on."""

import json
import shutil
from pathlib import Path

import bpy
import pytest

from blender_addon.decompose import eye, found_objects
from blender_addon.decompose.found_objects import list_found, note_lost
from blender_addon.decompose.strip_job import decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.job import DONE
from blender_addon.jobs.runner import runner

pytestmark = pytest.mark.usefixtures("extension")
CROSSING = Path(__file__).parents[2] / "samples/truth/crossing/frames"


@pytest.fixture
def strip(crossing_strip):
    return crossing_strip


@pytest.fixture
def folder(tmp_path):
    """What `nvd objects` would have written."""
    folder = tmp_path / "clip_objects"
    objects = []
    for name, lost in (("object-1", []), ("object-2", [4, 5, 6, 9])):
        masks = folder / "masks" / name
        masks.mkdir(parents=True)
        for t in range(16):
            shutil.copy(CROSSING / "00000.png", masks / f"{t:05d}.png")
        frames = {"seen": list(range(16)), "moves": list(range(8)), "needs_eye": lost}
        objects.append({"name": name, "confidence": 0.9, "area": 0.1} | frames)
    values = {"schema": "nvd.objects", "version": 1, "objects": objects}
    (folder / "objects.json").write_text(json.dumps(values))
    return folder


@pytest.mark.long
def test_a_search_offers_its_objects_and_two_are_made_one(strip, tick_until, tmp_path):
    own = strip.nvd_decompose
    own.objects.add().name = "drawn"
    assert bpy.ops.nvd.find_objects() == {"FINISHED"}
    (job,) = runner.queue.jobs
    tick_until(lambda: job.ended, runner.tick, 500)
    assert job.state == DONE, job.full_log()
    assert [thing.name for thing in own.objects] == ["drawn", "object-1", "object-2"]
    assert all((Path(t.found) / "thumbnails" / f"{t.name}.png").is_file() for t in own.objects[1:])
    own.active = 2
    assert bpy.ops.nvd.merge_object() == {"FINISHED"}
    job = runner.queue.jobs[-1]
    tick_until(lambda: job.ended, runner.tick, 500)
    assert job.state == DONE, job.full_log()
    assert [thing.name for thing in own.objects] == ["drawn", "object-1"]


def test_found_objects_take_the_place_of_those_found_before(strip, folder):
    drawn = strip.nvd_decompose.objects.add()
    drawn.name = "object-1"
    for _ in range(2):
        list_found(strip, folder)
        names = [thing.name for thing in strip.nvd_decompose.objects]
        assert names == ["object-1", "object-1_2", "object-2"]
    assert strip.nvd_decompose.objects[2].to_object().path == str(folder / "masks/object-2")


def test_a_damaged_folder_changes_nothing(strip, folder):
    list_found(strip, folder)
    for text in ("{", '{"schema": "nvd.objects", "version": 1, "objects": [{"name": "../x"}]}'):
        (folder / "objects.json").write_text(text)
        with pytest.raises(AddonError, match="damaged"):
            list_found(strip, folder)
    assert len(strip.nvd_decompose.objects) == 2


def test_the_playhead_goes_from_eye_to_eye(strip, folder):
    list_found(strip, folder)
    scene = bpy.context.scene
    strip.nvd_decompose.active = 1
    scene.frame_set(1)
    went = []
    for by in (1, 1, -1):
        bpy.ops.nvd.to_eye(by=by)
        went.append(scene.frame_current)
    assert went == [15, 20, 15], "masks 4 to 6 and 9 of a strip that begins at 11"
    bpy.ops.nvd.to_eye(frame=17)
    assert scene.frame_current == 17


def test_a_mask_drawn_there_is_a_further_key_frame(strip, folder, tmp_path):
    """The engine is given the files of sure frames and the drawn one; the others it carries."""
    list_found(strip, folder)
    scene, own = bpy.context.scene, strip.nvd_decompose
    own.active = 1
    scene.frame_set(16)
    bpy.ops.nvd.draw_key()
    bpy.ops.nvd.draw_key()
    thing = own.objects[1]
    assert [key.frame for key in thing.keys_drawn] == [16]
    job = decompose_strip(strip, tmp_path / "out.nvd", [thing.to_object()])
    words = [str(word) for word in job.plan["first_steps"][-1]["command"]]
    given = Path(words[words.index("--mask") + 1].partition("=")[2])
    plan = json.loads((given.parents[1] / "prepare.json").read_text())
    drawn = [part["frames"] for part in plan["masks"] if part["folder"] == str(given)]
    assert drawn == [[[16, "mask_00005.png"]]]
    copied = {Path(to).name for _, to in job.plan["copies"]}
    assert copied == {f"mask_{t:05d}.png" for t in range(16) if t not in (4, 5, 6, 9)}
    bpy.ops.nvd.remove_key(frame=16)
    assert not thing.keys_drawn and thing.to_object().keys == {}


def test_frames_that_a_decomposition_lost_are_noted(strip, tmp_path):
    thing = strip.nvd_decompose.objects.add()
    thing.name = "ball"
    out = tmp_path / "done.nvd"
    out.mkdir()
    (out / "job.json").write_text(json.dumps({"needs_eye": {"ball": [2, 3], "gone": [1]}}))
    note_lost(strip, out)
    assert eye.from_text(thing.needs_eye) == [2, 3]
    for text in ("{", '{"needs_eye": {"ball": ["x"]}}', '{"needs_eye": 3}'):
        (out / "job.json").write_text(text)
        assert found_objects.lost_frames(out) == {}


def test_what_cannot_be_searched_or_merged_is_refused(strip, folder):
    with pytest.raises(RuntimeError, match="found together"):
        bpy.ops.nvd.merge_object()
    strip.nvd_decompose.objects.add().kind = "STRIP"
    with pytest.raises(RuntimeError, match="given on every frame"):
        bpy.ops.nvd.draw_key()


@pytest.mark.long
def test_a_drawn_key_frame_is_decomposed_with(strip, folder, tmp_path, tick_until):
    """Files of one size and a mask that Blender draws: the engine takes both for one object's."""
    list_found(strip, folder)
    size = (44, 25)  # a quarter of the clip's: masks are found at a smaller size
    for path in (folder / "masks/object-2").iterdir():
        image = bpy.data.images.load(str(path))
        image.scale(*size)
        pixels = [0.0, 0.0, 0.0, 1.0] * (44 * 25)
        for row in range(5, 15):
            pixels[4 * (44 * row + 10) : 4 * (44 * row + 30)] = [1.0] * 80
        image.pixels = pixels
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    own = strip.nvd_decompose
    own.active = 1
    bpy.context.scene.frame_set(16)
    bpy.ops.nvd.draw_key()
    spline = own.objects[1].keys_drawn[0].mask.layers[0].splines.new()
    spline.points.add(3)
    for point, (x, y) in zip(
        spline.points, [(0.2, 0.3), (0.6, 0.3), (0.6, 0.7), (0.2, 0.7)], strict=False
    ):
        point.co = x, y
        point.handle_left_type = point.handle_right_type = "VECTOR"
    spline.use_cyclic = True
    settings = tmp_path / "settings.yaml"
    settings.write_text("iterations: 20\n")
    objects = [own.objects[1].to_object()]
    job = decompose_strip(strip, tmp_path / "out.nvd", objects, settings=settings, device="cpu")
    tick_until(lambda: job.ended, runner.tick, 500)
    assert job.state == DONE, job.full_log()
    noted = json.loads((tmp_path / "out.nvd/job.json").read_text())
    assert any("carried from them" in said for said in noted["said"])
