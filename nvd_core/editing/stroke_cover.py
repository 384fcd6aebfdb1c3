"""How strokes cover pixels: by their distance in pixels, wherever and however large they are seen.

Where p is a pixel's place on the texture and J what a step of one pixel changes of it, a stroke's
point q is seen J^-1 (q - p) away. The nearest point of a stroke is looked for so, in pixels, piece
by piece, and the stroke covers clip(width / 2 + 1/2 - distance, 0, 1) of the pixel, less for one
that is thinner than a pixel. No inverse of the map is asked for, so a stroke goes behind what hides
it, and on behind that, without a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nvd_core.shot.strokes import Stroke

FEW = 4
"""pieces of a stroke from which on it is not halved any more"""
FLAT = 1e-3
"""smallest area of a step to the right and one down, by their lengths, that tells a distance"""


@dataclass(frozen=True)
class Views:
    """Pixels that look at a texture: all in shares of it, x to the right and y down."""

    places: np.ndarray  # float64 [N, 2]
    steps: np.ndarray  # float64 [N, 2, 2]: columns are the steps to the right and one down


def of_texture(width: int, height: int) -> Views:
    """The texels of a texture, row by row."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    places = np.stack([x.ravel(), y.ravel()], 1)
    return Views(places, np.broadcast_to(np.diag([1 / width, 1 / height]), (len(places), 2, 2)))


def of_frame(uva: np.ndarray) -> tuple[Views, np.ndarray]:
    """The pixels of a frame that show a layer, by its maps [H, W, 3]; their numbers [N].

    Pixels whose neighbours do not tell what a step changes are left out.
    """
    shown = uva[..., 2] > 0
    places = np.stack([uva[..., 0], 1 - uva[..., 1].astype(np.float64)], -1)
    right = _step(places, shown)
    down = np.swapaxes(_step(np.swapaxes(places, 0, 1), shown.T), 0, 1)
    told = shown & np.isfinite(right).all(2) & np.isfinite(down).all(2)
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])
    lengths = np.hypot(*np.moveaxis(right, -1, 0)) * np.hypot(*np.moveaxis(down, -1, 0))
    told &= area > FLAT * np.maximum(lengths, 1e-18)
    numbers = np.flatnonzero(told)
    steps = np.stack([right.reshape(-1, 2)[numbers], down.reshape(-1, 2)[numbers]], -1)
    return Views(places.reshape(-1, 2)[numbers], steps), numbers


def _step(places: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """What a step along the second axis changes, [H, W, 2]; NaN where nothing tells.

    The mean of the steps there and back. Where one is twice the other, a break of the map lies
    between, and the shorter counts.
    """
    there = np.full(places.shape, np.nan)
    pair = shown[:, 1:] & shown[:, :-1]
    there[:, :-1] = np.where(pair[..., None], np.diff(places, axis=1), np.nan)
    back = np.full_like(there, np.nan)
    back[:, 1:] = there[:, :-1]
    one, other = (np.hypot(step[..., 0], step[..., 1]) for step in (there, back))
    first, second = (np.nan_to_num(far, nan=np.inf) for far in (one, other))
    shorter = np.where((first <= second)[..., None], there, back)
    with np.errstate(invalid="ignore"):
        agree = np.maximum(one, other) <= 2 * np.minimum(one, other)
    return np.where(agree[..., None], (there + back) / 2, shorter)


def laid(views: Views, strokes: Sequence[Stroke], widths: Sequence[float]) -> np.ndarray:
    """Strokes over each other, the first below: premultiplied float32 [N, 4]. Widths in pixels."""
    total = np.zeros((len(views.places), 4), np.float32)
    for stroke, width in zip(strokes, widths, strict=True):
        near = distances(views, np.array(stroke.points, np.float64), width / 2 + 1)
        share = (width / 2 + 0.5 - near).clip(0, min(width, 1.0)) * stroke.opacity
        where = share > 0
        ink = np.append(np.array(stroke.colour), 1.0)
        over = share[where, None]
        total[where] = over * ink + (1 - over) * total[where]
    return total


def distances(views: Views, line: np.ndarray, most: float) -> np.ndarray:
    """How many pixels each view is from a line [P, 2], float64 [N]; infinity above `most`."""
    if len(line) == 1:
        line = np.concatenate([line, line])
    found = np.full(len(views.places), np.inf)
    # no point within `most` pixels of a view lies farther than this from its place
    reach = most * np.linalg.norm(views.steps, axis=2)
    _look(views, line, reach, np.arange(len(found)), 0, len(line) - 1, found)
    found[found > most] = np.inf
    return found


def _look(
    views: Views,
    line: np.ndarray,
    reach: np.ndarray,  # [N, 2]
    numbers: np.ndarray,
    first: int,
    last: int,
    found: np.ndarray,
) -> None:
    """Let `found` know of the pieces from point `first` to `last`, of the views `numbers`."""
    part = line[first : last + 1]
    places, far = views.places[numbers], reach[numbers]
    near = ((places > part.min(0) - far) & (places < part.max(0) + far)).all(1)
    numbers = numbers[near]
    if not len(numbers):
        return
    if last - first > FEW:
        middle = (first + last) // 2
        _look(views, line, reach, numbers, first, middle, found)
        _look(views, line, reach, numbers, middle, last, found)
        return
    ends = seen_at(views, numbers, part)
    for a, b in pairwise(ends):
        found[numbers] = np.minimum(found[numbers], from_origin(a, b))


def seen_at(views: Views, numbers: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where the texture's points [P, 2] lie from the pixels `numbers`, in pixels, [P, N, 2]."""
    steps = views.steps[numbers]
    (a, b), (c, d) = np.moveaxis(steps, 0, -1)
    off = points[:, None] - views.places[numbers]
    determinant = a * d - b * c
    x = (d * off[..., 0] - b * off[..., 1]) / determinant
    y = (a * off[..., 1] - c * off[..., 0]) / determinant
    return np.stack([x, y], -1)


def from_origin(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The distance of 0, 0 from straight pieces from a to b, [N, 2] each."""
    along = b - a
    length = (along**2).sum(-1)
    share = np.divide(-(a * along).sum(-1), length, out=np.zeros_like(length), where=length > 0)
    nearest = a + share.clip(0, 1)[..., None] * along
    return np.hypot(nearest[..., 0], nearest[..., 1])
