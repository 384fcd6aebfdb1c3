"""Decompose, import and render from the command line, without a window.

    blender -b shot.blend --python blender_addon/batch.py -- decompose CLIP --out SHOT.nvd
    blender -b --python blender_addon/batch.py -- all CLIP --out SHOT.nvd \\
        --edit dog=painted.png --movie result.mp4
    .envs/bpy-4.5/bin/python blender_addon/batch.py -- render SHOT.nvd --out result.mp4

Add --help after a command for its options, --json for one JSON object a line. Exit code 0 done,
2 bad input, 130 cancelled. With the extension installed, `blender --command nvd ...` is the same.
"""

import importlib
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    package = Path(__file__).resolve().parent
    sys.path.insert(0, str(package.parent))
    # Blender as a module needs to be there before the package that builds on it
    importlib.import_module("bpy")
    headless = importlib.import_module(f"{package.name}.headless")
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    code = headless.main(words)
    bpy = sys.modules["bpy"]
    if bpy.app.version < (4, 5, 0) and not bpy.app.binary_path:
        # 4.2 as a module crashes when Python takes itself apart after a property was registered
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
