"""What a file may claim: its sizes are checked before memory is taken for them.

A claim is held against what the file can hold, its bytes times what its compression can do at the
most, and against a limit that is stated here and in docs/reference/trust.md.
"""

import math
from pathlib import Path

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.memory import gigabytes

MOST_FRAMES = 1_000_000
"""of a clip: eleven hours"""
MOST_LAYERS = 64
MOST_SIDE = 1 << 16
"""pixels along a side of an image"""
MOST_PIXELS = 1 << 27
"""of an image: 16384 x 8192"""
MOST_IMAGE_BYTES = 1 << 30
"""of an image, decoded"""
MOST_ARRAY_BYTES = 1 << 30
"""of arrays that are read whole, and of weights"""
LOWEST_RATE, HIGHEST_RATE = 0.01, 100_000
"""frames a second"""
MOST_DIGITS_OF_FRAME = 20
"""of the number in a file's name"""
MOST_GROWN = 256
"""pixels by which the hole of an object that is removed may be widened"""
_UNPROVED = 64 << 20
"""bytes that any file may claim"""
_EXPANSION = {".png": 1100, ".npz": 1100}
_ANY_EXPANSION = 50_000
"""a picture of one colour in the best of formats"""


def check_image(path: Path, width: int, height: int, channels: int, itemsize: int) -> None:
    """NvdError where the image in `path` claims more than it can hold, or than is taken."""
    claim = f"{width} x {height} pixels of {channels} channels"
    size = width * height * channels * itemsize
    if not (width > 0 and height > 0 and 0 < channels <= 1024):
        raise _beyond(path, "an image with pixels in it", claim)
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS or size > MOST_IMAGE_BYTES:
        most = f"{MOST_PIXELS >> 20} million pixels and {gigabytes(MOST_IMAGE_BYTES)} at the most"
        raise _beyond(path, most, claim)
    there = _bytes_of(path)
    if size > _UNPROVED and size > there * _EXPANSION.get(path.suffix.lower(), _ANY_EXPANSION):
        raise _beyond(path, "a file that can hold what it claims", f"{claim} in {there} bytes")


def check_array(path: Path, shape: tuple[int, ...], itemsize: int, there: int) -> None:
    """NvdError where an array that claims `shape` cannot lie in the `there` bytes after its header.

    One that is read from the disk as it is needed has no other limit.
    """
    size = math.prod(shape) * itemsize
    if size > there:
        claim = f"{' x '.join(map(str, shape[:8]))} numbers in {there} bytes"
        raise _beyond(path, "a file that can hold what it claims", claim)


def check_bytes(path: Path, claimed: int, there: int, most: int = MOST_ARRAY_BYTES) -> None:
    """NvdError where packed data of `there` bytes claim to be more than they can be, or `most`."""
    if claimed > most:
        raise _beyond(path, f"{gigabytes(most)} at the most", gigabytes(claimed))
    if claimed > _UNPROVED and claimed > there * _EXPANSION[".npz"]:
        found = f"{claimed} bytes packed into {there}"
        raise _beyond(path, "a file that can hold what it claims", found)


def check_file(path: Path, most: int = MOST_ARRAY_BYTES) -> int:
    """The bytes of a file that is to be read whole; NvdError where it is larger than `most`."""
    size = _bytes_of(path)
    if size > most:
        raise _beyond(path, f"{gigabytes(most)} at the most", gigabytes(size))
    return size


def rate_fits(numerator: int, denominator: int) -> bool:
    """Whether numbers are a rate that a clip can have, and a movie's file can note."""
    largest = 2**31 - 1
    if not (0 < numerator <= largest and 0 < denominator <= largest):
        return False
    return LOWEST_RATE <= numerator / denominator <= HIGHEST_RATE


def _bytes_of(path: Path) -> int:
    return path.stat().st_size


def _beyond(path: Path, expected: str, found: str) -> NvdError:
    return NvdError(
        f"{path} claims a size that cannot be right",
        expected=expected,
        found=found,
        remedy="the file is damaged, or not what it seems: copy or make it again",
    )
