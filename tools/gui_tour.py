"""Walk through the extension in a Blender with a window, and take a picture of every step.

    python3 tools/gui_tour.py                     pictures into docs/pictures/
    python3 tools/gui_tour.py --out /tmp/tour
    python3 tools/gui_tour.py --walk first --out /tmp/walk      every screen a beginner meets
    python3 tools/gui_tour.py --walk delivery --out /tmp/walk   a shot, from import to delivery
    python3 tools/gui_tour.py --walk playing --out /tmp/walk    frames rendered ahead, and played
    python3 tools/gui_tour.py --walk finishing --out /tmp/walk  a drawn mask, blur, files dropped

Nobody needs to look on: Blender draws to an X server without a screen (tour/window.py). In a new
Blender with factory settings the tour installs the extension's zip, tests the engine, decomposes
samples/tumbler from the Sequencer with a mask drawn on one frame, opens the result, paints a
stroke, sees it on the shot, renders it to a strip, composites it on the strip itself, and paints a
second stroke on a frame. Buttons are found by what is written on them and pressed with the mouse.
What was seen at each step goes to OUT/tour.json; the exit code is 1 where a step failed or Blender
printed an error.

The steps are in tour/steps.py, which runs in that Blender; those of a first-time user, with the
mistakes that one makes, in tour/first_walk.py; a whole delivery in tour/delivery.py, whose files
are looked at by tour/check_delivery.py and go to OUT/delivery.json; a better mask, motion blur and
dropped files in tour/finishing.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from build_extension import build
from environments import ROOT, Failed, all_environments, ensure
from tour import window

WIDTH, HEIGHT = 1600, 900
LIMIT = 1800.0  # seconds
WRONG = (
    *("Traceback", "Error:", "rna_uiItem", "SystemError", "not found in", "Segmentation"),
    "NOT REFUSED",
)
HARMLESS = ("EGL Error", "audio", "ALSA")


WALKS = {
    "tour": "steps.py",
    "first": "first_walk.py",
    "delivery": "delivery.py",
    "playing": "playing.py",
    "finishing": "finishing.py",
}
LARGER = {"delivery": (1920, 1080), "finishing": (1920, 1080)}
"""screens of walks that show more panels at once"""


def tour(
    out: Path, steps: int, walk: str = "tour", shot: Path | None = None
) -> tuple[dict, list[str]]:
    """Run the tour; what was seen at each step, and the lines that tell of errors.

    steps: of the decomposition's training. walk: one of WALKS. shot: what the walk "finishing"
    works on a copy of, in place of a decomposition that is made for it. Failed where the tour
    cannot start.
    """
    engine = next(made for made in all_environments() if made.name == "engine")
    ensure(engine)
    out.mkdir(parents=True, exist_ok=True)
    facts: dict = {"blender": window.ensure()}
    with tempfile.TemporaryDirectory(prefix="nvd-tour-") as folder:
        work = Path(folder)
        build(work)
        (work / "settings.yaml").write_text(f"iterations: {steps}\npreview_seconds: 3\n")
        shutil.copytree(ROOT / "samples" / "tumbler" / "frames", work / "clip")
        shutil.copytree(ROOT / "samples" / "tumbler" / "masks", work / "masks")
        if walk == "playing":
            _decomposed(work, engine.python, shot, "--draft", "--threads", 1)
        if walk == "finishing":
            _decomposed(work, engine.python, shot, "--height", 108)
        width, height = LARGER.get(walk, (WIDTH, HEIGHT))
        words = ["--factory-startup", "--window-geometry", 0, 0, width, height]
        words += ["--python-exit-code", 3, "--python", ROOT / "tools" / "tour" / WALKS[walk]]
        process = window.start_blender(
            [*words, "--", work],
            work,
            engine.python,
            before=["xvfb-run", "-a", "-s", f"-screen 0 {width}x{height}x24"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        wrong = _follow(process, facts)
        if walk == "delivery" and facts.get("finished"):
            facts["checked"] = _checked(engine.python, facts["shot"], work / "out")
        for picture in work.glob("*.jpg"):
            shutil.copy(picture, out / picture.name)
    return facts, wrong


def _decomposed(work: Path, python: Path, shot: Path | None, *options: object) -> None:
    """A decomposition of the clip as work/shot.nvd, or `shot` as that; Failed where it fails."""
    if shot is not None:
        shutil.copytree(shot, work / "shot.nvd")
        return
    words = ["decompose", work / "clip", "--out", work / "shot.nvd", *options]
    words += ["--mask", f"tumbler={work / 'masks'}", "--settings", work / "settings.yaml"]
    command = [python, "-m", "nvd_core", *words, "--device", "cpu"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise Failed(f"the clip cannot be decomposed:\n{done.stderr}")


def _checked(python: Path, shot: str, out: Path) -> dict:
    """What tour/check_delivery.py finds in what was delivered; Failed where it fails."""
    command = [python, ROOT / "tools" / "tour" / "check_delivery.py", shot, out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"what was delivered cannot be checked:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _follow(process: subprocess.Popen, facts: dict) -> list[str]:
    """Take in what the steps say until Blender ends; returns the lines that tell of errors."""
    wrong: list[str] = []
    timer = threading.Timer(LIMIT, os.killpg, (process.pid, 9))
    timer.start()
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("TOUR "):
                facts |= json.loads(line.removeprefix("TOUR "))
            elif line.startswith("REFUSED "):  # as was expected: the errors before it tell of that
                wrong = [said for said in wrong if said not in line]
            elif any(w in line for w in WRONG) and not any(w in line for w in HARMLESS):
                wrong.append(line.strip())
        process.wait()
    finally:
        timer.cancel()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--steps", type=int, default=1500, help="of the decomposition's training")
    parser.add_argument("--walk", choices=WALKS, default="tour")
    parser.add_argument("--shot", type=Path, help="a decomposition for the walk finishing")
    given = parser.parse_args()
    try:
        facts, wrong = tour(given.out.resolve(), given.steps, given.walk, given.shot)
    except Failed as error:
        sys.exit(f"gui_tour: {error}")
    name = f"{given.walk}.json" if given.walk in LARGER else "tour.json"
    (given.out / name).write_text(json.dumps(facts, indent=1) + "\n")
    finished = bool(facts.get("finished"))
    print(f"{'finished' if finished else 'NOT finished'}, {len(wrong)} lines tell of errors")
    return 0 if finished and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
