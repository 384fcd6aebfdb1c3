"""Visibility and relight stand on the shot, in its strip's timeline, and everything obeys them."""

import json

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.paint import preview
from blender_addon.shot import layer_values, painting, shots, values_file
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.strip import composite_strips, strips

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("extension")]

START = 101
"""the timeline's frame of the clip's first"""


@pytest.fixture
def scene(plain_scene):
    return plain_scene


@pytest.fixture
def entry(scene, folder, timeline):
    """A painted shot of a strip that begins at START: one layer hidden, one dimmed, one keyed."""
    strip = timeline.image_strip(scene, folder, START)
    made = shots.add_shot(folder, scene, strip=strip.name)
    for layer in made.layers:
        pixels = painting.read_pixels(layer.edit).copy()
        pixels[10:60, 5:40, :3] = np.float32([0.9, 0.1, 0.3])
        painting.write_pixels(layer.edit, pixels)
    return made


def set_values(entry) -> None:
    names = [layer.name for layer in entry.layers]
    entry.layers[names[0]].visibility = 0.0
    entry.layers[names[1]].light = 0.4
    background = entry.layers[names[2]]
    for frame, value in ((START, 1.0), (START + 2, 0.2)):
        background.light = value
        background.keyframe_insert("light", frame=frame)
    for frame, value in ((START, 1.0), (START + 1, 0.25)):
        entry.layers[names[1]].visibility = value
        entry.layers[names[1]].keyframe_insert("visibility", frame=frame)
    for curve in compat.fcurves(entry.id_data):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"


def rendered(engine, folder, tmp_path, reference, name="engine"):
    out = tmp_path / name
    engine.run("-m", "nvd_core", "render", folder, "--out", out / "%05d.png")
    return [reference.load(out / f"{t:05d}.png") for t in range(3)]


def agree(reference, made, wanted, plain, least=45.0):
    """In three frames; and the values are not without effect."""
    got = [reference.psnr(a, b) for a, b in zip(made, wanted, strict=True)]
    print("dB", [round(value, 1) for value in got])
    assert min(got) > least
    assert min(reference.psnr(a, b) for a, b in zip(made, plain, strict=True)) < 40


def test_one_picture_whatever_makes_it(entry, scene, folder, tmp_path, engine, reference, timeline):
    painting.save_edits(entry)
    plain = rendered(engine, folder, tmp_path, reference, "plain")
    set_values(entry)
    painting.save_edits(entry)
    wanted = rendered(engine, folder, tmp_path, reference)

    def shown() -> list[np.ndarray]:
        return [timeline.show(scene, tmp_path, START + t) for t in range(3)]

    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    agree(reference, shown(), wanted, plain, 60)
    compat.strips(scene).remove(made)

    made = composite_strips.add_scene_strip(entry, scene)
    agree(reference, shown(), wanted, plain)
    compat.strips(scene).remove(made)

    if compat.STRIP_COMPOSITOR:
        modifier = composite_strips.add_modifier(entry, scene)
        agree(reference, shown(), wanted, plain)
        background = entry.layers["background"]  # and goes on following
        layer_values._unkey(scene, background.path_from_id("light"))
        background.light = 4.0
        painting.save_edits(entry)
        again = rendered(engine, folder, tmp_path, reference, "again")
        agree(reference, shown(), again, wanted)
        strips.strip_named(scene, "plate").modifiers.remove(modifier)

    else:
        again = wanted
    compositor = []
    bpy.context.window.scene = entry.scene
    for t in range(3):
        compositor.append(timeline.show(entry.scene, tmp_path, 1 + t))
    agree(reference, compositor, again, plain)


@pytest.mark.gpu
def test_the_live_preview_obeys(gpu_ready, folder, tmp_path, engine, reference, timeline):
    scene = bpy.context.scene
    strip = timeline.image_strip(scene, folder, START)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    for layer in entry.layers:
        pixels = painting.read_pixels(layer.edit).copy()
        pixels[10:60, 5:40, :3] = np.float32([0.9, 0.1, 0.3])
        painting.write_pixels(layer.edit, pixels)
    painting.save_edits(entry)
    plain = rendered(engine, folder, tmp_path, reference, "plain")
    set_values(entry)
    painting.save_edits(entry)
    wanted = rendered(engine, folder, tmp_path, reference)
    live, made = preview.Preview(entry), []
    scene.frame_set(START + 50)  # wherever the playhead is
    for t in range(3):
        live.prepare(entry, t)
        made.append(live.render(entry).read().clip(0, 1))
    live.close()
    agree(reference, made, wanted, plain)


def test_the_node_has_a_key_for_every_frame_of_the_clip(entry):
    """In the frames of the scene that composites the shot, whatever those of the strip are."""
    set_values(entry)
    bpy.context.view_layer.update()
    tree, node = compat.compositor_tree(entry.scene), entry.group_node()
    names = [layer.name for layer in entry.layers]
    assert node.inputs[f"{names[0]} Visibility"].default_value == 0
    assert node.inputs[f"{names[1]} Relight"].default_value == pytest.approx(0.4)
    curves = {curve.data_path: curve for curve in compat.fcurves(tree)}
    assert len(curves) == 2
    light = curves[node.inputs["background Relight"].path_from_id("default_value")]
    assert [light.evaluate(f) for f in (1, 2, 3)] == pytest.approx([1, 0.6, 0.2])
    (curve,) = (c for c in compat.fcurves(entry.id_data) if c.data_path.endswith("[2].light"))
    curve.keyframe_points[1].co[1] = 0.5  # as in the Graph Editor
    curve.update()
    entry.id_data.animation_data.action.update_tag()
    bpy.context.view_layer.update()
    curves = {curve.data_path: curve for curve in compat.fcurves(tree)}
    light = curves[node.inputs["background Relight"].path_from_id("default_value")]
    assert light.evaluate(3) == pytest.approx(0.5)


def test_keys_move_with_the_strip(entry):
    set_values(entry)
    compat.move(strips.strip_named(entry.id_data, "plate"), -1)
    layer_values.follow(entry)
    values = layer_values.values_of(entry)
    assert values["background", "light"] == pytest.approx([1, 1, 0.6])


def test_a_shot_without_a_strip_begins_at_frame_1(folder):
    entry = shots.add_shot(folder)
    layer = entry.layers["background"]
    for frame, value in ((1, 0.0), (3, 1.0)):
        layer.light = value
        layer.keyframe_insert("light", frame=frame)
    for point in compat.fcurves(entry.id_data)[0].keyframe_points:
        point.interpolation = "LINEAR"
    assert [layer_values.value_at(entry, layer, "light", t) for t in range(3)] == pytest.approx(
        [0, 0.5, 1]
    )


def test_what_is_saved_is_read_by_the_engine_and_taken_up_again(entry, folder, engine):
    set_values(entry)
    painting.save_edits(entry)
    stored = json.loads((folder / "edits/values.json").read_text())
    names = [layer.name for layer in entry.layers]
    assert stored["layers"][names[0]] == {"visibility": 0.0}
    assert stored["layers"]["background"] == {
        "light": {"keys": [[0, 1.0], [2, 0.2]], "interpolation": "linear"}
    }
    keys = [
        list(map(tuple, (p.co for p in c.keyframe_points))) for c in compat.fcurves(scene_of(entry))
    ]
    shots.add_shot(folder, entry.id_data)  # nothing has changed: the artist's keys stay
    assert keys == [
        list(map(tuple, (p.co for p in c.keyframe_points))) for c in compat.fcurves(scene_of(entry))
    ]
    engine.run(
        "-m", "nvd_core", "values", folder, "--reset", names[0], "--reset", "background",
        "--light", "background=0.5", "--light", f"{names[1]}=1.5", "--key", "2",
    )  # fmt: skip
    entry = shots.add_shot(folder, entry.id_data)
    values = layer_values.values_of(entry)
    assert values[names[0], "visibility"] == 1
    assert values["background", "light"] == pytest.approx([1, 0.75, 0.5])
    assert values[names[1], "light"] == pytest.approx([0.4, 0.95, 1.5])
    frames = [p.co[0] for p in compat.fcurves(scene_of(entry))[-1].keyframe_points]
    assert frames[0] == START and frames[-1] == START + 2


def scene_of(entry):
    return entry.id_data


def test_a_change_here_and_elsewhere_is_refused(entry, folder, engine):
    set_values(entry)
    painting.save_edits(entry)
    engine.run("-m", "nvd_core", "values", folder, "--light", "background=0.5")
    painting.save_edits(entry)  # nothing changed here
    entry.layers["background"].visibility = 0.5
    with pytest.raises(ShotError, match="changed by another program"):
        painting.save_edits(entry)
    shots.add_shot(folder, entry.id_data)
    assert layer_values.values_of(entry)["background", "light"] == 0.5
    assert layer_values.values_of(entry)["background", "visibility"] == 1


def test_a_folder_whose_values_are_all_1_gets_no_file(entry, folder):
    painting.save_edits(entry)
    assert not (folder / "edits/values.json").exists()
    entry.layers["background"].light = 0.5
    painting.save_edits(entry)
    entry.layers["background"].light = 1.0
    painting.save_edits(entry)
    assert json.loads((folder / "edits/values.json").read_text())["layers"] == {}


def test_a_file_of_an_older_version(entry, folder, tmp_path):
    """Its values and keys stood at the node, in the frames of the scene that composites."""
    node = entry.group_node()
    blender_addon.unregister()
    del node[layer_values.MARK]
    blender_addon.register()
    entry = bpy.context.scene.nvd_shots[0]
    for name in ("values_seen", "values_saved", "frames"):
        entry.property_unset(name)
    blender_addon.unregister()
    node.inputs["toy Visibility"].default_value = 0.25
    relight = node.inputs["background Relight"]
    for frame, value in ((1, 0.5), (3, 2.0)):
        relight.default_value = value
        relight.keyframe_insert("default_value", frame=frame)
    path = str(tmp_path / "old.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    blender_addon.register()
    for _again in range(2):
        bpy.ops.wm.open_mainfile(filepath=path)
        entry = bpy.context.scene.nvd_shots[0]
        assert entry.layers["toy"].visibility == pytest.approx(0.25)
        (curve,) = compat.fcurves(entry.id_data)
        assert [tuple(p.co) for p in curve.keyframe_points] == [(START, 0.5), (START + 2, 2.0)]
        values = layer_values.values_of(entry)
        assert values["background", "light"][1] == pytest.approx(1.25, abs=0.02)  # Bezier
        node = entry.group_node()
        assert node.inputs["toy Visibility"].default_value == pytest.approx(0.25)
        (curve,) = compat.fcurves(compat.compositor_tree(entry.scene))
        assert [curve.evaluate(f) for f in (1, 3)] == pytest.approx([0.5, 2.0])
        bpy.ops.wm.save_as_mainfile(filepath=path)
    stored = json.loads((folder / "edits/values.json").read_text())["layers"]
    assert stored["toy"] == {"visibility": 0.25}


def test_a_folder_opened_by_a_script_obeys_its_file(folder):
    from blender_addon.scripting import open_shot

    layers = {"toy": {"visibility": False}, "background": {"light": {"keys": [[0, 0.5], [2, 1.5]]}}}
    text = json.dumps({"schema": "nvd.values", "version": 1, "layers": layers})
    (folder / "edits/values.json").write_text(text)
    open_shot(folder)
    tree = compat.compositor_tree(bpy.context.scene)
    node = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeGroup")
    assert node.inputs["toy Visibility"].default_value == 0
    (curve,) = compat.fcurves(tree)
    assert [curve.evaluate(f) for f in (1, 2, 3)] == pytest.approx([0.5, 1, 1.5])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": "nvd.values", "version": 1}',
        '{"schema": "nvd.values", "version": 2, "layers": {}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"no": {}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"visibility": 2}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"light": NaN}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"light": {"keys": [[9, 1]]}}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"light": {"keys": [[1]]}}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"light": {"keys": [1]}}}}',
        '{"schema": "nvd.values", "version": 1, "layers": {"toy": {"light": [1]}}}',
    ],
)
def test_damage_is_named_and_nothing_is_opened(folder, text):
    (folder / "edits/values.json").write_text(text)
    with pytest.raises(ShotError, match=r"values\.json"):
        shots.add_shot(folder)
    assert not len(bpy.context.scene.nvd_shots) and not bpy.data.images


def test_keys_are_as_few_as_can_be():
    ramp = [1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.5]
    assert values_file.as_keys(ramp) == ([(0, 1.0), (1, 1.0), (5, 0.5), (6, 0.5)], "linear")
    step = [1.0, 1.0, 0.0, 0.0, 1.0]
    assert values_file.as_keys(step) == ([(0, 1.0), (2, 0.0), (4, 1.0)], "constant")
    for values in (ramp, step, [0.3, 0.9, 0.1, 0.4]):
        keys, kind = values_file.as_keys(values)
        assert values_file.expanded(keys, len(values), kind) == pytest.approx(values)


def test_the_folder_s_own_door(folder, tmp_path):
    """A link that leads out of the folder is not followed."""
    (tmp_path / "elsewhere.json").write_text('{"schema": "nvd.values"}')
    (folder / "edits/values.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ShotError):
        read_shot(folder)


def test_the_button_keys_in_the_strip_s_timeline(entry):
    """From the strip's scene, and from the one that composites it."""
    scene, layer = entry.id_data, entry.layers["background"]
    scene.frame_set(START + 1)
    layer.light = 0.5
    assert bpy.ops.nvd.key_value(layer="background", what="light") == {"FINISHED"}
    bpy.context.window.scene = entry.scene
    entry.scene.frame_set(3)
    layer.light = 0.25
    assert bpy.ops.nvd.key_value(layer="background", what="light") == {"FINISHED"}
    (curve,) = compat.fcurves(scene)
    keys = [tuple(p.co) for p in curve.keyframe_points]
    assert keys == [(START + 1, 0.5), (START + 2, 0.25)]
    relight = entry.group_node().inputs["background Relight"].path_from_id("default_value")
    (curve,) = compat.fcurves(compat.compositor_tree(entry.scene))
    assert curve.data_path == relight
    assert [curve.evaluate(f) for f in (1, 2, 3)] == pytest.approx([0.5, 0.5, 0.25])
    assert bpy.ops.nvd.key_value(layer="background", what="light", delete=True) == {"FINISHED"}
    assert layer_values.values_of(entry)["background", "light"] == pytest.approx([0.5] * 3)
