"""Where paint went: what got it that should have (recall), what has it that should not (ghost).

Both look at the rendered edit, not at coordinates, so that they hold for any kind of decomposition.
A pixel got its paint where the edit went at least half of the way from the frame as shot to the
true edit. What is stray went half of the way to the lit colour of some paint, where the truth has
none.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from nvd_core.evaluation.metrics import psnr
from nvd_core.evaluation.truth.edit_fidelity import LEAST_APART, PAINTED

HALF = 0.5
NEAR = 2
"""px around true paint that are nobody's: there the edit's sharpness is seen, and `edit` has it"""
GONE = 0.02
"""share of its most painted frame below which a layer's paint is hidden in a frame"""
SEAM = 6
"""px around the border of a part or a chart that count as its seam"""
SOFT = 0.05, 0.95
"""between these the true alpha is an edge"""


@dataclass
class Painted:
    """One frame; pictures are display-encoded [H, W, 3]."""

    edited: np.ndarray
    true: np.ndarray
    frame: np.ndarray
    painted: np.ndarray  # [L, H, W] share of each pixel that is paint of each layer
    given: np.ndarray | None  # [L, H, W] of that, what the first edit frame shows; None: not known
    alphas: np.ndarray  # [L, H, W]
    light: np.ndarray | None  # [H, W, 3]


@dataclass
class _Sums:
    """Pixels of one kind: how many, how many got their paint of those that tell, and errors."""

    pixels: int = 0
    told: int = 0
    got: int = 0
    squared: float = 0.0

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.pixels + other.pixels,
            self.told + other.told,
            self.got + other.got,
            self.squared + other.squared,
        )

    @property
    def recall(self) -> float | None:
        return round(self.got / self.told, 4) if self.told else None

    @property
    def edit_psnr(self) -> float | None:
        return round(psnr(self.squared / self.pixels), 3) if self.pixels else None


@dataclass
class PaintMeter:
    """Takes in the frames in their order; `colours` are the layers' paints [L, 3], unlit."""

    colours: np.ndarray
    edit_frames: list[int]
    seen: list[list[_Sums]] = field(default_factory=list)  # by frame and layer
    later: list[list[_Sums]] = field(default_factory=list)
    stray: list[np.ndarray] = field(default_factory=list)  # [L] pixels, by frame
    known: bool = True  # whether the truth says what the edit frame shows

    def add(self, now: Painted) -> None:
        """Take in the next frame."""
        got, told = went(now.edited, now.frame, now.true)
        error = ((now.edited.astype(np.float64) - now.true) ** 2).mean(-1)
        given = now.painted if now.given is None else now.given
        self.known &= now.given is not None
        later = now.painted - given
        for kept, shares in ((self.seen, given), (self.later, later)):
            kept.append([_summed(share > HALF, got, told, error) for share in shares])
        self.stray.append(self._stray(now))

    def _stray(self, now: Painted) -> np.ndarray:  # [L]
        """How many pixels of each layer have paint that the truth has not."""
        light = np.ones_like(now.frame) if now.light is None else now.light
        painted = now.painted.max(0) > PAINTED
        around = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
        free = cv2.dilate(painted.astype(np.uint8), around) == 0
        stray = np.zeros(free.shape, bool)
        for colour in self.colours:
            got, told = went(now.edited, now.frame, colour * light)
            stray |= (got >= HALF) & told
        return np.array([(stray & free & (alpha > HALF)).sum() for alpha in now.alphas])

    def values(self, names: list[str]) -> dict:
        """Figures by layer, and by what the edit frame showed; None where nothing counts."""
        layers = range(len(names))
        away = [t for t in range(len(self.seen)) if t not in self.edit_frames]
        seen = [sum((self.seen[t][n] for t in away), _Sums()) for n in layers]
        again = [self.seen[t][n] for n in layers for t in self._came_back(n)]
        both = self.seen + self.later
        true = np.array([sum(sums[n].pixels for sums in both) for n in layers])
        stray = np.sum(self.stray, 0) if self.stray else np.zeros(len(names))
        kinds = {
            "seen": sum(seen, _Sums()),
            "later": sum((s for t in away for s in self.later[t]), _Sums()),
        }
        return {
            "recall": {"all": sum(seen, _Sums()).recall}
            | {name: sums.recall for name, sums in zip(names, seen, strict=True)},
            "ghost": {"all": _share(stray.sum(), true.sum())}
            | {name: _share(stray[n], true[n]) for n, name in enumerate(names)},
            **{kind: _figures(sums if self.known else _Sums()) for kind, sums in kinds.items()},
            "reappeared": _figures(sum(again, _Sums())),
        }

    def _came_back(self, n: int) -> list[int]:
        """Frames that show paint of layer n and that a frame without it parts from the edit's."""
        shown = np.array([sums[n].pixels for sums in self.seen])
        shown = shown > GONE * max(shown.max(initial=0), 1)
        edit = self.edit_frames[0]
        if not shown[edit]:
            return []
        run = np.cumsum(np.concatenate([[0], np.diff(shown.astype(int)) != 0]))
        return [int(t) for t in np.flatnonzero(shown & (run != run[edit]))]


def went(
    edited: np.ndarray, frame: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # [H, W], bool [H, W]
    """How far an edit went from the frame towards a target, 1 = all of the way, and whether the
    two are far enough apart to tell."""
    apart = target.astype(np.float64) - frame
    squared = (apart**2).sum(-1)
    moved = ((edited.astype(np.float64) - frame) * apart).sum(-1)
    return moved / np.maximum(squared, LEAST_APART), squared > LEAST_APART


def _summed(chosen: np.ndarray, got: np.ndarray, told: np.ndarray, error: np.ndarray) -> _Sums:
    decided = chosen & told
    right = int((got[decided] >= HALF).sum())
    return _Sums(int(chosen.sum()), int(decided.sum()), right, float(error[chosen].sum()))


def _figures(sums: _Sums) -> dict:
    return {"edit_psnr": sums.edit_psnr, "recall": sums.recall}


def _share(count: float, of: float) -> float | None:
    return round(float(count) / float(of), 4) if of else None


@dataclass
class SeamMeter:
    """Error of the edit near the borders between the parts or charts of an object."""

    squared: float = 0.0
    pixels: int = 0

    def add(
        self,
        edited: np.ndarray,  # [H, W, 3]
        true: np.ndarray,
        painted: np.ndarray,  # [H, W]
        border: np.ndarray | None,  # bool [H, W], pixels at a border; None: the frame has none
    ) -> None:
        """Take in a frame."""
        if border is None or not border.any():
            return
        away = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 5)
        near = (away <= SEAM) & (painted > PAINTED)
        self.squared += float(((edited.astype(np.float64) - true) ** 2).mean(-1)[near].sum())
        self.pixels += int(near.sum())

    @property
    def value(self) -> float | None:
        """PSNR in dB; None where no painted pixel was near a border."""
        return round(psnr(self.squared / self.pixels), 3) if self.pixels else None


@dataclass
class SoftMeter:
    """Mean error of an alpha where the true one is an edge."""

    error: float = 0.0
    pixels: int = 0

    def add(self, ours: np.ndarray, true: np.ndarray) -> None:
        """Take in a frame's alphas [H, W] of one layer."""
        edge = (true > SOFT[0]) & (true < SOFT[1])
        self.error += float(np.abs(ours[edge].astype(np.float64) - true[edge]).sum())
        self.pixels += int(edge.sum())

    @property
    def value(self) -> float | None:
        """None where no edge was seen."""
        return self.error / self.pixels if self.pixels else None
