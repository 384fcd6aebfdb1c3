"""Which device torch works on, and what runs there.

torch takes longer to import than a few frames take to render, so it is imported only where a
device is asked for that cannot be told without it.
"""

import ctypes
import importlib
import importlib.util
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nvd_core.runtime.errors import NvdError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEVICES = ("auto", "cpu", "cuda")
PROBE = "nvd_core.runtime.triton_probe"


_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def choose_device(device: str) -> "torch.device":
    """The device named `device`; "auto" takes CUDA where there is one."""
    import torch

    return torch.device(choose_kind(device))


def choose_kind(device: str) -> str:
    """What `choose_device` takes, "cpu" or "cuda"; without torch where there is no CUDA driver."""
    if device not in DEVICES:
        raise NvdError(
            f"there is no device {device}",
            expected=" or ".join(DEVICES),
            remedy="choose one of these, or leave it out",
        )
    if device == "cpu" or (device == "auto" and not _has_driver()):
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise NvdError(
            "CUDA was asked for, but torch finds no CUDA device",
            remedy="choose the device cpu or auto, or install a driver and torch with CUDA",
        )
    return "cuda" if available else "cpu"


def _has_driver() -> bool:
    """Whether CUDA's driver is installed. Without it torch finds no device either."""
    if "torch" in sys.modules:  # it is the one to say
        return True
    try:
        ctypes.CDLL(_DRIVERS[sys.platform])
    except (KeyError, OSError):
        return False
    return True


def wants_bfloat16(choice: str, device: "torch.device") -> bool:
    """Whether the setting mixed_precision ("auto", "on" or "off") means bfloat16 on `device`.

    "auto" takes it where the hardware multiplies it: CPUs with AVX-512 BF16 or AMX, GPUs from
    compute capability 8.0 (Ampere) on. Asked for on another GPU it is an NvdError; another CPU
    does it slowly.
    """
    import torch

    if choice == "off":
        return False
    if device.type == "cpu":
        # torch has no public question for it, and may drop these
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return choice == "on" or any(getattr(torch.cpu, name, bool)() for name in names)
    major, minor = torch.cuda.get_device_capability(device)
    if major < 8 and choice == "on":
        raise NvdError(
            "this GPU does not multiply bfloat16",
            expected="compute capability 8.0 or higher for mixed_precision: on",
            found=f"{torch.cuda.get_device_name(device)}, {major}.{minor}",
            remedy="set mixed_precision to auto or off",
        )
    return major >= 8


def to_device(array: np.ndarray, device: "torch.device") -> "Tensor":
    """An array as a tensor on `device`.

    To CUDA it travels through page-locked memory, so that nobody waits for the device: the copy is
    ordered before what the device is asked for next.
    """
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@lru_cache(maxsize=8)
def triton_works(device: "torch.device") -> bool:
    """Whether Triton's kernels run on `device`, found out by running one.

    Where triton is installed and fails all the same, a warning says why: it needs a C compiler to
    start its kernels, and a GPU that it knows.
    """
    if importlib.util.find_spec("triton") is None:
        return False
    try:
        importlib.import_module(PROBE).probe(device)
    except Exception as error:  # the compiler, the driver and triton raise what they like
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"Triton does not work on {device} and is not used: {reason}", stacklevel=2)
        return False
    return True
