"""What the start of a training needs of memory and time by the length of its clip.

    .envs/engine/bin/python tools/bench/measure_long.py 200 800 2000 --out /tmp/long
    .envs/engine/bin/python tools/bench/measure_long.py 200 2000 --parts --out /tmp/long

The clip's arrays are written as they would lie in work/, 160x96, with one picture in every frame:
neither memory nor the number of points that are looked up depends on what is in them. Each length
runs in a process of its own. Seconds are of the processor; `anonymous` is what the machine must
have, and `first step` has a first reading of a million points in it.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nvd_core.fields.model import ClipShape, LayeredVideo
from nvd_core.priors.mapping_start import StartParts, layer_starts
from nvd_core.settings import fast
from nvd_core.training.trainer import Trainer
from nvd_core.work import ClipData

HEIGHT, WIDTH = 96, 160
STEPS = 5
COLUMNS = ("frames", "opened s", "start s", "first step s", "anonymous MB", "checkpoint MB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", nargs="+", type=int)
    parser.add_argument("--parts", action="store_true", help="the object has a part")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measured(arguments.out, arguments.frames[0], arguments.parts)))
        return 0
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for frames in arguments.frames:
        words = [sys.executable, __file__, str(frames), "--out", str(arguments.out), "--alone"]
        words += ["--parts"] if arguments.parts else []
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        print("| " + " | ".join(str(row[name]) for name in COLUMNS) + " |", flush=True)
    return 0


def measured(out: Path, frames: int, parts: bool) -> dict:
    """The row of one length, by the names of COLUMNS."""
    folder = out / f"{frames}"
    work = folder / "work"
    write_arrays(work, frames)
    torch.set_num_threads(1)
    begun = time.process_time()
    data = ClipData(work)
    opened = time.process_time()
    motion = np.tile(np.eye(3), (2, frames, 1, 1))
    known = None
    if parts:
        labels = np.load(work / "parts.npy", mmap_mode="r")
        known = StartParts([["rest", "leg"], []], labels, motion[:1])
    starts = layer_starts(data, motion, [False, True], True, (), known)
    settings = fast()
    settings.iterations = 40
    model = LayeredVideo(ClipShape(*data.shape), ["object", "background"], settings, starts)
    trainer = Trainer(model, data, settings, 0, torch.device("cpu"), folder)
    started = time.process_time()
    trainer._step()
    first = time.process_time()
    while trainer.step < STEPS:
        trainer._step()
    trainer.save()
    status = Path("/proc/self/status").read_text()
    anonymous = re.search(r"RssAnon:\s+(\d+)", status)
    values = (
        frames,
        round(opened - begun, 2),
        round(started - opened, 2),
        round(first - started, 2),
        int(anonymous[1]) >> 10 if anonymous else 0,
        trainer.checkpoint.stat().st_size >> 20,
    )
    return dict(zip(COLUMNS, values, strict=True))


def write_arrays(work: Path, frames: int) -> None:
    """The arrays that a training reads, and the parts' numbers."""
    work.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[30:60, 50:90] = 255
    leg = (np.arange(HEIGHT)[:, None] > 45) * np.ones((HEIGHT, WIDTH), np.uint8)
    still, agrees = np.zeros((HEIGHT, WIDTH, 2), np.float16), np.ones((HEIGHT, WIDTH), np.uint8)
    for name, count, value in (
        ("frames", (frames,), picture),
        ("masks", (1, frames), mask),
        ("mask_weight", (1, frames), np.full_like(mask, 255)),
        ("flow_forward", (frames - 1,), still),
        ("flow_backward", (frames - 1,), still),
        ("flow_ok", (2, frames - 1), agrees),
        ("parts", (2, frames), leg.astype(np.uint8)),
    ):
        path = work / f"{name}.npy"
        if not path.exists():
            array = np.lib.format.open_memmap(
                path, mode="w+", dtype=value.dtype, shape=(*count, *value.shape)
            )
            array[:] = value


if __name__ == "__main__":
    sys.exit(main())
