"""Values of images: their depths, and the sRGB curve. Integers are display-encoded."""

import numpy as np


def to_float(array: np.ndarray) -> np.ndarray:
    """`array` as float32; integers are scaled to 0..1, floating-point values stay as they are."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)


def to_integers(display: np.ndarray, dtype: type | np.dtype) -> np.ndarray:
    """Display-encoded values 0..1 (clamped) as rounded integers of `dtype` (uint8 or uint16)."""
    largest = np.float32(np.iinfo(dtype).max)
    clamped = np.clip(np.nan_to_num(display, nan=0.0), 0.0, 1.0)
    return (clamped * largest + np.float32(0.5)).astype(dtype)


def at_depth(frame: np.ndarray, bit_depth: int | str) -> np.ndarray:
    """`frame` of any depth as uint8 or uint16 for a `bit_depth` of 8 or 16, else as float32."""
    if bit_depth not in (8, 16):
        return to_float(frame)
    if bit_depth == 16:
        return frame if frame.dtype == np.uint16 else frame.astype(np.uint16) * 257
    if frame.dtype == np.uint16:
        return ((frame.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return frame


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear values, any shape, to the sRGB curve as float32, continued above 1; a line below 0."""
    linear = np.asarray(linear, np.float32)
    curve = np.float32(1.055) * np.maximum(linear, 0) ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(linear <= np.float32(0.0031308), linear * np.float32(12.92), curve)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """The inverse of `encode_srgb`, float32, continued above 1; a line below 0."""
    encoded = np.asarray(encoded, np.float32)
    base = (np.maximum(encoded, 0) + np.float32(0.055)) / np.float32(1.055)
    return np.where(
        encoded <= np.float32(0.04045), encoded / np.float32(12.92), base ** np.float32(2.4)
    )
