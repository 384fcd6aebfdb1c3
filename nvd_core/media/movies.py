"""Movies as a source of frames, decoded with FFmpeg through PyAV, and their colours in and out."""

from bisect import bisect_right
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from nvd_core.runtime.cores import cores
from nvd_core.runtime.errors import NvdError

# Full chroma interpolation and exact rounding: swscale's defaults are made for speed, and are off
# by several levels at coloured edges.
SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_THREADS = min(2, cores())

# Codecs whose every packet shows exactly one frame. Of others (VP8's hidden frames, MPEG-4's packed
# ones, fields) the frames are counted by decoding them.
# fmt: off
_FRAME_A_PACKET = frozenset((
    "h264", "hevc", "vp9", "av1", "prores", "dnxhd", "mjpeg", "ffv1", "png", "qtrle", "huffyuv",
    "ffvhuff", "utvideo", "rawvideo",
))
# fmt: on
# The containers that hold their pictures themselves. FFmpeg goes by what is in a file, not by its
# name, and others are lists (concat, HLS, DASH, IMF, SDP, VobSub) that have it open any file or
# address. A MOV may name other files too, which the last two options forbid.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mxf,mxf_opatom,mpeg,mpegvideo,mpegts,mpegtsraw,"
    "m4v,h264,hevc,vvc,av1,obu,ivf,mjpeg,flv,asf,ogg,nut,dv,gxf,yuv4mpegpipe"
)
_NOTHING_ELSE = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "file",
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
_PROGRESSIVE = (0, 1)  # unknown, progressive
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 6  # AVColorSpace


class Movie:
    """A movie file as a source of frames; only one of them is in memory at a time.

    `frames` counts what is really there, whatever the file's header says. `width` and `height` are
    those of the picture as shown: a rotation noted in the file is applied. No other file is opened:
    what is a playlist under a movie's name is an NvdError.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise NvdError(
                f"there is no movie {self.path}",
                remedy="check the path for a typing error, or restore the file",
            )
        self._times, self._keys, self._timed = self._count()
        self.frames = len(self._times)
        if not self.frames:
            raise _not_a_movie(self.path, "no frames")
        with self._opened() as (_, stream):
            self.rate = stream.average_rate or stream.guessed_rate or Fraction(24)
        self.height = self.width = 0  # of the first frame, known once it is decoded
        first = next(self.read(0, 1))
        self.height, self.width = first.shape[:2]
        self.dtype = first.dtype

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """Yield frames `start` to `stop` - 1 as [H, W, 3] RGB, or [H, W, 4] where there is alpha.

        uint8 for 8-bit movies, uint16 for deeper ones, display-encoded. NvdError for a frame that
        is damaged, missing or of another size.
        """
        expected = start
        frames = self._decoded(start)
        while expected < stop:
            try:
                index, frame = next(frames)
            except StopIteration:
                raise self._undecodable(expected, "the movie ends there") from None
            except av.FFmpegError as error:
                raise self._undecodable(expected, error.strerror) from error
            if index < expected:
                continue
            if index > expected or frame.is_corrupt:
                raise self._undecodable(expected, "damaged data")
            picture = _to_rgb(frame)
            if self.height and picture.shape[:2] != (self.height, self.width):
                size = f"{picture.shape[1]} x {picture.shape[0]}"
                raise self._undecodable(expected, f"another size, {size}")
            yield picture
            expected += 1

    @contextmanager
    def _opened(self):
        """Yield the container and its video stream, closed afterwards."""
        try:
            # "file:", as FFmpeg takes the 12: of 12:30.mp4 for a protocol
            container = av.open(f"file:{self.path}", options=_NOTHING_ELSE)
        except (av.FFmpegError, ValueError) as error:  # ValueError: NUL in the name
            reason = getattr(error, "strerror", str(error))
            if isinstance(error, av.ArgumentError):  # so it says that a format is not on the list
                reason = "another kind of file, or a list of other files, which is not followed"
            raise _not_a_movie(self.path, reason) from error
        with container:
            stream = container.streams.best("video")
            if stream is None:
                raise _not_a_movie(self.path, "no video in it")
            stream.thread_type = "AUTO"  # type: ignore[attr-defined]  # PyAV calls it any stream
            stream.thread_count = _THREADS  # type: ignore[attr-defined]
            yield container, stream

    def _count(self) -> tuple[list[int], list[int], bool]:
        """The frames' times in the order shown, those of key frames, and whether to go by them.

        Times are presentation timestamps; where the file has none (or two alike), the frames are
        numbered in the order they are decoded, and no key frames are known.
        """
        with self._opened() as (container, stream):
            by_packet = (
                stream.codec.canonical_name in _FRAME_A_PACKET
                and stream.codec_context.field_order in _PROGRESSIVE
                and container.format.name != "avi"  # knows no presentation times
            )
            times, keys = [], []
            try:
                for packet in container.demux(stream):
                    if by_packet:
                        shown = [packet] if packet.size and not packet.is_discard else []
                    else:
                        shown = packet.decode()
                    times += [item.pts for item in shown]
                    keys += [item.pts for item in shown if by_packet and packet.is_keyframe]
            except av.FFmpegError:
                pass  # the frames up to here are counted; reading on will say what is wrong
        # Decoded frames come in the order shown: times that do not are not to be trusted
        if (
            None in times
            or len(set(times)) < len(times)
            or (not by_packet and times != sorted(times))
        ):
            return list(range(len(times))), [], False
        return sorted(times), sorted(keys), True

    def _decoded(self, start: int) -> Generator[tuple[int, av.VideoFrame], None, None]:
        """Yield (index, frame) from a key frame well before `start` on."""
        index_of = {time: index for index, time in enumerate(self._times)}
        with self._opened() as (container, stream):
            if self._keys and start > 0:
                # One key frame more than needed: those of open groups of pictures do not stand
                # alone, and some containers seek by decoding time.
                key = bisect_right(self._keys, self._times[start]) - 2
                if key > 0:
                    container.seek(self._keys[key], stream=stream)
            number = 0
            for packet in container.demux(stream):
                for frame in packet.decode():
                    index = index_of.get(frame.pts) if self._timed else number
                    number += 1
                    if index is not None:
                        yield index, frame

    def _undecodable(self, index: int, reason: str) -> NvdError:
        return NvdError(
            f"frame {index} of {self.path} cannot be decoded",
            found=reason,
            remedy="use frames before it (--frames), or convert the movie again from its source",
        )


def set_source_colours(frame: av.VideoFrame) -> None:
    """Note the YUV matrix of a frame that names none: BT.709 for HD sizes, BT.601 below.

    That is what players assume; swscale would take BT.601 for all.
    """
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        hd = frame.width >= 1280 or frame.height > 576
        frame.colorspace = _BT709 if hd else _BT601


def _to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """The frame upright as [H, W, 3 or 4], uint8 or uint16."""
    set_source_colours(frame)
    deep = max(component.bits for component in frame.format.components) > 8
    alpha = any(component.is_alpha for component in frame.format.components)
    target = ("rgba" if alpha else "rgb") + {
        (False, False): "24",
        (False, True): "48le",
        (True, False): "",
        (True, True): "64le",
    }[alpha, deep]
    converted = frame.reformat(format=target, interpolation=SCALING, threads=_THREADS)
    turns = round(frame.rotation / 90)  # counter-clockwise, as numpy turns
    # A copy: the buffer may be one the decoder still predicts from.
    return np.array(np.rot90(converted.to_ndarray(), turns), order="C")


def _not_a_movie(path: Path, reason: str) -> NvdError:
    return NvdError(
        f"cannot read the movie {path}",
        found=reason,
        remedy="the file is damaged, incomplete or no movie: copy or convert it again",
    )
