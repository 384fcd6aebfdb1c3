"""The plain images of a hand-over: maps, mattes, light, textures, edits and the plate."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nvd_core.editing.edits import read_texture
from nvd_core.editing.export_graph import HandOver, Layer
from nvd_core.editing.inverse_maps import inverse_map
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import read_image, to_float, to_integers, write_image
from nvd_core.media.sequences import frame_path
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import LayerRecord
from nvd_core.shot.maps import FrameMaps, LayerMaps
from nvd_core.shot.shot import Shot

COMPRESSION = "zip"
"""of EXRs: without loss, and known everywhere"""


def textures_of(
    shot: Shot, name: str, sheets: Sheets, frames: Sequence[int]
) -> dict[str, np.ndarray]:
    """The images of a layer, by their paths in the hand-over, of which only the edit may move.

    `edits/` holds the texture as it is painted, of one size with that in `textures/` and both
    without alpha, so that edit minus texture is the paint, and no program has an alpha to multiply
    by. Values are display-encoded in every format: PNG of the texture's depth where that holds them
    exactly, otherwise of 16 bits; EXR where they leave 0 to 1. What the folder's texture has as
    alpha is `coverage/`. Where the stack of edits shows different things in the `frames`, there is
    no edit among them: `write_moving` writes those, as EXR like the texture.
    """
    stored = read_texture(shot, name)
    moves = edit_moves(sheets, name, frames)
    sheet = sheets.sized(name, frames[0]) if moves else sheets.at(name, frames[0])
    learned, full = sheet.learned, sheet.full
    suffix, dtype = ".png", stored.dtype if stored.dtype.kind == "u" else np.dtype(np.uint16)
    if moves or min(learned.min(), full.min()) < 0 or max(learned.max(), full.max()) > 1:
        suffix, dtype = ".exr", np.dtype(np.float32)
    elif not all(_exact(image, dtype) for image in (learned, full)):
        dtype = np.dtype(np.uint16)
    images = {
        f"{kind}/{name}{suffix}": to_integers(image, dtype) if dtype.kind == "u" else image
        for kind, image in (("textures", learned), ("edits", full))
    }
    if moves:
        del images[f"edits/{name}{suffix}"]
    if stored.shape[2] in (2, 4):
        images[f"coverage/{name}.png"] = to_integers(to_float(stored[..., -1:]), np.uint8)
    return images


def edit_moves(sheets: Sheets, name: str, frames: Sequence[int]) -> bool:
    """Whether the layer's edit is not the same in all of the `frames`."""
    return sheets.moves(name) and len({sheets.state(name, t) for t in frames}) > 1


def write_moving(over: HandOver, out: Path, sheets: Sheets, first: int) -> None:
    """Write the edits that differ from frame to frame, of the frames from `first` on."""
    for layer in over.layers:
        if layer.edit_moves:
            for t, number in enumerate(over.numbers, start=first):
                path = frame_path(out / layer.edit, number)
                write_image(path, _moving(sheets, layer, t), COMPRESSION)


def _moving(sheets: Sheets, layer: Layer, t: int) -> np.ndarray:
    return np.ascontiguousarray(sheets.sized(layer.name, t).full)


def check_moving(over: HandOver, out: Path, sheets: Sheets, first: int) -> None:
    """NvdError as `check_painted`, of the edits that `write_moving` would write."""
    for layer in over.layers:
        if layer.edit_moves:
            for t, number in enumerate(over.numbers, start=first):
                path = frame_path(layer.edit, number).as_posix()
                if (out / path).is_file():
                    check_painted(out, {path: _moving(sheets, layer, t)})


def check_painted(out: Path, images: dict[str, np.ndarray]) -> None:
    """NvdError where an edit in `out` is not the one that would replace it: it may be someone's."""
    for relative, image in images.items():
        path = out / relative
        if not relative.startswith("edits/") or not path.is_file():
            continue
        there = read_image(path)
        if there.shape != image.shape or there.dtype != image.dtype or (there != image).any():
            raise NvdError(
                f"{path} is not what would be written, and would be lost",
                expected="the paint of the decomposition, or no such file",
                remedy="choose another folder, or move that file away; to take its paint over, "
                f"give it as --edit {path.stem}=IMAGE",
            )


def layer_of(record: LayerRecord, images: dict[str, np.ndarray]) -> Layer:
    """The record of the layer whose images `textures_of` made."""
    texture = next(path for path in images if path.startswith("textures/"))
    edit = next((path for path in images if path.startswith("edits/")), None)
    height, width = images[texture].shape[:2]
    moves = edit is None
    name = record.name
    edit = edit or f"edits/{name}/{name}.%04d.exr"
    return Layer(name, texture, edit, width, height, moves, record.parts)


def files_of_frame(over: HandOver, out: Path, t: int) -> list[Path]:
    """What is written of frame `t`, from 0."""
    number = over.numbers[t]
    kinds = ("stmap", "matte", "light", "inverse")
    patterns = [over.pattern(kind, layer) for kind in kinds for layer in over.layers]
    patterns += [layer.edit for layer in over.layers if layer.edit_moves]
    return [frame_path(out / pattern, number) for pattern in (over.plate, *patterns)]


def write_frame(over: HandOver, out: Path, number: int, maps: FrameMaps, inverse: bool) -> None:
    """Write the maps of a frame, all layers, as images that any program takes."""
    for n, layer in enumerate(over.layers):
        one = maps.layer(n)
        images = {
            "stmap": _stmap(one),
            "matte": np.repeat(one.alpha[..., None], 3, axis=2),
            "light": one.residual.astype(np.float16),
        }
        if inverse:
            images["inverse"] = inverse_map(one, layer.width, layer.height, layer.parts)
        for kind, image in images.items():
            path = frame_path(out / over.pattern(kind, layer), number)
            write_image(path, np.ascontiguousarray(image), COMPRESSION)


def _stmap(maps: LayerMaps) -> np.ndarray:
    """float32 [H, W, 3]: u, v and 0.

    Where the layer does not show, the place of the nearest pixel that shows it goes on: a program
    that judges by its neighbours how much a place is stretched finds no break at the matte's edge.
    """
    shown = maps.alpha > 0
    places = np.stack([maps.u, maps.v, np.zeros_like(maps.u)], axis=2)
    if shown.any() and not shown.all():
        hidden = (~shown).astype(np.uint8)
        kind = cv2.DIST_LABEL_PIXEL
        _, labels = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=kind)
        of_label = np.zeros((labels.max() + 1, 3), np.float32)
        of_label[labels[shown]] = places[shown]
        places = of_label[labels]
    return places


def _exact(image: np.ndarray, dtype: np.dtype) -> bool:
    """Whether integers of `dtype` hold these values, but for what float32 rounds."""
    scaled = image * np.float32(np.iinfo(dtype).max)
    return bool(np.abs(scaled - np.rint(scaled)).max() < 0.01)
