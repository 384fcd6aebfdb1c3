"""How many threads kernels take, and that their number comes back."""

import threading

import numpy as np
import pytest
import torch

from nvd_core.baking.coverage import Coverage
from nvd_core.runtime import kernel_threads
from nvd_core.runtime.kernel_threads import shared_by, sharing_threads

numba = kernel_threads.numba
"""imported after nvd_core, which tells it how many threads there are"""


@pytest.fixture(autouse=True)
def four_threads():
    """So many has torch, whatever the tests run with."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def covered() -> None:
    """A parallel kernel."""
    Coverage([(4, 4)]).add(np.zeros((1, 2, 2, 3), np.float32))


def test_threads_are_shared_within_and_no_longer():
    covered()  # starts Numba's threads
    before = numba.get_num_threads()
    with shared_by(4):
        assert torch.get_num_threads() == 1
        with sharing_threads() as count:
            assert count == numba.get_num_threads() == 1
            if numba.threading_layer() in ("omp", "tbb"):  # those that bear two at once
                with sharing_threads() as inner:
                    assert inner == 1
        covered()
    assert torch.get_num_threads() == 4
    if numba.threading_layer() in ("omp", "tbb"):
        assert numba.get_num_threads() == before


@pytest.mark.parametrize(("workers", "each"), [(1, 4), (2, 2), (3, 1), (9, 1)])
def test_each_worker_has_its_share(workers, each):
    found = []
    with shared_by(workers):
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    assert found == [each] and torch.get_num_threads() == 4
