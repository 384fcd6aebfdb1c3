"""Whether windows in time tell the background's frames better than one sheet does.

A camera that walks through a place sees near things shift against far ones, and shows of each what
was hidden before. One sheet with smooth bends cannot hold that; over a part of the clip it holds
more of it. So the frames are laid onto one sheet, and onto one for each window, and each frame is
told from all others of its sheet (sheet_evidence.py). What changes slowly over a frame is taken out
first, so that changing light asks for no windows.
"""

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from nvd_core.media.resizing import resized
from nvd_core.priors.garbage import near_garbage
from nvd_core.priors.motion_matches import MatchedClip, enlarged
from nvd_core.priors.sheet_evidence import Sheets
from nvd_core.runtime.time_windows import Window

PARALLAX_WINDOWS = 3
"""how many windows are tried"""
LOOKED_AT = 0
"""in place of a number of windows: one, and whether several would serve better is looked at"""
FEWEST_FRAMES = 24
"""of a clip that they are tried on"""
LEAST_ERROR = 9.0
"""what one sheet leaves at least, 0 to 255, where they are tried"""
LEAST_GAIN = 0.3
"""share of the squared error that they take away, from which on they are worth it"""
LONGEST, FRAMES = 240, 40
"""pixels along the longer side, and frames at most, that are looked at"""
LARGEST = 8.0
"""sides of a sheet, in those of a frame"""
LIGHT = 0.05
"""width over which light changes, as a share of the longer side"""
RIM = 2
"""pixels around objects, and the garbage matte, that are nobody's"""
SEEN = 20
"""a mask's value from which on a pixel may be an object's"""


def about_parallax(name: str, gain: float, taken: bool) -> str:
    """What has to be said of a background that one sheet does not hold: what windows take away of
    its error, and whether they were `taken`.
    """
    option = f"--windows {name}"
    does, done, views = "take", f"{option}=1 keeps one picture", 1
    if not taken:
        does, done, views = "would take", f"{option}=auto takes them", PARALLAX_WINDOWS
    return (
        f"the camera sees near parts of the {name} shift against far ones, which one picture does "
        f"not hold: {PARALLAX_WINDOWS} windows in time {does} away {gain:.0%} of what it misses, "
        f"and some paint is lost from one to the next; {done} (in Blender: Parts of the "
        f"{name}, Views in Time: {views})"
    )


class BackgroundSheets:
    """The background in some of a clip's frames, small, to be laid onto sheets."""

    def __init__(self, clip: MatchedClip, check: Callable[[], None]) -> None:
        """`check` is asked often whether to stop."""
        self._check = check
        self._times = np.arange(0, clip.count, -(-clip.count // FRAMES))
        size = np.array(clip.frames.shape[2:0:-1])
        scale = min(1.0, LONGEST / size.max())
        self._size = round(size[0] * scale), round(size[1] * scale)
        self._change = enlarged(np.divide(self._size, size))
        looked_at = [self._look(clip, int(t)) for t in self._times]
        self._pictures, self._shown = (np.array(one) for one in zip(*looked_at, strict=True))

    def _look(self, clip: MatchedClip, t: int) -> tuple[np.ndarray, np.ndarray]:
        """A frame without slow changes, uint8 [h, w, 3], and where it shows the background: not in
        objects, nor in the garbage matte."""
        picture = resized(np.array(clip.frames[t]), *self._size).astype(np.float32)
        matte = np.zeros(self._size[::-1], bool)
        if clip.garbage is not None:
            garbage = np.array(clip.garbage[t if len(clip.garbage) > 1 else 0])
            matte = near_garbage(garbage, RIM, matte.shape)
        blurred = partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=LIGHT * max(self._size))
        weight = np.maximum(blurred(np.where(matte, np.float32(0), np.float32(1))), 1e-3)
        slow = blurred(np.where(matte[..., None], 0, picture)) / weight[..., None]
        taken = matte.astype(np.uint8)
        around = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
        for n in range(len(clip.masks)):
            mask = resized(np.array(clip.masks[n, t]), *self._size)
            taken |= cv2.dilate((mask > SEEN).astype(np.uint8), around)
        clip.release()
        self._check()
        return (picture - slow + 128).clip(0, 255).astype(np.uint8), taken == 0

    def laid(self, motions: np.ndarray, windows: Sequence[Window]) -> list[np.ndarray]:
        """By frame that is looked at how far off each pixel of the background is on a sheet a
        window, 0 to 255; NaN beyond what of the sheet is kept.

        motions: float64 [T, 3, 3], pixels of a frame to those of its window's reference.
        """
        small = self._change @ motions[self._times] @ np.linalg.inv(self._change)
        found: list[np.ndarray] = []
        for first, last in windows:
            own = (self._times >= first) & (self._times <= last)
            pictures, shown = self._pictures[own], self._shown[own]
            labels = np.zeros(shown.shape, np.uint8)
            sheets = Sheets(pictures, shown, labels, small[None, own], self._check, LARGEST)
            every = zip(sheets.errors(), sheets.held, strict=True)
            found += [np.where(held, errors, np.float32(np.nan)) for errors, held in every]
        return found


def error_of(laid: Sequence[np.ndarray]) -> float:
    """How far off each frame is, root mean square, 0 to 255."""
    squares = np.concatenate(laid) ** 2
    known = np.isfinite(squares)
    return float(np.sqrt(squares[known].mean())) if known.any() else 0.0


def gain_of(whole: Sequence[np.ndarray], apart: Sequence[np.ndarray]) -> float:
    """Share of the squared error on one sheet that several take away, where both hold a pixel."""
    one, several = np.concatenate(whole) ** 2, np.concatenate(apart) ** 2
    both = np.isfinite(one) & np.isfinite(several)
    return 1 - float(several[both].sum()) / max(float(one[both].sum()), 1e-6)
