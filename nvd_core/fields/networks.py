"""The four kinds of network: mapping, texture, residual and alpha (paper, section 3.4).

P points. Pixel coordinates xy are [P, 2] (x right, y down, centres at whole numbers), frames t are
[P] whole numbers. Texture coordinates uv are [P, 2] within about [-1, 1].
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvd_core.fields.frame_motion import move
from nvd_core.fields.hash_grid.grid import GridLayout, HashGrid
from nvd_core.fields.mlp import Mlp
from nvd_core.runtime.parts import Part
from nvd_core.runtime.time_windows import window_of
from nvd_core.settings import GridSettings, MappingSettings, MlpSettings

SOFTPLUS_ONE = math.log(math.e - 1)
"""softplus of this is 1"""


def make_grid(dims: int, settings: GridSettings, dense: bool = False, finest: int = 0) -> HashGrid:
    """A hash grid from its settings; `finest` stands in where they say -1."""
    kind = "dense" if dense else "hash"
    cells = finest if settings.finest < 0 else settings.finest
    table = dict(features=settings.features, log2_table=settings.log2_table, kind=kind)
    if cells > 0:
        layout = GridLayout.for_finest(
            dims, settings.levels, max(cells, settings.base), base=settings.base, **table
        )
    else:
        layout = GridLayout(dims, settings.levels, base=settings.base, growth=1.25, **table)
    return HashGrid(layout, accumulate_in_place=True)


class PositionalEncoding(nn.Module):
    """Sines and cosines of a point in octaves: Layered Neural Atlases' encoding (ablation).

    Takes points [P, D] in [0, 1] as a hash grid does; of x = 2 p - 1 in [-1, 1] it returns
    sin(2^k pi x) and cos(2^k pi x) for k = 0 .. octaves - 1, [P, 2 D octaves].
    """

    def __init__(self, dims: int, octaves: int) -> None:
        super().__init__()
        self.outputs = 2 * dims * octaves
        frequencies = math.pi * 2.0 ** torch.arange(octaves)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        angles = ((2 * points - 1)[..., None] * self.frequencies).flatten(1)
        return torch.cat([angles.sin(), angles.cos()], -1)


def make_encoding(
    dims: int, grid: GridSettings, octaves: int | None, finest: int = 0
) -> tuple[nn.Module, int]:
    """What turns points [P, dims] in [0, 1] into features, and how many features.

    A hash grid, or a positional encoding where `octaves` is a number.
    """
    if octaves is not None:
        encoding = PositionalEncoding(dims, octaves)
        return encoding, encoding.outputs
    return make_grid(dims, grid, finest=finest), grid.levels * grid.features


class VideoCoordinates(nn.Module):
    """Pixels and frames to the normalised (x, y, t) that networks take (published convention)."""

    def __init__(self, frames: int, height: int, width: int) -> None:
        super().__init__()
        self.half_side = max(width, height) / 2
        self.half_time = frames / 2

    def forward(self, xy: Tensor, t: Tensor) -> Tensor:
        """[P, 3] within [-1, 1]."""
        time = t.to(xy.dtype) / self.half_time - 1
        return torch.cat([xy / self.half_side - 1, time[:, None]], -1)


class IdentityMapping(nn.Module):
    """M_n as published: an MLP of (x, y, t) with tanh; pre-trained towards uv_scale * (x, y)."""

    def __init__(
        self, coordinates: VideoCoordinates, settings: MappingSettings, uv_scale: float
    ) -> None:
        super().__init__()
        self.windows: tuple[tuple[int, int], ...] = ()
        self.parts: tuple[Part, ...] = ()
        self.coordinates = coordinates
        self.uv_scale = uv_scale
        self.pixels_per_unit = coordinates.half_side / uv_scale
        self.mlp = Mlp(3, 2, settings.mlp)

    def same_sheet(self, xy: Tensor, t: Tensor, xy2: Tensor, t2: Tensor) -> Tensor | None:
        """None: all pixels of all frames share one sheet."""
        return None

    def start(self, xy: Tensor, t: Tensor) -> Tensor:
        """Where the mapping is pulled to before the main loop, [P, 2]."""
        return self.coordinates(xy, t)[:, :2] * self.uv_scale

    def forward(self, xy: Tensor, t: Tensor) -> Tensor:
        return self.mlp(self.coordinates(xy, t)).tanh()


class MotionMapping(nn.Module):
    """M_n that starts at a global motion: learnable matrices a frame, plus a smooth deformation.

    uv = q + MLP(grid(q, t), q, t) with q = (I + D_t) B_t (x, y, 1). B_t is the estimated motion,
    scaled so that the layer fills the texture square; D_t (learned, starts at 0) corrects it. The
    deformation lives in the layer's own coordinates q, where what it must express is smooth, and
    takes no gradient to q; where there is a `deformation_mask`, that share of it counts.

    A layer with parts has matrices of each, and `labels` say whose a pixel is.
    """

    labels: Tensor | None

    def __init__(
        self,
        coordinates: VideoCoordinates,
        settings: MappingSettings,
        matrices: Tensor,  # float64 [T, 3, 3], pixels of frame t to texture coordinates; with
        # parts [K T, 3, 3], those of each part one after the other
        pixels_per_unit: float,
        projective: bool,
        deformation_mask: Tensor | None = None,  # [C, C] over the texture square
        windows: Sequence[tuple[int, int]] = (),
        parts: Sequence[Part] = (),
        labels: Tensor | None = None,  # uint8 [T, H, W], the number of each pixel's part
    ) -> None:
        """`windows`: first and last frames that share a part of the texture square."""
        super().__init__()
        self.coordinates = coordinates
        self.windows = tuple(windows)
        self.parts = tuple(parts)
        self.register_buffer("labels", labels)
        numbers = torch.from_numpy(window_of(windows, len(matrices))) if windows else None
        self.register_buffer("window", numbers, persistent=False)
        self.pixels_per_unit = pixels_per_unit
        self.register_buffer("deformation_mask", deformation_mask)
        self.register_buffer("matrices", matrices.float())
        learned = torch.ones(3, 3)
        learned[2] = torch.tensor([1.0, 1.0, 0.0]) if projective else 0.0
        self.register_buffer("learned_entries", learned, persistent=False)
        self.correction = nn.Parameter(torch.zeros_like(self.matrices))
        self.grid = make_grid(3, settings.grid, dense=True) if settings.grid else None
        inputs = 3 + (self.grid.layout.features * self.grid.layout.levels if self.grid else 0)
        self.mlp = Mlp(inputs, 2, settings.mlp, last_scale=1e-2)

    def part_of(self, xy: Tensor, t: Tensor) -> Tensor:
        """The number of the part, int64 [P], that the pixels nearest to xy belong to."""
        if self.labels is None:
            return torch.zeros_like(t)
        _, height, width = self.labels.shape
        column, row = xy.detach().round().long().unbind(-1)
        return self.labels[t, row.clamp(0, height - 1), column.clamp(0, width - 1)].long()

    def same_sheet(self, xy: Tensor, t: Tensor, xy2: Tensor, t2: Tensor) -> Tensor | None:
        """Whether points of two places each [P] are of one window and part; None: all are."""
        same = None if self.window is None else self.window[t] == self.window[t2]
        if self.labels is None:
            return same
        alike = self.part_of(xy, t) == self.part_of(xy2, t2)
        return alike if same is None else alike & same

    def start(self, xy: Tensor, t: Tensor) -> Tensor:
        """The corrected global motion q, [P, 2]."""
        if self.labels is not None:
            t = t + self.part_of(xy, t) * len(self.labels)
        return move(xy, t, self.matrices, self.correction * self.learned_entries)

    def forward(self, xy: Tensor, t: Tensor) -> Tensor:
        q = self.start(xy, t)
        time = (t.to(xy.dtype) / self.coordinates.half_time - 1)[:, None]
        place = torch.cat([q.detach().clamp(-1.5, 1.5), time], -1)
        features = [place]
        if self.grid:
            inside = torch.cat([place[:, :2].clamp(-1, 1), time], -1)
            features.append(self.grid((inside + 1) / 2))
        deformation = 0.1 * self.mlp(torch.cat(features, -1))
        if self.deformation_mask is None:
            return q + deformation
        mask = self.deformation_mask[None, None]
        free = F.grid_sample(mask, place[None, None, :, :2], "bilinear", "border", False)
        return q + free.view(-1, 1) * deformation


class Texture(nn.Module):
    """T_n: uv to colour in [0, 1]."""

    def __init__(
        self, grid: GridSettings, octaves: int | None, mlp: MlpSettings, finest: int
    ) -> None:
        super().__init__()
        self.grid, features = make_encoding(2, grid, octaves, finest)
        self.mlp = Mlp(features, 3, mlp)

    def forward(self, uv: Tensor) -> Tensor:
        return (self.mlp(self.grid((uv.clamp(-1, 1) + 1) / 2)).tanh() + 1) / 2


class Residual(nn.Module):
    """R_n: (u, v, t) to the light that multiplies the colour (or, as an ablation, adds to it)."""

    def __init__(
        self, grid: GridSettings, octaves: int | None, mlp: MlpSettings, kind: str, half_time: float
    ) -> None:
        super().__init__()
        self.kind = kind
        self.half_time = half_time
        self.grid, features = make_encoding(3, grid, octaves)
        self.mlp = Mlp(features, 3, mlp, last_scale=0.1)

    def forward(self, uv: Tensor, t: Tensor) -> Tensor:
        """[P, 3]; positive if multiplicative, in [-1, 1] if additive."""
        time = (t.to(uv.dtype) / self.half_time - 1)[:, None]
        output = self.mlp(self.grid((torch.cat([uv.clamp(-1, 1), time], -1) + 1) / 2))
        if self.kind == "additive":
            return output.tanh()
        return nn.functional.softplus(output + SOFTPLUS_ONE)

    def shade(self, colour: Tensor, residual: Tensor) -> Tensor:
        """The lit colour: l * c (eq. 6), or c + l for the additive ablation."""
        return colour + residual if self.kind == "additive" else colour * residual


class Alpha(nn.Module):
    """A: (x, y, t) to the alphas of all layers, which sum to 1 (eqs. 1 and 5)."""

    def __init__(
        self,
        coordinates: VideoCoordinates,
        grid: GridSettings,
        octaves: int | None,
        mlp: MlpSettings,
        objects: int,
        finest: int,
    ) -> None:
        super().__init__()
        self.coordinates = coordinates
        self.grid, features = make_encoding(3, grid, octaves, finest)
        self.objects = objects
        self.mlp = Mlp(features, max(objects, 1), mlp)  # a background alone has no use for it

    def forward(self, xy: Tensor, t: Tensor) -> Tensor:
        """[P, L], objects front to back, then the background."""
        if not self.objects:
            return 1 - 0 * self._opacity(xy, t)  # still a function of the weights: they are saved
        return layer_alphas(self._opacity(xy, t))

    def opacity(self, xy: Tensor, t: Tensor) -> Tensor:
        """[P, N]: each object's own opacity, before what stands in front is taken away."""
        return self._opacity(xy, t)[:, : self.objects]

    def _opacity(self, xy: Tensor, t: Tensor) -> Tensor:
        return (self.mlp(self.grid((self.coordinates(xy, t) + 1) / 2)).tanh() + 1) / 2


def layer_alphas(raw: Tensor) -> Tensor:
    """Eq. 1: raw opacities [P, N], front to back, to alphas [P, N + 1] that sum to 1."""
    if not raw.shape[-1]:
        return raw.new_ones(len(raw), 1)
    if raw.shape[-1] == 1:  # the same values, at a tenth of what a product's gradient costs
        return torch.cat([raw, 1 - raw], -1)
    left = torch.cumprod(1 - raw, -1)
    in_front = torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], -1)
    return torch.cat([raw * in_front, left[:, -1:]], -1)
