"""Train one clip with several settings, and print how good each became and what a step cost.

    .envs/engine/bin/python tools/bench/compare_settings.py --steps 1000 \\
        "points=4500" "points=3000" "points=3000 mapping.mlp.width=32"

Each variant is the preset fast with the changes it names. Frames and priors are made once. Without
--clip and --mask it takes bear, where that stands in shared/clips/, else the sample clip. PSNR is
over the same pixels of all frames for every variant: with and without the residual, and within the
masks. A step's cost is processor time, in which threads add up.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.parts.machine import cores, processor
from bench.parts.subject import FULL, Bench, choose_subject
from nvd_core.evaluation.metrics import psnr
from nvd_core.fields.model import LayeredVideo
from nvd_core.runtime.malloc import keep_freed_memory
from nvd_core.settings import fast, set_settings
from nvd_core.work import ClipData

PIXELS, CHUNK = 120_000, 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="+", metavar="'NAME=VALUE ...'")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--clip")
    parser.add_argument("--mask", action="append", default=[])
    parser.add_argument("--height", type=int)
    arguments = parser.parse_args()
    subject = choose_subject(arguments.clip, arguments.mask, arguments.height, "cpu", FULL)
    print(f"{subject.about}; {processor()}, {cores()} cores; {arguments.steps} steps", flush=True)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(subject, FULL, Path(folder), changes={})
        for number, variant in enumerate(arguments.variants):
            settings = set_settings(fast(), [*variant.split(), f"iterations={arguments.steps}"])
            trainer = bench.trainer(str(number), replace(settings, checkpoint_seconds=1e9))
            begun = time.process_time()
            while trainer.step < trainer.steps:
                trainer._step()
            cost = (time.process_time() - begun) / trainer.steps
            print(f"{1000 * cost:6.1f} ms  {figures(trainer.model, trainer.data)}  {variant}")
            sys.stdout.flush()
    return 0


@torch.no_grad()
def figures(model: LayeredVideo, data: ClipData) -> str:
    """PSNR with and without the residual and within the masks, and the first object's IoU."""
    random = np.random.default_rng(7)
    frames, height, width = data.shape
    t = np.sort(random.integers(0, frames, PIXELS))
    x, y = random.integers(0, width, PIXELS), random.integers(0, height, PIXELS)
    true = torch.from_numpy(data.frames[t, y, x].astype(np.float32) / 255)
    mask = torch.from_numpy(data.masks[0, t, y, x] > 127)
    xy, t = torch.from_numpy(np.stack([x, y], -1).astype(np.float32)), torch.from_numpy(t)
    lit, plain, alpha = (
        torch.cat(part)
        for part in zip(
            *(seen(model, xy[i : i + CHUNK], t[i : i + CHUNK]) for i in range(0, PIXELS, CHUNK)),
            strict=True,
        )
    )
    error, plain_error = (lit - true).square(), (plain - true).square()
    overlap = (alpha & mask).sum() / (alpha | mask).sum()
    return (
        f"{psnr(error.mean().item()):.2f} dB  {psnr(plain_error.mean().item()):.2f} without light  "
        f"{psnr(error[mask].mean().item()):.2f} in masks  IoU {overlap:.3f}"
    )


def seen(
    model: LayeredVideo, xy: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Colours [P, 3] with and without the residual, and whether the first object shows [P]."""
    alphas = model.alpha(xy, t)
    lit = plain = 0
    for n in range(model.layers):
        colour, _, with_light = model.colour(n, model.mappings[n](xy, t), t)
        lit = lit + with_light * alphas[:, n : n + 1]
        plain = plain + colour * alphas[:, n : n + 1]
    return lit.clamp(0, 1), plain.clamp(0, 1), alphas[:, 0] > 0.5


if __name__ == "__main__":
    sys.exit(main())
