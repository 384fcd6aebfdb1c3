"""Timecodes: as text, as SMPTE's 32 bits, and counted on from frame to frame."""

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")
_DROPPING = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
"""numbers that are left out every minute but the tenth, where frames are dropped"""
_FIELDS = ((0, 2), (8, 3), (16, 3), (24, 2))
"""bit of the units and bits of the tens of frames, seconds, minutes and hours"""
_DROP, _SECOND_OF_TWO = 1 << 6, 1 << 15
_IN_PAIRS = 40
"""from so many frames a second on the bits count pairs of frames, as they have two for the tens"""
PATTERN = r"[0-9]{2}:[0-9]{2}:[0-9]{2}[:;][0-9]{2}"
"""a regular expression; `;` where frames are dropped"""


@dataclass(frozen=True)
class Timecode:
    """Hours, minutes, seconds and frames."""

    parts: tuple[int, int, int, int]
    drop: bool = False

    def __str__(self) -> str:
        hours, minutes, seconds, frames = self.parts
        return f"{hours:02d}:{minutes:02d}:{seconds:02d}{':;'[self.drop]}{frames:02d}"

    def bits(self, rate: Fraction) -> int:
        """As EXR and DPX have it."""
        word, parts = _DROP if self.drop else 0, list(reversed(self.parts))
        if round(rate) >= _IN_PAIRS:
            word |= _SECOND_OF_TWO * (parts[0] % 2)
            parts[0] //= 2
        for value, (bit, _) in zip(parts, _FIELDS, strict=True):
            word |= (value % 10 | value // 10 << 4) << bit
        return word

    def counted_on(self, frames: int, rate: Fraction) -> "Timecode":
        """That of a frame so many later; after 24 hours it begins anew."""
        whole, left_out = round(rate), _DROPPING.get(rate, 0) if self.drop else 0
        hours, minutes, seconds, number = self.parts
        passed = 60 * hours + minutes
        count = (60 * passed + seconds) * whole + number
        count -= left_out * (passed - passed // 10)
        a_day = 1440 * 60 * whole - left_out * 1296
        count = (count + frames) % a_day
        if left_out:  # the numbers that are left out are put in again
            ten, minute = 600 * whole - 9 * left_out, 60 * whole - left_out
            tens, rest = divmod(count, ten)
            count += left_out * (9 * tens + max(0, rest - left_out) // minute)
        seconds, number = divmod(count, whole)
        return Timecode((seconds // 3600, seconds // 60 % 60, seconds % 60, number), self.drop)


def from_text(text: object, rate: Fraction) -> Timecode | None:
    """The timecode in a text such as 01:00:00:00; None where it is none at this rate."""
    match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        return None
    parts = tuple(int(match[n]) for n in (1, 2, 3, 5))
    return _checked(parts, match[4] != ":", rate)


def from_bits(word: int, rate: Fraction) -> Timecode | None:
    """The timecode in SMPTE's bits; None where they are none at this rate."""
    digits = [(word >> bit & 15, word >> bit + 4 & (1 << tens) - 1) for bit, tens in _FIELDS]
    if any(units > 9 for units, _ in digits):
        return None
    parts = [units + 10 * tens for units, tens in reversed(digits)]
    if round(rate) >= _IN_PAIRS:
        parts[3] = 2 * parts[3] + bool(word & _SECOND_OF_TWO)
    return _checked(tuple(parts), bool(word & _DROP), rate)


def _checked(parts: tuple, drop: bool, rate: Fraction) -> Timecode | None:
    hours, minutes, seconds, frames = parts
    whole = round(rate)
    if hours > 23 or max(minutes, seconds) > 59 or frames >= whole or whole > 100:
        return None
    left_out = _DROPPING.get(rate)
    if drop and left_out is None:
        return None
    if drop and not seconds and minutes % 10 and frames < left_out:
        return None  # a number that is left out
    return Timecode(parts, drop)
