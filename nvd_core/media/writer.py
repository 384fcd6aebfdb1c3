"""Writing frames: a movie, or numbered images, each complete or not there at all."""

from fractions import Fraction
from pathlib import Path

from nvd_core.media.codecs import DEFAULTS, FINE, Quality
from nvd_core.media.colour_tags import FileTags
from nvd_core.media.frame_writer import FrameWriter
from nvd_core.media.image_writer import IMAGES, ImageWriter, check_images
from nvd_core.media.movie_writer import MovieWriter
from nvd_core.media.picture import PLAIN, Picture
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.media.timeline import UNTIMED, Timing
from nvd_core.runtime.errors import NvdError


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
        return MovieWriter(
            out, width, height, rate, encoding, picture, codec, quality, bit_depth, timing
        )
    if suffix in IMAGES and is_pattern(out):
        frame_path(out, 0)  # a pattern with two places for the number fails here
        check_images(suffix, codec, quality)
        return ImageWriter(out, width, height, bit_depth, encoding, picture, tags, quality, timing)
    raise NvdError(
        f"cannot write to {out}",
        expected=f"a movie ({', '.join(DEFAULTS)}) or numbered images ({', '.join(IMAGES)})",
        found="an image without a number" if suffix in IMAGES else suffix or "no suffix",
        remedy="give an output such as result.mp4 or frames/%05d.png",
    )
