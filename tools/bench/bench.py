"""Measure how fast this is, on this machine: one table, and one JSON file with every figure.

    python3 tools/bench/bench.py --quick                   a few minutes, small sizes
    python3 tools/bench/bench.py                           about 20 minutes on two cores
    python3 tools/bench/bench.py --only quality --iterations 700 1000 1500 --levels 27.5
    python3 tools/bench/bench.py --clip shot.mp4 --mask actor=roto/%04d.png --height 432 --cuda
    python3 tools/bench/bench.py --before main~20          this state beside an earlier one

Makes the engine's environment under .envs/ where it is not made yet, and runs in it. Without
--clip it takes the clip bear, where that stands in shared/clips/ in or beside the repository, else
the sample clip. docs/develop/measuring.md says what each part measures.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from environments import ROOT, Failed, all_environments, ensure

ROWS = (
    "baking", "decompose", "until-trained", "first-paintable", "edit", "render-fine",
    "render-draft", "disk", "workers-bake", "workers-render",
)  # fmt: skip
PARTS = ("quality", "presets", "iteration", "render", "storage")


def main() -> int:
    arguments = parsed()
    engine = next(made for made in all_environments() if made.name == "engine")
    if Path(sys.prefix).resolve() != engine.folder.resolve():
        ensure(engine)
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [str(engine.python), __file__, *sys.argv[1:]]
        if os.name == "posix":  # the same process goes on, so a signal reaches what it is meant for
            os.execve(command[0], command, environment)
        return subprocess.run(command, env=environment).returncode
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # `nvd render` and `nvd evaluate` choose themselves
    if arguments.before:
        from bench.before.run import run
    else:
        from bench.parts.run import run  # needs the environment

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was begun is cleared away
    return run(arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes, a few minutes")
    device = parser.add_mutually_exclusive_group()
    for name in ("cpu", "cuda"):
        device.add_argument(f"--{name}", dest="device", action="store_const", const=name)
    add("--clip", help="movie, folder or pattern")
    add("--mask", action="append", default=[], metavar="NAME=PATH", help="as for nvd decompose")
    add("--height", type=int, help="working height in pixels")
    add("--settings", type=Path, help="YAML file: changes to the preset fast")
    add("--iterations", type=int, nargs="+", metavar="N", help="schedules to try; 0 = automatic")
    add("--levels", type=float, nargs="+", default=[27.5, 29.5], metavar="DB", help="27.5 29.5")
    add("--seconds", type=float, help="of training, each preset, in the part presets")
    add("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    add("--before", metavar="REV", help="measure this state and that of REV, in turns")
    add("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help=", ".join(ROWS))
    add("--turns", type=int, default=2, metavar="N", help="with --before: how often each; 2")
    add("--lines", type=int, help="with --before: of the large clip; 1080")
    add("--frames", type=int, metavar="N", help="with --before: of the large clip, at most; 24")
    add("--threads", type=int, default=1, metavar="N", help="with --before: of each command; 1")
    add("--out", type=Path, default=Path("bench.json"), metavar="FILE.json")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"bench: {error}")
