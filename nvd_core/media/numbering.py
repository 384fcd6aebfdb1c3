"""Frame numbers: where a file name has its place for one, and lists of numbers as text.

A place is `%04d`, `####`, `@@@@` or Houdini's `$F4`; a range may stand before it, as in
`shot.1001-1100#.exr`, where a single # stands for four digits. Numbers may be negative.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.sizes import MOST_DIGITS_OF_FRAME, MOST_FRAMES

FARTHEST = 2**31 - 1
"""a number's distance from 0"""

_NUMBER = r"(?:(?<![0-9A-Za-z])-)?\d{1,9}"
_PLACE = re.compile(
    rf"(?P<range>(?<![0-9A-Za-z])(?P<first>{_NUMBER})-(?P<last>-?\d{{1,9}})(?:x(?P<step>\d{{1,9}}))?)?"
    r"(?:%0?(?P<percent>\d*)d|\$F(?P<houdini>\d*)(?!F)|(?P<hash>#+)"
    r"|(?P<at>@@+|(?<![0-9A-Za-z])@(?![0-9A-Za-z])|(?<=\d)@(?![0-9A-Za-z])))"
)
# The last digits of a stem are its number: `shot1_0042_left` is number 42 of `shot1_*_left`.
# A minus belongs to it behind a separator or at the beginning, not in `shot-0042`.
_NUMBERED = re.compile(r"^(.*?)((?:(?<![0-9A-Za-z)])-)?\d+)(\D*)$", re.DOTALL)
_PART = re.compile(r"(-?\d{1,10})(?:-(-?\d{1,10})(?:x(\d{1,10}))?)?")


@dataclass(frozen=True)
class Place:
    """Where a pattern has its number: what stands before and after, and its least digits.

    `numbers` are those of the range that it names, None where it names none.
    """

    before: str
    digits: int
    after: str
    numbers: range | None = None

    def name(self, number: int) -> str:
        """The file name of a number; a minus takes the place of a digit, as with %04d."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"

    def number(self, name: str) -> int | None:
        """The number of a file that is named so; None for one of another name."""
        text = name[len(self.before) : len(name) - len(self.after)]
        if not re.fullmatch(r"-?[0-9]{1,20}", text):
            return None
        number = int(text)
        beside = f"{self.before}-{-number:0{self.digits}d}{self.after}"  # some add the minus
        known = [self.name(number)] + ([beside] if number < 0 else [])
        fits = name in known and abs(number) <= FARTHEST
        return number if fits and (self.numbers is None or number in self.numbers) else None


def has_place(name: str) -> bool:
    """Whether a file name holds a place for a frame number."""
    return _PLACE.search(name) is not None


def is_explicit(name: str) -> bool:
    """Whether it holds one that is nothing else: %04d or $F4, where # and @ may be letters."""
    return any(m["percent"] is not None or m["houdini"] is not None for m in _PLACE.finditer(name))


def place_of(name: str) -> Place:
    """The place for the number in a file name; NvdError for none, for two, and for odd ones."""
    matches = list(_PLACE.finditer(name))
    if len(matches) > 1:  # `take#2_%04d.png`: one # alone is a letter beside a longer place
        longer = [m for m in matches if m[0] not in ("#", "@")]
        matches = longer if len(longer) == 1 else matches
    remedy = "write %05d or ##### where the number goes, such as frames/%05d.png"
    if len(matches) != 1:
        raise NvdError(
            f"{name} is not a pattern of numbered files",
            expected="one place for the frame number",
            found=f"{len(matches)}",
            remedy=remedy,
        )
    (match,) = matches
    digits = _digits(match)
    if digits > MOST_DIGITS_OF_FRAME:
        raise NvdError(
            f"{name[:80]} is not a pattern of numbered files",
            expected=f"a number of {MOST_DIGITS_OF_FRAME} digits at the most",
            found=match[0][:40],
            remedy=remedy,
        )
    numbers = None
    if match["range"]:
        first, last, step = int(match["first"]), int(match["last"]), int(match["step"] or 1)
        if first > last or step < 1 or last - first >= MOST_FRAMES:
            raise NvdError(
                f"{name} names no range of frames",
                expected="FIRST-LAST before the place of the number, such as 1001-1100#",
                found=match["range"],
                remedy="write the lower number first",
            )
        numbers = range(first, last + 1, step)
    return Place(name[: match.start()], digits, name[match.end() :], numbers)


def _digits(match: re.Match) -> int:
    if marks := match["hash"]:
        return 4 if match["range"] and marks == "#" else len(marks)
    if marks := match["at"]:
        return len(marks)
    return int((match["percent"] or match["houdini"] or "1")[:4])


def split_name(stem: str) -> tuple[str, str, str] | None:
    """What stands before a file's number, the number as written, and what stands after."""
    match = _NUMBERED.match(stem)
    return (match[1], match[2], match[3]) if match else None


def file_number(path: Path | str) -> str | None:
    """The digits that number a file, as written (`00042`), None for a name without any."""
    parts = split_name(Path(path).stem)
    return parts[1] if parts else None


def as_text(numbers: Sequence[int]) -> str:
    """Numbers in rising order as text: `1001-1100`, `1-99x2`, `1,5,9-12`."""
    parts: list[str] = []
    start = 0
    while start < len(numbers):
        step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 1
        end = start
        while end + 1 < len(numbers) and numbers[end + 1] - numbers[end] == step:
            end += 1
        if end - start < 2 and step != 1:  # two numbers make no step
            end = start
        first, last = numbers[start], numbers[end]
        every = f"x{step}" if step != 1 else ""
        parts.append(f"{first}-{last}{every}" if end > start else f"{first}")
        start = end + 1
    return ",".join(parts)


def from_text(text: str, count: int) -> list[int] | None:
    """The `count` numbers, rising, of such a text; None where it does not name so many."""
    numbers: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            return None
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if step < 1 or (last - first) // step + 1 > count - len(numbers):
            return None
        numbers += range(first, last + 1, step)
    rising = all(a < b for a, b in pairwise(numbers))
    fits = len(numbers) == count and rising and max(map(abs, numbers), default=0) <= FARTHEST
    return numbers if fits else None


def counted_from(
    start: int | str | None, numbers: list[int] | None, count: int, first: int = 0
) -> Sequence[int]:
    """The numbers by which `count` frames count.

    `start` is the first one, or "source": their own `numbers`, or from `first` on where there are
    none. None: from 0.
    """
    if start == "source":
        return numbers or range(first, first + count)
    start = int(start or 0)
    return range(start, start + count)


def range_of(
    frames: tuple[int, int] | None, counted: Sequence[int], where: object, own: str, asked: bool
) -> tuple[int, int]:
    """First and last frame from 0 of the range `frames`, all where None.

    The frames count by `counted`, which was `asked` for or is from 0. NvdError, of what is not in
    `where`, for a range that is not there; it names the `own` numbers, "" where there are none.
    """
    if frames is None:
        return 0, len(counted) - 1
    known = {number: index for index, number in enumerate(counted)}
    if frames[0] <= frames[1] and frames[0] in known and frames[1] in known:
        return known[frames[0]], known[frames[1]]
    remedy = "choose first and last frame within the clip, counted from 0"
    if asked:
        remedy = f"choose first and last frame within {as_text(counted)}"
    elif own:
        remedy += f", or by {own}, with --start source"
    raise NvdError(
        f"frames {frames[0]}-{frames[1]} are not in {where}",
        expected=f"a range within {counted[0]}-{counted[-1]}",
        found=f"{frames[0]}-{frames[1]}",
        remedy=remedy,
    )
