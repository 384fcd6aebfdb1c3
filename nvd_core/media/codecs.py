"""The codecs of movies that are written: what each can hold, and what a quality means to it."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.runtime.errors import NvdError

if TYPE_CHECKING:
    import av

QUALITIES = range(1, 101)
"""1: smallest file, 100: best picture"""
DRAFT, FINE = "draft", "fine"
Quality = int | str | None
"""one of QUALITIES, DRAFT: as fast as the codec can, or FINE, which is None as well: the default"""


def _scale(best: int, worst: int) -> Callable[[int], int]:
    """A quality of 1..100 on a codec's own scale, on which less is better."""
    return lambda quality: best + round((100 - quality) * (worst - best) / 99)


_CRF, _VP9_CRF, _QUANTISER = _scale(1, 51), _scale(0, 63), _scale(1, 31)
_LAMBDA = 118  # FFmpeg's FF_QP2LAMBDA: quantisers are given as multiples of it


def _crf(quality: int) -> dict[str, str]:
    return {"crf": str(_CRF(quality))}


def _vp9_crf(quality: int) -> dict[str, str]:
    return {"crf": str(_VP9_CRF(quality))}


def _quantiser(quality: int) -> dict[str, str]:
    return {"flags": "+qscale", "global_quality": str(_QUANTISER(quality) * _LAMBDA)}


@dataclass(frozen=True)
class Codec:
    """What FFmpeg writes under one of our names."""

    title: str
    encoder: str
    suffixes: tuple[str, ...]
    layout: str
    """FFmpeg's name of the planes"""
    options: dict[str, str]
    quality: Callable[[int], dict[str, str]] | None = None
    """further options for a quality; None where the codec has none"""
    alpha: str = ""
    """the planes with alpha; empty where there is none"""
    alpha_options: dict[str, str] | None = None
    deep: bool = True
    """whether more than 8 bits are given to it"""
    full_range: bool = True
    """whether it can say that its values are full range"""
    keeps_aspect: tuple[str, ...] = (".mov", ".mp4", ".mkv")
    """containers in which it says how wide pixels are"""
    least: tuple[int, int] = (1, 1)
    """the smallest width and height"""
    draft: dict[str, str] | None = None
    """options for a draft; None where the codec is no faster for it"""
    tag: str = ""
    """how players know it in MP4 and MOV, where FFmpeg's own choice is not what they know"""

    @property
    def is_rgb(self) -> bool:
        """Whether it holds the RGB values themselves."""
        return self.encoder == "ffv1"

    @property
    def halves(self) -> tuple[int, int]:
        """By what width and height have to be divisible, as the chroma is smaller."""
        across = 2 if "420" in self.layout or "422" in self.layout else 1
        return across, 2 if "420" in self.layout else 1


_X264 = {"crf": "12", "preset": "medium"}
_X265 = {"crf": "12", "preset": "medium", "x265-params": "log-level=error"}
_VP9 = {"crf": "15", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"}
# Larger files: what is saved is time
_FAST = {"preset": "ultrafast", "crf": "15"}
_FAST_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "20"}
_BIT16 = {"alpha_bits": "16"}

# fmt: off
CODECS = {
    "h264": Codec("H.264", "libx264", (".mp4", ".mkv", ".mov"), "yuv420p", _X264, _crf, deep=False,
                  draft=_FAST),
    "hevc": Codec("10-bit HEVC", "libx265", (".mp4", ".mov", ".mkv"), "yuv420p10le", _X265, _crf,
                  least=(64, 64),  # x265 writes beside its memory below that
                  draft=_FAST, tag="hvc1"),
    "vp9": Codec("VP9", "libvpx-vp9", (".webm", ".mkv", ".mp4"), "yuv420p", _VP9, _vp9_crf,
                 alpha="yuva420p", deep=False, keeps_aspect=(".mp4",),
                 draft=_FAST_VP9),
    "prores-422-hq": Codec("ProRes 422 HQ", "prores_ks", (".mov",), "yuv422p10le",
                           {"profile": "hq", "vendor": "apl0"}, _quantiser, full_range=False),
    "prores-4444": Codec("ProRes 4444", "prores_ks", (".mov",), "yuv444p10le",
                         {"profile": "4444", "vendor": "apl0"}, _quantiser,
                         alpha="yuva444p10le", alpha_options=_BIT16, full_range=False),
    "dnxhr-hqx": Codec("DNxHR HQX", "dnxhd", (".mov", ".mxf"), "yuv422p10le",
                       {"profile": "dnxhr_hqx"}, full_range=False, keeps_aspect=(".mov",),
                       least=(256, 120)),
    "ffv1": Codec("FFV1", "ffv1", (".mkv",), "bgr0", {"level": "3", "slicecrc": "1"},
                  alpha="bgra", keeps_aspect=()),
}
"""by their names on the command line"""
# fmt: on

DEFAULTS = {
    ".mp4": "h264",
    ".mkv": "h264",
    ".mov": "prores-4444",
    ".webm": "vp9",
    ".mxf": "dnxhr-hqx",
}
"""the codec of each suffix where none is named"""
CONTAINERS = {
    ".mp4": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".webm": "webm",
    ".mxf": "mxf",
}
"""FFmpeg's names"""
_MXF_RATES = [Fraction(n) for n in (24, 25, 30, 48, 50, 60)]
_MXF_RATES += [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60)]


def codec_for(
    out: Path, name: str | None, width: int, height: int, rate: Fraction, quality: Quality
) -> Codec:
    """The codec of the movie `out`, the suffix's own where no `name` is given.

    NvdError where the container, the size or the rate is not one for it, and for a quality that
    it does not have.
    """
    suffix = out.suffix.lower()
    codec = CODECS[name or DEFAULTS[suffix]]
    if suffix not in codec.suffixes:
        known = [other for other, one in CODECS.items() if suffix in one.suffixes]
        raise NvdError(
            f"{suffix} holds no {codec.title} here",
            expected=f"{codec.title} in {', '.join(codec.suffixes)}",
            found=out.name,
            remedy=f"change the suffix, or give --codec {' or '.join(known)}",
        )
    if width < codec.least[0] or height < codec.least[1]:
        raise NvdError(
            f"{codec.title} has no frames so small",
            expected=f"at least {codec.least[0]} x {codec.least[1]} pixels",
            found=f"{width} x {height}",
            remedy="give another --codec, such as prores-422-hq or h264",
        )
    if suffix == ".mxf" and rate not in _MXF_RATES:
        raise NvdError(
            f"MXF knows no {float(rate):.6g} frames a second",
            expected="23.976, 24, 25, 29.97, 30, 47.952, 48, 50, 59.94 or 60",
            found=str(rate),
            remedy="render to .mov, or decompose with --rate",
        )
    if isinstance(quality, int) and codec.quality is None:
        fixed = "is lossless" if codec.is_rgb else "has one quality, which the frames' size decides"
        raise NvdError(
            f"{codec.title} {fixed}",
            found=f"--quality {quality}",
            remedy="leave out --quality, or give another --codec",
        )
    return codec


def holds_alpha(codec: Codec, suffix: str) -> bool:
    """Whether the codec has alpha in this container."""
    return bool(codec.alpha) and not (suffix == ".mp4" and codec.encoder == "libvpx-vp9")


def layout_of(codec: Codec, alpha: bool, deep: bool) -> str:
    """FFmpeg's name of the planes that are written."""
    if codec.is_rgb and deep:
        return "gbrap16le" if alpha else "gbrp16le"
    return codec.alpha if alpha else codec.layout


def options_of(codec: Codec, alpha: bool, quality: Quality) -> dict[str, str]:
    """What the encoder is told."""
    options = codec.options | ((codec.alpha_options or {}) if alpha else {})
    if quality == DRAFT:
        return options | (codec.draft or {})
    return options | (codec.quality(quality) if codec.quality and isinstance(quality, int) else {})


def with_matrix(packet: "av.Packet", matrix: int) -> "av.Packet":
    """A DNxHR frame that names its YUV matrix, for which FFmpeg's encoder always puts BT.709."""
    import av

    data = bytearray(bytes(packet))
    data[0x2C] = data[0x2C] & ~6 | {1: 0, 9: 1}.get(matrix, 3) << 1  # 3: the container says it
    said = av.Packet(bytes(data))
    for name in ("stream", "time_base", "pts", "dts", "duration", "is_keyframe"):
        setattr(said, name, getattr(packet, name))
    return said
