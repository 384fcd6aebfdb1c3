"""What one of several processes does in a race for claims left behind; prints those it had.

    PYTHONPATH=. .envs/engine/bin/python tests/scripts/race_claims.py FOLDER COUNT BEGIN

At BEGIN (seconds since the epoch) and every 0.05 s after, all ask for FOLDER/claim<number>. Two
that had one at once would meet at FOLDER/inside<number>: FileExistsError.
"""

import importlib.util
import os
import sys
import time
import types
from pathlib import Path

# Plain Python, without bpy: the package without its __init__.py, which needs that
package = types.ModuleType("blender_addon")
package.__path__ = importlib.util.find_spec("blender_addon").submodule_search_locations
sys.modules["blender_addon"] = package

from blender_addon.jobs.claim import Claimed, claimed  # noqa: E402


def race(folder: Path, count: int, begin: float) -> None:
    for number in range(count):
        inside = folder / f"inside{number}"
        while time.time() < begin + number * 0.05:
            pass
        try:
            with claimed(folder / f"claim{number}", "x"):
                file = os.open(inside, os.O_CREAT | os.O_EXCL)
                time.sleep(0.01)
                os.close(file)
                os.unlink(inside)
                print(number)
        except Claimed:
            pass


if __name__ == "__main__":
    race(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
