"""A clip's networks in the pixels of its plate, where the engine looked at it smaller.

The fields are continuous functions of (x, y, t), trained in pixels of the analysis size. A larger
plate has its pixels between those: the same square of picture, with pixel centres at whole numbers
in both, so that x = (X + 1/2) w / W - 1/2.
"""

import copy
from typing import cast

from torch import Tensor, nn

from nvd_core.fields.model import ClipShape, LayeredVideo
from nvd_core.runtime.parts import Part


class _InPlatePixels(nn.Module):
    """A field of pixels xy [P, 2] and frames t [P] that takes pixels of the plate."""

    def __init__(self, field: nn.Module, share: tuple[float, float]) -> None:
        """share: pixels of the analysis in one of the plate, along x and along y."""
        super().__init__()
        self.field = field
        self.share = share

    @property
    def grid(self) -> nn.Module | None:
        """The encoding behind the field, as its own."""
        return getattr(self.field, "grid", None)

    def pixels(self, xy: Tensor) -> Tensor:
        """Where the plate's pixels lie among those that were looked at."""
        share = xy.new_tensor(self.share)
        return (xy + 0.5) * share - 0.5

    def forward(self, xy: Tensor, t: Tensor) -> Tensor:
        return self.field(self.pixels(xy), t)


class _MappingInPlatePixels(_InPlatePixels):
    """A mapping M_n."""

    @property
    def pixels_per_unit(self) -> float:
        """Pixels of the plate in one unit of texture coordinate."""
        return float(self.field.pixels_per_unit) / min(self.share)

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The mapping's windows in time."""
        return cast(tuple[tuple[int, int], ...], self.field.windows)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The mapping's parts, the rest first; none without."""
        return cast(tuple[Part, ...], self.field.parts)

    def part_of(self, xy: Tensor, t: Tensor) -> Tensor:
        """The number of the part, int64 [P], as `networks.MotionMapping.part_of`."""
        return self.field.part_of(self.pixels(xy), t)


class _AlphaInPlatePixels(_InPlatePixels):
    """The alpha network A."""

    def opacity(self, xy: Tensor, t: Tensor) -> Tensor:
        """[P, N], as `networks.Alpha.opacity`."""
        return self.field.opacity(self.pixels(xy), t)


def at_plate(model: LayeredVideo, height: int, width: int) -> LayeredVideo:
    """`model` for a plate of `height` x `width` pixels; itself where it was trained at that size.

    It has the plate's shape, and shares every weight. It is to be asked, not to be trained.
    """
    frames, own_height, own_width = model.shape.frames, model.shape.height, model.shape.width
    if (height, width) == (own_height, own_width):
        return model
    share = own_width / width, own_height / height
    view = copy.copy(model)
    view._modules = dict(model._modules)  # copy.copy shares it
    view.shape = ClipShape(frames, height, width)
    view.mappings = nn.ModuleList(_MappingInPlatePixels(m, share) for m in model.mappings)
    view._modules["alpha"] = _AlphaInPlatePixels(model.alpha, share)
    view.plate_scale = 1 / max(share)
    return view
