"""Time the hash grid's backends side by side: forward and backward of one call.

    python tools/bench_hash_grid.py [--points 10000] [--threads 2]

Prints one line a layout: milliseconds of the torch reference and of Numba (the best of several
runs, which says least about what else the machine was doing), and their ratio.
"""

import argparse
import platform
import time
from collections.abc import Callable

import torch

from nvd_core.fields.hash_grid import GridLayout, HashGrid

LAYOUTS = {
    "3-D hash, 16 levels, 2^15": GridLayout(3),
    "2-D hash, 16 levels, 2^16, to 1600": GridLayout.for_finest(2, 16, 1600, log2_table=16),
    "3-D dense, 4 levels, base 4, x 1.6": GridLayout(3, 4, base=4, growth=1.6, kind="dense"),
}


def main() -> None:
    """Read the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, ", end="")
    print(f"{options.threads} threads, {options.points} points, forward + backward, ms")
    print(f"{'layout':36}{'gradients of':14}{'torch':>9}{'numba':>9}{'in place':>9}{'ratio':>8}")
    for name, layout in LAYOUTS.items():
        for with_x in (False, True):
            x = torch.rand(options.points, layout.dims).requires_grad_(with_x)
            reference = best(step(HashGrid(layout, "torch"), x), max(options.repeats // 6, 3))
            plain = best(step(HashGrid(layout, "numba"), x), options.repeats)
            in_place = HashGrid(layout, "numba", accumulate_in_place=True)
            fast = best(step(in_place, x), options.repeats)
            of = "table and x" if with_x else "table"
            times = f"{reference:9.1f}{plain:9.2f}{fast:9.2f}{reference / fast:8.0f}"
            print(f"{name:36}{of:14}{times}", flush=True)


def step(grid: HashGrid, x: torch.Tensor) -> Callable[[], None]:
    """One forward and backward pass; gradients pile up, as they do over the calls of one step."""
    grad = torch.randn(len(x), grid.out_features)
    return lambda: grid(x).backward(grad)


def best(call: Callable[[], None], repeats: int) -> float:
    """Milliseconds of the fastest of `repeats` calls, after one to compile."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
