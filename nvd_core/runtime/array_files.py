"""Reading NumPy's .npy and .npz: the header first, so that none takes memory it cannot fill.

Arrays of plain numbers only: no objects, which would be pickles, and no records.
"""

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nvd_core.runtime.sizes import MOST_ARRAY_BYTES, check_array, check_bytes

_NUMBERS = "biuf"
_MOST_AXES = 8


def map_npy(path: Path, mode: str = "r") -> np.memmap:
    """The array in a .npy file, mapped; what a damaged file raises is for `runtime.reading`."""
    path = Path(path)
    with path.open("rb") as file:
        shape, _, dtype = _header(file)
        check_array(path, shape, dtype.itemsize, path.stat().st_size - file.tell())
    return np.load(path, mmap_mode=mode, allow_pickle=False)


def npy_layout(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in a .npy file."""
    with Path(path).open("rb") as file:
        shape, _, dtype = _header(file)
    return shape, dtype


def read_npz(
    path: Path, most: int = MOST_ARRAY_BYTES, only: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """All arrays in an .npz file by name, or `only` these, `most` bytes; errors as above."""
    path = Path(path)
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        _once([part.filename for part in parts])
        if only is not None:
            parts = [part for part in parts if part.filename.removesuffix(".npy") in only]
        check_bytes(path, sum(p.file_size for p in parts), path.stat().st_size, most)
        for part in parts:
            with archive.open(part) as file:
                shape, fortran, dtype = _header(file)
                check_array(path, shape, dtype.itemsize, part.file_size - file.tell())
                data = file.read()  # to its end, where the checksum is
            array = np.frombuffer(data, dtype, int(np.prod(shape, dtype=object)))
            order = "F" if fortran else "C"
            arrays[part.filename.removesuffix(".npy")] = array.reshape(shape, order=order)
    return arrays


def _once(names: Collection[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError("two arrays of one name")


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type that the header claims."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not read here")
    if dtype.hasobject or dtype.kind not in _NUMBERS or dtype.subdtype is not None:
        raise ValueError(f"an array of {str(dtype)[:60]}, not of numbers")
    if len(shape) > _MOST_AXES or any(side < 0 for side in shape):
        raise ValueError(f"an array of {len(shape)} axes")
    return shape, fortran, dtype
