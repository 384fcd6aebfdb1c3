"""A real process of `nvd --json`, of which the stage is known, and which is ended at a moment."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

STARTING = "starting"
"""the stage before the first that the program names"""
STAGES = (
    STARTING, "frames", "flow", "masks", "what moves", "moving objects", "motion", "pre-training",
    "training", "survey", "maps", "textures", "fit", "evaluate", "report",
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
    """Run `nvd words` in a process of its own; at the `moment` it is sent the signal `number`."""
    command = [sys.executable, "-m", "nvd_core", *map(str, words), "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    listening = _Listening(process.stdout, moment)
    listening.start()
    stage, sent = listening.wait(process.send_signal, number)
    errors = process.stderr.read()
    return listening.result(process.wait(), stage, sent, errors)


class Fork:
    """Runs `nvd` in processes that are forked from one that has imported all: in half a second."""

    def __init__(self) -> None:
        os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        os.environ["NUMBA_THREADING_LAYER"] = "workqueue"  # which knows of forks
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(
            ["nvd_core.cli.main", "nvd_core.pipeline", "nvd_core.editing.camera",
             "nvd_core.editing.kernel_numba", "nvd_core.editing.paint_frame"]
        )  # fmt: skip

    def run(self, words: list, moment: Moment | None = None, number: int = signal.SIGKILL) -> Run:
        """As `run`; what it prints on stderr goes to this process's."""
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(target=_child, args=([*map(str, words), "--json"], sender))
        process.start()
        sender.close()
        listening = _Listening(os.fdopen(os.dup(receiver.fileno()), encoding="utf-8"), moment)
        receiver.close()
        listening.start()
        stage, sent = listening.wait(lambda number: os.kill(process.pid, number), number)
        process.join()
        return listening.result(process.exitcode, stage, sent, "")


def _child(words: list[str], sender) -> None:
    from nvd_core.cli.main import main

    os.dup2(sender.fileno(), 1)
    sender.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until its end
    sys.exit(main(words))


class _Listening(threading.Thread):
    """Reads the events of a process; `due` is set when the moment has come, or it has ended."""

    def __init__(self, stream: TextIO, moment: Moment | None) -> None:
        super().__init__(daemon=True)
        self.stream, self.moment = stream, moment
        self.stage = STARTING
        self.stages: dict = {}
        self.last: dict = {}
        self.silence = 0.0
        self.due = threading.Event()
        self._begun = False

    def run(self) -> None:
        heard = began = time.monotonic()
        self._look(0, 1)
        for line in self.stream:
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

    def wait(self, send: Callable[[int], object], number: int) -> tuple[str, float | None]:
        """Send the signal at the moment; the stage then, and when, or None where it had ended."""
        if self.moment is None or not self.due.wait(1800) or not self.is_alive():
            return self.stage, None
        stage = self.stage
        send(number)
        return stage, time.monotonic()

    def result(self, code: int, stage: str, sent: float | None, errors: str) -> Run:
        """What became of the process, which has just ended."""
        ended = time.monotonic()
        self.join()
        stage = stage if sent else self.stage
        answered = ended - sent if sent else None
        return Run(code, stage, answered, self.stages, self.silence, self.last, errors)

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
    """Files that hold something else in two folders; those of only one are not among them."""
    found = []
    for path in sorted(one.rglob("*")):
        twin = other / path.relative_to(one)
        if path.is_dir() or not twin.is_file() or path.name in _OF_THE_RUN:
            continue
        if path.name.endswith("rendered.json"):  # times
            continue
        if path.read_bytes() != twin.read_bytes() and not _hold_the_same(path, twin, one):
            found.append(str(path.relative_to(one)))
    return found


_OF_THE_RUN = (".nvd.lock", "job.json", "preview.png")


def _hold_the_same(path: Path, twin: Path, folder: Path) -> bool:
    """Whether files of other bytes differ only in dates, and in the order of what they hold."""
    import numpy as np
    from safetensors.numpy import load_file

    from nvd_core.media.clip import open_clip
    from nvd_core.media.images import read_image
    from nvd_core.shot.maps import read_maps

    if path.suffix == ".npz":
        a, b = ({k: v for k, v in np.load(p).items() if k != "checksums"} for p in (path, twin))
    elif path.suffix == ".safetensors":
        a, b = load_file(path), load_file(twin)
    elif path.suffix == ".exr" and path.parent.name == "maps":
        layers = sorted(p.stem for p in (folder / "textures").iterdir())
        a, b = (vars(read_maps(p, layers)) for p in (path, twin))
    elif path.suffix in (".exr", ".png"):
        a, b = ({"pixels": read_image(p)} for p in (path, twin))
    elif path.suffix == ".mkv":
        a, b = ({"frames": np.stack(list(open_clip(p)))} for p in (path, twin))
    else:
        return False
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def names(folder: Path) -> set[str]:
    """All files and folders in a folder, by their paths."""
    return (
        {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()
    )
