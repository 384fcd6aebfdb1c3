"""How long it takes until SIGTERM or Ctrl-C is answered: real processes, in every stage.

    .envs/engine/bin/python tools/stops.py --frames 5000 --each 3 --seed 0

Decomposes a clip of 64 x 36 and stops it in every stage, at its beginning and at random moments;
then what is done with the result. Prints one line a stage. Exit code 1 where one took longer than
the limit.
"""

import argparse
import random
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from trials.clips import write_clip
from trials.process import STAGES, STARTING, Moment, Run, plain, run

LIMIT = 2.0
"""seconds"""
OK = {0, 130, -signal.SIGTERM, -signal.SIGINT}
"""what a process may end with that was asked to stop; by the signal itself before it began"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=200, help="of the training")
    parser.add_argument("--each", type=int, default=3, help="stops in each stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; it stays")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds")
    given = parser.parse_args()
    # A shell lets what it runs in the background ignore Ctrl-C, and so would those that we start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as temporary:
        trial = Stops(given.folder or Path(temporary), given)
        trial.all()
    return trial.report()


def is_before_us(result: Run) -> bool:
    """Whether Ctrl-C met Python itself, still reading its own modules.

    It then ends with 1 and its traceback, which no program can have a say in.
    """
    interrupted = result.output.rstrip().endswith("KeyboardInterrupt")
    return result.code == 1 and interrupted and "nvd_core" not in result.output


class Stops:
    """Stops every command in every stage, and notes how long that takes."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self.folder, self.given = folder, given
        self.draw = random.Random(given.seed)
        self.answers: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.silences: dict[str, float] = {}
        self.faults: list[str] = []
        if not (folder / "clip.mkv").exists():
            write_clip(folder, given.frames, given.steps)

    def all(self) -> None:
        folder, shot = self.folder, self.folder / "shot.nvd"
        begin = ["decompose", folder / "clip.mkv", "--out", shot, "--mask",
                 f"disc={folder / 'mask.mkv'}", "--settings", folder / "settings.yaml"]  # fmt: skip
        self.chain("decompose", begin, ["resume", shot], lambda: (shot / "job.json").exists())
        clip = folder / "again" / "%05d.png"
        self.alone("render", ["render", shot, "--out", clip, "--again"])
        self.alone("movie", ["render", shot, "--out", folder / "result.mp4", "--mode", "full"])
        self.alone("camera", ["camera", shot, "--out", folder / "camera.mp4", "--hold", 3])
        paint = ["paint", shot, "--frame", 1, "--image", folder / "paint.png"]
        self.alone("paint", [*paint, "--out", folder / "painted"])
        self.alone("evaluate", ["evaluate", shot])
        runs = ["reproduce", folder / "runs.yaml", "--out", folder / "runs"]
        self.chain("reproduce", runs, runs, lambda: True)

    def chain(self, name: str, begin: list, go_on: list, begun: Callable[[], bool]) -> None:
        """A command that goes on from where it was stopped: one stage after the other."""
        for stage in STAGES:
            for number in range(self.given.each):
                share = self.draw.random() if number else 0.0
                after = self.draw.uniform(0, 0.5) if number else 0.0
                words = go_on if begun() else begin
                if self.stop(name, words, Moment(stage, after, share)).code == 0:
                    return
        whole = run(go_on if begun() else begin)
        self.hear(name, whole)
        if whole.code:
            self.faults.append(f"{name}: exit code {whole.code}: {whole.output[-300:]}")

    def alone(self, name: str, words: list) -> None:
        """A command that is begun anew each time."""
        whole = run(words)
        self.hear(name, whole)
        if whole.code:
            self.faults.append(f"{name}: exit code {whole.code}: {whole.output[-300:]}")
            return
        for stage, seconds in whole.stages.items():
            for number in range(self.given.each):
                after = 0.0 if number == 0 else self.draw.uniform(0, seconds)
                self.stop(name, words, Moment(plain(stage), after))

    def stop(self, name: str, words: list, moment: Moment) -> Run:
        number = self.draw.choice([signal.SIGTERM, signal.SIGINT])
        result = run(words, moment, number)
        self.hear(name, result)
        if result.answered is not None:
            self.answers[name, plain(result.stage)].append(result.answered)
            print(f"{name} {result.stage}: {result.answered:.2f} s", file=sys.stderr, flush=True)
        if result.stage == STARTING and is_before_us(result):
            return result
        tells = "Traceback" in result.output and result.stage != STARTING
        if result.code not in OK or tells:
            self.faults.append(f"{name} {result.stage}: {result.code}: {result.output[-300:]}")
        return result

    def hear(self, name: str, result: Run) -> None:
        self.silences[name] = max(self.silences.get(name, 0), result.silence)

    def report(self) -> int:
        print("| command | stage | stops | median, s | longest, s |\n|---|---|---|---|---|")
        longest = 0.0
        for (name, stage), seconds in self.answers.items():
            middle = sorted(seconds)[len(seconds) // 2]
            longest = max(longest, *seconds)
            print(f"| {name} | {stage} | {len(seconds)} | {middle:.2f} | {max(seconds):.2f} |")
        count = sum(map(len, self.answers.values()))
        silent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.silences.items())
        print(f"\nlongest without an event: {silent}")
        print(f"{count} stops, the longest answer {longest:.2f} s; {len(self.faults)} faults")
        for fault in self.faults:
            print(fault)
        return int(bool(self.faults) or longest > self.given.limit)


if __name__ == "__main__":
    sys.exit(main())
