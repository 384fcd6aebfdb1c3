"""A real process of `nvd --json`, of which the stage is known, and which is ended at a moment."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

STARTING = "starting"
"""the stage before the first that the program names"""
STAGES = (
    STARTING, "frames", "flow", "masks", "moving object", "motion", "pre-training", "training",
    "survey", "maps", "textures", "fit", "evaluate", "report",
)  # fmt: skip
"""those of `nvd decompose` and `nvd reproduce`, in order"""


@dataclass
class Moment:
    """When a process is to be ended: seconds after it has told of `stage`, or of a later."""

    stage: str
    seconds: float
    share: float = 0.0
    """of the stage's steps that are to be done before the seconds count"""


@dataclass
class Run:
    """What became of one process."""

    code: int
    stage: str = STARTING
    """where it was when it was ended, or ended"""
    answered: float | None = None
    """seconds from the signal to its end; None where it ended before"""
    stages: dict[str, float] = field(default_factory=dict)
    """seconds of every stage that it told of"""
    silence: float = 0.0
    """the longest time without an event"""
    last: dict = field(default_factory=dict)
    output: str = ""


def run(
    words: list, moment: Moment | None = None, number: int = signal.SIGTERM, threads: int = 1
) -> Run:
    """Run `nvd words`; at the `moment` it is sent the signal `number`."""
    command = [sys.executable, "-m", "nvd_core", *map(str, words), "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    listening = _Listening(process, moment)
    listening.start()
    sent = None
    if moment and listening.due.wait(900) and process.poll() is None:
        stage = listening.stage
        sent = time.monotonic()
        process.send_signal(number)
    errors = process.stderr.read()
    code = process.wait()
    ended = time.monotonic()
    listening.join()
    result = Run(code, listening.stage, output=errors, last=listening.last)
    if sent is not None:
        result.stage, result.answered = stage, ended - sent
    result.stages, result.silence = listening.stages, listening.silence
    return result


class _Listening(threading.Thread):
    """Reads the events of a process; `due` is set when the moment has come, or it has ended."""

    def __init__(self, process: subprocess.Popen, moment: Moment | None) -> None:
        super().__init__(daemon=True)
        self.process, self.moment = process, moment
        self.stage, self.stages, self.last = STARTING, {}, {}
        self.silence = 0.0
        self.due = threading.Event()
        self._begun = False

    def run(self) -> None:
        heard = began = time.monotonic()
        self._look(0, 1)
        for line in self.process.stdout:
            now = time.monotonic()
            self.silence, heard = max(self.silence, now - heard), now
            try:
                self.last = event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") != "progress":
                continue
            if event["stage"] != self.stage:
                self.stages[self.stage] = now - began
                self.stage, began = event["stage"], now
            self._look(event["done"], event["total"])
        self.stages[self.stage] = time.monotonic() - began
        self.due.set()

    def _look(self, done: int, total: int) -> None:
        moment = self.moment
        if moment is None or self._begun:
            return
        stage = plain(self.stage)
        passed = stage in STAGES and moment.stage in STAGES[: STAGES.index(stage)]
        if passed or (stage == moment.stage and done >= moment.share * total):
            self._begun = True
            threading.Timer(moment.seconds, self.due.set).start()


def plain(stage: str) -> str:
    """A stage without the run that `nvd reproduce` names before it."""
    return stage.split(": ")[-1]


def random_moment(stages: dict[str, float], draw: random.Random) -> Moment:
    """A random moment of a process whose stages take so long."""
    stage = draw.choice(list(stages))
    return Moment(plain(stage), draw.uniform(0, stages[stage]))


def differing(one: Path, other: Path) -> list[str]:
    """Files of which the content differs in two folders; those of only one are not among them."""
    import numpy as np

    from nvd_core.media.images import read_image
    from nvd_core.shot.maps import read_maps

    found = []
    for path in sorted(one.rglob("*")):
        twin = other / path.relative_to(one)
        if path.is_dir() or not twin.is_file() or path.name in (".nvd.lock", "job.json"):
            continue
        if path.read_bytes() == twin.read_bytes():
            continue
        if path.suffix == ".npz":  # holds the time at which it was written
            with np.load(path) as a, np.load(twin) as b:
                same = a.files == b.files and all(np.array_equal(a[n], b[n]) for n in a.files)
        elif path.suffix == ".exr" and path.parent.name == "maps":
            names = sorted(p.stem for p in (one / "textures").iterdir())
            a, b = (read_maps(p, names) for p in (path, twin))
            same = np.array_equal(a.uva, b.uva) and np.array_equal(a.residual, b.residual)
        elif path.suffix in (".exr", ".png"):
            same = np.array_equal(read_image(path), read_image(twin))
        else:
            same = path.name.endswith("rendered.json") or path.name in ("report.json",)
        if not same:
            found.append(str(path.relative_to(one)))
    return found


def names(folder: Path) -> set[str]:
    """All files and folders in a folder, by their paths."""
    return (
        {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()
    )
