"""When the pictures of a movie show: their times, their rate, and whether they are equally long."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from nvd_core.runtime.sizes import rate_fits

_USUAL_RATES = [Fraction(n) for n in (24, 25, 30, 48, 50, 60, *range(1, 121))]
_USUAL_RATES += [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
_TOO_FAST = 1.5  # times as many pictures a second as even the shortest one allows
_SAME_TIME = 0.0025
"""seconds by which frames of a constant rate may be off"""


class TimedPictures:
    """Pictures each of which shows at a time of its own."""

    frames: int
    rate: Fraction
    """pictures a second"""
    _times: list[int]
    """when each shows, in units of the file; their numbers where it does not say"""
    _timed: bool
    """whether it says"""
    _last: int
    """how long the last one shows, 0: not known"""
    _base: Fraction
    """seconds of a unit, 0: not known"""
    _seconds: float
    """the same"""

    def _rate_of(self, said: Sequence[Fraction | None]) -> Fraction:
        """The first rate of those that the file says which its pictures' times do not gainsay.

        DV, and what browsers record, name the unit of their times: 60 000 or 1000 a second.
        """
        shortest, most = self.shortest, float("inf")
        if shortest:
            most = _TOO_FAST / shortest
        for rate in said:
            if rate and rate_fits(rate.numerator, rate.denominator) and rate <= most:
                return rate
        return self._measured_rate() if shortest else Fraction(24)

    def _measured_rate(self) -> Fraction:
        """Pictures a second from the first to the last, by a usual name where one is as close."""
        steps, seconds = self.frames - 1, (self._times[-1] - self._times[0]) * self._base
        close = [r for r in _USUAL_RATES if abs(steps / r - seconds) <= 2 * self._base]
        best = min(close, key=lambda rate: abs(steps / rate - seconds), default=None)
        return best or (steps / seconds).limit_denominator(1001)

    @property
    def _lengths(self) -> list[float]:
        """Seconds from each picture to the next, where the file tells."""
        if not self._timed:
            return []
        return [(b - a) * self._seconds for a, b in pairwise(self._times)]

    @property
    def unit(self) -> Fraction:
        """Seconds in which the file counts time."""
        return self._base

    def time_of(self, index: int) -> Fraction:
        """Second of the file at which frame `index` shows, or the last one ends."""
        if not self._timed or not self._base:
            return index / self.rate
        if index < self.frames:
            return self._times[index] * self._base
        last = self._last * self._base or 1 / self.rate
        return self._times[-1] * self._base + last

    def times(self, first: int, last: int) -> tuple[tuple[int, int], tuple[int, ...]] | None:
        """Unit and times of the frames from `first` to `last`, and of its end; from 0.

        None where the rate says as much, or the file says nothing.
        """
        if not self._base or self.off(self.rate) <= max(2 * self._seconds, _SAME_TIME):
            return None
        start = self.time_of(first)
        at = [(self.time_of(n) - start) / self._base for n in range(first, last + 2)]
        unit = self._base.numerator, self._base.denominator
        return unit, tuple(round(value) for value in at)

    @property
    def even(self) -> bool:
        """Whether all pictures are equally long, but for the rounding of their times."""
        return self.off(self.rate) <= max(0.5 / float(self.rate), 2 * self._seconds)

    @property
    def shortest(self) -> float:
        """The least time from a picture to the next, in seconds."""
        return min(self._lengths, default=0.0)

    @property
    def longest(self) -> float:
        """The greatest time from a picture to the next, in seconds."""
        return max(self._lengths, default=0.0)

    def off(self, rate: Fraction) -> float:
        """By how many seconds a picture's time is off at most at a constant rate."""
        if not self._timed:
            return 0.0
        first = self._times[0]
        own = ((time - first) * self._seconds for time in self._times)
        return max(abs(time - index / float(rate)) for index, time in enumerate(own))
