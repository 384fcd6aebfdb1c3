"""How many threads kernels take, and that their number comes back."""

import numba
import numpy as np
import torch

from nvd_core.baking.coverage import Coverage
from nvd_core.runtime.kernel_threads import one_thread_each, sharing_threads


def test_one_thread_each_is_for_within_and_for_no_longer():
    Coverage([(4, 4)]).add(np.zeros((1, 2, 2, 3), np.float32))  # starts Numba's threads
    torch_before, numba_before = torch.get_num_threads(), numba.get_num_threads()
    with one_thread_each():
        assert torch.get_num_threads() == 1
        with sharing_threads() as count:
            assert count == numba.get_num_threads() == 1
            if numba.threading_layer() in ("omp", "tbb"):  # those that bear two at once
                with sharing_threads() as inner:
                    assert inner == 1
        Coverage([(4, 4)]).add(np.zeros((1, 2, 2, 3), np.float32))
    assert torch.get_num_threads() == torch_before
    if numba.threading_layer() in ("omp", "tbb"):
        assert numba.get_num_threads() == numba_before
