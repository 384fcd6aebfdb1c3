"""What is set in the panel before a decomposition; kept in the scene."""

import re
from pathlib import Path

import bpy
from bpy.props import CollectionProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from ..errors import AddonError
from .strip_job import Object

MASKS = [
    ("MASK", "Blender Mask", "A mask drawn with Blender's own spline tools", "MOD_MASK", 0),
    ("STRIP", "Strip", "A mask, image or movie strip of the Sequencer", "SEQUENCE", 1),
    ("FILE", "Files", "A folder or pattern of images, a movie, or one image", "FILE_FOLDER", 2),
]


class NVD_PG_object(bpy.types.PropertyGroup):
    """An object of the clip and where its mask comes from."""

    kind: EnumProperty(name="Mask", items=MASKS, description="Where the object's mask comes from")
    mask: PointerProperty(name="Mask", type=bpy.types.Mask)
    when: EnumProperty(
        name="Drawn",
        items=[
            ("ONE", "On One Frame", "It fits on one frame; the others are found from the motion"),
            ("ALL", "Animated", "It fits on every frame"),
        ],
    )
    frame: IntProperty(name="Frame", description="Frame of the timeline where the mask fits")
    strip: StringProperty(name="Strip", description="Mask, image or movie strip")
    path: StringProperty(
        name="Files",
        subtype="FILE_PATH",
        description="Folder, pattern such as mask.%04d.png, movie, or one image; a layer of an EXR "
        "stands behind a colon, as in roto.%04d.exr:roto.mask",
    )

    def to_object(self, strips) -> Object:
        """The same for strip_job.py; AddonError where nothing is chosen."""
        missing = AddonError(f"the object {self.name} has no mask", "choose one, or remove it")
        if self.kind == "MASK":
            if self.mask is None:
                raise missing
            return Object(
                self.name, mask=self.mask, frame=self.frame if self.when == "ONE" else None
            )
        if self.kind == "STRIP":
            strip = next((strip for strip in strips if strip.name == self.strip), None)
            if strip is None:
                raise missing
            return Object(self.name, strip=strip)
        if not self.path:
            raise missing
        return Object(self.name, path=self.path)


class NVD_PG_decompose(bpy.types.PropertyGroup):
    """The panel's settings."""

    out: StringProperty(
        name="Folder",
        subtype="DIR_PATH",
        description="Where the decomposition goes; empty: beside the .blend, named as the strip",
    )
    preset: EnumProperty(
        name="Preset",
        items=[
            ("fast", "Fast", "Minutes; good for most clips"),
            ("fine", "Fine", "Four times as long; more detail"),
            ("paper", "Paper", "The published method's own settings; hours"),
        ],
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
        description="Working height in pixels; 0: that of the clip",
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
    settings: StringProperty(
        name="Settings", subtype="FILE_PATH", description="YAML file with settings of the training"
    )
    objects: CollectionProperty(type=NVD_PG_object)
    active: IntProperty(name="Active object")


def add_object(scene: bpy.types.Scene) -> NVD_PG_object:
    """A new object at the back of the scene's list, with a name that is free."""
    settings = scene.nvd_decompose
    taken = {thing.name for thing in settings.objects}
    thing = settings.objects.add()
    names = ["object", *(f"object{number}" for number in range(2, len(taken) + 2))]
    thing.name = next(name for name in names if name not in taken)
    thing.frame = scene.frame_current
    settings.active = len(settings.objects) - 1
    return thing


def output_folder(scene: bpy.types.Scene, strip) -> str:
    """Where the panel's decomposition goes; AddonError where that is not known yet."""
    chosen = scene.nvd_decompose.out
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
    return bpy.path.abspath(chosen.rstrip("/\\") if chosen else f"//{shot_name(strip)}.nvd")


def shot_name(strip) -> str:
    """What a strip's decomposition is called: as the strip, for numbered pictures without the
    number, and as their folder where they have nothing but numbers.
    """
    name = strip.name.rpartition(".")[0] or strip.name
    if strip.type == "IMAGE":
        name = re.sub(r"[._-]*\d+$", "", name) or Path(bpy.path.abspath(strip.directory)).name
    return re.sub(r"[^\w.-]+", "_", name) or "shot"


_classes = (NVD_PG_object, NVD_PG_decompose)


def register():
    for cls in _classes:
        bpy.utils.register_class(cls)
    bpy.types.Scene.nvd_decompose = PointerProperty(type=NVD_PG_decompose)


def unregister():
    del bpy.types.Scene.nvd_decompose
    for cls in reversed(_classes):
        bpy.utils.unregister_class(cls)
