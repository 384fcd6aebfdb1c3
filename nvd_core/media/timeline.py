"""When a clip's frames show, and what goes with them: timecode, reel, sound, uneven times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from nvd_core.media.audio import Sound
from nvd_core.media.timecode import PATTERN, Timecode, from_text
from nvd_core.runtime.declared import text_like, within
from nvd_core.runtime.sizes import MOST_FRAMES

AUDIO = "audio.mka"
"""the sound of a movie, in the folder"""
Unit = Annotated[int, within(1, 2**31 - 1)]
Time = Annotated[int, within(0, 2**62)]


@dataclass(frozen=True)
class Timeline:
    """What is known of a clip's time beyond its rate."""

    timecode: Annotated[str, text_like(PATTERN, "hh:mm:ss:ff")] | None = None
    """of frame 0; `;` before the frames where numbers are dropped"""
    reel: Annotated[str, Meta(max_length=200)] | None = None
    """the name of the tape or card"""
    named_rate: bool = False
    """whether the source or the user names the clip's rate"""
    audio: Annotated[str, Meta(max_length=200)] | None = None
    """path of the sound, in which frame 0 shows at 1 second"""
    unit: tuple[Unit, Unit] | None = None
    """what `at` counts in, seconds as a fraction"""
    at: Annotated[tuple[Time, ...], Meta(max_length=MOST_FRAMES + 1)] | None = None
    """when each frame shows, from 0, and when the last one ends; null: the rate says it"""

    def fits(self, frames: int) -> bool:
        """Whether it can be of so many frames."""
        if self.unit is None and self.at is None:
            return True
        if self.unit is None or self.at is None or len(self.at) != frames + 1:
            return False
        return self.at[0] == 0 and all(a < b for a, b in pairwise(self.at))

    def seconds(self, index: int, rate: Fraction) -> Fraction:
        """When frame `index` shows, or the clip ends."""
        if self.at is None or self.unit is None:
            return index / rate
        return self.at[index] * Fraction(*self.unit)

    def timecode_of(self, frames: int, rate: Fraction) -> Timecode | None:
        """The timecode of a frame so many after frame 0."""
        first = from_text(self.timecode, rate)
        return first.counted_on(frames, rate) if first else None


@dataclass(frozen=True)
class Timing:
    """What an output is told of the time of its frames."""

    timecode: str = ""
    """of a movie's first frame"""
    codes: Mapping[int, int] = field(default_factory=dict)
    """of numbered images: SMPTE's bits by the image's number"""
    rate: tuple[int, int] | None = None
    """frames a second that images say; None: nothing"""
    reel: str = ""
    unit: Fraction | None = None
    """what `at` counts in, in seconds; None: the rate says when frames show"""
    at: Sequence[int] = ()
    """when each frame of a movie shows, from 0, and when the last one ends"""
    sound: Sound | None = None


UNTIMED = Timing()
