"""Which device torch works on."""

import torch

from nvd_core.errors import NvdError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(device: str) -> torch.device:
    """The device named `device`; "auto" takes CUDA where there is one."""
    if device not in DEVICES:
        raise NvdError(
            f"there is no device {device}",
            expected=" or ".join(DEVICES),
            remedy="choose one of these, or leave it out",
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise NvdError(
            "CUDA was asked for, but torch finds no CUDA device",
            remedy="choose the device cpu or auto, or install a driver and torch with CUDA",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
