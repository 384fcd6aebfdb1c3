"""Mattes that lie in a folder as images of the clip's size."""

from pathlib import Path

import numpy as np

from nvd_core.media.images import read_image, to_float
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.shot import Shot


def read_matte(shot: Shot, file: Path, what: str, again: str) -> np.ndarray:
    """The matte in `file`, float32 [H, W], 0 to 1.

    NvdError where it is missing, damaged or of another size: `what` it is, and how to get it
    `again`.
    """
    matte, clip = to_float(read_image(file))[..., 0], shot.manifest.clip
    if matte.shape != (clip.height, clip.width):
        raise NvdError(
            f"the {what} {file} has another size than the clip",
            expected=f"{clip.width} x {clip.height}",
            found="{1} x {0}".format(*matte.shape),
            remedy=again,
        )
    return matte
