"""The weighted sum of all losses at the points of one step.

Each point p is evaluated together with its neighbours one pixel to the right and one below: the
triple gives colours, their forward differences and the mapping's Jacobian in one pass.
"""

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.model import LayeredVideo
from nvd_core.training import losses
from nvd_core.training.consistency import consistency_term
from nvd_core.training.sampling import Points
from nvd_core.training.settings import Settings

VISIBLE = 0.004
"""a layer whose alpha is below this hardly changes an 8-bit value"""
FAR = 100.0
"""pixels between the points of the global rigidity"""


class Objective:
    """Computes the loss of a step; holds no state that a checkpoint would need."""

    def __init__(self, model: LayeredVideo, settings: Settings, steps: int, seed: int) -> None:
        self.model = model
        self.settings = settings
        self.steps = steps
        self.seed = seed

    def __call__(self, points: Points, step: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, its weighted terms by name, and the predicted colours [P, 3] at p."""
        model, weights = self.model, self.settings.losses
        count = len(points.t)
        right, below = (points.xy.new_tensor(offset) for offset in ([1.0, 0.0], [0.0, 1.0]))
        xy = torch.cat([points.xy, points.xy + right, points.xy + below])
        t = points.t.repeat(3)
        alphas = model.alpha(xy, t)  # [3P, L]
        matches = len(points.match_t)
        match_alphas = model.alpha(points.match_xy, points.match_t)
        terms = self._alpha_terms(points, alphas[:count], match_alphas, step)

        predicted = torch.zeros_like(xy[:, :1]).expand(-1, 3)
        random = torch.from_numpy(
            np.random.default_rng((self.seed, step, 1)).random(count, np.float32)
        ).to(xy.device)
        for n in range(model.layers):
            kept = self._kept(points, alphas.detach(), n, random)
            triple = torch.cat([kept, kept + count, kept + 2 * count])
            uv = model.mappings[n](xy[triple], t[triple])
            colour, residual, lit = model.colour(n, uv, t[triple])
            alpha = alphas[triple, n]
            predicted = predicted.index_add(0, triple, lit * alpha[:, None])
            share = len(kept) / count  # so that a mean over the kept is a mean over all
            for name, value in self._layer_terms(n, alpha, colour, residual).items():
                terms[name] = terms.get(name, 0.0) + share * value
            for name, value in self._rigidity_terms(n, kept, xy, t, uv, step).items():
                terms[name] = terms.get(name, 0.0) + share * value
            matched = kept < matches
            chosen = kept[matched]
            uv_match = model.mappings[n](points.match_xy[chosen], points.match_t[chosen])
            flow = losses.flow_mapping(
                uv[: len(kept)][matched],
                uv_match,
                alphas[chosen, n].detach(),
                points.match_valid[chosen],
                model.mappings[n].pixels_per_unit,
            )
            terms["flow"] = terms.get("flow", 0.0) + share * weights.flow * flow

        p, p_right, p_below = predicted.split(count)
        terms["rgb"] = weights.rgb * losses.rgb(p, points.colour)
        terms["gradient"] = weights.gradient * losses.gradient(
            p, p_right, p_below, points.colour, points.colour_right, points.colour_below
        )
        patches = self.settings.consistency_patches
        if patches and step % self.settings.consistency_every == 0 and model.kind != "none":
            drawn = np.random.default_rng((self.seed, step, 2))
            term = consistency_term(model, self.settings, drawn)
            terms["consistency"] = (
                weights.residual_consistency * self.settings.consistency_every * term
            )
        return sum(terms.values()), terms, p.detach()

    def _kept(self, points: Points, alphas: Tensor, n: int, random: Tensor) -> Tensor:
        """Indices of the points at which layer n is evaluated."""
        count = len(points.t)
        if not self.settings.skip_hidden:
            return torch.arange(count, device=alphas.device)
        shows = (alphas[:, n].view(3, count) > VISIBLE).any(0)
        if n < self.model.layers - 1:
            shows |= points.masks[:, n] * points.mask_weight[:, n] > 0.5
        return torch.nonzero(shows | (random < 0.05)).squeeze(1)

    def _alpha_terms(
        self, points: Points, alphas: Tensor, match_alphas: Tensor, step: int
    ) -> dict[str, Tensor]:
        """Losses of the alphas alone: eqs. 12, 15 (alpha) and 16."""
        weights = self.settings.losses
        bootstrapping = step < self.settings.bootstrap_share * self.steps
        mask_weight = weights.bootstrap if bootstrapping else weights.mask
        matches = len(points.match_t)
        terms = {"alpha_binary": weights.alpha_binary * losses.alpha_binary(alphas)}
        for n in range(self.model.layers - 1):
            if mask_weight > 0:
                value = losses.alpha_bootstrap(
                    alphas[:, n], points.masks[:, n], points.mask_weight[:, n]
                )
                terms["mask"] = terms.get("mask", 0.0) + mask_weight * value
            value = losses.flow_alpha(alphas[:matches, n], match_alphas[:, n], points.match_valid)
            terms["flow_alpha"] = terms.get("flow_alpha", 0.0) + weights.flow_alpha * value
        return terms

    def _layer_terms(
        self, n: int, alpha: Tensor, colour: Tensor, residual: Tensor
    ) -> dict[str, Tensor]:
        """Losses of a layer's colour and light: eqs. 14 and 11."""
        weights, model = self.settings.losses, self.model
        terms = {}
        if n < model.layers - 1:
            terms["sparsity"] = weights.sparsity * losses.sparsity(alpha, colour)
        if model.kind == "multiplicative":
            terms["residual_one"] = weights.residual_one * losses.residual_one(residual)
        elif model.kind == "additive":
            terms["residual_one"] = weights.residual_one * losses.residual_one(residual + 1)
        return terms

    def _rigidity_terms(
        self, n: int, kept: Tensor, xy: Tensor, t: Tensor, uv: Tensor, step: int
    ) -> dict[str, Tensor]:
        """Rigidity over one pixel, and over FAR pixels while that is active."""
        weights, model = self.settings.losses, self.model
        scale = model.mappings[n].pixels_per_unit
        p, p_right, p_below = uv.split(len(kept))
        everywhere = torch.ones_like(p[:, 0])

        def term(right: Tensor, below: Tensor, distance: float) -> Tensor:
            jacobian = torch.stack([right - p, below - p], -1) * (scale / distance)
            return losses.rigidity(jacobian, everywhere)

        terms = {"rigidity": weights.rigidity * term(p_right, p_below, 1.0)}
        if step < self.settings.global_rigidity_share * self.steps:
            background = n == model.layers - 1
            weight = (
                weights.global_rigidity_background if background else weights.global_rigidity_object
            )
            at, when = xy[kept], t[kept]
            right = model.mappings[n](at + at.new_tensor([FAR, 0.0]), when)
            below = model.mappings[n](at + at.new_tensor([0.0, FAR]), when)
            terms["global_rigidity"] = weight * term(right, below, FAR)
        return terms
