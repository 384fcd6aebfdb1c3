"""The grid encoding by tiny-cuda-nn, where its PyTorch bindings are installed. Needs CUDA.

Our table, flattened, is the encoding's parameter vector. Written from tiny-cuda-nn's sources and
documentation; its test runs only where the bindings are.
"""

from functools import lru_cache

import torch
from torch import Tensor

from nvd_core.fields.hash_grid.grid import GridLayout, check_arguments


def encode(
    x: Tensor,  # [P, D] float32
    table: Tensor,  # [entries, F] float32
    layout: GridLayout,
) -> Tensor:  # [P, L * F]
    """Interpolate every level at x. Differentiable in x and in table."""
    check_arguments(x, table, layout)
    if x.dtype != torch.float32:
        raise TypeError(f"tiny-cuda-nn encodes float32, got {x.dtype}")
    with torch.cuda.device(x.device):
        encoding = _encoding(layout, x.device.index)
        return torch.func.functional_call(encoding, {"params": table.reshape(-1)}, (x,))


def encoding_config(layout: GridLayout) -> dict[str, str | int | float]:
    """The layout in the words of tiny-cuda-nn's configuration."""
    return {
        "otype": "Grid",
        "type": layout.kind.capitalize(),
        "n_levels": layout.levels,
        "n_features_per_level": layout.features,
        "log2_hashmap_size": layout.log2_table,
        "base_resolution": layout.base,
        "per_level_scale": layout.growth,
        "interpolation": "Linear",
    }


@lru_cache(maxsize=16)
def _encoding(layout: GridLayout, device_index: int) -> torch.nn.Module:
    """The native encoding of a layout on a device, float32 throughout."""
    import tinycudann

    encoding = tinycudann.Encoding(layout.dims, encoding_config(layout), dtype=torch.float32)
    if encoding.params.numel() != layout.entries * layout.features:
        raise ValueError(
            f"tiny-cuda-nn lays out {encoding.params.numel()} values, "
            f"we {layout.entries * layout.features}: {layout}"
        )
    return encoding.requires_grad_(False)
