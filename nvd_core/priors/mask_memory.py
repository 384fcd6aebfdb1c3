"""Finding a carried object again that something else has hidden.

Flow says nothing of what is hidden, so a mask that is carried into an occlusion is lost there. As
long as the object is whole its looks are kept. Where the mask falls to a part of what it was, the
object is looked for along the path that its motion leads on (`mask_search`). Until as much as
before is found the frames are searched anew, and what cannot be found is hidden.
"""

from collections.abc import Callable

import cv2
import numpy as np

from nvd_core.priors.mask_search import Match, Search, Sight, View
from nvd_core.priors.motion_fit import apply

LOST = 0.5
"""share of its expected area below which a carried mask is taken for lost"""
FOUND = 0.7
"""share of it from which what was found is followed by its flow again"""
FADES = 0.97
"""of the expected area is left after a frame in which less was seen"""
WHOLE = 0.85
"""share of it from which the middle of the mask's box is taken for that of the object"""
VIEWS, EVERY = 6, 4
"""looks that are kept, the drawn one among them, and frames between two of them"""
LOOKED_FOR = 3
"""looks beside the drawn one that are looked for, the newest"""
LEAST = 0.25
"""of a match above chance, from which an object is taken for found"""
BARE = 0.25
"""share of an object that nothing known hides, below which nothing can be told by it"""
NEAR = 0.3
"""of the object's size: how far a match is from its place to be another one"""
STEPS = 8
"""frames over which the object's motion is told"""


class Memory:
    """What is known of an object on its way from a drawn frame through the clip."""

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        """`frame` uint8 [H, W, 3] and `mask` float32 [H, W] of the drawn frame."""
        self.lost = 0  # frames since it was seen whole
        self._views: list[View] = []
        self._expected, self._age = float(mask.sum()), 0
        self._remember(frame, mask)
        place = _middle(mask)
        self._place = np.zeros(2) if place is None else place
        self._moved: list[np.ndarray] = []  # (x, y) a frame, against the background
        self._search: Search | None = None

    def is_lost(self, shown: np.ndarray, share: float) -> bool:
        """Whether the part of the carried mask that is `shown` is too little, where nothing known
        stands in front of that `share` of the object; else it is to be taken in."""
        if self.lost or not self._views:
            return self.lost > 0
        return share >= BARE and shown.sum() < LOST * share * self._expected

    def seen(
        self, frame: np.ndarray, mask: np.ndarray, behind: np.ndarray, place: np.ndarray | None
    ) -> None:
        """Take in a frame in which the mask was carried well; `behind` [3, 3] is how the
        background moved to it, `place` (x, y) where the object's middle is."""
        self.lost, self._age, self._search = 0, self._age + 1, None
        whole = mask.sum() >= WHOLE * self._expected
        self._expected = max(float(mask.sum()), FADES * self._expected)
        self.moved(behind, place)
        if whole and self._age % EVERY == 0:
            self._remember(frame, mask)

    def moved(self, behind: np.ndarray, place: np.ndarray | None) -> None:
        """Take in where the object is, as `seen` does, in a frame that does not show all of it."""
        if place is not None:
            still = apply(behind, self._place[None])[0]
            self._moved = [*self._moved[1 - STEPS :], place - still]
            self._place = place

    def goes_on(self, behind: np.ndarray) -> None:
        """Take in a frame in which next to nothing of it shows: it moves as before."""
        self._place = apply(behind, self._place[None])[0] + self.motion()

    def motion(self) -> np.ndarray:
        """How the object moves against the background, (x, y) pixels a frame."""
        return np.median(self._moved, axis=0) if self._moved else np.zeros(2)

    def step(self, behind: np.ndarray) -> np.ndarray:  # [3, 3]
        """How it moves to the next frame if it goes on as before against the background, which
        moves by `behind`."""
        shift = np.eye(3)
        shift[:2, 2] = apply(behind, self._place[None])[0] + self.motion() - self._place
        return shift

    def find(self, sight: Callable[[int], Sight | None]) -> Match | None:
        """Where the lost object shows in the next frame, which is `sight`'s first; None: nowhere.

        `sight` gives the frames from that one on.
        """
        if self._search is None:
            self._since = self.lost
            views = self._views[:1] + self._views[1:][-LOOKED_FOR:]
            self._search = Search(views, self._expected, self.motion(), sight)
        match, self._place = self._search.find(self.lost - self._since, self._place)
        self.lost += 1
        return match if match is not None and match.score > LEAST else None

    def is_near(self, match: Match, place: np.ndarray | None) -> bool:
        """Whether a match is where the object is taken to be, (x, y), anyway."""
        if place is None:
            return False
        return bool(np.hypot(*(match.place - place)) < NEAR * np.sqrt(self._expected))

    def found(self, shown: np.ndarray, share: float) -> None:
        """Take in the mask of what was seen of the lost object where it was found; `share` as in
        `is_lost`."""
        if share >= BARE and shown.sum() >= FOUND * share * self._expected:
            self.lost, self._expected, self._search = 0, float(shown.sum()) / share, None

    def _remember(self, frame: np.ndarray, mask: np.ndarray) -> None:
        left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
        if not wide:
            return
        part = np.s_[top : top + high, left : left + wide]
        view = View(frame[part].astype(np.float32), mask[part].copy(), float(mask.sum()))
        if len(self._views) == VIEWS:
            del self._views[1]  # the drawn one stays
        self._views.append(view)


def laid(match: Match, shape: tuple[int, int]) -> np.ndarray:  # float32 [H, W]
    """The mask of a match in a frame of that shape, whole."""
    high, wide = match.view.mask.shape
    to = np.array([[match.scale, 0, 0], [0, match.scale, 0]])
    to[:, 2] = match.place - match.scale * np.array([wide, high]) / 2
    return cv2.warpAffine(match.view.mask, to, shape[::-1], flags=cv2.INTER_LINEAR)


def _middle(mask: np.ndarray) -> np.ndarray | None:
    left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    return np.array([left + wide / 2, top + high / 2]) if wide else None
