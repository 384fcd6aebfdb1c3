"""The clip's own frames, to be painted on: as stored, and as the renderers work on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nvd_core.media.alpha import NONE, PREMULTIPLIED
from nvd_core.media.clip_import import OVERSCAN
from nvd_core.media.colour_tags import FileTags
from nvd_core.media.fast_png import read_plain_png
from nvd_core.media.images import Stored, at_depth, image_layout, image_size, read_stored
from nvd_core.media.overscan import Window, overlap
from nvd_core.media.working import stored_colours, working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.shot.manifest import ClipRecord
from nvd_core.shot.shot import Shot

_DTYPES = {8: "uint8", 16: "uint16", "half": "float16", "float": "float32"}


def read_stored_frame(shot: Shot, index: int) -> np.ndarray:
    """Frame `index` as it is on disk, [H, W, 3], or [H, W, 4] where `clip.picture` has alpha.

    NvdError if it has changed size.
    """
    path, clip = shot.frame_path(index), shot.manifest.clip
    plain = read_plain_png(path)
    if plain is not None:
        check_frame(shot, path, (*plain.shape, plain.dtype.name))
        return plain
    if image_size(path) != (clip.height, clip.width):  # before it takes memory
        check_frame(shot, path, image_layout(path))
    pixels = read_stored(path).pixels
    check_frame(shot, path, (*pixels.shape, pixels.dtype.name))
    return pixels


def read_frame(shot: Shot, index: int) -> np.ndarray:
    """Frame `index` as [H, W, 3], straight Rec.709 in the clip's own depth; NvdError as above.

    Linear float32 where the clip has a space of its own.
    """
    frame, picture = read_stored_frame(shot, index), shot.manifest.clip.picture
    colours = working_colours(frame, picture)
    return colours if picture.space else colours.astype(frame.dtype, copy=False)


def check_frame(shot: Shot, path: Path, layout: tuple[int, int, int, str]) -> None:
    """NvdError where a frame of this height, width, channels and type is not one of the clip."""
    clip = shot.manifest.clip
    height, width, channels, dtype = layout
    expected = f"{clip.width} x {clip.height} x {channels_of(clip)} {_DTYPES[clip.bit_depth]}"
    found = f"{width} x {height} x {channels} {dtype}"
    if found != expected:
        raise NvdError(
            f"{path} is not the frame that was decomposed",
            expected=expected,
            found=found,
            remedy="restore the file, or make the folder again with `nvd decompose`",
        )


def channels_of(clip: ClipRecord) -> int:
    """Channels of the files in `frames/`."""
    return 3 if clip.picture.alpha == NONE else 4


def rendered_depth(clip: ClipRecord, bit_depth: int | str | None) -> int | str:
    """The depth that kernels work at: linear clips at "float", others as asked or as they are."""
    return "float" if clip.is_linear else bit_depth or clip.bit_depth


def edited(
    clip: ClipRecord, stored: np.ndarray, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """A stored frame whose colours went through `change`; pixels that it leaves stay as they are.

    `change` takes and returns straight Rec.709 colours [H, W, 3]. Paint does not show where the
    picture is premultiplied and its alpha is 0.
    """
    before = working_colours(stored, clip.picture)
    after = change(before)
    if before is stored:
        return after
    same = (after == before) | (np.isnan(after) & np.isnan(before))
    changed = ~same.all(2, keepdims=True)
    if clip.picture.alpha == PREMULTIPLIED:
        changed &= stored[..., 3:] != 0
    if clip.picture.space:  # a conversion costs more than to pick the pixels out
        return _changed_back(clip, stored, after, changed[..., 0])
    return np.where(changed, stored_colours(after, stored[..., 3:], clip.picture), stored)


def _changed_back(
    clip: ClipRecord, stored: np.ndarray, after: np.ndarray, changed: np.ndarray
) -> np.ndarray:
    """Stored frame of floats, the pixels where it is `changed` [H, W] converted back."""
    result = stored.copy()
    result[changed] = stored_colours(
        after[changed][None], stored[..., 3:][changed][None], clip.picture
    )[0]
    return result


def frame_tags(shot: Shot) -> FileTags:
    """What the clip's own files say beside their values."""
    return read_stored(shot.frame_path(0)).tags


def overscan_path(shot: Shot, index: int) -> Path:
    """The EXR of all that frame `index` of the source holds; there only where it is needed."""
    return inside(shot.folder, f"{OVERSCAN}/{index:05d}.exr")


def read_overscan(shot: Shot, index: int) -> Stored | None:
    """All of frame `index` of the source, None where `frames/` has all of it."""
    path = overscan_path(shot, index)
    return read_stored(path, whole=True) if path.is_file() else None


def with_overscan(
    whole: Stored, before: np.ndarray, frame: np.ndarray
) -> tuple[np.ndarray, tuple[Window, tuple[int, int]]]:
    """A rendered `frame` with what lay beyond it, and where that lies.

    The window grows only where the frame was changed, compared with `before`, outside of it.
    """
    height, width = frame.shape[:2]
    window = whole.window or Window(0, 0, width, height)
    changed = (frame != before).any(2)
    changed[overlap(window, height, width)[1]] = False
    left, top, right, bottom = window.left, window.top, *window.end
    if changed.any():
        ys, xs = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        left, top = min(left, xs[0]), min(top, ys[0])
        right, bottom = max(right, xs[-1] + 1), max(bottom, ys[-1] + 1)
    grown = Window(int(left), int(top), int(right - left), int(bottom - top))
    pixels = np.zeros((grown.height, grown.width, frame.shape[2]), frame.dtype)
    own = slice(window.top - top, window.top - top + window.height)
    pixels[own, window.left - left : window.left - left + window.width] = whole.pixels
    inner, outer = overlap(grown, height, width)
    pixels[inner] = frame[outer]
    return pixels, (grown, (width, height))


def frame_at_depth(shot: Shot, index: int, depth: int | str) -> np.ndarray:
    """Stored frame `index` as the renderer takes it."""
    return at_depth(read_stored_frame(shot, index), depth)
