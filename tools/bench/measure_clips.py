"""Decompose and evaluate a folder of clips, and print one table.

    .envs/engine/bin/python tools/bench/measure_clips.py CLIPS --height 240 --out /tmp/clips

Each clip is CLIPS/<name>/frames with CLIPS/<name>/masks. Writes OUT/<name>.nvd with its report, and
OUT/table.md with hardware and commit; clips that are done already are only evaluated.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.parts.machine import cores, processor

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--names", nargs="*", help="default: all in the folder")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.clips.glob("*/frames"))
    rows = [
        "| clip | size | frames | PSNR | without residual | SSIM | alpha IoU | folded | seconds |"
        " peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        rows.append(measure(arguments, name))
        print("\n".join(rows), flush=True)
    rows.append(f"\n{hardware()}, commit {commit()}, preset {arguments.preset}")
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    print(rows[-1])
    return 0


def measure(arguments: argparse.Namespace, name: str) -> str:
    """Decompose and evaluate one clip; a row of the table."""
    shot = arguments.out / f"{name}.nvd"
    facts = arguments.out / f"{name}.json"
    clip = arguments.clips / name
    if not (shot / "manifest.json").exists():
        started = time.monotonic()
        options = ["--settings", arguments.settings] if arguments.settings else []
        size = "--height", arguments.height, "--plate-height", arguments.height
        nvd(
            *("decompose", clip / "frames", "--mask", f"{name}={clip / 'masks'}"),
            *("--out", shot, *size, "--preset", arguments.preset, *options),
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        facts.write_text(json.dumps({"seconds": time.monotonic() - started, "peak": peak}))
    cost = json.loads(facts.read_text())
    figures = nvd("evaluate", shot)
    clip = json.loads((shot / "manifest.json").read_text())["clip"]
    return (
        f"| {name} | {clip['width']}x{clip['height']} | {clip['frames']} "
        f"| {figures['psnr']:.2f} | {figures['psnr_without_residual']:.2f} "
        f"| {figures['ssim']:.3f} | {figures['alpha_iou'][name]:.3f} | {figures['folded']:.2%} "
        f"| {cost['seconds']:.0f} | {cost['peak']:.0f} |"
    )


def nvd(*words: object) -> dict:
    """Run an nvd command; its last JSON line."""
    command = [sys.executable, "-m", "nvd_core", *map(str, words), "--json"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    last = json.loads(finished.stdout.splitlines()[-1])
    if finished.returncode:
        sys.exit(f"nvd {words[0]}: {last}")
    return last


def hardware() -> str:
    """Processor and number of cores."""
    return f"{processor()}, {cores()} cores"


def commit() -> str:
    """Short hash of the working tree's commit."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
