"""Time the hash grid's backends side by side: forward and backward of one call.

    python tools/bench_hash_grid.py [--points 10000] [--threads 2]

Prints one line a layout: milliseconds of the torch reference with one thread and with all (its
scattered additions get slower by sharing), of Numba with all, without and with
accumulate_in_place, and how many times longer either reference takes than the last. Every figure
is the best of several runs, which says least about what else the machine was doing.
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
    heads = ("torch, 1", "torch", "numba", "in place", "times", "times")
    print(f"{'layout':36}{'gradients of':13}" + "".join(f"{head:>10}" for head in heads))
    for name, layout in LAYOUTS.items():
        for with_x in (False, True):
            x = torch.rand(options.points, layout.dims).requires_grad_(with_x)
            reference = step(HashGrid(layout, "torch"), x)
            few = max(options.repeats // 6, 3)
            torch.set_num_threads(1)
            alone = best(reference, few)
            torch.set_num_threads(options.threads)
            shared = best(reference, few)
            plain = best(step(HashGrid(layout, "numba"), x), options.repeats)
            in_place = HashGrid(layout, "numba", accumulate_in_place=True)
            fast = best(step(in_place, x), options.repeats)
            times = f"{alone:10.1f}{shared:10.1f}{plain:10.2f}{fast:10.2f}"
            ratios = f"{alone / fast:10.0f}{shared / fast:10.0f}"
            of = "table and x" if with_x else "table"
            print(f"{name:36}{of:13}{times}{ratios}", flush=True)


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
