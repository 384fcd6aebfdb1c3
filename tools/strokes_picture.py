"""Make docs/pictures/strokes.jpg: strokes that keep their width, and the same laid on as paint.

    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py handheld --out TRUTH \
        --size 848x480 --frames 12 --samples 4 --without flow light
    .envs/engine/bin/nvd decompose TRUTH/handheld/frames --mask toy=TRUTH/handheld/masks/toy \
        --out handheld.nvd
    .envs/engine/bin/python tools/strokes_picture.py handheld.nvd docs/pictures/strokes.jpg

The camera walks towards the wall. Above, three frames with width kept, below without. The folder's
stack is put back as it was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from nvd_core.cli.main import main as nvd
from nvd_core.editing.render import render_frames
from nvd_core.editing.stack_edit import purge
from nvd_core.media.images import to_integers, write_image
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import read_stack, write_stack

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 848 480">
<g fill="none" stroke-width="8">
<ellipse cx="{x}" cy="{y}" rx="92" ry="62" stroke="#40c8ff"/>
<path d="M{x} {y} m190 92 q-8 -56 -84 -66 m34 -18 l-34 18 l22 32" stroke="#ffffff"/>
</g></svg>
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--at", type=int, nargs=2, default=(472, 72), metavar=("X", "Y"))
    arguments = parser.parse_args()
    shot = Shot.open(arguments.shot)
    before, rows = read_stack(shot), []
    try:
        for kept in (True, False):
            add(shot, arguments.at, kept)
            rows.append(frames(shot))
            write_stack(shot, before)
            purge(shot)
    finally:
        write_stack(shot, before)
    picture = np.concatenate([np.concatenate(row, 1) for row in rows], 0)
    write_image(arguments.picture, picture)
    return 0


def add(shot: Shot, at: tuple[int, int], kept: bool) -> None:
    """Lay the drawing on the first frame's background, and words beside it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ring.svg"
        file.write_text(DRAWING.format(x=at[0], y=at[1]))
        words = ["edits", "add", shot.folder, file, "--layer", shot.names[-1], "--name", "ring"]
        width = ["--keep-width"] if kept else []
        _run([*words, "--on-frame", 0, *width])
    x, y = at[0] + 205, at[1] + 118
    box = f"{x - 90},{y - 20},{x + 90},{y - 20},{x + 90},{y + 20},{x - 90},{y + 20}"
    words = ["edits", "add", shot.folder, "--layer", shot.names[-1], "--name", "note"]
    width = ["--keep-width", "--pixels", 36] if kept else []
    _run([*words, "--text", "look here", "--colour", "1,1,1", "--on-frame", 0, "--at", box,
          *width])  # fmt: skip


def frames(shot: Shot) -> list[np.ndarray]:
    """The first, the middle and the last frame, halved."""
    shown = list(render_frames(shot, device="cpu", bit_depth="float"))
    chosen = [shown[t] for t in (0, len(shown) // 2, len(shown) - 1)]
    halved = [(f[::2, ::2] + f[1::2, ::2] + f[::2, 1::2] + f[1::2, 1::2]) / 4 for f in chosen]
    return [to_integers(f, np.uint8) for f in halved]


def _run(words: list) -> None:
    if nvd([str(word) for word in words]):
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
