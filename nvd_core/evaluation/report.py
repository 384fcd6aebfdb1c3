"""The report on a decomposition: figures in report.json, pictures beside it, cautions in words.

The clip streams through frame by frame. Every frame is composed from the learned textures and
the baked maps, what artists work with, not from the networks.
"""

from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nvd_core.editing.edits import display_colours, read_texture
from nvd_core.editing.kernel import Kernel, make_kernel
from nvd_core.editing.plate import check_frame, read_frame
from nvd_core.editing.uncovered import over_frame, uncovered
from nvd_core.evaluation import pictures
from nvd_core.evaluation.layer_meters import LayerMeters
from nvd_core.evaluation.lpips import Lpips
from nvd_core.evaluation.metrics import PsnrMeter, ssim
from nvd_core.evaluation.page.gather import Gatherer
from nvd_core.evaluation.page.write import write_page
from nvd_core.evaluation.paintable import judge
from nvd_core.evaluation.truth.compare import measure_tracks, measure_truth
from nvd_core.media.images import (
    encode_srgb,
    image_layout,
    image_size,
    read_image,
    to_float,
    to_integers,
    write_image,
)
from nvd_core.runtime.devices import choose_kind
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import without_nan, write_json
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import there
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.training.progression import read_progression

SCHEMA, VERSION = "nvd.report", 3
MOST_FOLDED = 0.02
LEAST_IOU = 0.7
MOST_LOST_WITHOUT_LIGHT = 5.0
"""dB between the full reconstruction and the one without the residual"""
LEAST_PSNR = 24.0

NO_LPIPS = "not measured: no AlexNet weights given (nvd evaluate --lpips FILE)"

_PICTURE_SIZE = 1024  # longest side of a texture's picture
_SQUARES = 24  # of the checkerboard edit along a texture's longer side
_TINTS = np.array([[1, 0.45, 0.2], [0.2, 0.7, 1], [0.5, 1, 0.3], [1, 0.4, 0.9]], np.float32)


@dataclass
class Measured:
    """What is gathered while the clip streams through."""

    full: PsnrMeter = field(default_factory=PsnrMeter)
    without_residual: PsnrMeter = field(default_factory=PsnrMeter)
    ssims: list[float] = field(default_factory=list)
    ssims_without_residual: list[float] = field(default_factory=list)
    lpips: list[float] = field(default_factory=list)
    layers: dict[str, LayerMeters] = field(default_factory=dict)


@dataclass(frozen=True)
class Kernels:
    """The renderers of a report."""

    full: Kernel
    checkerboard: Kernel


def evaluate(
    shot: Shot,
    progress: Progress | None = None,
    *,
    truth: Path | None = None,
    tracks: Path | None = None,
    lpips: Path | None = None,
    page: bool = True,
) -> dict:
    """Measure `shot` and write its `report/`; returns what report.json holds.

    `page`: write index.html too, to look at it in a browser.
    `truth` is a folder as docs/reference/truth-folder.md describes, `tracks` a file of points,
    `lpips` a file with AlexNet's weights. NvdError where files are missing or damaged, and where
    another process writes into the folder.
    """
    progress = progress or Progress()
    shot.check()
    first = shot.frame_path(0)
    check_frame(shot, first, image_layout(first))  # before arrays of the clip's size are made
    with writing(shot.folder, "nvd evaluate", progress):
        return _evaluate(shot, progress, truth, tracks, lpips, page)


def _evaluate(
    shot: Shot,
    progress: Progress,
    truth: Path | None,
    tracks: Path | None,
    lpips: Path | None,
    page: bool,
) -> dict:
    distance = Lpips(lpips) if lpips else None
    compared = measure_truth(shot, truth, progress) if truth else None
    tracked = measure_tracks(shot, tracks, progress) if tracks else None
    kernels, textures = _prepared(shot)
    measured = Measured(layers=_meters(shot))
    gatherer = Gatherer(shot) if page else None
    pictured = sorted({0, shot.frames // 2, shot.frames - 1})
    rows, labels = [], []
    numbers = range(shot.frames)
    ones = np.ones((len(shot.names), *_size(shot), 3), np.float32)
    progress.stage("evaluate", shot.frames)
    with (
        closing(iter_maps(shot, numbers)) as all_maps,
        closing(in_order(lambda i: _display_frame(shot, i), numbers)) as frames,
    ):
        for index, (maps, true) in enumerate(zip(all_maps, frames, strict=True)):
            image = _shown(kernels.full(true, maps))
            unlit = _shown(kernels.full(true, FrameMaps(maps.uva, ones)))
            share = 1.0
            if shot.manifest.garbage:
                share = max(1 - float(uncovered(maps).mean()), 1e-3)
            measured.full.add(image, true, share)
            measured.without_residual.add(unlit, true, share)
            measured.ssims.append(ssim(image, true))
            measured.ssims_without_residual.append(ssim(unlit, true))
            if distance:
                measured.lpips.append(distance(image, true))
            for n, (name, meters) in enumerate(measured.layers.items()):
                meters.add(maps, n, true, image, unlit, _mask(shot, name, index))
            if gatherer:
                gatherer.add(index, true, image, maps)
            if index in pictured:
                edited = kernels.checkerboard(true, maps)
                row = _frame_pictures(true, image, maps, edited)
                rows.append(list(row.values()))
                labels.append([f"{name.replace('_', ' ')}, frame {index}" for name in row])
                _write_pictures(shot, {f"{name}_{index:05d}": row[name] for name in row})
            progress.update(index + 1, psnr=measured.full.value)
    _write_pictures(shot, {f"texture_{name}": picture for name, picture in textures.items()})
    rows.append(list(textures.values()))
    labels.append([f"texture of {name}" for name in textures])
    write_image(inside(shot.report, "contact_sheet.png"), pictures.contact_sheet(rows, labels))
    report = _figures(shot, measured)  # an undefined figure is null
    report["stopped_early"] = _stopped_early(shot)
    report |= {} if compared is None else {"truth": compared}
    report |= {} if tracked is None else {"tracks": tracked}
    report = without_nan(report)
    write_json(inside(shot.report, "report.json"), report)
    if gatherer:
        write_page(shot, report, gatherer.done())
    for text in report["cautions"]:
        progress.caution(text)
    return report


def _meters(shot: Shot) -> dict[str, LayerMeters]:
    """The meters of every layer, by its name."""
    manifest = shot.manifest
    pixel, size = manifest.clip.analysis_pixel, manifest.texture_size
    return {layer.name: LayerMeters(layer, pixel, size) for layer in manifest.layers}


def _prepared(shot: Shot) -> tuple[Kernels, dict[str, np.ndarray]]:
    """The renderers, and a picture of each texture."""
    learned, checkerboards, shown = {}, {}, {}
    for n, name in enumerate(shot.names):
        colours, alpha = display_colours(read_texture(shot, name))
        learned[n] = colours
        checkerboards[n] = _checkerboard(colours, n)
        alpha = np.ones((*colours.shape[:2], 1), np.float32) if alpha is None else alpha
        small = pictures.shrunk(np.dstack([colours, alpha]), _PICTURE_SIZE)
        shown[name] = pictures.on_checker(small[..., :3], small[..., 3:])
    device = choose_kind("auto")
    full = make_kernel(learned, "full", False, device)
    if shot.manifest.garbage:
        full = over_frame(full, False)
    return Kernels(full, make_kernel(checkerboards, "delta", False, device)), shown


def _checkerboard(colours: np.ndarray, n: int) -> np.ndarray:
    """The delta of a checkerboard of two tints painted half opaque on a texture [h, w, 3]."""
    height, width = colours.shape[:2]
    board = pictures.checker(height, width, max(max(height, width) // _SQUARES, 2))
    tint = _TINTS[n % len(_TINTS)]
    return (0.6 * (tint * (0.25 + 0.75 * board) - colours)).astype(np.float32)


def _mask(shot: Shot, name: str, index: int) -> np.ndarray | None:
    """The coarse mask of a layer in a frame, uint8 [H, W]; None where there is none."""
    path = shot.mask_path(name, index)
    if not there(path.is_file):
        return None
    size = image_size(path)
    if size != _size(shot):
        raise NvdError(
            f"the mask {path} has another size than the clip",
            expected="{1} x {0}".format(*_size(shot)),
            found="{1} x {0}".format(*size),
            remedy=f"restore it, or remove {path.parent} to go without",
        )
    return to_integers(to_float(read_image(path))[..., 0], np.uint8)


def _size(shot: Shot) -> tuple[int, int]:
    return shot.manifest.clip.height, shot.manifest.clip.width


def _shown(image: np.ndarray) -> np.ndarray:
    """Values clamped to 0..1; what is no number counts as black."""
    return np.nan_to_num(image, nan=0).clip(0, 1)


def _display_frame(shot: Shot, index: int) -> np.ndarray:
    """Frame `index` display-encoded, clamped to 0..1, float32 [H, W, 3]."""
    frame = read_frame(shot, index)
    return (encode_srgb(frame) if frame.dtype.kind == "f" else to_float(frame)).clip(0, 1)


def _frame_pictures(
    true: np.ndarray, image: np.ndarray, maps: FrameMaps, edited: np.ndarray
) -> dict[str, np.ndarray]:
    """The pictures of one frame by their names."""
    alpha = maps.uva[..., 2:]
    objects = len(alpha) - 1
    tints = _TINTS[np.arange(objects) % len(_TINTS)].reshape(objects, 1, 1, 3)
    # mid grey changes nothing: it is 1 of a light that multiplies, 0 of one that is added
    light = (alpha * maps.residual).sum(0) if maps.added is None else 1 + maps.added
    return {
        "frame": pictures.to_bytes(true),
        "reconstruction": pictures.to_bytes(image),
        "difference_x4": pictures.difference(image, true),
        "alpha": pictures.to_bytes((alpha[:-1] * tints).sum(0)),
        "residual": pictures.to_bytes(light / 2),
        "checkerboard": pictures.to_bytes(edited),
    }


def _write_pictures(shot: Shot, shown: dict[str, np.ndarray]) -> None:
    for name, picture in shown.items():
        write_image(inside(shot.report, f"{name}.png"), picture)


def _figures(shot: Shot, measured: Measured) -> dict:
    layers = measured.layers
    folds = [meters.folds for meters in layers.values()]
    total = sum(meter.total for meter in folds)
    report = {
        "schema": SCHEMA,
        "version": VERSION,
        "frames": shot.frames,
        "size": [shot.manifest.clip.width, shot.manifest.clip.height],
        "analysis": [shot.manifest.clip.looked_at.width, shot.manifest.clip.looked_at.height],
        "psnr": round(measured.full.value, 3),
        "psnr_without_residual": round(measured.without_residual.value, 3),
        "ssim": _mean(measured.ssims),
        "ssim_without_residual": _mean(measured.ssims_without_residual),
        "lpips": _mean(measured.lpips),
        "lpips_note": "AlexNet" if measured.lpips else NO_LPIPS,
        "alpha_iou": {n: _rounded(m.iou.value) for n, m in layers.items() if m.masks},
        "folded": _rounded(sum(meter.folded for meter in folds) / max(total, 1)),
        "folded_by_layer": {n: _rounded(m.folds.value) for n, m in layers.items()},
        "stretched_by_layer": {n: _rounded(m.stretch.value) for n, m in layers.items()},
        "apart_by_layer": {n: _rounded(m.pieces.value) for n, m in layers.items() if m.pieces},
        "flicker_by_layer": {n: _rounded(m.flicker.value) for n, m in layers.items()},
        "windows_by_layer": {layer.name: layer.windows for layer in shot.manifest.layers},
        "psnr_by_layer": {n: _rounded(m.full.value) for n, m in layers.items()},
        "psnr_without_residual_by_layer": {
            n: _rounded(m.without_residual.value) for n, m in layers.items()
        },
        "coverage": {name: _rounded(_coverage(shot, name)) for name in layers},
        "psnr_per_frame": [round(value, 3) for value in measured.full.per_frame],
        "psnr_without_residual_per_frame": [
            round(value, 3) for value in measured.without_residual.per_frame
        ],
    }
    verdicts = {
        layer.name: judge(report, layer.name, layer.kind == "object")
        for layer in shot.manifest.layers
    }
    report["paintable"] = {
        name: {"light": verdict.light, "reason": verdict.reason}
        for name, verdict in verdicts.items()
    }
    return report | {"cautions": [*shot.manifest.cautions, *cautions(report)]}


def _stopped_early(shot: Shot) -> str | None:
    """Why the networks were trained for fewer steps than planned; None where they were not.

    Nothing else here needs the networks, so that damaged ones are left to what does.
    """
    checkpoint = inside(shot.networks, "checkpoint.safetensors")
    if not there(checkpoint.is_file):
        return None
    known = None
    with suppress(NvdError):
        known = read_progression(checkpoint)
    return known.why if known else None


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _coverage(shot: Shot, name: str) -> float:
    """The share of a layer's texels that some frame saw: the texture's alpha."""
    _, alpha = display_colours(read_texture(shot, name))
    return 1.0 if alpha is None else float((alpha > 0.5).mean())


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 5)


def cautions(report: dict) -> list[str]:
    """What the figures of a report warn of, in plain words with the figures."""
    found = []
    psnr, unlit = report["psnr"], report["psnr_without_residual"]
    if psnr < LEAST_PSNR:
        found.append(
            f"the layers reproduce the clip poorly ({psnr:.1f} dB, good is {LEAST_PSNR:.0f} or "
            "more): look at the difference in the report, and render edits in the mode delta"
        )
    if psnr - unlit > MOST_LOST_WITHOUT_LIGHT:
        found.append(
            f"without the light the reconstruction falls from {psnr:.1f} to {unlit:.1f} dB (more "
            f"than {MOST_LOST_WITHOUT_LIGHT:.0f} dB): the light may hold detail that belongs to "
            "the textures, so that paint slides or flickers; check a rendered edit"
        )
    for name, share in report["folded_by_layer"].items():
        if share is None:
            found.append(f"the layer {name} covers no pixel of the clip: paint on it will not show")
        elif share > MOST_FOLDED:
            found.append(
                f"{100 * share:.1f} % of the layer {name} is folded (more than "
                f"{100 * MOST_FOLDED:.0f} %): paint there may appear twice or mirrored"
            )
    for name, iou in report["alpha_iou"].items():
        if iou is not None and iou < LEAST_IOU:
            found.append(
                f"the alpha of {name} agrees with its masks only to {iou:.2f} (IoU, good is "
                f"{LEAST_IOU:.2f} or more): its outline may take in other things or miss parts"
            )
    return found
