"""What the extension tells the engine of the source: its rate, its numbers, its faults."""

import bpy
import pytest

from blender_addon.blender import compat
from blender_addon.decompose.job import scene_rate
from blender_addon.decompose.strip_job import decompose_strip
from blender_addon.headless.tasks import rate_for

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def strip(tmp_path):
    """A strip of two small pictures in the file's scene."""
    scene = bpy.context.scene
    scene.sequence_editor_create()
    for t in range(2):
        image = bpy.data.images.new(f"{t}", 32, 24)
        image.filepath_raw, image.file_format = str(tmp_path / f"{t:04d}.png"), "PNG"
        image.save()
    strip = compat.strips(scene).new_image(
        name="strip", filepath=str(tmp_path / "0000.png"), channel=1, frame_start=1
    )
    strip.elements.append("0001.png")
    strip.frame_final_duration = 2
    return strip


def words_of(job) -> list[str]:
    return [str(word) for word in job.plan["first_steps"][-1]["command"]]


@pytest.mark.parametrize(
    ("fps", "base", "text"),
    [(24, 1.0, "24"), (24, 1.001, "24000/1001"), (30, 1.001, "30000/1001"), (25, 2.0, "25/2")],
)
def test_a_scenes_rate_is_told_as_people_write_it(fps, base, text):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, base
    assert scene_rate(scene) == text


def test_pictures_have_the_rate_of_the_timeline(strip, tmp_path):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    words = words_of(decompose_strip(strip, tmp_path / "a.nvd"))
    assert words[words.index("--rate") + 1] == "30000/1001"
    words = words_of(decompose_strip(strip, tmp_path / "b.nvd", rate="12"))
    assert words[words.index("--rate") + 1] == "12"


def test_batch_takes_the_rate_of_an_open_file_for_pictures(tmp_path):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    assert rate_for("shot.%04d.exr") == ""  # nothing is open: the default says nothing
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert rate_for("shot.%04d.exr:albedo") == rate_for(str(tmp_path)) == "25"
    assert rate_for("shot.mov") == ""
