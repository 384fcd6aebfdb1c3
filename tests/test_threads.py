"""A process keeps to the number of threads that it was given."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import nvd_core
import numpy as np
import torch
from numba import prange
torch.set_num_threads({threads})
from nvd_core.runtime.kernel_threads import parallel_njit

def total(values):
    sum = 0.0
    for n in prange(len(values)):
        sum += values[n]
    return sum

before = torch.get_num_threads()
parallel = parallel_njit(total)
assert parallel(np.ones(1000)) == 1000
print(before, torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("threads", "given"), [(1, "1"), pytest.param(1, "", marks=pytest.mark.long), (3, "2")]
)
def test_a_parallel_kernel_does_not_change_the_number_of_torchs_threads(threads, given, tmp_path):
    """Numba's pool and torch's are one: a run that was given one thread is to end with one."""
    environment = os.environ | {"OMP_NUM_THREADS": given}
    environment.pop("NUMBA_NUM_THREADS", None)
    if not given:
        del environment["OMP_NUM_THREADS"]
    program = tmp_path / "program.py"  # Numba caches a kernel beside its file
    program.write_text(PROGRAM.format(threads=threads))
    done = subprocess.run(
        [sys.executable, program],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(threads)] * 2, done.stdout + done.stderr


REPORT = """
import os, sys
from nvd_core.cli import main as command_line, report
def info(parsed, progress):
    import cv2, numba, torch
    from nvd_core.media import images, movies
    from nvd_core.runtime.frame_threads import worker_count
    counts = [torch.get_num_threads(), numba.get_num_threads(), worker_count()]
    counts += [images._THREADS, movies._THREADS, cv2.getNumThreads()]
    return {"counts": " ".join(map(str, counts))}
report._info = info
sys.exit(command_line.main(["info", "nowhere", *sys.argv[1:]]))
"""


def test_threads_on_the_command_line_are_all_that_any_part_works_with():
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    command = [sys.executable, "-c", REPORT, "--threads", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "counts: 1 1 1 1 1 1", done.stdout + done.stderr
