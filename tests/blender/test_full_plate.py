"""A folder whose plate is larger than what was looked at: Blender and `nvd render` agree on it."""

import json

import bpy
import numpy as np
import pytest

from blender_addon.decompose.job import decompose_job
from blender_addon.shot.folder import read_shot
from blender_addon.shot.scripting import open_shot

SIZE, LINES = (80, 48), 24
PAINT = """
import sys
from nvd_core.media.images import read_image, write_image
image = read_image(sys.argv[1]).copy()
h, w = image.shape[:2]
image[h // 4 : h // 2, w // 4 : 3 * w // 4, :3] = (240, 30, 200)
write_image(sys.argv[1], image)
"""


@pytest.fixture(scope="module")
def full_plate(tmp_path_factory, engine):
    """The tiny clip of 48 lines, looked at with 24, with paint on both of its layers."""
    folder = tmp_path_factory.mktemp("plate")
    engine.run(engine.ROOT / "tests" / "helpers" / "tiny_clip.py", folder)
    shot = folder / "shot.nvd"
    words = ["--mask", f"disc={folder / 'masks'}", "--settings", folder / "small.yaml"]
    words += ["--height", LINES, "--texture-size", 2, "--device", "cpu", "--out", shot]
    engine.run("-m", "nvd_core", "decompose", folder / "frames", *words)
    for layer in ("disc", "background"):
        engine.run("-c", PAINT, shot / "edits" / f"{layer}.png")
    return shot


@pytest.mark.slow
def test_the_folder_is_of_the_plates_size(full_plate):
    shot = read_shot(full_plate)
    assert (shot.width, shot.height) == SIZE
    analysis = json.loads((full_plate / "manifest.json").read_text())["clip"]["analysis"]
    assert analysis == {"width": SIZE[0] // 2, "height": LINES}
    open_shot(full_plate)
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == SIZE


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_equals_engine_renderer(full_plate, tmp_path, mode, engine, reference):
    out = tmp_path / "engine" / "%05d.png"
    engine.run("-m", "nvd_core", "render", full_plate, "--out", out, "--mode", mode)
    open_shot(full_plate, mode)
    for t in range(3):
        blender = np.round(reference.render(tmp_path, t + 1) * 255) / 255
        rendered = reference.load(tmp_path / "engine" / f"{t:05d}.png")
        assert rendered.shape[:2] == SIZE[::-1]
        assert reference.psnr(rendered, blender) > 50
        shot = reference.load(full_plate / "frames" / f"{t:05d}.png")
        assert (np.abs(rendered - shot).max(2) > 0.1).mean() > 0.02, "no paint is seen"


@pytest.mark.once
def test_the_job_says_what_is_asked_for(engine, tmp_path):
    words = {"height": 240, "plate_height": 1080, "texture_size": 4, "python": engine.PYTHON}
    job = decompose_job("/clips/a.mp4", tmp_path / "a.nvd", **words)
    told = next(
        step["command"] for step in job.plan["first_steps"] if "decompose" in step["command"]
    )
    for name, value in (("--height", "240"), ("--plate-height", "1080"), ("--texture-size", "4")):
        assert told[told.index(name) + 1] == value
    plain = decompose_job("/clips/a.mp4", tmp_path / "b.nvd", python=engine.PYTHON)
    told = next(
        step["command"] for step in plain.plan["first_steps"] if "decompose" in step["command"]
    )
    assert "--plate-height" not in told and "--texture-size" not in told
    with pytest.raises(ValueError, match="3"):
        decompose_job("/clips/a.mp4", tmp_path / "c.nvd", texture_size=3, python=engine.PYTHON)
