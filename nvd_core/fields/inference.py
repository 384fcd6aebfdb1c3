"""Evaluating the trained networks over whole frames and whole textures, in bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nvd_core.fields.model import LayeredVideo

TRANSPARENT = 1 / 1024
"""a layer with less alpha than this is left out of the maps"""
CHUNK = 1 << 16
"""points evaluated at a time"""

Edges = Callable[[np.ndarray], np.ndarray]
"""brings the alphas float32 [L, H, W] of a frame to its plate's edges; each pixel's sum to 1"""


def never() -> None:
    """Asks for no stop: what is called now and then where nobody can."""


@dataclass
class FrameLayers:
    """All layers of one frame; where alpha is 0, uv is 0 and the light changes nothing."""

    uv: np.ndarray  # float32 [L, H, W, 2], the networks' coordinates, about [-1, 1]
    alpha: np.ndarray  # float32 [L, H, W]
    residual: np.ndarray  # float32 [L, H, W, 3], multiplies the colour; 1 in the ablations
    added: np.ndarray | None  # float32 [H, W, 3], sum of alpha * residual if that is additive
    own_alpha: np.ndarray | None = None  # float32 [L, H, W], before it was brought to any edges


def frame_layers(
    model: LayeredVideo,
    t: int,
    stride: int = 1,
    light: bool = True,
    edges: Edges | None = None,
    check: Callable[[], None] = never,
) -> FrameLayers:
    """Mapping, alpha and residual of every layer at every `stride`-th pixel of frame t.

    Without `light` the residual is not asked for and changes nothing. `edges` is given alphas, and
    the layers are those of the alphas that it returns. `check` is called now and then, and may
    raise.
    """
    xs = np.arange(0, model.shape.width, stride, dtype=np.float32)
    ys = np.arange(0, model.shape.height, stride, dtype=np.float32)
    xy = np.stack(np.meshgrid(xs, ys), -1)
    alpha = None if edges is None else edges(_alpha_at(model, xy, t))
    return layers_at(model, xy, t, alpha, light=light, check=check)


@torch.inference_mode()
def _alpha_at(model: LayeredVideo, xy: np.ndarray, t: int) -> np.ndarray:
    """The alphas alone, float32 [L, H, W]."""
    device = next(model.parameters()).device
    points = torch.from_numpy(xy.reshape(-1, 2))
    alpha = np.empty((model.layers, len(points)), np.float32)
    for first in range(0, len(points), CHUNK):
        part = points[first : first + CHUNK].to(device)
        when = torch.full((len(part),), t, device=device)
        alpha[:, first : first + len(part)] = model.alpha(part, when).float().cpu().numpy().T
    return alpha.reshape(model.layers, *xy.shape[:2])


@torch.inference_mode()
def layers_at(
    model: LayeredVideo,
    xy: np.ndarray,  # float32 [H, W, 2], pixels of frame t, also between or beyond them
    t: int,
    alpha: np.ndarray | None = None,  # float32 [L, H, W], sums to 1; None: from the network
    background_uv: np.ndarray | None = None,  # float32 [H, W, 2] in place of the mapping's
    light: bool = True,
    check: Callable[[], None] = never,  # called now and then; may raise
) -> FrameLayers:
    """All layers at the places `xy` of frame t."""
    device = next(model.parameters()).device
    size = (model.layers, *xy.shape[:2])
    xy = torch.from_numpy(xy.reshape(-1, 2)).to(device)
    count = len(xy)
    if alpha is not None:
        alpha = torch.from_numpy(alpha.reshape(model.layers, count))
    given = None if background_uv is None else torch.from_numpy(background_uv.reshape(count, 2))
    uv = torch.zeros(model.layers, count, 2)
    shares = torch.zeros(model.layers, count)
    lit = light and model.kind != "none"
    residuals = torch.full((model.layers, count, 3), 0.0 if model.kind == "additive" else 1.0)
    for first in range(0, count, CHUNK):
        check()
        part = slice(first, min(first + CHUNK, count))
        when = torch.full((part.stop - part.start,), t, device=device)
        alphas = model.alpha(xy[part], when) if alpha is None else alpha[:, part].T.to(device)
        alphas = torch.where(alphas < TRANSPARENT, torch.zeros_like(alphas), alphas)
        alphas = alphas / alphas.sum(-1, keepdim=True)
        shares[:, part] = alphas.T.cpu()
        for n in range(model.layers):
            shown = torch.nonzero(alphas[:, n]).squeeze(1)
            if len(shown) == 0:
                continue
            if given is not None and n == model.layers - 1:
                at = given[part][shown.cpu()].to(device)
            else:
                at = model.mappings[n](xy[part][shown], when[shown])
            uv[n, part].index_copy_(0, shown.cpu(), at.cpu())
            if lit:
                residual = model.residuals[n](at, when[shown])
                residuals[n, part].index_copy_(0, shown.cpu(), residual.cpu())
    uv, alpha = uv.view(*size, 2).numpy(), shares.view(size).numpy()
    return with_light(model, uv, alpha, residuals.view(*size, 3).numpy())


def with_light(
    model: LayeredVideo, uv: np.ndarray, alpha: np.ndarray, residual: np.ndarray
) -> FrameLayers:
    """Layers whose light multiplies, or is added where the model's is additive."""
    if model.kind == "additive":
        added = (alpha[..., None] * residual).sum(0)
        return FrameLayers(uv, alpha, np.ones_like(residual), added)
    return FrameLayers(uv, alpha, residual, None)


@torch.inference_mode()
def texture_colours(
    model: LayeredVideo, n: int, low: np.ndarray, high: np.ndarray, width: int, height: int
) -> np.ndarray:
    """Layer n's texture over the box low..high [2] of network coordinates, float32 [h, w, 3].

    Sampled at the texel centres; row 0 is the top: the box's LOW second coordinate, since the
    networks' v points down like the video's y.
    """
    device = next(model.parameters()).device
    us = low[0] + (np.arange(width) + 0.5) / width * (high[0] - low[0])
    vs = low[1] + (np.arange(height) + 0.5) / height * (high[1] - low[1])
    image = np.empty((height, width, 3), np.float32)
    rows = max(CHUNK // width, 1)
    for first in range(0, height, rows):
        part = vs[first : first + rows]
        uv = np.stack(np.meshgrid(us, part), -1).reshape(-1, 2).astype(np.float32)
        colour = model.textures[n](torch.from_numpy(uv).to(device))
        image[first : first + rows] = colour.cpu().numpy().reshape(len(part), width, 3)
    return image


@torch.inference_mode()
def composite_frame(model: LayeredVideo, t: int, stride: int = 1) -> np.ndarray:
    """Eq. 6 over frame t from the networks themselves, float32 [H / stride, W / stride, 3]."""
    layers = frame_layers(model, t, stride)
    device = next(model.parameters()).device
    image = np.zeros((*layers.alpha.shape[1:], 3), np.float32)
    for n in range(model.layers):
        shown = layers.alpha[n] > 0
        if not shown.any():
            continue
        at = torch.from_numpy(layers.uv[n][shown]).to(device)
        colour = model.textures[n](at).cpu().numpy()
        image[shown] += colour * layers.residual[n][shown] * layers.alpha[n][shown][:, None]
    return image if layers.added is None else image + layers.added
