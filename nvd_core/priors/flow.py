"""Optical flow between neighbouring frames, both ways, and where the two directions agree.

`compute_flow` is the stage; where the flow comes from is one of three small sources, each a
function that takes the number of a pair and returns its forward and backward flow: DIS (OpenCV,
the default), RAFT (`flow_raft`, weights given by path), files made elsewhere (`flow_files`).

Flow of large frames is found and kept at a fraction of their size (`flow_size`): it is smooth
nearly everywhere, and would be most of what a decomposition takes of time and disk.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow_size import (
    at_flow_size,
    flow_scale,
    flow_size,
    grey,
    local_contrast,
    pixel_grid,
)
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.frame_threads import MadeOnce, in_order, single_opencv, worker_count
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FLOW_BACKWARD, FLOW_FORWARD, FLOW_OK, FRAMES, open_array

METHODS = ("dis", "raft", "files")

CONSISTENT_PX = 1.0
"""Forward and backward flow must bring one of its pixels back this near to itself."""

FARTHEST = 3e4
"""Pixels; half floats go no further than twice as far."""

BORDER = 8
"""Pixels along the frame's border without flow at local contrast: a patch of DIS."""

Source = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Pair t -> flow of t in t+1 and of t+1 in t, each float32 [h, w, 2], in pixels of that size."""


def compute_flow(
    work: Path,
    progress: Progress,
    method: str = "dis",
    path: Path | str | None = None,
    device: str = "auto",
    longest: int | None = None,
) -> None:
    """Write flow_forward.npy, flow_backward.npy and flow_ok.npy beside frames.npy in `work`.

    They have the size `flow_size` for the `longest` side; flow is in pixels of the frames. `path`
    is RAFT's weights file, or the folder of flow files; RAFT works on `device`. Nothing appears
    under its final name before all pairs are done.
    """
    work = Path(work)
    frames = open_array(work, FRAMES)  # [T, H, W, 3]
    count = len(frames)
    if count < 2:
        raise NvdError(
            "the clip shows no motion to learn from",
            expected="2 frames or more",
            found=f"{count}",
            remedy="give a longer clip or a wider frame range",
        )
    height, width = frames.shape[1:3]
    size = flow_size(height, width, longest)
    source, workers = _source(method, frames, path, device, size)
    progress.stage("flow", count - 1)
    with ExitStack() as stack:
        names = FLOW_OK, FLOW_BACKWARD, FLOW_FORWARD  # the first here is renamed last
        paths = [stack.enter_context(written_beside(work / name)) for name in names]
        _fill(paths, frames, size, source, workers, progress)


def _fill(
    paths: list[Path],
    frames: np.ndarray,
    size: tuple[int, int],
    source: Source,
    workers: int,
    progress: Progress,
) -> None:
    """Write flow_ok, backward and forward flow; none is mapped any more when this returns.

    Windows renames no file that is mapped.
    """
    count = len(frames)
    shape = (count - 1, *size, 2)
    scale = flow_scale(frames.shape[1:3], size)
    ok = new_array(paths[0], (2, *shape[:3]), np.uint8)
    backward, forward = (new_array(path, shape, np.float16) for path in paths[1:])

    def pair(t: int) -> None:
        there, back = source(t)
        for target, flow in ((forward, there), (backward, back)):
            target[t] = np.clip(flow * scale, -FARTHEST, FARTHEST)
        ok[0, t], ok[1, t] = consistent(there, back), consistent(back, there)
        release(frames, forward, backward, ok)

    single = single_opencv() if workers > 1 else nullcontext()
    with single, closing(in_order(pair, range(count - 1), workers)) as done:
        for t, _ in enumerate(done):
            progress.update(t + 1)
    for written in (ok, backward, forward):
        written.flush()


def consistent(
    there: np.ndarray,  # [H, W, 2]
    back: np.ndarray,  # [H, W, 2]
    tolerance: float = CONSISTENT_PX,
) -> np.ndarray:  # bool [H, W]
    """Where following `there` and then `back` ends within `tolerance` px of the start, in frame."""
    height, width = there.shape[:2]
    there = there.astype(np.float32, copy=False)
    target = pixel_grid(height, width) + there
    returned = cv2.remap(back.astype(np.float32, copy=False), target, None, cv2.INTER_LINEAR)
    inside = (
        (target[..., 0] >= 0)
        & (target[..., 0] <= width - 1)
        & (target[..., 1] >= 0)
        & (target[..., 1] <= height - 1)
    )
    gap = there + returned
    return inside & (np.einsum("hwc,hwc->hw", gap, gap) < tolerance**2)


def dis() -> cv2.DISOpticalFlow:
    """OpenCV's dense inverse search with the settings used here; not to be shared by threads.

    It goes down to the full resolution: from half of it, as the preset has it, flow is up to
    twice as wrong, and most where a small object turns.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)
    return estimator


@dataclass(frozen=True)
class Luma:
    """What DIS looks at of a frame."""

    values: np.ndarray  # uint8 [H, W]
    contrast: np.ndarray  # uint8 [H, W], `local_contrast` of them

    @classmethod
    def of(cls, values: np.ndarray) -> "Luma":
        """Of uint8 [H, W]."""
        return cls(values, local_contrast(values))


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow [H, W, 2] from luma `first` to `second`, uint8 [H, W], little misled by changing light.

    DIS down to half of the resolution, and from there on the pictures' local contrast, out of which
    slow and multiplied light falls. Alone that would not do: it has lost the broad shapes by which
    fast motion is found. Along the frame's border, where contrast has too little around it, the
    coarse flow stays.
    """
    return _between(Luma.of(first), Luma.of(second))


def _between(first: Luma, second: Luma) -> np.ndarray:
    coarse, fine = dis(), dis()
    coarse.setFinestScale(1)
    fine.setCoarsestScale(1)
    start = coarse.calc(first.values, second.values, None)
    flow = start.copy()
    inner = slice(BORDER, -BORDER)
    flow[inner, inner] = fine.calc(first.contrast, second.contrast, start)[inner, inner]
    return flow


def _source(
    method: str,
    frames: np.ndarray,
    path: Path | str | None,
    device: str,
    size: tuple[int, int],
) -> tuple[Source, int]:
    """The source of the flow and how many threads may ask it at once."""
    if method == "dis":
        workers = worker_count(8)
        return _dis_source(frames, size, workers), workers
    if method == "raft":
        from nvd_core.priors.flow_raft import raft_source

        return raft_source(frames, path, choose_device(device), size), 1
    if method == "files":
        from nvd_core.priors.flow_files import file_source

        return file_source((len(frames), *size), path), 2
    raise NvdError(
        "there is no such way to compute optical flow",
        expected=", ".join(METHODS),
        found=method,
        remedy="use dis unless you have a reason not to",
    )


def _dis_source(frames: np.ndarray, size: tuple[int, int], workers: int) -> Source:
    """Flow by DIS; each frame is prepared once for all that ask, as long as they go in order."""
    luma = MadeOnce(lambda t: Luma.of(grey(at_flow_size(frames[t], size))), 2 * workers + 2)

    def pair(t: int) -> tuple[np.ndarray, np.ndarray]:
        first, second = luma(t), luma(t + 1)
        return _between(first, second), _between(second, first)

    return pair
