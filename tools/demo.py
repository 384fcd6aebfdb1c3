"""The whole way, once: decompose a clip, paint on its textures, render the edit twice, compare.

    python3 tools/demo.py                                       the sample clip
    python3 tools/demo.py --clip shot.mp4 --mask masks/%04d.png your own (a mask is optional)

Makes the environments it needs under .envs/, writes into demo_out/ and says where to look.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from environments import ROOT, Environment, Failed, all_environments, ensure, usable_blender

SAMPLE = ROOT / "samples" / "tumbler"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", help="movie, folder or pattern; default: the sample clip")
    parser.add_argument("--mask", help="the object's mask: sequence, movie, or one image")
    parser.add_argument("--height", type=int, help="lines at which the clip is looked at")
    parser.add_argument("--out", type=Path, default=ROOT / "demo_out", help="default: demo_out")
    arguments = parser.parse_args()
    engine = next(made for made in all_environments() if made.name == "engine")
    ensure(engine)
    blender = usable_blender()

    out = arguments.out.resolve()
    shot = out / "shot.nvd"
    out.mkdir(parents=True, exist_ok=True)
    if shot.exists():
        shutil.rmtree(shot)
    started = time.monotonic()

    def python(environment: Environment, *words: object, stdout: TextIO | None = None) -> None:
        command = [str(environment.python), *map(str, words)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=stdout)

    def nvd(*words: object) -> None:
        print("\n$ nvd", *words, flush=True)
        python(engine, "-m", "nvd_core", *words)

    nvd("decompose", arguments.clip or SAMPLE / "frames", "--out", shot, *options(arguments))
    nvd("evaluate", shot)
    python(engine, ROOT / "tools" / "demo_pictures.py", "paint", shot, out)
    edits = [f"--edit={path.stem}={path}" for path in sorted((out / "edits").glob("*.png"))]
    nvd("render", shot, "--out", out / "nvd" / "%05d.png", *edits)
    if blender:
        print(f"\nrendering in Blender ({blender.name}); its log is blender.log", flush=True)
        script = ROOT / "tools" / "render_in_blender.py"
        with open(out / "blender.log", "w") as log:
            python(blender, script, shot, out / "edits", out / "blender", stdout=log)
    python(engine, ROOT / "tools" / "demo_pictures.py", "show", shot, out)
    say_where_to_look(out, time.monotonic() - started)
    return 0


def options(arguments: argparse.Namespace) -> list[object]:
    """Options of `nvd decompose`."""
    words = [f"--height={arguments.height}"] if arguments.height else []
    if not arguments.clip:
        words.append("--rate=24")  # pictures, which name none
    mask = arguments.mask or (None if arguments.clip else SAMPLE / "masks")
    name = "object" if arguments.clip else "tumbler"
    return [*words, f"--mask={name}={mask}"] if mask else words


def say_where_to_look(out: Path, seconds: float) -> None:
    facts = json.loads((out / "demo.json").read_text())
    print(f"\nDone in {seconds:.0f} s.")
    if "blender_psnr" in facts:
        print(f"nvd render and Blender's compositor agree to {facts['blender_psnr']:.1f} dB")
    for name, what in {
        "before_after.mp4": "the clip beside its edit",
        "contact_sheet.png": "frames, textures and the edit at a glance",
        "shot.nvd": "the decomposition folder; paint on shot.nvd/edits/*.png and run nvd render",
        "shot.nvd/report": "figures and pictures of its quality",
    }.items():
        print(f"  {out / name}\n      {what}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"demo: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
