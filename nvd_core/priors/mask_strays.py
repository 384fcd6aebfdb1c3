"""What a carried mask has taken along and is not the object: bits of the background, and strangers.

A bit of the background that lies off the object moves with the background. Something else that
comes to touch the object, of like colours maybe, moves in its own way, and hardly any of the frames
in which the object is known vote for it.
"""

import cv2
import numpy as np

from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.motion_fit import apply

STRAY = -0.5
"""Mean log odds of motion below which a piece is not the object's own."""
FRINGE = 3
"""Pixels around the object, as it was drawn, that count as its own place."""
UNKNOWN, MOVES = 0.25, 0.15
"""Votes for a pixel, of the most that could be given, below which it may be a stranger's; and how
much a log odds of motion adds to them."""
PATCH = 5
"""Pixels along a patch over which both are told."""
HARDLY_ANY = 0.15
"""Votes for a stranger at most. Legs that swing have more, .2 to .3 in real clips."""
SOME, MUCH = 0.2, 0.25
"""Share of the object from which a piece may be a stranger, beside its own place and in it."""
GROWN, STAYS = 1.1, 0.7
"""Share of the object that a mask has at least if a stranger is beside it, and that of it which
is known."""
MUCH_GROWN = 1.3
"""Share of the object from which a mask is doubted for what stays in it and may be a stranger."""
CLEARLY = -1.0
"""Mean log odds of motion from which that speaks clearly against a piece."""


def without_strays(
    mask: np.ndarray, whole: np.ndarray, moving: np.ndarray, coloured: np.ndarray
) -> np.ndarray:  # float32 [h, w], all
    """A mask without what is off the `whole` object as it was drawn, and moves with the background:
    pieces beside its own, and what hangs on to that if its colours are not the object's either.

    `moving` and `coloured` are log odds of a pixel.
    """
    near = beside(whole)
    inside = mask > 0.5
    strays = np.zeros_like(inside)
    for part, odds in ((inside, (moving,)), (inside & ~near, (moving, coloured))):
        count, pieces = cv2.connectedComponents(part.astype(np.uint8), connectivity=8)
        areas, over = (np.bincount(pieces.ravel(), at, count) for at in (None, near.ravel()))
        mine = (over if over[1:].any() else areas)[1:].argmax() + 1 if count > 1 else 0
        stray = over < 0.5 * areas
        for told in odds:
            stray &= np.bincount(pieces.ravel(), told.ravel(), count) < STRAY * areas
        if part is inside:
            stray[mine] = False
        stray[0] = False
        strays |= stray[pieces]
    return without(mask, strays)


def without(mask: np.ndarray, pieces: np.ndarray) -> np.ndarray:  # float32 [h, w]
    """A mask without some pieces of it, bool [h, w], and their soft edges."""
    if not pieces.any():
        return mask
    edge = cv2.dilate(pieces.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(pieces | (edge & (mask <= 0.5)), 0, mask)


def beside(whole: np.ndarray) -> np.ndarray:  # bool [h, w]
    """In and close around the mask of an object, float32 [h, w]."""
    return cv2.dilate(whole, np.ones((2 * FRINGE + 1, 2 * FRINGE + 1), np.uint8)) > 0.5


def told_apart(
    moved: np.ndarray,  # [h, w, 2]
    ok: np.ndarray,  # [h, w]
    motions: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # float32 [h, w]
    """Log odds that pixels moved as the object did and not as the background, by the flow `moved`
    where the `motions` of both lead, [3, 3]; -2 to 2, 0 where the two are alike."""
    height, width = ok.shape
    grid = pixel_grid(height, width).reshape(-1, 2).astype(np.float64)
    own, behind = (
        np.minimum(np.sum((apply(motion, grid) - grid - moved.reshape(-1, 2)) ** 2, -1), 16)
        for motion in motions
    )
    return (np.clip(behind - own, -2, 2).reshape(ok.shape) * ok).astype(np.float32)


def strangers(
    mask: np.ndarray,
    whole: np.ndarray,
    votes: np.ndarray,
    moving: np.ndarray,
    came: np.ndarray,
    drawn: np.ndarray,
) -> tuple[np.ndarray, float]:  # bool [h, w]
    """Which pixels of a mask are something else that came to touch the object, float32 [h, w] all;
    and the share of the object of what stood in its own place, or stays though it may be that too.

    `whole` is the object as it was drawn, where it is now; `votes` are those for a pixel, 0 to 1,
    `moving` the log odds that it moves along, and `came` the mask that the flow brings: what was
    the object's before is no stranger, unless it lies beside it, clearly moves otherwise, and was
    not the object's where that was `drawn`: 1 where the drawn frame showed anything, 0 beyond its
    border, past which a limb may well have been. A stranger comes in addition: the mask is more
    than the object was, which is there without it. In the object's own place only a large piece is
    one: it may look otherwise there, or come out from behind something.
    """
    said = cv2.blur((votes + MOVES * moving).astype(np.float32), (PATCH, PATCH))
    unknown = (mask > 0.5) & (said < UNKNOWN)
    count, pieces = cv2.connectedComponents(unknown.astype(np.uint8), connectivity=8)
    every = None, beside(whole), moving, came, votes, drawn
    areas, own, follows, before, voted, shown = (
        np.bincount(pieces.ravel(), None if told is None else told.ravel(), count) for told in every
    )
    areas[0], all_of_it = 0, max(float((whole > 0.5).sum()), 1.0)
    new, clear, inside = before < 0.5 * areas, follows < CLEARLY * areas, own > 0.5 * areas
    there = float((mask > 0.5).sum())
    known = there - areas.sum()
    beside_it = clear & (areas > SOME * all_of_it)
    beside_it &= (there > GROWN * all_of_it) & (known > STAYS * all_of_it)
    beside_it &= new | (shown > 0.5 * areas)
    in_it = new & clear & (areas > MUCH * all_of_it) & (known > MUCH * all_of_it)
    strange = np.where(inside, in_it, beside_it) & (voted < HARDLY_ANY * areas)
    grown = there - areas[strange].sum() > MUCH_GROWN * all_of_it
    doubtful = (strange & inside) | (~strange & (follows < 0) & grown)
    return strange[pieces], float(areas[doubtful].sum()) / all_of_it
