"""The panel's Layer: asked for where a strip shows EXR, and told to the engine."""

import bpy
import pytest

from blender_addon.blender import compat
from blender_addon.decompose.strip_job import decompose_strip, shows_exr

pytestmark = pytest.mark.usefixtures("extension")


def strip_of(scene, folder, suffix):
    """A strip of two small images with that suffix."""
    kind = {".exr": "OPEN_EXR", ".png": "PNG"}[suffix]
    for t in range(2):
        image = bpy.data.images.new(f"{t}", 32, 24, float_buffer=suffix == ".exr")
        image.filepath_raw, image.file_format = str(folder / f"{t:04d}{suffix}"), kind
        image.save()
    strip = compat.strips(scene).new_image(
        name=suffix, filepath=str(folder / f"0000{suffix}"), channel=1, frame_start=1
    )
    strip.elements.append(f"0001{suffix}")
    strip.frame_final_duration = 2
    return strip


@pytest.mark.parametrize("suffix", [".exr", ".png"])
def test_the_layer_goes_behind_the_files_name_where_they_are_exr(tmp_path, suffix):
    scene = bpy.context.scene
    scene.sequence_editor_create()
    strip = strip_of(scene, tmp_path, suffix)
    assert shows_exr(strip) == (suffix == ".exr")
    job = decompose_strip(strip, tmp_path / "a.nvd", scene=scene, layer="ViewLayer.Combined")
    command = job.plan["first_steps"][-1]["command"]
    source = command[command.index("decompose") + 1]
    wanted = str(tmp_path / f"%04d{suffix}")
    assert source == (f"{wanted}:ViewLayer.Combined" if suffix == ".exr" else wanted)
    strip.nvd_decompose.layer = "beauty"
    assert strip.nvd_decompose.layer == "beauty"
