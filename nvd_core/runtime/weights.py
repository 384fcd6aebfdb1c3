"""Weights that somebody else trained: a file that torch wrote, read safely and within bounds."""

import zipfile
from pathlib import Path

import torch

from nvd_core.runtime.documents import Unreadable
from nvd_core.runtime.sizes import MOST_ARRAY_BYTES, check_bytes, check_file


def load_weights(path: Path | str, most: int = MOST_ARRAY_BYTES) -> dict[str, torch.Tensor]:
    """The finite tensors of a state dict by name, nothing else taken from the file.

    What a damaged file raises is for `runtime.reading`. Every tensor owns what it claims: one of a
    single number that says it is a million wide is refused.
    """
    path = Path(path)
    size = check_file(path, most)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # torch packs nothing
            check_bytes(path, sum(part.file_size for part in archive.infolist()), size, size)
    else:
        _check_old(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise Unreadable(f"a {type(state).__name__} in place of tensors by name")
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    for name, value in tensors.items():
        if not isinstance(name, str) or value.layout != torch.strided or value.numel() == 0:
            raise Unreadable(f"no whole tensor {str(name)[:60]}")
        if value.numel() * value.element_size() > size:
            raise Unreadable(f"{str(name)[:60]} claims {list(value.shape)[:8]}")
        if value.is_floating_point() and not value.isfinite().all():
            raise Unreadable(f"NaN or infinity in {str(name)[:60]}")
    return tensors


def _check_old(path: Path) -> None:
    """Unreadable unless the file begins as torch's older format does, whose sizes it then names."""
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            raise Unreadable("no file of weights that torch wrote")
