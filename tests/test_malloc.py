"""Freed arrays are used again instead of being asked of the system anew."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nvd_core.runtime.malloc import KeptArrays

pytestmark = pytest.mark.slow

CODE = """
import resource, sys
from nvd_core.runtime.malloc import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else False
import torch
torch.set_num_threads(1)
from nvd_core.fields.mlp import Mlp
from nvd_core.settings import MlpSettings
mlp = Mlp(24, 3, MlpSettings(3, 64))
x = torch.randn(9000, 24)
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step(): mlp(x).sum().backward()
for _ in range(5): step()
before = faults()
for _ in range(20): step()
print(kept, faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux'")
def test_arrays_of_a_step_cause_no_page_faults():
    kept, faults = {}, {}
    for way in ("kept", "left"):
        command = [sys.executable, "-c", CODE, way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        kept[way], faults[way] = done.stdout.split()
    if kept["kept"] != "True":
        pytest.skip("this C library has no mallopt")
    assert 3 * int(faults["kept"]) < int(faults["left"])


def test_arrays_are_used_again_once_nobody_holds_them_or_a_view():
    kept = KeptArrays()
    first = kept.empty((3, 4))
    other = kept.empty((3, 4))
    assert other is not first and first.dtype == np.float32
    view, place = first[1:], first.ctypes.data
    del first
    assert kept.empty((3, 4)).ctypes.data not in (place, other.ctypes.data)
    del view
    assert kept.empty((3, 4)).ctypes.data == place
    assert kept.empty((4, 3)).shape == (4, 3)


def test_threads_never_get_the_same_array():
    kept, ways = KeptArrays(), 4

    def write(number: int) -> bool:
        for _ in range(200):
            array = kept.empty((64, 64))
            array[:] = number
            if not (array == number).all():
                return False
        return True

    with ThreadPoolExecutor(ways) as pool:
        assert all(pool.map(write, range(ways)))
    assert len(kept._arrays) <= 2 * ways
