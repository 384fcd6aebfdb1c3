"""Time the hash grid's backends side by side: forward and backward of one call.

    python tools/bench/bench_hash_grid.py [--points 10000] [--threads 2]
    python tools/bench/bench_hash_grid.py --device cuda

Prints one line a layout. On the CPU: milliseconds of the torch reference with one thread and with
all (its scattered additions get slower by sharing), of Numba with all, without and with
accumulate_in_place, and how many times longer either reference takes than the last. On CUDA: of the
torch reference, of Triton without and with accumulate_in_place, of tiny-cuda-nn where it is
installed, and how many times longer the reference takes than Triton in place. Every figure is the
best of several runs, which says least about what else the machine was doing.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable

import torch

from nvd_core.fields.hash_grid.grid import GridLayout, HashGrid
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import NvdError

CPU_HEADS = ("torch, 1", "torch", "numba", "in place", "times", "times")
CUDA_HEADS = ("torch", "triton", "in place", "tcnn", "times")

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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    print(f"{name}, torch {torch.__version__}, {options.threads} threads, ", end="")
    print(f"{options.points} points, forward + backward, ms")
    measure, heads = (on_cuda, CUDA_HEADS) if device.type == "cuda" else (on_cpu, CPU_HEADS)
    print(f"{'layout':36}{'gradients of':13}" + "".join(f"{head:>10}" for head in heads))
    for name, layout in LAYOUTS.items():
        for with_x in (False, True):
            x = torch.rand(options.points, layout.dims, device=device).requires_grad_(with_x)
            figures = "".join(f"{figure:10.2f}" for figure in measure(layout, x, options.repeats))
            print(f"{name:36}{'table and x' if with_x else 'table':13}{figures}", flush=True)


def on_cpu(layout: GridLayout, x: torch.Tensor, repeats: int) -> list[float]:
    """The figures under CPU_HEADS."""
    threads, few = torch.get_num_threads(), max(repeats // 6, 3)
    reference = step(HashGrid(layout, "torch"), x)
    torch.set_num_threads(1)
    alone = best(reference, few)
    torch.set_num_threads(threads)
    shared = best(reference, few)
    plain = best(step(HashGrid(layout, "numba"), x), repeats)
    fast = best(step(HashGrid(layout, "numba", accumulate_in_place=True), x), repeats)
    return [alone, shared, plain, fast, alone / fast, shared / fast]


def on_cuda(layout: GridLayout, x: torch.Tensor, repeats: int) -> list[float]:
    """The figures under CUDA_HEADS; nan for what is not installed."""
    figures = []
    for backend, in_place in (
        ("torch", False),
        ("triton", False),
        ("triton", True),
        ("tcnn", False),
    ):
        try:
            grid = HashGrid(layout, backend, accumulate_in_place=in_place).to(x.device)
            figures.append(best(step(grid, x), repeats))
        except NvdError as error:
            print(error.problem)
            figures.append(math.nan)
    return [*figures, figures[0] / figures[2]]


def step(grid: HashGrid, x: torch.Tensor) -> Callable[[], None]:
    """One forward and backward pass; gradients pile up, as they do over the calls of one step."""
    grad = torch.randn(len(x), grid.out_features, device=x.device)
    wait = torch.cuda.synchronize if x.is_cuda else lambda: None

    def call() -> None:
        grid(x).backward(grad)
        wait()

    return call


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
