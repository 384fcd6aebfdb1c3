"""Straight and premultiplied alpha: pixels [H, W, C] whose last channel is the alpha."""

import numpy as np

NONE, STRAIGHT, PREMULTIPLIED = "none", "straight", "premultiplied"


def unpremultiplied(pixels: np.ndarray) -> np.ndarray:
    """Straight colours of premultiplied ones; where alpha is 0 they stay as they are."""
    colour, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    whole = _whole(pixels.dtype)
    colour = np.divide(colour * whole, alpha, out=colour, where=alpha != 0)
    return _joined(colour, pixels)


def premultiplied(pixels: np.ndarray) -> np.ndarray:
    """The inverse of `unpremultiplied`."""
    colour, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    return _joined(colour * (alpha / _whole(pixels.dtype)), pixels)


def with_alpha(pixels: np.ndarray, kind: str, wanted: str) -> np.ndarray:
    """Pixels of one `kind` of alpha as the `wanted` one; without one it is opaque or left out."""
    if kind == wanted:
        return pixels
    if kind == NONE:
        opaque = np.full_like(pixels[..., :1], _whole(pixels.dtype))
        return np.concatenate([pixels, opaque], axis=-1)
    if wanted == NONE:
        return with_alpha(pixels, kind, STRAIGHT)[..., :-1]
    return premultiplied(pixels) if wanted == PREMULTIPLIED else unpremultiplied(pixels)


def _whole(dtype: np.dtype) -> np.float32:
    """What stands for an alpha of 1."""
    return np.float32(np.iinfo(dtype).max if dtype.kind == "u" else 1)


def _joined(colour: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype.kind == "u":
        colour = np.rint(colour.clip(0, _whole(pixels.dtype)))
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., -1:]], axis=-1)
