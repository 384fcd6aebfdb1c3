"""What the values of a clip's frames mean, beyond their depth: kept with the clip, and stated."""

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from nvd_core.media import primaries
from nvd_core.runtime.declared import OPTIONAL, text_like, within

Positive = Annotated[int, within(1, 2**31 - 1)]
Number = Annotated[float, within(-10, 10)]
Code = Annotated[int, within(0, 255)]


@dataclass(frozen=True)
class InputSpace:
    """A colour space of an OpenColorIO configuration that the user named for the clip."""

    name: Annotated[str, Meta(max_length=200)]
    """as the configuration calls it"""
    config: Annotated[str, Meta(max_length=1000)]
    """the configuration's name, information only"""
    digest: Annotated[str, text_like("[0-9a-f]{64}", "64 digits, 0 to f")]
    """of the folder's conversions from this space and back (`media.conversion`)"""


@dataclass(frozen=True)
class Picture:
    """All that a reader of `frames/` has to know of their values and their shape."""

    alpha: Literal["none", "straight", "premultiplied"] = "none"
    pixel_aspect: tuple[Positive, Positive] = (1, 1)
    """a pixel's width by its height"""
    primaries: Annotated[tuple[Number, ...], Meta(min_length=8, max_length=8)] | None = None
    """of linear frames: x and y of red, green, blue and white; None: Rec.709"""
    colour_id: Annotated[str, Meta(max_length=200)] = ""
    """an EXR's colorInteropID"""
    movie: Annotated[tuple[Code, ...], Meta(min_length=4, max_length=4)] | None = None
    """a movie's numbers of primaries, transfer, matrix (ITU-T H.273) and range (1 TV, 2 full)"""
    space: InputSpace | None = dataclasses.field(default=None, metadata=OPTIONAL)
    """what the values of the frames are, whatever else is said of them; None: as the rest says"""

    @property
    def aspect(self) -> Fraction:
        """A pixel's width by its height."""
        return Fraction(*self.pixel_aspect)

    @property
    def is_rec709(self) -> bool:
        """Whether linear frames have the engine's own primaries."""
        return self.primaries is None or primaries.same(self.primaries, primaries.REC709)


PLAIN = Picture()


def as_json(picture: Picture) -> dict:
    """A picture as files have it: without the space where there is none."""
    values = dataclasses.asdict(picture)
    return values if picture.space else {k: v for k, v in values.items() if k != "space"}


def pixel_aspect(value: float | Fraction | None) -> tuple[int, int]:
    """A pixel's width by its height as two whole numbers; 1 where it says nothing."""
    if not value or not 1e-3 < value < 1e3:
        return 1, 1
    fraction = Fraction(value).limit_denominator(100_000)
    return fraction.numerator, fraction.denominator
