"""Undo, tried hard: hundreds of random steps in a Blender with a window, and back and forth.

    python3 tools/undo_trial.py SHOT --steps 500 --seed 1
    python3 tools/undo_trial.py SHOT --order stroke restore stroke save_paint undo undo undo

SHOT is a decomposition folder; copies of it are worked on. The steps are strokes on layers, Restore
Learned and Bring Back Paint, painting on a frame and To Layers, shots opened, removed and
duplicated, and undo and redo between them. After every undo and redo the shots and the pixels of
all edits have to be what they were at that step. At the end everything is undone, and redone, and
saved, and the files have to hold what Blender showed. With --order the steps are the named ones, on
the first layer, or on another: stroke@1.0 is one on the second shot's first layer. Each is printed
with the edits it leaves (--trace prints them for random steps too): the number of a picture, in the
order of their first showing, whether the image is dirty (d) and packed (p), and which image it is.
The last line is JSON; the exit code is 1 where a state was not the right one, a step failed, or
Blender ended before.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from build_extension import build
from environments import ROOT, Failed, all_environments, ensure
from tour import window


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], help="kinds of steps to leave out")
    parser.add_argument("--order", nargs="*", default=[], help="these steps, on the first layer")
    parser.add_argument("--trace", action="store_true", help="print what each step leaves")
    parser.add_argument("--limit", type=float, default=3600, help="seconds")
    given = parser.parse_args()
    engine = next(made for made in all_environments() if made.name == "engine")
    ensure(engine)
    window.ensure()
    with tempfile.TemporaryDirectory(prefix="nvd-undo-") as folder:
        work = Path(folder)
        build(work)
        for name in ("one", "two"):
            shutil.copytree(given.shot, work / f"{name}.nvd")
        words = ["--factory-startup", "--window-geometry", 0, 0, 1280, 720]
        words += ["--python-exit-code", 3, "--python", ROOT / "tools" / "tour" / "undo_steps.py"]
        options = {name: getattr(given, name) for name in ("steps", "seed", "without", "order")}
        options["trace"] = given.trace or bool(given.order)
        process = window.start_blender(
            [*words, "--", work, json.dumps(options)],
            work,
            engine.python,
            before=["xvfb-run", "-a", "-s", "-screen 0 1280x720x24"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = follow(process, given.limit)
    said = [line.removeprefix("UNDO ") for line in output if line.startswith("UNDO ")]
    if not said:
        print("\n".join(output[-80:]))
        print(f"Blender ended with {process.returncode} before it was done")
        return 1
    print(said[-1])
    return int(bool(json.loads(said[-1])["faults"]))


def follow(process: subprocess.Popen, limit: float) -> list[str]:
    """The lines that Blender writes until it ends, or `limit` seconds have gone; what is told of
    steps is printed as it comes. Blender is in a session of its own: it ends with this program.
    """
    timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Traceback" in line or line.startswith(("step ", "TRACE ")):
                print(lines[-1], flush=True)
        process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return lines


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"undo_trial: {error}")
