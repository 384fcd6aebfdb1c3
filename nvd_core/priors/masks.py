"""Coarse masks from files: a sequence, a movie or one image for each object.

Masks and clip that are both numbered are matched by their numbers (mask_numbers.py); frames without
a mask are filled in by following the motion. One image is the mask of one frame: of the frame
whose number its name ends with, where the clip's own files are numbered in just that way
(`00012.png` for `shot/00012.jpg`), otherwise of the first frame. Beside a movie its number says
nothing, unless it is given as a folder or pattern of numbers from 0.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from nvd_core.job import wanted_class
from nvd_core.media.clip import open_source
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import to_integers
from nvd_core.media.movies import Movie
from nvd_core.media.resizing import resized
from nvd_core.media.sequences import ImageSequence, file_number, find_frames, is_movie
from nvd_core.priors.mask_labels import LabelImages, checked_without_id, has_ids, mask_name
from nvd_core.priors.mask_numbers import matched
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import NAME
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import there
from nvd_core.runtime.shown import shown
from nvd_core.work import MASK_WEIGHT, MASKS, work_folder

_ASPECT_TOLERANCE = 0.03
_WHITE = "paint the object white on black (or into alpha), one mask for each object"


class MaskSource:
    """The mask of one object, read from its files frame by frame.

    `given` are the working frames that there is a mask of, `partial` says that there are others,
    and `single` that there is one image only, which belongs to the working frame `frame` (None
    otherwise). `cautions` say what was taken for what.
    """

    def __init__(
        self,
        name: str,
        source: Movie | ImageSequence | LabelImages,
        info: ClipInfo,
        frames: dict[int, int],
        *,
        single: bool = False,
        inverted: bool = False,
        cautions: tuple[str, ...] = (),
    ):
        """`frames`: by the working frame, the frame of the source that is its mask; rising."""
        self.name = name
        self.given, self.partial = list(frames), len(frames) < info.frames
        self.single = single
        self.frame = self.given[0] if single else None
        self.cautions = cautions
        self._source, self._index, self._inverted = source, frames, inverted
        self._offset = min(frames.values())
        self._stop = max(frames.values()) + 1
        self._size, self._plate = info.looked_at, (info.width, info.height)
        self._frames: Iterator[np.ndarray] | None = None
        self._next = 0
        self._look_through()

    def read(self, t: int) -> np.ndarray:
        """The mask of working frame `t`, uint8 [H, W] at the analysis size, 255 = object.

        Fastest in order. IndexError where there is no mask for `t`.
        """
        return resized(self._own(t), self._size.width, self._size.height)

    def read_both(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """The same, and the mask at the plate's size."""
        own = self._own(t)
        return resized(own, self._size.width, self._size.height), resized(own, *self._plate)

    def _own(self, t: int) -> np.ndarray:
        """The mask of working frame `t` in its own size."""
        index = self._index.get(t)
        if index is None:
            raise IndexError(f"the mask of {self.name} has no frame {t}")
        if self._frames is None or index != self._next:
            self._frames = self._source.read(index, self._stop)
        self._next = index + 1
        values = _channel(next(self._frames), self._alpha)
        if self._level:
            mask = np.where(values > 0, np.uint8(255), np.uint8(0))
        elif values.dtype == np.uint8:
            mask = values
        else:
            mask = to_integers(values / _full(values.dtype), np.uint8)
        mask = 255 - mask if self._inverted else mask
        return np.ascontiguousarray(mask)

    def index_of(self, t: int) -> int | None:
        """The frame of its source that is the mask of working frame `t`; None: there is none."""
        return self._index.get(t)

    def _look_through(self) -> None:
        """Decide for the whole sequence what its values mean; NvdError for an empty or full mask.

        Alpha counts where it is not the same everywhere, otherwise the brightness. Where every
        value above 0 is the same (0 and 1, or one colour of a palette), it stands for white;
        not so in lossy files, where it may be a trace of compression.
        """
        self._level = False
        self._alpha = self._has_varying_alpha()
        lowest, highest, full = np.inf, 0, None
        some_on = some_off = False
        for frame in self._native():
            values = _channel(frame, self._alpha)
            full = _full(values.dtype)
            on = values > full // 2 if values.dtype.kind == "u" else values > 0.5
            some_on, some_off = some_on or bool(on.any()), some_off or not on.all()
            above = values[values > 0]
            if above.size:
                lowest, highest = min(lowest, above.min()), max(highest, above.max())
            if some_on and some_off and (lowest < highest or highest >= full):
                return  # nothing that comes can change the verdict
        if highest > 0 and lowest == highest and self._is_lossless():
            self._level = True
            some_on, some_off = True, self._any_zero()
        if some_on and some_off:
            return
        raise NvdError(
            f"the mask of {self.name} is {'white everywhere' if some_on else 'empty'}",
            expected="some of the object and some of the rest in at least one frame",
            found=f"brightest value {float(highest / full):.2f} of 1",
            remedy=_WHITE,
        )

    def _native(self) -> Iterator[np.ndarray]:
        return self._source.read(self._offset, self._stop)

    def _has_varying_alpha(self) -> bool:
        first = None
        for frame in self._native():
            if frame.shape[2] in (1, 3):
                return False
            alpha = frame[..., -1]
            first = alpha.flat[0] if first is None else first
            if (alpha != first).any():
                return True
        return False

    def _is_lossless(self) -> bool:
        if isinstance(self._source, Movie):
            return False
        return self._source.files[0].suffix.lower() not in (".jpg", ".jpeg", ".webp", ".jp2")

    def _any_zero(self) -> bool:
        return any((_channel(frame, self._alpha) == 0).any() for frame in self._native())


def load_masks(
    masks: list[tuple[str, Path | str]],
    info: ClipInfo,
    frames: list[int | None] | None = None,
) -> list[MaskSource | None]:
    """Open the masks, given as (object name, source), for the clip `info`, in the same order.

    None stands for a source `maskrcnn:CLASS`, whose mask is to be detected.

    A source is a folder or pattern of images, a movie, or one image; grey, colour, palette or
    alpha, of any depth, and of any size in the clip's proportions. NvdError where a
    name or a source does not fit, or cannot be read.

    Which frame a single image belongs to follows from the names of the clip's files, unless
    `frames` (see `single_frames`) says it.
    """
    _check_names([name for name, _ in masks])
    known = frames if frames and len(frames) == len(masks) else [None] * len(masks)
    return [
        None if wanted_class(s) else load_mask(name, s, info, frame)
        for (name, s), frame in zip(masks, known, strict=True)
    ]


def single_frames(sources: list[MaskSource | None]) -> list[int | None]:
    """The working frame of each source that is a single image; None for the others."""
    return [source.frame if source else None for source in sources]


def write_masks(
    sources: list[MaskSource | None],
    folder: Path,
    T: int,
    H: int,
    W: int,
    progress: Progress,
    arrays: tuple[str, str] = (MASKS, MASK_WEIGHT),
) -> None:
    """Write `work/masks.npy` and `work/mask_weight.npy`, uint8 [N, T, H, W], into `folder`.

    `arrays`: other names of the two.

    The weight is 255 where there is a mask of the frame; of a single image the other frames are 0
    in both, to be filled in by following the motion, and so are all frames of a mask that is to be
    detected (None). Both come into place only when complete.
    """
    work = work_folder(folder)
    shape = (len(sources), T, H, W)
    progress.stage("masks", len(sources) * T)
    with (
        written_beside(work / arrays[1]) as weight_path,
        written_beside(work / arrays[0]) as mask_path,
    ):
        masks, weights = new_array(mask_path, shape), new_array(weight_path, shape)
        for number, source in enumerate(sources):
            for t in frames_of(source, T):
                masks[number, t] = source.read(t)
                weights[number, t] = 255
                release(masks, weights)
                progress.update(number * T + t + 1)
            progress.update((number + 1) * T)
        masks.flush()
        weights.flush()
        del masks, weights  # Windows renames no file that is still mapped


def frames_of(source: MaskSource | None, T: int) -> Iterable[int]:
    """The working frames of T that a source has a mask of."""
    if source is None:
        return ()
    return source.given


def _check_names(names: list[str]) -> None:
    seen = set()
    for name in names:
        problem = ""
        if not re.fullmatch(NAME, name):
            problem = f"{name!r} cannot be the name of an object"
        elif name.lower() == "background":
            problem = "no object can be called background: that is what remains behind them all"
        elif name.lower() in seen:  # names become file names, which some systems fold
            problem = f"two objects are called {name}"
        if problem:
            raise NvdError(
                problem,
                expected="letters, digits, _ and -, each name once",
                remedy="give each mask a name of its own, such as dog or left_hand",
            )
        seen.add(name.lower())


def load_mask(name: str, text: Path | str, info: ClipInfo, frame: int | None) -> MaskSource:
    """Open the mask of one object, as `load_masks` does of all; no class."""
    asked = mask_name(text)
    opened = open_source(asked.path, missing="skip")
    _check_shape(name, opened, info)
    source: Movie | ImageSequence | LabelImages = opened
    about: tuple[str, ...] = ()
    if asked.id is None:
        about = checked_without_id(name, opened)
    elif not has_ids(opened):
        raise NvdError(
            f"the mask of {name} is a movie, which has no ids",
            found=str(text),
            remedy="give indexed PNGs, or a movie of this object alone without #ID",
        )
    else:
        source = LabelImages(name, opened, asked.id)
    if isinstance(opened, ImageSequence) and opened.frames == 1:
        said = about
        if frame is None:
            file = opened.files[0]
            frame = _frame_of_single(name, file, info, there(Path(asked.path).is_file))
            if frame is None:
                frame, said = 0, (*about, *_taken_as_first(name, opened.files[0]))
        if not 0 <= frame < info.frames:
            raise NvdError(
                f"the mask of {name} is said to be of a frame that the clip has not",
                expected=f"a frame from 0 to {info.frames - 1}",
                found=shown(frame),
                remedy="remove mask_frames from job.json, so that it is found by the mask's name",
            )
        return MaskSource(
            name, source, info, {frame: 0}, single=True, inverted=asked.inverted, cautions=said
        )
    frames, cautions = matched(name, str(asked.path), opened, info)
    said = (*about, *cautions)
    return MaskSource(name, source, info, frames, inverted=asked.inverted, cautions=said)


def _taken_as_first(name: str, path: Path) -> tuple[str, ...]:
    if file_number(path) is None:
        return ()
    return (f"the mask of {name}, {path.name}, is taken for that of the first frame",)


def _check_shape(name: str, source: Movie | ImageSequence, info: ClipInfo) -> None:
    ratio = (source.width * info.source_height) / (source.height * info.source_width)
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        raise NvdError(
            f"the mask of {name} has other proportions than the clip",
            expected=f"those of {info.source_width} x {info.source_height}",
            found=f"{source.width} x {source.height}",
            remedy="make the mask on the clip's own frames, neither cropped nor rotated",
        )


def _frame_of_single(name: str, path: Path, info: ClipInfo, alone: bool) -> int | None:
    """The working frame that a single image belongs to by the number in its name; None: none."""
    digits = file_number(path)
    if digits is None or _is_version(path, digits):
        return None
    if is_movie(info.source):  # a folder of masks is numbered, a picture's name may mean anything
        index = int(digits)
        if alone or len(digits) < 4 or not 0 <= index < info.source_frames:
            return None
        return _within(name, path, info, index)
    # As written, with its zeros: the 2 of mask_2.png is not frame 00002
    numbers = [file_number(file) for file in find_frames(info.source, "skip").files]
    if digits not in numbers:
        return None
    return _within(name, path, info, numbers.index(digits))


def _within(name: str, path: Path, info: ClipInfo, index: int) -> int:
    """The working frame of the source's frame `index`; NvdError where it is not decomposed."""
    if not 0 <= index - info.first_frame < info.frames:
        raise NvdError(
            f"the mask of {name}, {path.name}, is of a frame that is not decomposed",
            expected=f"frames {info.first_frame} to {info.first_frame + info.frames - 1}",
            found=f"frame {index}",
            remedy="give the mask of a frame in the range, or rename the image "
            "if its number means something else",
        )
    return index - info.first_frame


def _is_version(path: Path, digits: str) -> bool:
    """Whether the number is that of a version: `dog_v0003.png`."""
    before = path.stem[: path.stem.rindex(digits)]
    return re.search(r"(?:^|[^A-Za-z])[vV]$", before) is not None


def _channel(frame: np.ndarray, alpha: bool) -> np.ndarray:
    """The plane [H, W] of `frame` that is the mask, in its own depth."""
    if alpha:
        return frame[..., -1]
    if frame.shape[2] < 3:
        return frame[..., 0]
    luminance = frame[..., :3].astype(np.float32) @ np.float32([0.2126, 0.7152, 0.0722])
    return luminance if frame.dtype.kind == "f" else np.rint(luminance).astype(frame.dtype)


def _full(dtype: np.dtype) -> np.float32:
    """The value that means white."""
    return np.float32(np.iinfo(dtype).max if dtype.kind == "u" else 1)
