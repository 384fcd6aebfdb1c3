"""Maps and painted differences on which every renderer must agree with its twin."""

import numpy as np

from nvd_core.shot.maps import FrameMaps


def random_maps(layers=3, height=50, width=70, seed=1):
    """Places all over the texture and beyond, and some pixels that a layer does not reach."""
    random = np.random.default_rng(seed)
    uva = random.uniform(-0.05, 1.05, (layers, height, width, 3)).astype(np.float32)
    uva[..., 2] = np.where(uva[..., 2] < 0.2, 0, uva[..., 2] / layers)
    uva[0, 0, :3, :2] = [[0, 0], [1, 1], [0, 1]]
    light = random.uniform(0, 2, (layers, height, width, 3)).astype(np.float32)
    return FrameMaps(uva, light)


def random_deltas(seed=2):
    """Deltas of several shapes: spots, a whole one, one at the border, none, and a single texel."""
    random = np.random.default_rng(seed)
    spots = np.zeros((61, 83, 3), np.float32)
    spots[20:24, 11:30] = random.uniform(-1, 1, (4, 19, 3))
    spots[50:, 70:] = random.uniform(-1, 1, (11, 13, 3))
    border = np.zeros((40, 9, 3), np.float32)
    border[0] = border[:, -1] = 0.5
    single = np.zeros((30, 30, 3), np.float32)
    single[17, 16, 1] = -0.7
    whole = random.uniform(-1, 1, (7, 200, 3)).astype(np.float32)
    return [spots, whole, border, single, np.zeros((5, 5, 3), np.float32), np.ones((1, 1, 3), "f4")]
