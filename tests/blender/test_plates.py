"""Plates with alpha and of other primaries: what Blender shows against `nvd render`."""

import json
import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.blender.pixels import decode
from blender_addon.errors import AddonError
from blender_addon.paint import frame_canvas
from blender_addon.shot import shots
from blender_addon.shot.folder import ShotError
from blender_addon.shot.scripting import open_shot
from blender_addon.strip import composite_strips, strips

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_plates.py"
CLOSE = 60.0  # dB

# Published matrices to linear Rec.709, white by Bradford where it differs
TO_REC709 = {
    "acescg": (
        (1.70505, -0.62179, -0.08326),
        (-0.13026, 1.1408, -0.01055),
        (-0.024, -0.12897, 1.15297),
    ),
    "aces2065": (
        (2.52169, -1.13413, -0.38756),
        (-0.27648, 1.37272, -0.09624),
        (-0.01538, -0.15298, 1.16835),
    ),
    "rec2020": (
        (1.66049, -0.58764, -0.07285),
        (-0.12455, 1.1329, -0.00835),
        (-0.01815, -0.10058, 1.11873),
    ),
    "xyz": (
        (3.24045, -1.53714, -0.49853),
        (-0.96927, 1.87601, 0.04156),
        (0.05564, -0.20403, 1.05723),
    ),
    "p3": ((1.22494, -0.22494, 0), (-0.04206, 1.04206, 0), (-0.01964, -0.07864, 1.09827)),
}
ALPHA = ("premultiplied", "premultiplied-acescg", "straight8", "straight16")
FRAMES = 2
_made = {}


@pytest.fixture
def plate(tmp_path_factory, engine):
    """`plate`(kind): a folder of make_plates.py, not to be changed."""

    def make(kind):
        if kind not in _made:
            _made[kind] = tmp_path_factory.mktemp(kind)
            engine.run(SCRIPT, _made[kind], kind)
        return _made[kind]

    return make


def rendered(folder, mode, t, kind):
    """What the engine renders [H, W, 4]: straight sRGB, or premultiplied linear Rec.709."""
    with np.load(folder / "rendered.npz") as stored:
        pixels = stored[f"{mode}_{t}"].astype(np.float64)
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.ones(pixels.shape[:2])])
    matrix = TO_REC709.get(kind.removeprefix("premultiplied-"))
    if matrix:
        pixels[..., :3] = pixels[..., :3] @ np.transpose(matrix)
    return pixels


def composited(folder, frame, suffix):
    """Scene frame `frame` as the compositor renders it, [H, W, 4] as in the file."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    settings.file_format = {"png": "PNG", "exr": "OPEN_EXR"}[suffix]
    settings.color_mode, settings.color_depth = "RGBA", {"png": "16", "exr": "32"}[suffix]
    path = folder / f"blender_{frame}.{suffix}"
    scene.render.filepath = str(path)
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    return stored(path)


def stored(path):
    """The values of an image file [H, W, 4], top row first."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1].astype(np.float64)


def compare(reference, got, wanted, straight):
    """The worse of the PSNRs of colours and of alpha; straight colours only where there are any."""
    where = wanted[..., 3] > 0 if straight else np.ones(wanted.shape[:2], bool)
    colours = reference.psnr(got[where][:, :3], wanted[where][:, :3])
    alpha = reference.psnr(got[..., 3], wanted[..., 3])
    print(f"colours {colours:.1f} dB, alpha {alpha:.1f} dB")
    return min(colours, alpha)


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("kind", [*ALPHA, *TO_REC709])
def test_equals_engine_renderer(plate, tmp_path, kind, mode, reference):
    folder, straight = plate(kind), kind.startswith("straight")
    open_shot(folder / "shot.nvd", mode)
    for t in range(FRAMES):
        got = composited(tmp_path, t + 1, "png" if straight else "exr")
        wanted = rendered(folder, mode, t, kind)
        if kind not in ALPHA:
            got[..., 3] = 1  # is not what this is about
        assert compare(reference, got, wanted, straight) > CLOSE


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("kind", ["premultiplied", "straight8"])
def test_raw_is_display_encoded(plate, tmp_path, kind, mode, reference):
    folder, straight = plate(kind), kind.startswith("straight")
    open_shot(folder / "shot.nvd", mode, raw=True)
    got = composited(tmp_path, 1, "png" if straight else "exr")
    wanted = rendered(folder, mode, 0, kind)
    if not straight:  # encoded straight, and premultiplied after that
        alpha = np.where(wanted[..., 3:] == 0, 1, wanted[..., 3:])
        wanted[..., :3] = reference.encode(wanted[..., :3] / alpha) * alpha
    assert compare(reference, got, wanted, straight) > CLOSE


def test_light_without_opacity_passes(plate, tmp_path):
    """Where alpha is 0 the plate's light is kept, paint or not."""
    folder = plate("premultiplied")
    wanted = rendered(folder, "delta", 0, "premultiplied")
    glow = (wanted[..., 3] == 0) & (wanted[..., :3].max(-1) > 0)
    assert glow.sum() > 20
    for mode in ("delta", "full"):
        open_shot(folder / "shot.nvd", mode)
        got = composited(tmp_path, 1, "exr")
        assert np.abs(got[glow] - (0.25, 0.5, 1.5, 0)).max() < 1e-4


def test_sockets_are_those_of_every_shot(plate):
    group = open_shot(plate("premultiplied") / "shot.nvd", "full")
    names = [item.name for item in group.interface.items_tree if item.in_out == "INPUT"]
    assert names[:3] == ["Frame", "dog Edit", "dog Visibility"]
    group = open_shot(plate("acescg") / "shot.nvd", "full")
    names = [item.name for item in group.interface.items_tree if item.in_out == "INPUT"]
    assert names[0] == "dog Edit", "only a plate with alpha needs its frames there"
    for tree in bpy.data.node_groups:
        places = [tuple(node.location) for node in tree.nodes if node.bl_idname != "NodeFrame"]
        assert len(set(places)) == len(places), "two nodes lie on each other"


def test_primaries_that_blender_does_not_know_are_refused(plate):
    before = len(bpy.data.images), len(bpy.data.node_groups)
    with pytest.raises(ShotError, match="no colour space of the plate's primaries") as caught:
        open_shot(plate("camera") / "shot.nvd")
    assert "nvd render" in caught.value.remedy
    assert (len(bpy.data.images), len(bpy.data.node_groups)) == before


def test_an_image_of_before_takes_the_plates_primaries(plate):
    """A .blend in which an older version had opened the folder as Rec.709."""
    open_shot(plate("acescg") / "shot.nvd")
    image = next(image for image in bpy.data.images if image.name.endswith("frames"))
    image.colorspace_settings.name = "Linear Rec.709"
    open_shot(plate("acescg") / "shot.nvd")
    assert image.colorspace_settings.name == "ACEScg"


@pytest.mark.parametrize(
    "picture",
    [
        {"alpha": "some"},
        {"primaries": [1, 2]},
        {"primaries": ["a"] * 8},
        {"primaries": [10**400] * 8},
        {"primaries": [float("nan")] * 8},
        {"primaries": "ACEScg"},
        {},
    ],
)
def test_a_damaged_picture_is_told(plate, tmp_path, picture):
    shutil.copytree(plate("premultiplied") / "shot.nvd", tmp_path / "shot.nvd")
    path = tmp_path / "shot.nvd/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["clip"]["picture"] = manifest["clip"]["picture"] | picture if picture else None
    path.write_text(json.dumps(manifest))
    with pytest.raises(ShotError, match=r"clip\.picture"):
        open_shot(tmp_path / "shot.nvd")


@pytest.fixture
def extension(empty_file):
    blender_addon.register()
    yield
    blender_addon.unregister()


def over_black(reference, pixels, straight):
    """The engine's values as a display shows them over black, encoded [H, W, 3]."""
    if straight:
        pixels = np.dstack([decode(pixels[..., :3]) * pixels[..., 3:], pixels[..., 3]])
    return reference.encode(pixels[..., :3])


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("kind", [*ALPHA, "acescg"])
def test_preview(gpu_ready, extension, plate, kind, mode, reference, preview_picture):
    folder = plate(kind)
    wanted = over_black(
        reference, rendered(folder, mode, 1, kind), straight=kind.startswith("straight")
    )
    got = preview_picture(folder, 1, mode)
    print(f"{reference.psnr(got, wanted):.1f} dB")
    assert reference.psnr(got, wanted) > 55  # half floats of Blender's textures


@pytest.mark.parametrize("kind", ["premultiplied", "straight8", "acescg"])
def test_paint_on_frame_is_refused(extension, plate, kind, engine):
    entry = shots.add_shot(plate(kind) / "shot.nvd")
    with pytest.raises(AddonError, match="Paint on Frame does not know plates"):
        frame_canvas.start_canvas(entry, engine.PYTHON, 0)


@pytest.fixture
def edited(extension, plate, tmp_path, timeline):
    """`edited`(kind): the sequencer's scene, the shot in a copy of its folder, and its strip, above
    a red one.
    """

    def make(kind):
        scene = timeline.new_scene()
        scene.render.resolution_x, scene.render.resolution_y = 48, 32
        shutil.copytree(plate(kind) / "shot.nvd", tmp_path / "shot.nvd")
        files = sorted((tmp_path / "shot.nvd/frames").iterdir())
        below = compat.make_strips(scene).new_effect
        length = {"frame_end": 30} if bpy.app.version < (5, 0, 0) else {"length": 30}
        below(name="red", type="COLOR", channel=1, frame_start=1, **length).color = (1, 0, 0)
        strip = compat.make_strips(scene).new_image(
            name="plate", filepath=str(files[0]), channel=2, frame_start=10
        )
        for path in files[1:]:
            strip.elements.append(path.name)
        strip.blend_type = "ALPHA_OVER"
        if files[0].suffix == ".exr":
            strip.alpha_mode = "PREMUL"
            strip.colorspace_settings.name = "ACEScg" if "acescg" in kind else "Linear Rec.709"
        entry = shots.add_shot(tmp_path / "shot.nvd", scene, strip=strip.name)
        return scene, entry, strip

    return make


@pytest.mark.parametrize("kind", [*ALPHA, "acescg"])
def test_strips_show_the_same(edited, kind, tmp_path, engine, timeline, reference):
    """Rendered strip, Composite Strip and the strip's modifier over another strip, and the source
    does not shine through.
    """
    scene, entry, strip = edited(kind)
    before = timeline.show(scene, tmp_path, 11)
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    painted = timeline.show(scene, tmp_path, 11)
    assert reference.psnr(painted, before) < 30
    assert strip.mute == (kind != "acescg")
    if kind in ALPHA:
        clear = painted[-1, :6]  # alpha 0, no glow
        assert np.abs(clear - (1, 0, 0)).max() < 0.01
    composite = composite_strips.add_scene_strip(entry, scene)
    assert made.mute == strip.mute and not composite.mute
    made.mute = True
    shown = {"composite": timeline.show(scene, tmp_path, 11)}
    if compat.STRIP_COMPOSITOR:
        composite.mute, strip.mute = True, False
        composite_strips.add_modifier(entry, scene)
        shown["modifier"] = timeline.show(scene, tmp_path, 11)
    for name, picture in shown.items():
        print(f"{name} {reference.psnr(picture, painted):.1f} dB")
    assert min(reference.psnr(picture, painted) for picture in shown.values()) > 45


def test_a_rendered_strip_of_a_movie_takes_the_plates_space(edited, engine):
    scene, entry, _strip = edited("premultiplied-acescg")
    entry.strip = ""
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert made.colorspace_settings.name == "ACEScg" and made.alpha_mode == "PREMUL"
