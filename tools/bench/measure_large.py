"""Memory, time and disk of decomposing a large or long clip, stage by stage.

    .envs/engine/bin/python tools/bench/measure_large.py --clip ../shared/clips/bear \
        --size 1920x1080 --frames 300 --out /tmp/large

The clip is CLIP/frames, scaled to the size and played forward and backward; its masks, CLIP/masks,
are scaled likewise (--mask all), or only the first is given and carried (one), or none. Runs
`nvd decompose` and `nvd render` in OUT and watches them: of the program and its children,

- anonymous: memory that is theirs alone, the sum of RssAnon; this is what a machine must have,
- resident: with the pages of mapped files, which the system takes back when it needs them (VmRSS;
  the peak of the program itself is the kernel's own VmHWM),
- cpu: the time that all its threads worked, which other programs on the machine lengthen less than
  they do the seconds on the clock,
- disk: all files in the decomposition folder.

--until training leaves out what comes after the training: how long is it until that can begin?
--stop-after SECONDS ends a decomposition as Ctrl-C does; the same command again resumes it. Prints
a table, row by row as stages end, and writes OUT/<size>x<frames>.json.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[2]
EVERY = 0.05
"""seconds between two looks at the memory"""


@dataclass
class Stage:
    """What one stage took, at its peak."""

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    anonymous_mb: float = 0.0
    resident_mb: float = 0.0
    disk_mb: float = 0.0


def main() -> int:
    arguments = _arguments()
    width, height = map(int, arguments.size.split("x"))
    out = arguments.out
    label = f"{arguments.size}x{arguments.frames}"
    clip, masks = out / f"clip_{label}", out / f"masks_{label}"
    make_clip(arguments.clip / "frames", clip, width, height, arguments.frames, cv2.INTER_LANCZOS4)
    shot = out / f"{label}.nvd"
    command = ["decompose", str(clip), "--out", str(shot)]
    if arguments.mask != "none":
        count = 1 if arguments.mask == "one" else arguments.frames
        make_clip(arguments.clip / "masks", masks, width, height, count, cv2.INTER_LINEAR)
        command += ["--mask", f"object={masks}"]
    if arguments.until:
        command += ["--until", arguments.until]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    if arguments.iterations:
        settings = out / "settings.yaml"
        settings.write_text(f"iterations: {arguments.iterations}\n")
        command += ["--settings", str(settings)]
    if (shot / "job.json").exists():
        command = ["resume", str(shot)]
    report = out / f"{label}.json"
    earlier = json.loads(report.read_text()) if report.exists() and command[0] == "resume" else {}
    runs = earlier.get("runs", [])
    print("| stage | seconds | cpu | anonymous MB | resident MB | disk MB |")
    print("|---|---|---|---|---|---|", flush=True)
    if not (shot / "manifest.json").exists():
        runs.append(watch(command, shot, arguments.stop_after))
    if (shot / "manifest.json").exists():
        paint(shot)
        rendered = ["render", str(shot), "--out", str(out / f"{label}.mp4")]
        runs.append(watch(rendered, shot, None))
    facts = {"clip": label, "hardware": hardware(), "commit": commit(), "runs": runs}
    report.write_text(json.dumps(facts, indent=2))
    print(f"\n{facts['clip']}, {facts['hardware']}, commit {facts['commit']}")
    return max(run["status"] for run in runs[-1:])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--mask", choices=("all", "one", "none"), default="all")
    parser.add_argument("--iterations", type=int, help="of the training; default: nvd's own choice")
    parser.add_argument("--until", choices=("training",), help="and no further")
    parser.add_argument("--threads", type=int, help="of the decomposition; default: all cores")
    parser.add_argument("--stop-after", type=float, metavar="SECONDS")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def make_clip(source: Path, target: Path, width: int, height: int, count: int, how: int) -> None:
    """`count` images of `source` at another size as target/00000.png and so on, there and back."""
    files = sorted(p for p in source.iterdir() if p.suffix in (".png", ".jpg"))
    back_and_forth = files + files[-2:0:-1]
    target.mkdir(parents=True, exist_ok=True)

    def write(t: int) -> None:
        path = target / f"{t:05d}.png"
        if path.exists():
            return
        first = target / f"{t % len(back_and_forth):05d}.png"
        if first.exists() and first != path:
            os.link(first, path)
            return
        image = cv2.imread(str(back_and_forth[t % len(back_and_forth)]), cv2.IMREAD_UNCHANGED)
        image = cv2.resize(image, (width, height), interpolation=how)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(min(count, len(back_and_forth)))))
        list(pool.map(write, range(len(back_and_forth), count)))


def paint(shot: Path) -> None:
    """A disc on every layer's edit, so that a render has something to do."""
    for path in (shot / "edits").glob("*.png"):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = image.shape[:2]
        red = (0, 0, 255, 255) if image.dtype == "uint8" else (0, 0, 65535, 65535)
        cv2.circle(image, (width // 2, height // 2), min(width, height) // 5, red, -1)
        cv2.imwrite(str(path), image)


def watch(words: list[str], shot: Path, stop_after: float | None) -> dict:
    """Run an nvd command; what its stages took and how high its memory rose."""
    command = [sys.executable, "-m", "nvd_core", *words, "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    stages = [Stage("start")]
    peak = {"high_water_mb": 0.0}
    worked = 0.0
    ended = threading.Event()

    def look() -> None:
        nonlocal worked
        while not ended.wait(EVERY):
            earlier, worked = worked, max(worked, cpu_seconds(child.pid))
            stages[-1].cpu_seconds += worked - earlier
            anonymous, resident, high = memory(child.pid)
            stage = stages[-1]
            stage.anonymous_mb = max(stage.anonymous_mb, anonymous)
            stage.resident_mb = max(stage.resident_mb, resident)
            peak["high_water_mb"] = max(peak["high_water_mb"], high)

    watcher = threading.Thread(target=look)
    watcher.start()
    started = begun = time.monotonic()
    last = {}
    for line in child.stdout:
        last = json.loads(line)
        now = time.monotonic()
        if last.get("event") == "progress" and last["stage"] != stages[-1].name:
            _finish(stages[-1], now - begun, shot)
            stages.append(Stage(last["stage"]))
            begun = now
        if stop_after and now - started > stop_after:
            child.terminate()
            stop_after = None
    status = child.wait()
    _finish(stages[-1], time.monotonic() - begun, shot)
    ended.set()
    watcher.join()
    if status not in (0, 130):
        print(f"nvd {words[0]} ended with {status}: {last}", file=sys.stderr)
    whole = Stage(
        f"**{words[0]}**",
        round(time.monotonic() - started, 1),
        round(sum(stage.cpu_seconds for stage in stages), 1),
        max(stage.anonymous_mb for stage in stages),
        round(max(peak["high_water_mb"], *(stage.resident_mb for stage in stages))),
        stages[-1].disk_mb,
    )
    print_row(whole)
    return {
        "command": words[0],
        "status": status,
        "whole": asdict(whole),
        "stages": [asdict(stage) for stage in stages],
    }


def _finish(stage: Stage, seconds: float, shot: Path) -> None:
    stage.seconds, stage.cpu_seconds = round(seconds, 1), round(stage.cpu_seconds, 1)
    stage.disk_mb = round(disk(shot))
    stage.anonymous_mb, stage.resident_mb = round(stage.anonymous_mb), round(stage.resident_mb)
    print_row(stage)


def memory(pid: int) -> tuple[float, float, float]:
    """MB of the process and its children: anonymous, resident, and the process's own peak."""
    anonymous = resident = high = 0.0
    for number in (pid, *children(pid)):
        try:
            status = Path(f"/proc/{number}/status").read_text()
        except OSError:  # it has just ended
            continue
        values = {k: int(v) / 1024 for k, v in re.findall(r"(\w+):\s+(\d+) kB", status)}
        anonymous += values.get("RssAnon", 0)
        resident += values.get("VmRSS", 0)
        if number == pid:
            high = values.get("VmHWM", 0)
    return anonymous, resident, high


def cpu_seconds(pid: int) -> float:
    """How long the process and its children have worked."""
    ticks = 0
    for number in (pid, *children(pid)):
        try:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # user and system, its own and its ended children's
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """All descendants of a process."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    except OSError:
        pass
    return found


def disk(folder: Path) -> float:
    """MB that the files of a folder take; those with several names count once."""
    seen, total = set(), 0
    for path in folder.rglob("*"):
        try:
            facts = path.stat()
        except OSError:
            continue
        if path.is_file() and facts.st_ino not in seen:
            seen.add(facts.st_ino)
            total += facts.st_blocks * 512
    return total / 2**20


def print_row(stage: Stage) -> None:
    """A row of the table in Markdown."""
    print(
        f"| {stage.name} | {stage.seconds:.1f} | {stage.cpu_seconds:.1f} "
        f"| {stage.anonymous_mb:.0f} | {stage.resident_mb:.0f} | {stage.disk_mb:.0f} |",
        flush=True,
    )


def hardware() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}"


def commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
