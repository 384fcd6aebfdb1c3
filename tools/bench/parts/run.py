"""The parts of the benchmark in order, their table and their JSON file."""

import argparse
import dataclasses
import sys
import tempfile
import time
import traceback
from pathlib import Path

from bench.parts import iteration, machine, playback, presets, quality, storage, subject
from bench.parts.commands import Failed
from bench.parts.figures import Figure, table
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.documents import read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import without_nan, write_json
from nvd_core.settings import load_settings

SCHEMA, VERSION = "nvd.bench", 1
PARTS = {module.PART: module for module in (quality, presets, iteration, playback, storage)}


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON; 1 where a part failed, 2 where the input is bad."""
    found = {
        "schema": SCHEMA,
        "version": VERSION,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": ["tools/bench/bench.py", *sys.argv[1:]],
        "commit": machine.commit(),
        "machine": machine.hardware(),
        "versions": machine.versions(),
    }
    figures, seconds, failed = [], {}, {}
    with tempfile.TemporaryDirectory(prefix="nvd-bench-") as folder:
        try:
            bench = prepared(arguments, Path(folder))
        except NvdError as error:
            print(f"bench: {error}\nwhat to do: {error.remedy}", file=sys.stderr)
            return 2
        found |= {"clip": bench.subject.about, "device": bench.subject.device}
        found |= {"quick": arguments.quick, "plan": dataclasses.asdict(bench.plan)}
        print(headline(found), flush=True)
        for part in arguments.only:
            begun = time.monotonic()
            print(f"measuring: {part} ...", file=sys.stderr, flush=True)
            try:
                figures += PARTS[part].measure(bench)
            except (NvdError, Failed, OSError) as error:
                failed[part] = str(error)
            except Exception as error:
                traceback.print_exc()
                failed[part] = repr(error)
            seconds[part] = round(time.monotonic() - begun, 1)
        figures += presets.whole_schedule(figures, bench.levels)
        found["curves"] = bench.curves
    found |= {"seconds_by_part": seconds, "failed": failed}
    found["figures"] = [dataclasses.asdict(figure) for figure in figures]
    write_json(arguments.out, without_nan(found))
    print_result(figures, failed)
    print(f"\n{sum(seconds.values()):.0f} s in all; every figure in {arguments.out}")
    return 1 if failed else 0


def prepared(arguments: argparse.Namespace, folder: Path) -> subject.Bench:
    """The clip and the plan, as the options say; NvdError where they cannot be."""
    plan = subject.QUICK if arguments.quick else subject.FULL
    if arguments.iterations:
        plan = dataclasses.replace(plan, iterations=tuple(arguments.iterations))
    if arguments.seconds:
        plan = dataclasses.replace(plan, turns_seconds=arguments.seconds)
    changes = {}
    if arguments.settings:
        load_settings(arguments.settings)  # says what is wrong with it
        changes = read_yaml(arguments.settings) or {}
    device = choose_device(arguments.device or "auto").type
    chosen = subject.choose_subject(arguments.clip, arguments.mask, arguments.height, device, plan)
    return subject.Bench(chosen, plan, folder, changes, tuple(sorted(arguments.levels)))


def headline(found: dict) -> str:
    """What is measured, and on what."""
    hardware, commit = found["machine"], found["commit"]
    dirty = " with changes" if commit["dirty"] else ""
    gpu = f", {hardware['gpu']}" if hardware["gpu"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items() if number)
    return (
        f"clip {found['clip']}, on {found['device']}\n"
        f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB{gpu}, "
        f"load {hardware['load_before']}\n"
        f"commit {commit['hash']}{dirty}, {found['date']}\n{versions}"
    )


def print_result(figures: list[Figure], failed: dict[str, str]) -> None:
    """The table, and why what is not in it is not."""
    if figures:
        print(f"\n{table(figures)}")
    for part, reason in failed.items():
        print(f"\nFAILED: {part}: {reason}")
