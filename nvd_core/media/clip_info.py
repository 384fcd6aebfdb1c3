"""What is known of a clip without reading its frames, as job.json keeps it."""

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.numbering import from_text
from nvd_core.media.picture import PLAIN, Picture, as_json
from nvd_core.media.timeline import Timeline
from nvd_core.runtime.declared import JSON, Fault, read, within
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_PIXELS, MOST_SIDE, rate_fits

ENCODINGS = {8: "display", 16: "display", "half": "linear", "float": "linear"}
"""by bit depth"""


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip without reading its frames."""

    source: str  # as the user gave it
    first_frame: int  # the source frame, from 0, that is frame 0 of the clip
    frames: int  # in the clip
    source_frames: int  # in the source
    width: int  # of the plate, pixels
    height: int
    source_width: int
    source_height: int
    rate: Fraction  # frames a second
    bit_depth: int | str  # 8, 16, "half" or "float"
    encoding: str  # "display" for integers, "linear" for floating point
    picture: Picture = PLAIN
    cautions: tuple[str, ...] = ()  # what is not carried or not honoured, in words
    numbers: str | None = None  # the source's own, as `media.numbering.as_text` has them
    timeline: Timeline | None = None  # what is known of its time beyond the rate
    analysis: AnalysisSize | None = None  # the size that is looked at, where it is smaller

    @property
    def looked_at(self) -> AnalysisSize:
        """The size of the arrays in work/: the plate's own, or smaller."""
        return self.analysis or AnalysisSize(self.width, self.height)

    @property
    def own_numbers(self) -> list[int] | None:
        """The source's own number of each frame; None where it has none."""
        return None if self.numbers is None else from_text(self.numbers, self.frames)

    def to_json(self) -> dict:
        """What `from_json` makes it of again."""
        rate = [self.rate.numerator, self.rate.denominator]
        return dataclasses.asdict(self) | {"rate": rate, "picture": as_json(self.picture)}

    @classmethod
    def from_json(cls, values: dict) -> "ClipInfo":
        """The clip that `to_json` noted; NvdError where that is damaged."""
        try:
            noted = read(_Noted, values, JSON)
            if not rate_fits(*noted.rate):
                raise Fault("rate", "range", "frames a second of a clip", noted.rate)
            if ENCODINGS[noted.bit_depth] != noted.encoding:
                raise Fault("encoding", "range", ENCODINGS[noted.bit_depth], noted.encoding)
            if noted.width * noted.height > MOST_PIXELS:
                raise Fault("width", "range", f"{MOST_PIXELS} pixels at the most", noted.width)
            small = noted.analysis
            if small and (small.width > noted.width or small.height > noted.height):
                raise Fault("analysis", "range", "no larger than the plate", small.height)
            if noted.numbers is not None and from_text(noted.numbers, noted.frames) is None:
                raise Fault("numbers", "range", f"{noted.frames} numbers", noted.numbers)
            known: dict[str, object] = {"rate": Fraction(*noted.rate)}
            known |= {"cautions": noted.cautions, "picture": noted.picture}
            known |= {"timeline": noted.timeline, "analysis": noted.analysis}
            if noted.timeline and not noted.timeline.fits(noted.frames):
                raise Fault("timeline", "range", f"times of {noted.frames} frames", "others")
            return cls(**values | known)
        except Fault as fault:
            raise NvdError(
                "job.json does not say what clip was imported",
                expected=f"what `nvd decompose` noted under clip, {fault.key} as {fault.expected}",
                found=fault.found,
                remedy="remove clip from job.json, so that the source is opened again",
            ) from fault


@dataclass(frozen=True)
class _Noted:
    """`ClipInfo` as job.json has it."""

    source: str
    first_frame: Annotated[int, within(0, 2**31 - 1)]
    frames: Annotated[int, within(1, MOST_FRAMES)]
    source_frames: Annotated[int, within(1, 2**31 - 1)]
    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]
    source_width: Annotated[int, within(1, MOST_SIDE)]
    source_height: Annotated[int, within(1, MOST_SIDE)]
    rate: tuple[int, int]
    bit_depth: Literal[8, 16, "half", "float"]
    encoding: Literal["display", "linear"]
    picture: Picture = PLAIN
    cautions: tuple[str, ...] = ()
    numbers: str | None = None
    timeline: Timeline | None = None
    analysis: AnalysisSize | None = None
