"""Two states of the repository side by side, and running `nvd` from either."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.parts.commands import Failed
from bench.parts.machine import ROOT


@dataclass(frozen=True)
class Tree:
    """One state of the repository, run by the environment that runs this."""

    name: str  # "before" or "now"
    root: Path
    commit: str


@dataclass(frozen=True)
class Ran:
    """A command that has ended well."""

    lines: list[dict]  # what it printed, JSON; each with "at" and "cpu", seconds since its start
    seconds: float
    cpu: float  # seconds of all cores together

    @property
    def result(self) -> dict:
        """Its last line."""
        return self.lines[-1]


@contextmanager
def two_trees(revision: str) -> Iterator[tuple[Tree, Tree]]:
    """The state of `revision`, checked out in a temporary folder, and the one that stands here."""
    commit = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="nvd-before-") as place:
        root = Path(place) / "tree"
        _git("worktree", "add", "--detach", str(root), commit)
        try:
            changed = "+" if _git("status", "--porcelain", "--untracked-files=no") else ""
            here = _git("rev-parse", "--short", "HEAD") + changed
            yield Tree("before", root, commit), Tree("now", ROOT, here)
        finally:
            with suppress(Failed):
                _git("worktree", "remove", "--force", str(root))


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(f"git {words[0]}: {said[-1] if said else done.returncode}")
    return done.stdout.strip()


def nvd(tree: Tree, *words: object, threads: int = 1) -> Ran:
    """Run `nvd words --json` of a tree; Failed where it ends with an error."""
    more = ["--threads", str(threads), "--json"]
    return run(tree, [sys.executable, "-m", "nvd_core", *map(str, words), *more], threads)


def tool(tree: Tree, script: Path, *words: object, threads: int = 1) -> Ran:
    """Run a script that stands here with the engine of a tree."""
    return run(tree, [sys.executable, str(script), *map(str, words)], threads)


def run(tree: Tree, command: list[str], threads: int = 1) -> Ran:
    """Run a command that prints lines of JSON; Failed where it ends with an error."""
    environment = {**os.environ, "PYTHONPATH": str(tree.root), "OMP_NUM_THREADS": str(threads)}
    options = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
    options["cwd"] = tree.root  # which Python looks into before PYTHONPATH
    lines: list[dict] = []
    begun = time.perf_counter()
    process = subprocess.Popen(command, **options)
    try:
        for line in process.stdout:
            at, spent = time.perf_counter() - begun, cpu_of(process.pid)
            lines.append(json.loads(line) | {"at": at, "cpu": spent})
    except BaseException:  # a stop by the user too
        process.kill()
        process.wait()
        raise
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not lines:
        said = lines[-1].get("problem") if lines else None
        said = said or f"ended with {process.returncode}"
        raise Failed(f"{tree.name}: {' '.join(command[1:5])}: {said}")
    return Ran(lines, time.perf_counter() - begun, used.ru_utime + used.ru_stime)


def cpu_of(process: int) -> float:
    """Seconds that a running process has had of all cores; 0 where the system does not say."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
