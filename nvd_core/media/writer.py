"""Writing frames: a movie, or numbered images, each complete or not there at all."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.codecs import (
    CONTAINERS,
    DEFAULTS,
    DRAFT,
    FINE,
    Quality,
    codec_for,
    holds_alpha,
    layout_of,
    options_of,
    with_matrix,
)
from nvd_core.media.colour_tags import FileTags
from nvd_core.media.images import decode_srgb, encode_srgb, to_float, to_integers, write_image
from nvd_core.media.movie_tags import FULL, RGB, MovieTags
from nvd_core.media.movies import RGB_LAYOUTS, SCALING
from nvd_core.media.output_tags import (
    image_cautions,
    image_tags,
    keeps_space,
    movie_cautions,
)
from nvd_core.media.overscan import Window
from nvd_core.media.picture import PLAIN, Picture
from nvd_core.media.quick_png import QUICK
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.media.timeline import UNTIMED, Timing
from nvd_core.media.working import working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside

_IMAGES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx")


Placed = tuple[Window, tuple[int, int]]
"""where an EXR's pixels lie, and width and height of the display that they lie in"""


class FrameWriter:
    """A context manager that takes frames one by one; see `open_writer`."""

    cautions: Sequence[str] = ()
    """what of the picture the format does not hold, in words"""

    def write(self, index: int, frame: np.ndarray, window: Placed | None = None) -> None:
        """Write `frame` [H, W, C] as number `index`.

        An EXR may lie in a `window` of a display of that width and height, and have its size.
        """
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
    picture: Picture = PLAIN,
    tags: FileTags | None = None,
    codec: str | None = None,
    quality: Quality = None,
    timing: Timing = UNTIMED,
) -> FrameWriter:
    """A writer of frames of `width` x `height` to a movie or to numbered images.

    Movies hold the `codec` (`codecs.CODECS`), by itself H.264 in .mp4 and .mkv, ProRes 4444 in
    .mov, VP9 in .webm and DNxHR HQX in .mxf. Where the chroma is halved, an odd size is padded by
    one repeated row or column. Movies are tagged as `picture.movie` says, BT.709 where it says
    nothing. Their frames come in order, and a movie appears under its name when the writer closes
    without an exception.

    Image patterns (%05d or ####) take any order. .png is 8-bit where `bit_depth` is 8, otherwise
    16-bit; .tif too, but linear floating point for a `bit_depth` of float; .jpg is 8-bit; a
    .dpx may have a `bit_depth` of 10; .exr is linear, `float` where `bit_depth` says so, else
    `half`. They say what `tags` say, where the format can. `quality`, 1 to 100, is for codecs that
    lose something, and for JPEG; "draft" is for movies and PNG, as fast as can be. `timing` is what
    the output says of its time, and its sound.

    Frames are uint8, uint16 or floating point [H, W, 3 or 4]; `picture` says what their alpha and
    their linear values are (RGBA of a picture without alpha is straight). Integers are always
    display-encoded; `encoding` says what floating-point frames are, "display" or "linear". Frames
    are converted with the sRGB curve, and Rec.709 is made of linear primaries, where the file
    holds the other. EXR holds premultiplied alpha, as does floating-point TIFF of a premultiplied
    picture; all others hold straight alpha.
    NvdError for any other `out`, and for values that would lose their meaning.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    quality = None if quality == FINE else quality
    if encoding not in ("display", "linear"):
        raise ValueError(f"encoding is 'display' or 'linear', got {encoding!r}")
    if suffix in DEFAULTS and not is_pattern(out) and not out.is_dir():
        return _MovieWriter(
            out, width, height, rate, encoding, picture, codec, quality, bit_depth, timing
        )
    if suffix in _IMAGES and is_pattern(out):
        frame_path(out, 0)  # a pattern with two places for the number fails here
        _check_images(suffix, codec, quality)
        return _ImageWriter(out, width, height, bit_depth, encoding, picture, tags, quality, timing)
    raise NvdError(
        f"cannot write to {out}",
        expected=f"a movie ({', '.join(DEFAULTS)}) or numbered images ({', '.join(_IMAGES)})",
        found="an image without a number" if suffix in _IMAGES else suffix or "no suffix",
        remedy="give an output such as result.mp4 or frames/%05d.png",
    )


def _check_images(suffix: str, codec: str | None, quality: Quality) -> None:
    """NvdError for what is asked of images and these have not."""
    if codec is not None:
        raise NvdError(
            f"numbered {suffix} files have no codec",
            found=f"--codec {codec}",
            remedy="leave out --codec, or give a movie as the output",
        )
    if quality == DRAFT:
        if suffix == ".png":
            return
        raise NvdError(
            f"numbered images {suffix} have no draft",
            expected="--quality draft for a movie, or .png",
            found=f"--quality draft for {suffix}",
            remedy="leave out --quality draft",
        )
    if quality is not None and suffix not in (".jpg", ".jpeg"):
        raise NvdError(
            f"{suffix} has no quality to choose",
            expected="--quality for .jpg or a movie",
            found=f"--quality {quality}",
            remedy="leave out --quality; --bits says how deep images are",
        )


class _ImageWriter(FrameWriter):
    def __init__(
        self,
        pattern: Path,
        width: int,
        height: int,
        bit_depth: int | str,
        encoding: str,
        picture: Picture,
        tags: FileTags | None,
        quality: Quality,
        timing: Timing,
    ):
        self._timing = timing
        self._compression = None if quality is None else f"jpeg:{quality}"
        if quality == DRAFT:
            self._compression = QUICK
        self._pattern, self._shape, self._encoding = pattern, (height, width), encoding
        self._picture, self._suffix = picture, pattern.suffix.lower()
        jpeg = self._suffix in (".jpg", ".jpeg")
        deep = self._suffix in (".tif", ".tiff") and bit_depth == "float"
        dpx = self._suffix == ".dpx"
        self._bits = 10 if dpx and bit_depth == 10 else None
        if self._suffix == ".exr":
            self._dtype = np.dtype(np.float32 if bit_depth == "float" else np.float16)
        elif deep:
            self._dtype = np.dtype(np.float32)
        else:
            self._dtype = np.dtype(np.uint8 if bit_depth == 8 or jpeg else np.uint16)
        # A TIFF of a premultiplied clip stays so: dividing would lose the light where alpha is 0
        self._associated = deep and picture.alpha == PREMULTIPLIED
        whole = self._suffix == ".exr" or self._associated
        self._kind = NONE if jpeg or dpx else PREMULTIPLIED if whole else STRAIGHT
        self._tags = replace(
            image_tags(pattern, self._dtype, encoding, picture, tags),
            rate=timing.rate,
            reel=timing.reel,
        )
        self.cautions = image_cautions(pattern, picture, self._dtype, encoding)
        self._keeps = keeps_space(pattern, picture, self._dtype.kind == "f", encoding)

    def write(self, index: int, frame: np.ndarray, window: Placed | None = None) -> None:
        """As `FrameWriter`."""
        _check_shape(frame, self._shape if window is None else frame.shape[:2])
        picture = _picture_of(frame, self._picture)
        kind = NONE if picture.alpha == NONE else self._kind
        values = _converted(frame, self._dtype, self._encoding, picture, kind, self._keeps)
        path = frame_path(self._pattern, index)
        write_image(
            path,
            values,
            self._compression,
            tags=replace(self._tags, timecode=self._timing.codes.get(index)),
            as_stored=True,
            window=window,
            bits=self._bits,
            associated=self._associated,
        )


class _MovieWriter(FrameWriter):
    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        rate: Fraction,
        encoding: str,
        picture: Picture,
        codec: str | None,
        quality: Quality,
        bit_depth: int | str,
        timing: Timing,
    ):
        self._timing = timing
        self._path, self._shape, self._encoding = path, (height, width), encoding
        self._picture, self._suffix = picture, path.suffix.lower()
        self._rate = Fraction(rate).limit_denominator(65535)
        self._codec = codec_for(path, codec, width, height, self._rate, quality)
        self._alpha = picture.alpha != NONE and holds_alpha(self._codec, self._suffix)
        self._deep = self._codec.deep and not (self._codec.is_rgb and bit_depth == 8)
        self._format = layout_of(self._codec, self._alpha, self._deep)
        self._options = options_of(self._codec, self._alpha, quality)
        self._tags = MovieTags.of(picture.movie, self._codec.full_range)
        if self._codec.is_rgb:
            self._tags = replace(self._tags, matrix=RGB, range=FULL)
        self.cautions = movie_cautions(
            path, picture, self._codec, self._alpha, self._deep, encoding
        )
        if quality == DRAFT and self._codec.draft is None:
            same = f"{self._codec.title} is no faster as a draft: it is written as ever"
            self.cautions = [*self.cautions, same]
        self._keeps = keeps_space(path, picture, False, encoding)
        across, down = self._codec.halves
        self._padding = ((0, -height % down), (0, -width % across), (0, 0))
        self._first: int | None = None
        self._count = 0
        self._durations: dict[int, int] = {}
        self._packets: Generator[tuple[Fraction, list[av.Packet]], None, None] | None = None
        self._sounded = Fraction(-1)

    def __enter__(self) -> "FrameWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(written_beside(self._path))
            self._file = stack.enter_context(_OutputFile(temporary))
            with _as_os_errors():
                self._container = av.open(self._file, "w", format=CONTAINERS[self._suffix])
            stack.push(self._close)
            self._stream = self._new_stream()
            if self._timing.sound:
                self._packets = self._timing.sound.packets(self._container)
                stack.callback(self._packets.close)
                next(self._packets)  # adds the tracks
            self._stack = stack.pop_all()
        return self

    def write(self, index: int, frame: np.ndarray, window: Placed | None = None) -> None:
        """As `FrameWriter`; frames lie in no window."""
        _check_shape(frame, self._shape)
        if self._first is None:
            self._first = index
        if index != self._first + self._count:
            raise ValueError(
                f"a movie is written in order: expected {self._first + self._count}, got {index}"
            )
        # swscale is biased by half a level between depths: 8-bit YUV from 8-bit RGB, 10 from 16
        dtype = np.dtype(np.uint16 if self._deep else np.uint8)
        picture = _picture_of(frame, self._picture)
        kind = STRAIGHT if self._alpha else NONE
        display = _converted(frame, dtype, self._encoding, picture, kind, self._keeps)
        padded = np.ascontiguousarray(np.pad(display, self._padding, mode="edge"))
        layout = RGB_LAYOUTS[self._alpha, self._deep]
        video = av.VideoFrame.from_ndarray(padded, layout)
        if self._codec.is_rgb:
            video = video.reformat(format=self._format)
        else:
            video = video.reformat(
                format=self._format,
                dst_colorspace=self._tags.matrix,
                dst_color_range=self._tags.range,
                interpolation=SCALING,
                threads=2,
            )
        self._tags.put(video)
        video.time_base = self._timing.unit or 1 / self._rate
        video.pts, end = self._shown(self._count), self._shown(self._count + 1)
        self._durations[video.pts] = end - video.pts
        self._count += 1
        self._mux_sound(end * video.time_base)
        self._mux(video)

    def _shown(self, count: int) -> int:
        """When the frame of that count shows, in the unit of the stream."""
        return self._timing.at[count] if self._timing.unit else count

    def _mux_sound(self, until: Fraction | None) -> None:
        """Write the sound up to that second, or all that is left."""
        while self._packets is not None and (until is None or self._sounded < until):
            seconds, packets = next(self._packets, (None, []))
            if seconds is None:
                self._packets = None
                return
            self._sounded = max(self._sounded, seconds)
            with _as_os_errors():
                self._timing.sound.mux(self._container, packets)
            self._file.check()

    def __exit__(self, *exception: object) -> None:
        error = exception[1]
        with self._stack:  # closes the file, then renames it, or removes it after an exception
            if isinstance(error, BaseException):
                raise error
            self._mux_sound(None)
            self._mux(None)

    def _close(self, kind: type | None, *_: object) -> None:
        """Finish the movie; after an exception of that `kind`, which goes on, as far as it goes."""
        with suppress(OSError, av.FFmpegError) if kind else _as_os_errors():
            self._container.close()
            self._file.check()

    def _new_stream(self) -> av.VideoStream:
        added = self._container.add_stream(
            self._codec.encoder, rate=self._rate, options=self._options
        )
        stream = cast(av.VideoStream, added)
        stream.height = self._shape[0] + self._padding[0][1]
        stream.width = self._shape[1] + self._padding[1][1]
        stream.pix_fmt = self._format
        stream.time_base = self._timing.unit or 1 / self._rate
        context = stream.codec_context
        self._tags.put(context)
        if self._codec.tag and self._suffix in (".mp4", ".mov"):
            context.codec_tag = self._codec.tag
        if self._picture.aspect != 1:
            context.sample_aspect_ratio = self._picture.aspect
        if self._timing.unit:
            context.time_base = self._timing.unit
        if self._timing.timecode:
            self._container.metadata["timecode"] = self._timing.timecode
        if self._timing.reel:
            stream.metadata["reel_name"] = self._timing.reel
        return stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        with _as_os_errors():
            packets = self._stream.encode(frame)
            if self._codec.encoder == "dnxhd":
                packets = [with_matrix(packet, self._tags.matrix) for packet in packets]
            for packet in packets:
                unit = self._timing.unit or 1 / self._rate
                if packet.pts is not None and packet.time_base == unit:
                    packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packets)
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


def _picture_of(frame: np.ndarray, picture: Picture) -> Picture:
    """What a frame is: one with alpha of a picture without is straight, and the other way."""
    if frame.shape[2] == 3 and picture.alpha != NONE:
        return replace(picture, alpha=NONE)
    if frame.shape[2] == 4 and picture.alpha == NONE:
        return replace(picture, alpha=STRAIGHT)
    return picture


def _converted(
    frame: np.ndarray, dtype: np.dtype, encoding: str, picture: Picture, kind: str, keeps: bool
) -> np.ndarray:
    """The frame in `dtype`, with alpha of a `kind`: display-encoded integers or linear floats.

    Linear values keep their primaries in floating-point files; others become Rec.709. Values of a
    space of their own are converted where the file does not keep it.
    """
    linear = frame.dtype.kind == "f" and encoding == "linear"
    to_linear = dtype.kind == "f"
    linear, same = (True, keeps) if picture.space else (linear, linear == to_linear)
    if same:
        if frame.dtype == dtype:
            return with_alpha(frame, picture.alpha, kind)
        values = with_alpha(to_float(frame), picture.alpha, kind)
        return values.astype(dtype) if to_linear else to_integers(values, dtype)
    colours, alpha = frame[..., :3], to_float(frame[..., 3:])
    if linear:
        colours = working_colours(frame, picture)
        colours = colours if to_linear else encode_srgb(colours)
    else:
        colours = decode_srgb(to_float(colours))
    straight = np.concatenate([colours, alpha], axis=-1)
    values = with_alpha(straight, NONE if picture.alpha == NONE else STRAIGHT, kind)
    return values.astype(dtype) if to_linear else to_integers(values, dtype)
