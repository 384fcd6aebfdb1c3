"""Where the extension keeps what is its own: jobs, their logs, and the engine it installed."""

import os
import re
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


def is_ours(job: Path) -> bool:
    """Whether a job's folder was made by this extension for this user, in whatever Blender."""
    folder, user = Path(os.path.realpath(job)), Path(os.path.realpath(jobs_folder()))
    if folder.is_relative_to(user):
        return True
    version = Path(os.path.realpath(bpy.utils.resource_path("USER")))
    return bool(re.fullmatch(r"\d+\.\d+", version.name)) and folder.is_relative_to(version.parent)


def preferences() -> bpy.types.AddonPreferences | None:
    """The extension's preferences; None where it runs without being installed."""
    addon = bpy.context.preferences.addons.get(EXTENSION)
    return addon.preferences if addon else None


def stored_path(path: str | Path) -> str:
    """`path` relative to the .blend where Blender's preference wants that and it can be."""
    filepaths = bpy.context.preferences.filepaths
    if not (bpy.data.filepath and filepaths.use_relative_paths):
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive of Windows
        return str(path)
