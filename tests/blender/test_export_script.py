"""The script that `nvd export --to blender` writes makes what `nvd render` makes, without us."""

import runpy
from pathlib import Path

import bpy
import numpy as np
import pytest

pytestmark = pytest.mark.slow


def values(path: Path) -> np.ndarray:
    """RGB as it stands in a file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], 4)[..., :3]
    bpy.data.images.remove(image)
    return pixels


@pytest.mark.parametrize(("kind", "suffix"), [("made", "png"), ("made_linear", "exr")])
def test_it_makes_what_is_rendered(request, empty_file, engine, tmp_path, kind, suffix):
    shot = request.getfixturevalue(kind) / "shot.nvd"
    told = "-m", "nvd_core", "export", shot, "--to", "blender", "--out", tmp_path, "--start", "1001"
    engine.run(*told, "--no-inverse")
    runpy.run_path(str(tmp_path / "shot_blender.py"))
    scene = empty_file
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG" if suffix == "png" else "OPEN_EXR"
    settings.color_mode, settings.color_depth = "RGB", "8" if suffix == "png" else "32"
    assert (scene.frame_start, scene.frame_end) == (1001, 1003)
    for number in (1001, 1003):
        scene.frame_set(number)
        scene.render.filepath = str(tmp_path / f"made.{suffix}")
        bpy.ops.render.render(write_still=True)
        made = values(tmp_path / f"made.{suffix}")
        wanted = values(tmp_path / f"result/result.{number}.{suffix}")
        plate = values(tmp_path / f"plate/plate.{number}.{suffix}")
        assert np.abs(wanted - plate).max() > 0.1, "the paint shows"
        off = np.abs(made - wanted)
        if suffix == "png":  # a step, where a value lies on the border of two
            assert off.max() <= 1.01 / 255 and off.mean() < 1e-4
        else:  # what is rendered is rounded to halves, what Blender writes is not
            assert (off <= 2**-10 * np.maximum(np.abs(wanted), 0.1)).all()
