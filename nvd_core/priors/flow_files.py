"""Optical flow that was computed elsewhere, read from a folder.

The folder holds either `forward.npy` and `backward.npy`, each of T-1 pairs, float16 or float32
[T-1, H, W, 2], or the folders `forward/` and `backward/` with T-1 files in the order of their
names: Middlebury `.flo`, or `.npy` of [H, W, 2]. Flow is in pixels of its own size, x to the right
and y down; `forward` number t says where the pixels of frame t lie in frame t+1, `backward` number
t where those of frame t+1 lie in frame t. Flow of another size is scaled to that of `flow_size`.
"""

import re
from pathlib import Path

import cv2
import numpy as np

from nvd_core.runtime.array_files import map_npy
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import check_file, check_image

DIRECTIONS = ("forward", "backward")
_REMEDY = (
    "give a folder with forward.npy and backward.npy [T-1, H, W, 2], or with folders forward/ "
    "and backward/ of .flo or .npy files, one for each pair of frames"
)


def file_source(shape: tuple[int, int, int], folder: Path | str | None):
    """The source (pair t -> forward and backward flow) for T frames and flow of H x W."""
    if folder is None or not there(Path(folder).is_dir):
        raise NvdError(
            "there is no folder with optical flow",
            found=str(folder or "no path"),
            remedy=_REMEDY,
        )
    readers = [_reader(Path(folder), name, shape) for name in DIRECTIONS]
    return lambda t: tuple(_fitted(read(t), shape) for read in readers)


def read_flo(path: Path) -> np.ndarray:  # float32 [H, W, 2]
    """One Middlebury .flo file; NvdError where it is damaged."""
    with reading(path, "the optical flow", "write the optical flow again"):
        check_file(path)
        data = path.read_bytes()
    width, height = (int(n) for n in np.frombuffer(data[4:12].ljust(8, b"\0"), "<i4"))
    whole = 0 < width < 1 << 16 and 0 < height < 1 << 16
    whole = whole and len(data) >= 12 + 8 * width * height
    if data[:4] != b"PIEH" or not whole:
        raise NvdError(
            f"{path} is not a whole .flo file",
            expected="the mark PIEH, width, height and their pixels",
            found=f"{len(data)} bytes, {width} x {height}",
            remedy="write the optical flow again",
        )
    return np.frombuffer(data, "<f4", 2 * width * height, 12).reshape(height, width, 2)


def _reader(folder: Path, name: str, shape: tuple[int, int, int]):
    """A function that reads pair t of one direction, after a look at the number of pairs."""
    whole = folder / f"{name}.npy"
    if there(whole.is_file):
        array = _load(whole)
        _check_count(whole, array.shape[0] if array.ndim == 4 else 0, shape[0] - 1)
        return lambda t: _checked(whole, array[t])
    with reading(folder / name, "the optical flow", _REMEDY):
        files = [f for f in (folder / name).glob("*") if f.suffix.lower() in (".flo", ".npy")]
    files.sort(
        key=lambda file: [int(n) if n.isdigit() else n for n in re.split(r"(\d+)", file.name)]
    )
    _check_count(folder / name, len(files), shape[0] - 1)

    def read(t: int) -> np.ndarray:
        flo = files[t].suffix.lower() == ".flo"
        return _checked(files[t], read_flo(files[t]) if flo else _load(files[t]))

    return read


def _load(path: Path) -> np.ndarray:
    with reading(path, "the optical flow", _REMEDY):
        return map_npy(path)


def _check_count(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise NvdError(
            f"{path} has the wrong number of flow fields",
            expected=f"{expected}, one for each pair of neighbouring frames",
            found=str(found),
            remedy=_REMEDY,
        )


def _checked(path: Path, flow: np.ndarray) -> np.ndarray:  # float32 [H, W, 2]
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.dtype.kind != "f" or not flow.size:
        raise NvdError(
            f"{path} does not hold optical flow",
            expected="floating-point numbers [H, W, 2]",
            found=f"{flow.dtype} {list(flow.shape)}",
            remedy=_REMEDY,
        )
    check_image(path, flow.shape[1], flow.shape[0], 2, 4)
    # unknown flow (.flo marks it by 1e9 or more) points far outside, so it is never consistent
    flow = np.nan_to_num(np.asarray(flow, np.float32), nan=3e4, posinf=3e4, neginf=-3e4)
    return np.clip(flow, -3e4, 3e4)


def _fitted(flow: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    height, width = shape[1:]
    if flow.shape[:2] == (height, width):
        return flow
    scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    smaller = height * width < flow.shape[0] * flow.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(flow, (width, height), interpolation=method) * scale
