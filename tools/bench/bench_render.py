"""Time the renderer's kernel alone, from maps in memory, as a live preview would use it.

    python tools/bench/bench_render.py [--width 1920] [--height 1080] [--layers 2] [--threads 2]

Prints one line a case: frames a second of the best and of the median of several runs, and the
processor time of a frame. An object stands before a background that pans; the small edit is a
patch on each of them.
"""

import argparse
import platform
import time
from collections.abc import Generator

import numba
import numpy as np

from nvd_core.editing.kernel import make_kernel
from nvd_core.shot.maps import FrameMaps

FRAMES, RUNS = 6, 7


def main() -> None:
    """Read the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    size = f"{options.width} x {options.height}, {options.layers} layers, {options.device}"
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, {size}")
    for name, best, median, processor in cases(
        options.width, options.height, options.layers, options.device
    ):
        print(f"{name:<28} {1 / best:7.1f} fps best  {1 / median:7.1f} median", end="")
        print(f"  {1000 * processor:6.1f} ms of processor time a frame", flush=True)


def cases(
    width: int, height: int, layers: int, device: str
) -> Generator[tuple[str, float, float, float], None, None]:
    """Each case's name and what `measured` says of it."""
    clip = [maps_of(t, layers, width, height) for t in range(FRAMES)]
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    linear = frame.astype(np.float32) / 255
    texture = np.full((height, width * 3 // 2, 3), 0.3, np.float32)
    textures = dict.fromkeys(range(layers), texture)
    small = dict.fromkeys(textures, patch(texture))
    for name, mode, deltas, source in (
        ("delta, small edit", "delta", small, frame),
        ("delta, small edit, linear", "delta", small, linear),
        ("delta, everything painted", "delta", textures, frame),
        ("full", "full", textures, frame),
    ):
        kernel = make_kernel(deltas, mode, source is linear, device)
        yield name, *measured(lambda maps, k=kernel, s=source: k(s, maps), clip)


def measured(render, clip: list[FrameMaps]) -> tuple[float, float, float]:
    """Seconds a frame of the best and the median run, and the least processor time a frame."""
    render(clip[0])
    walls, processors = [], []
    for _ in range(RUNS):
        wall, processor = time.perf_counter(), time.process_time()
        for maps in clip:
            render(maps)
        walls.append((time.perf_counter() - wall) / len(clip))
        processors.append((time.process_time() - processor) / len(clip))
    return min(walls), float(np.median(walls)), min(processors)


def maps_of(t: int, layers: int, width: int, height: int) -> FrameMaps:
    """Discs that move, each with a soft edge, before a panning background."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    left = np.ones((height, width), np.float32)
    planes = []
    for n in range(layers - 1):
        centre = width * (n + 1) / layers + 8 * t
        radius = height / 4
        own = np.clip((radius - np.hypot(x - centre, y - height / 2)) / 8, 0, 1)
        u, v = 0.5 + (x - centre) / (2 * radius), 0.5 - (y - height / 2) / (2 * radius)
        planes.append(np.stack([u, v, left * own], -1))
        left = left * (1 - own)
    planes.append(np.stack([(x + 20 * t) / (width * 1.2), 1 - y / height, left], -1))
    uva = np.stack(planes).astype(np.float32)
    uva[uva[..., 2] == 0] = 0
    light = np.stack([np.sin(x / 90), np.cos(y / 70), np.sin((x + y) / 99)], -1)
    residual = np.broadcast_to(1 + 0.2 * light.astype(np.float32), uva.shape).copy()
    return FrameMaps(uva, residual)


def patch(texture: np.ndarray) -> np.ndarray:
    """The texture, but 0 outside a patch of a sixth of its width and height in its middle."""
    height, width = texture.shape[:2]
    result = np.zeros_like(texture)
    middle = np.s_[height * 5 // 12 : height * 7 // 12, width * 5 // 12 : width * 7 // 12]
    result[middle] = texture[middle]
    return result


if __name__ == "__main__":
    main()
