"""Paint on a picture of one frame, taken onto the layers' edit images: the command `nvd paint`.

The picture is either paint alone, with alpha, or a painted copy of the frame. back_projection.py
finds the texels; here the picture is read, and what was found is laid over what the edits hold.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nvd_core.editing.across_windows import across_windows
from nvd_core.editing.back_projection import LEAST_OPACITY, OPAQUE
from nvd_core.editing.edits import (
    DEAD_ZONE,
    display_colours,
    load_texture,
)
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.own_files import check_output
from nvd_core.editing.part_painting import paint_to_layer
from nvd_core.editing.render import checked_range, render_frames
from nvd_core.editing.stack_edit import add_paint
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.alpha import NONE
from nvd_core.media.images import (
    decode_srgb,
    encode_image,
    image_layout,
    image_size,
    read_image,
    to_float,
    to_integers,
)
from nvd_core.media.output_tags import keeps_space
from nvd_core.media.working import working_colours
from nvd_core.runtime.all_or_none import all_or_none, tidy
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.folder_lock import writing_if_inside
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import ClipRecord
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import FrameMaps, LayerMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import read_values, relight

NOTICED = 0.01
"""share of a layer's painted texels above which colours that had to be clipped are a caution"""


@dataclass
class FramePaint:
    """What was painted on a frame, display-encoded."""

    colours: np.ndarray  # float32 [H, W, 3]
    opacity: np.ndarray  # float32 [H, W], 0 to 1
    base: np.ndarray | None  # float32 [H, W, 3], what a painted copy was painted on; else None


def paint_frame(
    shot: Shot,
    frame: int,
    image: Path | str,
    *,
    base: Path | str | None = None,
    layers: Sequence[str] = (),
    lit: bool = False,
    out: Path | str | None = None,
    entry: dict | None = None,
    progress: Progress | None = None,
) -> dict:
    """Take the paint of `image`, of the clip's size, from `frame` (from 0) onto the layers.

    `image` is read as `read_paint` says. A layer takes the paint where it is opaque in that frame;
    `layers` restricts it to some, and without it none that is hidden takes any. The paint looks in
    that frame as it was painted, or, `lit`, is the surface's colour, on which the shot's light
    plays. It is laid over edits/<layer>.png, at that image's size and depth; or over a copy of it
    in the folder `out`. Other texels keep their values, bit for bit. With `entry`, keys such as
    name and frames, the paint becomes an entry of the stack instead; where it reaches several
    layers each has one, and the layer's name behind the entry's.

    Returns the `frame`; `painted`, texels by layer; `clipped`, those of them, by layer, whose
    colour would have to be above what the edit can hold, if any; `images`, the files by layer.
    Nothing is written before all layers are done, and then all or none. NvdError for a picture of
    another size, and where there is no paint, or no layer that takes it.
    """
    progress = progress or Progress()
    checked_range(shot, (frame, frame))
    shot.check((frame, frame))
    names = [
        name for name in shot.names if name in {shot.layer(n).name for n in layers or shot.names}
    ]
    values = read_values(shot)
    hidden = [] if layers else [name for name in names if values.at(name, frame)[0] == 0]
    names = [name for name in names if name not in hidden]
    folder = None if out is None else Path(out)
    if entry and folder:
        raise NvdError("--as and --out do not go together", remedy="leave out one of them")
    if folder is not None:
        files = [folder / shot.edit_path(name).name for name in names]
        check_output(shot, files, {"the paint": image} | ({"its base": base} if base else {}))
        tidy(files)
    edits, painted, clipped = {}, {}, {}
    target = shot.folder if folder is None else folder
    with writing_if_inside(target, shot.folder, "nvd paint", progress):
        paint = read_paint(shot, frame, image, base)
        maps = read_frame_maps(shot, frame)
        steps = {name: len(shot.layer(name).windows) or 1 for name in names}
        progress.stage("paint", sum(steps.values()))
        done = 0
        for name in names:
            gain = values.at(name, frame)[1]
            below = _empty_sheet(shot, name) if entry else _edit_image(shot, name)
            place = _Place(name, frame, maps, gain)
            told = progress, done
            edit, texels, too_bright = _painted_edit(shot, place, paint, below, lit, told)
            if texels:
                path = shot.edit_path(name)
                edits[path if folder is None else folder / path.name] = edit
                painted[name], clipped[name] = texels, too_bright
            done += steps[name]
            progress.update(done)
        if not edits:
            raise _no_layer(image, frame, names, shot, hidden)
        if entry:
            sheets = dict(zip(painted, edits.values(), strict=True))
            edits = add_paint(shot, sheets, entry)
        else:
            with all_or_none(edits, durable=True) as temporaries:
                for temporary, edit in zip(temporaries, edits.values(), strict=True):
                    encode_image(temporary, edit)
    for name, count in clipped.items():
        if count > NOTICED * painted[name]:
            progress.caution(
                f"{count} of {painted[name]} texels of {name} would have to be brighter than its "
                "edit can hold, as the shot's light is dim there: they come out too dark"
            )
    result = {"frame": frame, "painted": painted}
    if any(clipped.values()):
        result["clipped"] = {name: count for name, count in clipped.items() if count}
    result["images"] = dict(zip(painted, map(str, edits), strict=True))
    return result | ({"entries": list(edits.values())} if entry else {})


def read_paint(
    shot: Shot, frame: int, image: Path | str, base: Path | str | None = None
) -> FramePaint:
    """What is painted in the picture `image` of the frame.

    Without a `base`, an alpha that is not 1 everywhere says where: paint alone. All else is a
    painted copy of `base`, or of the frame as `nvd render` shows it with the present edits. There
    paint is what differs: not below DEAD_ZONE, in full from twice of it on. What is transparent
    in a copy of `base` was rubbed out, and is no paint.
    """
    colours, alpha, integers = _read(shot, image)
    alone = base is None and alpha is not None and alpha.min() < 1
    if alone:
        paint = FramePaint(colours, alpha[..., 0], None)
    else:
        below = _rendered(shot, frame) if base is None else _read(shot, base)[0]
        if alpha is not None:
            colours = below + alpha * (colours - below)
        limit = (lambda a: a.clip(0, 1)) if integers else (lambda a: a)
        opacity = ((np.abs(colours - limit(below)).max(2) - DEAD_ZONE) / DEAD_ZONE).clip(0, 1)
        opacity[opacity < LEAST_OPACITY] = 0
        paint = FramePaint(colours, opacity, below)
    if not paint.opacity.any():
        raise NvdError(
            f"there is no paint in {image}",
            found="alpha 0 everywhere" if alone else "the picture that it was painted on",
            remedy="paint on the picture and save it; --base names what it was painted on",
        )
    return paint


def _read(shot: Shot, path: Path | str) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Colours [H, W, 3], alpha [H, W, 1] or None, and whether the file holds integers."""
    clip = shot.manifest.clip
    height, width = image_size(path)  # before it takes memory
    if (height, width) != (clip.height, clip.width):
        raise NvdError(
            f"{path} is not as large as the clip",
            expected=f"{clip.width} x {clip.height}",
            found=f"{width} x {height}",
            remedy="paint on a frame that `nvd render` wrote, and keep its size",
        )
    image = read_image(path)
    if not np.isfinite(image).all():
        raise NvdError(
            f"{path} holds values that are no colours",
            found="infinite values or NaN",
            remedy="clamp the image and save it again",
        )
    image = _of_clip(clip, Path(path), image)
    return *display_colours(image), image.dtype.kind != "f"


def _of_clip(clip: ClipRecord, path: Path, image: np.ndarray) -> np.ndarray:
    """A read image in Rec.709: where `nvd render` writes such files in the clip's own space, it is
    taken to be in that.
    """
    floats = image.dtype.kind == "f"
    if not clip.picture.space or not keeps_space(
        path.with_name(f"%d{path.suffix}"), clip.picture, floats, clip.encoding
    ):
        return image
    colours, alpha = image, image[..., :0]
    if image.shape[2] in (2, 4):
        colours, alpha = image[..., :-1], to_float(image[..., -1:])
    colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
    linear = working_colours(colours, replace(clip.picture, alpha=NONE))
    return np.concatenate([linear, alpha.astype(np.float32)], axis=2)


def _rendered(shot: Shot, frame: int) -> np.ndarray:
    """The frame with the present edits, display-encoded [H, W, 3]."""
    with closing(render_frames(shot, frames=(frame, frame))) as frames:
        return display_colours(next(frames))[0]


def _edit_image(shot: Shot, name: str) -> np.ndarray:
    """The layer's edit as it is in its file."""
    path = shot.edit_path(name)
    return read_image(path if path.is_file() else shot.texture_path(name))


def _empty_sheet(shot: Shot, name: str) -> np.ndarray:
    """A transparent sheet of the size of the layer's edit, for paint of its own."""
    path = shot.edit_path(name)
    path = path if path.is_file() else shot.texture_path(name)
    (height, width), floats = image_size(path), image_layout(path)[3].startswith("float")
    return np.zeros((height, width, 4), np.float32 if floats else np.uint16)


@dataclass(frozen=True)
class _Place:
    """A layer in the frame that was painted on."""

    name: str
    frame: int
    maps: FrameMaps
    gain: float
    """how much of the shot's light falls on it"""


def _painted_edit(
    shot: Shot,
    place: _Place,
    paint: FramePaint,
    below: np.ndarray,
    lit: bool,
    told: tuple[Progress, int],
) -> tuple[np.ndarray | None, int, int]:
    """`below` with the layer's part of the paint on it, texels painted, how many were clipped.

    `told` is who hears of the windows reached, and how many steps were done before.
    """
    name, maps, gain = place.name, place.maps, place.gain
    own = maps.layer(shot.names.index(name))
    if not paint.opacity[own.alpha > OPAQUE].any():
        return None, 0, 0
    light, of_shot = None if lit else own.residual.copy(), own.residual
    shift: np.ndarray | float = 0.0
    if light is not None and gain != 1:
        # The frame below has the shot's own light, and only the paint another: a (e - c) is lit
        relight(light, gain)
        shift = (light - of_shot) * _looked_up(load_texture(shot, name), own)
    added = None if lit else maps.added
    given = paint.colours
    if paint.base is not None:
        given = _surface_kept(paint, _shown(shot, place, own, light, added) - shift)
    if added is not None:  # an additive residual: light that comes on top of any paint
        given = given - added
    given = np.dstack([given + shift, paint.opacity])
    size = below.shape[1], below.shape[0]
    painted = paint_to_layer(given, own, shot.layer(name), size, light)
    return _laid_over(below, across_windows(shot, name, place.frame, painted, *told))


def _surface_kept(paint: FramePaint, shown: np.ndarray) -> np.ndarray:  # float32 [H, W, 3]
    """A painted copy's colours with the layer itself where the frame shines through the paint.

    The soft edge of a stroke is a mixture of paint and frame. As opaque paint the frame's part
    would bring all that is not the layer's onto the texture: its light where the paint is to be
    lit, grain, and what lies behind an object's edge. So that part is replaced by what the layer
    shows there. How large it is, a copy does not tell: it is taken as large as it can be.
    """
    most = max(1.0, float(paint.colours.max()))
    change = paint.colours - paint.base
    room = np.where(change > 0, most - paint.base, paint.base)
    share = (np.abs(change) / np.maximum(room, 1e-6)).max(2, keepdims=True).clip(0, 1)
    return paint.colours + (1 - share) * (shown - paint.base)


def _shown(
    shot: Shot, place: _Place, own: LayerMaps, light: np.ndarray | None, added: np.ndarray | None
) -> np.ndarray:  # float32 [H, W, 3]
    """What the layer with its present edit shows at the frame's pixels, under that light."""
    shown = _looked_up(Sheets(shot).at(place.name, place.frame).full, own)
    shown = shown if light is None else shown * light
    return shown if added is None else shown + added


def _looked_up(texture: np.ndarray, own: LayerMaps) -> np.ndarray:  # float32 [H, W, 3]
    return lookup(*(torch.from_numpy(array) for array in (texture, own.u, own.v))).numpy()


def _laid_over(image: np.ndarray, paint: np.ndarray) -> tuple[np.ndarray, int, int]:
    """`paint` [h, w, 4], display-encoded, over the edit `image` of any depth, grey or with alpha.

    Also how many texels were painted, and of how many the colour had to be clipped.
    """
    integers = image.dtype.kind != "f"
    faintest = 0.5 / np.iinfo(image.dtype).max if integers else 0.0
    touched = paint[..., 3] > faintest
    share, colours = paint[touched][:, None, 3:], paint[touched][:, None, :3]
    below, alpha = display_colours(image[touched][:, None])
    kept = (1 if alpha is None else alpha) * (1 - share)
    mixed = (share * colours + kept * below) / (share + kept)
    clipped = 0
    if integers:
        clipped = int(((mixed.max(2) > 1 + DEAD_ZONE) & (share[..., 0] > 0.5)).sum())
        mixed = to_integers(mixed, image.dtype)
        total = to_integers(share + kept, image.dtype)
    else:
        mixed, total = decode_srgb(mixed).astype(image.dtype), share + kept
    if image.shape[2] < 3:
        image = np.concatenate([image[..., :1]] * 3 + [image[..., 1:]], axis=2)
    result = image.copy()
    result[touched, :3] = mixed[:, 0]
    if alpha is not None:
        result[touched, 3:] = total[:, 0]
    return result, int(touched.sum()), clipped


def _no_layer(
    image: Path | str, frame: int, names: list[str], shot: Shot, hidden: list[str]
) -> NvdError:
    """Why paint goes nowhere: the layers asked for do not show where it lies."""
    if hidden:
        return NvdError(
            f"the paint in {image} reaches no layer that shows in frame {frame}",
            expected="paint on a layer whose visibility is not 0",
            found=f"{' and '.join(hidden)} hidden",
            remedy="show the layer, or name it with --layer",
        )
    all_asked = names == shot.names
    remedy = "paint in a frame, and at places, where one layer covers the pixels"
    return NvdError(
        f"the paint in {image} reaches no layer",
        expected=f"paint where {' or '.join(names)} is opaque in frame {frame}",
        remedy=remedy if all_asked else "choose another frame, or leave out --layer",
    )
