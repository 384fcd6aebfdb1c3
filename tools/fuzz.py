"""Damage files of every kind that the engine reads, and see that it says so in words.

    python tools/fuzz.py --seconds 60                 all kinds in turn, the same cases each time
    python tools/fuzz.py --kind maps --kind work --seed 7 --count 500
    python tools/fuzz.py --replay failures/maps-7-31/case.json

A case damages one file and has it read, in a process of its own that serves many. It is good where
the file is accepted, or refused by an NvdError. It is a failure where anything else is raised (an
escape), where a number that is not finite is taken in silence, where nothing comes back (a hang),
where the process dies, and where more than 2 GB are taken. A table by kind is printed; the exit
code is 1 where there was a failure, and each is kept in a folder of its own under --failures.
"""

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
SECONDS, SECONDS_OF_SLOW = 30.0, 240.0
"""without an answer: a hang"""
TURN = {True: 6, False: 30}
"""cases of a slow kind, and of others, before the next has its turn"""


@dataclass
class Count:
    """What became of the cases of one kind."""

    cases: int = 0
    refused: int = 0
    accepted: int = 0
    escapes: int = 0
    hangs: int = 0
    over: int = 0

    def add(self, outcome: str) -> None:
        """Count one more."""
        self.cases += 1
        name = {"escape": "escapes", "died": "escapes", "hang": "hangs"}.get(outcome, outcome)
        setattr(self, name, getattr(self, name) + 1)

    @property
    def failures(self) -> int:
        """Those that must not be."""
        return self.escapes + self.hangs + self.over


class Worker:
    """A process that reads damaged files in a copy of the base of its own."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        paths = [str(TOOLS), str(TOOLS.parent), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment.setdefault("OMP_NUM_THREADS", "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fuzz_parts.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._line(SECONDS_OF_SLOW)

    def run(self, case: dict, seconds: float) -> dict:
        """What became of a case; "hang" or "died" where the process is of no more use."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            print(json.dumps(case), file=self.process.stdin, flush=True)
        line = self._line(seconds)
        if line is None:
            self.process.kill()
            return case | {"outcome": "hang", "text": f"no answer in {seconds:.0f} s"}
        if not line:
            code = self.process.wait()
            return case | {"outcome": "died", "text": f"the process died, code {code}"}
        return json.loads(line)

    def _line(self, seconds: float) -> str | None:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        return self.process.stdout.readline()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Fuzz:
    """Runs cases, renews a worker that is lost, and keeps what failed."""

    def __init__(self, folder: Path, failures: Path, seconds: float = SECONDS) -> None:
        from fuzz_parts.base import make_base
        from fuzz_parts.readers import KINDS

        self.kinds, self.failures, self.seconds = KINDS, failures, seconds
        self.base, self._copy = folder / "base", folder / "copy"
        self.base.mkdir()
        make_base(self.base)
        self.counts: dict[str, Count] = {}
        self._worker: Worker | None = None

    def _ready(self) -> Worker:
        """A worker that has read every kind once, so that nothing is compiled or loaded later."""
        if self._worker is None:
            self._worker = Worker(self.base, self._copy)
            for name in self.kinds:
                case = {"kind": name, "seed": 0, "number": -1}
                answer = self._worker.run(case, SECONDS_OF_SLOW)
                if answer["outcome"] != "accepted":
                    raise SystemExit(f"whole files are not read: {answer}")
        return self._worker

    def case(self, case: dict) -> dict:
        """Run one case and count it."""
        slow = self.kinds[case["kind"]].slow
        answer = self._ready().run(case, SECONDS_OF_SLOW if slow else self.seconds)
        self.counts.setdefault(case["kind"], Count()).add(answer["outcome"])
        if answer["outcome"] not in ("accepted", "refused"):
            self._keep(answer)
        if answer["outcome"] in ("hang", "died"):
            self.close()
        return answer

    def _keep(self, answer: dict) -> None:
        kind, seed, number = answer["kind"], answer["seed"], answer["number"]
        place = self.failures / f"{kind}-{seed}-{number}"
        place.mkdir(parents=True, exist_ok=True)
        saved = answer.pop("saved", None)
        if saved:
            answer["file"] = str(shutil.copyfile(saved, place / Path(answer["target"]).name))
        (place / "case.json").write_text(json.dumps(answer, indent=2))
        print(f"{place}: {answer['outcome']}: {answer.get('how', '')}: {answer['text'][-300:]}")

    def close(self) -> None:
        """End the worker."""
        if self._worker:
            self._worker.close()
        self._worker = None


def table(counts: dict[str, Count]) -> str:
    """The counts by kind, and their sum."""
    total = Count()
    rows = [
        f"{'kind':12} {'cases':>7} {'refused':>8} {'accepted':>9} {'escapes':>8} {'hangs':>6} "
        "over 2 GB"
    ]
    for name, count in [*counts.items(), ("all", total)]:
        values = vars(count)
        if count is not total:
            for key, value in values.items():
                setattr(total, key, getattr(total, key) + value)
        numbers = [
            count.cases,
            count.refused,
            count.accepted,
            count.escapes,
            count.hangs,
            count.over,
        ]
        widths = (7, 8, 9, 8, 6, 9)
        cells = " ".join(
            f"{number:>{width}}" for number, width in zip(numbers, widths, strict=True)
        )
        rows.append(f"{name:12} {cells}")
    return "\n".join(rows)


def main() -> int:
    """Run as the command line says; 1 where something failed."""
    arguments = _parsed()
    sys.path[:0] = [str(TOOLS), str(TOOLS.parent)]
    failures = arguments.failures or Path(tempfile.gettempdir()) / "nvd-fuzz-failures"
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), failures, arguments.hang)
        try:
            if arguments.replay:
                case = json.loads(arguments.replay.read_text())
                print(json.dumps(fuzz.case(case), indent=2))
            else:
                _run_all(fuzz, arguments)
        finally:
            fuzz.close()
    print(table(fuzz.counts))
    return int(any(count.failures for count in fuzz.counts.values()))


def _run_all(fuzz: Fuzz, arguments: argparse.Namespace) -> None:
    names = arguments.kind or list(fuzz.kinds)
    unknown = set(names) - set(fuzz.kinds)
    if unknown:
        raise SystemExit(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(fuzz.kinds)}")
    fuzz._ready()
    started, done = time.monotonic(), dict.fromkeys(names, 0)
    while True:
        for name in names:
            for _ in range(TURN[fuzz.kinds[name].slow]):
                if arguments.count and done[name] >= arguments.count:
                    break
                if time.monotonic() - started > arguments.seconds:
                    return
                fuzz.case({"kind": name, "seed": arguments.seed, "number": done[name]})
                done[name] += 1
        if arguments.count and min(done.values()) >= arguments.count:
            return


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", action="append", help="of file; may be given again; default: all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="default: no end")
    parser.add_argument("--seed", type=int, default=0, help="other numbers make other cases")
    parser.add_argument("--count", type=int, help="cases of each kind at the most")
    parser.add_argument("--failures", type=Path, help="folder where failing cases are kept")
    parser.add_argument("--hang", type=float, default=SECONDS, help="seconds without an answer")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this case.json alone")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
