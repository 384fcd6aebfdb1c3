"""Edit fidelity: paint given on one frame, carried by a decomposition, against the true edit.

The truth was rendered again with paint on the true surfaces. What an artist would do with the
decomposition is done here: the paint as it lies in one frame is brought onto the learned textures,
and the product renders every frame. The paint is albedo, a flat colour to be lit, and as opaque as
it has to be for that frame to look as the truth has it. A decomposition
may hold any part of a surface's brightness in its texture, a shadow that never moves included, so
the paint is brought to the texture's exposure as that one frame shows it, a smooth field of gains.
What is wrong in other frames counts.
"""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.editing.across_windows import across_windows
from nvd_core.editing.over_bridge import smooth_gain
from nvd_core.editing.part_painting import paint_to_layer
from nvd_core.evaluation.metrics import OPAQUE, psnr
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import decode_srgb, encode_srgb, to_integers, write_image
from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

FINER = 2
"""edit texels along a texel's side, so that resampling blurs the paint less than its place errs"""
LEAST_APART = 0.01
"""squared distance of two colours from which the opacity of one on the other can be told"""
PAINTED = 1 / 255
"""share of a pixel from which it counts as painted"""


def write_edits(shot: Shot, truth: Truth, folder: Path) -> dict[str, Path]:
    """The truth's paint on the shot's textures, as edit images in `folder`; their paths.

    The shot's layers are in the truth's order. Layers without paint in the truth's edit frames, or
    that do not show where it lies, are left out. In a second edit frame only that is painted which
    the first did not show.
    """
    painted: dict[str, np.ndarray] = {}
    for t in truth.all_edit_frames:
        share = truth.painted(t)
        given = truth.given(t) if t != truth.edit_frame else None
        share = share if given is None else (share - given).clip(0, 1)
        for name, edit in _edits_of(shot, truth, t, share).items():
            painted[name] = over(edit, painted[name]) if name in painted else edit
    paths = {name: folder / f"truth_edit_{name}.png" for name in painted}
    for name, edit in painted.items():
        write_image(paths[name], to_integers(edit, np.uint16))
    return paths


def _edits_of(
    shot: Shot, truth: Truth, t: int, painted: np.ndarray
) -> dict[str, np.ndarray]:  # RGBA
    """The paint of frame t, shares [L, H, W] of its pixels, on the textures of the layers."""
    alphas, light, frame = truth.alpha(t), truth.light(t), truth.frame(t)
    maps = read_frame_maps(shot, t)
    edits = {}
    for n, (name, layer) in enumerate(zip(shot.names, truth.layers, strict=True)):
        record = shot.layer(name)
        own = maps.layer(n)
        share = (painted[n] / np.maximum(alphas[n], PAINTED)).clip(0, 1)
        if not ((share > 0.5) & (own.alpha > OPAQUE)).any():
            continue
        gain = exposure(own, light, alphas[n])
        paint = np.empty((*share.shape, 4), np.float32)
        paint[..., :3] = layer.paint
        lit = paint[..., :3] if light is None else paint[..., :3] * light
        paint[..., 3] = display_opacity(share, lit, frame)
        size = FINER * record.texture_width, FINER * record.texture_height
        given = paint_to_layer(paint, own, record, size, light=gain)
        edits[name] = across_windows(shot, name, t, given)
    return edits


def over(front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """One straight-alpha picture [H, W, 4] laid over another."""
    rest = back[..., 3:] * (1 - front[..., 3:])
    alpha = front[..., 3:] + rest
    colour = front[..., :3] * front[..., 3:] + back[..., :3] * rest
    colour = np.divide(colour, alpha, out=np.array(back[..., :3]), where=alpha > 0)
    return np.concatenate([colour, alpha], -1).astype(front.dtype)


def display_opacity(
    share: np.ndarray,  # [H, W] of each pixel that is paint
    paint: np.ndarray,  # [H, W, 3] the paint's colour as it is lit
    frame: np.ndarray,  # [H, W, 3] what it lies on
) -> np.ndarray:  # [H, W]
    """How opaque the paint has to be in display-encoded values to look as that share of it does.

    A pixel that is half paint has the mean of the two lights; a program that mixes display-encoded
    values, as this one and most that paint, needs another opacity for it. Where paint and frame
    differ too little to tell, it is the share.
    """
    apart = paint - frame
    mixed = encode_srgb(
        decode_srgb(frame) * (1 - share[..., None]) + decode_srgb(paint) * share[..., None]
    )
    squared = (apart**2).sum(-1)
    found = ((mixed - frame) * apart).sum(-1) / np.maximum(squared, LEAST_APART)
    return np.where(squared > LEAST_APART, found.clip(0, 1), share)


def exposure(
    maps: LayerMaps,
    light: np.ndarray | None,  # [H, W, 3] true light; None = 1
    true_alpha: np.ndarray,  # [H, W] of the layer
) -> np.ndarray:  # [H, W, 3]
    """The layer's learned light by the true light, smooth: mean logarithm around each pixel.

    Only pixels count that are the layer's alone; far from them all it is 1.
    """
    true = np.ones_like(maps.residual) if light is None else light
    return smooth_gain(maps.residual, true, (true_alpha > 0.99) & (maps.alpha > OPAQUE))


@dataclass
class FidelityMeter:
    """Squared errors of rendered edits against the true ones, in the true paint and outside."""

    inside: list[tuple[float, int]] = field(default_factory=list)  # sum and count, a frame
    outside: list[tuple[float, int]] = field(default_factory=list)
    nothing: list[tuple[float, int]] = field(default_factory=list)  # the clip as it was, inside

    def add(
        self, edited: np.ndarray, true: np.ndarray, frame: np.ndarray, painted: np.ndarray
    ) -> None:
        """Take in a frame: edit rendered and true, as shot [H, W, 3]; `painted` [H, W]."""
        chosen = painted > PAINTED
        error = ((edited.astype(np.float64) - true) ** 2).mean(-1)
        unpainted = ((frame.astype(np.float64) - true) ** 2).mean(-1)
        for kept, values in (
            (self.inside, error[chosen]),
            (self.outside, error[~chosen]),
            (self.nothing, unpainted[chosen]),
        ):
            kept.append((float(values.sum()), len(values)))

    @staticmethod
    def psnr(sums: list[tuple[float, int]]) -> float | None:
        """PSNR over all pixels of one of the lists; None without pixels."""
        total, count = (sum(values) for values in zip(*sums, strict=True))
        return round(psnr(total / count), 3) if count else None


@dataclass
class SteadinessMeter:
    """Warp error of an edited clip: how much it changes along the flow, where it is painted.

    The root of the mean squared difference of a frame and the next one warped back onto it, as in
    Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018), over pixels whose flow can
    be followed; in steps of 1/255. Light that changes counts too, so compare with the true edit.
    """

    ours: float = 0.0
    true: float = 0.0
    count: int = 0

    def add(
        self,
        edited: tuple[np.ndarray, np.ndarray],  # this frame and the next, [H, W, 3]
        true: tuple[np.ndarray, np.ndarray],
        painted: np.ndarray,  # [H, W]
        flow: np.ndarray,  # [H, W, 2] in pixels
        followed: np.ndarray,  # bool [H, W]
    ) -> None:
        """Take in a pair of frames."""
        chosen = (painted > PAINTED) & followed
        self.ours += _warp_error(*edited, flow, chosen)
        self.true += _warp_error(*true, flow, chosen)
        self.count += int(chosen.sum())

    def values(self) -> dict | None:
        """`rendered` and `true`; None where nothing could be followed."""
        if not self.count:
            return None
        root = (255 * np.sqrt(total / self.count) for total in (self.ours, self.true))
        return dict(zip(("rendered", "true"), (round(float(r), 3) for r in root), strict=True))


def _warp_error(frame, following, flow, chosen) -> float:
    """Sum over the chosen pixels of the mean squared difference along the flow."""
    target = pixel_grid(*flow.shape[:2]) + flow
    warped = cv2.remap(following, target, None, cv2.INTER_LINEAR)
    return float(((warped[chosen].astype(np.float64) - frame[chosen]) ** 2).mean(-1).sum())


def estimated_flow(frame: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DIS flow [H, W, 2] between two frames 0..1, and where it is consistent, bool [H, W]."""
    one, other = (grey(to_integers(f, np.uint8)) for f in (frame, following))
    there, back = dis().calc(one, other, None), dis().calc(other, one, None)
    return there, consistent(there, back)
