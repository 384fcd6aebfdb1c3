"""A field from few questions: exact where it must be, within the tolerance elsewhere."""

import cv2
import numpy as np
import pytest

from nvd_core.fields.node_grid import doubled, sampled


def grid(height, width):
    return np.meshgrid(np.arange(width), np.arange(height))


class Asked:
    """A field of one or more channels that counts what it is asked."""

    def __init__(self, *fields):
        self.fields, self.points = fields, []

    def __call__(self, columns, rows):
        self.points += list(zip(columns.tolist(), rows.tolist(), strict=True))
        return np.stack([f(columns, rows) for f in self.fields], -1).astype(np.float32)


def twin(coarse):
    """`doubled` once more, in float64 and by whole arrays."""
    values = coarse.astype(np.float64)
    for axis in (0, 1):
        line = np.moveaxis(values, axis, 0)
        if len(line) == 2:
            first, last = 2 * line[0] - line[1], 2 * line[1] - line[0]
        else:
            first = 3 * line[0] - 3 * line[1] + line[2]
            last = 3 * line[-1] - 3 * line[-2] + line[-3]
        wide = np.concatenate([first[None], line, last[None]])
        fine = np.empty((2 * len(line) - 1, *line.shape[1:]))
        fine[::2] = line
        fine[1::2] = (9 * (wide[1:-2] + wide[2:-1]) - wide[:-3] - wide[3:]) / 16
        values = np.moveaxis(fine, 0, axis)
    return values


@pytest.mark.parametrize("shape", [(2, 2, 1), (2, 7, 2), (3, 3, 3), (9, 6, 2)])
def test_doubling_is_its_twin(shape):
    coarse = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(doubled(coarse), twin(coarse), atol=1e-5)


def test_doubling_reproduces_parabolas_to_the_border():
    xs, ys = grid(5, 6)
    field = lambda x, y: 3 + x - 0.5 * y + 0.25 * x * x - 0.125 * x * y  # noqa: E731
    coarse = field(2.0 * xs, 2.0 * ys)[..., None].astype(np.float32)
    fine_xs, fine_ys = grid(9, 11)
    np.testing.assert_allclose(doubled(coarse)[..., 0], field(fine_xs, fine_ys), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (17, 33), (45, 70)])
def test_a_smooth_field_is_asked_at_its_nodes_only(size):
    ask = Asked(lambda x, y: 0.1 * x - 0.2 * y, lambda x, y: 0.01 * x * y)
    found = sampled(ask, np.ones(size, bool), 1e-3, 16)
    xs, ys = grid(*size)
    expected = np.stack([0.1 * xs - 0.2 * ys, 0.01 * xs * ys], -1)
    np.testing.assert_allclose(found[: size[0], : size[1]], expected, atol=1e-3)
    assert all(x % 8 == 0 and y % 8 == 0 for x, y in ask.points)
    assert len(set(ask.points)) == len(ask.points)


def test_pixels_at_a_kink_are_the_fields_own():
    kink = lambda x, y: np.abs(x + 0.37 * y - 30.3)  # noqa: E731
    ask = Asked(kink)
    found = sampled(ask, np.ones((64, 64), bool), 0.01, 16)[:64, :64, 0]
    xs, ys = grid(64, 64)
    error = np.abs(found - kink(xs, ys))
    assert error.max() < 0.02
    near = np.abs(xs + 0.37 * ys - 30.3) < 0.5
    assert error[near].max() < 1e-5
    assert len(ask.points) < 64 * 64 / 3


def test_an_edge_that_is_symmetrical_about_a_node_is_not_taken_for_a_slope():
    edge = lambda x, y: 1 / (1 + np.exp(-2.0 * (x - 36)))  # noqa: E731  between nodes 32 and 40
    xs, _ = grid(48, 80)
    everywhere = np.ones((48, 80), bool)
    bold = sampled(Asked(edge), everywhere, 1 / 255, 8)[:48, :80, 0]
    careful = sampled(Asked(edge), everywhere, 1 / 255, 8, settled_range=0.05)[:48, :80, 0]
    assert np.abs(careful - edge(xs, 0)).max() < 2 / 255
    assert np.abs(bold - edge(xs, 0)).max() >= np.abs(careful - edge(xs, 0)).max()


def test_only_what_is_wanted_is_asked_in_detail():
    noise = np.random.default_rng(3).normal(size=(129, 129))
    ask = Asked(lambda x, y: noise[y, x])
    wanted = np.zeros((128, 128), bool)
    wanted[40:52, 65:79] = True
    found = sampled(ask, wanted, 1e-3, 16)[:128, :128, 0]
    np.testing.assert_array_equal(found[wanted], noise[:128, :128][wanted].astype(np.float32))
    single = [(x, y) for x, y in ask.points if x % 2 or y % 2]
    assert min(x for x, _ in single) >= 62 and max(x for x, _ in single) <= 82
    assert len(ask.points) < 129 * 129 / 8


def test_what_lies_beyond_the_wanted_does_not_come_in():
    """An object's mapping is smooth within, and anything outside."""
    noise = np.random.default_rng(4).normal(size=(129, 129)) * 100
    inside = lambda x, y: (x - 64) ** 2 + (y - 64) ** 2 < 40**2  # noqa: E731
    field = lambda x, y: np.where(inside(x, y), 0.01 * x + 0.02 * y, noise[y, x])  # noqa: E731
    xs, ys = grid(128, 128)
    wanted = inside(xs, ys)
    found = sampled(Asked(field), wanted, 0.03, 16)[:128, :128, 0]
    assert np.abs(found - field(xs, ys))[wanted].max() < 0.06


def test_nan_is_not_settled():
    ask = Asked(lambda x, y: np.where((x > 20) & (y > 20), np.nan, 1.0))
    found = sampled(ask, np.ones((33, 33), bool), 0.1, 16)[..., 0]
    assert np.isnan(found[21:33, 21:33]).all() and np.isfinite(found[:20, :20]).all()


@pytest.mark.parametrize("finest", [1, 4])
@pytest.mark.parametrize("width", [3, 6, 10])
def test_a_jump_that_is_told_of_is_the_fields_own(width, finest):
    """A stripe that nodes step over, as thin parts of a layer are."""
    inside = lambda x, y: np.abs(x + 0.4 * y - 37.3) < width / 2  # noqa: E731
    field = lambda x, y: 0.02 * x + 100.0 * inside(x, y)  # noqa: E731
    xs, ys = grid(64, 96)
    labels = inside(xs, ys).astype(np.uint8)
    around = np.ones((3, 3), np.uint8)
    jumps = cv2.dilate(labels, around) != cv2.erode(labels, around)
    everywhere = np.ones((64, 96), bool)
    found = sampled(Asked(field), everywhere, 0.03, 16, finest=finest, jumps=jumps)[:64, :96, 0]
    assert np.abs(found - field(xs, ys)).max() < 0.06
