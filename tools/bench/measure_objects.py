"""Find the objects of clips with true masks by themselves (`nvd objects`), and print one table.

    .envs/engine/bin/python tools/bench/measure_objects.py CLIPS samples/truth/crossing \
        --paste CLIPS/car-turn CLIPS/bear --out OUT

A clip is a folder with frames/ and masks/, which has the files or a folder of them for each object;
a folder of such clips stands for all of them. --paste A B puts the object of A into B, as far as
both go. Each true object is compared with the one that fits it best, at the size at which objects
are looked for; an object that is hidden in a frame counts where either mask has something there.
Writes OUT/table.md, and OUT/<name>, the folder of `nvd objects`.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.job import Job
from nvd_core.object_folder import load_objects
from nvd_core.objects import objects_of
from nvd_core.runtime.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--paste", type=Path, nargs=2, metavar=("A", "B"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    clips = []
    for clip in arguments.clips:
        own = (clip / "masks").is_dir()
        clips += [clip] if own else sorted(p.parent for p in clip.glob("*/masks"))
    if arguments.paste:
        clips.append(pasted(*arguments.paste, arguments.out))
    rows = [
        "| clip | frames | object | found | IoU | worst tenth | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for clip in clips:
        rows += measure(clip, arguments.out / clip.name)
        print(rows[-1], flush=True)
    rows.append(f"\n{hardware()}, commit {commit()}")
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    return 0


def measure(clip: Path, out: Path) -> list[str]:
    """Find the objects of one clip; a row of the table for each true one."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.process_time()
    objects_of(Job(str((clip / "frames").absolute())), out, Progress())
    seconds = time.process_time() - started
    known = load_objects(out)
    found = {name: masks_in(out / "masks" / name) for name in known.names}
    folders = sorted(p for p in (clip / "masks").iterdir() if p.is_dir()) or [clip / "masks"]
    rows = []
    for folder in folders:
        true = masks_in(folder, (known.width, known.height))
        scores = {name: overlaps(masks, true) for name, masks in found.items()}
        best = max(scores, key=lambda name: scores[name].mean(), default=None)
        own = np.sort(scores[best]) if best else np.zeros(1)
        worst = own[: max(1, len(own) // 10)].mean()
        name = folder.name if folder.name != "masks" else "the one"
        rows.append(
            f"| {clip.name} | {known.frames} | {name} | {best}, of {len(found)} | {own.mean():.3f} "
            f"| {worst:.2f} | {seconds:.0f} |"
        )
    return rows


def masks_in(folder: Path, size: tuple[int, int] | None = None) -> np.ndarray:  # bool [T, h, w]
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.png"))]
    size = size or images[0].shape[::-1]
    return np.stack([cv2.resize(i, size, interpolation=cv2.INTER_AREA) > 127 for i in images])


def overlaps(masks: np.ndarray, true: np.ndarray) -> np.ndarray:
    """IoU of each frame in which there is something."""
    both, either = (masks & true).sum((1, 2)), (masks | true).sum((1, 2))
    return both[either > 0] / either[either > 0]


def pasted(front: Path, clip: Path, out: Path) -> Path:
    """A clip of `clip` with the object of `front` put into it; the folder that it is written to."""
    made = out / "pasted" / f"{front.name}-in-{clip.name}"
    parts = [sorted((c / kind).iterdir()) for c in (front, clip) for kind in ("frames", "masks")]
    for folder in ("frames", f"masks/{front.name}", f"masks/{clip.name}"):
        (made / folder).mkdir(parents=True, exist_ok=True)
    for t, paths in enumerate(zip(*parts, strict=False)):
        picture, mask, behind, behind_mask = (cv2.imread(str(path)) for path in paths)
        share = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
        both = np.rint(share * picture + (1 - share) * behind).astype(np.uint8)
        cv2.imwrite(str(made / f"frames/{t:05d}.png"), both)
        cv2.imwrite(str(made / f"masks/{front.name}/{t:05d}.png"), mask)
        seen = np.where(mask > 127, 0, behind_mask)
        cv2.imwrite(str(made / f"masks/{clip.name}/{t:05d}.png"), seen)
    return made


if __name__ == "__main__":
    sys.exit(main())
