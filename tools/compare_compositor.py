"""How far `nvd render` and Blender's compositor agree on an edited shot, in every Blender there is.

    .envs/engine/bin/python tools/compare_compositor.py SHOT.nvd EDITS

EDITS holds <layer>.png. Prints a row for each environment .envs/bpy-*: PSNR over the clip and of
its worst frame, the largest difference of a value, and seconds a frame in the compositor, the
start of Blender among them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from environments import BLENDERS, ENVIRONMENTS, ROOT

from nvd_core.cli.main import main as nvd
from nvd_core.evaluation.metrics import PsnrMeter
from nvd_core.media.images import read_image, to_float


def compare(ours: Path, theirs: Path) -> tuple[PsnrMeter, float]:
    """PSNR of two folders of pictures, and the largest difference of a value between 0 and 1."""
    meter, largest = PsnrMeter(), 0.0
    for path in sorted(ours.iterdir()):
        pair = [to_float(read_image(file)) for file in (path, theirs / path.name)]
        meter.add(*pair)
        largest = max(largest, float(np.abs(pair[0] - pair[1]).max()))
    return meter, largest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("edits", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "nvd"
        words = ["render", str(given.shot), "--out", str(ours / "%05d.png"), "--bits", "16"]
        for path in sorted(given.edits.glob("*.png")):
            words += ["--edit", f"{path.stem}={path}"]
        if nvd(words):
            return 1
        print(f"{'Blender':>8} {'PSNR':>7} {'worst':>7} {'largest':>9} {'s/frame':>8}")
        for version in sorted(BLENDERS):
            python = ENVIRONMENTS / f"bpy-{version}" / "bin" / "python"
            if not python.is_file():
                print(f"{version:>8} is not there: python3 tools/environments.py bpy-{version}")
                continue
            out = Path(folder) / version
            command = [
                python,
                ROOT / "tools" / "render_in_blender.py",
                given.shot,
                given.edits,
                out,
            ]
            began = time.monotonic()
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
            seconds = (time.monotonic() - began) / len(list(out.iterdir()))
            meter, largest = compare(ours, out)
            worst = min(meter.per_frame)
            print(f"{version:>8} {meter.value:7.1f} {worst:7.1f} {largest:9.2e} {seconds:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
