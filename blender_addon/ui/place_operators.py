"""The button that places a picture, a movie or words on a frame, by their four corners."""

from types import SimpleNamespace

import bpy
from bpy.props import FloatVectorProperty, IntProperty

from ..blender import compat
from ..blender.redraw import redraw
from ..blender.words import translated
from ..engine.find import find_engine
from ..errors import AddonError
from ..paint import placement
from ..paint.frame_canvas import frame_at_playhead
from ..shot import shots
from .on_shot import OnShot, shot_scene
from .pin_operators import clicked
from .stack_operators import chosen

REACH = 12
"""pixels of the screen from a corner within which it is taken"""
STEP = 1.05
"""by what a turn of the wheel scales"""
_NAVIGATION = ("MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "HOME", "NUMPAD_PERIOD")


class NVD_OT_stack_place(OnShot, bpy.types.Operator):
    """Move, scale and corner-pin it over the frame at the playhead in the Sequencer's preview"""

    bl_idname = "nvd.stack_place"
    bl_label = "Place on Frame"
    bl_options = {"REGISTER"}  # noqa: RUF012

    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    corners: FloatVectorProperty(size=8, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        try:
            entry, item = _chosen(context)
            if not _has_preview(context):
                raise AddonError(
                    "no Sequencer shows its preview",
                    "open one, and choose Preview or Sequencer & Preview in its header",
                )
            if placement.current is not None:
                raise AddonError(
                    f"{placement.current.entry} is being placed",
                    "press Enter or Esc over the Sequencer's preview first",
                )
            placement.begin(entry, item, frame_at_playhead(entry))
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.at, self.pointer = None, pointer_of(event)
        said = translated(
            "Drag inside to move, a corner to pin it, with Shift to scale; Ctrl-wheel scales. "
            "Enter places it, Esc gives up"
        )
        context.workspace.status_text_set(said)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        held = placement.current
        if held is None or event.type in ("ESC", "RIGHTMOUSE") or not _is_chosen(context, held):
            return self._ended(context, {"CANCELLED"})
        if event.type in ("RET", "NUMPAD_ENTER") and event.value == "PRESS":
            self.corners = [value for place in held.places for value in place]
            return self._ended(context, self.execute(context))
        if event.type in ("WHEELUPMOUSE", "WHEELDOWNMOUSE") and event.ctrl:
            held.scale(STEP if event.type == "WHEELUPMOUSE" else 1 / STEP)
        elif event.type in _NAVIGATION:
            return {"PASS_THROUGH"}
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            held.held = self.at = None
        elif not self._follow(context, event, held):
            return {"PASS_THROUGH"}
        redraw()
        return {"RUNNING_MODAL"}

    def _follow(self, context, event, held) -> bool:
        """Take hold at a press, and drag at a move; whether it was for the placement."""
        if event.type in ("MOUSEMOVE", "INBETWEEN_MOUSEMOVE"):
            self.pointer = pointer_of(event)
        elif event.type != "LEFTMOUSE":
            return False
        # Where Blender lags behind, a press comes with where the pointer is by now
        found = clicked(context, self.pointer, _chosen(context)[0])
        if found is None:
            return False
        x, y, _frame = found
        if event.type == "LEFTMOUSE":
            held.grab(x, y, REACH * _pixels(context, self.pointer, held))
            self.at = (x, y)
        elif self.at is not None:
            held.drag(x, y, x - self.at[0], y - self.at[1], event.shift)
            self.at = (x, y)
        return True

    def _ended(self, context, result):
        placement.end()
        context.workspace.status_text_set(None)
        return result

    def cancel(self, context):
        self._ended(context, {"CANCELLED"})

    def work(self, context, _scene, _entry):
        entry, item = _chosen(context)
        frame = frame_at_playhead(entry) if self.frame < 0 else self.frame
        flat = list(self.corners)
        places = [(flat[n], flat[n + 1]) for n in range(0, 8, 2)] if any(flat) else None
        places = places or placement.first_places(entry, item)
        placement.place(entry, item, find_engine().python, frame, places)
        return "It is being pinned to the layer"


def pointer_of(event) -> SimpleNamespace:
    """Where the mouse is in the window."""
    return SimpleNamespace(mouse_x=event.mouse_x, mouse_y=event.mouse_y)


def _chosen(context) -> tuple:
    """The shot, and the entry chosen in its stack."""
    entry = shots.current_shot(shot_scene(context))
    item = chosen(entry, entry.layer) if entry is not None else None
    if item is None:
        raise AddonError("no entry of the stack is chosen", "choose one in its list")
    return entry, item


def _is_chosen(context, held) -> bool:
    """Whether what is being placed is still chosen: an artist may press other buttons meanwhile."""
    try:
        entry, item = _chosen(context)
    except AddonError:
        return False
    return (entry.id, item.name) == (held.shot, held.entry)


def _has_preview(context) -> bool:
    areas = (area for window in context.window_manager.windows for area in window.screen.areas)
    spaces = (area.spaces.active for area in areas if area.type == "SEQUENCE_EDITOR")
    return any(space.view_type != "SEQUENCER" for space in spaces)


def _pixels(context, event, held) -> float:
    """How many of the shot's pixels one of the screen is, under the mouse."""
    for area in context.window.screen.areas:
        for region in area.regions:
            x, y = event.mouse_x - region.x, event.mouse_y - region.y
            within = 0 <= x < region.width and 0 <= y < region.height
            if within and area.type == "SEQUENCE_EDITOR" and region.type == "PREVIEW":
                to_view = region.view2d.region_to_view
                wide = compat.sequencer_scene(context).render.resolution_x
                return (to_view(1000, 0)[0] - to_view(0, 0)[0]) / 1000 * held.size[0] / wide
    return 1.0


register, unregister = bpy.utils.register_classes_factory((NVD_OT_stack_place,))
