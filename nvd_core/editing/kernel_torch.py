"""The renderer of one frame in plain torch: for CUDA, and the twin that checks kernel_numba.py."""

import torch
from torch import Tensor

from nvd_core.shot.maps import FrameMaps


def to_device(
    textures: dict, device: torch.device, dtype: torch.dtype = torch.float32
) -> dict[int, Tensor]:
    """Textures or deltas [h, w, 3] by their layer's number, as tensors."""
    return {n: torch.from_numpy(image).to(device, dtype) for n, image in textures.items()}


def composed(maps: FrameMaps, textures: dict[int, Tensor]) -> Tensor:
    """Sum over the layers of alpha * residual * texture(u, v), [H, W, 3], display-encoded.

    With textures it is the full picture, with deltas the change of it.
    """
    first = next(iter(textures.values()))
    total = torch.zeros(maps.uva.shape[1:], dtype=first.dtype, device=first.device)
    for n, texture in textures.items():
        uva = torch.from_numpy(maps.uva[n]).to(total)
        light = torch.from_numpy(maps.residual[n]).to(total)
        total += uva[..., 2:] * light * lookup(texture, uva[..., 0], uva[..., 1])
    return total


def lookup(
    texture: Tensor,  # [h, w, 3]
    u: Tensor,  # [...]
    v: Tensor,  # [...]
) -> Tensor:  # [..., 3]
    """Bilinear lookup with clamped edges; u right, v up, texel centres at (i + 0.5) / size."""
    height, width = texture.shape[:2]
    # float32 has too few digits for a place within a large texture
    x = (u.double() * width - 0.5).nan_to_num(0).clamp(0, width - 1)
    y = ((1 - v.double()) * height - 0.5).nan_to_num(0).clamp(0, height - 1)
    x0, y0 = x.floor().long(), y.floor().long()
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    fx = (x - x0).to(texture.dtype)[..., None]
    fy = (y - y0).to(texture.dtype)[..., None]
    above = texture[y0, x0] * (1 - fx) + texture[y0, x1] * fx
    below = texture[y1, x0] * (1 - fx) + texture[y1, x1] * fx
    return above * (1 - fy) + below * fy


def add_delta(
    frame: Tensor,  # [H, W, 3] uint8, int32 holding 16 bits, or floating point
    delta: Tensor,  # [H, W, 3] display-encoded
    largest: int,  # what stands for 1.0 in an integer frame; 0 for floating point
    linear: bool,
) -> Tensor:  # as frame
    """`frame` with `delta` added; where the delta is 0 the frame's value comes back untouched."""
    values = frame.to(delta.dtype)
    if largest:
        changed = to_integers(values / largest + delta, largest)
    elif linear:
        changed = decode(encode(values) + delta)
    else:
        changed = values + delta
    return torch.where(delta == 0, frame, changed.to(frame.dtype))


def to_integers(display: Tensor, largest: int) -> Tensor:
    """Display-encoded values, clamped to 0..1, as whole numbers up to `largest`."""
    return (display.clamp(0, 1) * largest + 0.5).floor()


def encode(linear: Tensor) -> Tensor:
    """The sRGB curve, continued above 1; a line below 0."""
    curve = 1.055 * linear.clamp(min=0) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def decode(display: Tensor) -> Tensor:
    """The inverse of `encode`."""
    curve = ((display.clamp(min=0) + 0.055) / 1.055) ** 2.4
    return torch.where(display <= 0.04045, display / 12.92, curve)
