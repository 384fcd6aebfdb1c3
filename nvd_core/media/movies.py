"""Movies as a source of frames, decoded with FFmpeg through PyAV, and their colours in and out."""

from bisect import bisect_right
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from av.video.reformatter import Interpolation

from nvd_core.media.alpha import NONE, STRAIGHT
from nvd_core.media.movie_decoding import decoder, whole_frames
from nvd_core.media.movie_frames import (
    UNSPECIFIED,
    colour_cautions,
    display_matrix,
    frame_cautions,
    orientation_of,
    set_source_colours,
)
from nvd_core.media.movie_times import TimedPictures
from nvd_core.media.orientation import UPRIGHT, on_its_side, upright
from nvd_core.media.picture import Picture, pixel_aspect
from nvd_core.runtime.cores import cores
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import DAMAGE, reading, reason, there
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_PIXELS, check_image

# Full chroma interpolation and exact rounding: swscale's defaults are made for speed, and are off
# by several levels at coloured edges.
SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_THREADS = min(2, cores())
_DAMAGE: tuple[type[Exception], ...] = (*DAMAGE, av.FFmpegError)
_REMEDY = "the file is damaged, incomplete or no movie: copy or convert it again"

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
    "m4v,h264,hevc,vvc,av1,obu,ivf,mjpeg,flv,asf,ogg,nut,dv,gxf,yuv4mpegpipe,gif,apng"
)
NOTHING_ELSE = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "file",
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
"""what FFmpeg is told, so that a movie opens no other file"""
_PROGRESSIVE = (0, 1)  # unknown, progressive
RGB_LAYOUTS = {
    (False, False): "rgb24",
    (False, True): "rgb48le",
    (True, False): "rgba",
    (True, True): "rgba64le",
}
"""FFmpeg's names of our arrays, by whether they have alpha and 16 bits"""


class Movie(TimedPictures):
    """A movie file as a source of frames; only one of them is in memory at a time.

    `frames` counts what is really there, whatever the file's header says. `width` and `height` are
    those of the picture as shown: a rotation or mirroring noted in the file is applied. `picture`
    says what the values mean, and `cautions` what of it is not carried. No other file is opened:
    what is a playlist under a movie's name is an NvdError.
    """

    def __init__(self, path: Path | str, deinterlace: bool = False):
        """`deinterlace`: whole frames are made of fields, as many as there were."""
        self.path = Path(path)
        self._deinterlace = deinterlace
        if not there(self.path.is_file):
            raise NvdError(
                f"there is no movie {self.path}",
                remedy="check the path for a typing error, or restore the file",
            )
        with reading(self.path, "the movie", _REMEDY, also=(av.FFmpegError,)):
            self._times, self._keys, self._timed = self._count()  # and self._last
            self.frames = len(self._times)
            if not self.frames:
                raise _not_a_movie(self.path, "no frames")
            with self._opened() as (container, stream):
                self.metadata = _metadata(container)
                self.sounds = sum(s.codec_context is not None for s in container.streams.audio)
                rates = stream.average_rate, stream.guessed_rate, stream.base_rate
                self._base = stream.time_base or Fraction(0)
                self._seconds = float(self._base)
            self.rate = self._rate_of(rates)
        self.height = self.width = 0  # of the first frame, known once it is decoded
        self.picture, self.cautions = self._described()
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
            except _DAMAGE as error:
                raise self._undecodable(expected, reason(error)) from error
            if index < expected:
                continue
            if index > expected or frame.is_corrupt:
                raise self._undecodable(expected, "damaged data")
            check_image(self.path, frame.width, frame.height, 3, 1)
            try:
                picture = self._to_rgb(frame)
            except _DAMAGE as error:
                raise self._undecodable(expected, reason(error)) from error
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
            container = av.open(f"file:{self.path}", options=NOTHING_ELSE)
        except _DAMAGE as error:
            why = reason(error)
            if isinstance(error, av.ArgumentError):  # so it says that a format is not on the list
                why = "another kind of file, or a list of other files, which is not followed"
            raise _not_a_movie(self.path, why) from error
        with container:
            stream = container.streams.best("video")
            if stream is None:
                raise _not_a_movie(self.path, "no video in it")
            if stream.codec_context is None:
                raise _not_a_movie(self.path, "its video is in a codec that is not known here")
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
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
            times, keys, ends = [], [], []
            try:
                for packet in container.demux(stream):
                    if by_packet:
                        shown = [packet] if packet.size and not packet.is_discard else []
                    else:
                        shown = packet.decode()
                    times += [item.pts for item in shown]
                    ends += [(item.pts or 0, item.duration or 0) for item in shown]
                    if len(times) > MOST_FRAMES:
                        raise _not_a_movie(self.path, f"more than {MOST_FRAMES} frames")
                    keys += [item.pts for item in shown if by_packet and packet.is_keyframe]
            except av.FFmpegError:
                pass  # the frames up to here are counted; reading on will say what is wrong
        self._last = max(ends, default=(0, 0))[1]  # how long the last frame shows
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
            decode = decoder(stream)
            if self._deinterlace:
                decode = whole_frames(decode, stream)
            for packet in container.demux(stream):
                for frame in decode(packet):
                    index = index_of.get(frame.pts) if self._timed else number
                    number += 1
                    if index is not None:
                        yield index, frame

    def _described(self) -> tuple[Picture, list[str]]:
        """What the first frame says of the values, and what will not be carried."""
        frames = self._decoded(0)
        try:
            _, frame = next(frames)
        except (StopIteration, av.FFmpegError) as error:
            why = getattr(error, "strerror", None) or "the movie ends there"
            raise self._undecodable(0, why) from error
        finally:
            frames.close()
        with self._opened() as (_, stream):
            context = stream.codec_context
            aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio
            for name in ("color_primaries", "color_trc", "colorspace"):
                if getattr(frame, name) == UNSPECIFIED:  # what the container says counts then
                    setattr(frame, name, getattr(context, name))
        shape = pixel_aspect(aspect)
        turned = orientation_of(frame)
        if turned is None:
            raise NvdError(
                f"{self.path} is turned by an odd angle",
                expected="quarter turns, mirrored or not",
                found=f"the display matrix {display_matrix(frame)}",
                remedy="convert it, so that its frames themselves are turned",
            )
        alpha = any(component.is_alpha for component in frame.format.components)
        numbers = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
        picture = Picture(
            alpha=STRAIGHT if alpha else NONE,
            pixel_aspect=shape[::-1] if on_its_side(turned) else shape,
            movie=tuple(int(number) for number in numbers),
        )
        self.about_colours = colour_cautions(self.path.name, picture)
        cautions = [*self.about_colours, *frame_cautions(self.path.name, frame, picture)]
        if frame.interlaced_frame and not self._deinterlace:
            cautions.append(
                f"{self.path.name} is interlaced: its fields are taken as they are, with combs "
                "where something moves; --deinterlace makes whole frames of them"
            )
        return picture, cautions

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame upright as [H, W, 3 or 4], uint8 or uint16."""
        set_source_colours(frame)
        deep = max(component.bits for component in frame.format.components) > 8
        alpha = any(component.is_alpha for component in frame.format.components)
        converted = frame.reformat(
            format=RGB_LAYOUTS[alpha, deep], interpolation=SCALING, threads=_THREADS
        )
        pixels = upright(converted.to_ndarray(), orientation_of(frame) or UPRIGHT)
        # A copy: the buffer may be one the decoder still predicts from.
        return np.array(pixels, order="C")

    def _undecodable(self, index: int, reason: str) -> NvdError:
        return NvdError(
            f"frame {index} of {self.path} cannot be decoded",
            found=reason,
            remedy="use frames before it (--frames), or convert the movie again from its source",
        )


def _metadata(container: av.container.InputContainer) -> dict[str, str]:
    """What the file and its streams say in words, by names in small letters."""
    said: dict[str, str] = {}
    for words in (container.metadata, *(stream.metadata for stream in container.streams)):
        for key, value in words.items():
            said.setdefault(key.lower(), value)
    return said


def is_animated_png(path: Path | str) -> bool:
    """Whether a file under a PNG's name is an animation, which FFmpeg reads."""
    path = Path(path)
    if path.suffix.lower() != ".png" or not there(path.is_file):
        return False
    with path.open("rb") as file:
        start = file.read(4096)
    return start.startswith(b"\x89PNG\r\n\x1a\n") and b"acTL" in start.partition(b"IDAT")[0]


def _not_a_movie(path: Path, reason: str) -> NvdError:
    return NvdError(
        f"cannot read the movie {path}",
        found=reason,
        remedy=_REMEDY,
    )
