"""What tracks tell of an object's parts: how many there are, and what a split would bring.

    .envs/engine/bin/python tools/bench/measure_splits.py FRAMES MASKS --picture OUT.png

Nothing in the engine goes by it yet (docs/notes/2026-11-30-parts.md). The picture shows six frames
with the tracks that are seen in more than --least frames, coloured by part.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import read_image, to_float, to_integers, write_image
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.part_search import Split, find_split
from nvd_core.priors.tracks import Tracks, mask_tracks
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASKS

COLOURS = ((200, 200, 200), (255, 0, 0), (255, 255, 0), (0, 0, 255))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--least", type=int, default=6, help="frames that a track is seen in")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    frames = np.stack(
        [_read(path, arguments.height) for path in sorted(arguments.frames.iterdir())]
    )
    masks = [_read(path, arguments.height) for path in sorted(arguments.masks.iterdir())]
    mask = np.stack([(one.max(-1) > 0) * np.uint8(255) for one in masks])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        np.save(work / FRAMES, frames)
        np.save(work / MASKS, mask[None])
        compute_flow(work, Progress())
        tracks = mask_tracks(work, mask)
    long = tracks.longer_than(arguments.least)
    split = find_split(long, arguments.height)
    found = "none" if split is None else f"{split.count} parts, gain {split.gain:.2f}"
    print(f"{len(tracks)} tracks, {len(long)} of more than {arguments.least} frames: {found}")
    if arguments.picture:
        write_image(arguments.picture, _picture(frames, long, split))
    return 0


def _read(path: Path, height: int) -> np.ndarray:  # uint8 [height, W, 3]
    image = to_integers(to_float(np.asarray(read_image(path))), np.uint8)
    image = np.repeat(image[..., :1], 3, 2) if image.shape[2] < 3 else image[..., :3]
    width = round(image.shape[1] * height / image.shape[0] / 2) * 2
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)


def _picture(frames: np.ndarray, tracks: Tracks, split: Split | None) -> np.ndarray:
    rows = []
    for t in np.linspace(0, len(frames) - 1, 6).astype(int):
        image = np.ascontiguousarray(frames[t])
        for k in np.flatnonzero(tracks.seen[:, t]):
            colour = COLOURS[0 if split is None else split.number[k]]
            cv2.circle(image, tuple(int(v) for v in np.rint(tracks.points[k, t])), 1, colour, -1)
        rows.append(image)
    return np.vstack([np.hstack(rows[:3]), np.hstack(rows[3:])])


if __name__ == "__main__":
    sys.exit(main())
