"""What is set in the panel before a decomposition: in the scene how it is computed, in each strip
what is to be made of it. A strip's own goes along when it is copied.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.strip_identity import identity, strip_by
from ..blender.undo import under_way
from ..errors import AddonError
from ..strip.timing import KINDS
from .eye import from_text
from .strip_job import Object

MASKS = [
    ("MASK", "Blender Mask", "A mask drawn with Blender's own spline tools", "MOD_MASK", 0),
    ("STRIP", "Strip", "A mask, image or movie strip of the Sequencer", "SEQUENCE", 1),
    ("FILE", "Files", "A folder or pattern of images, a movie, or one image", "FILE_FOLDER", 2),
]


def _strip_chosen(thing: "NVD_PG_object", _context) -> None:
    strip = strip_by(thing.id_data, "", thing.strip)
    thing.strip_id = identity(strip) if strip is not None else ""


class NVD_PG_key(bpy.types.PropertyGroup):
    """A further frame on which an object's mask is drawn."""

    frame: IntProperty(name="Frame", description="Frame of the timeline where the mask fits")
    mask: PointerProperty(name="Mask", type=bpy.types.Mask)


class NVD_PG_click(bpy.types.PropertyGroup):
    """A click on the picture of a frame, for the object's mask or against it."""

    frame: IntProperty(options={"HIDDEN"})
    x: FloatProperty(options={"HIDDEN"})  # pixels of the picture from its upper left
    y: FloatProperty(options={"HIDDEN"})
    inside: BoolProperty(options={"HIDDEN"}, default=True)


class _Masked:
    """An object or a part of one, and where its mask comes from."""

    kind: EnumProperty(
        name="Mask From", items=MASKS, description="Where the object's mask comes from"
    )
    mask: PointerProperty(name="Mask", type=bpy.types.Mask)
    when: EnumProperty(
        name="Drawn",
        items=[
            ("ONE", "On One Frame", "It fits on one frame; the others are found from the motion"),
            ("ALL", "Animated", "It fits on every frame"),
        ],
    )
    frame: IntProperty(name="Frame", description="Frame of the timeline where the mask fits")
    strip: StringProperty(
        name="Strip", description="Mask, image or movie strip", update=_strip_chosen
    )
    strip_id: StringProperty(description="The strip's identity, which a new name leaves as it is")
    path: StringProperty(
        name="Files",
        subtype="FILE_PATH",
        options=compat.RELATIVE,
        description="Folder, pattern such as mask.%04d.png, movie, or one image; a layer of an EXR "
        "stands behind a colon, as in roto.%04d.exr:roto.mask",
    )
    keys_drawn: CollectionProperty(type=NVD_PG_key)
    clicks: CollectionProperty(type=NVD_PG_click)
    needs_eye: StringProperty(options={"HIDDEN"})  # frames, as the engine counts (eye.py)

    def to_object(self) -> Object:
        """The same for strip_job.py; AddonError where nothing is chosen."""
        keys = {key.frame: key.mask for key in self.keys_drawn if key.mask is not None}
        return replace(self._from_choice(), keys=keys, again=from_text(self.needs_eye))

    def _from_choice(self) -> Object:
        missing = AddonError(f"the {self.WHAT} {self.name} has no mask", "choose one, or remove it")
        if self.kind == "MASK":
            if self.mask is None:
                raise missing
            return Object(
                self.name, mask=self.mask, frame=self.frame if self.when == "ONE" else None
            )
        if self.kind == "STRIP":
            strip = strip_by(self.id_data, self.strip_id, self.strip)
            if strip is None:
                raise missing
            return Object(self.name, strip=strip)
        if not self.path:
            raise missing
        return Object(self.name, path=self.path)


class NVD_PG_part(_Masked, bpy.types.PropertyGroup):
    """What moves by itself within an object, or before a far background."""

    WHAT = "part"
    found = ""  # parts are not found by themselves


class NVD_PG_object(_Masked, bpy.types.PropertyGroup):
    """An object of the clip."""

    WHAT = "object"
    parts: CollectionProperty(type=NVD_PG_part)
    active_part: IntProperty(name="Active part")
    windows: IntProperty(
        name="Views in Time",
        min=0,
        max=64,
        default=0,
        description="For an object that turns: so many views, one after the other in time, each "
        "with a part of the texture of its own. What is painted on a frame goes on in all of them "
        "that show the place. 0: as many as its tracks ask for; 1: one picture for all frames",
    )
    find_parts: BoolProperty(
        name="Find Parts",
        description="Look for limbs in the object's outline, such as legs, arms or a head, and "
        "make them parts where that tells the frames better. The job says what was found. Look at "
        "the texture before you paint: what swings in front of the trunk has no outline of its own",
    )
    # Of one that was found (found_objects.py): its folder, and what is known of it
    found: StringProperty(options={"HIDDEN"})
    confidence: FloatProperty(options={"HIDDEN"})
    seen: IntProperty(options={"HIDDEN"})
    moves: IntProperty(options={"HIDDEN"})

    def to_object(self) -> Object:
        """The same for strip_job.py, with its parts; AddonError where a mask is missing."""
        parts = [part.to_object() for part in self.parts]
        return replace(
            super().to_object(), windows=self.windows, parts=parts, find_parts=self.find_parts
        )


class NVD_PG_strip(bpy.types.PropertyGroup):
    """What is to be made of a strip; `objects` are front to back."""

    out: StringProperty(
        name="Folder",
        subtype="DIR_PATH",
        options=compat.RELATIVE,
        description="Where the decomposition goes; empty: beside the .blend, named as the strip",
    )
    layer: StringProperty(
        name="Layer",
        description="Which layer of the EXR files, such as ViewLayer.Combined; empty: the picture",
    )
    mask_margin: IntProperty(
        name="Mask Margin",
        min=0,
        soft_max=50,
        subtype="PIXEL",
        description="How far the masks' outlines may be off, in pixels of the working size; there "
        "the picture decides. 0 for exact masks",
    )
    objects: CollectionProperty(type=NVD_PG_object)
    active: IntProperty(name="Active object")
    parts_of: EnumProperty(
        name="Parts Of",
        items=[
            (
                "OBJECT",
                "Object",
                "What moves by itself within the object that is chosen above, "
                "such as the legs of someone who walks",
            ),
            (
                "BACKGROUND",
                "Background",
                "What moves by itself before a far background, such as "
                "near posts while the camera goes past them",
            ),
        ],
    )
    parts: CollectionProperty(type=NVD_PG_part, description="Of the background")
    windows: IntProperty(
        name="Views in Time",
        min=0,
        max=64,
        default=0,
        description="For a camera that goes through a place, so that near things shift against far "
        "ones: so many views of the background, one after the other in time. 0: one, and the job "
        "says where several would serve better; 1: one",
    )
    active_part: IntProperty(name="Active part")
    missing: EnumProperty(
        name="Missing Files",
        items=[
            ("error", "Stop", "Say which numbers are missing, and do nothing"),
            ("hold", "Hold", "Show the picture before again, as for animation on twos"),
        ],
        description="What is done where numbers are missing among the files of the sequence",
    )
    start: EnumProperty(
        name="Count Files",
        items=[
            ("0", "By Place", "The first file of the folder is 0, whatever its number is"),
            ("source", "By Number", "By the numbers in their names: files that are added before "
             "them later change nothing"),
        ],
        description="How the files are told to the engine",
    )  # fmt: skip
    deinterlace: BoolProperty(
        name="Deinterlace",
        description="The movie is from video with fields (combs where something moves): make whole "
        "frames of them",
    )
    shots: BoolProperty(
        name="Several Shots",
        description="The strip has hard cuts: decompose each shot by itself, into a folder of its "
        "own within Folder. All of them are listed when the job is done",
    )
    garbage: StringProperty(
        name="Garbage Matte",
        subtype="FILE_PATH",
        options=compat.RELATIVE,
        description="What is stuck to the lens or burnt into the picture, such as a logo, bars or "
        "a timecode: files of a mask that is white there, or the word auto to have it found. "
        "Empty: nothing",
    )


class NVD_PG_decompose(bpy.types.PropertyGroup):
    """The panel's settings of the scene."""

    preset: EnumProperty(
        name="Preset",
        # Numbered: files keep the number, and those of version 0.1.0 have no draft
        items=[
            ("draft", "Draft", "Half a minute or so, to see whether the masks are right", 3),
            ("fast", "Fast", "Minutes; good for most clips", 0),
            ("fine", "Fine", "Four times as long; more detail", 1),
            ("paper", "Paper", "The published method's own settings; hours", 2),
        ],
        default="fast",
    )
    device: EnumProperty(
        name="Device",
        items=[
            ("auto", "Automatic", "CUDA where there is a device, otherwise the CPU"),
            ("cpu", "CPU", ""),
            ("cuda", "CUDA", "An NVIDIA GPU"),
        ],
    )
    height: IntProperty(
        name="Height",
        min=0,
        subtype="PIXEL",
        description="How finely the engine looks at the clip, in lines: fewer are faster. Paint, "
        "maps and rendered frames keep the size of the plate. 0: all of its lines",
    )
    plate_height: IntProperty(
        name="Plate Height",
        min=0,
        subtype="PIXEL",
        description="Lines of the frames that are kept and rendered; 0: those of the clip",
    )
    texture_size: EnumProperty(
        name="Texture Size",
        items=[
            ("1", "x1", "As large as Height asks for"),
            ("2", "x2", "Twice as wide and high: for fine paint on a plate larger than Height"),
            ("4", "x4", "Four times as wide and high"),
        ],
        description="How large the textures are that are painted on",
    )
    at_once: BoolProperty(
        name="Paint at Once",
        description="Make a draft first and open it. It is refined to what the preset asks for "
        "while you paint, and the paint is carried over",
    )
    settings: StringProperty(
        name="Settings",
        subtype="FILE_PATH",
        options=compat.RELATIVE,
        description="YAML file with settings of the training, such as the settings.yaml of another "
        "decomposition; empty: the preset's own",
    )
    # Where files of version 0.1.0 have what is the strip's now; see `hand_over`
    out: StringProperty(subtype="DIR_PATH", options={"HIDDEN"})
    layer: StringProperty(options={"HIDDEN"})
    mask_margin: IntProperty(options={"HIDDEN"})
    objects: CollectionProperty(type=NVD_PG_object, options={"HIDDEN"})


def add_object(strip) -> NVD_PG_object:
    """A new object at the back of the strip's list, with a name that is free."""
    settings, scene = strip.nvd_decompose, strip.id_data
    taken = {thing.name for thing in settings.objects}
    thing = settings.objects.add()
    names = ["object", *(f"object{number}" for number in range(2, len(taken) + 2))]
    thing.name = next(name for name in names if name not in taken)
    thing.frame = scene.frame_current
    settings.active = len(settings.objects) - 1
    return thing


def active_strip(scene: bpy.types.Scene):
    """The strip that the panel is about; None where none is active, or none that has pictures."""
    editor = scene.sequence_editor
    strip = editor.active_strip if editor else None
    return strip if strip is not None and strip.type in KINDS else None


def source_options(strip) -> list[str]:
    """Which options on its source a strip of its kind has."""
    own = {"IMAGE": ["missing", "start"], "MOVIE": ["deinterlace"]}
    return [*own.get(strip.type, []), "shots", "garbage"]


def source_words(strip) -> dict:
    """What is chosen of them, as `decompose_strip` takes it."""
    own, names = strip.nvd_decompose, source_options(strip)
    chosen = {name: getattr(own, name) for name in names}
    if chosen.get("start") == "0":
        del chosen["start"]
    chosen["garbage"] = mask_words(own.garbage.strip())
    return chosen


def mask_words(words: str) -> str:
    """A mask as the engine takes it: its path absolute, behind the ! that may stand before it."""
    if not words or words == "auto" or words.startswith("maskrcnn:"):
        return words
    sign = "!" if words.startswith("!") else ""
    return sign + bpy.path.abspath(words.removeprefix(sign)).rstrip("/\\")


def hand_over(scene: bpy.types.Scene) -> None:
    """Give the scene's list of objects, as files of version 0.1.0 have one, to its active strip,
    and what belongs with it: once, and not to a strip that has objects of its own.
    """
    old, strip = scene.nvd_decompose, active_strip(scene)
    names = ("out", "layer", "mask_margin")
    if strip is None or not (old.objects or any(old.is_property_set(name) for name in names)):
        return
    new = strip.nvd_decompose
    if new.objects:
        return
    for name in names:
        if old.is_property_set(name):
            setattr(new, name, getattr(old, name))
            old.property_unset(name)
    for thing in old.objects:
        made = new.objects.add()
        for name in ("name", "kind", "mask", "when", "frame", "strip", "path"):
            setattr(made, name, getattr(thing, name))
    old.objects.clear()


@persistent
def _after_load(_path) -> None:
    for scene in bpy.data.scenes:
        hand_over(scene)
    _follow_strips()


@persistent
def _after_change(_scene, depsgraph) -> None:
    if depsgraph.id_type_updated("SCENE") and not under_way():
        _follow_strips()


def _follow_strips() -> None:
    """Let every object call its strip by the name that it has now."""
    for scene in bpy.data.scenes:
        for owner in compat.all_strips(scene):
            for thing in _masked(owner) if owner.type in KINDS else ():
                strip = strip_by(scene, thing.strip_id, thing.strip) if thing.strip else None
                if strip is not None and (strip.name != thing.strip or not thing.strip_id):
                    thing.strip = strip.name


def _masked(strip) -> Iterator[_Masked]:
    """The objects and parts of a strip."""
    own = strip.nvd_decompose
    yield from own.parts
    for thing in own.objects:
        yield thing
        yield from thing.parts


def output_folder(strip) -> str:
    """Where the panel's decomposition goes; AddonError where that is not known yet."""
    chosen = strip.nvd_decompose.out
    if not chosen and not bpy.data.filepath:
        raise AddonError(
            "the file has not been saved", "save it, or choose a folder", "wm.save_mainfile"
        )
    if chosen.startswith("//") and not bpy.data.filepath:
        raise AddonError(
            "the folder is relative to a file that has not been saved",
            "save the file, or choose another folder",
            "wm.save_mainfile",
        )
    suffix = "_shots" if strip.nvd_decompose.shots else ".nvd"
    return bpy.path.abspath(chosen.rstrip("/\\") if chosen else f"//{shot_name(strip)}{suffix}")


def shot_name(strip) -> str:
    """What a strip's decomposition is called: as the strip, for numbered pictures without the
    number, and as their folder where they have nothing but numbers.
    """
    name = strip.name.rpartition(".")[0] or strip.name
    if strip.type == "IMAGE":
        name = re.sub(r"[._-]*\d+$", "", name) or Path(bpy.path.abspath(strip.directory)).name
    return re.sub(r"[^\w.-]+", "_", name) or "shot"


_classes = (NVD_PG_key, NVD_PG_click, NVD_PG_part, NVD_PG_object, NVD_PG_strip, NVD_PG_decompose)
_watch, _leave = register_handlers_factory(
    (
        (bpy.app.handlers.load_post, _after_load),
        (bpy.app.handlers.depsgraph_update_post, _after_change),
    )
)


def register():
    for cls in _classes:
        bpy.utils.register_class(cls)
    bpy.types.Scene.nvd_decompose = PointerProperty(type=NVD_PG_decompose)
    compat.STRIP.nvd_decompose = PointerProperty(type=NVD_PG_strip)
    _watch()


def unregister():
    _leave()
    del compat.STRIP.nvd_decompose
    del bpy.types.Scene.nvd_decompose
    for cls in reversed(_classes):
        bpy.utils.unregister_class(cls)
