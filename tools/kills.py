"""Kills real processes of `nvd` at random moments and sees what that costs: nothing, it should be.

    .envs/engine/bin/python tools/kills.py --kills 500 --seed 0

Chains of `decompose` and `resume` are killed (SIGKILL) up to five times each, in every stage; so
are `render`, a movie, `camera` and `paint`. Then the command is run again. It counts what was lost
(what differs from the result of an uninterrupted run), what was left over (files that an
uninterrupted run does not leave), and paintings that show on some of their layers only. Prints a
table. Exit code 1 where anything was.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from trials.clips import write_clip
from trials.process import Fork, Moment, Run, differing, names, plain, random_moment

STEPS = 150
"""of the training: until both layers are where they belong"""
LONGEST_CHAIN = 5
COMMANDS = ("decompose", "render", "movie", "camera", "paint")
MEASURES = ("kills", "lost", "left over", "half painted")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where to work; it stays")
    parser.add_argument("--only", choices=COMMANDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        trial = Kills(given.folder or Path(temporary), given.seed, given.frames)
        while trial.count < given.kills:
            command = given.only or trial.draw.choices(COMMANDS, (4, 2, 1, 1, 3))[0]
            getattr(trial, command)()
            print(f"{trial.count} kills, {len(trial.faults)} faults", file=sys.stderr, flush=True)
    return trial.report()


class Kills:
    """A clip, what uninterrupted runs make of it, and what the killed ones lost."""

    def __init__(self, folder: Path, seed: int, frames: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self.fork = Fork()
        self.found: dict[tuple[str, str], Counter] = {}
        self.faults: list[str] = []
        self.count = 0
        self.stages: dict[str, dict[str, float]] = {}
        write_clip(folder, frames, steps=STEPS)
        self.whole, self.fresh = folder / "whole", folder / "fresh.nvd"
        for name in ("decompose", "decompose", "paint", "render", "movie", "camera"):
            if name == "decompose":  # once to compile, and once to see how long it takes
                shutil.rmtree(self.whole, ignore_errors=True)
            done = self.fork.run(self.words(name, self.whole))
            if done.code:
                raise SystemExit(f"{name}: exit code {done.code}: {done.last}")
            self.stages[name] = done.stages
            if name == "decompose":
                shutil.rmtree(self.fresh, ignore_errors=True)
                shutil.copytree(self.whole / "shot.nvd", self.fresh)
        old, new = (place / "edits" for place in (self.fresh, self.whole / "shot.nvd"))
        self.painted = [name for name in sorted(names(old)) if not same(old / name, new / name)]
        if len(self.painted) < 2:
            raise SystemExit(f"the paint reaches {self.painted} only")

    def words(self, name: str, place: Path) -> list:
        """The command line, of which the result is below `place`."""
        clip, shot = self.folder, place / "shot.nvd"
        return {
            "decompose": ["decompose", clip / "clip.mkv", "--out", shot, "--mask",
                          f"disc={clip / 'mask.mkv'}", "--settings", clip / "settings.yaml"],
            "resume": ["resume", shot],
            "render": ["render", shot, "--out", place / "images" / "%05d.png", "--mode", "full"],
            "movie": ["render", shot, "--out", place / "movies" / "result.mkv", "--mode", "full"],
            "camera": ["camera", shot, "--out", place / "camera" / "%05d.png", "--hold", 2],
            "paint": ["paint", shot, "--frame", 1, "--image", clip / "paint.png"],
        }[name]  # fmt: skip

    def kill(self, name: str, words: list) -> Run:
        """Run `words` and kill it at a moment of the stages of the command `name`."""
        moment = random_moment(self.stages[name], self.draw)
        if name == "paint" and self.draw.random() < 0.7:  # about the renames, which are quick
            moment = Moment("paint", self.draw.uniform(0, 0.06), 1.0)
        result = self.fork.run(words, moment)
        if result.code == -signal.SIGKILL:
            self.count += 1
            self.note(name, result, "kills")
        elif result.code:
            self.fault(name, result, "lost", f"exit code {result.code}: {result.last}")
        return result

    def note(self, name: str, result: Run, what: str) -> None:
        self.found.setdefault((name, plain(result.stage)), Counter())[what] += 1

    def fault(self, name: str, result: Run, what: str, text: str) -> None:
        self.note(name, result, what)
        self.faults.append(f"{name} killed in {result.stage}, {what}: {text}")
        print(self.faults[-1], file=sys.stderr, flush=True)

    def again(self, name: str, words: list, killed: Run, parts: tuple[str, ...]) -> None:
        """Run it once more, uninterrupted, and compare `parts` of its place with the whole."""
        done = self.fork.run(words)
        if done.code:
            self.fault(name, killed, "lost", f"then exit code {done.code}: {done.last}")
            return
        for part in parts:
            one, other = self.whole / part, self.folder / "killed" / part
            if name == "decompose":
                one = self.fresh
            if wrong := differing(one, other):
                self.fault(name, killed, "lost", ", ".join(wrong[:5]))
            if missing := names(one) - names(other):
                self.fault(name, killed, "lost", f"missing: {', '.join(sorted(missing)[:5])}")
            if more := names(other) - names(one):
                self.fault(name, killed, "left over", ", ".join(sorted(more)[:5]))

    def place(self, with_shot: Path | None) -> Path:
        """An empty place, or one with a decomposition in it."""
        place = self.folder / "killed"
        shutil.rmtree(place, ignore_errors=True)
        if with_shot:
            shutil.copytree(with_shot, place / "shot.nvd")
        return place

    def decompose(self) -> None:
        place = self.place(None)
        killed = None
        for _ in range(self.draw.randint(1, LONGEST_CHAIN)):
            result = self.kill("decompose", self.next_words(place))
            if result.code != -signal.SIGKILL:
                break
            killed = result
        if killed is None:
            return
        self.again("decompose", self.next_words(place), killed, ("shot.nvd",))

    def next_words(self, place: Path) -> list:
        shot = place / "shot.nvd"
        unfinished = (shot / "job.json").exists() and not (shot / "manifest.json").exists()
        resumes = unfinished and self.draw.random() < 0.7
        return self.words("resume" if resumes else "decompose", place)

    def render(self) -> None:
        self.output("render", "images")

    def movie(self) -> None:
        self.output("movie", "movies")

    def camera(self) -> None:
        self.output("camera", "camera")

    def output(self, name: str, part: str) -> None:
        place = self.place(self.whole / "shot.nvd")
        if self.draw.random() < 0.5:  # over one that stands there
            shutil.copytree(self.whole / part, place / part)
        words = self.words(name, place)
        if name == "render":
            words = [*words, "--again"]
        for _ in range(self.draw.randint(1, 3)):
            result = self.kill(name, words)
            if result.code != -signal.SIGKILL:
                return
        self.again(name, words, result, (part, "shot.nvd"))

    def paint(self) -> None:
        from nvd_core.shot.shot import Shot

        place = self.place(self.fresh)
        shot = place / "shot.nvd"
        result = self.kill("paint", self.words("paint", place))
        if result.code != -signal.SIGKILL:
            return
        Shot.open(shot)  # what every reader does
        edits = [folder / "edits" for folder in (shot, self.fresh, self.whole / "shot.nvd")]
        states = []
        for name in self.painted:
            now, old, new = (folder / name for folder in edits)
            states.append("new" if same(now, new) else "old" if same(now, old) else "damaged")
        if "damaged" in states:
            self.fault("paint", result, "lost", f"edits are {states}")
        elif len(set(states)) > 1:
            self.fault("paint", result, "half painted", f"edits are {states}")
        elif states[0] == "new":  # once more would paint over it: another writer clears away
            done = self.fork.run(["evaluate", shot])
            shutil.rmtree(shot / "report", ignore_errors=True)
            if done.code or names(shot) != names(self.whole / "shot.nvd"):
                more = sorted(names(shot) ^ names(self.whole / "shot.nvd"))
                self.fault("paint", result, "left over", f"{done.last} {more[:5]}")
            return
        self.again("paint", self.words("paint", place), result, ("shot.nvd",))

    def report(self) -> int:
        print(f"| command | killed in | {' | '.join(MEASURES)} |\n|---|---|---|---|---|---|")
        for (name, stage), counts in sorted(self.found.items()):
            print(f"| {name} | {stage} | {' | '.join(str(counts[what]) for what in MEASURES)} |")
        total = sum(self.found.values(), Counter())
        print("\n" + ", ".join(f"{total[what]} {what}" for what in MEASURES))
        for fault in self.faults:
            print(fault)
        return int(bool(self.faults))


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
