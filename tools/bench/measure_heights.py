"""Compare decompositions of one plate that were looked at with few and with all of its lines.

    .envs/engine/bin/nvd decompose CLIP --mask bear=MASKS --height 480 --out fine.nvd
    .envs/engine/bin/nvd decompose CLIP --mask bear=MASKS --height 240 --out coarse.nvd
    .envs/engine/bin/python tools/bench/measure_heights.py fine.nvd coarse.nvd --picture OUT.jpg
    .envs/engine/bin/python tools/bench/measure_heights.py fine.nvd coarse.nvd --truth SCENE

Letters are painted on one frame, on the first object and on the background, and brought to each
decomposition's textures as Paint on Frame does; then both are rendered on the whole plate. Printed
are PSNR in dB over the painted pixels of all other frames: the edit of `coarse` by that of `fine`,
what no edit would get, and on the painted frame each by what was painted there. With --truth the
paint is the scene's own, and each is compared with the scene rendered with it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware
from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.editing.render import render_frames
from nvd_core.editing.stack_text import own_font
from nvd_core.evaluation.metrics import psnr
from nvd_core.evaluation.truth.compare import measure_truth
from nvd_core.media.images import read_image, to_float, to_integers, write_image
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot

INKS = ((0.95, 0.15, 0.1), (0.1, 0.35, 0.95))
"""of the object's letters and of the background's"""
WORD = "Ab3"
HIGH = 0.16
"""of the letters, as a share of the picture's height"""
FINER = 2
PAINTED = 2 / 255
"""what a value has to change by for its pixel to count as painted"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fine", type=Path)
    parser.add_argument("coarse", type=Path)
    parser.add_argument("--frame", type=int, help="that is painted; by itself the middle one")
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--picture", type=Path, help="also write frames of both beside each other")
    arguments = parser.parse_args()
    shots = [Shot.open(arguments.fine), Shot.open(arguments.coarse)]
    if arguments.truth:
        made = [by_truth(shot, arguments.truth) for shot in shots]
        print(json.dumps(dict(zip(("fine", "coarse"), made, strict=True)), indent=1))
    else:
        print(json.dumps(by_each_other(shots, arguments.frame, arguments.picture), indent=1))
    print(f"{hardware()}, commit {commit()}", file=sys.stderr)
    return 0


def by_truth(shot: Shot, truth: Path) -> dict:
    """What `nvd evaluate --truth` says of the edit."""
    known = measure_truth(shot, truth, Progress())
    keys = ("edit_psnr", "edit_psnr_unpainted", "edit_psnr_outside")
    return {key: known[key] for key in keys} | {"delta_avg": known["tracks"]["all"]["delta_avg"]}


def by_each_other(shots: list[Shot], frame: int | None, picture: Path | None) -> dict:
    """The figures of two decompositions whose truth is not known."""
    at = shots[0].frames // 2 if frame is None else frame
    given = letters(shots[0], at)
    edited = [painted_frames(shot, at, given) for shot in shots]
    plates = np.stack([to_float(read_image(shots[0].frame_path(t))[..., :3]) for t in
                       range(shots[0].frames)])  # fmt: skip
    wanted = plates[at]
    for mask, ink in given:
        wanted = wanted + mask[..., None] * (np.array(ink) - wanted)
    touched = (np.abs(np.stack(edited) - plates).max((0, 4)) > PAINTED)[..., None]
    others = touched.copy()
    others[at] = False
    here = (np.max([mask for mask, _ in given], 0) > 0)[..., None]
    if picture:
        write_picture(picture, shots, plates, edited)
    return {
        "coarse_by_fine": _psnr(edited[1], edited[0], others),
        "no_edit_by_fine": _psnr(plates, edited[0], others),
        "painted_frame": [_psnr(frames[at], wanted, here) for frames in edited],
        "painted_pixels": int(others.sum()),
    }


def letters(shot: Shot, t: int) -> list[tuple[np.ndarray, tuple]]:
    """The letters' share of each pixel of frame `t` [H, W] and their ink: on the first object and
    on the background, where most of the layer lies around.
    """
    maps = read_frame_maps(shot, t)
    made = []
    for number, ink in zip((0, len(shot.names) - 1), INKS, strict=True):
        alone = (maps.uva[number, ..., 2] > 0.9).astype(np.uint8)
        far = cv2.distanceTransform(np.pad(alone, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(far.argmax(), far.shape)
        size = min(HIGH * alone.shape[0], 1.1 * far.max())
        page = Image.new("L", alone.shape[::-1], 0)
        font = ImageFont.truetype(str(own_font()), size)
        ImageDraw.Draw(page).text((int(x), int(y)), WORD, 255, font, anchor="mm")
        made.append((np.asarray(page, np.float32) / 255 * alone, ink))
    return made


def painted_frames(shot: Shot, t: int, given: list) -> np.ndarray:  # float32 [T, H, W, 3]
    """All frames with what is given on frame `t`."""
    maps = read_frame_maps(shot, t)
    edits = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (mask, ink) in zip((0, len(shot.names) - 1), given, strict=True):
            name, own = shot.names[number], maps.layer(number)
            record = shot.layer(name)
            paint = np.empty((*mask.shape, 4), np.float32)
            paint[..., :3], paint[..., 3] = ink, mask
            size = FINER * record.texture_width, FINER * record.texture_height
            edit = paint_to_texture(paint, own, size, own.residual)
            edits[name] = Path(folder) / f"{name}.png"
            write_image(edits[name], to_integers(edit, np.uint16))
        return np.stack(list(render_frames(shot, edits, bit_depth="float", device="cpu")))


def write_picture(path: Path, shots: list[Shot], plates: np.ndarray, edited: list) -> None:
    """The first, the middle and the last frame: fine above coarse, around what is painted."""
    count = len(plates)
    rows = []
    for frames in edited:
        rows.append(np.concatenate([frames[t] for t in (0, count // 2, count - 1)], 1))
    write_image(path, to_integers(np.concatenate(rows, 0), np.uint8))


def _psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    error = ((one.astype(np.float64) - other) ** 2).mean(-1)[where[..., 0]]
    return round(psnr(float(error.mean())), 2)


if __name__ == "__main__":
    sys.exit(main())
