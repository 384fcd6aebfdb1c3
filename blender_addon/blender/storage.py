"""Where the extension keeps what is its own: jobs, their logs, and the engine it installed."""

from pathlib import Path

import bpy

EXTENSION = __package__.rpartition(".")[0]
"""the package that Blender knows: blender_addon, or bl_ext.REPOSITORY.ID"""


def user_folder() -> Path:
    """The extension's own folder; Blender removes it with the extension's data."""
    if EXTENSION.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(EXTENSION, create=True))
    # Run from a checkout, or by batch.py: not installed as an extension
    return Path(bpy.utils.user_resource("DATAFILES", path="neural_video_layers", create=True))


def jobs_folder() -> Path:
    return user_folder() / "jobs"


def preferences() -> bpy.types.AddonPreferences | None:
    """The extension's preferences; None where it runs without being installed."""
    addon = bpy.context.preferences.addons.get(EXTENSION)
    return addon.preferences if addon else None
