"""The primaries of linear pictures: what an EXR says of them, and matrices to Rec.709 and back."""

from functools import lru_cache

import numpy as np

REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)
_AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767)
_AP1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
_REC2020 = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290)
_ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)

IDS = {
    "lin_rec709_scene": REC709,
    "lin_ap0_scene": _AP0,
    "lin_ap1_scene": _AP1,
    "lin_rec2020_scene": _REC2020,
    "lin_p3d65_scene": _P3,
    "lin_adobergb_scene": _ADOBE,
    "lin_ciexyzd65_scene": XYZ,
}
"""primaries by the colour interop IDs of linear spaces"""

CLOSE = 0.002
"""in x and y: two writers' roundings of the same primaries, and D60 as ACES rounds it"""

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two sets of x and y of red, green, blue and white mean the same."""
    return bool(np.abs(np.subtract(one, other)).max() < CLOSE)


def sensible(values: tuple[float, ...]) -> bool:
    """Whether x and y of red, green, blue and white are primaries that a picture can have."""
    if len(values) != 8 or not np.isfinite(values).all() or values[7] <= 0:
        return False
    points = np.array(values).reshape(4, 2)
    edges = points[1:3] - points[0]
    return bool(abs(np.linalg.det(edges)) > 1e-4) and float(np.abs(points).max()) < 10


@lru_cache(maxsize=8)
def to_rec709(primaries: tuple[float, ...]) -> np.ndarray:
    """The matrix [3, 3] from linear values of these primaries to linear Rec.709, float64.

    White becomes white (Bradford), but for XYZ, whose numbers are taken for those under D65.
    """
    whole = np.linalg.inv(_to_xyz(REC709))
    if same(primaries, XYZ):
        return whole
    return whole @ _adapted(primaries[6:], REC709[6:]) @ _to_xyz(primaries)


def converted(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The colours [H, W, 3] through a matrix, float32."""
    with np.errstate(invalid="ignore"):  # of infinite values, which become none
        return pixels.astype(np.float32) @ matrix.T.astype(np.float32)


def _white(xy: tuple[float, ...]) -> np.ndarray:
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    points = np.array(primaries[:6]).reshape(3, 2)
    columns = np.stack([points[:, 0], points[:, 1], 1 - points.sum(1)])
    return columns * np.linalg.solve(columns, _white(primaries[6:]))


def _adapted(source: tuple[float, ...], target: tuple[float, ...]) -> np.ndarray:
    before, after = _BRADFORD @ _white(source), _BRADFORD @ _white(target)
    return np.linalg.inv(_BRADFORD) @ np.diag(after / before) @ _BRADFORD
