"""Clips: movies and image sequences as frames of one size."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE, with_alpha
from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.animated_webp import AnimatedWebp, is_animated_webp
from nvd_core.media.audio import copy_sound
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.colour_tags import (
    FileTags,
    picture_chunks,
    png_chunks,
)
from nvd_core.media.conformed import Conformed
from nvd_core.media.described import described
from nvd_core.media.found_timeline import timeline_of
from nvd_core.media.images import (
    Stored,
    image_window,
    is_plain_png,
    read_stored,
)
from nvd_core.media.movies import Movie, is_animated_png
from nvd_core.media.numbering import as_text, counted_from, range_of
from nvd_core.media.picture import InputSpace
from nvd_core.media.resizing import resized_picture, working_size
from nvd_core.media.sequences import ImageSequence, is_movie
from nvd_core.media.timeline import Timeline
from nvd_core.media.working import as_display_bytes, working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress

_BIT_DEPTHS = {"uint8": 8, "uint16": 16, "float16": "half", "float32": "float"}


@dataclass(frozen=True)
class Reading:
    """How a source is read where it leaves a choice."""

    missing: str = "error"
    """where numbers are missing (`media.sequences.MISSING`)"""
    rate: Fraction | None = None
    """frames a second; None: the source's own, or 24"""
    count_at: Fraction | None = None
    """steps a second by which the frames of a movie are counted; None: by its pictures"""
    start: int | str | None = None
    """what `frames` count from: the number of the first frame, or "source" for its own; None: 0"""
    deinterlace: bool = False
    named: bool = False
    """whether the user named the colour space, so that what the source says counts for nothing"""
    space: InputSpace | None = None
    """what was named, where that is another than the source's own"""


class Clip:
    """Frames in order, [H, W, 3] at the plate's size, read anew by each iteration."""

    def __init__(
        self,
        source: Movie | Conformed | ImageSequence,
        info: ClipInfo,
        notes: tuple[str, ...] = (),
    ) -> None:
        """`notes` are good to know when the clip is imported, and no reason for caution later."""
        self._source = source
        self.info = info
        self.notes = notes

    def __len__(self) -> int:
        return self.info.frames

    @property
    def source_numbers(self) -> list[int] | None:
        """The numbers of all frames of its source; None where that has none."""
        return self._source.numbers if isinstance(self._source, ImageSequence) else None

    def __iter__(self) -> Generator[np.ndarray, None, None]:
        """Yield frames in the source's depth (uint8, uint16, float16, float32).

        Grey becomes RGB, alpha is dropped. NvdError for a frame that cannot be read.
        """
        for frame in self.stored():
            yield np.ascontiguousarray(with_alpha(frame, self.info.picture.alpha, NONE))

    def stored(self) -> Generator[np.ndarray, None, None]:
        """Yield frames as above, but [H, W, 4] where the picture has alpha, as the source has it.

        A frame without alpha is opaque among others with it; NvdError where it is the other way.
        """
        info, kind = self.info, self.info.picture.alpha
        frames = self._source.read(info.first_frame, info.first_frame + info.frames)
        for index, frame in enumerate(frames):
            grey, has_alpha = frame.shape[2] < 3, frame.shape[2] in (2, 4)
            colours = frame[..., :1].repeat(3, axis=2) if grey else frame[..., :3]
            alpha = frame[..., -1:] if has_alpha else None
            if kind == NONE and alpha is not None and not _opaque(alpha):
                raise self._unlike(index)
            if kind != NONE and alpha is None:
                colours = with_alpha(colours, NONE, kind)
            elif kind != NONE:
                colours = np.concatenate([colours, alpha], axis=2)
            yield resized_picture(np.ascontiguousarray(colours), info.width, info.height, kind)

    def looked_at(self, frame: np.ndarray) -> np.ndarray:
        """What is looked at of a stored frame: uint8 [h, w, 3], straight and display-encoded.

        Of the analysis size; linear values pass through Rec.709 and the sRGB curve, clamped.
        """
        size, picture = self.info.looked_at, self.info.picture
        small = resized_picture(frame, size.width, size.height, picture.alpha)
        return as_display_bytes(working_colours(small, picture))

    @property
    def files(self) -> list[Path]:
        """The files of the source's images; none of a movie."""
        return list(self._source.files) if isinstance(self._source, ImageSequence) else []

    @property
    def first_file(self) -> Path:
        """The movie, or the image of its first frame."""
        source = self._source
        return (
            source.files[self.info.first_frame]
            if isinstance(source, ImageSequence)
            else source.path
        )

    @cached_property
    def tags(self) -> FileTags:
        """What the files of its frames say."""
        if isinstance(self._source, ImageSequence):
            return self._source.tags
        picture = self.info.picture
        return FileTags(pixel_aspect=picture.pixel_aspect, chunks=picture_chunks(picture.movie))

    def tags_of(self, index: int) -> FileTags:
        """The same with the time of frame `index`."""
        info, line = self.info, self.info.timeline
        if line is None:
            return self.tags
        own = info.own_numbers
        code = line.timecode_of(own[index] - own[0] if own else index, info.rate)
        rate = (info.rate.numerator, info.rate.denominator) if line.named_rate else None
        bits = code.bits(info.rate) if code else None
        return replace(self.tags, timecode=bits, rate=rate, reel=line.reel or "")

    def copy_sound(self, folder: Path, progress: Progress) -> None:
        """Write the movie's sound into `folder`, where it has some."""
        line, source = self.info.timeline, self._source
        if line is None or line.audio is None or isinstance(source, ImageSequence):
            return
        first, stop = self.info.first_frame, self.info.first_frame + self.info.frames
        try:
            with written_beside(inside(folder, line.audio)) as temporary:
                copy_sound(source.path, source.time_of(first), source.time_of(stop), temporary)
        except NvdError as error:
            progress.caution(f"the sound of {source.path.name} is not carried: {error.found}")

    def file_of(self, index: int) -> Path | None:
        """The PNG file that holds frame `index` as it is, None where there is none."""
        info, source = self.info, self._source
        if not isinstance(source, ImageSequence) or not self._own_size:
            return None
        file = source.files[info.first_frame + index]
        plain = is_plain_png(file, 3 if info.picture.alpha == NONE else 4)
        return file if plain and png_chunks(file) == self.tags.chunks else None

    def overscan_of(self, index: int) -> Stored | None:
        """All that the EXR of frame `index` holds, None where that is its display window."""
        source = self._source
        if not isinstance(source, ImageSequence) or not self._own_size:
            return None
        file = source.files[self.info.first_frame + index]
        if file.suffix.lower() != ".exr" or image_window(file, source.layer) is None:
            return None
        return read_stored(file, source.layer, whole=True)

    @property
    def _own_size(self) -> bool:
        info = self.info
        return (info.width, info.height) == (info.source_width, info.source_height)

    def _unlike(self, index: int) -> NvdError:
        return NvdError(
            f"frame {index} of {self.info.source} has an alpha that is not opaque",
            expected="as in the first frame, which has none",
            remedy="give an alpha to all frames, or to none",
        )


def _opaque(alpha: np.ndarray) -> bool:
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1
    return bool((alpha == full).all())


def open_source(
    source: Path | str, alike: bool = False, missing: str = "error", deinterlace: bool = False
) -> Movie | ImageSequence:
    """The frames of a movie, folder, pattern or image: `frames`, `width`, `height`, `read()`.

    `alike` refuses images whose colour tags or pixel aspect differ from the first one's.
    """
    if is_movie(source) or is_animated_png(source):
        return Movie(source, deinterlace)
    if is_animated_webp(source):
        return AnimatedWebp(source)
    return ImageSequence(source, alike, missing)


def open_clip(
    source: Path | str,
    frames: tuple[int, int] | None = None,
    height: int | None = None,
    reading: Reading = Reading(),
    plate_height: int | None = None,
) -> Clip:
    """Open a movie, folder or pattern as a clip; nothing but its first frame is decoded.

    `frames` is the inclusive range A-B of source frames, counted from `reading.start`. `height` is
    that of the analysis, no more than the plate's; `plate_height` that of the plate. Widths follow
    in proportion, rounded to an even number. Without a `plate_height`, or at the source's own
    height, frames are not touched. NvdError where the source cannot be read, has fewer than two
    frames, or the range or a height is not possible.
    """
    opened = open_source(source, True, reading.missing, reading.deinterlace)
    if isinstance(opened, Movie) and reading.count_at is not None:
        stepped = Conformed(opened, reading.count_at, nearest=True)
        opened = stepped if stepped.changes else opened
    elif isinstance(opened, Movie) and reading.rate is not None and not opened.even:
        opened = Conformed(opened, reading.rate)
    numbers = opened.numbers if isinstance(opened, ImageSequence) else None
    own = f"its own numbers, {as_text(numbers)}" if numbers else ""
    counted = counted_from(reading.start, numbers, opened.frames)
    first, last = range_of(frames, counted, source, own, reading.start is not None)
    if first == last:
        raise NvdError(
            "a clip needs at least 2 frames",
            found=f"1 in {source}",
            remedy="give a movie, a folder of frames, or a wider range of frames",
        )
    looked_at = height
    width, height = working_size(opened.width, opened.height, plate_height)
    analysis, too_high = _analysis(opened, (width, height), looked_at)
    picture, cautions = described(
        str(source), opened, height != opened.height, reading.space, reading.named
    )
    rate = reading.rate or opened.rate
    asked = reading.rate is not None
    timeline, lost = timeline_of(opened, first, last, rate, asked)
    info = ClipInfo(
        source=str(source),
        first_frame=first,
        frames=last - first + 1,
        source_frames=opened.frames,
        width=width,
        height=height,
        source_width=opened.width,
        source_height=opened.height,
        rate=rate,
        bit_depth=_BIT_DEPTHS[opened.dtype.name],
        encoding="linear" if opened.dtype.kind == "f" else "display",
        picture=picture,
        cautions=(*cautions, *_uneven(opened), *lost),
        numbers=as_text(numbers[first : last + 1]) if numbers else None,
        timeline=None if timeline == Timeline() else timeline,
        analysis=analysis,
    )
    return Clip(opened, info, (*_about_rate(opened, reading.rate), *too_high))


def _analysis(
    opened: Movie | Conformed | ImageSequence, plate: tuple[int, int], height: int | None
) -> tuple[AnalysisSize | None, tuple[str, ...]]:
    """The size to look at, None for the plate's; and a note where more was asked for than that."""
    if height is None or height == plate[1]:
        return None, ()
    if height > plate[1]:
        note = f"the plate has {plate[1]} lines: it is looked at as it is, not at {height}"
        return None, (note,)
    width, height = working_size(opened.width, opened.height, height)
    return AnalysisSize(min(width, plate[0]), height), ()


def _uneven(movie: Movie | Conformed | ImageSequence) -> tuple[str, ...]:
    """The caution about a movie of a variable rate."""
    if not isinstance(movie, Movie) or movie.even:
        return ()
    return (
        f"{movie.path.name} has a variable frame rate, with pictures from {movie.shortest:.3g} to "
        f"{movie.longest:.3g} seconds long: rendered movies show them at the same times, but "
        f"numbered images at a constant {float(movie.rate):.6g} a second differ by up to "
        f"{movie.off(movie.rate):.3g} seconds (--rate takes pictures by time)",
    )


def _about_rate(
    opened: Movie | Conformed | ImageSequence, asked: Fraction | None
) -> tuple[str, ...]:
    """The note about images that are given a rate because they name none."""
    if not isinstance(opened, ImageSequence) or asked is not None or opened.own_rate is not None:
        return ()
    return ("the images name no rate: 24 frames a second are taken (--rate says another)",)
