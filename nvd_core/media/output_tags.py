"""What an output can say of the picture it is made of, and what is lost in it, in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE
from nvd_core.media.codecs import Codec
from nvd_core.media.colour_tags import FileTags, picture_chunks
from nvd_core.media.picture import Picture
from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.errors import NvdError

_JPEG = (".jpg", ".jpeg")


def image_tags(
    pattern: Path, dtype: np.dtype, encoding: str, picture: Picture, tags: FileTags | None
) -> FileTags:
    """The tags of image files in which `dtype` is written of frames of that encoding.

    NvdError where the values would lose their meaning.
    """
    tags = tags or FileTags(pixel_aspect=picture.pixel_aspect)
    wide = picture_chunks(picture.movie)
    if picture.space and not keeps_space(pattern, picture, dtype.kind == "f", encoding):
        return FileTags(pixel_aspect=picture.pixel_aspect)
    if dtype.kind == "f" and encoding == "display":
        if wide:
            raise NvdError(
                f"cannot write linear {pattern.suffix} of a clip in BT.2020, P3, PQ or HLG",
                expected="an output that keeps the clip's own values",
                found=f"primaries {picture.movie[0]}, transfer {picture.movie[1]}",
                remedy="render to .mov, .mp4, .mkv, .webm or .png, which are tagged as the clip is",
            )
        return FileTags(pixel_aspect=picture.pixel_aspect)
    if dtype.kind == "f":
        return replace(
            tags,
            primaries=tags.primaries or _unlabelled(picture, tags),
            chunks=None,
            icc=b"",
        )
    if encoding == "linear":  # becomes sRGB
        return FileTags(pixel_aspect=picture.pixel_aspect)
    return replace(tags, chunks=tags.chunks if tags.chunks is not None else wide)


def keeps_space(out: Path, picture: Picture, floats: bool, encoding: str) -> bool:
    """Whether an output holds the values of a picture's space, as the source does.

    Files of the source's own kind do: movies of a movie, integer images of integers, floating-point
    ones of floating point. All others, and JPEG, are Rec.709: linear, or of the sRGB curve.
    """
    if out.suffix.lower() in _JPEG or floats != (encoding == "linear"):
        return False
    return is_pattern(out) or picture.movie is not None


def _about_space(out: Path, picture: Picture, floats: bool, encoding: str) -> list[str]:
    """Into what the values of the picture's space are converted for this output, in words."""
    if not picture.space or keeps_space(out, picture, floats, encoding):
        return []
    made = "linear Rec.709" if floats else "sRGB, and what lies beyond its range is cut off"
    return [f"{out.suffix.lower()} is converted from {picture.space.name} to {made}"]


def _unlabelled(picture: Picture, tags: FileTags) -> tuple[float, ...] | None:
    """Primaries that are known of the clip, but of which its files say nothing any more."""
    return None if tags.colour_id else picture.primaries


def image_cautions(
    pattern: Path, picture: Picture, dtype: np.dtype, encoding: str = "display"
) -> list[str]:
    """What these image files do not hold of the picture."""
    suffix = pattern.suffix.lower()
    texts = _about_space(pattern, picture, dtype.kind == "f", encoding)
    if suffix in (*_JPEG, ".dpx") and picture.alpha != NONE:
        texts.append(f"{suffix} holds no alpha: it is left out; .png, .tif and .exr have it")
    if texts:
        return texts
    if suffix not in (".png", ".exr") and dtype.kind == "u" and picture_chunks(picture.movie):
        texts.append(f"{suffix} cannot say that its values are BT.2020, P3, PQ or HLG; .png can")
    return texts


def movie_cautions(
    path: Path,
    picture: Picture,
    codec: Codec,
    alpha: bool,
    deep: bool,
    encoding: str = "display",
) -> list[str]:
    """What this movie does not hold of the picture."""
    suffix, texts = path.suffix.lower(), _about_space(path, picture, False, encoding)
    if picture.alpha != NONE and not alpha:
        texts.append(
            f"{suffix} holds no alpha as {codec.title}: it is left out; ProRes 4444 in .mov, VP9 "
            "in .webm and FFV1 in .mkv have it"
        )
    if picture.aspect != 1 and suffix not in codec.keeps_aspect:
        texts.append(
            f"{suffix} does not say as {codec.title} that pixels are "
            f"{float(picture.aspect):.3g} wide"
        )
    if picture_chunks(picture.movie) and not deep:
        texts.append(
            f"{suffix} holds 8 bits as {codec.title}, few for BT.2020, P3, PQ or HLG; ProRes, "
            "DNxHR and HEVC have 10"
        )
    return texts
