"""Clips: movies and image sequences as frames of one size, and their import into a folder."""

import dataclasses
import re
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.animated_webp import AnimatedWebp, is_animated_webp
from nvd_core.media.audio import copy_sound
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
    to_float,
    to_integers,
    write_image,
)
from nvd_core.media.movies import Movie, is_animated_png
from nvd_core.media.numbering import as_text, counted_from, from_text, range_of
from nvd_core.media.picture import PLAIN, InputSpace, Picture, as_json
from nvd_core.media.sequences import ImageSequence, is_movie
from nvd_core.media.timeline import Timeline
from nvd_core.media.working import as_display_bytes, working_colours
from nvd_core.runtime.declared import JSON, Fault, read, within
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, written_beside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_PIXELS, MOST_SIDE, rate_fits
from nvd_core.work import FRAMES, work_folder

_BIT_DEPTHS = {"uint8": 8, "uint16": 16, "float16": "half", "float32": "float"}
_ENCODINGS = {8: "display", 16: "display", "half": "linear", "float": "linear"}
OVERSCAN = "overscan"
"""folder of what EXRs hold outside of their display windows"""
_SMALLEST = 16  # pixels; below that there is nothing to decompose


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip without reading its frames."""

    source: str  # as the user gave it
    first_frame: int  # the source frame, from 0, that is frame 0 of the clip
    frames: int  # in the clip
    source_frames: int  # in the source
    width: int  # of the plate, pixels
    height: int
    source_width: int
    source_height: int
    rate: Fraction  # frames a second
    bit_depth: int | str  # 8, 16, "half" or "float"
    encoding: str  # "display" for integers, "linear" for floating point
    picture: Picture = PLAIN
    cautions: tuple[str, ...] = ()  # what is not carried or not honoured, in words
    numbers: str | None = None  # the source's own, as `media.numbering.as_text` has them
    timeline: Timeline | None = None  # what is known of its time beyond the rate
    analysis: AnalysisSize | None = None  # the size that is looked at, where it is smaller

    @property
    def looked_at(self) -> AnalysisSize:
        """The size of the arrays in work/: the plate's own, or smaller."""
        return self.analysis or AnalysisSize(self.width, self.height)

    @property
    def own_numbers(self) -> list[int] | None:
        """The source's own number of each frame; None where it has none."""
        return None if self.numbers is None else from_text(self.numbers, self.frames)

    def to_json(self) -> dict:
        """What `from_json` makes it of again."""
        rate = [self.rate.numerator, self.rate.denominator]
        return dataclasses.asdict(self) | {"rate": rate, "picture": as_json(self.picture)}

    @classmethod
    def from_json(cls, values: dict) -> "ClipInfo":
        """The clip that `to_json` noted; NvdError where that is damaged."""
        try:
            noted = read(_Noted, values, JSON)
            if not rate_fits(*noted.rate):
                raise Fault("rate", "range", "frames a second of a clip", noted.rate)
            if _ENCODINGS[noted.bit_depth] != noted.encoding:
                raise Fault("encoding", "range", _ENCODINGS[noted.bit_depth], noted.encoding)
            if noted.width * noted.height > MOST_PIXELS:
                raise Fault("width", "range", f"{MOST_PIXELS} pixels at the most", noted.width)
            small = noted.analysis
            if small and (small.width > noted.width or small.height > noted.height):
                raise Fault("analysis", "range", "no larger than the plate", small.height)
            if noted.numbers is not None and from_text(noted.numbers, noted.frames) is None:
                raise Fault("numbers", "range", f"{noted.frames} numbers", noted.numbers)
            known: dict[str, object] = {"rate": Fraction(*noted.rate)}
            known |= {"cautions": noted.cautions, "picture": noted.picture}
            known |= {"timeline": noted.timeline, "analysis": noted.analysis}
            if noted.timeline and not noted.timeline.fits(noted.frames):
                raise Fault("timeline", "range", f"times of {noted.frames} frames", "others")
            return cls(**values | known)
        except Fault as fault:
            raise NvdError(
                "job.json does not say what clip was imported",
                expected=f"what `nvd decompose` noted under clip, {fault.key} as {fault.expected}",
                found=fault.found,
                remedy="remove clip from job.json, so that the source is opened again",
            ) from fault


@dataclass(frozen=True)
class _Noted:
    """`ClipInfo` as job.json has it."""

    source: str
    first_frame: Annotated[int, within(0, 2**31 - 1)]
    frames: Annotated[int, within(1, MOST_FRAMES)]
    source_frames: Annotated[int, within(1, 2**31 - 1)]
    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]
    source_width: Annotated[int, within(1, MOST_SIDE)]
    source_height: Annotated[int, within(1, MOST_SIDE)]
    rate: tuple[int, int]
    bit_depth: Literal[8, 16, "half", "float"]
    encoding: Literal["display", "linear"]
    picture: Picture = PLAIN
    cautions: tuple[str, ...] = ()
    numbers: str | None = None
    timeline: Timeline | None = None
    analysis: AnalysisSize | None = None


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
            yield _resized_picture(np.ascontiguousarray(colours), info.width, info.height, kind)

    def looked_at(self, frame: np.ndarray) -> np.ndarray:
        """What is looked at of a stored frame: uint8 [h, w, 3], straight and display-encoded.

        Of the analysis size; linear values pass through Rec.709 and the sRGB curve, clamped.
        """
        size, picture = self.info.looked_at, self.info.picture
        small = _resized_picture(frame, size.width, size.height, picture.alpha)
        return as_display_bytes(working_colours(small, picture))

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


def _resized_picture(frame: np.ndarray, width: int, height: int, alpha: str) -> np.ndarray:
    """A frame at another size; colours count by their alpha, which is of the kind `alpha`."""
    if frame.shape[:2] == (height, width):
        return frame
    if alpha != STRAIGHT:
        return resized(frame, width, height)
    whole = resized(with_alpha(to_float(frame), STRAIGHT, PREMULTIPLIED), width, height)
    straight = with_alpha(whole, PREMULTIPLIED, STRAIGHT)
    if frame.dtype.kind == "f":
        return straight.astype(frame.dtype)
    return to_integers(straight, frame.dtype)


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
    width, height = _working_size(opened.width, opened.height, plate_height)
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
    width, height = _working_size(opened.width, opened.height, height)
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


def frames_pattern(encoding: str) -> str:
    """Where a folder keeps the frames of a clip that is `display` or `linear`."""
    return "frames/%05d.exr" if encoding == "linear" else "frames/%05d.png"


def import_clip(clip: Clip, folder: Path, progress: Progress) -> None:
    """Write the clip into `folder`: `frames/%05d.png` or `.exr`, and `work/frames.npy`.

    `work/frames.npy` is uint8 [T, H, W, 3] of the analysis size, as `Clip.looked_at` makes its
    frames; `frames/` are of the plate's. It comes into place only when all frames
    are written: an import that was cancelled starts again from nothing. What EXRs hold outside of
    their display windows goes to `overscan/%05d.exr`.
    """
    info, folder = clip.info, Path(folder)
    for name in ("frames", OVERSCAN):
        _remove_old_frames(inside(folder, name))
    suffix = Path(frames_pattern(info.encoding)).suffix
    shape = (info.frames, info.looked_at.height, info.looked_at.width, 3)
    clip.copy_sound(folder, progress)
    progress.stage("frames", info.frames)
    with written_beside(work_folder(folder) / FRAMES) as temporary:
        frames = new_array(temporary, shape)
        _import_frames(clip, folder, suffix, frames, progress)
        frames.flush()
        del frames  # Windows renames no file that is still mapped


def _import_frames(
    clip: Clip, folder: Path, suffix: str, frames: np.ndarray, progress: Progress
) -> None:
    """Write every frame into `folder` and, as bytes, into `frames` [T, H, W, 3]."""
    plates, overscan = inside(folder, "frames"), inside(folder, OVERSCAN)

    def write(numbered: tuple[int, np.ndarray]) -> None:
        index, frame = numbered
        target, source = plates / f"{index:05d}{suffix}", clip.file_of(index)
        if source:
            copy_file(source, target)
        else:
            write_image(target, frame, tags=clip.tags_of(index), as_stored=True)
        if suffix == ".exr" and (whole := clip.overscan_of(index)):
            write_image(
                overscan / f"{index:05d}.exr",
                _colours_first(whole.pixels),
                tags=clip.tags_of(index),
                as_stored=True,
                window=(whole.window, whole.display),
            )
        frames[index] = clip.looked_at(frame)
        release(frames)

    with closing(in_order(write, enumerate(clip.stored()))) as written:
        for index, _ in enumerate(written):
            progress.update(index + 1)


def _colours_first(pixels: np.ndarray) -> np.ndarray:
    """Grey as R, G, B, as the frames have it."""
    if pixels.shape[2] >= 3:
        return pixels
    return np.concatenate([pixels[..., :1].repeat(3, axis=2), pixels[..., 1:]], axis=2)


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
