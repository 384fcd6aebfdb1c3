"""A movie that is a list of other files opens none of them, whatever its name and its kind."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image
from nvd_core.media.movies import NOTHING_ELSE, Movie
from nvd_core.media.sequences import MOVIE_SUFFIXES
from nvd_core.runtime.errors import NvdError

CODECS = {".webm": "libvpx", ".mpg": "mpeg2video", ".mpeg": "mpeg1video", ".mxf": "mpeg2video"}
CODECS |= {".flv": "flv1", ".ivf": "libvpx"}
ELSEWHERE = {".apng", ".gif", ".y4m"}  # in test_media_formats.py
NOT_WRITTEN = {".dv", ".gxf", ".mj2", ".ogv"}  # by any encoder that PyAV brings, at this size


def write_movie(path: Path, container: str | None = None) -> Path:
    """Three frames of noise: an MPEG stream of a few packets is not known for one."""
    random = np.random.default_rng(5)
    codec = CODECS.get(path.suffix, "mpeg4")
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for t in range(3):
            picture = random.integers(0, 60, (48, 64, 3), np.uint8) + np.uint8(60 * t)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture
def others(tmp_path) -> Path:
    """A folder with good movies that a list may name."""
    write_movie(tmp_path / "real.mp4")
    write_movie(tmp_path / "real.ts", "mpegts")
    return tmp_path


HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet><Representation id="1" bandwidth="1" mimeType="video/mp4">'
    "<BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n"
)
LISTS = {
    "concat": "ffconcat version 1.0\nfile {0}\n",
    "concat in quotes": "ffconcat version 1.0\nfile '{0}'\nduration 1\n",
    "HLS": HLS,
    "HLS of streams": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{0}\n",
    "DASH": DASH,
    "SDP": SDP,
    "RTSP": "rtsptext\nrtsp://127.0.0.1:9/{0}\n",
    "VobSub": "# VobSub index file, v7\n",
    "IMF": '<?xml version="1.0"?><CompositionPlaylist '
    'xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"></CompositionPlaylist>',
    "SMIL": "<smil><body><video src='{0}'/></body></smil>",
    "MAGY": "[playlist]\nFile1={0}\n",
}


@pytest.mark.parametrize("suffix", sorted(MOVIE_SUFFIXES))
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_under_a_movie_s_name(kind, suffix, others, monkeypatch):
    monkeypatch.chdir(others)
    for named in ("real.mp4", "real.ts", f"file:{others}/real.ts", "http://127.0.0.1:9/real.ts"):
        listed = others / f"list{suffix}"
        listed.write_text(LISTS[kind].format(named))
        for opened in (Movie, open_clip):
            with pytest.raises(NvdError) as caught:
                opened(listed)
            assert caught.value.remedy and str(listed) in caught.value.problem


def test_a_list_says_that_it_is_one(others):
    (others / "list.mp4").write_text(LISTS["concat"].format("real.mp4"))
    with av.open(str(others / "list.mp4")) as unguarded:  # what it is that is being refused
        assert unguarded.format.name == "concat" and next(unguarded.decode(video=0)).width == 64
    with pytest.raises(NvdError, match="a list of other files"):
        Movie(others / "list.mp4")


@pytest.mark.parametrize("suffix", sorted(MOVIE_SUFFIXES - ELSEWHERE - NOT_WRITTEN))
def test_movies_of_all_kinds_are_read(suffix, tmp_path):
    assert Movie(write_movie(tmp_path / f"one{suffix}")).frames == 3


@pytest.mark.parametrize("name", ["real.mp4", "real.ts"])
def test_a_picture_that_is_a_list(name, others):
    for suffix in (".png", ".jpg", ".exr", ".tif", ".dpx", ".gif", ".psd"):
        listed = others / f"frame{suffix}"
        listed.write_text(LISTS["concat"].format(name))
        with pytest.raises(NvdError, match="cannot read the image"):
            read_image(listed)


def atom(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def reference_to(path: str) -> bytes:
    """A QuickTime alias record of an absolute path, in a data reference of one entry."""
    name = Path(path).name.encode()[:63]
    record = b"\0" * 10 + bytes([1]) + b"/".ljust(27, b"\0") + b"\0" * 12
    record += bytes([len(name)]) + name.ljust(63, b"\0") + b"\0" * 16
    record += struct.pack(">hh", 1, 1) + b"\0" * 16
    whole = path.encode()
    record += struct.pack(">hH", 2, len(whole)) + whole + b"\0" * (len(whole) % 2)
    record += struct.pack(">hH", -1, 0)
    entry = atom(b"alis", struct.pack(">I", 0), record)
    return atom(b"dref", struct.pack(">II", 0, 1), entry)


def with_reference(data: bytes, path: str) -> bytes:
    """A MOV whose pictures are said to be in another file; its moov stands at the end."""
    made, place = b"", 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + size]
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            made += atom(kind, with_reference(body, path))
        else:
            made += reference_to(path) if kind == b"dref" else data[place : place + size]
        place += size
    return made


def test_a_mov_that_refers_to_another_file(tmp_path):
    """Its own mdat is emptied, so that what is decoded can only come from the other."""
    real = write_movie(tmp_path / "real.mov")
    data = bytearray(with_reference(real.read_bytes(), str(real)))
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    (tmp_path / "refers.mov").write_bytes(data)
    path = f"file:{tmp_path / 'refers.mov'}"
    loose = NOTHING_ELSE | {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(path, options=loose) as followed:
        assert len([frame for frame in followed.decode(video=0)]) == 3
    with pytest.raises(NvdError):
        Movie(tmp_path / "refers.mov")
