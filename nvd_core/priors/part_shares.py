"""Which part of an object each pixel of a frame belongs to, from the frame before.

By where the flow leads, by where each part is found as a whole (part_pose.py), and by which part's
colours a pixel has; neighbours go along with each other.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from nvd_core.priors.colour_model import cells, histogram
from nvd_core.priors.part_pose import Look, blurred, found

INSIDE = 0.5
"""of a mask from which a pixel is its"""
PRIOR, COLOUR = 1.0, 1.0
"""how much the place and the colour count, in log odds"""
ANYWHERE = 0.02
"""share of a part's prior where neither its flow nor its pose leads: its colours may say more"""
FOLLOWED = 0.5
"""share of the flow in the prior where it is consistent"""
SMOOTH, ROUNDS = 3.0, 4
"""how much a pixel goes along with its neighbours, and how often that is settled"""
TAKEN = 0.2
"""how much a pixel counts in the search for a part where one that is in front stands"""
SPECK = 0.12
"""share of a part below which a piece of it that lies apart is taken for another's"""
REACH = 0.3
"""of its size: how far a part is looked for from where it is expected"""
LEARNT = 0.05
"""of a frame's colours that a part takes on"""
FITS, FITS_WELL = 0.45, 0.65
"""scores of a look: with the one it tells nothing of where its part is, from the other on all"""


@dataclass
class KnownPart:
    """A part on its way through the clip."""

    colours: np.ndarray
    looks: list[Look]
    """in the drawn frame, and in the last in which it was seen well"""
    drawn: int
    motion: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """of the last step, beyond the object's"""
    score: float = 1.0

    @property
    def trust(self) -> float:
        """How far it is believed to be where its look fits best, 0 to 1."""
        return float(np.clip((self.score - FITS) / (FITS_WELL - FITS), 0.0, 1.0))


def next_shares(
    frame: np.ndarray,
    shown: np.ndarray,
    shares: np.ndarray,
    known: list[KnownPart | None],
    flow: tuple[np.ndarray, np.ndarray],
    moved: np.ndarray,
    drawn: set[int],
) -> np.ndarray:  # float32 [K + 1, h, w]
    """Each part's share of each pixel, from those of the frame before."""
    height, width = shown.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    led = [cv2.remap(one, x + flow[0][..., 0], y + flow[0][..., 1], cv2.INTER_LINEAR)
           for one in shares]  # fmt: skip
    colours = _colour_odds(frame, known)
    picture = blurred(frame)
    followed = FOLLOWED * flow[1]
    prior = np.full_like(shares, 0)
    free = np.ones_like(shares[0])
    for k in (*range(1, len(known)), 0):  # what is in front hides what is behind
        part = known[k]
        if part is None or k in drawn:
            continue
        likely = _likely(colours, k, known) * shown * (TAKEN + (1 - TAKEN) * free)
        laid = _laid(part, picture, likely, moved)
        there = followed * led[k] + (1 - followed) * laid
        prior[k] = there * free + ANYWHERE
        free = free * (1 - 0.9 * there)
    odds = PRIOR * np.log(prior + 1e-6) + COLOUR * colours
    odds[[part is None for part in known]] = -50
    new = without_specks(_settled(odds, shown))
    for k, part in enumerate(known):
        if part is not None:
            _learn(part, frame, picture, new[k])
    return new


def _laid(
    part: KnownPart, picture: np.ndarray, likely: np.ndarray, moved: np.ndarray
) -> np.ndarray:  # float32 [h, w]
    """Where the part is as a whole, as that of its looks has it which fits best."""
    part.score, motion, best = -1.0, part.motion, part.looks[0]
    for look in part.looks:
        expected = look.place + moved + 0.5 * part.motion
        score, place, turn = found(look, picture, likely, expected, look.turn, REACH * look.size)
        if score > part.score:
            part.score, motion, best = score, place - look.place - moved, look
        look.place, look.turn = place, turn
    part.motion = motion
    return best.laid() * part.trust


def _learn(part: KnownPart, frame: np.ndarray, picture: np.ndarray, share: np.ndarray) -> None:
    """Take on how the part looks in a frame where it is seen well."""
    sure = share > 0.8
    if part.score < FITS_WELL or sure.sum() < max(0.5 * part.looks[0].area, 24):
        return
    part.colours = part.colours + LEARNT * (histogram(frame, sure) - part.colours)
    look = Look.of(picture, share)
    if look is not None:
        part.looks[1:] = [look]


def _colour_odds(frame: np.ndarray, known: list[KnownPart | None]) -> np.ndarray:
    """Log odds [K + 1, h, w] of each part's colours beside those of all parts together."""
    at = cells(frame)
    mean = np.mean([part.colours for part in known if part is not None], axis=0)
    odds = np.zeros((len(known), *at.shape), np.float32)
    for k, part in enumerate(known):
        if part is not None:
            ratio = np.log((part.colours + 2e-5) / (mean + 2e-5)).clip(-3, 3).astype(np.float32)
            odds[k] = cv2.GaussianBlur(ratio[at], (0, 0), 1.2)
    return odds


def _likely(colours: np.ndarray, k: int, known: list[KnownPart | None]) -> np.ndarray:
    """How likely a pixel is of part k by its colour, 0 to 1; 1 where no colour tells."""
    there = [n for n, part in enumerate(known) if part is not None]
    powers = np.exp(colours[there])
    return np.exp(colours[k]) / np.maximum(powers.max(0), 1e-6)


def _settled(odds: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Shares [K + 1, h, w] within `shown`, neighbours going along with each other."""
    shares = _softmax(odds) * shown
    inside = np.maximum(cv2.blur(shown.astype(np.float32), (5, 5)), 1e-3)
    for _ in range(ROUNDS):
        around = np.array([cv2.blur(share, (5, 5)) for share in shares]) / inside
        shares = _softmax(odds + SMOOTH * around) * shown
    return shares


def without_specks(shares: np.ndarray) -> np.ndarray:  # [K + 1, h, w], both
    """Shares of which no small piece lies apart from its part: it goes with what is nearest.

    A shoe's colours on the other shoe would be such a piece, and a cell of the texture that reaches
    to it.
    """
    seen = shares.sum(0) > 0
    number = np.where(seen, shares.argmax(0), -1)
    specks = np.zeros_like(seen)
    for k in range(len(shares)):
        _, piece, facts, _ = cv2.connectedComponentsWithStats((number == k).astype(np.uint8))
        areas = facts[1:, cv2.CC_STAT_AREA]
        small = (areas < SPECK * areas.sum()) & (areas < 0.5 * areas.max(initial=0))
        specks |= np.isin(piece, 1 + np.flatnonzero(small))
    whole = seen & ~specks
    if not specks.any() or not whole.any():
        return shares
    _, nearest = cv2.distanceTransformWithLabels(
        (~whole).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(nearest.max() + 1, np.int64)
    by_label[nearest[whole]] = number[whole]
    out = shares.copy()
    own = by_label[nearest[specks]]
    out[:, specks] = np.arange(len(shares))[:, None] == own
    return out


def _softmax(odds: np.ndarray) -> np.ndarray:
    powers = np.exp(odds - odds.max(0))
    return (powers / powers.sum(0)).astype(np.float32)
