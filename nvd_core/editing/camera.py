"""A virtual camera: the clip as if it had been filmed with another motion (paper, section 4.5).

New places p' of every frame go through the networks and give texture coordinates and light, also
where and when the clip did not look. Colours come from the textures as they are painted. An
object's opacity is known at the frame's pixels only; it is carried over by texture coordinates.
"""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator

from nvd_core.baking.bake import TextureFrame
from nvd_core.editing.bend import LayerBend
from nvd_core.editing.camera_path import Hold, Key, camera_corners, camera_points, key_at
from nvd_core.editing.finishing import add_change
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.kept_width import Drawing
from nvd_core.editing.output_depth import about_depth, check_bits, depth_for, written_depth
from nvd_core.editing.output_numbers import checked_range, frame_numbers, output_numbers
from nvd_core.editing.output_time import timing_of
from nvd_core.editing.own_files import check_output, files_of_output, named_edits
from nvd_core.editing.pin_places import applied_bends
from nvd_core.editing.plate import frame_tags, rendered_depth
from nvd_core.editing.seen_background import SeenBackground
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.editing.uncovered import garbage_of
from nvd_core.fields.inference import TRANSPARENT, layers_at
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.networks import layer_alphas
from nvd_core.fields.plate_view import at_plate
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.media.alpha import NONE
from nvd_core.media.codecs import Quality
from nvd_core.media.images import at_depth
from nvd_core.media.working import stored_colours
from nvd_core.media.writer import open_writer
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import remove_temporaries_of
from nvd_core.runtime.folder_lock import writing_if_inside
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import NOT_FINISHED, read_finish
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, check_values, lay_on_maps, read_values

BORDER = 2
"""pixels around an object that count as known to be empty"""
BEYOND = (
    "the {0} has windows in time, and each knows another part of what lies beyond the frame: there "
    "the picture changes from one to the next; decomposed again with --windows {0}=1 it does not"
)


def render_camera(
    shot: Shot,
    out: Path | str,
    keys: list[Key],
    *,
    hold: int | None = None,
    size: tuple[int, int] | None = None,
    edits: dict[str, Path] | None = None,
    frames: tuple[int, int] | None = None,
    bit_depth: int | str | None = None,
    start: int | str | None = None,
    codec: str | None = None,
    quality: Quality = None,
    audio: bool = True,
    values: Values | None = None,
    progress: Progress | None = None,
    device: str = "auto",
) -> dict:
    """Render `frames` as the camera sees them into the movie or pattern `out`.

    `keys` move the camera from where the clip was shot, or, with `hold`, from where frame `hold`
    was shot, whose background then stays still. `size` (width, height) of the picture; None: the
    clip's. `edits`, `start`, `codec`, `quality`, `audio` and `values` as in
    `editing.render.render`. What no frame saw of the background is black. Returns how many
    `frames`, in how many `seconds`, and `out`. NvdError where the user has to do something, such as
    for a folder without its networks.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    first, last = checked_range(shot, frames, start)
    named = output_numbers(shot, out, start)
    if hold is not None:
        checked_range(shot, (hold, hold))
        _require_window(shot, hold, (first, last), start)
    clip = shot.manifest.clip
    picture = replace(clip.picture, alpha=NONE)
    width, height = size or (clip.width, clip.height)
    check_bits(out, bit_depth)
    depth = depth_for(out, bit_depth or clip.bit_depth, codec)
    timing, lost = timing_of(shot, out, range(first, last + 1), named, audio)
    writer = open_writer(
        out,
        width,
        height,
        Fraction(*clip.rate),
        bit_depth=written_depth(out, bit_depth, depth),
        encoding=clip.encoding,
        picture=picture,
        tags=frame_tags(shot),
        codec=codec,
        quality=quality,
        timing=timing,
    )
    rounds = about_depth(out, bit_depth, shot.frame_path(first))
    for caution in (*writer.cautions, *lost, *rounds):
        progress.caution(caution)
    files = files_of_output(out, named[first : last + 1])
    check_output(shot, files, named_edits(edits))
    values = read_values(shot) if values is None else values
    check_values(shot, values, "the values given")
    if read_finish(shot).works_on(shot.names):
        progress.caution(NOT_FINISHED)
    sheets = Sheets(shot, edits)
    sheets.check(range(first, last + 1))
    drawing = Drawing(shot, sheets, values, range(first, last + 1))
    on = choose_device(device)
    model = trained_model(shot).to(on)
    linear = clip.is_linear
    kernels = FrameKernels(Textures(sheets, shot.names, "full"), linear, on.type)
    layout, bends = texture_frames(shot), applied_bends(shot)
    seen = SeenBackground(shot, model)
    if hold is None and jumps(model, keys, (width, height), float(clip.picture.aspect)):
        progress.caution(BEYOND.format(shot.names[-1]))
    views = _views(
        model, keys, range(first, last + 1), (width, height), hold, float(clip.picture.aspect)
    )
    blank = at_depth(np.zeros((height, width, 3), np.uint8), rendered_depth(clip, depth))
    remove_temporaries_of(files)
    lock = writing_if_inside(out, shot.folder, "nvd camera", progress)
    with closing(views), lock, writer:
        progress.stage("camera", last - first + 1)
        for done, (t, places, background_uv) in enumerate(views):
            garbage = garbage_of(shot, t)
            maps = view_maps(model, layout, seen, t, places, background_uv, garbage)
            bend_view(maps, shot.names, bends, t)
            drawn = drawing.change(maps, t) if drawing.shows(t) else None
            lay_on_maps(maps, shot.names, values, t)
            frame = kernels.at(t)(blank, maps)
            if drawn is not None:  # what keeps its width, in this camera's pixels
                frame = add_change(frame, drawn, linear)
            picture_of_t = stored_colours(frame, blank[..., :0], picture)
            writer.write(named[t], picture_of_t)
            progress.update(done + 1)
    seconds = time.perf_counter() - started
    return {"frames": last - first + 1, "seconds": round(seconds, 3), "out": str(out)}


def _require_window(
    shot: Shot, hold: int, frames: tuple[int, int], start: int | str | None
) -> None:
    """NvdError where `frames` leave the background's window in time of the frame to be held: the
    part of the texture that shows there has no place in other windows' frames. It names frames as
    they are asked for, counted as `start` has it.
    """
    record, named = shot.manifest.layers[-1], frame_numbers(shot, start)
    counted = "counted from 0" if start is None else "as --start counts"
    for first, last in record.windows:
        if first <= hold <= last and not first <= frames[0] <= frames[1] <= last:
            raise NvdError(
                f"the {record.name} of {shot.folder} has {len(record.windows)} windows in time, "
                f"and frame {hold}, from 0, can be held in its own alone",
                expected=f"frames {named[first]} to {named[last]}, {counted}",
                found=f"{named[frames[0]]} to {named[frames[1]]}",
                remedy="give these --frames, leave out --hold, or decompose the clip again with "
                f"--windows {record.name}=1",
            )


def jumps(model: LayeredVideo, keys: list[Key], size: tuple[int, int], aspect: float) -> bool:
    """Whether pictures of `size` (width, height) show what lies beyond the frame in several windows
    in time of the background: over the whole clip, so that each piece of it says the same.
    """
    windows, width, height = model.mappings[-1].windows, model.shape.width, model.shape.height
    beyond = set()
    for number, (first, last) in enumerate(windows):
        for t in range(first, last + 1):
            places = camera_corners(key_at(keys, t), *size, width, height, aspect)
            if ((places < -0.5) | (places > np.subtract((width, height), 0.5))).any():
                beyond.add(number)
                break
    return len(beyond) > 1


def trained_model(shot: Shot) -> LayeredVideo:
    """The networks of a folder in its frames' pixels, on the CPU.

    NvdError where they are missing or another clip's.
    """
    model = load_model(shot.networks)
    _check_same(shot, model)
    return at_plate(model, shot.manifest.clip.height, shot.manifest.clip.width)


def _check_same(shot: Shot, model: LayeredVideo) -> None:
    """NvdError where the networks were trained on another clip than the manifest's."""
    clip, shape = shot.manifest.clip, model.shape
    size = clip.looked_at
    ours = clip.frames, size.width, size.height, shot.names
    theirs = shape.frames, shape.width, shape.height, model.names
    if ours != theirs:
        described = "{} frames of {} x {}, layers {}"
        raise NvdError(
            f"the networks in {shot.folder} belong to another decomposition",
            expected=described.format(*ours),
            found=described.format(*theirs),
            remedy="copy the folder again with all its files, or make it again",
        )


def texture_frames(shot: Shot) -> list[TextureFrame]:
    """Which part of each layer's texture square was baked."""
    boxes = load_texture_boxes(shot.networks)
    records = shot.manifest.layers
    if len(boxes) != len(records):
        raise NvdError(
            f"the networks in {shot.folder} belong to another decomposition",
            expected=f"{len(records)} layers",
            found=f"{len(boxes)}",
            remedy="copy the folder again with all its files, or make it again",
        )
    return [
        TextureFrame(low, high, record.texture_width, record.texture_height)
        for (low, high), record in zip(boxes, records, strict=True)
    ]


def _views(
    model: LayeredVideo,
    keys: list[Key],
    numbers: range,
    size: tuple[int, int],
    hold: int | None,
    aspect: float,
) -> Generator[tuple[int, np.ndarray, np.ndarray | None], None, None]:
    """Frame, places p' and, where it is held, the background's texture coordinates."""
    holding = None if hold is None else Hold(model, hold)
    for t in numbers:
        places = camera_points(
            key_at(keys, t), *size, model.shape.width, model.shape.height, aspect
        )
        uv = None
        if holding:
            uv = holding.texture_places(places)
            places = holding.places(uv, t)
        yield t, places, uv


def view_maps(
    model: LayeredVideo,
    layout: list[TextureFrame],
    seen: SeenBackground,
    t: int,
    places: np.ndarray,  # float32 [H, W, 2]
    background_uv: np.ndarray | None = None,  # float32 [H, W, 2]
    garbage: np.ndarray | None = None,  # float32 [H, W] of frame t, in which no object is known
) -> FrameMaps:
    """What the renderer needs of the view, as if it had been baked."""
    objects = range(model.layers - 1)
    opacity = [carried_opacity(model, n, t, places, garbage).ravel() for n in objects]
    raw = np.stack(opacity, -1) if opacity else np.zeros((places[..., 0].size, 0), np.float32)
    alphas = layer_alphas(torch.from_numpy(raw)).numpy()  # [P, L]
    alpha = np.ascontiguousarray(alphas.T).reshape(-1, *places.shape[:2])
    layers = layers_at(model, places, t, alpha, background_uv)
    uva = np.empty((*layers.alpha.shape, 3), np.float32)
    for n, frame in enumerate(layout):
        uva[n, ..., :2] = frame.to_uv(layers.uv[n])
    uva[..., 2] = layers.alpha
    known = seen.at(layers.uv[-1], layout[-1], t)
    uva[-1, ..., 2] *= known
    added = layers.added
    if added is not None:
        added = added * np.where(layers.alpha[-1] > 0.5, known, 1)[..., None]
    return FrameMaps(uva, layers.residual, added)


def bend_view(maps: FrameMaps, names: list[str], bends: dict[str, LayerBend], t: int) -> None:
    """Bend the coordinates of frame `t`, which come from the networks, as its pins do; in place."""
    for n, name in enumerate(names):
        if name in bends and (bend := bends[name].at(t)).moves:
            shape = maps.uva[n, ..., :2].shape
            bent = bend.bent(maps.uva[n, ..., :2].reshape(-1, 2), bends[name].size)
            maps.uva[n, ..., :2] = bent.clip(0, 1).reshape(shape)


@torch.inference_mode()
def carried_opacity(
    model: LayeredVideo,
    n: int,
    t: int,
    places: np.ndarray,  # float32 [H, W, 2]
    garbage: np.ndarray | None = None,  # float32 [H, W] of frame t
) -> np.ndarray:  # float32 [H, W]
    """Object n's opacity at places p' of frame t, from the frame's pixels p.

    Pairs M_n(p) -> a_n(p) are triangulated and interpolated linearly at M_n(p'). The pixels one
    step out of the frame count as empty: what the frame cuts off ends there. So does what a garbage
    matte hides: nothing was learned of it.
    """
    device = next(model.parameters()).device
    height, width = model.shape.height, model.shape.width

    def evaluated(network: torch.nn.Module, xy: np.ndarray) -> np.ndarray:
        points = torch.from_numpy(np.ascontiguousarray(xy, np.float32)).to(device)
        return network(points, torch.full((len(points),), t, device=device)).cpu().numpy()

    result = np.zeros(places.shape[:2], np.float32)
    x, y = np.meshgrid(np.arange(-1, width + 1), np.arange(-1, height + 1))
    opacity = np.zeros(x.shape, np.float32)
    own = evaluated(lambda xy, t: model.alpha.opacity(xy, t)[:, n], _pixels(width, height))
    opacity[1:-1, 1:-1] = own.reshape(height, width)
    if garbage is not None:
        opacity[1:-1, 1:-1] *= 1 - garbage
    shows = opacity > TRANSPARENT
    if not shows.any():
        return result
    columns, rows = np.flatnonzero(shows.any(0)), np.flatnonzero(shows.any(1))
    box = (
        slice(max(rows[0] - BORDER, 0), rows[-1] + BORDER + 1),
        slice(max(columns[0] - BORDER, 0), columns[-1] + BORDER + 1),
    )
    known = np.stack([x[box], y[box]], -1)
    low, high = known[0, 0], known[-1, -1]
    asked = ((places >= low) & (places <= high)).all(-1)
    if not asked.any():
        return result
    known_uv = evaluated(model.mappings[n], known.reshape(-1, 2)).astype(np.float64)
    wanted_uv = evaluated(model.mappings[n], places[asked]).astype(np.float64)
    result[asked] = _interpolated(known_uv, opacity[box].ravel(), wanted_uv)
    return result


def _pixels(width: int, height: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)


def _interpolated(known: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values at points [P, 2], linear within the Delaunay triangles of the known points.

    Four known points of value 0 far around make every wanted point lie in a triangle: Qhull looks
    through all triangles for each that does not.
    """
    low, high = known.min(0), known.max(0)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * 9.0 - 4.0
    known = np.concatenate([known, low + corners * np.maximum(high - low, 1e-6)])
    return LinearNDInterpolator(known, np.concatenate([values, np.zeros(4)]), 0.0)(wanted)
