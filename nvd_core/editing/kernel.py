"""The function that renders a frame: Numba's on the CPU, Triton's or plain torch on CUDA."""

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nvd_core.editing import kernel_numba
from nvd_core.editing.kernel_draft import draft_texels, render_draft
from nvd_core.editing.kernel_nodes import NodeMaps, render_delta_nodes
from nvd_core.media.draft import Draft
from nvd_core.media.images import decode_srgb, to_integers
from nvd_core.runtime.devices import triton_works
from nvd_core.shot.maps import FrameMaps

if TYPE_CHECKING:
    import torch

Kernel = Callable[[np.ndarray, Any], np.ndarray]
"""from the source frame [H, W, 3] and its maps to the rendered frame in the same dtype, or Planes

The maps are FrameMaps or, on the CPU and for deltas, NodeMaps.
"""


def make_kernel(
    textures: dict[int, np.ndarray],
    mode: str,
    linear: bool,
    device: str,
    kept: kernel_numba.Kept | None = None,
    draft: Draft | None = None,
) -> Kernel:
    """The function that renders a frame with these textures (deltas in the mode "delta").

    Textures are numbered as the layers of the maps that the function will be given.
    `linear` says what floating-point frames hold; integers are display-encoded. On the `device`
    "cuda" it is a Triton kernel where Triton works, else plain torch; on "cpu" Numba's. With `kept`
    a rendering's next kernel takes over what has not changed, and the one before is not to be used.
    `draft`: what is made of bytes may be off by kernel_draft.DRAFT_ERROR where that is faster, and
    is Planes where it has weights.
    """
    if device != "cuda":
        return _cpu_kernel(textures, mode, linear, kept, draft)
    import torch

    on = torch.device(device)
    if triton_works(on):
        kernel_triton = importlib.import_module("nvd_core.editing.kernel_triton")
        return kernel_triton.make_kernel(textures, mode, linear, on, kept)
    return _cuda_kernel(textures, mode, linear, on)


def _cpu_kernel(
    textures: dict,
    mode: str,
    linear: bool,
    kept: kernel_numba.Kept | None = None,
    draft: Draft | None = None,
) -> Kernel:
    packed = kernel_numba.pack_textures(textures, mode == "delta", kept)

    @cache
    def texels() -> np.ndarray | None:  # only for compact maps: they take as much memory again
        return draft_texels(packed)

    def kernel(frame: np.ndarray, maps: FrameMaps | NodeMaps) -> Any:  # Planes too, of a draft
        rough = draft is not None and isinstance(maps, NodeMaps) and frame.dtype == np.uint8
        if rough and texels() is not None:
            return render_draft(frame, maps, packed, texels(), draft)
        out = np.empty_like(frame)
        if isinstance(maps, NodeMaps):
            render_delta_nodes(frame, maps, packed, linear, out)
        elif mode == "delta":
            kernel_numba.render_delta(frame, maps, packed, linear, out)
        elif maps.added is not None:
            display = np.empty(frame.shape, np.float32)
            kernel_numba.render_full(maps, packed, False, display)
            out = from_display(display + maps.added, frame.dtype, linear)
        else:
            kernel_numba.render_full(maps, packed, linear, out)
        return out

    return kernel


def _cuda_kernel(textures: dict, mode: str, linear: bool, device: "torch.device") -> Kernel:
    import torch

    from nvd_core.editing import kernel_torch

    if mode == "delta":
        textures = {n: delta for n, delta in textures.items() if delta.any()}
    tensors = kernel_torch.to_device(textures, device)

    def kernel(frame: np.ndarray, maps: FrameMaps) -> np.ndarray:
        if not tensors:
            return frame
        composed = kernel_torch.composed(maps, tensors)
        if mode == "full" and maps.added is not None:
            composed += torch.from_numpy(maps.added).to(composed)
        largest = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 0
        # torch has next to no arithmetic on 16-bit unsigned integers
        source = frame.astype(np.int32) if frame.dtype == np.uint16 else frame
        if mode == "delta":
            source = torch.from_numpy(source).to(device)
            result = kernel_torch.add_delta(source, composed, largest, linear)
        elif largest:
            result = kernel_torch.to_integers(composed, largest)
        else:
            result = kernel_torch.decode(composed) if linear else composed
        return result.cpu().numpy().astype(frame.dtype)

    return kernel


def from_display(display: np.ndarray, dtype: np.dtype, linear: bool) -> np.ndarray:
    """Display-encoded float32 values as a frame of `dtype`, as the kernels write it."""
    if dtype.kind == "u":
        return to_integers(display, dtype)
    return decode_srgb(display) if linear else display
