"""The weighted sum of all losses at the points of one step.

Each point p is evaluated together with its neighbours one pixel to the right and one below: the
triple gives colours, their forward differences and the mapping's Jacobian in one pass.
"""

from collections.abc import Collection
from typing import cast

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.networks import IdentityMapping, MotionMapping
from nvd_core.settings import Settings
from nvd_core.training import fast_losses, losses
from nvd_core.training.border_patches import LeftOut, residual_consistency
from nvd_core.training.sampling import Points

VISIBLE = 0.004
"""a layer whose alpha is below this hardly changes an 8-bit value"""
ROUND = 256
"""a layer is evaluated at a multiple of so many points: a library that compiles a product for each
new shape (oneDNN does) then meets few of them"""
CELLS = 12
"""cells of the texture square along a side, over which the light's mean is held"""
SETTLED = 0.0005
"""alphas that are all within it of 0 or 1 have settled: an edge is further off than a pixel"""
FEW = 0.05
"""share of the other points at which a layer or a neighbour's alpha is evaluated all the same"""
FAR = 100.0
"""pixels between the points of the global rigidity"""
OF_VIEWS = 10.0
"""times as much the flow of an object with several views counts: it was put right, and a highlight
that stands still on what turns would pull the mapping along"""


class Terms(dict[str, Tensor]):
    """Weighted losses by name."""

    def add(self, name: str, weight: float, loss: Tensor) -> None:
        """Add `weight` times `loss`, unless the weight is 0."""
        if weight:
            self[name] = self.get(name, 0.0) + weight * loss


class Objective:
    """Computes the loss of a step; holds no state that a checkpoint would need."""

    def __init__(
        self,
        model: LayeredVideo,
        settings: Settings,
        steps: int,
        seed: int,
        left_out: LeftOut | None = None,
        righted: Collection[int] = (),
    ) -> None:
        """`righted`: the objects whose flow was put right, so that it may count for more."""
        self.model = model
        self.righted = righted
        self.left_out = left_out
        self.settings = settings
        self.steps = steps
        self.seed = seed
        self.losses = losses

    def __call__(
        self, points: Points, step: int, place: float | None = None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, its weighted terms by name, and the predicted colours [P, 3] at p.

        `place` is the step of the whole schedule for which `step` stands, by itself the same.
        """
        model, weights, terms = self.model, self.settings.losses, Terms()
        place = step if place is None else place
        count = len(points.t)
        self.losses = fast_losses if points.xy.device.type == "cpu" else losses
        right, below = (points.xy.new_tensor(offset) for offset in ([1.0, 0.0], [0.0, 1.0]))
        xy = torch.cat([points.xy, points.xy + right, points.xy + below])
        t = points.t.repeat(3)
        random = torch.from_numpy(
            np.random.default_rng((self.seed, step, 1)).random(count, np.float32)
        ).to(xy.device)
        alphas, at_match = self._alphas(points, xy, t, random)
        self._alpha_terms(terms, points, alphas[:count], at_match, place)

        parts = []
        delta = 0.0 if self._bootstrapping(place) else self.settings.residual_huber_delta
        for n in range(model.layers):
            kept = self._kept(points, alphas.detach(), n, random)
            triple = torch.cat([kept, kept + count, kept + 2 * count])
            uv, uv_match = self._places(points, kept, n, xy[triple], t[triple])
            colour, residual, lit = model.colour(n, uv, t[triple])
            whole = model.kind == "multiplicative"
            parts.append((triple, *((colour, residual) if whole else (lit, torch.ones_like(lit)))))
            share = len(kept) / count  # so that a mean over the kept is a mean over all
            if n < model.layers - 1 and weights.sparsity:
                sparse = self.losses.layer_sparsity(alphas, n, triple, colour)
                terms.add("sparsity", share * weights.sparsity, sparse)
            if model.kind != "none":
                self._light_terms(terms, share, residual, uv, delta)
            self._rigidity_terms(terms, share, n, points, kept, uv, place)
            self._flow_term(terms, share, n, points, kept, alphas, uv, uv_match)

        predicted = self.losses.composite(alphas, parts)
        true = points.colour, points.colour_right, points.colour_below
        wanted = weights.rgb > 0, weights.gradient > 0
        counted = self.settings.neighbours_count
        rgb, gradient = self.losses.colours(predicted, true, counted, wanted)
        terms.add("rgb", weights.rgb, rgb)
        terms.add("gradient", weights.gradient, gradient)
        every = self.settings.consistency_every
        if self.settings.consistency_patches and step % every == 0 and model.kind != "none":
            drawn = np.random.default_rng((self.seed, step, 2))
            weight = weights.residual_consistency * every
            if weight:
                apart = residual_consistency(model, self.settings, drawn, self.left_out)
                terms.add("residual_consistency", weight, apart)
        return cast(Tensor, sum(terms.values())), terms, predicted[:count].detach()

    def _bootstrapping(self, place: float) -> bool:
        """Whether the masks are still enforced, and strong changes of light held."""
        return place < self.settings.bootstrap_share * self.steps

    def _alphas(
        self, points: Points, xy: Tensor, t: Tensor, random: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Alphas [3P, L] at xy, and [F, L] at the points' matches.

        With `skip_settled` a neighbour has the alphas of its point where those have settled, but
        for a few.
        """
        count = len(points.t)
        skips = self.settings.skip_settled and self.model.layers > 1
        asked = count if skips else len(xy)
        places, frames = [xy[:asked]], [t[:asked]]
        if self.settings.losses.flow_alpha:
            places, frames = [*places, points.match_xy], [*frames, points.match_t]
        found = self.model.alpha(torch.cat(places), torch.cat(frames))
        alphas, at_match = found[:asked], found[asked:]
        if not skips:
            return alphas, at_match
        open_ = alphas.detach().amax(-1) < 1 - SETTLED
        rows = self._some(open_, random)
        rows = torch.cat([rows + count, rows + 2 * count])
        return alphas.repeat(3, 1).index_copy(
            0, rows, self.model.alpha(xy[rows], t[rows])
        ), at_match

    def _kept(self, points: Points, alphas: Tensor, n: int, random: Tensor) -> Tensor:
        """Indices of the points at which layer n is evaluated."""
        count = len(points.t)
        if not self.settings.skip_hidden:
            return torch.arange(count, device=alphas.device)
        shows = (alphas[:, n].view(3, count) > VISIBLE).any(0)
        if n < self.model.layers - 1:
            shows |= points.masks[:, n] * points.mask_weight[:, n] > 0.5
        return self._some(shows, random)

    @staticmethod
    def _some(wanted: Tensor, random: Tensor) -> Tensor:
        """Indices of the points that are `wanted`, and of a few others that chance adds."""
        count = len(wanted)
        wanted = wanted | (random < FEW)
        size = max(-(-int(wanted.sum()) // ROUND), 1) * ROUND  # a mean over none is no number
        if size >= count:
            return torch.arange(count, device=wanted.device)
        first = torch.where(wanted, -1.0, random).topk(size, largest=False).indices
        return first.sort().values

    def _places(
        self, points: Points, kept: Tensor, n: int, xy: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Texture coordinates of layer n at xy [3K, 2], and at the matches of the kept points.

        Those that have a match are the first, as `kept` is in order.
        """
        if not self.settings.losses.flow:
            return self.model.mappings[n](xy, t), xy[:0]
        matched = kept[: int((kept < len(points.match_t)).sum())]
        xy = torch.cat([xy, points.match_xy[matched]])
        t = torch.cat([t, points.match_t[matched]])
        return self.model.mappings[n](xy, t).split([3 * len(kept), len(matched)])

    def _alpha_terms(
        self, terms: Terms, points: Points, alphas: Tensor, at_match: Tensor, place: float
    ) -> None:
        """Losses of the alphas alone: eqs. 12, 15 (alpha) and 16."""
        weights, model = self.settings.losses, self.model
        mask_weight = weights.mask_bootstrap if self._bootstrapping(place) else weights.mask
        matches = len(points.match_t)
        if weights.alpha_binary:
            terms.add("alpha_binary", weights.alpha_binary, self.losses.alpha_binary(alphas))
        for n in range(model.layers - 1):
            if mask_weight:
                seen = alphas[:, n], points.masks[:, n], points.mask_weight[:, n]
                terms.add("mask", mask_weight, self.losses.mask(*seen))
            if weights.flow_alpha:
                pair = alphas[:matches, n], at_match[:, n], points.match_valid
                terms.add("flow_alpha", weights.flow_alpha, self.losses.flow_alpha(*pair))

    def _light_terms(
        self, terms: Terms, share: float, residual: Tensor, uv: Tensor, delta: float
    ) -> None:
        """Losses of a layer's light: eq. 11 and what stands beside it."""
        weights = self.settings.losses
        named = {
            "residual_one": weights.residual_one,
            "residual_mean": weights.residual_mean,
            "residual_smooth": weights.residual_smooth,
        }
        wanted = tuple(weight > 0 for weight in named.values())
        if not any(wanted):
            return
        rest = 0.0 if self.model.kind == "additive" else 1.0
        found = self.losses.light(residual, uv, rest, delta, CELLS, wanted)
        for (name, weight), loss in zip(named.items(), found, strict=True):
            terms.add(name, share * weight, loss)

    def _flow_term(
        self,
        terms: Terms,
        share: float,
        n: int,
        points: Points,
        kept: Tensor,
        alphas: Tensor,
        uv: Tensor,  # [3K, 2] at the kept points, right of them and below
        uv_match: Tensor,  # [M, 2] at the matches of the first M
    ) -> None:
        """Eq. 15 of the mapping, at those of the kept points that have a match."""
        weight = share * self.settings.losses.flow
        if not weight:
            return
        mapping, matched = self.model.mappings[n], kept[: len(uv_match)]
        if mapping.windows and n in self.righted:
            weight *= OF_VIEWS
        valid = points.match_valid[matched]
        places = points.xy[matched], points.t[matched]
        same = mapping.same_sheet(*places, points.match_xy[matched], points.match_t[matched])
        loss = self.losses.flow(
            uv[: len(matched)],
            uv_match,
            alphas[matched, n].detach(),
            valid if same is None else valid * same,
            mapping.pixels_per_unit,
        )
        terms.add("flow", weight, loss)

    def _rigidity_terms(
        self,
        terms: Terms,
        share: float,
        n: int,
        points: Points,
        kept: Tensor,
        uv: Tensor,  # [3K, 2] at the kept points, right of them and below
        place: float,
    ) -> None:
        """Rigidity over one pixel, and over FAR pixels while that is active."""
        weights, mapping = self.settings.losses, self.model.mappings[n]
        at, when = points.xy[kept], points.t[kept]
        if weights.rigidity:
            loss = self._stretch(mapping, uv, at, when, 1.0)
            terms.add("rigidity", share * weights.rigidity, loss)
        background = n == self.model.layers - 1
        weight = (
            weights.global_rigidity_background if background else weights.global_rigidity_object
        )
        if weight and place < self.settings.global_rigidity_share * self.steps:
            right = mapping(at + at.new_tensor([FAR, 0.0]), when)
            below = mapping(at + at.new_tensor([0.0, FAR]), when)
            far = torch.cat([uv[: len(kept)], right, below])
            loss = self._stretch(mapping, far, at, when, FAR)
            terms.add("global_rigidity", share * weight, loss)

    def _stretch(
        self,
        mapping: IdentityMapping | MotionMapping,
        uv: Tensor,
        at: Tensor,
        when: Tensor,
        distance: float,
    ) -> Tensor:
        """Rigidity of uv [3K, 2], `distance` pixels apart; not across the borders of parts."""
        scale = mapping.pixels_per_unit / distance
        if not mapping.parts:
            return self.losses.stretch(uv, scale)
        p, right, below = uv.chunk(3)
        weight = torch.ones_like(p[:, 0])
        for way in ([distance, 0.0], [0.0, distance]):
            same = mapping.same_sheet(at, when, at + at.new_tensor(way), when)
            weight = weight if same is None else weight * same
        return losses.rigidity(torch.stack([right - p, below - p], -1) * scale, weight)
