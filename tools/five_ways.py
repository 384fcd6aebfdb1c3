"""One picture, five ways: how far each is from `nvd render`, in a Blender with a window.

    python3 tools/five_ways.py SHOT
    python3 tools/five_ways.py SHOT --views Standard AgX --frames 0 0.5 1 --least 45

SHOT is a decomposition folder of 8 bits; a copy of it is worked on. Its clip becomes a trimmed
strip that does not begin at frame 1. A stroke is painted on two layers with the mouse, a layer's
visibility is keyed, relight is set, and a stack of paint and an adjustment with fades is laid on
them. Then the live preview, the compositor, Composite Strip, Strip Modifier and Render to Strip
each show the same frames, and so does a plain strip of the frames that `nvd render` writes.

The table has, in dB (99.0: no difference), the least of all frames:
rendered: what Blender renders to a file, against the file of `nvd render`. Where the scene's view
transform is not Standard, strips are held against the render of the plain strip. Of the live
preview it is the picture on the graphics card.
screen: the Sequencer's preview on the screen, against the plain strip in it.

The last line is JSON; the exit code is 1 where a step failed or a way is below --least.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build_extension import build
from environments import ROOT, Failed, all_environments, ensure
from tour import window

WIDTH, HEIGHT = 1920, 1080
VIEWS = ("Standard", "AgX")  # the view of Blender's Video Editing file, and of its General one
COLUMNS = ("rendered", "screen")


def five_ways(
    shot: Path,
    views=VIEWS,
    frames=(0.0, 0.5, 1.0),
    limit: float = 1800,
    pictures: Path | None = None,
    zoom: float = 2.0,
) -> list[dict]:
    """A row for each view, frame and way; see ways.py. Failed where Blender did not come to an end.

    frames: shares of what the strip shows, 0 to 1. limit: seconds. pictures: takes what was seen.
    zoom: pixels of the screen for one of the picture.
    """
    engine = next(made for made in all_environments() if made.name == "engine")
    ensure(engine)
    window.ensure()
    with tempfile.TemporaryDirectory(prefix="nvd-ways-") as folder:
        work = Path(folder)
        build(work)
        shutil.copytree(shot, work / "shot.nvd")
        words = ["--factory-startup", "--window-geometry", 0, 0, WIDTH, HEIGHT]
        words += ["--python-exit-code", 3, "--python", ROOT / "tools" / "tour" / "ways.py"]
        options = json.dumps({"views": list(views), "frames": list(frames), "zoom": zoom})
        process = window.start_blender(
            [*words, "--", work, options],
            work,
            engine.python,
            before=["xvfb-run", "-a", "-s", f"-screen 0 {WIDTH}x{HEIGHT}x24"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            subprocess.run(["pkill", "-9", "-s", str(process.pid)])
            output, _ = process.communicate()
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            for picture in (*work.glob("*.jpg"), *work.glob("seen/*.png")):
                shutil.copy(picture, pictures / picture.name)
    facts: dict = {}
    for line in output.splitlines():
        if line.startswith("TOUR "):
            facts |= json.loads(line.removeprefix("TOUR "))
    if not facts.get("finished"):
        raise Failed(f"Blender ended before it was done:\n{output[-5000:]}")
    return facts["rows"]


def table(rows: list[dict]) -> list[dict]:
    """The least of all frames, for each view and way."""
    found: dict = {}
    for row in rows:
        known = found.setdefault(
            (row["view"], row["way"]), {"view": row["view"], "way": row["way"]}
        )
        for column in COLUMNS:
            if row[column] is not None:
                known[column] = min(known.get(column, row[column]), row[column])
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--views", nargs="+", default=VIEWS, help="view transforms of the scene")
    parser.add_argument("--frames", nargs="+", type=float, default=(0.0, 0.5, 1.0), metavar="SHARE")
    parser.add_argument("--least", type=float, default=45.0, help="dB")
    parser.add_argument("--zoom", type=float, default=2.0, help="pixels of the screen for one")
    parser.add_argument("--pictures", type=Path, help="where the pictures go")
    given = parser.parse_args()
    options = {"pictures": given.pictures, "zoom": given.zoom}
    rows = table(five_ways(given.shot, given.views, given.frames, **options))
    print(f"{'view':10} {'way':24} {'rendered':>9} {'screen':>9}")
    for row in rows:
        numbers = " ".join(f"{row[c]:9.1f}" if c in row else f"{'':9}" for c in COLUMNS)
        print(f"{row['view']:10} {row['way']:24} {numbers}")
    print(json.dumps(rows))
    return int(any(row.get(c, given.least) < given.least for row in rows for c in COLUMNS))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"five_ways: {error}")
