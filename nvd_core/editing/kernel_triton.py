"""The renderer of one frame as a Triton kernel for CUDA; kernel_torch.py is its plain twin.

A program takes a block of pixels through all layers and writes the frame's values at once.
Textures stay on the device. Maps and frames travel through page-locked memory, which the device
fetches by itself while the next layer is copied there. Importing this module needs triton.
"""

import threading
from collections.abc import Callable

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from nvd_core.editing.kernel_numba import COLUMNS, Kept, PackedTextures, pack_textures
from nvd_core.shot.maps import FrameMaps

BLOCK = 256
"""pixels a program"""

# columns of PackedTextures.table
_LAYER = tl.constexpr(0)
_WIDTH = tl.constexpr(1)
_HEIGHT = tl.constexpr(2)
_X = tl.constexpr(3)
_Y = tl.constexpr(4)
_STRIDE = tl.constexpr(5)
_TEXELS = tl.constexpr(6)
_X0 = tl.constexpr(7)
_X1 = tl.constexpr(8)
_Y0 = tl.constexpr(9)
_Y1 = tl.constexpr(10)
_COLUMNS = tl.constexpr(COLUMNS)


def make_kernel(
    textures: dict[int, np.ndarray],
    mode: str,
    linear: bool,
    device: torch.device,
    kept: Kept | None = None,
) -> Callable[[np.ndarray, FrameMaps], np.ndarray]:
    """The function that renders a frame with these textures, as `editing.kernel.make_kernel`."""
    kept = kept or Kept()
    packed = pack_textures(textures, mode == "delta", kept)
    layers = sorted({int(row[_LAYER.value]) for row in packed.table})
    resident = _to_device(packed, device)
    if not isinstance(kept.transfer, Transfer):
        kept.transfer = Transfer(device)
    transfer = kept.transfer
    lock = threading.Lock()  # the memory that frames travel through serves one at a time

    def kernel(frame: np.ndarray, maps: FrameMaps) -> np.ndarray:
        if not layers and mode == "delta":
            return frame
        with lock:
            uva = transfer.upload("uva", maps.uva, layers)
            residual = transfer.upload("residual", maps.residual, layers)
            if mode == "delta":
                source = transfer.upload("frame", frame)
                rendered = render_delta(source, uva, residual, resident, linear)
            else:
                added = None if maps.added is None else transfer.upload("added", maps.added)
                dtype = torch.from_numpy(frame[:0]).dtype
                rendered = render_full(uva, residual, added, resident, linear, dtype)
            return transfer.download(rendered)

    return kernel


class Transfer:
    """Carries arrays to a device and back through page-locked memory that is kept for the next."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pinned = device.type == "cuda"
        self._buffers: dict[str, tuple[Tensor, Tensor]] = {}

    def upload(self, name: str, array: np.ndarray, parts: list[int] | None = None) -> Tensor:
        """`array` on the device; of its first axis only `parts`, the rest is left undefined.

        It stands until the next array of this name. The caller's array may be changed at once; the
        copy is ordered before whatever else the current stream is given.
        """
        source = torch.from_numpy(array)
        host, there = self._buffers.get(name, (source[:0], source[:0]))
        if host.shape != source.shape or host.dtype != source.dtype:
            host = torch.empty(source.shape, dtype=source.dtype, pin_memory=self.pinned)
            there = torch.empty(source.shape, dtype=source.dtype, device=self.device)
            self._buffers[name] = host, there
        for part in [...] if parts is None else parts:
            host[part].copy_(source[part])
            there[part].copy_(host[part], non_blocking=True)
        return there

    def download(self, tensor: Tensor) -> np.ndarray:
        """A tensor as a new array, once all that was asked of the device before is done."""
        result = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self.pinned)
        result.copy_(tensor, non_blocking=True)
        if self.pinned:
            torch.cuda.current_stream(self.device).synchronize()
        return result.numpy()


def _to_device(packed: PackedTextures, device: torch.device) -> tuple[Tensor, Tensor]:
    """Table and texels."""
    return torch.from_numpy(packed.table).to(device), torch.from_numpy(packed.texels).to(device)


def render_delta(
    frame: Tensor,  # [H, W, 3] uint8, uint16 or float32
    uva: Tensor,  # [L, H, W, 3] float32
    residual: Tensor,  # [L, H, W, 3] floating point
    deltas: tuple[Tensor, Tensor],  # table and texels
    linear: bool,
) -> Tensor:  # as frame
    """`frame` plus the deltas as the maps carry them; untouched where they are 0."""
    out = torch.empty_like(frame)
    _launch(frame, uva, residual, None, deltas, out, linear)
    return out


def render_full(
    uva: Tensor,  # [L, H, W, 3] float32
    residual: Tensor,  # [L, H, W, 3] floating point
    added: Tensor | None,  # [H, W, 3], light on top
    textures: tuple[Tensor, Tensor],  # table and texels
    linear: bool,
    dtype: torch.dtype,  # uint8, uint16 or float32
) -> Tensor:  # [H, W, 3]
    """The layers composed from their textures alone."""
    out = torch.empty(uva.shape[1:], dtype=dtype, device=uva.device)
    _launch(None, uva, residual, added, textures, out, linear)
    return out


def _launch(frame, uva, residual, added, textures, out, linear: bool) -> None:
    pixels = out.shape[0] * out.shape[1]
    table, texels = textures
    largest = 0 if out.dtype.is_floating_point else torch.iinfo(out.dtype).max
    with torch.cuda.device_of(out):
        _render[(triton.cdiv(pixels, BLOCK),)](
            frame, uva, residual, added, table, texels, out, pixels,
            ROWS=len(table), DELTA=frame is not None, ADDED=added is not None, LARGEST=largest,
            LINEAR=linear and not largest, BLOCK=BLOCK, enable_fp_fusion=False,
        )  # fmt: skip


@triton.jit
def _render(
    frame, uva, residual, added, table, texels, out, pixels,
    ROWS: tl.constexpr, DELTA: tl.constexpr, ADDED: tl.constexpr, LARGEST: tl.constexpr,
    LINEAR: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sum over layers of alpha * residual * texture(u, v), added to the frame if DELTA."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    red = tl.zeros((BLOCK,), tl.float32)
    green = tl.zeros((BLOCK,), tl.float32)
    blue = tl.zeros((BLOCK,), tl.float32)
    for k in range(ROWS):
        row = table + k * _COLUMNS
        place = (tl.load(row + _LAYER) * pixels + pixel) * 3
        alpha = tl.load(uva + place + 2, mask=inside, other=0.0)
        shown = inside & (alpha != 0)
        u = tl.load(uva + place, mask=shown, other=0.0)
        v = tl.load(uva + place + 1, mask=shown, other=0.0)
        width, height = tl.load(row + _WIDTH), tl.load(row + _HEIGHT)
        # float32 has too few digits for a place within a large texture
        x = _clamped(u.to(tl.float64) * width.to(tl.float64) - 0.5, width)
        y = _clamped((1.0 - v.to(tl.float64)) * height.to(tl.float64) - 0.5, height)
        x0, y0 = x.to(tl.int64), y.to(tl.int64)
        if DELTA:  # textures are cropped: beyond this box they are 0
            shown = shown & (x0 >= tl.load(row + _X0)) & (x0 <= tl.load(row + _X1))
            shown = shown & (y0 >= tl.load(row + _Y0)) & (y0 <= tl.load(row + _Y1))
        stride = tl.load(row + _STRIDE)
        at = tl.load(row + _TEXELS) + (y0 - tl.load(row + _Y)) * stride + x0 - tl.load(row + _X)
        right = (x0 + 1 < width).to(tl.int64)
        below = tl.where(y0 + 1 < height, stride, 0)
        fx, fy = (x - x0.to(tl.float64)).to(tl.float32), (y - y0.to(tl.float64)).to(tl.float32)
        corners = texels + at * 3
        light = residual + place
        red += alpha * _lit(light, corners, right * 3, below * 3, fx, fy, shown)
        green += alpha * _lit(light + 1, corners + 1, right * 3, below * 3, fx, fy, shown)
        blue += alpha * _lit(light + 2, corners + 2, right * 3, below * 3, fx, fy, shown)
    _finish(frame, added, out, pixel * 3, red, inside, DELTA, ADDED, LARGEST, LINEAR)
    _finish(frame, added, out, pixel * 3 + 1, green, inside, DELTA, ADDED, LARGEST, LINEAR)
    _finish(frame, added, out, pixel * 3 + 2, blue, inside, DELTA, ADDED, LARGEST, LINEAR)


@triton.jit
def _clamped(place, size):
    """Texel coordinates within 0 .. size - 1; NaN becomes 0."""
    place = tl.where(place > 0.0, place, 0.0)
    last = (size - 1).to(tl.float64)
    return tl.where(place < last, place, last)


@triton.jit
def _lit(light, corner, right, below, fx, fy, shown):
    """The residual times the bilinear lookup of one channel; 0 where not `shown`."""
    d = fx * fy
    b, c = fx - d, fy - d
    a = 1.0 - fx - c
    value = a * tl.load(corner, mask=shown, other=0.0)
    value += b * tl.load(corner + right, mask=shown, other=0.0)
    value += c * tl.load(corner + below, mask=shown, other=0.0)
    value += d * tl.load(corner + right + below, mask=shown, other=0.0)
    return tl.load(light, mask=shown, other=0.0).to(tl.float32) * value


@triton.jit
def _finish(
    frame, added, out, at, total, inside,
    DELTA: tl.constexpr, ADDED: tl.constexpr, LARGEST: tl.constexpr, LINEAR: tl.constexpr,
):  # fmt: skip
    """Store one channel in the frame's type; a change of exactly 0 keeps the frame's value."""
    if ADDED:
        total += tl.load(added + at, mask=inside, other=0.0)
    result = total
    if DELTA:
        shot = tl.load(frame + at, mask=inside, other=0)
        value = shot.to(tl.float32)
        if LARGEST > 0:
            result = _integer(value + total * LARGEST, LARGEST)
        elif LINEAR:
            result = _decode(_encode(value) + total)
        else:
            result = value + total
        result = tl.where(total == 0, value, result)
    elif LARGEST > 0:
        result = _integer(total * LARGEST, LARGEST)
    elif LINEAR:
        result = _decode(total)
    if LARGEST > 0:
        result = result.to(tl.int32)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _integer(value, LARGEST: tl.constexpr):
    """`value`, already scaled, clamped and rounded; NaN becomes 0."""
    value = tl.where(value > 0.0, value, 0.0)
    return tl.floor(tl.where(value < LARGEST, value, LARGEST) + 0.5)


@triton.jit
def _encode(value):
    """The sRGB curve, continued above 1; a line below 0."""
    curve = 1.055 * _power(value, 1 / 2.4) - 0.055
    return tl.where(value <= 0.0031308, value * 12.92, curve)


@triton.jit
def _decode(value):
    """The inverse of `_encode`."""
    curve = _power((value + 0.055) / 1.055, 2.4)
    return tl.where(value <= 0.04045, value / 12.92, curve)


@triton.jit
def _power(value, exponent: tl.constexpr):
    """value^exponent for positive values; others become some number that nobody takes."""
    return tl.exp2(tl.log2(tl.where(value > 0.0, value, 1.0)) * exponent)
