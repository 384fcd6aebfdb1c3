"""How much sooner two processes with one thread each are done than one: `nvd bake`, `nvd render`.

    .envs/engine/bin/python tools/bench/measure_workers.py --trained trained.nvd --painted shot.nvd

`--trained` is a folder in which `nvd decompose --until training` has ended, `--painted` a finished
one whose edits are painted; both are copied. One process does all frames; then two do half of them
each, at the same time. Each run counts whole, from the start of Python to its end, after one that
is not counted. *by the processor* compares the seconds that the one process needed of a core with
those of the slower of the two: what two free cores would show. *by the clock* is what was seen, and
says something only where nothing else runs and each worker keeps to a core of its own (Linux): what
reads ahead and writes has threads beside the one that is asked for, and a lone worker would have
both cores for them. `--turns` repeats both, and takes the least of each.
`--json` prints one line, which `bench.py --before` reads.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nvd_core.begun import JOB


@dataclass(frozen=True)
class Spent:
    """What one process took, seconds."""

    clock: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", type=Path)
    parser.add_argument("--painted", type=Path)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--quality", default="fine", help="of the rendering")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {}
    if arguments.trained:
        found["bake"] = compared(baking, arguments.trained, arguments)
    if arguments.painted:
        found["render"] = compared(rendering, arguments.painted, arguments)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, one in found.items():
        print(
            f"nvd {name}, {one['frames']} frames: two workers are {one['by the processor']:.2f} "
            f"times as fast by the processor, {one['by the clock']:.2f} by the clock (load "
            f"{one['load']:.1f}); one {one['one']}, two {one['two']}, nothing to do {one['start']}"
        )


def compared(task: Callable, source: Path, arguments: argparse.Namespace) -> dict:
    """Ratios and seconds of one command on the frames of `source`."""
    frames = frames_of(source)
    half = frames // 2
    parts = [(0, half - 1), (half, frames - 1)]
    ones: list[list[Spent]] = []
    twos: list[list[Spent]] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=source.parent) as place:
        task(source, Path(place), [(0, 0)], arguments.quality)  # compiles and reads what is needed
        start = task(source, Path(place), [(0, 0)], arguments.quality)[0]
        for _ in range(arguments.turns):
            ones.append(task(source, Path(place), [(0, frames - 1)], arguments.quality))
            twos.append(task(source, Path(place), parts, arguments.quality))
    one = Spent(min(r[0].clock for r in ones), min(r[0].cpu for r in ones))
    slower = Spent(
        min(max(w.clock for w in r) for r in twos), min(max(w.cpu for w in r) for r in twos)
    )
    return {
        "frames": frames,
        "by the processor": round(one.cpu / slower.cpu, 3),
        "by the clock": round(one.clock / slower.clock, 3),
        "one": rounded(one),
        "two": rounded(slower),
        "start": rounded(start),
        "load": load,
    }


def rounded(spent: Spent) -> dict:
    """For people and for JSON."""
    return {"cpu s": round(spent.cpu, 2), "s": round(spent.clock, 2)}


def frames_of(folder: Path) -> int:
    """How many frames a folder has."""
    return json.loads((folder / JOB).read_text("utf-8"))["clip"]["frames"]


def baking(source: Path, place: Path, parts: list[tuple[int, int]], _: str) -> list[Spent]:
    """`nvd bake` of some frames by a process each, in a copy that none of them is baked in."""
    folder = place / "bake.nvd"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, copy_function=os.link)  # nothing is written in place
    shutil.rmtree(folder / "maps", ignore_errors=True)
    for path in (folder / "work/bake").glob("0*"):
        path.unlink()
    return at_once([["bake", str(folder), "--frames", f"{a}-{b}"] for a, b in parts])


def rendering(source: Path, place: Path, parts: list[tuple[int, int]], quality: str) -> list[Spent]:
    """`nvd render` of some frames by a process each, to images that are not there yet."""
    out = place / "rendered"
    shutil.rmtree(out, ignore_errors=True)
    words = ["render", str(source), "--out", str(out / "%05d.png"), "--quality", quality]
    return at_once([[*words, "--frames", f"{a}-{b}"] for a, b in parts])


def at_once(commands: list[list[str]]) -> list[Spent]:
    """Run `nvd` with each of these words at the same time, one thread each."""
    begun = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "nvd_core"]
    options = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    processes = {}
    for core, words in enumerate(commands):
        pinned = [*on_core(core), *start, *words, "--threads", "1", "--json"]
        process = subprocess.Popen(pinned, **options)
        processes[process.pid] = process
    spent = []
    try:
        while processes:
            number, status, used = os.wait4(-1, 0)
            process = processes.pop(number)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{shlex.join(process.args)} ended with {process.returncode}")
            spent.append(Spent(time.perf_counter() - begun, used.ru_utime + used.ru_stime))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return spent


def on_core(number: int) -> list[str]:
    """Words before a command that keep it to one of our cores, where the system has them."""
    if not shutil.which("taskset"):
        return []
    ours = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(ours[number % len(ours)])]


if __name__ == "__main__":
    main()
