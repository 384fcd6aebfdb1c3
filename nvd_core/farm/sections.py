"""A long clip in sections: decompositions of their own, which share a few frames with the next.

A section is trained, baked and rendered as any shot is, so that memory, disk and the wait for the
first picture depend on its length and not on the clip's, and many machines work at once. Paint goes
from section to section by `nvd carry`, through the frames that two share; there the rendering fades
from one to the next (`nvd render --after`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nvd_core.runtime.declared import within
from nvd_core.runtime.sizes import MOST_FRAMES

LEAST = 8
"""frames of a section"""
DIGITS = 3
"""at least, of a section's number in the name of its folder"""


@dataclass(frozen=True)
class Sections:
    """How a list wants a long clip to be cut."""

    frames: Annotated[int, within(LEAST, MOST_FRAMES)] = 300
    """the most of a section"""
    overlap: Annotated[int, within(1, MOST_FRAMES)] = 24
    """that a section shares with the next"""


@dataclass(frozen=True)
class Section:
    """One of them."""

    folder: Path
    first: int
    last: int
    """frames of the clip, from 0"""
    before: Path | None
    """the folder of the one before it"""
    own: int
    """the last frame that no later section shows"""


def fault_of(sections: Sections) -> str:
    """What is expected of an overlap that is too large, "" where none is.

    Of more than a third three sections might show one frame.
    """
    most = sections.frames // 3
    return "" if sections.overlap <= most else f"an overlap of {most} at the most, a third"


def cut(count: int, sections: Sections, folder: Path, first: int = 0) -> list[Section]:
    """`count` frames from `first` on in as few sections as go, all equally long but for a frame."""
    step = sections.frames - sections.overlap
    many = max(1, -(-(count - sections.overlap) // step))
    whole = count - sections.overlap  # frames that sections begin anew, and one overlap more
    starts = [first + whole * n // many for n in range(many)]
    digits = max(DIGITS, len(str(many)))
    made: list[Section] = []
    for n, start in enumerate(starts):
        is_last = n == many - 1
        end = first + count - 1 if is_last else starts[n + 1] + sections.overlap - 1
        own = end if is_last else starts[n + 1] - 1
        name = folder / f"{n + 1:0{digits}d}.nvd"
        made.append(Section(name, start, end, made[-1].folder if made else None, own))
    return made
