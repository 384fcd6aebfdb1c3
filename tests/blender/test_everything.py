"""Everything on at once: whatever composites the shot shows what `nvd render` makes of it."""

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.decompose import flattening
from blender_addon.paint import preview
from blender_addon.shot import finish, flat_nodes, layer_values, painting, shots, stack
from blender_addon.strip import composite_strips, strips

pytestmark = [pytest.mark.usefixtures("extension"), pytest.mark.slow]
START = 10
LEAST = 45.0
"""dB, of pictures of 8 bits"""


@pytest.fixture
def scene(plain_scene):
    return plain_scene


@pytest.fixture
def entry(scene, folder, tmp_path, engine, timeline):
    """Keys, light, paint, a stack with fades, choke, feather, a holdout and a pin."""
    words = ["--layer", "toy", "--name", "ear", "--at", "0,48,45", "--to", "2,54,47"]
    engine.run("-m", "nvd_core", "pins", "add", folder, *words)
    engine.run("-m", "nvd_core", "pins", "apply", folder)
    strip = timeline.image_strip(scene, folder, START)
    made = shots.add_shot(folder, scene, strip=strip.name)
    toy, leaf, background = made.layers
    toy.visibility, toy.light, background.light = 1.0, 0.4, 1.6
    layer_values.insert_key(made, toy, "visibility", START)
    toy.visibility = 0.3
    layer_values.insert_key(made, toy, "visibility", START + 2)
    for layer in (toy, background):
        pixels = painting.read_pixels(layer.edit)
        pixels[10:40, 10:60] = (0.9, 0.2, 0.1, 1)
        painting.write_pixels(layer.edit, pixels)
    paint = stack.add_paint(made, background)
    pixels = painting.read_pixels(paint.image)
    pixels[20:90, 50:150] = (0.1, 0.2, 0.9, 0.6)
    painting.write_pixels(paint.image, pixels)
    write_picture(tmp_path / "logo.png", (0.1, 0.8, 0.2, 0.9))
    logo = stack.add_file(made, toy, "picture", tmp_path / "logo.png")
    logo.has_range, logo.first, logo.last, logo.fade_in = True, 1, 2, 1
    stack.set_corners(logo, ((0.1, 0.2), (0.8, 0.1), (0.9, 0.9), (0.2, 0.8)))
    warm = stack.add_plain(made, background, "adjustment", hue=-25.0, gain=1.3)
    warm.has_range, warm.first, warm.last, warm.fade_out = True, 0, 1, 1
    toy.choke, toy.feather = 2.5, 1.5
    painting.save_edits(made)
    front = tmp_path / "front.png"
    write_picture(front, (1, 1, 1, 1), (160, 90), half=True)
    engine.run("-m", "nvd_core", "finish", folder, "--holdout", f"background={front}")
    shots.take_up_file(made)
    assert leaf.edit
    return made


def write_picture(path, colour, size=(40, 30), half=False):
    image = bpy.data.images.new("x", *size, alpha=True)
    pixels = np.tile(np.float32(colour), (size[1], size[0], 1))
    if half:
        pixels[:, size[0] // 2 :, :3] = 0
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


@pytest.fixture
def wanted(entry, folder, tmp_path, engine, reference):
    """What `nvd render` makes of the three frames."""
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "engine/%05d.png")
    return [reference.load(tmp_path / f"engine/{t:05d}.png") for t in range(3)]


def check(reference, way, made, wanted):
    found = [reference.psnr(a, b) for a, b in zip(made, wanted, strict=True)]
    print(f"{way}: {min(found):.1f} dB")
    assert min(found) > LEAST, (way, found)


def test_all_ways_show_one_picture(
    entry, scene, folder, tmp_path, engine, reference, timeline, wanted
):
    assert flat_nodes.state(entry) == flat_nodes.ABSENT
    engine.run("-m", "nvd_core", "edits", "flatten", folder)

    def shown():
        return [timeline.show(scene, tmp_path, START + t) for t in range(3)]

    made = composite_strips.add_scene_strip(entry, scene)  # before nodes have the stack, and after
    assert reference.psnr(shown()[1], wanted[1]) < 40
    flattening.follow()
    assert flat_nodes.state(entry) == flat_nodes.CURRENT and not finish.lacking(entry)
    check(reference, "Composite Strip", shown(), wanted)
    compat.strips(scene).remove(made)
    if compat.STRIP_COMPOSITOR:
        modifier = composite_strips.add_modifier(entry, scene)
        check(reference, "Strip Modifier", shown(), wanted)
        strips.strip_named(scene, "plate").modifiers.remove(modifier)
    bpy.context.window.scene = entry.scene
    frames = [timeline.show(entry.scene, tmp_path, 1 + t) for t in range(3)]
    check(reference, "compositor", frames, wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("blurs", [False, True])
def test_and_so_does_the_live_preview(gpu_ready, entry, folder, reference, request, blurs):
    """With motion blur, too, which nodes do not show."""
    entry.motion_blur, entry.shutter = blurs, 1.0
    painting.save_edits(entry)
    wanted = request.getfixturevalue("wanted")
    live, frames = preview.Preview(entry), []
    for t in range(3):
        live.prepare(entry, t)
        frames.append(live.render(entry).read()[..., :3].clip(0, 1))
    live.close()
    check(reference, "live preview", frames, wanted)


@pytest.mark.skipif(not compat.STRIP_COMPOSITOR, reason="no compositor on strips before 5.1")
def test_a_modifier_follows_what_is_flattened_later(
    entry, scene, folder, tmp_path, engine, reference, timeline, wanted
):
    composite_strips.add_modifier(entry, scene)
    assert reference.psnr(timeline.show(scene, tmp_path, START + 1), wanted[1]) < 40
    engine.run("-m", "nvd_core", "edits", "flatten", folder)
    flattening.follow()
    frames = [timeline.show(scene, tmp_path, START + t) for t in range(3)]
    check(reference, "Strip Modifier", frames, wanted)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("choke", "spread of toy"),
        ("feather", "feather wider than the choke of toy"),
        ("spill", "spill of toy"),
        ("blur", "motion blur"),
        ("full", "edges in full mode of toy"),
    ],
)
def test_what_nodes_cannot_show_is_refused_by_name(folder, tmp_path, capfd, what, said):
    """By batch, and told by the buttons; the panel lists it."""
    made = shots.add_shot(folder, bpy.context.scene, mode="full" if what == "full" else "delta")
    toy = made.layers["toy"]
    toy.choke = -2.0 if what == "choke" else 1.0
    toy.feather = 4.0 if what == "feather" else 0.0
    toy.spill = 0.5 if what == "spill" else 0.0
    made.motion_blur = what == "blur"
    painting.save_edits(made)
    assert bpy.ops.nvd.to_strip(way="composite") == {"FINISHED"}
    assert f"Not in this strip: {said}" in capfd.readouterr().out
    words = ["render", str(folder), "--out", str(tmp_path / "%05d.png"), "--through", "compositor"]
    assert headless.main([*words, "--mode", made.mode]) == 2
    assert said in capfd.readouterr().err
    assert not list(tmp_path.glob("0*.png"))
