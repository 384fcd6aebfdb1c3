"""What the Sequencer's panel stands on: strips read, objects listed, masks drawn, jobs begun."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.blender.problems import button_of, letters, letters_in
from blender_addon.decompose.properties import shot_name
from blender_addon.decompose.strip_job import Object, blender_command, decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner, timer
from blender_addon.strip.sources import read_strip
from blender_addon.ui import panel_decompose

pytestmark = pytest.mark.usefixtures("extension")

OURS = ("blender_addon", "bl_ext.user_default.neural_video_layers")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, engine, tiny_job) -> Path:
    folder = tiny_job.make_clip(tmp_path_factory.mktemp("clip"))
    code = (
        "import av, sys\n"
        "from nvd_core.media.images import read_image\n"
        "with av.open(sys.argv[2], 'w') as file:\n"
        "    stream = file.add_stream('libx264', rate=12)\n"
        "    stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuv420p'\n"
        "    for t in range(8):\n"
        "        image = read_image(f'{sys.argv[1]}/frames/{t:04d}.png')[..., :3].copy()\n"
        "        frame = av.VideoFrame.from_ndarray(image, format='rgb24')\n"
        "        file.mux(stream.encode(frame))\n"
        "    file.mux(stream.encode())\n"
    )
    engine.run("-c", code, folder, folder / "clip.mp4")
    return folder


@pytest.fixture
def scene():
    scene = bpy.context.scene
    scene.sequence_editor_create()
    return scene


def movie_strip(scene, clip):
    return compat.strips(scene).new_movie(
        name="clip.mp4", filepath=str(clip / "clip.mp4"), channel=1, frame_start=11
    )


def image_strip(scene, clip, first=0, last=7, what="frames", channel=2, start=1):
    strip = compat.strips(scene).new_image(
        name=what, filepath=str(clip / what / f"{first:04d}.png"), channel=channel,
        frame_start=start,
    )  # fmt: skip
    for t in range(first + 1, last + 1):
        strip.elements.append(f"{t:04d}.png")
    if last > first:
        strip.frame_final_duration = last - first + 1
    return strip


class TestStrips:
    def test_movie(self, scene, clip):
        source = read_strip(movie_strip(scene, clip))
        assert (source.path, source.first, source.last) == (str(clip / "clip.mp4"), 0, 7)
        assert (source.start, source.count) == (11, 8)
        assert source.shows == {frame: frame - 11 for frame in range(11, 19)}

    def test_trimmed_at_both_ends(self, scene, clip):
        strip = movie_strip(scene, clip)
        strip.frame_final_start = 13
        strip.frame_final_end = 17
        source = read_strip(strip)
        assert (source.first, source.last, source.start) == (2, 5, 13)
        assert source.picture_at(14) == 3 and source.timeline_frame(3) == 14

    def test_images_are_a_pattern_and_a_range(self, scene, clip):
        source = read_strip(image_strip(scene, clip, 2, 6))
        assert source.path == str(clip / "frames" / "%04d.png")
        assert (source.first, source.last) == (2, 6) and source.number_of(3) == "0003"

    def test_scene(self, scene):
        other = bpy.data.scenes.new("other")
        other.frame_start, other.frame_end = 5, 14
        strip = compat.strips(scene).new_scene(name="s", scene=other, channel=1, frame_start=1)
        source = read_strip(strip)
        assert (source.kind, source.first, source.last, source.scene_first) == ("SCENE", 0, 9, 5)

    def test_refusals(self, scene, clip):
        with pytest.raises(AddonError, match="single picture"):
            read_strip(image_strip(scene, clip, 3, 3))
        with pytest.raises(AddonError, match="no movie, image or scene strip"):
            read_strip(None)
        gap = image_strip(scene, clip, 0, 2, channel=4)
        gap.elements[1].filename = "0005.png"
        with pytest.raises(AddonError, match="do not follow one another"):
            read_strip(gap)
        moved = image_strip(scene, clip, 0, 2, channel=5)
        moved.directory = "/nowhere/"
        with pytest.raises(AddonError, match="is missing"):
            read_strip(moved)


def square_mask() -> bpy.types.Mask:
    """A mask over the picture's left half, of a frame 80 x 48."""
    mask = bpy.data.masks.new("half")
    spline = mask.layers.new(name="layer").splines.new()
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 1.5), (-0.5, 1.5)]
    spline.points.add(len(corners))
    spline.use_cyclic = True
    for point, corner in zip(spline.points, corners, strict=False):
        point.co = corner
        point.handle_left_type = point.handle_right_type = "VECTOR"
    return mask


def prepared(tiny_job, job) -> None:
    """Run a job's preparation alone."""
    step = next(s for s in job.plan["first_steps"] if s["title"] == "preparing")
    job.plan["first_steps"] = [step]
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll)
    assert job.state == "done", job.full_log()


class TestMasks:
    def test_drawn_on_one_frame(self, scene, clip, tmp_path, reference, tiny_job):
        strip = movie_strip(scene, clip)
        thing = Object("half", mask=square_mask(), frame=14)
        job = decompose_strip(strip, tmp_path / "shot.nvd", [thing])
        words = job.plan["first_steps"][-1]["command"]
        path = Path(words[words.index("--mask") + 1].partition("=")[2])
        assert path.name == "half"
        assert words[words.index("--frames") + 1] == "0-7"
        prepared(tiny_job, job)
        mask = reference.load(path / "mask_00003.png")[..., 0]
        assert mask.shape == (48, 80)
        assert mask[:, :36].min() > 0.99 and mask[:, 44:].max() < 0.01

    def test_animated_on_every_frame(self, scene, clip, tmp_path, reference, tiny_job):
        strip = image_strip(scene, clip)
        mask = square_mask()
        mask.layers[0].alpha = 0
        mask.layers[0].keyframe_insert("alpha", frame=4)
        mask.layers[0].alpha = 1
        mask.layers[0].keyframe_insert("alpha", frame=5)
        job = decompose_strip(strip, tmp_path / "shot.nvd", [Object("half", mask=mask)])
        prepared(tiny_job, job)
        files = sorted((job.folder / "masks" / "half").iterdir())
        assert [file.name for file in files] == [f"mask_{t:04d}.png" for t in range(8)]
        assert (
            reference.load(files[3])[20, 10, 0] < 0.01
            and reference.load(files[4])[20, 10, 0] > 0.99
        )

    def test_image_strip_is_copied_as_it_is_cut(self, scene, clip, tmp_path):
        thing = Object("disc", strip=image_strip(scene, clip, what="masks", channel=3))
        strip = image_strip(scene, clip)
        job = decompose_strip(strip, tmp_path / "shot.nvd", [thing])
        assert len(job.plan["copies"]) == 8
        with pytest.raises(AddonError, match="letters, digits"):
            decompose_strip(strip, tmp_path / "other.nvd", [Object("a b", path="x")])

    def test_scene_is_rendered_first(self, scene, tmp_path, reference, tiny_job):
        other = bpy.data.scenes.new("Scene")
        other.render.resolution_x, other.render.resolution_y = 32, 16
        other.frame_start, other.frame_end = 5, 7
        other.view_settings.view_transform = "Standard"
        other.sequence_editor_create()
        new = bpy.app.version >= (5, 0)
        colour = compat.strips(other).new_effect(
            name="red", type="COLOR", channel=1, frame_start=5,
            **({"length": 3} if new else {"frame_end": 8}),
        )  # fmt: skip
        colour.color = (1, 0, 0)
        strip = compat.strips(scene).new_scene(name="s", scene=other, channel=1, frame_start=1)
        strip.scene_input = "SEQUENCER"
        job = decompose_strip(strip, tmp_path / "shot.nvd")
        prepared(tiny_job, job)
        files = sorted((job.folder / "frames").iterdir())
        assert [file.name for file in files] == ["00000.png", "00001.png", "00002.png"]
        picture = reference.load(files[1])
        assert picture.shape[:2] == (16, 32) and picture[8, 16, 0] > 0.9 > picture[8, 16, 1]


class TestPanel:
    @pytest.mark.slow
    def test_decompose_button_to_the_end(self, scene, clip, tmp_path, tiny_job):
        assert not bpy.ops.nvd.decompose.poll()
        strip = image_strip(scene, clip)
        scene.sequence_editor.active_strip = strip
        assert bpy.ops.nvd.decompose.poll()
        with pytest.raises(RuntimeError, match="has not been saved"):
            bpy.ops.nvd.decompose()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
        settings = scene.nvd_decompose
        settings.settings = str(clip / "small.yaml")
        settings.device, objects = "cpu", strip.nvd_decompose.objects
        bpy.ops.nvd.add_object()
        objects[0].name = "disc"
        with pytest.raises(RuntimeError, match="disc has no mask"):
            bpy.ops.nvd.decompose()
        objects[0].kind, objects[0].path = "FILE", str(clip / "masks")
        assert bpy.ops.nvd.decompose() == {"FINISHED"}
        (job,) = runner.jobs_of(scene)
        tiny_job.tick_until(lambda: job.ended, timer)
        assert job.state == "done", job.full_log()
        assert (tmp_path / "frames.nvd" / "manifest.json").is_file()
        assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"}
        assert scene.nvd_shots[0].strip == "frames"
        assert bpy.ops.nvd.show_log(job=job.id) == {"FINISHED"}
        assert '"result"' in bpy.data.texts[0].as_string()
        assert bpy.ops.nvd.forget_job(job=job.id) == {"FINISHED"}
        with pytest.raises(RuntimeError, match="not in the list"):
            bpy.ops.nvd.resume_job(job=job.id)

    def test_objects_are_added_moved_and_removed(self, scene, clip):
        assert not bpy.ops.nvd.add_object.poll()
        scene.sequence_editor.active_strip = strip = image_strip(scene, clip)
        settings = strip.nvd_decompose
        for _ in range(3):
            bpy.ops.nvd.add_object()
        assert [thing.name for thing in settings.objects] == ["object", "object2", "object3"]
        bpy.ops.nvd.move_object(by=-1)
        assert [thing.name for thing in settings.objects] == ["object", "object3", "object2"]
        bpy.ops.nvd.remove_object()
        assert [thing.name for thing in settings.objects] == ["object", "object2"]

    def test_a_mask_is_drawn_over_the_strip(self, scene, clip):
        strip = image_strip(scene, clip, 2, 7, start=10)
        scene.sequence_editor.active_strip = strip
        with pytest.raises(RuntimeError, match="add one to the list"):
            bpy.ops.nvd.draw_mask()
        bpy.ops.nvd.add_object()
        scene.frame_set(12)
        area = bpy.context.window_manager.windows[0].screen.areas[0]
        area.type = "IMAGE_EDITOR"
        with bpy.context.temp_override(area=area):
            assert bpy.ops.nvd.draw_mask() == {"FINISHED"}
        thing, space = strip.nvd_decompose.objects[0], area.spaces.active
        assert (thing.mask.name, thing.frame, thing.kind) == ("object", 12, "MASK")
        assert (space.ui_mode, space.mask) == ("MASK", thing.mask)
        user, image = space.image_user, space.image
        first = re.search(r"(\d+)\.png$", image.filepath)[1]
        shown = scene.frame_current - user.frame_start + 1 + user.frame_offset
        expected = read_strip(strip).picture_at(scene.frame_current)
        assert (image.source, shown) == ("SEQUENCE", expected)  # the files are numbered from 0
        assert int(first) == 2
        bpy.ops.nvd.draw_mask()  # again: the same mask
        assert len(bpy.data.masks) == 1

    def test_a_shot_is_named_after_its_strip(self, scene, clip):
        strip = image_strip(scene, clip)
        for name, expected in {
            "0000.png": "frames",  # the folder of tests/blender/tiny.py's clip
            "take 3.0001.png": "take_3",
            "take.png": "take",
        }.items():
            strip.name = name
            assert shot_name(strip) == expected

    def test_remedies_have_buttons(self):
        asked = AddonError("x", "use --device cpu, or install a CUDA build of torch")
        assert button_of(asked) == "nvd.retry_on_cpu"
        assert button_of(AddonError("x", "go on with `nvd resume a`")) == "nvd.resume_job"
        assert button_of(AddonError("x", "think")) == ""

    def test_retry_on_the_cpu(self, scene, clip, tmp_path, tiny_job):
        strip = image_strip(scene, clip)
        given = tiny_job.options(clip) | {"device": "cuda"}
        masks = [Object(name, path=str(path)) for name, path in given.pop("masks")]
        job = decompose_strip(strip, tmp_path / "shot.nvd", masks, **given)
        assert "cuda" in job.plan["first_steps"][-1]["command"]
        job.cancel()
        bpy.ops.nvd.retry_on_cpu(job=job.id)
        assert job.state == "pending" and "cuda" not in json.dumps(job.plan["first_steps"])

    def test_preview_picture_is_an_icon_that_follows_the_file(self, clip, tmp_path):
        picture = tmp_path / "preview.png"
        job = type("Job", (), {"id": "a", "log": type("Log", (), {"preview": str(picture)})})
        assert panel_decompose._picture(job) == 0 and not panel_decompose._pictures
        picture.write_bytes((clip / "frames" / "0000.png").read_bytes())
        panel_decompose._picture(job)  # 0 without a window, which has no icons
        assert len(panel_decompose._pictures) == 1
        os.utime(picture, (1, 1))
        panel_decompose._picture(job)
        assert len(panel_decompose._pictures) == 1


def test_nothing_is_left_behind():
    def traces():
        handlers = [
            function.__name__
            for name in dir(bpy.app.handlers)
            if isinstance(functions := getattr(bpy.app.handlers, name), list)
            for function in functions
            if getattr(function, "__module__", "").startswith(OURS)
        ]
        classes = [
            name
            for name in dir(bpy.types)
            if getattr(getattr(bpy.types, name), "__module__", "").startswith(OURS)
        ]
        on_scene = [name for name in dir(bpy.types.Scene) if name.startswith("nvd_")]
        return handlers, classes, on_scene, bpy.app.timers.is_registered(timer)

    for _ in range(10):
        assert all(traces()[:3])
        runner._keep_ticking()
        blender_addon.unregister()
        assert traces() == ([], [], [], False)
        blender_addon.register()


def test_second_blender_is_this_one():
    assert "prepare" in blender_command("prepare", "x")


def test_lines_are_as_long_as_the_sidebar_is_wide():
    """In an Image Editor's sidebar a line of 46 letters ended in dots."""
    assert letters() == 46  # no sidebar is being drawn
    assert 34 <= letters_in(285, 1.0) <= 39  # as measured in a window: 39 letters fit
    assert letters_in(570, 2.0) == letters_in(285, 1.0) < letters_in(380, 1.0)
    assert letters_in(10, 1.0) == 20


def test_a_long_caution_of_a_job_is_read_whole(monkeypatch):
    """It was one line that ended in dots, or had dots in its middle."""
    drawn, said = [], "the mask of tumbler was lost in frames 12-20 behind other things " * 3

    class Layout:
        def label(self, text="", icon="NONE"):
            drawn.append((text, icon))

        def operator(self, *_words, **_how):
            return SimpleNamespace()

        box = row = lambda self: self

    log = SimpleNamespace(cautions=[said], unread=0, ready=None, stage="", total=0)
    job = SimpleNamespace(title="clip", state="done", kind="strip", id="1", error=None, log=log,
                          ended=True, stopping=False)  # fmt: skip
    monkeypatch.setattr(panel_decompose, "describe", lambda _job: "done")
    panel_decompose._draw_job(Layout(), job)
    lines = drawn[2:]
    assert " ".join(text for text, _icon in lines) == said.strip() and len(lines) > 3
    assert all(len(text) <= 46 for text, _icon in lines)
    assert [icon for _text, icon in lines] == ["ERROR"] + ["NONE"] * (len(lines) - 1)
