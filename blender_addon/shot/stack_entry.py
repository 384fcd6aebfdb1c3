"""An entry of a shot's stack as Blender has it: its properties, and its range on the timeline.

The range is kept in frames of the clip, from 0, as the folder has it. What the panel shows, and
scripts may set, are the frames of the scene that lists the shot.
"""

from collections.abc import Sequence

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..blender.redraw import redraw
from ..errors import AddonError
from . import layer_values
from .stack_file import FARTHEST, LEAST_PIXELS, LONGEST_TEXT, Entry, problem_of_name

KINDS = (
    ("paint", "Paint", "A transparent image to paint on", "BRUSH_DATA", 0),
    ("picture", "Picture", "A picture that is pinned to the layer", "IMAGE_DATA", 1),
    ("movie", "Movie", "A movie or numbered pictures", "FILE_MOVIE", 2),
    ("text", "Text", "Words, fitted between four corners", "FONT_DATA", 3),
    ("strokes", "Strokes", "Lines that are anchored to the layer", "CURVE_DATA", 5),
    ("adjustment", "Adjustment", "Colours of what lies below are changed", "COLOR", 4),
)
ICONS = {kind[0]: kind[3] for kind in KINDS}
CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def owner(item: "NVD_PG_stack_entry"):
    """The shot that the entry is of."""
    return item.id_data.path_resolve(item.path_from_id().rpartition(".stack[")[0])


def _timeline(shot) -> Sequence[int]:
    try:
        return layer_values.timeline_frames(shot)
    except AddonError:  # what a strip of a new speed shows has not been looked at yet
        return range(1, shot.frames + 1)


def on_timeline(shot, t: int) -> int:
    """The timeline's frame of the clip's frame `t`, which may lie outside the clip."""
    frames = _timeline(shot)
    if not len(frames):
        return t + 1
    near = min(max(t, 0), len(frames) - 1)
    return frames[near] + t - near


def in_clip(shot, frame: int) -> int:
    """The clip's frame that the timeline shows nearest to `frame`; may lie outside the clip."""
    frames = _timeline(shot)
    if not len(frames):
        return frame - 1
    t = min(range(len(frames)), key=lambda t: abs(frames[t] - frame))
    return t + (frame - frames[t] if t in (0, len(frames) - 1) else 0)


def _on_timeline(item, t: int) -> int:
    return on_timeline(owner(item), t)


def _in_clip(item, frame: int) -> int:
    return in_clip(owner(item), frame)


def _last_of(item) -> int:
    return max(owner(item).frames - 1, 0)


def _get_from(item) -> int:
    return _on_timeline(item, item.first)


def _set_from(item, frame: int) -> None:
    item.first = min(max(_in_clip(item, frame), 0), _last_of(item))
    item.last = max(item.last, item.first)


def _get_to(item) -> int:
    return _on_timeline(item, item.last)


def _set_to(item, frame: int) -> None:
    item.last = min(max(_in_clip(item, frame), 0), _last_of(item))
    item.first = min(item.first, item.last)


def _get_come(item) -> int:
    return abs(_on_timeline(item, item.first + item.fade_in) - _on_timeline(item, item.first))


def _set_come(item, count: int) -> None:
    item.fade_in = max(_in_clip(item, _on_timeline(item, item.first) + count) - item.first, 0)


def _get_go(item) -> int:
    return abs(_on_timeline(item, item.last) - _on_timeline(item, item.last - item.fade_out))


def _set_go(item, count: int) -> None:
    item.fade_out = max(item.last - _in_clip(item, _on_timeline(item, item.last) - count), 0)


def _get_starts(item) -> int:
    return _on_timeline(item, item.start)


def _set_starts(item, frame: int) -> None:
    item.start = _in_clip(item, frame)


def _changed(_item, _context) -> None:
    redraw()


def _renamed(item, _context) -> None:
    """A name that the file could not have, or another entry has, is made one that it can."""
    if item.name == item.named:
        return
    others = {other.name for other in owner(item).stack if other != item}
    fit = free_name(item.name, others) if item.name.strip(" .") else item.named
    item.named = fit
    if item.name != fit:
        item.name = fit
    redraw()


def free_name(wanted: str, taken: set[str]) -> str:
    """A name like `wanted` that the file can have and none of `taken` is, whatever their case."""
    kept = "".join(c if not problem_of_name(f"a{c}a") else "_" for c in wanted).strip(" .")
    kept = kept[:50].rstrip(" .") or "Entry"
    lower, number, name = {other.casefold() for other in taken}, 2, kept
    while name.casefold() in lower:
        name, number = f"{kept} {number}", number + 1
    return name


def _corner(title: str, default: tuple[float, float]):
    return FloatVectorProperty(
        name=title,
        description="Where this corner lies, in shares of the texture from its top left",
        size=2,
        default=default,
        min=-FARTHEST,
        max=FARTHEST,
        soft_min=0.0,
        soft_max=1.0,
        step=1,
        update=_changed,
    )


class NVD_PG_stack_entry(bpy.types.PropertyGroup):
    """One entry; `first`, `last`, `fade_in`, `fade_out` and `start` are frames of the clip."""

    name: StringProperty(name="Name", update=_renamed)
    named: StringProperty(description="The last name that the file can have")
    layer: StringProperty()
    kind: EnumProperty(name="Kind", items=KINDS)
    on: BoolProperty(name="Shown", default=True, update=_changed)
    opacity: FloatProperty(
        name="Opacity", default=1.0, min=0.0, max=1.0, subtype="FACTOR", update=_changed
    )
    blend: EnumProperty(
        name="Blend",
        description="How its colours are mixed with what lies below",
        items=[
            ("normal", "Normal", ""),
            ("multiply", "Multiply", ""),
            ("screen", "Screen", ""),
            ("overlay", "Overlay", ""),
            ("soft_light", "Soft Light", ""),
            ("add", "Add", ""),
            ("subtract", "Subtract", ""),
            ("darken", "Darken", ""),
            ("lighten", "Lighten", ""),
        ],
        update=_changed,
    )
    has_range: BoolProperty(
        name="Some Frames", description="Show it in a range of frames", update=_changed
    )
    first: IntProperty(min=0, update=_changed)
    last: IntProperty(min=0, update=_changed)
    fade_in: IntProperty(min=0, update=_changed)
    fade_out: IntProperty(min=0, update=_changed)
    from_frame: IntProperty(
        name="From", description="The first frame of the timeline that shows it",
        get=_get_from, set=_set_from,
    )  # fmt: skip
    to_frame: IntProperty(
        name="To", description="The last frame of the timeline that shows it",
        get=_get_to, set=_set_to,
    )  # fmt: skip
    come: IntProperty(
        name="Fade In", description="Frames of the timeline in which it comes", min=0,
        get=_get_come, set=_set_come,
    )  # fmt: skip
    go: IntProperty(
        name="Fade Out", description="Frames of the timeline in which it goes", min=0,
        get=_get_go, set=_set_go,
    )  # fmt: skip
    file: StringProperty(description="In the shot's folder")
    image: PointerProperty(type=bpy.types.Image)
    has_corners: BoolProperty(
        name="Pinned",
        description="Pin it by four corners; else it is stretched over the whole layer",
        update=_changed,
    )
    top_left: _corner("Top Left", WHOLE[0])
    top_right: _corner("Top Right", WHOLE[1])
    bottom_right: _corner("Bottom Right", WHOLE[2])
    bottom_left: _corner("Bottom Left", WHOLE[3])
    start: IntProperty(update=_changed)
    starts_at: IntProperty(
        name="Starts At",
        description="The frame of the timeline that shows the movie's first picture",
        get=_get_starts,
        set=_set_starts,
    )
    after: EnumProperty(
        name="Then",
        description="What is shown after the movie's last picture",
        items=[
            ("hold", "Hold", "The last picture stays"),
            ("loop", "Loop", "It begins again"),
            ("hide", "Hide", "Nothing"),
        ],
        update=_changed,
    )
    text: StringProperty(name="Words", maxlen=LONGEST_TEXT, update=_changed)
    font: StringProperty(description="A font's file in the shot's folder")
    colour: FloatVectorProperty(
        name="Colour", subtype="COLOR_GAMMA", size=3, default=(1, 1, 1), min=0, max=1,
        update=_changed,
    )  # fmt: skip
    keep_width: BoolProperty(
        name="Keep Width",
        description="As wide, and words as large, in every frame; only the engine draws them so",
        update=_changed,
    )
    pixels: FloatProperty(
        name="Pixels",
        description="Width of strokes, or size of words that keep it, in pixels of the plate; "
        "0: strokes as they were drawn, words 32",
        min=0, max=2000, soft_max=100, update=_changed,
    )  # fmt: skip
    hue: FloatProperty(
        name="Hue", description="Degrees by which colours are turned",
        min=-180, max=180, update=_changed,
    )  # fmt: skip
    saturation: FloatProperty(
        name="Saturation", default=1, min=0, max=10, soft_max=2, update=_changed
    )
    gain: FloatProperty(name="Gain", default=1, min=0, max=100, soft_max=2, update=_changed)
    gamma: FloatProperty(
        name="Gamma", default=1, min=0.05, max=20, soft_min=0.25, soft_max=4, update=_changed
    )
    mask: StringProperty(description="A grey image in the shot's folder")
    mask_image: PointerProperty(type=bpy.types.Image)
    problem: StringProperty(description="Why its picture cannot be shown")

    @property
    def stored(self) -> Entry:
        """The entry as the folder's file has it."""
        corners = tuple(tuple(getattr(self, name)) for name in CORNERS)
        return Entry(
            frames=(self.first, max(self.first, self.last)) if self.has_range else None,
            corners=corners if self.has_corners else None,
            colour=tuple(self.colour),
            pixels=max(self.pixels, LEAST_PIXELS) if self.pixels else 0.0,
            **{name: getattr(self, name) for name in _SAME},
        )

    def take(self, entry: Entry, frames: int) -> None:
        """Be as the folder's file has it, of a clip of so many frames; images are not looked for.

        Without a range it would begin with that of the whole clip.
        """
        self.named = entry.name
        for name in _SAME:
            setattr(self, name, getattr(entry, name))
        self.has_range, self.has_corners = entry.frames is not None, entry.corners is not None
        self.first, self.last = entry.frames or (0, max(frames - 1, 0))
        for name, place in zip(CORNERS, entry.corners or WHOLE, strict=True):
            setattr(self, name, place)
        self.colour, self.pixels = entry.colour, entry.pixels


_SAME = (
    "name", "layer", "kind", "on", "opacity", "blend", "fade_in", "fade_out", "file", "start",
    "after", "text", "font", "keep_width", "hue", "saturation", "gain", "gamma", "mask",
)  # fmt: skip
