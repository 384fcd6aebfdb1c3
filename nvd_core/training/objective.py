"""The weighted sum of all losses at the points of one step.

Each point p is evaluated together with its neighbours one pixel to the right and one below: the
triple gives colours, their forward differences and the mapping's Jacobian in one pass.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.model import LayeredVideo
from nvd_core.settings import Settings
from nvd_core.training import losses
from nvd_core.training.border_patches import LeftOut, residual_consistency
from nvd_core.training.sampling import Points

VISIBLE = 0.004
"""a layer whose alpha is below this hardly changes an 8-bit value"""
ROUND = 256
"""a layer is evaluated at a multiple of so many points: a library that compiles a product for each
new shape (oneDNN does) then meets few of them"""
CELLS = 12
"""cells of the texture square along a side, over which the light's mean is held"""
FAR = 100.0
"""pixels between the points of the global rigidity"""


class Terms(dict[str, Tensor]):
    """Weighted losses by name."""

    def add(self, name: str, weight: float, loss: Callable[[], Tensor]) -> None:
        """Add `weight` times what `loss` computes; with a weight of 0 it is not called."""
        if weight:
            self[name] = self.get(name, 0.0) + weight * loss()


class Objective:
    """Computes the loss of a step; holds no state that a checkpoint would need."""

    def __init__(
        self,
        model: LayeredVideo,
        settings: Settings,
        steps: int,
        seed: int,
        left_out: LeftOut | None = None,
    ) -> None:
        self.model = model
        self.left_out = left_out
        self.settings = settings
        self.steps = steps
        self.seed = seed

    def __call__(self, points: Points, step: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, its weighted terms by name, and the predicted colours [P, 3] at p."""
        model, weights, terms = self.model, self.settings.losses, Terms()
        count = len(points.t)
        right, below = (points.xy.new_tensor(offset) for offset in ([1.0, 0.0], [0.0, 1.0]))
        xy = torch.cat([points.xy, points.xy + right, points.xy + below])
        t = points.t.repeat(3)
        alphas = model.alpha(xy, t)  # [3P, L]
        self._alpha_terms(terms, points, alphas[:count], step)

        predicted = torch.zeros_like(xy[:, :1]).expand(-1, 3)
        random = torch.from_numpy(
            np.random.default_rng((self.seed, step, 1)).random(count, np.float32)
        ).to(xy.device)
        delta = 0.0 if self._bootstrapping(step) else self.settings.residual_huber_delta
        for n in range(model.layers):
            kept = self._kept(points, alphas.detach(), n, random)
            triple = torch.cat([kept, kept + count, kept + 2 * count])
            uv = model.mappings[n](xy[triple], t[triple])
            colour, residual, lit = model.colour(n, uv, t[triple])
            alpha = alphas[triple, n]
            predicted = predicted.index_add(0, triple, lit * alpha[:, None])
            share = len(kept) / count  # so that a mean over the kept is a mean over all
            self._layer_terms(terms, share, n, alpha, colour, residual, uv, delta)
            self._rigidity_terms(terms, share, n, points, kept, uv, step)
            self._flow_term(terms, share, n, points, kept, alphas, uv[: len(kept)])

        p, p_right, p_below = predicted.split(count)
        true = points.colour, points.colour_right, points.colour_below
        seen = (predicted, torch.cat(true)) if self.settings.neighbours_count else (p, true[0])
        terms.add("rgb", weights.rgb, lambda: losses.rgb(*seen))
        terms.add("gradient", weights.gradient, lambda: losses.gradient(p, p_right, p_below, *true))
        every = self.settings.consistency_every
        if self.settings.consistency_patches and step % every == 0 and model.kind != "none":
            drawn = np.random.default_rng((self.seed, step, 2))
            weight = weights.residual_consistency * every
            terms.add(
                "residual_consistency",
                weight,
                lambda: residual_consistency(model, self.settings, drawn, self.left_out),
            )
        return cast(Tensor, sum(terms.values())), terms, p.detach()

    def _bootstrapping(self, step: int) -> bool:
        """Whether the masks are still enforced, and strong changes of light held."""
        return step < self.settings.bootstrap_share * self.steps

    def _kept(self, points: Points, alphas: Tensor, n: int, random: Tensor) -> Tensor:
        """Indices of the points at which layer n is evaluated."""
        count = len(points.t)
        if not self.settings.skip_hidden:
            return torch.arange(count, device=alphas.device)
        shows = (alphas[:, n].view(3, count) > VISIBLE).any(0)
        if n < self.model.layers - 1:
            shows |= points.masks[:, n] * points.mask_weight[:, n] > 0.5
        shows |= random < 0.05
        size = max(-(-int(shows.sum()) // ROUND), 1) * ROUND  # a mean over none is no number
        if size >= count:
            return torch.arange(count, device=alphas.device)
        first = torch.where(shows, -1.0, random).topk(size, largest=False).indices
        return first.sort().values

    def _alpha_terms(self, terms: Terms, points: Points, alphas: Tensor, step: int) -> None:
        """Losses of the alphas alone: eqs. 12, 15 (alpha) and 16."""
        weights, model = self.settings.losses, self.model
        mask_weight = weights.mask_bootstrap if self._bootstrapping(step) else weights.mask
        matches = len(points.match_t)
        terms.add("alpha_binary", weights.alpha_binary, lambda: losses.alpha_binary(alphas))
        if weights.flow_alpha:
            at_match = model.alpha(points.match_xy, points.match_t)
        for n in range(model.layers - 1):
            seen = alphas[:, n], points.masks[:, n], points.mask_weight[:, n]
            terms.add("mask", mask_weight, partial(losses.mask, *seen))
            if weights.flow_alpha:
                pair = alphas[:matches, n], at_match[:, n], points.match_valid
                terms.add("flow_alpha", weights.flow_alpha, partial(losses.flow_alpha, *pair))

    def _layer_terms(
        self,
        terms: Terms,
        share: float,
        n: int,
        alpha: Tensor,
        colour: Tensor,
        residual: Tensor,
        uv: Tensor,
        delta: float,
    ) -> None:
        """Losses of a layer's colour and light: eqs. 14 and 11."""
        weights, kind = self.settings.losses, self.model.kind
        if n < self.model.layers - 1:
            terms.add("sparsity", share * weights.sparsity, lambda: losses.sparsity(alpha, colour))
        if kind != "none":
            light = residual + 1 if kind == "additive" else residual
            terms.add(
                "residual_one",
                share * weights.residual_one,
                lambda: losses.residual_one(light, delta),
            )
            terms.add(
                "residual_mean",
                share * weights.residual_mean,
                lambda: losses.residual_mean(light, uv, CELLS),
            )
            terms.add(
                "residual_smooth",
                share * weights.residual_smooth,
                lambda: losses.residual_smooth(residual),
            )

    def _flow_term(
        self,
        terms: Terms,
        share: float,
        n: int,
        points: Points,
        kept: Tensor,
        alphas: Tensor,
        uv: Tensor,  # [K, 2] at the kept points
    ) -> None:
        """Eq. 15 of the mapping, at those of the kept points that have a match."""
        mapping = self.model.mappings[n]
        matched = kept < len(points.match_t)
        chosen = kept[matched]

        def loss() -> Tensor:
            valid = points.match_valid[chosen]
            places = points.xy[chosen], points.t[chosen]
            matches = points.match_xy[chosen], points.match_t[chosen]
            same = mapping.same_sheet(*places, *matches)
            return losses.flow(
                uv[matched],
                mapping(*matches),
                alphas[chosen, n].detach(),
                valid if same is None else valid * same,
                mapping.pixels_per_unit,
            )

        terms.add("flow", share * self.settings.losses.flow, loss)

    def _rigidity_terms(
        self,
        terms: Terms,
        share: float,
        n: int,
        points: Points,
        kept: Tensor,
        uv: Tensor,  # [3K, 2] at the kept points, right of them and below
        step: int,
    ) -> None:
        """Rigidity over one pixel, and over FAR pixels while that is active."""
        weights, mapping = self.settings.losses, self.model.mappings[n]
        p, p_right, p_below = uv.split(len(kept))
        at, when = points.xy[kept], points.t[kept]

        def stretch(right: Tensor, below: Tensor, distance: float) -> Tensor:
            scale = mapping.pixels_per_unit / distance
            weight = torch.ones_like(p[:, 0])
            for way in ([distance, 0.0], [0.0, distance]):
                same = mapping.same_sheet(at, when, at + at.new_tensor(way), when)
                weight = weight if same is None else weight * same
            return losses.rigidity(torch.stack([right - p, below - p], -1) * scale, weight)

        def far() -> Tensor:
            right = mapping(at + at.new_tensor([FAR, 0.0]), when)
            return stretch(right, mapping(at + at.new_tensor([0.0, FAR]), when), FAR)

        terms.add("rigidity", share * weights.rigidity, lambda: stretch(p_right, p_below, 1.0))
        if step < self.settings.global_rigidity_share * self.steps:
            background = n == self.model.layers - 1
            weight = (
                weights.global_rigidity_background if background else weights.global_rigidity_object
            )
            terms.add("global_rigidity", share * weight, far)
