"""Build the Blender extension's zip, with the engine's wheel inside, and validate it.

    python3 tools/build_extension.py                        into dist/
    python3 tools/build_extension.py --blender blender      by that Blender's own tool

Without --blender the tool is the one of a Blender in .envs/, which is made where there is none; it
does not check the tags. The engine's wheel is made by `pip wheel` of the checkout and put into
engine_package/, from where the extension installs it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import ENVIRONMENTS, ROOT, usable_blender

LIMIT = 1_500_000  # bytes: no more than code, words and the wheel, which have 1.08 million


def build(out: Path, blender: str = "") -> Path:
    """Build and validate the zip into `out`; SystemExit with the tool's words where it fails."""
    tool = _tool(blender)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "neural_video_layers"
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / "blender_addon", source, ignore=ignored)
        shutil.copy(ROOT / "LICENSE", source)  # whoever is given a copy is given the licence
        build_wheel(source / "engine_package")
        made = Path(folder) / "made"
        made.mkdir()
        _run([*tool, "validate", source])
        _run([*tool, "build", "--source-dir", source, "--output-dir", made])
        (built,) = made.glob("*.zip")
        _run([*tool, "validate", built])
        if built.stat().st_size >= LIMIT:
            sys.exit(f"{built.name} has {built.stat().st_size} bytes, more than {LIMIT}")
        return Path(shutil.copy(built, out / built.name))


def build_wheel(folder: Path) -> None:
    """The engine's wheel into `folder`, built from a copy so that the checkout stays clean."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "engine"
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / "nvd_core", copy / "nvd_core", ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy / name)
        command = [_python(), "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, copy]
        _run([*command, "--disable-pip-version-check"])


def _python() -> Path | str:
    engine = ROOT / ".envs" / "engine" / "bin" / "python"
    return engine if engine.is_file() else sys.executable


def _tool(blender: str) -> list[str]:
    if blender:
        return [blender, "--command", "extension"]
    found = _tools()
    if not found and usable_blender():
        found = _tools()
    if not found:
        sys.exit("no Blender: give --blender")
    return [sys.executable, str(found[-1])]


def _tools() -> list[Path]:
    """The tools in the Blenders of .envs/, modules and the one with a window."""
    places = ("bpy-*/lib/python*/site-packages/bpy/*", "window/usr/share/blender")
    tool = "scripts/addons_core/bl_pkg/cli/blender_ext.py"
    return [path for place in places for path in sorted(ENVIRONMENTS.glob(f"{place}/{tool}"))]


def _run(command: list) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        words = " ".join(map(str, command))
        sys.exit(f"{words}\n{done.stdout.strip()}\n{done.stderr.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--blender", default="", help="a Blender whose tool is to be used")
    given = parser.parse_args()
    built = build(given.out, given.blender)
    print(f"{built} ({built.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
