"""Compare what is shown behind removed objects, and the clean plate, with a scene without them.

    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py crossing --out TRUTH \
        --size 848x480 --frames 12 --samples 4 --without flow light
    .envs/engine/bin/nvd decompose TRUTH/crossing/frames ... --out crossing.nvd
    .envs/engine/bin/python tools/bench/measure_clean.py crossing.nvd --truth TRUTH/crossing

The truth has `clean`: the scene rendered again without what stands in front, which still casts its
shadow, as it does for the engine. Printed are PSNR in dB over the pixels that the objects hide:
of `nvd render --remove` and of the clean plate of `nvd export`, apart for what the clip has seen of
the background somewhere and for what it never saw (the matte of --unseen), and of the plate as it
is. What --remove changed outside of the objects is printed too.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware
from nvd_core.editing.clean_plate import CleanPlate
from nvd_core.editing.render import render
from nvd_core.evaluation.metrics import psnr
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import read_image, to_float, to_integers, write_image
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import read_values

Clean = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""of frame t: the picture without the objects [H, W, 3], 0 to 1, and bool [H, W] what they hide"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--picture", type=Path, help="also write the middle frame: plate, removed, "
                        "truth, and what was never seen")  # fmt: skip
    arguments = parser.parse_args()
    truth = Truth.open(arguments.truth)
    if not truth.has("clean"):
        sys.exit(f"{truth.folder} has no clean pictures: render it without --without clean")

    def clean(t: int) -> tuple[np.ndarray, np.ndarray]:
        image = to_float(read_image(truth.path("clean", t)))
        hidden = image[..., 3] > 0.5
        return np.where(hidden[..., None], image[..., :3], truth.frame(t)), hidden

    print(json.dumps(clean_figures(Shot.open(arguments.shot), clean, arguments.picture), indent=1))
    print(f"{hardware()}, commit {commit()}", file=sys.stderr)
    return 0


def clean_figures(shot: Shot, clean: Clean, picture: Path | None = None) -> dict:
    """PSNR by area, and the share of the hidden pixels that was never seen."""
    sums: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as folder:
        out, unseen = Path(folder) / "out/%05d.png", Path(folder) / "unseen/%05d.png"
        render(shot, out, remove=shot.names[:-1], unseen=unseen, device="cpu")
        plates = CleanPlate(shot, {}, read_values(shot), shot.manifest.clip)
        for t, plate in enumerate(plates.frames(range(shot.frames))):
            true, hidden = clean(t)
            frame = to_float(read_image(shot.frame_path(t))[..., :3])
            removed = to_float(read_image(Path(str(out) % t))[..., :3])
            never = hidden & (to_float(read_image(Path(str(unseen) % t)))[..., 0] > 0.5)
            pictures = {"removed": removed, "clean_plate": to_float(plate), "plate": frame}
            for area, where in (("seen", hidden & ~never), ("never", never)):
                for name, image in pictures.items():
                    _add(sums, f"{name}_{area}", image, true, where)
            _add(sums, "outside", removed, frame, ~hidden)
            if picture and t == shot.frames // 2:
                _write(picture, [frame, removed, true, np.repeat(never[..., None], 3, 2)])
    found = {name: _psnr(parts) for name, parts in sums.items()}
    hidden_pixels, never_pixels = (
        sum(n for _, n in sums[f"removed_{area}"]) for area in ("seen", "never")
    )
    share = never_pixels / max(hidden_pixels + never_pixels, 1)
    return found | {"never_share": round(share, 4)}


def _add(sums: dict, name: str, image: np.ndarray, true: np.ndarray, where: np.ndarray) -> None:
    error = ((image.astype(np.float64) - true) ** 2).mean(-1)[where]
    sums.setdefault(name, []).append((float(error.sum()), len(error)))


def _psnr(parts: list) -> float | None:
    total, count = (sum(values) for values in zip(*parts, strict=True))
    return round(psnr(total / count), 2) if count else None


def _write(path: Path, pictures: list[np.ndarray]) -> None:
    rows = [np.concatenate(pictures[n : n + 2], 1) for n in (0, 2)]
    write_image(path, to_integers(np.concatenate(rows, 0).astype(np.float32), np.uint8))


if __name__ == "__main__":
    sys.exit(main())
