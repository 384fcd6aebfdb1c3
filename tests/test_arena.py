"""Arrays in a file: the same values, of any size, and nothing left behind."""

import gc

import numpy as np

from nvd_core.runtime import arena


def test_arrays_have_their_values_and_lie_in_no_file_that_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(arena, "CHUNK", 4096)
    random, kept = np.random.default_rng(0), arena.Arena(tmp_path)
    arrays = [random.random((n, 2)) for n in (3, 100, 0, 200, 5000)]
    arrays += [random.integers(0, 9, (7, 11)), np.float32([1, 2, 3])]
    copies = [kept.keep(array) for array in arrays]
    del kept
    gc.collect()
    for array, copy in zip(arrays, copies, strict=True):
        assert copy.dtype == array.dtype and copy.flags.writeable
        np.testing.assert_array_equal(copy, array)
    assert not list(tmp_path.iterdir())


def test_without_a_disk_they_are_kept_in_memory(tmp_path):
    kept = arena.Arena(tmp_path / "missing")
    np.testing.assert_array_equal(kept.keep(np.arange(9)), np.arange(9))
