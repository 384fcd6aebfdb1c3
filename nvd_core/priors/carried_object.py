"""An object on its way from a drawn frame, one frame after the other.

Each frame asks the drawn one and the last few which of its pixels are the object's (`mask_votes`).
Where little there looks alike, and so where something comes into view, more witnesses are heard:
whether a pixel moves with the object or with the background, whether its colour was seen in the
object or around it, and whether what was seen behind the object explains it (`mask_plate`). Then
neighbours of like colours agree.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from nvd_core.priors.carried_clip import CarriedClip, Motion
from nvd_core.priors.colour_model import Colours
from nvd_core.priors.mask_canvas import around, look_up
from nvd_core.priors.mask_edge import settled, sharp
from nvd_core.priors.mask_memory import BARE, Memory, laid
from nvd_core.priors.mask_plate import Plate
from nvd_core.priors.mask_strays import strangers, told_apart, without, without_strays
from nvd_core.priors.mask_votes import Looks, OthersLooks
from nvd_core.priors.motion_fit import apply

LOST_PER_FRAME = 0.985
"""Confidence that is left after one more frame from the drawn one."""
LOST_INCONSISTENT = 0.7
"""Confidence that is left where the flow of a step is not consistent."""
PRIOR, COLOUR, MOTION = 3.0, 2.0, 1.0
"""How much the carried mask, the colour and the motion count, in log odds."""
CARRIED = 1.0
"""How much the mask that the flow brings counts where the votes are few and the flow consistent."""
BEHIND = 1.0
"""How much it counts whether what was seen behind the object explains a pixel."""
UNASKED = 0.3
"""What the votes' share counts where hardly any were given."""
FOUND_AGAIN = 0.5
"""Confidence in what was lost and is found by its looks, or not."""
SPECK = 0.01
"""Share of the whole object below which a piece of one that was lost is none."""
LITTLE, FEW, HARDLY_ANY = 0.8, 0.45, 0.25
"""Share of the whole object below which a mask is little; votes for its pixels, of the most that
could be given, below which it is in doubt if it is that, and if it is not."""
STRANGE = 0.2
"""Share of the whole object from which what may be a stranger puts a mask in doubt."""
FRINGE = 3
"""Pixels around what stands in front in which the flow is its own, not that of what is behind."""


class CarriedObject:
    """What is known of an object on its way; masks are float32 [h, w] of the working size."""

    def __init__(
        self, clip: CarriedClip, layer: int, key: int, direction: int, fullest: float = 1.0
    ):
        """`layer` as drawn in frame `key`; `direction` is 1 for onwards, -1 for back. What lets
        something through is drawn up to its `fullest`, 0 to 1, and carried as if that were 1."""
        self._clip, self._direction = clip, direction
        self._hidden = clip.hidden(layer, key)
        self.mask = np.minimum(clip.small(clip.masks[layer, key]) / fullest, 1)
        self.confidence = np.ones_like(self.mask)
        frame = clip.frame(key)
        self._colours, self._memory = Colours(frame, self.mask), Memory(frame, self.mask)
        self._looks = Looks(frame, self.mask, self._hidden)
        self._plate = Plate(frame, np.maximum(self.mask, self._hidden))
        self._motion, self._voted = Motion(), 1.0
        self._blind = np.zeros(self.mask.shape, np.uint8)
        self._votes = np.zeros_like(self.mask)
        self._strange, self._taken, self._known = 0.0, 0.0, True
        self._others: Sequence[OthersLooks] = ()

    def leave(self, t: int) -> None:
        """Go on to frame t, the next one: where the object as a whole is there, and what is behind
        it."""
        frame, hidden = self._clip.frame(t), self._hidden
        self._motion = self._clip.motion(self.mask, hidden, t, self._direction, self._motion)
        goes_on = self._memory.step(self._motion.behind)
        if self._shown()[1] < BARE:  # what shows beside the cover may well be that
            self._motion.own = self._motion.stiff = goes_on
        else:
            self._motion.stiff = self._looks.step(frame, [self._motion.stiff, goes_on])
        self._looks.move(self._motion.stiff, self._motion.behind)
        self._plate.move(self._motion.behind)

    def looks(self) -> OthersLooks:
        """What it has to say of the frame that it has gone on to, before any object arrives."""
        return self._looks.of_another()

    def arrive(
        self,
        t: int,
        hidden: np.ndarray,
        gone: bool = False,
        others: Sequence[OthersLooks] = (),
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Its mask in frame t, to which it has gone on, whole though something is `hidden` by known
        objects in front; how far that is believed; and whether it is in doubt, or was lost and
        looked for. An artist may have said that it is `gone` there: then it is lost. `others`,
        objects that have gone on to that frame, say what looks like them."""
        frame = self._clip.frame(t)
        before, self._hidden = self._hidden, hidden
        self._others = others
        self._step(frame, t, before, gone)
        covered = (self.mask * hidden).sum() > 0.05 * self.mask.sum()  # its looks are not learned
        lost = gone or self._memory.is_lost(*self._shown())
        if lost:
            found = self._found_again(frame, t)  # also goes on along its path
            found = np.zeros_like(self.mask) if gone else found
            self.mask = self._without_specks(self.mask if found is None else found)
            self._memory.found(*self._shown())
            self.confidence = np.minimum(self.confidence, FOUND_AGAIN)
        elif not covered:
            self._looks.anchor(frame, self.mask)
            self._memory.seen(frame, self.mask, self._motion.behind, self._looks.middle())
        elif self._shown()[1] < BARE:
            self._memory.goes_on(self._motion.behind)
        else:
            self._memory.moved(self._motion.behind, self._looks.middle())
        few = self._has_few_votes()
        self._known = not (few or lost)
        lost = lost or few or self._strange > STRANGE
        self._looks.add(frame, self.mask, hidden, lost or covered)
        self._plate.add(frame, np.maximum(self.mask, hidden))
        return self.mask, self.confidence, lost or self._taken > STRANGE

    def _shown(self) -> tuple[np.ndarray, float]:
        """The mask where nothing known stands in front, and what share of the object that is."""
        if not self._blind.any():
            return self.mask, 1.0
        bare = self._blind == 0
        whole = np.maximum(self._looks.laid(), self.mask)
        return self.mask * bare, float((whole * bare).sum() / max(whole.sum(), 1e-6))

    def _has_few_votes(self) -> bool:
        """Whether someone should look at what shows of the mask: hardly any votes were given for
        it, or it is much less than the object is and not many were given."""
        shown, share = self._shown()
        if share < BARE:
            return False
        whole = float(((self._looks.laid() > 0.5) & (self._blind == 0)).sum())
        little = float((shown > 0.5).sum()) < LITTLE * whole
        return self._voted < (FEW if little else HARDLY_ANY)

    def _step(self, frame: np.ndarray, t: int, before: np.ndarray, gone: bool) -> None:
        """Carry mask and confidence to frame t; `before` is what was hidden in the last one."""
        clip, hidden = self._clip, self._hidden
        flow, ok = clip.flow_from(t, -self._direction)
        place = clip.grid + flow
        blind = self._blind = _blind((before, hidden), place)
        back = np.linalg.inv(self._motion.own)
        along = apply(back, clip.grid.reshape(-1, 2)).reshape(place.shape)
        place = np.where(blind[..., None] > 0, along, place).astype(np.float32)
        ok = np.where(blind > 0, np.float32(1), ok)
        whole = look_up(self.mask, place)
        self.confidence = look_up(self.confidence, place) * LOST_PER_FRAME
        self.confidence *= LOST_INCONSISTENT + (1 - LOST_INCONSISTENT) * ok
        moving, alone = clip.moving(t, self._direction, whole * (1 - hidden))
        moving, alone = (np.where(blind > 0, 0, odds) for odds in (moving, alone))
        others = self._coloured(frame) + MOTION * moving + CARRIED * (2 * whole - 1) * ok
        mask = self._decided(frame, whole, others, blind)
        motions = np.linalg.inv(self._motion.stiff), np.linalg.inv(self._motion.behind)
        apart = told_apart(flow, np.where(blind > 0, 0, ok), motions)
        mask = without_strays(mask, self._looks.laid(), apart, self._coloured(frame))
        mask = self._without_strangers(mask, alone, whole)
        covered = hidden > 0.5
        self.mask = np.zeros_like(mask) if gone else np.where(covered, whole, mask)
        self._colours.learn(frame, np.where(covered, 0.5, self.mask), self.mask)

    def _without_strangers(
        self, mask: np.ndarray, moving: np.ndarray, came: np.ndarray
    ) -> np.ndarray:  # float32 [h, w]
        """A mask without what came to touch the object, of those that `strangers` takes."""
        drawn, picture = self._looks.laid(), self._looks.laid_picture()
        strange, self._strange = strangers(mask, drawn, self._votes, moving, came, picture)
        self._taken = 0.0
        if not self._known:  # it may be the rest that is none of it
            return mask
        self._taken = float(strange.sum()) / max(float((drawn > 0.5).sum()), 1.0)
        return without(mask, strange)

    def _found_again(self, frame: np.ndarray, t: int) -> np.ndarray | None:  # float32 [h, w]
        """The mask in frame t of what was lost, by its looks where it was found; None: nowhere."""
        clip, step = self._clip, self._direction
        match = self._memory.find(lambda k: clip.sight(t + k * step, step, self._colours))
        if match is None or self._memory.is_near(match, self._looks.middle()):
            return None
        whole = laid(match, self.mask.shape)
        self._looks.found(whole)
        others = self._coloured(frame) + CARRIED * (2 * whole - 1)
        mask = self._decided(frame, whole, others, np.zeros(whole.shape, np.uint8))
        return np.where(self._hidden > 0.5, whole, mask)

    def _without_specks(self, mask: np.ndarray) -> np.ndarray:
        """A mask of what is hidden for the most part, without what only looks like a bit of it."""
        count, pieces = cv2.connectedComponents((mask > 0.5).astype(np.uint8), connectivity=8)
        least = SPECK * self._looks.area()  # also of what the picture's border cuts off
        small = np.bincount(pieces.ravel(), minlength=count) < least
        return np.where(small[pieces], 0, mask) if count > 1 else mask

    def _coloured(self, frame: np.ndarray) -> np.ndarray:
        """Log odds of its colours, by how well these tell it from what is around."""
        return COLOUR * self._colours.power() * self._colours.odds(frame)

    def _decided(
        self, frame: np.ndarray, carried: np.ndarray, others: np.ndarray, blind: np.ndarray
    ) -> np.ndarray:  # float32 [h, w]
        """The mask of a frame, by the votes of the looks and, where these tell little, the log odds
        of the `others`; where it is `blind` the `carried` mask takes the votes' place."""
        canvas = around(np.maximum(carried, self._looks.laid()))
        if canvas is None:
            return np.zeros_like(carried)
        share, trust, lab = self._looks.votes(frame, canvas, self._others)
        share = np.clip(share, 0.02, 0.98)
        looked = self._plate.look(frame, canvas)
        said = canvas.take(others) + BEHIND * self._plate.odds(looked)
        odds = np.log(share / (1 - share)) * (UNASKED + (1 - UNASKED) * trust)
        odds += (1 - trust) * said
        if blind.any():
            there = canvas.take(blind) > 0.5
            odds = np.where(there, PRIOR * (2 * canvas.take(carried) - 1) + said, odds)
        decided = sharp(settled(lab, odds))
        inside = (decided > 0.5) & (canvas.take(self._blind) < 0.5)
        self._voted = float((share * trust)[inside].mean()) if inside.any() else 0.0
        self._votes = canvas.put(share * trust)
        self._plate.learn(looked, decided)
        return canvas.put(decided)


def _blind(hidden: tuple[np.ndarray, np.ndarray], place: np.ndarray) -> np.ndarray:
    """Where the flow tells nothing of an object, 0 or 1 [h, w]: something in front is or was there.

    `place` is where each pixel was in the frame before, whose cover is the first of `hidden`.
    """
    if not max(cover.max() for cover in hidden):
        return np.zeros(place.shape[:2], np.uint8)
    before = np.maximum(hidden[0], look_up(hidden[0], place))
    cover = (np.maximum(before, hidden[1]) > 0.2).astype(np.uint8)
    return cv2.dilate(cover, np.ones((2 * FRINGE + 1, 2 * FRINGE + 1), np.uint8))
