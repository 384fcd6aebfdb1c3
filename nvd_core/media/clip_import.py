"""A clip's import into a decomposition folder: its plates, its overscan, its array of work/."""

import re
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from nvd_core.media.clip import Clip
from nvd_core.media.images import write_image
from nvd_core.media.quick_png import QUICK
from nvd_core.runtime.files import copy_file, written_beside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, work_folder

OVERSCAN = "overscan"
"""folder of what EXRs hold outside of their display windows"""


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
            write_image(target, frame, QUICK, tags=clip.tags_of(index), as_stored=True)
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


def _remove_old_frames(folder: Path) -> None:
    """Frames of an earlier import, which may have had more of them or another format."""
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(r"\d{5,}\.(png|exr)", path.name):
                with suppress(OSError):  # one that cannot go is written over or reported there
                    path.unlink()
