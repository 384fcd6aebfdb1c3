"""The bend of a texture by pins: exact where they hold, nothing far away, smooth, never folded."""

import numpy as np
import pytest

from nvd_core.editing.bend import LEAST, LayerBend, Track
from nvd_core.runtime.errors import NvdError

SIZE = 200, 100
PLACES = np.stack(np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 0.5, 21)), -1).reshape(-1, 2)


def track(name="one", point=(0.5, 0.25), seen=None, frames=(2, 6), radius=0.3, fade=None) -> Track:
    seen = [point, (point[0] + 0.04, point[1] - 0.02)] if seen is None else seen
    return Track(name, np.array(point), frames, np.array(seen, np.float64), radius, fade)


def test_exact_at_the_pins_and_nothing_beyond_the_radius():
    one, other = track(), track("two", (0.3, 0.2), [(0.3, 0.2), (0.28, 0.2)])
    bend = LayerBend("dog", SIZE, [one, other]).at(6)
    np.testing.assert_allclose(one.seen[1] + bend.shift(one.seen[1:])[0], one.point, atol=1e-12)
    np.testing.assert_allclose(
        other.seen[1] + bend.shift(other.seen[1:])[0], other.point, atol=1e-12
    )
    far = np.min([np.hypot(*(PLACES - c).T) for c in bend.centres], axis=0) >= 0.3
    assert far.any() and not bend.shift(PLACES[far]).any()
    assert bend.shift(PLACES[~far]).any()


def test_in_time_it_holds_moves_and_fades():
    holds = LayerBend("dog", SIZE, [track()])
    assert not holds.at(0).moves and not holds.at(2).moves
    middle = track().at(4)[0]
    np.testing.assert_allclose(middle, [0.52, 0.24])
    assert np.array_equal(holds.at(6).weights, holds.at(30).weights) and holds.at(30).moves
    fades = LayerBend("dog", SIZE, [track(fade=(0, 3))])
    amounts = [abs(fades.at(t).weights).max() for t in (6, 7, 8, 9, 10)]
    assert amounts == sorted(amounts, reverse=True) and amounts[-1] == 0 < amounts[-2]


def test_the_area_is_the_determinant_of_what_it_does():
    bend = LayerBend("dog", SIZE, [track(), track("two", (0.4, 0.3), [(0.4, 0.3)] * 2)]).at(6)
    step = 1e-6
    moved = [bend.shift(PLACES + off) for off in ([step, 0], [-step, 0], [0, step], [0, -step])]
    columns = (moved[0] - moved[1]) / (2 * step), (moved[2] - moved[3]) / (2 * step)
    numerical = np.linalg.det(np.eye(2) + np.stack(columns, -1))
    np.testing.assert_allclose(bend.areas(PLACES), numerical, atol=1e-6)


def test_coordinates_keep_their_sides():
    """v goes up, and a texture that is not square is bent as round as any."""
    one = track(seen=[(0.5, 0.25), (0.5, 0.20)])
    bend = LayerBend("dog", SIZE, [one]).at(6)
    u, v = bend.bent(np.array([[0.5, 1 - 0.20 * 2]], np.float32), SIZE)[0]
    assert (u, v) == pytest.approx((0.5, 1 - 0.25 * 2), abs=1e-6)


def test_by_itself_it_reaches_far_enough_not_to_fold():
    long = track(seen=[(0.5, 0.25), (0.2, 0.1)], radius=None)
    bend = LayerBend("dog", SIZE, [long])
    assert long.reach > 1 and bend.check(6) > LEAST


def test_folds_and_contradictions_are_refused():
    narrow = LayerBend("dog", SIZE, [track(seen=[(0.5, 0.25), (0.4, 0.25)], radius=0.1)])
    assert narrow.at(6).areas(PLACES).min() < 0  # so it is one
    with pytest.raises(NvdError, match="the pin one would fold the texture of dog in frame 6"):
        narrow.check(6)
    twice = LayerBend("dog", SIZE, [track(), track("two", (0.51, 0.2), track().seen)])
    with pytest.raises(NvdError, match="the pins one and two hold one place of dog"):
        twice.check(6)
