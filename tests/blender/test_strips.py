"""The edited shot back in the sequencer: where the strips lie and what they show."""

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.shot import painting, shots
from blender_addon.shot.folder import ShotError
from blender_addon.strip import composite_strips, strips

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def scene(plain_scene):
    return plain_scene


def paint_all(entry):
    image = entry.layers["background"].edit
    painting.write_pixels(image, np.tile(np.float32([1, 0, 1, 1]), (120, 200, 1)))


def test_round_trip_of_images_is_identical(scene, folder, tmp_path, engine, reference, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    before = [timeline.show(scene, tmp_path, frame) for frame in (10, 11, 12)]
    seen = []
    made = strips.render_to_strip(
        entry, scene, engine.PYTHON, progress=lambda *done: seen.append(done)
    )
    assert made.channel == 3 and compat.strip_span(made) == (10, 3)
    assert seen[-1] == (3, 3)
    strip.mute = True
    after = [timeline.show(scene, tmp_path, frame) for frame in (10, 11, 12)]
    assert np.array_equal(before, after)
    assert np.array_equal(np.round(after[1] * 255), np.round(plates(reference, folder)[1] * 255))


def plates(reference, folder):
    return [reference.load(folder / f"frames/{t:05d}.png") for t in range(3)]


def test_paint_is_in_the_strip(scene, folder, tmp_path, engine, reference, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    before = timeline.show(scene, tmp_path, 11)
    paint_all(entry)
    strips.render_to_strip(entry, scene, engine.PYTHON)
    after = timeline.show(scene, tmp_path, 11)
    assert reference.psnr(after, before) < 25
    assert np.abs(after - reference.load(folder / "render/00001.png")).max() < 1e-6


def test_trims_and_look_are_taken_over(scene, folder, tmp_path, engine, reference, timeline):
    strip = timeline.image_strip(scene, folder)
    compat.trim(strip, 1, 0)
    strip.transform.offset_x, strip.transform.rotation = 20, 0.3
    strip.transform.scale_x = strip.transform.scale_y = 0.5
    strip.crop.min_x, strip.use_flip_x, strip.color_multiply = 30, True, 0.5
    entry = shots.add_shot(folder, scene, strip=strip.name)
    before = [timeline.show(scene, tmp_path, frame) for frame in (10, 11, 12, 13)]
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert compat.strip_span(made) == compat.strip_span(strip) == (11, 2)
    strip.mute = True
    assert np.array_equal(
        before, [timeline.show(scene, tmp_path, frame) for frame in (10, 11, 12, 13)]
    )


def test_part_of_the_source_was_decomposed(scene, folder, tmp_path, engine, timeline):
    """A shot of pictures 1 and on stands one frame later than the strip."""
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name, first_frame=1)
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert compat.strip_span(made) == (11, 2)


def test_channels_in_use_are_skipped(scene, folder, engine, timeline):
    strip = timeline.image_strip(scene, folder)
    for channel in (3, 4):
        other = compat.make_strips(scene).new_effect
        length = {"frame_end": 30} if bpy.app.version < (5, 0, 0) else {"length": 30}
        other(name="x", type="COLOR", channel=channel, frame_start=12, **length)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    assert strips.render_to_strip(entry, scene, engine.PYTHON).channel == 5


@pytest.mark.parametrize("rate", [24, 25])
def test_movie(scene, folder, tmp_path, rate, engine, reference, timeline):
    """FFV1 keeps every pixel; Blender's way through YUV is what may differ."""
    strip = timeline.movie_strip(scene, folder, tmp_path / "plate.mkv", rate)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    start, shown = compat.strip_span(strip)
    frames = range(start, start + shown)
    before = [timeline.show(scene, tmp_path, frame) for frame in frames]
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert compat.strip_span(made) == (start, shown)
    strip.mute = True
    after = [timeline.show(scene, tmp_path, frame) for frame in frames]
    worst = min(reference.psnr(*pair) for pair in zip(before, after, strict=True))
    print(f"movie against rendered strip {worst:.1f} dB")
    assert worst > 30


def test_composite_strip(scene, folder, tmp_path, engine, reference, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    paint_all(entry)
    made = composite_strips.add_scene_strip(entry, scene)
    assert compat.strip_span(made) == (10, 3)
    composite = timeline.show(scene, tmp_path, 11)
    scene.sequence_editor_create()
    rendered = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert rendered.channel == made.channel + 1
    assert reference.psnr(timeline.show(scene, tmp_path, 11), composite) > 45


@pytest.mark.skipif(not compat.STRIP_COMPOSITOR, reason="no compositor on strips before 5.1")
def test_modifier(scene, folder, tmp_path, engine, reference, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    before = timeline.show(scene, tmp_path, 11)
    paint_all(entry)
    composite_strips.add_modifier(entry, scene)
    live = timeline.show(scene, tmp_path, 11)
    assert reference.psnr(live, before) < 25
    strips.render_to_strip(entry, scene, engine.PYTHON)
    assert reference.psnr(timeline.show(scene, tmp_path, 11), live) > 45


def test_a_deleted_scene_is_told(scene, folder, timeline):
    entry = shots.add_shot(folder, scene, strip=timeline.image_strip(scene, folder).name)
    bpy.data.scenes.remove(entry.scene)
    for add in (composite_strips.add_scene_strip, composite_strips.add_modifier):
        with pytest.raises(ShotError, match=r"open the shot again|use Composite Strip"):
            add(entry, scene)


@pytest.mark.skipif(compat.STRIP_COMPOSITOR, reason="has a compositor on strips")
def test_no_modifier_here(scene, folder, timeline):
    entry = shots.add_shot(folder, scene, strip=timeline.image_strip(scene, folder).name)
    with pytest.raises(ShotError, match=r"for strips: use Composite Strip"):
        composite_strips.add_modifier(entry, scene)


@pytest.mark.skipif(not compat.STRIP_COMPOSITOR, reason="no compositor on strips before 5.1")
@pytest.mark.parametrize("what", ["learned", "checker", "grid"])
def test_modifier_shows_the_edit(scene, folder, tmp_path, what, reference, timeline):
    entry = shots.add_shot(folder, scene, strip=timeline.image_strip(scene, folder).name)
    paint_all(entry)
    modifier = composite_strips.add_modifier(entry, scene)
    expected = timeline.show(scene, tmp_path, 11)
    scene.sequence_editor.strips[0].modifiers.remove(modifier)
    painting.show(entry, entry.layers["background"], what)
    composite_strips.add_modifier(entry, scene)
    assert np.array_equal(timeline.show(scene, tmp_path, 11), expected)


@pytest.mark.skipif(not compat.STRIP_COMPOSITOR, reason="no compositor on strips before 5.1")
def test_nodes_of_the_artist_in_between(scene, folder, tmp_path, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    paint_all(entry)
    node, tree = entry.group_node(), compat.compositor_tree(entry.scene)
    socket = node.inputs["background Edit"]
    image, groups = socket.links[0].from_node, len(bpy.data.node_groups)
    inner = tree.nodes.new("CompositorNodeInvert")
    tree.links.new(image.outputs["Image"], inner.inputs["Color"])
    tree.links.new(inner.outputs[0], socket)
    with pytest.raises(ShotError, match="feeds background Edit"):
        composite_strips.add_modifier(entry, scene)
    inner = tree.nodes.new("NodeReroute")
    tree.links.new(image.outputs["Image"], inner.inputs[0])
    tree.links.new(inner.outputs[0], socket)
    composite_strips.add_modifier(entry, scene)
    assert len(strip.modifiers) == 1 and len(bpy.data.node_groups) == groups + 2
    tree.nodes.remove(node)
    with pytest.raises(ShotError, match="no node of the shot shot: open the shot again"):
        composite_strips.add_modifier(entry, scene)


def test_engine_errors_are_told(scene, folder, engine):
    entry = shots.add_shot(folder, scene)
    (folder / "maps/00001.exr").write_bytes(b"broken")
    paint_all(entry)
    with pytest.raises(ShotError, match=r"00001\.exr"):
        strips.render_to_strip(entry, scene, engine.PYTHON)


def test_strip_elsewhere_is_an_error(scene, folder, engine, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name, first_frame=100)
    with pytest.raises(ShotError, match="shows no frame"):
        strips.render_to_strip(entry, scene, engine.PYTHON)


def sizes(strip) -> set[tuple[int, int]]:
    return {(element.orig_width, element.orig_height) for element in strip.elements}


def test_pictures_have_a_size_before_they_are_read(scene, folder, engine, timeline, tmp_path):
    """Blender leaves it as it was in memory, and crashes where the file has gone."""
    entry = shots.add_shot(folder, scene, strip=timeline.image_strip(scene, folder).name)
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert len(made.elements) == 3 and sizes(made) == {(160, 90)}
    for number in range(20):
        made.elements.append(f"{number}.png")
    assert any(not 0 <= side <= 1 << 16 for size in sizes(made) for side in size)
    name = made.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "of an older version.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "of an older version.blend"))
    (made,) = (s for s in compat.strips(bpy.context.scene) if s.name == name)
    assert all(0 <= side <= 1 << 16 for size in sizes(made) for side in size)


def test_a_rendered_strip_is_found_again_with_its_folder(scene, folder, engine, timeline):
    entry = shots.add_shot(folder, scene, strip=timeline.image_strip(scene, folder).name)
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    away = folder.with_name("elsewhere.nvd")
    folder.rename(away)
    shots.find_again(entry, away)
    first = bpy.path.abspath(made.directory) + made.elements[0].filename
    assert first.startswith(str(away)) and (away / "render" / made.elements[0].filename).is_file()
    assert len(first) > len(str(away)) + 10
