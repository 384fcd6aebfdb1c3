"""Colour spaces of strips: told to the engine, and those of plates as Blender shows them."""

import json
import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.blender import compat
from blender_addon.blender.primaries import space_called
from blender_addon.decompose.strip_job import Object, decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import frame_canvas
from blender_addon.shot import shots
from blender_addon.shot.folder import ShotError
from blender_addon.shot.scripting import open_shot
from blender_addon.strip import strip_look
from blender_addon.strip.space import configuration, named_space

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("extension")]

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_space_plates.py"
CAMERAS = bpy.app.version >= (5, 1)
SPACES = [("ACEScg", "exr"), ("Rec.1886", "png"), ("Rec.1886", "png8")]
if CAMERAS:
    SPACES += [("ARRI LogC3 (EI800)", "png"), ("S-Log3 S-Gamut3.Cine", "exr")]
if bpy.app.version >= (5, 0):
    SPACES += [("Rec.2100-PQ", "png"), ("Rec.2100-HLG", "png")]
QUICK = ("ACEScg", "exr"), ("Rec.1886", "png")
"""those that every run decomposes; the others go the same way"""
_made = {}


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)


@pytest.fixture
def made(tmp_path_factory, engine):
    """`made`(what, space, suffix): a folder of make_space_plates.py, not to be changed."""

    def make(what, space, suffix):
        key = what, space, suffix
        if key not in _made:
            _made[key] = tmp_path_factory.mktemp("plates")
            engine.run(SCRIPT, what, _made[key], configuration(), space, suffix)
        return _made[key]

    return make


def strip_of(folder, suffix, space=""):
    """A strip of the eight pictures in the folder."""
    scene = bpy.context.scene
    scene.sequence_editor_create()
    strip = compat.make_strips(scene).new_image(
        name="plate", filepath=str(folder / f"in.0000.{suffix}"), channel=1, frame_start=1
    )
    for t in range(1, 8):
        strip.elements.append(f"in.{t:04d}.{suffix}")
    strip.frame_final_duration = 8
    if space:
        strip.colorspace_settings.name = space
    return strip


def words_of(job):
    """The command that decomposes."""
    return job.plan["first_steps"][-1]["command"]


def test_what_is_told_of_a_strips_space(tmp_path, made, monkeypatch):
    png, exr = made("files", "Rec.1886", "png"), made("files", "ACEScg", "exr")
    default = strip_of(png, "png").colorspace_settings.name
    assert default == "sRGB"
    told = {
        (png, "png", ""): None,
        (png, "png", "Non-Color"): None,
        (png, "png", "Linear Rec.709"): "Linear Rec.709",
        (png, "png", "Rec.1886"): "Rec.1886",
        (exr, "exr", "Linear Rec.709"): None,
        (exr, "exr", "Non-Color"): None,
        (exr, "exr", "sRGB"): "sRGB",
        (exr, "exr", "ACEScg"): "ACEScg",
    }
    for number, ((folder, suffix, space), wanted) in enumerate(told.items()):
        strip = strip_of(folder, suffix, space)
        words = words_of(decompose_strip(strip, tmp_path / f"{number}.nvd"))
        if wanted is None:
            assert "--input-space" not in words and "--ocio" not in words, space
            continue
        at = words.index("--input-space")
        assert words[at + 1 : at + 4 : 2] == [wanted, str(configuration())]
        assert words[at + 2] == "--ocio" and Path(words[at + 3]).name == "config.ocio"
        assert Path(words[at + 3]).is_file()
    other = tmp_path / "ours.ocio"
    shutil.copy(configuration(), other)
    monkeypatch.setenv("OCIO", str(other))
    assert named_space(strip_of(exr, "exr", "ACEScg")) == ("ACEScg", str(other))


def test_a_movie_is_taken_as_blender_shows_it(numbered_clip):
    scene = bpy.context.scene
    scene.sequence_editor_create()
    strip = compat.make_strips(scene).new_movie(
        name="m", filepath=str(numbered_clip / "24.mkv"), channel=1, frame_start=1
    )
    assert named_space(strip) is None
    strip.colorspace_settings.name = "Rec.1886"
    assert named_space(strip) == ("Rec.1886", str(configuration()))


def blenders_own(path, space):
    """The light that Blender itself makes of a file, top row first."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = space
    image.alpha_mode = "CHANNEL_PACKED"
    assert image.is_float
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3]


@pytest.mark.parametrize(
    "space, suffix",
    [
        pytest.param(*s, marks=[] if s in QUICK else pytest.mark.long)
        for s in SPACES
        if s[1] != "png8"
    ],
)
def test_a_strip_is_decomposed_in_its_space(tmp_path, made, engine, tiny_job, space, suffix):
    folder = made("files", space, suffix)
    settings = tmp_path / "small.yaml"
    grid = "{levels: 4, log2_table: 12}"
    settings.write_text(
        "iterations: 30\npoints: 200\n"
        f"texture_grid: {grid}\nresidual_grid: {grid}\nalpha_grid: {grid}\n"
    )
    strip = strip_of(folder, suffix, space)
    out = tmp_path / "shot.nvd"
    dog = Object("dog", path=str(folder / "masks"))
    job = decompose_strip(strip, out, [dog], settings=settings, device="cpu")
    tiny_job.tick_until(lambda: job.ended, runner.tick, 200)
    assert job.state == "done", f"{job.log.error} {job.log.message}"
    known = json.loads((out / "manifest.json").read_text())["clip"]["picture"]["space"]
    assert known["name"] == space
    engine.run(SCRIPT, "colours", out, tmp_path / "colours.npz")
    with np.load(tmp_path / "colours.npz") as stored:
        for t in range(2):
            wanted = blenders_own(folder / f"in.{t:04d}.{suffix}", space)
            error = np.abs(stored[f"delta_{t}"] - wanted) / np.maximum(1, np.abs(wanted))
            print(f"{space} {suffix}: {error.max():.2g}")
            assert error.max() < 2**-11  # half a step of half floats


def composited(folder, frame):
    """Scene frame `frame` as the compositor renders it, light [H, W, 3], top row first."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    scene.render.filepath = str(folder / f"blender_{frame}.exr")
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    return blenders_own(scene.render.filepath, "Linear Rec.709")


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("space, suffix", SPACES)
def test_the_compositor_shows_what_is_rendered(made, tmp_path, reference, space, suffix, mode):
    folder = made("shot", space, suffix)
    open_shot(folder / "shot.nvd", mode)
    image = next(image for image in bpy.data.images if image.name.endswith("frames"))
    assert image.colorspace_settings.name == space
    with np.load(folder / "rendered.npz") as stored:
        for t in range(2):
            got, wanted = composited(tmp_path, t + 1), stored[f"{mode}_{t}"]
            psnr = reference.psnr(reference.encode(got), reference.encode(wanted))
            print(f"{space} {suffix} {mode}: {psnr:.1f} dB")
            assert psnr > 60


def changed_shot(made, tmp_path, **values):
    shutil.copytree(made("shot", "ACEScg", "exr") / "shot.nvd", tmp_path / "shot.nvd")
    path = tmp_path / "shot.nvd/manifest.json"
    manifest = json.loads(path.read_text())
    picture = manifest["clip"]["picture"]
    picture["space"] = values.get("space", picture["space"] | values)
    path.write_text(json.dumps(manifest))
    return tmp_path / "shot.nvd"


def test_a_space_that_blender_lacks_is_refused(made, tmp_path):
    folder = changed_shot(made, tmp_path, name="Nobody's Log")
    before = len(bpy.data.images), len(bpy.data.node_groups)
    with pytest.raises(ShotError, match="no colour space Nobody's Log") as caught:
        open_shot(folder)
    assert "nvd render" in caught.value.remedy
    assert (len(bpy.data.images), len(bpy.data.node_groups)) == before


@pytest.mark.parametrize("space", ["ACEScg", 3, [], {}, {"name": 1}])
def test_a_damaged_space_is_told(made, tmp_path, space):
    folder = changed_shot(made, tmp_path, space=space)
    with pytest.raises(ShotError, match=r"clip\.picture\.space\.name"):
        open_shot(folder)


def test_names_of_other_configurations():
    assert space_called("ACEScg") == "ACEScg"
    assert space_called("Linear P3-D65") == "Linear DCI-P3 D65"
    assert space_called("ACES - ACES2065-1") == "ACES2065-1"
    assert space_called("Nobody's Log") is None


def test_paint_on_frame_is_refused(made, engine):
    entry = shots.add_shot(made("shot", "ACEScg", "exr") / "shot.nvd")
    with pytest.raises(AddonError, match="in another colour space"):
        frame_canvas.start_canvas(entry, engine.PYTHON, 0)


def test_a_rendered_strip_of_a_movie_takes_the_plates_space(made, tmp_path):
    """A log movie's rendered pictures hold its log values."""
    entry = shots.add_shot(made("shot", "Rec.1886", "png") / "shot.nvd")
    shot = entry.read()
    assert shot.suffix == "png" and shot.is_linear
    assert strip_look.colour_space(shot, None) == "Rec.1886"
