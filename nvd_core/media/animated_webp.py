"""Animated WebP as a source of frames, which FFmpeg does not read: decoded by OpenCV."""

import struct
from collections.abc import Generator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.alpha import NONE, STRAIGHT
from nvd_core.media.movies import Movie
from nvd_core.media.picture import Picture
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import MOST_FRAMES, check_image, rate_fits

_ANIMATED, _ALPHA, _ICC = 0x02, 0x10, 0x20  # in the flags of VP8X
_AT_ONCE = 32
"""frames that are decoded at once; before them all others are, each time"""
_NO_DURATION = 100
"""milliseconds of a frame that names 0, as browsers take it"""
_REMEDY = "the file is damaged: copy or convert it again"


def is_animated_webp(path: Path | str) -> bool:
    """Whether a file under a WebP's name is an animation."""
    path = Path(path)
    if path.suffix.lower() != ".webp" or not there(path.is_file):
        return False
    with path.open("rb") as file:
        start = file.read(21)
    signed = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and len(start) == 21
    return signed and bool(start[20] & _ANIMATED)


class AnimatedWebp(Movie):
    """An animated WebP, its frames put together as browsers show them."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not hasattr(cv2, "imdecodeanimation"):
            raise NvdError(
                f"cannot read the animation {self.path}",
                expected="OpenCV of version 4.12 or newer for animated WebP",
                found=cv2.__version__,
                remedy="update opencv-python-headless, or convert it to numbered PNGs",
            )
        with reading(self.path, "the animation", _REMEDY):
            flags, self.width, self.height, durations = _read_chunks(self.path)
        check_image(self.path, self.width, self.height, 4, 1)
        self.frames = len(durations)
        if not self.frames:
            raise self._damaged("no frames")
        self._times = [0, *accumulate(durations[:-1])]
        self._base, self._seconds, self._timed = Fraction(1, 1000), 1e-3, True
        self._last, self._keys, self.metadata, self.sounds = durations[-1], [], {}, 0
        rate = Fraction(1000 * self.frames, sum(durations)).limit_denominator(1001)
        self.rate = rate if rate_fits(*rate.as_integer_ratio()) else Fraction(24)
        self.picture = Picture(alpha=STRAIGHT if flags & _ALPHA else NONE)
        self.cautions = []
        if flags & _ICC:
            self.cautions.append(f"{self.path.name} has an ICC profile: it is taken for sRGB")
        self.dtype = next(self.read(0, 1)).dtype

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """As `Movie.read`; uint8."""
        channels = [2, 1, 0] if self.picture.alpha == NONE else [2, 1, 0, 3]
        with reading(self.path, "the animation", _REMEDY):
            content = np.frombuffer(self.path.read_bytes(), np.uint8)
        for first in range(start, stop, _AT_ONCE):
            count = min(_AT_ONCE, stop - first)
            try:
                done, animation = cv2.imdecodeanimation(content, start=first, count=count)
            except cv2.error as error:
                raise self._damaged(f"frame {first} cannot be decoded") from error
            frames = animation.frames if done else ()
            if len(frames) < count:
                raise self._damaged(f"frame {first + len(frames)} cannot be decoded")
            for frame in frames[:count]:
                if frame.shape[:2] != (self.height, self.width) or frame.shape[2] < len(channels):
                    raise self._damaged(f"a frame of {frame.shape[1]} x {frame.shape[0]}")
                yield np.ascontiguousarray(frame[..., channels])

    def _damaged(self, why: str) -> NvdError:
        return NvdError(f"cannot read the animation {self.path}", found=why, remedy=_REMEDY)


def _read_chunks(path: Path) -> tuple[int, int, int, list[int]]:
    """Flags, width and height, and the milliseconds that each frame shows."""
    durations: list[int] = []
    with path.open("rb") as file:
        head = file.read(30)
        sizes = head[24:30]
        width, height = (1 + int.from_bytes(sizes[n : n + 3], "little") for n in (0, 3))
        while len(chunk := file.read(8)) == 8 and len(durations) <= MOST_FRAMES:
            name, length = struct.unpack("<4sI", chunk)
            end = file.tell() + length + length % 2
            if name == b"ANMF":
                frame = file.read(16)
                durations.append(int.from_bytes(frame[12:15], "little") or _NO_DURATION)
            file.seek(end)
    if len(durations) > MOST_FRAMES:
        raise NvdError(
            f"{path} has too many frames",
            expected=f"{MOST_FRAMES} at the most",
            remedy="convert it to numbered PNGs in several folders",
        )
    return head[20], width, height, durations
