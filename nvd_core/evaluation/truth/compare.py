"""A decomposition against a clip of which everything is known: what an artist would see of it."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.editing.render import render_frames
from nvd_core.evaluation import pictures
from nvd_core.evaluation.metrics import OPAQUE, IouMeter
from nvd_core.evaluation.truth.edit_fidelity import (
    FidelityMeter,
    SteadinessMeter,
    estimated_flow,
    write_edits,
)
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.evaluation.truth.light import LightMeter
from nvd_core.evaluation.truth.paint_meters import Painted, PaintMeter, SeamMeter, SoftMeter
from nvd_core.evaluation.truth.tracks import TrackMeter, read_tracks
from nvd_core.evaluation.truth.view_changes import ViewChanges
from nvd_core.media.images import encode_srgb, to_float, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import PLAIN_FINISH
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_borders, part_numbers
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN


@dataclass
class _Meters:
    """What is gathered while the clip streams through."""

    ious: list[IouMeter]
    alpha_errors: list[float]  # sums over the frames
    soft: list[SoftMeter]
    fidelity: FidelityMeter
    steadiness: SteadinessMeter
    tracks: TrackMeter
    light: LightMeter
    paint: PaintMeter
    seam: SeamMeter


def measure_truth(shot: Shot, folder: Path, progress: Progress) -> dict:
    """Figures of `shot` against the truth in `folder`; writes pictures into the shot's report.

    Layers are matched by their names, or by their order where there are as many.
    NvdError where the truth is of another clip or damaged.
    """
    truth = Truth.open(folder)
    _check_same_clip(shot, truth)
    edits = write_edits(shot, truth, shot.report)
    meters = _meters(shot, truth)
    pictured = sorted({0, truth.frames // 2, truth.frames - 1})
    rows, previous = [], None
    progress.stage("truth", truth.frames)
    linear = shot.manifest.clip.is_linear
    with (
        closing(iter_maps(shot, range(shot.frames))) as all_maps,
        closing(
            render_frames(shot, edits, bit_depth="float", values=PLAIN, finish=PLAIN_FINISH)
        ) as rendered,
    ):
        for t, (maps, image) in enumerate(zip(all_maps, rendered, strict=True)):
            edited = to_float(encode_srgb(image) if linear else image).clip(0, 1)
            _measure_layers(meters, truth, t, maps)
            painted = truth.painted(t)
            now = edited, truth.edited(t), truth.frame(t), painted.max(0)
            meters.fidelity.add(*now)
            given = truth.given(t)
            here = Painted(*now[:3], painted, given, truth.alpha(t), truth.light(t))
            meters.paint.add(here)
            meters.seam.add(edited, now[1], now[3], borders(shot, maps))
            if previous:
                _measure_steadiness(meters, truth, t - 1, previous, now)
            previous = now
            if t in pictured:
                rows.append(_pictures(shot, t, *now[:2]))
            progress.update(t + 1)
    labels = [[f"{kind}, frame {t}" for kind in rows[0]] for t in pictured]
    sheet = pictures.contact_sheet([list(row.values()) for row in rows], labels)
    write_image(shot.report / "truth_sheet.png", sheet)
    return _figures(shot, truth, meters)


def measure_tracks(shot: Shot, path: Path, progress: Progress) -> dict:
    """TAP-Vid scores of the tracks in the file `path` on `shot`; NvdError where they do not fit."""
    clip = shot.manifest.clip
    tracks = read_tracks(path, clip.frames, clip.width, clip.height, len(shot.names))
    meter = TrackMeter(tracks, _sizes(shot), _views(shot))
    progress.stage("tracks", shot.frames)
    with closing(iter_maps(shot, range(shot.frames))) as all_maps:
        for t, maps in enumerate(all_maps):
            meter.add(maps)
            progress.update(t + 1)
    return {"all": meter.scores(clip.width, clip.height)}


def _check_same_clip(shot: Shot, truth: Truth) -> None:
    clip = shot.manifest.clip
    ours = clip.width, clip.height, clip.frames, len(shot.names)
    true = truth.width, truth.height, truth.frames, len(truth.names)
    if ours != true:
        described = "{} x {}, {} frames, {} layers"
        raise NvdError(
            f"{truth.folder} is the truth of another clip",
            expected=described.format(*ours),
            found=described.format(*true),
            remedy="decompose the truth's own frames/ with a mask for each of its objects",
        )
    if set(shot.names) == set(truth.names) and shot.names != truth.names:
        raise NvdError(
            f"the layers of {shot.folder} stand in another order than those of the truth",
            expected=", ".join(truth.names),
            found=", ".join(shot.names),
            remedy="give the masks front to back when decomposing",
        )


def _sizes(shot: Shot) -> list[tuple[int, int]]:
    return [(layer.texture_width, layer.texture_height) for layer in shot.manifest.layers]


def _views(shot: Shot) -> ViewChanges | None:
    return ViewChanges(shot) if any(layer.windows for layer in shot.manifest.layers) else None


def _meters(shot: Shot, truth: Truth) -> _Meters:
    tracks = truth.tracks()
    layers = len(truth.layers)
    if tracks.layer is None or tracks.layer.min() < 0 or tracks.layer.max() >= layers:
        raise NvdError(
            f"the tracks in {truth.folder} do not say which layer they belong to",
            remedy="render the truth again with tools/scenes/make_truth_scenes.py",
        )
    ious = [IouMeter() for _ in range(layers)]
    soft = [SoftMeter() for _ in range(layers)]
    meters = FidelityMeter(), SteadinessMeter(), TrackMeter(tracks, _sizes(shot), _views(shot))
    colours = np.array([layer.paint for layer in truth.layers], np.float32)
    paint = PaintMeter(colours, truth.all_edit_frames)
    return _Meters(ious, [0.0] * layers, soft, *meters, LightMeter(tracks), paint, SeamMeter())


def borders(shot: Shot, maps: FrameMaps) -> np.ndarray | None:
    """Where parts of a layer meet in a frame, bool [H, W]; None: no layer has parts."""
    found = None
    for n, layer in enumerate(shot.manifest.layers):
        if layer.parts:
            u, v, alpha = np.moveaxis(maps.uva[n], -1, 0)
            own = part_borders(part_numbers(layer.parts, u, v)) & (alpha > OPAQUE)
            found = own if found is None else found | own
    return found


def _measure_layers(meters: _Meters, truth: Truth, t: int, maps: FrameMaps) -> None:
    alphas, light = truth.alpha(t), truth.light(t)
    for n, true in enumerate(alphas):
        ours = maps.uva[n, ..., 2]
        meters.ious[n].add(ours, (true * 255).astype(np.uint8))
        meters.alpha_errors[n] += float(np.abs(ours - true).mean())
        meters.soft[n].add(ours, true)
    meters.tracks.add(maps)
    if light is not None:
        meters.light.add(maps, light, alphas)


def _measure_steadiness(meters: _Meters, truth: Truth, t: int, before: tuple, now: tuple) -> None:
    """Of the pair t and t + 1: true flow where the truth has it, else estimated."""
    flow, followed = truth.flow(t) or estimated_flow(before[2], now[2])
    edited, true = (before[0], now[0]), (before[1], now[1])
    meters.steadiness.add(edited, true, before[3], flow, followed)


def _pictures(shot: Shot, t: int, edited: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    shown = {
        "edit rendered": pictures.to_bytes(edited),
        "edit true": pictures.to_bytes(true),
        "edit difference x4": pictures.difference(edited, true),
    }
    for kind, picture in shown.items():
        write_image(shot.report / f"{kind.replace(' ', '_')}_{t:05d}.png", picture)
    return shown


def _figures(shot: Shot, truth: Truth, meters: _Meters) -> dict:
    names, size = shot.names, (truth.width, truth.height)
    fidelity = meters.fidelity
    tracks = {"all": meters.tracks.scores(*size)}
    tracks |= {name: meters.tracks.scores(*size, n) for n, name in enumerate(names)}
    again = meters.tracks.scores(*size, again=True)
    light = [meters.light.value(n) if meters.light.true else None for n in range(len(names))]
    return {
        "scene": truth.scene,
        "alpha_iou": {n: _rounded(m.value) for n, m in zip(names, meters.ious, strict=True)},
        "alpha_error": {
            n: _rounded(e / truth.frames) for n, e in zip(names, meters.alpha_errors, strict=True)
        },
        "alpha_error_soft": {n: _rounded(m.value) for n, m in zip(names, meters.soft, strict=True)},
        "edit_psnr": fidelity.psnr(fidelity.inside),
        "edit_psnr_outside": fidelity.psnr(fidelity.outside),
        "edit_psnr_unpainted": fidelity.psnr(fidelity.nothing),
        "edit_warp_error": meters.steadiness.values(),
        "flow": "true" if truth.has("flow") else "estimated",
        **meters.paint.values(names),
        "seam_psnr": meters.seam.value,
        "tracks": tracks,
        "tracks_reappeared": again,
        "light_correlation": {n: _rounded(r) for n, r in zip(names, light, strict=True)},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
