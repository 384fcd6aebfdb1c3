"""What no layer covers: in a garbage matte the layers' alphas sum to less than 1.

There a full picture shows the frame itself. Other folders' alphas sum to 1 but for what their
storage rounds, which is not looked at.
"""

from dataclasses import replace

import numpy as np

from nvd_core.editing.kernel import Kernel
from nvd_core.editing.mattes import read_matte
from nvd_core.media.images import encode_srgb, to_float
from nvd_core.runtime.inside import inside
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

COVERED = 1 / 512
"""what may be missing from an alpha of 1: half a step of the matte, and more than maps round"""


def uncovered(maps: FrameMaps) -> np.ndarray:
    """How much of each pixel no layer covers, float32 [H, W], 0 to 1; `maps` has all layers."""
    rest = 1 - maps.uva[..., 2].sum(0)
    return np.where(rest > COVERED, rest, 0).clip(0, 1)


def garbage_of(shot: Shot, t: int) -> np.ndarray | None:
    """The garbage matte of frame `t`, float32 [H, W], 0 to 1; None where the folder has none.

    NvdError where its file is missing, damaged or of another size.
    """
    path = shot.manifest.garbage
    if path is None:
        return None
    file = inside(shot.folder, path % t if "%" in path else path)
    again = "copy the folder again, or make it again with `nvd decompose`"
    return read_matte(shot, file, "garbage matte", again)


def over_frame(kernel: Kernel, linear: bool) -> Kernel:
    """The `kernel` of the mode "full", but that the frame shows where no layer covers it.

    `linear` says what floating-point frames hold. Where nothing covers it a frame keeps its values.
    It takes `rest`, which is `uncovered`, where the maps' alphas are not the layers' own any more:
    behind a layer that was made invisible there is no frame.
    """

    def kernel_over_frame(
        frame: np.ndarray, maps: FrameMaps, rest: np.ndarray | None = None
    ) -> np.ndarray:
        rest = (uncovered(maps) if rest is None else rest)[..., None]
        if not rest.any():
            return kernel(frame, maps)
        shown = to_float(frame) if frame.dtype.kind == "u" else frame
        shown = np.where(rest > 0, shown, 0)  # what is no number elsewhere stays out of it
        display = encode_srgb(shown) if linear else shown
        added = rest * display
        added = added if maps.added is None else maps.added + added
        result = kernel(frame, replace(maps, added=added.astype(np.float32)))
        return np.where(rest == 1, frame, result)

    return kernel_over_frame
