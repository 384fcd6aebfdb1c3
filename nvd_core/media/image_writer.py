"""Writing frames as numbered images."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT
from nvd_core.media.codecs import (
    DRAFT,
    Quality,
)
from nvd_core.media.colour_tags import FileTags
from nvd_core.media.frame_writer import FrameWriter, Placed, check_shape, converted, picture_of
from nvd_core.media.images import write_image
from nvd_core.media.output_tags import (
    image_cautions,
    image_tags,
    keeps_space,
)
from nvd_core.media.picture import Picture
from nvd_core.media.quick_png import QUICK
from nvd_core.media.sequences import frame_path
from nvd_core.media.timeline import Timing
from nvd_core.runtime.errors import NvdError

IMAGES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx")


def check_images(suffix: str, codec: str | None, quality: Quality) -> None:
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


class ImageWriter(FrameWriter):
    """Numbered images in any order; the arguments are those of `writer.open_writer`."""

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
        check_shape(frame, self._shape if window is None else frame.shape[:2])
        picture = picture_of(frame, self._picture)
        kind = NONE if picture.alpha == NONE else self._kind
        values = converted(frame, self._dtype, self._encoding, picture, kind, self._keeps)
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
