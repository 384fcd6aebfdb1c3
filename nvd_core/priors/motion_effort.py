"""How far the search for a layer's motion has come."""

from nvd_core.runtime.progress import Progress

ITERATION = 0.2
"""How long an iteration takes, as a part of what matching all neighbours takes."""


class MotionEffort:
    """How much of a layer's work is done; the unit is to match a frame with the next."""

    def __init__(self, progress: Progress, frames: int, iterations: int) -> None:
        """`iterations`: of the fits of all models, over all frames."""
        self.progress, self.frames, self.done = progress, frames, 0.0
        self.first = 0
        """what the layers before take"""
        self.behind = 0
        """and those behind"""
        self.whole = round(frames * (2 + ITERATION * iterations))

    def more(self, frames: float) -> None:
        """It turns out to take so much more."""
        self.whole += round(frames)
        self.progress.expect(self.first + self.whole + self.behind)

    def matched(self, frames: float) -> None:
        """Frames more were matched."""
        self.done += frames
        self.progress.update(self.first + min(round(self.done), self.whole))

    def iterated(self, share: float) -> None:
        """So much of an iteration more was done."""
        self.matched(ITERATION * self.frames * share)
