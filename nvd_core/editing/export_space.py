"""A plate in a colour space that was named, handed over as light: linear Rec.709 in EXR.

The node scripts have no conversion of OpenColorIO in them. So plate, result and clean plate are
converted as the engine does it, the scripts work on light, and the conversions lie beside them:
with `colour/from_rec709.ctf` a program brings its result back into the plate's space.
"""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.editing.plate import check_frame, read_stored_frame
from nvd_core.editing.render import render_stored
from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.conversion import FROM_WORKING, TO_WORKING, conversion_of
from nvd_core.media.images import image_layout, to_float, write_image
from nvd_core.media.working import working_colours
from nvd_core.runtime.files import copy_file, written_beside
from nvd_core.shot.manifest import ClipRecord
from nvd_core.shot.shot import Shot

FILES = (TO_WORKING, FROM_WORKING)
"""what lies beside such a plate"""
COMPRESSION = "zip"


def handed_clip(clip: ClipRecord) -> ClipRecord:
    """The record of the plate that is handed over: the clip's own, or that of light."""
    if clip.picture.space is None:
        return clip
    alpha = NONE if clip.picture.alpha == NONE else PREMULTIPLIED
    plain = replace(clip.picture, alpha=alpha, primaries=None, colour_id="", movie=None, space=None)
    return replace(clip, bit_depth="float", encoding="linear", picture=plain)


def write_plate(shot: Shot, t: int, path: Path) -> None:
    """Copy or convert frame `t`; NvdError where it is not the one that was decomposed."""
    source = shot.frame_path(t)
    check_frame(shot, source, image_layout(source))
    if shot.manifest.clip.picture.space is None:
        copy_file(source, path)
        return
    write_image(path, _light(read_stored_frame(shot, t), shot.manifest.clip), COMPRESSION)


def results_as_light(
    shot: Shot, edits: dict[str, Path], numbers: range
) -> Generator[np.ndarray, None, None]:
    """The rendered frames `numbers` of a plate in a space, as `write_plate` has the plate."""
    for frame in render_stored(shot, edits, numbers):
        yield _light(frame, shot.manifest.clip)


def write_conversions(shot: Shot, out: Path) -> None:
    """Write `FILES` into the folder `out`."""
    conversion = conversion_of(shot.manifest.clip.picture.space)
    texts = conversion.to_working, conversion.from_working
    for name, text in zip(FILES, texts, strict=True):
        with written_beside(out / name) as temporary:
            temporary.write_bytes(text.encode())


def _light(frame: np.ndarray, clip: ClipRecord) -> np.ndarray:
    """Linear Rec.709 of a stored frame, float32 [H, W, 3], or [H, W, 4] premultiplied."""
    colours = working_colours(frame, clip.picture)
    if clip.picture.alpha == NONE:
        return colours
    straight = np.concatenate([colours, to_float(frame[..., 3:])], axis=2)
    return with_alpha(straight, STRAIGHT, PREMULTIPLIED)
