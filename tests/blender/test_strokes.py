"""Strokes in Blender: an SVG and a Grease Pencil drawing become entries of the stack."""

import json

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import strokes
from blender_addon.paint.stack_sheet import is_previewed
from blender_addon.shot import stack
from blender_addon.shot.stack_file import read_stack

pytestmark = pytest.mark.usefixtures("extension")
LAYER = "background"


@pytest.fixture
def entry(entry):
    """Its frame 1 is shown."""
    bpy.context.scene.frame_set(1)
    return entry


def ended(tiny_job):
    job = runner.tools.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    return job


def drawing(points) -> bpy.types.Object:
    """A Grease Pencil object with one stroke, in whatever way this Blender has it."""
    if bpy.app.version < (4, 3, 0):
        data = bpy.data.grease_pencils.new("arrow")
        stroke = data.layers.new("a").frames.new(1).strokes.new()
        stroke.points.add(len(points))
        places = [(point, "co") for point in stroke.points]
    else:
        has_both = hasattr(bpy.data, "grease_pencils_v3")
        kept = bpy.data.grease_pencils_v3 if has_both else bpy.data.grease_pencils
        data = kept.new("arrow")
        made = data.layers.new("a").frames.new(1).drawing
        made.add_strokes([len(points)])
        places = [(point, "position") for point in made.strokes[0].points]
    for (point, name), place in zip(places, points, strict=True):
        setattr(point, name, place)
    material = bpy.data.materials.new("ink")
    bpy.data.materials.create_gpencil_data(material)
    material.grease_pencil.color = (1.0, 0.0, 0.2158605, 1.0)
    data.materials.append(material)
    thing = bpy.data.objects.new("arrow", data)
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = thing
    return thing


def look_at(shot) -> None:
    """A camera from above that sees the plane from 0 to width and 0 to -height."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", max(shot.width, shot.height)
    camera.location = shot.width / 2, -shot.height / 2, 10
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = shot.width, shot.height
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1
    bpy.context.view_layer.update()


def test_an_svg_becomes_an_entry(entry, tiny_job, tmp_path):
    shot = entry.read()
    box = f"0 0 {shot.width} {shot.height}"
    path = tmp_path / "my arrow.svg"
    line = f'<path d="M2 2L{shot.width - 2} 3" stroke="red" stroke-width="2" fill="none"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{line}</svg>')
    assert bpy.ops.nvd.stack_svg(filepath=str(path)) == {"FINISHED"}
    ended(tiny_job)
    (item,) = entry.stack
    assert (item.name, item.kind, item.keep_width) == ("my arrow", "strokes", True)
    assert not is_previewed(item)  # so the panel names it
    item.pixels = 3.5
    stack.save(entry)
    (stored,) = read_stack(entry.read())
    assert stored.pixels == pytest.approx(3.5) and stored.file.endswith(".strokes")
    assert json.loads((entry.path / "edits/stack.json").read_text())["version"] == 2


def test_a_drawing_is_seen_by_the_camera(entry, tiny_job):
    shot = entry.read()
    look_at(shot)
    ends = (3.0, -2.0, 0.0), (shot.width - 4.0, -5.0, 0.0)
    thing = drawing(ends)
    text = strokes.svg_of(thing, bpy.context.scene, shot)
    assert f'points="3.000,2.000 {shot.width - 4:.3f},5.000"' in text
    assert 'stroke="#ff0080"' in text
    assert bpy.ops.nvd.stack_drawing(width=2) == {"FINISHED"}
    job = ended(tiny_job)
    (item,) = entry.stack
    assert job.log.result["name"] == item.name == "arrow"
    document = json.loads((entry.path / item.file).read_text())
    places = np.array([point for one in document["strokes"] for point in one["points"]])
    assert len(places) > 10 and document["strokes"][0]["width"] == pytest.approx(2)


def test_what_cannot_be_drawn_is_said(entry, tmp_path):
    shot = entry.read()
    with pytest.raises(AddonError, match="Grease Pencil"):
        strokes.add_drawing(entry, entry.layer, "python", None)
    thing = drawing([(1.0, -1.0, 0.0), (2.0, -2.0, 0.0)])
    bpy.context.scene.camera = None
    with pytest.raises(AddonError, match="camera"):
        strokes.svg_of(thing, bpy.context.scene, shot)
    look_at(shot)
    bpy.context.scene.render.resolution_x = shot.width * 2
    with pytest.raises(AddonError, match="shape"):
        strokes.svg_of(thing, bpy.context.scene, shot)
    bpy.context.scene.render.resolution_x = shot.width
    thing.data.layers[0].hide = True
    with pytest.raises(AddonError, match="no strokes"):
        strokes.svg_of(thing, bpy.context.scene, shot)
    assert list(compat.drawn_lines(thing)) == []
    with pytest.raises(AddonError, match="SVG"):
        strokes.add_svg(entry, entry.layer, "python", tmp_path / "a.png")


def test_the_batch_lays_strokes(entry, tmp_path, capsys):
    shot = entry.read()
    path = tmp_path / "a.svg"
    line = '<path d="M2 2L9 3" stroke="red" fill="none"/>'
    box = f"0 0 {shot.width} {shot.height}"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{line}</svg>')
    words = ["edits", "add", str(entry.path), str(path), "--layer", LAYER, "--name", "line"]
    assert headless.main([*words, "--keep-width"]) == 0
    (stored,) = read_stack(entry.read())
    assert (stored.name, stored.kind, stored.keep_width) == ("line", "strokes", True)
