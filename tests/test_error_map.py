"""Points where the pictures are still off the clip: `training/error_map.py`."""

import numpy as np
import pytest
import torch

from nvd_core.training import error_map
from nvd_core.training.error_map import ErrorMap

SHAPE = 7, 41, 60
"""frames, height, width: the last cells of each axis are smaller than the others"""


def anywhere(random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """t, x, y as the sampler draws them."""
    frames, height, width = SHAPE
    sides = frames, width - 1, height - 1
    return tuple(random.integers(0, side, count) for side in sides)


def filled(error, steps: int = 16, seed: int = 0) -> ErrorMap:
    """A map of `steps` steps of 2000 points with `error(t, x, y)`, renewed after them."""
    errors, random = ErrorMap(SHAPE, 400), np.random.default_rng(seed)
    for step in range(steps):
        errors.before(step)
        places = anywhere(random, 2000)
        errors.add(places, torch.from_numpy(error(*places)).float())
    errors.before(errors.block)
    return errors


def test_nothing_is_drawn_before_anything_is_known():
    errors, random = ErrorMap(SHAPE, 400), np.random.default_rng(0)
    assert errors.block == 20
    errors.before(0)
    assert errors.draw(10, random) is None
    errors.before(errors.block)  # still nothing
    assert errors.draw(10, random) is None


def test_more_are_drawn_where_errors_are_large_by_the_root_of_the_error():
    errors = filled(lambda t, x, y: np.where((x < 16) & (y < 16), 9.0, 1.0))
    t, x, y = errors.draw(60_000, np.random.default_rng(1))
    inside = ((x < 16) & (y < 16)).mean()
    area = 16 * 16 / (40 * 59)
    assert inside / (1 - inside) == pytest.approx(3 * area / (1 - area), rel=0.1)
    assert np.bincount(t, minlength=7).min() > 0.8 * len(t) / 7


def test_equal_errors_give_every_pixel_the_same_chance():
    errors = filled(lambda t, x, y: np.ones(len(t)))
    t, x, y = errors.draw(400_000, np.random.default_rng(1))
    for values, side in ((t, 7), (x, 59), (y, 40)):
        counts = np.bincount(values)
        assert len(counts) == side
        assert abs(counts / counts.mean() - 1).max() < 0.08


def test_what_is_known_is_renewed_and_fades():
    errors, random = ErrorMap(SHAPE, 400), np.random.default_rng(0)
    shares = []
    for step in range(6 * errors.block + 1):
        errors.before(step)
        places = anywhere(random, 500)
        bad = places[1] < 16 if step < errors.block else places[1] >= 48
        errors.add(places, torch.from_numpy(np.where(bad, 1.0, 0.01)).float())
        if step and step % errors.block == 0:
            shares.append((errors.draw(20_000, random)[1] < 16).mean())
    assert shares[0] > 0.6 and shares[-1] < 0.3
    assert shares == sorted(shares, reverse=True)


def test_one_that_goes_on_from_a_checkpoint_draws_the_same():
    for stop in (7, 20, 33):
        whole, parts = ErrorMap(SHAPE, 400), ErrorMap(SHAPE, 400)
        for step in range(45):
            if step == stop:
                parts = gone_on(parts)
            for errors in (whole, parts):
                errors.before(step)
            if step == stop:  # stopped within the step, once it was renewed
                parts = gone_on(parts)
                parts.before(step)
            random = np.random.default_rng(step)
            places, off = anywhere(random, 300), torch.from_numpy(random.random(300)).float()
            for errors in (whole, parts):
                errors.add(places, off)
        ours = parts.state()
        assert all(torch.equal(value, ours[name]) for name, value in whole.state().items())
        drawn = [errors.draw(50, np.random.default_rng(3)) for errors in (whole, parts)]
        assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))


def gone_on(errors: ErrorMap) -> ErrorMap:
    """Another, from what a checkpoint keeps of it."""
    again = ErrorMap(SHAPE, 400)
    assert again.take(errors.state())
    return again


def test_a_state_that_does_not_fit_is_refused():
    good = filled(lambda t, x, y: x + 1.0).state()
    other = ErrorMap((7, 80, 60), 400)
    assert not other.take(good)
    errors = ErrorMap(SHAPE, 400)
    assert errors.take(good)
    assert not errors.take({k: v for k, v in good.items() if k != "counts"})
    assert not errors.take(good | {"sums": -good["sums"]})
    assert not errors.take(good | {"chances": good["chances"].flip(0)})
    assert not errors.take(good | {"chances": good["chances"] / 2})
    for name in ("sums", "counts", "chances"):
        for value in (np.nan, np.inf):
            spoilt = good[name].clone()
            spoilt[3] = value
            assert not errors.take(good | {name: spoilt})
    assert not errors.take(good | {"renewed": torch.zeros(2)})


def test_one_error_without_bounds_spoils_nothing():
    whole, other = (filled(lambda t, x, y: x + 1.0) for _ in range(2))
    places = tuple(np.array([5, 5]) for _ in range(3))
    other.add(places, torch.tensor([np.inf, np.nan]))
    for errors in (whole, other):
        errors.add(places, torch.tensor([2.0, 3.0]))
        errors.before(2 * errors.block)
    ours = other.state()
    assert all(torch.equal(value, ours[name]) for name, value in whole.state().items())


@pytest.mark.parametrize(
    ("steps", "renewals"), [(18_000, 20), (6000, 20), (2800, 20), (300, 18), (120, 7), (5, 0)]
)
def test_it_is_renewed_twenty_times_where_steps_are_enough(steps, renewals):
    assert steps // ErrorMap(SHAPE, steps).block == renewals


def test_a_long_clip_has_no_more_cells():
    errors = ErrorMap((150_000, 1080, 1920), 6000)
    assert np.prod(errors.cells) <= 1.1 * error_map.MOST_CELLS
    assert errors.block == 300
