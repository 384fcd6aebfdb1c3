"""Writing frames as a movie, by FFmpeg through PyAV: complete, or not there at all."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from nvd_core.media.alpha import NONE, STRAIGHT
from nvd_core.media.codecs import (
    CONTAINERS,
    DRAFT,
    Quality,
    codec_for,
    holds_alpha,
    layout_of,
    options_of,
    with_matrix,
)
from nvd_core.media.draft import YUV420, Draft, Planes, weights_of
from nvd_core.media.frame_writer import FrameWriter, Placed, check_shape, converted, picture_of
from nvd_core.media.movie_tags import FULL, RGB, MovieTags
from nvd_core.media.movies import RGB_LAYOUTS, SCALING
from nvd_core.media.output_tags import keeps_space, movie_cautions
from nvd_core.media.picture import Picture
from nvd_core.media.timeline import Timing
from nvd_core.runtime.files import written_beside


class MovieWriter(FrameWriter):
    """A movie of frames in their order; the arguments are those of `writer.open_writer`."""

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
        if quality == DRAFT and self._codec.draft is not None:
            planes = self._format == YUV420 and not np.any(self._padding)
            self.draft = Draft(weights_of(self._tags) if planes else None)
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

    def write(self, index: int, frame: np.ndarray | Planes, window: Placed | None = None) -> None:
        """As `FrameWriter`; frames lie in no window."""
        if self._first is None:
            self._first = index
        if index != self._first + self._count:
            raise ValueError(
                f"a movie is written in order: expected {self._first + self._count}, got {index}"
            )
        video = self._of_planes(frame) if isinstance(frame, Planes) else self._of_rgb(frame)
        self._tags.put(video)
        video.time_base = self._timing.unit or 1 / self._rate
        video.pts, end = self._shown(self._count), self._shown(self._count + 1)
        self._durations[video.pts] = end - video.pts
        self._count += 1
        self._mux_sound(end * video.time_base)
        self._mux(video)

    def _of_planes(self, frame: Planes) -> av.VideoFrame:
        height, width = self._shape
        if self.draft is None or frame.values.shape != (height // 2 * 3, width):
            raise ValueError(f"planes {frame.values.shape} for {height} x {width} pixels")
        return av.VideoFrame.from_ndarray(frame.values, self._format)

    def _of_rgb(self, frame: np.ndarray) -> av.VideoFrame:
        check_shape(frame, self._shape)
        # swscale is biased by half a level between depths: 8-bit YUV from 8-bit RGB, 10 from 16
        dtype = np.dtype(np.uint16 if self._deep else np.uint8)
        picture = picture_of(frame, self._picture)
        kind = STRAIGHT if self._alpha else NONE
        display = converted(frame, dtype, self._encoding, picture, kind, self._keeps)
        if np.any(self._padding):
            display = np.pad(display, self._padding, mode="edge")
        layout = RGB_LAYOUTS[self._alpha, self._deep]
        video = av.VideoFrame.from_ndarray(np.ascontiguousarray(display), layout)
        if self._codec.is_rgb:
            return video.reformat(format=self._format)
        return video.reformat(
            format=self._format,
            dst_colorspace=self._tags.matrix,
            dst_color_range=self._tags.range,
            interpolation=SCALING,
            threads=2,
        )

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
