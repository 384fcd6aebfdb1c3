"""Sound: copied out of a movie into the folder, and into rendered movies in step with the frames.

Packets are copied as they are where the container takes the codec, and encoded anew where not.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import DAMAGE, reason, there

LEAD = Fraction(1)
"""seconds in the folder's sound before frame 0: decoders need some to begin with"""
_DAMAGE: tuple[type[Exception], ...] = (*DAMAGE, av.FFmpegError, ValueError)
_ALONE = {
    "format_whitelist": "matroska,webm",
    "protocol_whitelist": "file",
}
_PCM = {
    f"pcm_{name}": size
    for size, names in {2: "s16le s16be", 3: "s24le s24be", 4: "s32le s32be f32le f32be"}.items()
    for name in names.split()
}
"""bytes a sample"""
_MATROSKA = {
    *("aac", "mp2", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "dts", "truehd"),
    *("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_s16be", "pcm_s24be", "pcm_s32be"),
}
_TAKEN = {
    ".mka": _MATROSKA,
    ".mkv": _MATROSKA,
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac", *_PCM},
    ".webm": {"opus", "vorbis"},
    ".mxf": {"pcm_s16le", "pcm_s24le"},
}
"""codecs that are copied, by container"""
_ENCODERS = {
    ".mka": "pcm_f32le",
    ".mkv": "pcm_f32le",
    ".mp4": "aac",
    ".mov": "pcm_s24le",
    ".webm": "libopus",
    ".mxf": "pcm_s24le",
}
_FORMATS = {"aac": "fltp", "libopus": "flt", "pcm_s24le": "s32", "pcm_f32le": "flt"}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # which Matroska does not always name
_TOLERANCE = Fraction(1, 400)  # of times that Matroska rounds to milliseconds


class Sound:
    """The sound of a file, from one second of it to another, for a container of a `suffix`.

    NvdError where the file cannot be read. `encoded` says of which codecs the sound is encoded
    anew, as `{codec: new one}`.
    """

    def __init__(
        self, path: Path, start: Fraction, stop: Fraction, suffix: str, folder: bool = True
    ) -> None:
        """`folder`: it is a folder's own, of which nothing but Matroska is expected."""
        self._path, self._span, self._suffix = path, (start, stop), suffix
        self._options = _ALONE if folder else None
        with self._opened() as container:
            contexts = [stream.codec_context for stream in _streams(container)]
            if any(context.layout.nb_channels < 1 for context in contexts):
                raise self._unreadable("a track without channels")
            names = [(c.codec.canonical_name, c.sample_rate) for c in contexts]
        self.encoded = {n: _ENCODERS[suffix] for n, rate in names if not _copied(n, rate, suffix)}
        self.tracks = len(names)

    @contextmanager
    def _opened(self) -> Iterator[av.container.InputContainer]:
        if not there(self._path.is_file):
            raise self._unreadable("there is no such file")
        try:
            container = av.open(f"file:{self._path}", options=self._options or _movies_options())
        except _DAMAGE as error:
            raise self._unreadable(reason(error)) from error
        with container:
            yield container

    def packets(
        self, target: av.container.OutputContainer, shift: Fraction = Fraction(0)
    ) -> "Generator[tuple[Fraction, list[av.Packet]], None, None]":
        """Add the tracks to `target` at the first step, then yield packets and their seconds.

        Seconds count from the start of the span, plus `shift`.
        """
        with self._opened() as container:
            streams = _streams(container)
            try:  # a track may claim to have no channels
                tracks = {
                    stream.index: _Track(stream, target, self._span, self._suffix, shift)
                    for stream in streams
                }
            except _DAMAGE as error:
                raise self._unreadable(reason(error)) from error
            yield Fraction(-1), []
            try:
                if self._span[0] > 5 and streams:
                    container.seek(int((self._span[0] - 3) * 1_000_000))
                over: set[int] = set()
                for packet in container.demux(streams):
                    track = tracks[packet.stream.index]
                    if packet.pts is None and packet.size:
                        continue
                    if packet.size and packet.pts * packet.time_base > self._span[1]:
                        over.add(packet.stream.index)
                        if len(over) == len(tracks):
                            break
                    if packet.size and packet.stream.index not in over:
                        made = track.taken(packet)
                        if made:
                            yield track.reached, made
                for track in tracks.values():
                    made = track.rest()
                    if made:
                        yield track.reached, made
            except _DAMAGE as error:
                raise self._unreadable(reason(error)) from error

    def mux(self, target: av.container.OutputContainer, packets: list[av.Packet]) -> None:
        """Write packets of `packets`; NvdError where they are so damaged that `target` has none."""
        try:
            target.mux(packets)
        except (av.ArgumentError, av.InvalidDataError) as error:
            raise self._unreadable(f"packets that cannot be written ({reason(error)})") from error

    def _unreadable(self, why: str) -> NvdError:
        return NvdError(
            f"cannot read the sound in {self._path}",
            found=why,
            remedy="render with --no-audio, or decompose the movie again",
        )


def _movies_options() -> dict[str, str]:
    from nvd_core.media.movies import NOTHING_ELSE

    return NOTHING_ELSE


def _streams(container: av.container.InputContainer) -> list:
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _copied(codec: str, rate: int, suffix: str) -> bool:
    return codec in _TAKEN[suffix] and (suffix != ".mxf" or rate == 48000)


class _Track:
    """One track on its way into another file."""

    def __init__(
        self, source, target, span: tuple[Fraction, Fraction], suffix: str, shift: Fraction
    ) -> None:
        context = source.codec_context
        self._start, self._stop = span
        name = context.codec.canonical_name
        self._shift = shift
        self._copied = _copied(name, context.sample_rate, suffix)
        self._rate = context.sample_rate
        self._block = _PCM.get(name, 0) * context.layout.nb_channels
        self._frame = context.frame_size or 0
        self._negative = suffix in (".mp4", ".mov") and not self._block
        if self._copied:
            self._out = target.add_stream_from_template(source)
        else:
            self._rate = 48000 if suffix in (".webm", ".mxf") else context.sample_rate
            self._out = target.add_stream(_ENCODERS[suffix], rate=self._rate)
            encoder = self._out.codec_context
            encoder.format = _FORMATS[_ENCODERS[suffix]]
            encoder.layout = _LAYOUTS.get(context.layout.nb_channels, context.layout.name)
            encoder.time_base = Fraction(1, self._rate)
            if _ENCODERS[suffix] == "aac":
                encoder.bit_rate = 160_000 * max(1, context.layout.nb_channels)
            self._resampler = av.AudioResampler(encoder.format, encoder.layout, self._rate)
        for key in ("language", "title"):
            if key in source.metadata:
                self._out.metadata[key] = source.metadata[key]
        self._next: int | None = None
        self.reached = Fraction(0)

    def taken(self, packet: av.Packet) -> list[av.Packet]:
        """What is to be written of a packet."""
        time = packet.pts * packet.time_base
        if not self._copied:
            return self._encoded(packet.decode())
        length = self._length(packet)
        data, place = None, round((time - self._start) * self._rate)
        most = round((self._stop - self._start) * self._rate)
        if self._next is not None and abs(place - self._next) <= _TOLERANCE * self._rate:
            place = self._next
        if self._block and length:
            before, after = max(0, -place), max(0, place + length - most)
            if before + after >= length:
                self._next = place + length
                return []
            if before or after:
                data = bytes(packet)[before * self._block : (length - after) * self._block]
            self._next = place + length
            place, length = place + before, length - before - after
        else:
            self._next = place + length
            first = -length if self._negative else 0
            if place < first or place >= most:
                return []
        made = av.Packet(data) if data is not None else packet
        made.stream = self._out
        made.time_base = Fraction(1, self._rate)
        made.pts = made.dts = place + round(self._shift * self._rate)
        made.duration = length
        made.is_keyframe = True
        self.reached = Fraction(place, self._rate)
        return [made]

    def _length(self, packet: av.Packet) -> int:
        """Samples in a packet."""
        if self._block:
            return len(bytes(packet)) // self._block
        told = round((packet.duration or 0) * packet.time_base * self._rate)
        near = self._frame and abs(told - self._frame) <= _TOLERANCE * self._rate
        return self._frame if near or not told else told

    def _encoded(self, frames: list[av.AudioFrame]) -> list[av.Packet]:
        made = []
        for frame in frames:
            for part in self._resampler.resample(frame):
                made += self._put(part)
        return made

    def _put(self, frame: av.AudioFrame) -> list[av.Packet]:
        """A frame, cut to the span, into the encoder."""
        place = round((frame.pts * frame.time_base - self._start) * self._rate)
        if self._next is not None and abs(place - self._next) <= _TOLERANCE * self._rate:
            place = self._next
        self._next = place + frame.samples
        most = round((self._stop - self._start) * self._rate)
        before, after = max(0, -place), max(0, place + frame.samples - most)
        if before + after >= frame.samples:
            return []
        if before or after:
            values = frame.to_ndarray()
            per = 1 if frame.format.is_planar else frame.layout.nb_channels
            values = values[:, before * per : (frame.samples - after) * per].copy()
            frame = av.AudioFrame.from_ndarray(values, frame.format.name, frame.layout.name)
            frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = place + before + round(self._shift * self._rate)
        self.reached = Fraction(place + before, self._rate)
        return self._out.encode(frame)

    def rest(self) -> list[av.Packet]:
        """What the encoder still has."""
        if self._copied:
            return []
        return [*self._encoded_rest(), *self._out.encode(None)]

    def _encoded_rest(self) -> list[av.Packet]:
        return [packet for part in self._resampler.resample(None) for packet in self._put(part)]


def copy_sound(movie: Path, start: Fraction, stop: Fraction, target: Path) -> None:
    """Write the sound of a movie beside `target`: from LEAD before second `start` to `stop`.

    NvdError where it cannot be read; OSError where the disk refuses.
    """
    sound = Sound(movie, start - LEAD, stop + LEAD, ".mka", folder=False)
    with av.open(str(target), "w", format="matroska") as container:
        for _, packets in sound.packets(container):
            container.mux(packets)
