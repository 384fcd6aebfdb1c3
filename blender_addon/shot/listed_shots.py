"""Which shots a .blend lists, and the names that their strips and images carry.

The module knows nothing of shots.py, whose NVD_PG_shot the entries are.
"""

from pathlib import Path

import bpy

from ..blender.strip_identity import strip_by
from ..blender.undo import name_image
from . import stack


def all_shots() -> list:
    """Every shot of the .blend."""
    return [entry for scene in bpy.data.scenes for entry in scene.nvd_shots]


def shots_at(folder: Path) -> list:
    """Every shot of the .blend that is of this folder."""
    return [entry for entry in all_shots() if entry.path == folder]


def current_shot(scene: bpy.types.Scene):
    """The shot chosen in the scene's list."""
    shots = scene.nvd_shots
    return shots[scene.nvd_shot] if 0 <= scene.nvd_shot < len(shots) else None


def listed_shot(scene: str, folder: str, id: object = ""):
    """The shot at `folder` of that identity; else the one in the list of the scene of that name, or
    of a scene that may have been called so. None where it is in no list.
    """
    found = [entry for entry in all_shots() if str(entry.path) == folder]
    found = [entry for entry in found if id and entry.id == id] or found
    return min(found, key=lambda entry: entry.id_data.name != scene, default=None)


def entry_of(layer):
    """The shot that the layer is one of."""
    shots = layer.id_data.nvd_shots
    return next((entry for entry in shots if layer in list(entry.layers)), None)


def strip_of(scene: bpy.types.Scene, entry):
    """The strip of the scene that the shot was made from, whatever its name is now; or None."""
    return strip_by(scene, entry.strip_id, entry.strip)


def follow_strips() -> None:
    """Let every shot call its strip by the name that it has now."""
    for entry in all_shots():
        strip = strip_of(entry.id_data, entry)
        if strip is not None and (strip.name != entry.strip or not entry.strip_id):
            entry.strip = strip.name


def name_images(entry) -> None:
    """Let the images of the shot's layers carry its name, and the layers' labels.

    Of several shots of one folder the first one gives the names.
    """
    if entry is None or shots_at(entry.path)[0] != entry:
        return
    for layer in entry.layers:
        for what in ("edit", "learned"):
            image, name = getattr(layer, what), f"{entry.name} {layer.shown_name} {what}"
            if image is not None:
                name_image(image, name)
    stack.name_images(entry)
    entry.named = entry.name


def follow_names() -> None:
    """Let images follow where a shot was renamed.

    Only within one of Blender's steps: its steps of strokes find their image by its name, and
    Blender crashes where the image got another one since its last step.
    """
    for entry in all_shots():
        if entry.name != entry.named:
            name_images(entry)
