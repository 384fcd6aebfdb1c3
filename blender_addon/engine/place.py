"""Where the engine's environment is: one for all Blenders of a user, in a short folder.

It holds a gigabyte or more, so neither each Blender nor each version of it gets one of its own.
Engines of another protocol have an environment of their own, so that an older Blender with an older
extension goes on working. No bpy here.
"""

import os
import sys
from pathlib import Path

from ..errors import AddonError

LONGEST_FILE = 167
"""letters of the longest path in PyTorch 2.13.0's wheel for Windows, below site-packages"""
LONGEST_PATH = 259
"""letters of a path that Windows' programs can open where long paths are not turned on"""


def environment_folder(extension: Path, protocol: int) -> Path:
    """The environment of this user, made or not.

    `extension` is the extension's own folder, where it was before; one that is there is kept. Where
    Blender was told to keep its files elsewhere (BLENDER_USER_RESOURCES), it stays there too.
    The folder that NVD_ENGINE_FOLDER names goes before all.
    """
    name = f"engine-{protocol}"
    chosen = os.environ.get("NVD_ENGINE_FOLDER")
    if chosen:
        return Path(os.path.abspath(chosen)) / name
    before = extension / "engine"
    if os.environ.get("BLENDER_USER_RESOURCES"):
        return before
    shared = _data_folder() / "nvd" / name
    return before if before.is_dir() and not shared.is_dir() else shared


def _data_folder() -> Path:
    """Where a user's programs keep what is theirs on this machine alone."""
    home = Path.home()
    if sys.platform == "win32":  # not Roaming, which is copied from machine to machine
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    chosen = os.environ.get("XDG_DATA_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else home / ".local" / "share"


def python_in(environment: Path) -> Path:
    inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return environment / inside


def missing_base(environment: Path) -> str:
    """The folder of the Python that `environment` rests on, where that is gone; "" otherwise.

    An environment is a few links to the Python that made it: Blender's own goes with its Blender.
    """
    try:
        lines = (environment / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""  # none, or not one of Python's
    values = dict(line.split(" = ", 1) for line in lines if " = " in line)
    home = values.get("home", "").strip()
    if home and not os.path.isdir(home):
        return home
    python = python_in(environment)
    if python.is_symlink() and not python.exists():
        return home or str(python)
    return ""


def check_length(environment: Path) -> None:
    """AddonError where Windows could not open all that is put into `environment`."""
    if sys.platform != "win32":
        return
    deepest = len(str(environment)) + len("\\Lib\\site-packages\\") + LONGEST_FILE
    if deepest <= LONGEST_PATH or _long_paths():
        return
    raise AddonError(
        f"the engine's folder {environment} is too deep for Windows: its files' paths would have "
        f"{deepest} letters, and {LONGEST_PATH} can be opened",
        "turn on long paths in Windows (LongPathsEnabled), or set the environment variable "
        "NVD_ENGINE_FOLDER to a short folder such as C:\\nvd, and start Blender again",
    )


def _long_paths() -> bool:
    """Whether Windows was told to let programs open longer paths; Python is one that asks to."""
    import winreg

    try:
        key = winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem"
        )
        with key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False
