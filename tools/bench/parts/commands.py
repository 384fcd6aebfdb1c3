"""Running `nvd` as a user would, in a process of its own, and what that took."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.parts.machine import ROOT


class Failed(Exception):
    """A command of `nvd` ended with an error."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended well."""

    result: dict  # its last JSON line
    events: list[dict]  # all of them, each with "at": seconds since the start of the process
    seconds: float  # from the start of the process to its end
    peak_mb: float | None  # most memory resident at once, mapped files too; None: not known


def nvd(*words: object) -> Finished:
    """Run `nvd words --json`; Failed where it ends with an error."""
    command = [sys.executable, "-m", "nvd_core", *map(str, words), "--json"]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    options = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
    events, peak = [], 0.0
    started = time.perf_counter()
    with subprocess.Popen(command, **options) as process:
        try:
            for line in process.stdout:
                peak = max(peak, resident_peak_mb(process.pid))
                event = json.loads(line)
                events.append(event | {"at": time.perf_counter() - started})
        except BaseException:  # a stop by the user too
            process.kill()
            raise
        process.wait()
    seconds = time.perf_counter() - started
    if process.returncode or not events or events[-1]["event"] != "result":
        said = events[-1].get("problem") if events else None
        raise Failed(f"nvd {words[0]}: {said or f'exit code {process.returncode}'}")
    return Finished(events[-1], events, seconds, peak or children_peak_mb())


def resident_peak_mb(process: int) -> float:
    """The process' own high-water mark so far; 0 where the system does not say, or it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def children_peak_mb() -> float | None:
    """The largest of all children so far, for systems without /proc; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
