"""How a movie's packets become frames: with the alpha of WebM, and whole ones out of fields."""

from collections.abc import Callable
from contextlib import suppress
from typing import cast

import av
import av.filter

from nvd_core.runtime.errors import NvdError

# FFmpeg's own VP8 and VP9 leave the alpha out that libvpx decodes
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def decoder(stream: av.VideoStream) -> Callable[[av.Packet], list[av.VideoFrame]]:
    """What turns a stream's packets into frames, with the alpha that WebM keeps beside them."""
    name = _ALPHA_DECODERS.get(stream.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return lambda packet: packet.decode()
    try:
        context = cast(av.VideoCodecContext, av.CodecContext.create(name, "r"))
    except (av.FFmpegError, ValueError) as error:
        raise NvdError(
            f"the alpha of {stream.container.name} cannot be decoded",
            expected=f"a PyAV with {name}",
            remedy="install PyAV from its own wheel, or convert the movie to ProRes 4444",
        ) from error
    context.extradata = stream.codec_context.extradata

    def decode(packet: av.Packet) -> list[av.VideoFrame]:
        frames = context.decode(packet if packet.size else None)
        for frame in frames:
            frame.time_base = stream.time_base
        return frames

    return decode


def whole_frames(
    decode: Callable[[av.Packet], list[av.VideoFrame]], stream: av.VideoStream
) -> Callable[[av.Packet], list[av.VideoFrame]]:
    """The same frames, each made whole of the fields around it by FFmpeg's bwdif."""
    graph = av.filter.Graph()
    nodes = graph.add_buffer(template=stream), graph.add("bwdif", "mode=send_frame:deint=all")
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()

    def whole(packet: av.Packet) -> list[av.VideoFrame]:
        for frame in decode(packet):
            graph.vpush(frame)
        if packet.size == 0:  # the last one, which empties the decoder
            graph.vpush(None)
        frames = []
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                frame = graph.vpull()
                if frame.pts is not None and frame.time_base and stream.time_base:
                    frame.pts = round(frame.pts * frame.time_base / stream.time_base)
                    frame.time_base = stream.time_base
                frames.append(frame)
        return frames

    return whole
