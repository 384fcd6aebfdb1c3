"""Holdout mattes: what lies in front of the paint and was not decomposed.

White is in front. A matte that is given is read as masks are (`priors/masks.py`), brought to the
plate's size and kept in the folder: one image for all frames, or one a frame. In frames that it has
none for, nothing is held out.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction

import numpy as np

from nvd_core.editing.mattes import read_matte
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import encode_image, read_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.shot.finish import (
    HOLDOUTS,
    PLAIN_FINISH,
    Finish,
    LayerEdges,
    holdout_path,
    read_finish,
    write_finish,
)
from nvd_core.shot.finish_words import MOST_CHOKE, MOST_FEATHER
from nvd_core.shot.manifest import ClipRecord
from nvd_core.shot.shot import Shot


def read_holdout(shot: Shot, holdout: str | None, t: int) -> np.ndarray | None:
    """The matte of frame `t`, float32 [H, W], 0 to 1; None for none.

    NvdError where its file is missing, damaged or of another size.
    """
    if holdout is None:
        return None
    file = holdout_path(shot, holdout, t)
    return read_matte(shot, file, "holdout matte", "set it again: nvd finish --holdout")


def import_holdout(shot: Shot, layer: str, given: str) -> tuple[str, list[str]]:
    """Copy a matte (image, pattern, folder, movie; !PATH inverted) into the folder for `layer`.

    Returns its path there, for `LayerEdges.holdout`, and what is to be said; the matte that was
    there stays. NvdError where it does not fit the clip, or cannot be read.
    """
    from nvd_core.priors.masks import load_masks  # which imports what only decomposing needs

    info = _info(shot.manifest.clip)
    (source,) = load_masks([("holdout", given)], info, [0])
    if source is None:
        raise NvdError(
            "a holdout matte is not detected by a class",
            expected="images or a movie",
            found=given,
            remedy="draw it white where something lies in front of the paint",
        )
    if source.single:
        return _write(shot, layer, [0], lambda t: source.read_both(t)[1]), []
    said = [] if source.partial else list(source.cautions)
    with_one = set(source.given)
    nothing = np.zeros((info.height, info.width), np.uint8)
    if len(with_one) < shot.frames:
        said.append(
            f"the holdout of {layer} has no matte for {shot.frames - len(with_one)} of "
            f"{shot.frames} frames: nothing is held out there"
        )

    def matte(t: int) -> np.ndarray:
        return source.read_both(t)[1] if t in with_one else nothing

    return _write(shot, layer, range(shot.frames), matte), said


def _write(
    shot: Shot, layer: str, numbers: Iterable[int], matte: Callable[[int], np.ndarray]
) -> str:
    """Write mattes of the frames `numbers`, [0] alone for all, where nothing is; their path."""
    tail = ".png" if list(numbers) == [0] and shot.frames > 1 else "/%05d.png"
    number = 1
    while True:
        stem = f"{HOLDOUTS}/{layer}" + (f"_{number}" if number > 1 else "")
        if not any(there(inside(shot.folder, path).exists) for path in (stem, f"{stem}.png")):
            break
        number += 1
    for t in numbers:
        path = holdout_path(shot, f"{stem}{tail}", t)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path, durable=True) as temporary:
            encode_image(temporary, np.ascontiguousarray(matte(t))[..., None])
    return f"{stem}{tail}"


def write_carried_finish(old: Shot, new: Shot) -> list[str]:
    """Bring edges, holdouts and motion blur of `old` to `new`, if it has any; what is to be said.

    What cannot be read is left, and that is said too.
    """
    try:
        finish = read_finish(old)
        if finish == PLAIN_FINISH:
            return []
        carried, said = carried_finish(old, new, finish)
        write_finish(new, carried)
    except NvdError as error:
        return [f"edges and motion blur are not carried over: {error}"]
    return said


def carried_finish(old: Shot, new: Shot, finish: Finish) -> tuple[Finish, list[str]]:
    """The `finish` of `old` for the layers of `new`, whose holdouts are copied; what is to be said.

    Choke and feather are pixels: they grow with the plate.
    """
    larger = new.manifest.clip.height / old.manifest.clip.height
    apart = new.manifest.clip.first_frame - old.manifest.clip.first_frame
    layers, said = {}, []
    for name, own in finish.layers.items():
        if name not in new.names:
            said.append(f"the edges of {name} have no layer to go to")
            continue
        try:
            holdout = _carried(old, new, name, own.holdout, apart)
        except NvdError as error:
            said.append(f"the holdout of {name} is not carried over: {error}")
            holdout = None
        layers[name] = LayerEdges(
            float(np.clip(own.choke * larger, -MOST_CHOKE, MOST_CHOKE)),
            min(own.feather * larger, MOST_FEATHER),
            own.spill,
            holdout,
        )
    return Finish(layers, finish.motion_blur), said


def _carried(old: Shot, new: Shot, layer: str, holdout: str | None, apart: int) -> str | None:
    if holdout is None:
        return None
    clip = new.manifest.clip
    if (clip.height, clip.width) != (old.manifest.clip.height, old.manifest.clip.width):
        raise NvdError(
            "the plate has another size",
            expected=f"{old.manifest.clip.width} x {old.manifest.clip.height}",
            found=f"{clip.width} x {clip.height}",
            remedy="set it again: nvd finish --holdout",
        )
    nothing = np.zeros((clip.height, clip.width), np.uint8)

    def matte(t: int) -> np.ndarray:
        if "%" in holdout and not 0 <= t + apart < old.frames:
            return nothing
        return read_image(holdout_path(old, holdout, t + apart))[..., 0]

    return _write(new, layer, range(new.frames) if "%" in holdout else [0], matte)


def forget_holdout(shot: Shot, holdout: str | None) -> None:
    """Delete the images of a matte that no layer names any more."""
    if holdout is None:
        return
    numbers = range(shot.frames) if "%" in holdout else [0]
    for path in (holdout_path(shot, holdout, t) for t in numbers):
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):  # something else is in it
        if "%" in holdout:
            inside(shot.folder, holdout).parent.rmdir()


def _info(clip: ClipRecord) -> ClipInfo:
    """What masks are matched with: the clip's frames, size and numbers."""
    return ClipInfo(
        source=clip.source,
        first_frame=clip.first_frame,
        frames=clip.frames,
        source_frames=clip.first_frame + clip.frames,
        width=clip.width,
        height=clip.height,
        source_width=clip.width,
        source_height=clip.height,
        rate=Fraction(*clip.rate),
        bit_depth=clip.bit_depth,
        encoding=clip.encoding,
        numbers=clip.numbers,
    )
