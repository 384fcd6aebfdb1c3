"""Clips: movies and image sequences as frames of one size, and their import into a folder."""

import dataclasses
import re
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import (
    encode_srgb,
    is_plain_png,
    to_float,
    to_integers,
    write_image,
)
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import ImageSequence, is_movie
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, written_beside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, work_folder

_BIT_DEPTHS = {"uint8": 8, "uint16": 16, "float16": "half", "float32": "float"}
_SMALLEST = 16  # pixels; below that there is nothing to decompose


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip without reading its frames."""

    source: str  # as the user gave it
    first_frame: int  # the source frame, from 0, that is frame 0 of the clip
    frames: int  # in the clip
    source_frames: int  # in the source
    width: int  # working size, pixels
    height: int
    source_width: int
    source_height: int
    rate: Fraction  # frames a second
    bit_depth: int | str  # 8, 16, "half" or "float"
    encoding: str  # "display" for integers, "linear" for floating point

    def to_json(self) -> dict:
        """What `from_json` makes it of again."""
        rate = [self.rate.numerator, self.rate.denominator]
        return dataclasses.asdict(self) | {"rate": rate}

    @classmethod
    def from_json(cls, values: dict) -> "ClipInfo":
        """The clip that `to_json` noted; NvdError where that is damaged."""
        try:
            numerator, denominator = values["rate"]
            info = cls(**values | {"rate": Fraction(numerator, denominator)})
            counts = info.frames, info.source_frames, info.width, info.height
            if not all(type(count) is int and count > 0 for count in counts):
                raise ValueError(f"a clip of {counts}")
            if info.bit_depth not in _BIT_DEPTHS.values():
                raise ValueError(f"a bit depth of {str(info.bit_depth)[:80]}")
            return info
        except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
            raise NvdError(
                "job.json does not say what clip was imported",
                expected="what `nvd decompose` noted under clip",
                found=str(error)[:80],
                remedy="remove clip from job.json, so that the source is opened again",
            ) from error


class Clip:
    """Frames in order, [H, W, 3] at working size, read anew by each iteration."""

    def __init__(self, source: Movie | ImageSequence, info: ClipInfo):
        self._source = source
        self.info = info

    def __len__(self) -> int:
        return self.info.frames

    def __iter__(self) -> Generator[np.ndarray, None, None]:
        """Yield frames in the source's depth (uint8, uint16, float16, float32).

        Grey becomes RGB, alpha is dropped. NvdError for a frame that cannot be read.
        """
        info = self.info
        for frame in self._source.read(info.first_frame, info.first_frame + info.frames):
            colours = frame[..., :3] if frame.shape[2] >= 3 else frame[..., :1].repeat(3, axis=2)
            yield resized(np.ascontiguousarray(colours), info.width, info.height)

    def file_of(self, index: int) -> Path | None:
        """The PNG file that holds frame `index` as it is, None where there is none."""
        info, source = self.info, self._source
        if not isinstance(source, ImageSequence):
            return None
        if (info.width, info.height) != (info.source_width, info.source_height):
            return None
        file = source.files[info.first_frame + index]
        return file if is_plain_png(file) else None


def open_source(source: Path | str) -> Movie | ImageSequence:
    """The frames of a movie, folder, pattern or image: `frames`, `width`, `height`, `read()`."""
    return Movie(source) if is_movie(source) else ImageSequence(source)


def open_clip(
    source: Path | str, frames: tuple[int, int] | None = None, height: int | None = None
) -> Clip:
    """Open a movie, folder or pattern as a clip; nothing but its first frame is decoded.

    `frames` is the inclusive range A-B of source frames, counted from 0. `height` is the working
    height; the width follows in proportion, rounded to an even number. Without it, or at the
    source's own height, frames are not touched. NvdError where the source cannot be read, has
    fewer than two frames, or the range or height is not possible.
    """
    opened = open_source(source)
    first, last = (0, opened.frames - 1) if frames is None else frames
    if not 0 <= first <= last < opened.frames:
        raise NvdError(
            f"frames {first}-{last} are not in {source}",
            expected=f"a range within 0-{opened.frames - 1}",
            found=f"{first}-{last}",
            remedy="choose first and last frame within the clip, counted from 0",
        )
    if first == last:
        raise NvdError(
            "a clip needs at least 2 frames",
            found=f"1 in {source}",
            remedy="give a movie, a folder of frames, or a wider range of frames",
        )
    width, height = _working_size(opened.width, opened.height, height)
    info = ClipInfo(
        source=str(source),
        first_frame=first,
        frames=last - first + 1,
        source_frames=opened.frames,
        width=width,
        height=height,
        source_width=opened.width,
        source_height=opened.height,
        rate=opened.rate,
        bit_depth=_BIT_DEPTHS[opened.dtype.name],
        encoding="linear" if opened.dtype.kind == "f" else "display",
    )
    return Clip(opened, info)


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """`image` [H, W] or [H, W, C] at another size, same dtype: area means down, cubic up.

    At its own size it is returned untouched.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = width * height < image.shape[0] * image.shape[1]
    # cv2 knows no float16, and drops the last axis where it is 1
    values = image.astype(np.float32) if image.dtype == np.float16 else image
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    result = cv2.resize(values, (width, height), interpolation=method)
    return result.reshape(height, width, *image.shape[2:]).astype(image.dtype, copy=False)


def import_clip(clip: Clip, folder: Path, progress: Progress) -> None:
    """Write the clip into `folder`: `frames/%05d.png` or `.exr`, and `work/frames.npy`.

    `work/frames.npy` is uint8 [T, H, W, 3], display-encoded; linear sources pass through the sRGB
    curve, clamped to 0..1. It comes into place only when all frames are written: an import that
    was cancelled starts again from nothing.
    """
    info, folder = clip.info, Path(folder)
    frames_folder = inside(folder, "frames")
    _remove_old_frames(frames_folder)
    suffix = ".exr" if info.encoding == "linear" else ".png"
    shape = (info.frames, info.height, info.width, 3)
    progress.stage("frames", info.frames)
    with written_beside(work_folder(folder) / FRAMES) as temporary:
        frames = new_array(temporary, shape)
        _import_frames(clip, frames_folder, suffix, frames, progress)
        frames.flush()
        del frames  # Windows renames no file that is still mapped


def _import_frames(
    clip: Clip, folder: Path, suffix: str, frames: np.ndarray, progress: Progress
) -> None:
    """Write every frame into `folder` and, as bytes, into `frames` [T, H, W, 3]."""

    def write(numbered: tuple[int, np.ndarray]) -> None:
        index, frame = numbered
        target, source = folder / f"{index:05d}{suffix}", clip.file_of(index)
        if source:
            copy_file(source, target)
        else:
            write_image(target, frame)
        frames[index] = as_display_bytes(frame)
        release(frames)

    with closing(in_order(write, enumerate(clip))) as written:
        for index, _ in enumerate(written):
            progress.update(index + 1)


def as_display_bytes(frame: np.ndarray) -> np.ndarray:
    """A frame of any depth as display-encoded uint8; floating point is taken as linear."""
    if frame.dtype == np.uint8:
        return frame
    display = to_float(frame) if frame.dtype.kind == "u" else encode_srgb(frame)
    return to_integers(display, np.uint8)


def _working_size(width: int, height: int, wanted: int | None) -> tuple[int, int]:
    if wanted is None or wanted == height:
        return width, height
    new_width = 2 * round(width * wanted / height / 2)
    if min(wanted, new_width) < _SMALLEST:
        raise NvdError(
            f"a height of {wanted} makes frames of {new_width} x {wanted}",
            expected=f"at least {_SMALLEST} pixels each way",
            remedy="choose a larger height, or leave it out to keep the source's size",
        )
    return new_width, wanted


def _remove_old_frames(folder: Path) -> None:
    """Frames of an earlier import, which may have had more of them or another format."""
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(r"\d{5,}\.(png|exr)", path.name):
                with suppress(OSError):  # one that cannot go is written over or reported there
                    path.unlink()
