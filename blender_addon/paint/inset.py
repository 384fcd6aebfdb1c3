"""Where the live preview stands in an Image Editor: in which corner, how large, or not at all; and
what is laid over it.
"""

import blf
import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, PointerProperty

from ..blender.redraw import redraw

GAP = 8
"""pixels to the region's edges"""
CORNERS = [
    ("RIGHT_BOTTOM", "Lower Right", "In the lower right corner of the Image Editor"),
    ("LEFT_BOTTOM", "Lower Left", "In the lower left corner of the Image Editor"),
    ("RIGHT_TOP", "Upper Right", "In the upper right corner of the Image Editor"),
    ("LEFT_TOP", "Upper Left", "In the upper left corner of the Image Editor"),
]


OVERLAYS = [
    ("NONE", "No Overlay", "The shot as it is painted"),
    ("GRID", "Grid", "Lines on every layer's texture: where they slide, paint does"),
]


class NVD_PG_inset(bpy.types.PropertyGroup):
    """Kept with the scene that the window shows."""

    shown: BoolProperty(
        name="Inset",
        description="Show the live preview in Image Editors too, not only in the Sequencer",
        default=True,
        update=lambda _self, _context: redraw(),
    )
    corner: EnumProperty(
        name="Corner",
        items=CORNERS,
        description="Where in the Image Editor the live preview stands",
        update=lambda _self, _context: redraw(),
    )
    size: FloatProperty(
        name="Size",
        description="Width of the live preview, as a share of the Image Editor's",
        default=0.42,
        min=0.1,
        max=0.95,
        subtype="FACTOR",
        update=lambda _self, _context: redraw(),
    )
    keep_rate: BoolProperty(
        name="Keep the Rate",
        description="While Blender plays with the live preview on, leave frames out rather than "
        "play slowly; the scene's own choice comes back afterwards",
        default=True,
    )
    draft_ahead: BoolProperty(
        name="Draft Ahead",
        description="Where the live preview cannot keep the scene's rate, have the engine render "
        "the painted frames ahead of the playhead and show those while Blender plays. Paint is "
        "saved each time that you pause",
        update=lambda _self, _context: redraw(),
    )
    overlay: EnumProperty(
        name="Overlay",
        items=OVERLAYS,
        description="What the live preview lays over the shot",
        update=lambda _self, _context: redraw(),
    )
    overlay_opacity: FloatProperty(
        name="Opacity",
        description="How opaque the overlay is",
        default=0.5,
        min=0,
        max=1,
        subtype="FACTOR",
        update=lambda _self, _context: redraw(),
    )


def rectangle(
    inset: NVD_PG_inset,
    free: tuple[float, float, float, float],
    whole: float,
    width: int,
    height: int,
) -> tuple[float, float, float, float] | None:
    """Left, bottom, width and height of a picture of `width` x `height` in a region.

    free: left, bottom, right and top of what of the region nothing else covers; whole: its width.
    None where it is put away, or there is no room.
    """
    left, bottom, right, top = free
    room = right - left - 2 * GAP, top - bottom - 2 * GAP
    scale = min(inset.size * whole, room[0]) / width
    scale = min(scale, room[1] / height)
    if not inset.shown or scale <= 0:
        return None
    wide, high = scale * width, scale * height
    across, down = inset.corner.split("_")
    x = left + GAP if across == "LEFT" else right - GAP - wide
    y = bottom + GAP if down == "BOTTOM" else top - GAP - high
    return x, y, wide, high


def free_part(area, region) -> tuple[float, float, float, float]:
    """What of the region neither the sidebar, the toolbar, the header nor a shelf covers."""
    left, bottom, right, top = 0, 0, region.width, region.height
    for other in area.regions:
        if other.type == "WINDOW" or other.width <= 1 or other.height <= 1:
            continue
        x, y = other.x - region.x, other.y - region.y
        if other.alignment == "RIGHT":
            right = min(right, x)
        elif other.alignment == "LEFT":
            left = max(left, x + other.width)
        elif other.alignment == "BOTTOM":
            bottom = max(bottom, y + other.height)
        elif other.alignment == "TOP":
            top = min(top, y)
    return left, bottom, right, top


def say(text: str, place: tuple[float, float, float, float]) -> None:
    """Draw a line of text into the lower left of the picture at `place`, in pixels of a region."""
    scale = bpy.context.preferences.system.ui_scale
    blf.size(0, 11 * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 5, 0, 0, 0, 1)
    blf.color(0, 1, 1, 1, 1)
    blf.position(0, place[0] + GAP, place[1] + GAP, 0)
    blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def register():
    bpy.utils.register_class(NVD_PG_inset)
    bpy.types.Scene.nvd_inset = PointerProperty(type=NVD_PG_inset)


def unregister():
    del bpy.types.Scene.nvd_inset
    bpy.utils.unregister_class(NVD_PG_inset)
