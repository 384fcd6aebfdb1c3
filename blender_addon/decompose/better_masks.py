"""Masks drawn over a shot's own frames, for a refinement, with Blender's mask tools.

    draw(entry, layer, frame, space)         # begins with the outline of what the layer is now
    draw(entry, layer, frame, space, "leg")  # of a part of the layer, that it has or is to have
    masks_of(entry, layer, folder, plan)     # files of them, beside the masks that it was made with

Each is of one frame. A second Blender draws their files as a job's first step (prepare.py).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..blender import editors
from ..blender.inside import inside
from ..errors import AddonError
from ..shot.exr import MapsError
from ..shot.folder import Shot, ShotError
from ..shot.layer_maps import read_plain
from ..shot.scripting import frames_space
from ..shot.shots import NVD_PG_layer, NVD_PG_shot
from .clicking import put_lines
from .job import check_parts
from .outline import outlines, simplified

WITHIN = 0.6
"""pixels by which a line with few points may be beside the outline"""
MOST_LINES = 40
FAINTEST = 0.05
"""alpha that is no outline any more, of a layer that never shows as a whole"""
_FRAME = ".NVD mask frame"


@dataclass
class Drawn:
    """What a job needs to have masks drawn."""

    parts: list[dict]
    """for the plan of prepare.py"""
    blocks: set
    copies: list[tuple[str, str]]
    """files of masks that stay, and where they go"""


def draw(
    entry: NVD_PG_shot,
    layer: NVD_PG_layer,
    frame: int,
    space: bpy.types.SpaceImageEditor | None = None,
    part: str = "",
) -> bpy.types.Mask:
    """Open the mask of `layer` for the shot's `frame` over its picture, in an Image Editor.

    A mask that is begun has the outline of what the layer, or its `part`, shows of itself now; that
    of a new part is empty. AddonError for the background itself, and beyond the shot.
    """
    shot = entry.read()
    name = f"{layer.name}.{part}" if part else layer.name
    if part:
        record = next(one for one in shot.layers if one.name == layer.name)
        there = [f"{layer.name}.{one}" for one in record.part_names[1:]]  # after the rest
        names = dict.fromkeys([*there, *drawn_parts(entry, layer.name), name])
        check_parts(list(names), [layer.name], {})
    else:
        check(entry, layer)
    if not 0 <= frame < shot.frames:
        raise AddonError(
            f"the playhead shows no frame of {entry.name}",
            f"move it to one of the shot's {shot.frames} frames",
        )
    drawn = next((one for one in drawn_of(entry, name) if one.frame == frame), None)
    if drawn is None:
        mask = _begun(shot, layer.name, frame, part)
        drawn = entry.better_masks.add()
        drawn.layer, drawn.frame, drawn.mask = name, frame, mask
    if space is not None:
        editors.show(_picture(shot, frame), space)
        space.ui_mode = "MASK"
        space.mask = drawn.mask
    return drawn.mask


def check(entry: NVD_PG_shot, layer: NVD_PG_layer | None) -> None:
    """AddonError where the layer has no mask."""
    if layer is None or layer.name == entry.layers[-1].name:
        raise AddonError("the background has no mask", "choose an object in the list")


def drawn_parts(entry: NVD_PG_shot, layer: str = "") -> list[str]:
    """Parts that are drawn, of a layer or of all, each as walker.leg."""
    names = dict.fromkeys(one.layer for one in entry.better_masks if one.mask is not None)
    return [name for name in names if "." in name and layer in ("", name.partition(".")[0])]


def drawn_of(entry: NVD_PG_shot, layer: str) -> list:
    """What is drawn of a layer, or of a part such as walker.leg, by frame."""
    found = [one for one in entry.better_masks if one.layer == layer and one.mask is not None]
    return sorted(found, key=lambda one: one.frame)


def remove(entry: NVD_PG_shot, layer: str, frame: int) -> None:
    """Take a drawn mask off the shot; it stays in the file until nobody uses it."""
    for n in reversed(range(len(entry.better_masks))):
        if (entry.better_masks[n].layer, entry.better_masks[n].frame) == (layer, frame):
            entry.better_masks.remove(n)


def masks_of(entry: NVD_PG_shot, layer: str, target: Path, around: int) -> Drawn:
    """The masks of a layer for the folder `target`: what was drawn, and those that the shot was
    made with, but for frames up to `around` from a drawn one, which are carried from there. A part
    is carried from what was drawn alone.
    """
    shot, drawn = entry.read(), drawn_of(entry, layer)
    digits = _names(shot)
    files = {}
    for t in range(shot.frames if "." not in layer else 0):
        path = inside(shot.folder, f"masks/{layer}/{t:05d}.png", ShotError)
        if path.is_file():
            files[t] = path
    like = str(next(iter(files.values()), shot.frame(0)))
    parts, blocks = [], set()
    for one in drawn:
        if not is_outlined(one.mask):
            raise AddonError(
                f"the mask of {layer} on frame {one.frame} has no closed line",
                "draw one with Ctrl-click and close it with Alt-C, or take the mask off the list",
            )
        blocks.add(one.mask)
        frames = [[one.frame, f"mask_{digits[one.frame]}.png"]]
        part = {"name": one.mask.name, "folder": str(target), "frames": frames, "like": like}
        parts.append(part)
    copies = [
        (str(path), str(target / f"mask_{digits[t]}.png"))
        for t, path in files.items()
        if all(abs(t - one.frame) > around for one in drawn)
    ]
    return Drawn(parts, blocks, copies)


def _names(shot: Shot) -> list[str]:
    """The number of each frame as the shot's source writes it, from 0 for movies."""
    if not shot.numbers:
        return [f"{shot.first_frame + t:05d}" for t in range(shot.frames)]
    source = Path(shot.source)
    try:
        listed = os.listdir(source if source.is_dir() else source.parent)
    except OSError:
        listed = []
    written = {}
    for name in listed:
        if match := re.search(r"(\d+)\D*$", os.path.splitext(name)[0]):
            written[int(match[1])] = match[1]
    return [written.get(number, f"{number:05d}") for number in shot.numbers]


def _begun(shot: Shot, layer: str, frame: int, part: str = "") -> bpy.types.Mask:
    """A mask with the present outline of the layer, or of its part where it has that already."""
    own = next(one for one in shot.layers if one.name == layer)
    mask = bpy.data.masks.new(f"{layer}.{part} {frame}" if part else f"{layer} {frame}")
    mask.layers.new(name=part or layer)
    if part and part not in own.part_names:
        return mask
    try:
        maps = read_plain(shot, frame, layer)
    except MapsError as error:
        raise AddonError(str(error), "copy the folder again with all its files") from error
    alpha = maps[..., 2]
    if part:
        left, top, right, bottom = own.parts[own.part_names.index(part)]
        u, v = maps[..., 0], 1 - maps[..., 1]
        alpha = alpha * ((u >= left) & (u <= right) & (v >= top) & (v <= bottom))
    if not alpha.any():
        return mask
    level = min(max(float(alpha.max()) / 2, FAINTEST), 0.5)
    lines = [simplified(line, WITHIN) for line in outlines(alpha, level)[:MOST_LINES]]
    put_lines(mask, alpha.shape[1], alpha.shape[0], lines)
    return mask


def _picture(shot: Shot, frame: int) -> bpy.types.Image:
    """The shot's frame as an image."""
    path = str(shot.frame(frame))
    for image in bpy.data.images:
        if image.name.startswith(_FRAME) and bpy.path.abspath(image.filepath) == path:
            image.reload()
            return image
    image = bpy.data.images.load(path)
    image.name = _FRAME
    if shot.is_linear or shot.space:
        image.colorspace_settings.name = frames_space(shot)
    return image


def is_outlined(mask: bpy.types.Mask | None) -> bool:
    """Whether a closed line is drawn in it: an open one marks nothing."""
    layers = mask.layers if mask is not None else ()
    return any(spline.use_cyclic for layer in layers for spline in layer.splines)
