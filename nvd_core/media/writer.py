"""Writing frames: a movie, or numbered images, each complete or not there at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from nvd_core.media.images import decode_srgb, encode_srgb, to_float, to_integers, write_image
from nvd_core.media.movies import SCALING
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside

_BT709, _LIMITED = 1, 1  # FFmpeg's numbers for the colours and the range of TV
_CODECS = {
    ".mp4": ("mp4", "libx264", "yuv420p", {"crf": "12", "preset": "medium"}),
    ".mkv": ("matroska", "libx264", "yuv420p", {"crf": "12", "preset": "medium"}),
    ".mov": ("mov", "prores_ks", "yuv444p10le", {"profile": "4444", "vendor": "apl0"}),
}
_IMAGES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg")


class FrameWriter:
    """A context manager that takes frames one by one; see `open_writer`."""

    def write(self, index: int, frame: np.ndarray) -> None:
        """Write `frame` [H, W, C] as number `index`."""
        raise NotImplementedError

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def open_writer(
    out: Path | str,
    width: int,
    height: int,
    rate: Fraction,
    bit_depth: int | str = 8,
    encoding: str = "display",
) -> FrameWriter:
    """A writer of frames of `width` x `height` to a movie or to numbered images.

    .mp4 and .mkv hold H.264 (8-bit, an odd size is padded by one repeated row or column), .mov
    holds ProRes 4444 (10-bit); both BT.709 and without alpha. A movie's frames come in order, and
    it appears under its name when the writer closes without an exception.

    Image patterns (%05d or ####) take any order. .png and .tif are 8-bit where `bit_depth` is 8,
    otherwise 16-bit; .jpg is 8-bit; .exr is linear, `float` where `bit_depth` says so, else `half`.

    Frames are uint8, uint16 or floating point [H, W, 3], or [H, W, 4] with straight alpha.
    Integers are always display-encoded; `encoding` says what floating-point frames are, "display"
    or "linear". They are converted with the sRGB curve where the file holds the other.
    NvdError for any other `out`.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if encoding not in ("display", "linear"):
        raise ValueError(f"encoding is 'display' or 'linear', got {encoding!r}")
    if suffix in _CODECS and not is_pattern(out) and not out.is_dir():
        return _MovieWriter(out, width, height, rate, encoding)
    if suffix in _IMAGES and is_pattern(out):
        frame_path(out, 0)  # a pattern with two places for the number fails here
        return _ImageWriter(out, width, height, bit_depth, encoding)
    raise NvdError(
        f"cannot write to {out}",
        expected=f"a movie ({', '.join(_CODECS)}) or numbered images ({', '.join(_IMAGES)})",
        found="an image without a number" if suffix in _IMAGES else suffix or "no suffix",
        remedy="give an output such as result.mp4 or frames/%05d.png",
    )


class _ImageWriter(FrameWriter):
    def __init__(self, pattern: Path, width: int, height: int, bit_depth: int | str, encoding: str):
        self._pattern, self._shape, self._encoding = pattern, (height, width), encoding
        self._suffix = pattern.suffix.lower()
        if self._suffix == ".exr":
            self._dtype = np.dtype(np.float32 if bit_depth == "float" else np.float16)
        elif bit_depth == 8 or self._suffix in (".jpg", ".jpeg"):
            self._dtype = np.dtype(np.uint8)
        else:
            self._dtype = np.dtype(np.uint16)

    def write(self, index: int, frame: np.ndarray) -> None:
        _check_shape(frame, self._shape)
        if self._suffix in (".jpg", ".jpeg"):
            frame = frame[..., :3]
        write_image(
            frame_path(self._pattern, index), _converted(frame, self._dtype, self._encoding)
        )


class _MovieWriter(FrameWriter):
    def __init__(self, path: Path, width: int, height: int, rate: Fraction, encoding: str):
        self._path, self._shape, self._encoding = path, (height, width), encoding
        self._rate = Fraction(rate).limit_denominator(65535)
        self._container_format, self._codec, self._format, self._options = _CODECS[
            path.suffix.lower()
        ]
        # H.264's chroma has half the size
        even = 2 if self._format == "yuv420p" else 1
        self._padding = ((0, height % even), (0, width % even), (0, 0))
        self._first: int | None = None
        self._count = 0

    def __enter__(self) -> "FrameWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(written_beside(self._path))
            self._file = stack.enter_context(_OutputFile(temporary))
            with _as_os_errors():
                self._container = av.open(self._file, "w", format=self._container_format)
            stack.push(self._close)
            self._stream = self._new_stream()
            self._stack = stack.pop_all()
        return self

    def write(self, index: int, frame: np.ndarray) -> None:
        _check_shape(frame, self._shape)
        if self._first is None:
            self._first = index
        if index != self._first + self._count:
            raise ValueError(
                f"a movie is written in order: expected {self._first + self._count}, got {index}"
            )
        # swscale is biased by half a level between depths: 8-bit YUV from 8-bit RGB, 10 from 16
        deep = self._format == "yuv444p10le"
        display = _converted(frame[..., :3], np.uint16 if deep else np.uint8, self._encoding)
        padded = np.ascontiguousarray(np.pad(display, self._padding, mode="edge"))
        video = av.VideoFrame.from_ndarray(padded, "rgb48le" if deep else "rgb24").reformat(
            format=self._format,
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
            interpolation=SCALING,
            threads=2,
        )
        video.colorspace = video.color_primaries = video.color_trc = _BT709
        video.color_range = _LIMITED
        video.pts, video.time_base = self._count, 1 / self._rate
        self._count += 1
        self._mux(video)

    def __exit__(self, *exception: object) -> None:
        error = exception[1]
        with self._stack:  # closes the file, then renames it, or removes it after an exception
            if isinstance(error, BaseException):
                raise error
            self._mux(None)

    def _close(self, kind: type | None, *_: object) -> None:
        """Finish the movie; after an exception of that `kind`, which goes on, as far as it goes."""
        with suppress(OSError, av.FFmpegError) if kind else _as_os_errors():
            self._container.close()
            self._file.check()

    def _new_stream(self) -> av.VideoStream:
        added = self._container.add_stream(self._codec, rate=self._rate, options=self._options)
        stream = cast(av.VideoStream, added)
        stream.height = self._shape[0] + self._padding[0][1]
        stream.width = self._shape[1] + self._padding[1][1]
        stream.pix_fmt = self._format
        stream.time_base = 1 / self._rate
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        with _as_os_errors():
            self._container.mux(self._stream.encode(frame))
        self._file.check()


class _OutputFile:
    """The file that FFmpeg writes a movie to; `check` raises what the disk answered first.

    FFmpeg is given no name: it takes the 12: of 12:30.mp4 for a protocol. It is not told either of
    a disk that refuses, as it would go on all the same and forget some of it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._error: OSError | None = None
        self.tell = self._file.tell

    def write(self, data: bytes) -> int:
        return self._tried(len(data), self._file.write, data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._tried(offset, self._file.seek, offset, whence)

    def _tried(self, otherwise: int, call: Callable[..., int], *arguments: object) -> int:
        if self._error is None:
            try:
                return call(*arguments)
            except OSError as error:
                self._error = error
        return otherwise

    def check(self) -> None:
        """OSError where something could not be written."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> "_OutputFile":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        with suppress(OSError) if kind else nullcontext():  # what was left in its buffer
            self._file.close()


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn FFmpeg's errors into those that `written_beside` explains to the user."""
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error


def _check_shape(frame: np.ndarray, shape: tuple[int, int]) -> None:
    if frame.ndim != 3 or frame.shape[:2] != shape or frame.shape[2] not in (3, 4):
        raise ValueError(f"expected [{shape[0]}, {shape[1]}, 3 or 4], got {frame.shape}")


def _converted(frame: np.ndarray, dtype: np.dtype | type, encoding: str) -> np.ndarray:
    """The frame in `dtype`: display-encoded integers or linear floating point; alpha as it is."""
    linear = frame.dtype.kind == "f" and encoding == "linear"
    to_linear = np.dtype(dtype).kind == "f"
    if frame.dtype == dtype and linear == to_linear:
        return frame
    colours, alpha = to_float(frame[..., :3]), to_float(frame[..., 3:])
    if linear != to_linear:
        colours = decode_srgb(colours) if to_linear else encode_srgb(colours)
    values = np.concatenate([colours, alpha], axis=-1)
    return values.astype(dtype) if to_linear else to_integers(values, dtype)
