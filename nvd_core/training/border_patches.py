"""Where the residual consistency loss looks (paper, section 3.5, eqs. 7 to 10).

Patches lie on the border of a frame t1, where the camera is about to lose or has just found a
place.
Their texture coordinates are taken at other times t2 at which the frame does not see them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.model import ClipShape, LayeredVideo, frame_outline
from nvd_core.settings import Settings
from nvd_core.training import losses

LeftOut = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""whether pixels, given by t, x and y [K] each, are none of the picture, bool [K]"""


def residual_consistency(
    model: LayeredVideo,
    settings: Settings,
    random: np.random.Generator,
    left_out: LeftOut | None = None,
) -> Tensor:
    """Eq. 10 summed over the layers, unweighted, for freshly drawn patches and times.

    Patches whose centre is `left_out` do not count: no light was learned there.
    """
    shape = model.shape
    device = next(model.parameters()).device
    centres, t1 = border_patches(shape, settings.consistency_patches, random)
    hidden = None
    if left_out:
        hidden = torch.from_numpy(left_out(t1, *centres.T.astype(np.int64))).to(device)
    offsets = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), -1).reshape(9, 2)
    xy = torch.from_numpy((centres[:, None] + offsets).astype(np.float32)).to(device)  # [K, 9, 2]
    t1 = torch.from_numpy(t1).to(device)
    times = random.choice(
        shape.frames, min(settings.consistency_times, shape.frames), replace=False
    )
    others = torch.from_numpy(times).to(device)
    beta = settings.losses.residual_variance
    total = xy.new_zeros(())
    with torch.no_grad():
        visible = model.alpha(xy[:, 4], t1) > 0.5
    if hidden is not None:
        visible &= ~hidden[:, None]
    for n in range(model.layers):
        if model.mappings[n].parts:  # of which a frame's border goes round no outline
            continue
        shown = torch.nonzero(visible[:, n]).squeeze(1)
        if len(shown) == 0:
            continue
        when = t1[shown].repeat_interleave(9)
        with torch.no_grad():
            uv = model.mappings[n](xy[shown].reshape(-1, 2), when)
            seen = model.residuals[n](uv, when).view(-1, 9, 3)
            outside = _outside(
                model, n, uv.view(-1, 9, 2)[:, 4], torch.from_numpy(times).to(device)
            )
        time, patch = torch.nonzero(outside, as_tuple=True)
        if len(patch) == 0:
            continue
        t2 = others[time].repeat_interleave(9)
        unseen = model.residuals[n](uv.view(-1, 9, 2)[patch].reshape(-1, 2), t2).view(-1, 9, 3)
        total = total + losses.residual_consistency(seen[patch], unseen, beta)
    return total


def border_patches(
    shape: ClipShape, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Centres [count, 2] of 3 x 3 patches that touch a frame's border, and their frames [count]."""
    t = random.integers(0, shape.frames, count)
    side = random.integers(0, 4, count)
    along_x = random.integers(1, shape.width - 1, count)
    along_y = random.integers(1, shape.height - 1, count)
    x = np.choose(side, [along_x, along_x, 1, shape.width - 2])
    y = np.choose(side, [1, shape.height - 2, along_y, along_y])
    return np.stack([x, y], -1).astype(np.float64), t


def _outside(model: LayeredVideo, n: int, uv: Tensor, times: Tensor) -> Tensor:
    """[S, K] true where uv [K, 2] lies outside what the frames `times` [S] see of layer n."""
    outline = torch.from_numpy(frame_outline(model.shape)).to(uv.device)
    when = times.repeat_interleave(len(outline))
    seen = model.mappings[n](outline.repeat(len(times), 1), when)
    return ~inside_polygon(uv, seen.view(len(times), -1, 2))


def inside_polygon(points: Tensor, polygon: Tensor) -> Tensor:
    """Even-odd rule: [..., K] true where points [K, 2] lie in the closed polygon [..., V, 2]."""
    a, b = polygon[..., None, :, :], polygon.roll(-1, -2)[..., None, :, :]
    x, y = points[:, None, 0], points[:, None, 1]
    crosses = (a[..., 1] > y) != (b[..., 1] > y)
    rise = b[..., 1] - a[..., 1]
    rise = torch.where(rise == 0, torch.ones_like(rise), rise)
    left_of = x < a[..., 0] + (y - a[..., 1]) * (b[..., 0] - a[..., 0]) / rise
    return (crosses & left_of).sum(-1) % 2 == 1
