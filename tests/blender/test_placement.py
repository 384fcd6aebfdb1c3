"""Placing a picture on a frame by its corners: moved, scaled, pinned by the engine; no window."""

import json
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import placement, placement_marks
from blender_addon.shot import stack
from blender_addon.shot.stack_entry import CORNERS
from blender_addon.ui import place_operators

pytestmark = pytest.mark.usefixtures("extension")
LAYER = "background"


@pytest.fixture
def item(entry, made):
    source = made / "shot.nvd" / "textures" / "leaf-2.png"
    return stack.add_file(entry, entry.layers[LAYER], "picture", source, name="sign")


def ended(tiny_job):
    job = runner.tools.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    return job


@pytest.mark.once
def test_a_picture_is_pinned_where_it_was_placed(entry, item, tiny_job):
    shot, frame = entry.read(), 1
    wide, high = shot.width, shot.height
    places = [(4, 5), (wide / 4, 6), (wide / 4 + 2, high / 4), (5, high / 4 + 1)]
    flat = [value for place in places for value in place]
    bpy.context.scene.frame_set(frame + 1)
    assert bpy.ops.nvd.stack_place(frame=frame, corners=flat) == {"FINISHED"}
    with pytest.raises(RuntimeError, match="not done yet"):
        bpy.ops.nvd.stack_place(frame=frame, corners=flat)
    job = ended(tiny_job)
    assert job.state == "done", job.full_log()
    item = entry.stack["sign"]
    assert item.has_corners and not stack.has_unsaved(entry)
    corners = [tuple(getattr(item, name)) for name in CORNERS]
    (stored,) = json.loads((entry.path / "edits/stack.json").read_text("utf-8"))["entries"]
    assert np.allclose(corners, stored["corners"], atol=1e-6)
    # turned neither over nor aside: the background of the scene lies as the frame does
    assert corners[0][0] < corners[1][0] and corners[0][1] < corners[3][1]
    assert placement.begin(entry, item, frame).places == places  # as it was left there
    assert placement.begin(entry, item, 0).places == placement.first_places(entry, item)
    placement.end()


@pytest.mark.once
def test_where_the_layer_does_not_show_it_is_said(entry, item, tiny_job):
    item.layer = "leaf-2"
    entry.active_layer = list(entry.layers.keys()).index("leaf-2")
    before = [tuple(getattr(item, name)) for name in CORNERS]
    flat = [-40, -40, -20, -40, -20, -20, -40, -20]
    assert bpy.ops.nvd.stack_place(frame=0, corners=flat) == {"FINISHED"}
    job = ended(tiny_job)
    assert job.state == "failed" and "leaf-2" in str(job.error)
    assert [tuple(getattr(item, name)) for name in CORNERS] == before and not item.has_corners


def test_what_cannot_be_placed_is_refused(entry, item):
    paint = stack.add_paint(entry, entry.layers[LAYER])
    with pytest.raises(AddonError, match="covers the whole layer"):
        placement.begin(entry, paint, 0)
    for frame in (-1, entry.frames):
        with pytest.raises(AddonError, match="no frame"):
            placement.begin(entry, item, frame)
    item.name = "-x"
    with pytest.raises(AddonError, match="dash"):
        placement.begin(entry, item, 0)
    assert placement.current is None


def test_corners_are_moved_scaled_and_pinned(entry, item):
    shot = entry.read()
    held = placement.begin(entry, item, 0)
    across, down = item.image.size
    (left, top), (right, _), (_, bottom), _ = held.places
    assert (left + right, top + bottom) == pytest.approx((shot.width, shot.height))
    assert (right - left) / (bottom - top) == pytest.approx(across / down)
    x, y = held.middle
    held.grab(x, y, 3)
    held.drag(x + 5, y - 2, 5, -2, False)
    assert held.places[0] == pytest.approx((left + 5, top - 2))
    held.grab(*held.places[2], 3)
    assert held.held == 2
    held.drag(99, 77, 1, 1, False)
    assert held.places[2] == (99, 77) and held.places[0] == pytest.approx((left + 5, top - 2))
    middle, before = held.middle, list(held.places)
    held.scale(0.5)
    assert held.middle == pytest.approx(middle)
    assert np.allclose(np.subtract(held.places, middle) * 2, np.subtract(before, middle))
    held.grab(-500, -500, 3)
    assert held.held is None
    placement.end()


def test_the_picture_is_drawn_between_its_corners():
    places = [(10.0, 5.0), (50.0, 8.0), (44.0, 40.0), (12.0, 30.0)]
    bottom_left_first = np.array([(0, 1), (1, 1), (1, 0), (0, 0)], float)
    assert np.allclose(placement_marks.laid(places, bottom_left_first), places)
    square = [(0.0, 0.0), (8.0, 0.0), (8.0, 4.0), (0.0, 4.0)]
    assert np.allclose(placement_marks.laid(square, np.array([(0.25, 0.75)])), [(2, 1)])
    line = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert np.isfinite(placement_marks.laid(line, bottom_left_first)).all()


def test_a_press_counts_where_the_pointer_was_when_it_came(entry, item, monkeypatch):
    """Where Blender lags behind, the press has the place that the pointer has reached by now."""
    monkeypatch.setattr(
        place_operators, "clicked", lambda _context, at, _entry: (at.mouse_x, at.mouse_y, -1)
    )
    monkeypatch.setattr(place_operators, "_pixels", lambda *_: 0.5)
    held = placement.begin(entry, item, 0)
    x, y = held.middle
    before = list(held.places)
    operator = SimpleNamespace(at=None, pointer=SimpleNamespace(mouse_x=0, mouse_y=0))

    def happens(kind, x, y):
        event = SimpleNamespace(type=kind, mouse_x=x, mouse_y=y, shift=False)
        assert place_operators.NVD_OT_stack_place._follow(operator, bpy.context, event, held)

    happens("MOUSEMOVE", x, y)
    happens("LEFTMOUSE", x + 500, y)
    assert held.held == 4
    happens("INBETWEEN_MOUSEMOVE", x + 4, y + 1)
    happens("MOUSEMOVE", x + 10, y + 3)
    assert np.allclose(np.subtract(held.places, before), (10, 3))
    placement.end()


def test_it_ends_with_what_it_was_for(entry, item):
    held = placement.begin(entry, item, 0)
    assert place_operators._is_chosen(bpy.context, held)
    entry.active_layer = 0
    assert not place_operators._is_chosen(bpy.context, held)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert placement.current is None
