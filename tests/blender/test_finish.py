"""Edges, holdouts and motion blur in Blender, the passes of the node group, and its Viewer."""

import json
import shutil

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.paint import preview
from blender_addon.shot import finish, finish_file, painting, pass_nodes, shots
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.shot.scripting import open_shot
from blender_addon.strip.holdout import set_holdout

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def entry(folder):
    return shots.add_shot(folder, bpy.context.scene)


def stored(folder):
    return json.loads((folder / "edits/finish.json").read_text("utf-8"))


def test_what_is_set_is_saved_and_taken_up_again(entry, folder):
    assert not (folder / "edits/finish.json").exists()
    painting.save_edits(entry)
    assert not (folder / "edits/finish.json").exists()
    toy = entry.layers["toy"]
    toy.choke, toy.feather, entry.motion_blur = 1.5, 2.0, True
    painting.save_edits(entry)
    assert stored(folder) == {
        "schema": "nvd.finish",
        "version": 1,
        "layers": {"toy": {"choke": 1.5, "feather": 2.0}},
        "motion_blur": {"shutter": 0.5, "samples": 16},
    }
    changed = stored(folder)
    changed["layers"] = {"background": {"spill": 0.25}}
    changed["motion_blur"]["shutter"] = 1.25
    (folder / "edits/finish.json").write_text(json.dumps(changed))
    shots.take_up_file(entry)
    assert (toy.choke, entry.layers["background"].spill, entry.shutter) == (0, 0.25, 1.25)
    entry.motion_blur = False
    entry.layers["background"].spill = 0
    painting.save_edits(entry)
    assert stored(folder)["layers"] == {} and "motion_blur" not in stored(folder)


def test_two_who_change_it_are_told(entry, folder):
    entry.layers["toy"].choke = 1
    painting.save_edits(entry)
    theirs = finish_file.Finish({("toy", "feather"): 3.0})
    finish_file.write_finish(folder, theirs)
    painting.save_edits(entry)  # nothing was changed here
    assert finish_file.read_finish(read_shot(folder)).digest == theirs.digest
    entry.layers["toy"].choke = 2
    with pytest.raises(ShotError, match="another program"):
        painting.save_edits(entry)


@pytest.mark.once
@pytest.mark.parametrize(
    "damage",
    [
        {"schema": "nvd.values"},
        {"version": 2},
        {"layers": {"nobody": {}}},
        {"layers": {"toy": {"choke": 33}}},
        {"layers": {"toy": {"feather": True}}},
        {"layers": {"toy": {"holdout": "edits/../x.png"}}},
        {"motion_blur": {"shutter": float("nan")}},
        {"motion_blur": {"samples": 1}},
        {"more": 1},
    ],
)
def test_damage_is_refused(folder, damage):
    plain = {"schema": "nvd.finish", "version": 1, "layers": {}}
    (folder / "edits/finish.json").write_text(json.dumps(plain | damage))
    with pytest.raises(ShotError) as caught:
        shots.add_shot(folder, bpy.context.scene)
    assert caught.value.remedy


def test_what_does_not_show_it_says_so(entry, folder, capfd):
    label = entry.group_node().label
    entry.layers["toy"].choke = 2
    assert entry.group_node().label == label  # nodes show what is drawn in
    entry.layers["toy"].feather = 3
    assert entry.group_node().label == label + finish.NOT_IN_NODES
    bpy.ops.nvd.to_strip(way="composite")
    assert "feather wider than the choke of toy. Render to Strip" in capfd.readouterr().out
    painting.save_edits(entry)
    out = str(folder / "%05d.png")
    assert headless.main(["render", str(folder), "--out", out, "--through", "compositor"]) == 2
    assert "does not show feather wider than the choke of toy" in capfd.readouterr().err
    entry.layers["toy"].feather = 0
    assert entry.group_node().label == label
    entry.motion_blur = True
    assert entry.group_node().label == label + finish.NOT_IN_NODES


def test_nodes_equal_the_engine(made, tmp_path, engine, reference):
    """What is choked, softened inside of that and held out, against `nvd render`; and off again."""
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    folder, layers = tmp_path / "shot.nvd", reference.Truth(made).layers
    mattes(tmp_path / "mattes", *reference.Truth(made).frames[0].shape[:2])
    entry = shots.add_shot(folder, bpy.context.scene, own_scene=False)
    (tmp_path / "out").mkdir()
    before = reference.render(tmp_path / "out", 3)
    words = ["--choke", f"{layers[0]}=2.5", "--feather", f"{layers[0]}=2"]
    words += ["--holdout", f"{layers[2]}={tmp_path / 'mattes'}"]
    engine.run("-m", "nvd_core", "finish", folder, *words)
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "%05d.png", "--bits", "16")
    shots.take_up_file(entry)
    assert finish.NOT_IN_NODES not in entry.group_node().label
    got = {t: reference.render(tmp_path / "out", t + 1) for t in (0, 2)}
    shots.add_shot(folder, bpy.context.scene, own_scene=False)
    for t, picture in got.items():
        wanted = reference.load(tmp_path / f"{t:05d}.png")
        apart = np.abs(picture - wanted)
        assert apart.max() < 4 / 255 and np.quantile(apart, 0.999) < 1 / 255, t
        assert np.abs(reference.render(tmp_path / "out", t + 1) - picture).max() < 1e-4
    assert np.abs(got[2] - before).max() > 20 / 255
    (folder / "edits/holdout" / layers[2] / "00000.png").unlink()
    finish.after_set(entry)
    assert finish.NOT_IN_NODES in entry.group_node().label
    for layer in entry.layers:
        layer.choke, layer.feather, layer.holdout = 0, 0, ""
    finish.after_set(entry)
    assert np.abs(reference.render(tmp_path / "out", 3) - before).max() < 1e-4


def mattes(folder, height, width):
    """Three white bars that move, on black."""
    for t in range(3):
        image = bpy.data.images.new("matte", width, height)
        pixels = np.zeros((height, width, 4), np.float32)
        pixels[..., 3] = 1
        pixels[:, 30 + 10 * t : 60 + 10 * t] = 1
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(folder / f"{t:05d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)


def test_every_pass_is_what_it_says(made, tmp_path, reference):
    """Against the arithmetic in numpy: matte, place, light, and paint over the plate."""
    truth, t = reference.Truth(made), 1
    scene = bpy.context.scene
    group = open_shot(made / "shot.nvd", raw=True)
    tree = compat.compositor_tree(scene)
    node = next(n for n in tree.nodes if getattr(n, "node_tree", None) == group)
    names = [socket.name for socket in node.outputs if socket.name]
    assert names[0] == "Image"
    assert names[1:] == [f"{layer} {what}" for layer in truth.layers for what in pass_nodes.PASSES]
    shown = {}
    for n, layer in enumerate(truth.layers):
        maps = truth.arrays["maps"][t, n]
        learned = truth.arrays[f"texture_{layer}"][..., :3]
        edit = truth.arrays[f"edit_{layer}"]
        change = edit[..., 3:] * (edit[..., :3] - learned)
        cover = edit[..., 3:] * (np.abs(edit[..., :3] - learned).max(-1, keepdims=True) > 1e-4)
        u, v, alpha = maps[..., 0], maps[..., 1], maps[..., 2:3]
        paint = alpha * maps[..., 3:] * reference.bilinear(change + cover * learned, u, v)
        shown[f"{layer} Matte"] = np.repeat(alpha, 3, -1)
        shown[f"{layer} UV"] = maps[..., :3]
        shown[f"{layer} Light"] = maps[..., 3:]
        shown[f"{layer} Paint"] = paint
    output = compat.compositor_output(tree)
    for name, wanted in shown.items():
        tree.links.new(compat.set_alpha(tree, node.outputs[name], 1.0, apply=False), output)
        got = reference.render(tmp_path / name.replace(" ", "-"), t + 1, "OPEN_EXR")
        assert np.abs(got[..., :3] - wanted).max() < 2e-3, name


def test_rebuilt_nodes_keep_what_hangs_on_a_pass(entry, folder):
    tree = compat.compositor_tree(entry.scene)
    viewer = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer")
    assert viewer.inputs[0].links[0].from_socket == entry.group_node().outputs["Image"]
    blur = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(entry.group_node().outputs["toy Matte"], blur.inputs[0])
    shots.add_shot(folder, bpy.context.scene, mode="full")
    assert blur.inputs[0].links[0].from_socket == entry.group_node().outputs["toy Matte"]
    assert len([n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer"]) == 1


def test_the_preview_knows_of_others_nodes(entry):
    assert not preview.lacks_nodes(entry)
    tree = compat.compositor_tree(entry.scene)
    output = compat.compositor_output(tree)
    blur = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(entry.group_node().outputs[0], blur.inputs[0])
    tree.links.new(blur.outputs[0], output)
    assert preview.lacks_nodes(entry)
    tree.links.new(entry.group_node().outputs[0], output)
    assert not preview.lacks_nodes(entry)
    picture = tree.nodes.new("CompositorNodeRGB")
    tree.links.new(picture.outputs[0], entry.group_node().inputs["toy Edit"])
    assert preview.lacks_nodes(entry)


@pytest.mark.gpu
def test_the_preview_has_the_edges(gpu_ready, made, tmp_path, engine, reference, preview_picture):
    """Choke, spread, feather and a holdout that moves, against `nvd render`."""
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    folder, layers = tmp_path / "shot.nvd", reference.Truth(made).layers
    mattes(tmp_path / "mattes", *reference.Truth(made).frames[0].shape[:2])
    words = ["--choke", f"{layers[0]}=1.5", "--feather", f"{layers[0]}=2"]
    words += ["--choke", f"{layers[1]}=-3", "--holdout", f"{layers[2]}={tmp_path / 'mattes'}"]
    engine.run("-m", "nvd_core", "finish", folder, *words)
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "%05d.png")
    for t in (0, 2):
        plain = preview_picture(made, t)
        shown = preview_picture(tmp_path, t)
        assert np.abs(shown - plain).max() > 20 / 255
        wanted = reference.load(tmp_path / f"{t:05d}.png")
        apart = np.abs(np.clip(shown, 0, 1) - wanted).max(-1)
        # pixels as far from two of the layer's may go on from either
        assert np.quantile(apart, 0.999) <= 2 / 255 and (apart > 2 / 255).mean() < 1e-3


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["made", "made_linear"])
def test_the_preview_has_the_spill(gpu_ready, kind, tmp_path, engine, reference, request):
    """On two layers, alone and with a feather, against `nvd render`.

    The plates are noise, so spill finds some of the old colour anywhere.
    """
    made = request.getfixturevalue(kind)
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    names, suffix = reference.Truth(made).layers, "exr" if kind == "made_linear" else "png"
    words = ["--spill", f"{names[0]}=1", "--spill", f"{names[1]}=0.6", "--feather", f"{names[1]}=2"]
    engine.run("-m", "nvd_core", "finish", folder, *words)
    pictures = {}
    for spills in (True, False):
        entry = shots.add_shot(folder)
        for name in names[:2]:
            entry.layers[name].spill *= spills
        live = preview.Preview(entry)
        live.prepare(entry, 1)
        pictures[spills] = live.render(entry).read()
        live.close()
    out = tmp_path / f"out/%05d.{suffix}"
    engine.run("-m", "nvd_core", "render", folder, "--out", out, "--frames", "1-1")
    space = "Linear Rec.709" if kind == "made_linear" else "Non-Color"
    wanted = reference.load(next(out.parent.glob(f"0*.{suffix}")), space)
    wanted = reference.encode(wanted) if kind == "made_linear" else wanted
    shown = pictures[True] if kind == "made_linear" else pictures[True].clip(0, 1)
    apart = np.abs(shown - wanted).max(-1)
    assert np.abs(pictures[True] - pictures[False]).max() > 20 / 255
    alphas = reference.Truth(made).arrays["maps"][1, :2, ..., 2]
    inside = (alphas > 0).all(0)  # beyond a matte there may be two nearest pixels
    assert apart[inside].max() < 1 / 255 and (apart > 2 / 255).mean() < 2e-3


def test_a_holdout_is_copied_by_the_engine(entry, folder, made, tmp_path, engine, reference):
    entry.layers["toy"].choke = 1
    height, width = reference.Truth(made).frames[0].shape[:2]
    mattes(tmp_path / "mattes", height, width)
    set_holdout(entry, entry.layers["background"], str(tmp_path / "mattes"), engine.PYTHON)
    assert entry.layers["background"].holdout == "edits/holdout/background/%05d.png"
    assert (folder / "edits/holdout/background/00002.png").is_file()
    assert stored(folder)["layers"]["toy"] == {"choke": 1.0}
    painting.save_edits(entry)
    assert stored(folder)["layers"]["background"] == {
        "holdout": "edits/holdout/background/%05d.png"
    }
    with pytest.raises(ShotError, match="nowhere"):
        set_holdout(entry, entry.layers["toy"], str(tmp_path / "nowhere.png"), engine.PYTHON)
