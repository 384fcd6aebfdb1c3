"""The plate while it is baked for: its frames and its garbage matte, at its own size."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.media.clip_import import frames_pattern
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import read_image, read_stored, to_float, to_integers
from nvd_core.media.sequences import frame_path
from nvd_core.media.working import as_display_bytes, working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside


@dataclass(frozen=True)
class Plate:
    """A clip's frames where they are larger than what was looked at; read anew each time."""

    frames: int
    height: int
    width: int
    frame: Callable[[int], np.ndarray]
    """of frame t the colours, uint8 [H, W, 3], straight and display-encoded"""
    matte: Callable[[int], np.ndarray | None]
    """of frame t the garbage matte, uint8 [H, W]; None: the clip has none"""


def plate_of(folder: Path, info: ClipInfo, garbage: str | None) -> Plate:
    """The plate of the clip `info` in `folder`/frames; `garbage` as the manifest has it."""
    size = info.height, info.width
    pattern = frames_pattern(info.encoding)

    def frame(t: int) -> np.ndarray:
        path = inside(folder, frame_path(pattern, t))
        stored = _of_size(read_stored(path).pixels, path, size)
        return np.ascontiguousarray(as_display_bytes(working_colours(stored, info.picture)))

    def matte(t: int) -> np.ndarray | None:
        if garbage is None:
            return None
        path = inside(folder, frame_path(garbage, t) if "%" in garbage else garbage)
        return to_integers(to_float(_of_size(read_image(path), path, size))[..., 0], np.uint8)

    return Plate(info.frames, *size, frame, matte)


def _of_size(image: np.ndarray, path: Path, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] != size:
        raise NvdError(
            f"{path} is not what was imported",
            expected="{1} x {0} pixels".format(*size),
            found="{1} x {0}".format(*image.shape),
            remedy="remove the folder and run `nvd decompose` again",
        )
    return image
