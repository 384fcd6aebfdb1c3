"""The folder blender_addon as an extension: built, checked, switched on and off."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import bpy
import pytest

import blender_addon

MODULE = "bl_ext.user_default.neural_video_layers"


def our_classes() -> set[str]:
    return {
        name
        for name in dir(bpy.types)
        if getattr(getattr(bpy.types, name), "__module__", "").startswith(("blender_addon", MODULE))
    }


def menu_entries() -> int:
    drawn = getattr(bpy.types.TOPBAR_MT_file_import.draw, "_draw_funcs", [])
    return sum(function.__module__.startswith(("blender_addon", MODULE)) for function in drawn)


def test_registers_ten_times_over():
    for _ in range(10):
        blender_addon.register()
        assert "NVD_OT_open_shot" in our_classes()
        assert menu_entries() == 1
        blender_addon.unregister()
        assert not our_classes()
        assert menu_entries() == 0


def test_switched_on_and_off_as_an_extension(made, engine):
    extensions = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
    link = extensions / "neural_video_layers"
    if not link.exists():
        link.symlink_to(engine.ROOT / "blender_addon")
    for _ in range(10):
        assert bpy.ops.preferences.addon_enable(module=MODULE) == {"FINISHED"}
        assert bpy.ops.nvd.open_shot(directory=str(made / "shot.nvd")) == {"FINISHED"}
        assert bpy.ops.preferences.addon_disable(module=MODULE) == {"FINISHED"}
        assert not our_classes()
        assert menu_entries() == 0


def test_operator_reports_the_problem(tmp_path):
    blender_addon.register()
    try:
        with pytest.raises(RuntimeError, match=r"holds no manifest.json"):
            bpy.ops.nvd.open_shot(directory=str(tmp_path))
    finally:
        blender_addon.unregister()


def test_builds_and_validates(tmp_path, engine):
    folder = Path(bpy.utils.resource_path("LOCAL")) / "scripts/addons_core/bl_pkg/cli"

    def tool(*arguments):
        command = [sys.executable, folder / "blender_ext.py", *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    source = engine.ROOT / "blender_addon"
    tool("validate", source)
    tool("build", "--source-dir", source, "--output-dir", tmp_path)
    (built,) = tmp_path.glob("*.zip")
    tool("validate", built)
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
    assert {"blender_manifest.toml", "__init__.py", "shot/nodes.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_imports_only_what_blender_has(engine):
    allowed = set(sys.stdlib_module_names) | {
        "bpy",
        "numpy",
        "mathutils",
        "gpu",
        "gpu_extras",
        "blf",
        "bpy_extras",
    }
    for path in (engine.ROOT / "blender_addon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            if path.name == "probe.py":  # run by the engine's Python, to find this out
                names = [name for name in names if name not in ("nvd_core", "torch")]
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
