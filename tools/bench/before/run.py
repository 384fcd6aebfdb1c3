"""Both states in turns, row by row, and the table of what they took."""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

from bench.before.rows import ROWS, Bench, Plan, Taken, warm_up
from bench.before.trees import two_trees
from bench.parts import machine
from bench.parts.commands import Failed
from bench.parts.figures import shown
from bench.parts.subject import BEARS, SAMPLE
from nvd_core.runtime.documents import read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import without_nan, write_json
from nvd_core.settings import load_settings

FULL = dict(
    lines=1080, frames=24, steps=0, small_lines=432, small_frames=82, small_steps=600,
    scene_steps=0, baked=3, rendered=24,
)  # fmt: skip
QUICK = dict(
    lines=216, frames=8, steps=60, small_lines=108, small_frames=8, small_steps=60,
    scene_steps=60, baked=2, rendered=6,
)  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write it as JSON; returns the exit code."""
    try:
        plan = planned(arguments)
        with two_trees(arguments.before) as (before, now), tempfile.TemporaryDirectory() as place:
            bench = Bench(plan, before, now, Path(place))
            found = {
                "schema": "nvd.bench.before",
                "before": before.commit,
                "now": now.commit,
                "machine": machine.hardware(),
                "plan": dataclasses.asdict(plan),
                "turns": arguments.turns,
                "rows": {},
            }
            print(headline(found), flush=True)
            for tree in (before, now):
                progress(f"compiling: {tree.name}")
                warm_up(bench, tree)
            for name in arguments.rows:
                found["rows"][name] = row = in_turns(bench, name, arguments.turns)
                print(lines_of(name, row), flush=True)
                write_json(arguments.out, without_nan(jsonable(found)))
    except (NvdError, Failed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(f"\nevery figure in {arguments.out}")
    return 1 if any(one["failed"] for one in found["rows"].values()) else 0


def planned(arguments: argparse.Namespace) -> Plan:
    """The plan, as the options say; NvdError where it cannot be."""
    sizes = dict(QUICK if arguments.quick else FULL)
    clip = next((bear for bear in BEARS if bear.is_dir()), SAMPLE)
    frames, masks = clip / "frames", clip / "masks"
    if arguments.clip:
        frames = Path(arguments.clip)
        named = [Path(mask.partition("=")[2]) for mask in arguments.mask]
        if not frames.is_dir() or len(named) != 1 or not named[0].is_dir():
            raise NvdError(
                "--before takes a folder of frames and one of masks",
                remedy="give --clip FRAMES --mask NAME=MASKS, both folders of images",
            )
        masks = named[0]
    if arguments.height:
        sizes["small_lines"] = arguments.height
    if arguments.lines:
        sizes["lines"] = arguments.lines
    if arguments.frames:
        sizes["frames"] = sizes["rendered"] = arguments.frames
        sizes["small_frames"] = min(sizes["small_frames"], arguments.frames)
    if arguments.iterations:
        sizes["steps"] = sizes["small_steps"] = sizes["scene_steps"] = arguments.iterations[0]
    sizes["rendered"] = min(sizes["rendered"], sizes["frames"])
    if sizes["rendered"] < 3:
        raise NvdError("a movie of fewer than 3 frames tells nothing", remedy="more --frames")
    changes = {}
    if arguments.settings:
        load_settings(arguments.settings)  # says what is wrong with it
        changes = read_yaml(arguments.settings) or {}
    given = dict(settings=changes, threads=arguments.threads)
    return Plan(frames.absolute(), masks.absolute(), **sizes, **given)


def in_turns(bench: Bench, name: str, turns: int) -> dict:
    """What a row took of both: before, now, before, now ...; the best of each."""
    taken: dict[str, list[Taken]] = {bench.before.name: [], bench.now.name: []}
    failed = ""
    for turn in range(turns):
        for tree in (bench.before, bench.now):
            progress(f"{name}: {tree.name}, {turn + 1} of {turns}")
            try:
                taken[tree.name].append(ROWS[name](bench, tree))
            except Exception as error:  # the other rows are measured all the same
                failed = f"{tree.name}: {error}"
    best = {tree: best_of(of) for tree, of in taken.items() if of}
    return {"best": best, "all": taken, "failed": failed, "ratio": ratio(best)}


def best_of(taken: list[Taken]) -> Taken:
    """The least of the times, or the most of what is better so; the quality of the last."""
    choose = max if taken[0].more_is_better else min
    clocks = [one.clock for one in taken if one.clock is not None]
    value = choose(one.value for one in taken)
    return dataclasses.replace(taken[-1], value=value, clock=min(clocks) if clocks else None)


def ratio(best: dict[str, Taken]) -> float | None:
    """How many times as good it is now as before; None where one is not known."""
    if len(best) < 2:
        return None
    before, now = best["before"], best["now"]
    up, down = (now, before) if now.more_is_better else (before, now)
    return up.value / down.value if down.value else None


def lines_of(name: str, row: dict) -> str:
    """A row for people: what is compared, how many times as good, and beneath it the quality."""
    best, known = row["best"], row["ratio"]
    one = next(iter(best.values()), None)
    values = {tree: shown(best[tree].value) if tree in best else "-" for tree in ("before", "now")}
    times = "" if known is None else f"{known:.2f} times"
    unit = one.unit if one else ""
    lines = [f"{name:<16} {values['before']:>10} {values['now']:>10} {unit:<3} {times:>12}"]
    rest = dict.fromkeys(key for of in best.values() for key in of.quality)
    if any(of.clock is not None for of in best.values()):
        rest = {"by the clock": None} | rest
    for key in rest:
        found = [
            "-" if tree not in best else
            shown(best[tree].clock if key == "by the clock" and best[tree].clock is not None
                  else best[tree].quality.get(key))
            for tree in ("before", "now")
        ]  # fmt: skip
        lines.append(f"  {key:<30} {found[0]:>10} {found[1]:>10}")
    if row["failed"]:
        lines.append(f"  FAILED: {row['failed']}")
    return "\n".join(lines)


def headline(found: dict) -> str:
    """What is compared, and on what."""
    hardware, plan = found["machine"], found["plan"]
    clip = f"{plan['frames_folder']}, {plan['lines']} lines, {plan['frames']} frames"
    return (
        f"before {found['before']}, now {found['now']}; {clip}\n{hardware['processor']}, "
        f"{plan['threads']} of {hardware['cores']} cores, load {hardware['load_before']}\n"
        "seconds and milliseconds are the processor's, of all threads, where nothing else is said\n"
        f"{'':<16} {'before':>10} {'now':>10}"
    )


def jsonable(found: dict) -> dict:
    """The same with plain values."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(of) for key, of in value.items()}
        if isinstance(value, list):
            return [plain(of) for of in value]
        if isinstance(value, Taken):
            return dataclasses.asdict(value)
        return str(value) if isinstance(value, Path) else value

    return {key: plain(value) for key, value in found.items()}


def progress(text: str) -> None:
    """Say on standard error what is being done."""
    print(f"measuring {text} ...", file=sys.stderr, flush=True)
