"""Which texels count as seen, and the colours of those that do not."""

import numpy as np
import torch
from torch.nn import functional as F

from nvd_core.baking.coverage import VISIBLE, Coverage, fill_unseen

HEIGHT, WIDTH = 40, 60


def lookups(column: float, alpha: float) -> np.ndarray:
    """A frame [1, HEIGHT, 1, 3] that looks up the middles of a column of texels."""
    v = 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT
    uva = np.stack([np.full(HEIGHT, (column + 0.5) / WIDTH), v, np.full(HEIGHT, alpha)], -1)
    return uva.astype(np.float32)[None, :, None]


def test_sums_are_the_adjoint_of_the_lookup():
    random = np.random.default_rng(0)
    sizes = [(WIDTH, HEIGHT), (7, 5)]
    coverage = Coverage(sizes)
    places = [torch.zeros(1, 1, h, w, dtype=torch.float64, requires_grad=True) for w, h in sizes]
    total = 0.0
    for _ in range(3):
        uva = random.uniform(-0.1, 1.1, (2, 11, 13, 3)).clip(0, None).astype(np.float32)
        coverage.add(uva)
        for values, at in zip(places, torch.from_numpy(uva).double(), strict=True):
            place = torch.stack([2 * at[..., 0] - 1, 1 - 2 * at[..., 1]], -1)[None]
            found = F.grid_sample(values, place, "bilinear", "border", align_corners=False)
            total = total + (found[0, 0] * at[..., 2]).sum()
    expected = torch.autograd.grad(total, places)
    first = 0
    for (w, h), wanted in zip(sizes, expected, strict=True):
        found = coverage.sums[first : first + w * h, 0].reshape(h, w)
        np.testing.assert_allclose(found, wanted[0, 0].numpy(), atol=1e-4)
        first += w * h


def test_an_edge_that_one_frame_shows_is_not_seen():
    coverage = Coverage([(WIDTH, HEIGHT)])
    for _ in range(30):
        coverage.add(lookups(10, 0.15))
        coverage.add(lookups(20, 0.8))
        coverage.add(lookups(40, VISIBLE - 0.01))
    for column in (10, 20, 50):
        coverage.add(lookups(column, 0.9))
    (seen,) = coverage.seen()
    assert seen[:, [20, 50]].all() and not seen[:, [10, 30, 40]].any()
    expected = 30 * 0.15 * 0.85 + 0.9 * 0.1
    np.testing.assert_allclose(coverage.mixed().reshape(HEIGHT, WIDTH)[:, 10], expected, rtol=1e-5)


def test_gaps_between_wide_pixels_are_closed():
    coverage = Coverage([(WIDTH, HEIGHT)])
    for column in range(5, 50, 4):
        coverage.add(lookups(column, 1.0))
    (seen,) = coverage.seen()
    assert seen[:, 7:46].all() and not seen[:, 52:].any()


def test_unseen_texels_take_colours_from_around():
    seen = np.zeros((HEIGHT, WIDTH), bool)
    seen[5:15, 5:25] = seen[20:38, 40:55] = True
    colour = np.random.default_rng(1).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    colour[5:15, 5:25], colour[20:38, 40:55] = [1, 0, 0], [0, 0, 1]
    filled = fill_unseen(colour.copy(), seen)
    np.testing.assert_array_equal(filled[seen], colour[seen])
    assert filled[10, 27, 0] > 0.8 and filled[28, 37, 2] > 0.8
    assert (filled[..., 1] < 1e-5).all() and abs(filled.sum(-1) - 1).max() < 1e-4


def test_nothing_seen_changes_nothing():
    colour = np.random.default_rng(1).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    unseen = np.zeros((HEIGHT, WIDTH), bool)
    np.testing.assert_array_equal(fill_unseen(colour.copy(), unseen), colour)
