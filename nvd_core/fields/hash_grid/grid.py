"""A multi-resolution grid of learnable features: its layout in memory, and the module around it.

The layout is tiny-cuda-nn's, entry for entry, so a table trained by one backend is read by the
others (`kernel_torch`, the readable reference; `kernel_numba`, the fast one for CPUs;
`kernel_triton`, the fast one for CUDA; `kernel_tcnn`, tiny-cuda-nn itself on CUDA).
"""

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from nvd_core.runtime.devices import triton_works
from nvd_core.runtime.errors import NvdError

PRIMES = (1, 2654435761, 805459861)
"""Factors of the x, y and z cell in the hash, in 32-bit unsigned arithmetic."""

BACKENDS = {
    "torch": "nvd_core.fields.hash_grid.kernel_torch",
    "numba": "nvd_core.fields.hash_grid.kernel_numba",
    "triton": "nvd_core.fields.hash_grid.kernel_triton",
    "tcnn": "nvd_core.fields.hash_grid.kernel_tcnn",
}

PACKAGES = {"triton": ("triton", "Triton"), "tcnn": ("tinycudann", "tiny-cuda-nn")}
"""What a backend imports that a plain installation may lack, and its name."""

IN_PLACE = ("numba", "triton")
"""Backends that can add gradients straight into `table.grad`."""

MAX_LEVEL_ENTRIES = 2**31 - 1  # tiny-cuda-nn counts in uint32 and gives up at half of that


@dataclass(frozen=True)
class GridLayout:
    """Where every level of a grid lies in one flat table.

    Level l has scale_l = base * growth^l - 1 and resolution_l = ceil(scale_l) + 1 vertices along an
    axis. A point x in [0, 1]^D lies at x * scale_l + 0.5 and takes the linear interpolation of the
    2^D vertices around it. A level that fits is stored densely, else its vertices are hashed.
    """

    dims: int
    """Axes of the input: 2 or 3."""
    levels: int = 16
    """Number of resolutions."""
    features: int = 2
    """Learnable values in an entry."""
    log2_table: int = 15
    """A level has at most 2^log2_table entries (ignored by kind "dense")."""
    base: int = 16
    """Resolution of the coarsest level."""
    growth: float = 1.25
    """Factor from one level's resolution to the next."""
    kind: str = "hash"
    """"hash", or "dense": every level stored in full."""

    def __post_init__(self) -> None:
        for name in ("dims", "levels", "features", "log2_table", "base"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}")
        if self.dims not in (2, 3):
            raise ValueError(f"dims must be 2 or 3, got {self.dims}")
        if not 1 <= self.levels <= 32:
            raise ValueError(f"levels must lie in 1..32, got {self.levels}")
        if not 1 <= self.features <= 8:
            raise ValueError(f"features must lie in 1..8, got {self.features}")
        if not 3 <= self.log2_table <= 30:
            raise ValueError(f"log2_table must lie in 3..30, got {self.log2_table}")
        if self.base < 1:
            raise ValueError(f"base must be at least 1, got {self.base}")
        if not (math.isfinite(self.growth) and self.growth >= 1):
            raise ValueError(f"growth must be at least 1, got {self.growth}")
        if self.kind not in ("hash", "dense"):
            raise ValueError(f'kind must be "hash" or "dense", got {self.kind!r}')
        if self.resolutions[-1] > 2**24:
            raise ValueError(f"the finest level has {self.resolutions[-1]} vertices, at most 2^24")
        if self.kind == "dense" and self.resolutions[-1] ** self.dims > MAX_LEVEL_ENTRIES - 8:
            raise ValueError(f"a dense level of {self.resolutions[-1]}^{self.dims} is too large")

    @classmethod
    def for_finest(
        cls,
        dims: int,
        levels: int,
        finest: int,
        *,
        features: int = 2,
        log2_table: int = 15,
        base: int = 16,
        kind: str = "hash",
    ) -> "GridLayout":
        """A layout whose levels grow evenly from `base` to exactly `finest` cells along an axis.

        One level alone has `finest` cells, whatever `base` says.
        """
        if finest < base:
            raise ValueError(f"finest must be at least base {base}, got {finest}")
        if levels == 1:
            return cls(dims, 1, features, log2_table, finest, 1.0, kind)
        growth = np.float32((finest / base) ** (1 / (levels - 1)))
        while True:  # rounding may push the last level one vertex too far: take the float below
            layout = cls(dims, levels, features, log2_table, base, max(float(growth), 1.0), kind)
            if layout.resolutions[-1] <= finest:
                return layout
            growth = np.nextafter(growth, np.float32(0))

    @cached_property
    def scales(self) -> tuple[float, ...]:
        """scale_l = base * 2^(l * log2 growth) - 1, every step rounded to float32."""
        one, base = np.float32(1), np.float32(self.base)
        log2_growth = np.float32(math.log2(np.float32(self.growth)))
        powers = (np.float32(2.0 ** float(np.float32(l) * log2_growth)) for l in range(self.levels))
        return tuple(float(power * base - one) for power in powers)

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Vertices along an axis, a level."""
        return tuple(math.ceil(scale) + 1 for scale in self.scales)

    @cached_property
    def level_entries(self) -> tuple[int, ...]:
        """Entries of every level: resolution^D rounded up to 8, capped unless kind is "dense"."""
        full = [-(-(r**self.dims) // 8) * 8 for r in self.resolutions]
        return tuple(full if self.kind == "dense" else [min(n, 2**self.log2_table) for n in full])

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First entry of every level, and at the end the number of all entries (levels + 1)."""
        return (0, *(int(n) for n in np.cumsum(self.level_entries, dtype=np.int64)))

    @property
    def entries(self) -> int:
        """Entries of all levels together."""
        return self.offsets[-1]

    @cached_property
    def dense(self) -> tuple[bool, ...]:
        """Whether a level is indexed by x + y * resolution + z * resolution^2 or hashed."""
        return tuple(
            self.kind == "dense" or r**self.dims <= n
            for r, n in zip(self.resolutions, self.level_entries, strict=True)
        )

    @property
    def out_features(self) -> int:
        """Values that a point is encoded to."""
        return self.levels * self.features


def check_arguments(x: Tensor, table: Tensor, layout: GridLayout) -> None:
    """Raise TypeError or ValueError unless x is [P, D] and table [entries, F], alike in type."""
    if x.dim() != 2 or x.shape[1] != layout.dims:
        raise ValueError(f"x must be [P, {layout.dims}], got {tuple(x.shape)}")
    if tuple(table.shape) != (layout.entries, layout.features):
        expected = (layout.entries, layout.features)
        raise ValueError(f"table must be {expected}, got {tuple(table.shape)}")
    if x.dtype != table.dtype or x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x and table must share float32 or float64, got {x.dtype}, {table.dtype}")
    if x.device != table.device:
        raise ValueError(f"x is on {x.device}, table on {table.device}")


def gradient_buffer(table: Tensor, in_place: bool) -> Tensor:
    """Zeros like the table, or the table's own gradient (made if there is none)."""
    if not in_place:
        return torch.zeros_like(table, memory_format=torch.contiguous_format)
    if table.grad is None:
        table.grad = torch.zeros_like(table, memory_format=torch.contiguous_format)
    if not table.grad.is_contiguous():
        raise ValueError(f"table.grad must be contiguous, its strides are {table.grad.stride()}")
    return table.grad.detach()


def backend_for(device: torch.device) -> str:
    """The fastest backend that runs on `device`.

    On CUDA Triton, else tiny-cuda-nn, else torch. Triton comes first since every run of the tests
    checks its kernels, and it can add gradients in place.
    """
    if device.type == "cpu":
        return "numba"
    if device.type == "cuda" and triton_works(device):
        return "triton"
    if device.type == "cuda" and importlib.util.find_spec("tinycudann") is not None:
        return "tcnn"
    return "torch"


def load_backend(name: str) -> ModuleType:
    """The module of a backend; its `encode(x, table, layout)` does the work."""
    if name not in BACKENDS:
        raise ValueError(f'backend must be "auto" or one of {sorted(BACKENDS)}, got {name!r}')
    package, called = PACKAGES.get(name, (None, name))
    if package and importlib.util.find_spec(package) is None:
        raise NvdError(
            f"{called} is not installed",
            expected=f"the Python package {package}",
            remedy='install it, or choose the backend "auto"',
        )
    return importlib.import_module(BACKENDS[name])


class HashGrid(torch.nn.Module):
    """Encode points by the features of a multi-resolution grid.

    `accumulate_in_place` lets the backends that can (`IN_PLACE`) add gradients straight into
    `table.grad`, which saves filling, adding and freeing one array of the table's size a call.
    Gradients of the table are then had by `loss.backward()` only: `torch.autograd.grad` would not
    see them, and hooks on the table do not run.
    """

    def __init__(
        self,
        layout: GridLayout,
        backend: str = "auto",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        accumulate_in_place: bool = False,
    ):
        super().__init__()
        if backend != "auto":
            load_backend(backend)
        self.layout = layout
        self.backend = backend
        self.accumulate_in_place = accumulate_in_place
        table = torch.empty(layout.entries, layout.features, dtype=dtype)
        self.table = torch.nn.Parameter(table.uniform_(-1e-4, 1e-4, generator=generator))

    @property
    def out_features(self) -> int:
        """Values that a point is encoded to."""
        return self.layout.out_features

    def forward(
        self,
        x: Tensor,  # [P, D]
    ) -> Tensor:  # [P, L * F]
        """Features of the points, level after level. x lies in [0, 1]; beyond, the grid repeats."""
        name = backend_for(self.table.device) if self.backend == "auto" else self.backend
        encode: Callable[..., Tensor] = load_backend(name).encode
        x = x.to(self.table.dtype)
        if name in IN_PLACE:
            return encode(x, self.table, self.layout, accumulate_in_place=self.accumulate_in_place)
        return encode(x, self.table, self.layout)

    def extra_repr(self) -> str:
        """The layout, for print(model)."""
        return f"{self.layout}, backend={self.backend!r}"
