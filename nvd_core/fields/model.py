"""All networks of a clip together: the layered video."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nvd_core.fields.networks import (
    Alpha,
    IdentityMapping,
    MotionMapping,
    Residual,
    Texture,
    VideoCoordinates,
)
from nvd_core.runtime.parts import Part
from nvd_core.settings import Settings


@dataclass(frozen=True)
class ClipShape:
    """Number of frames and their size in pixels."""

    frames: int
    height: int
    width: int


@dataclass(frozen=True)
class LayerStart:
    """Where a layer's mapping starts: one matrix a frame, fitted to the texture square."""

    matrices: np.ndarray  # float64 [T, 3, 3], pixels of frame t to texture coordinates
    pixels_per_unit: float  # pixels of the reference frame in one unit of texture coordinate
    projective: bool  # whether the learned correction may be a homography
    deformation_mask: np.ndarray | None = None  # float32 [C, C] over the texture square: share of
    # the deformation that is let through, 0 to 1; None: all of it
    windows: tuple[tuple[int, int], ...] = ()
    """first and last frames of the layer's windows in time, if it has several"""
    parts: tuple[Part, ...] = ()
    """the rest first, if it has parts; `matrices` are then [K T, 3, 3], part after part"""
    labels: np.ndarray | None = None  # uint8 [T, H, W], the number of each pixel's part


class LayeredVideo(nn.Module):
    """N objects and a background, each with mapping, texture and residual; one alpha network."""

    plate_scale = 1.0
    """pixels of `shape` in one of the size that it was trained at (`plate_view.at_plate`)"""

    def __init__(
        self, shape: ClipShape, names: list[str], settings: Settings, starts: list[LayerStart]
    ) -> None:
        """`names` front to back, the background last; `starts` one a layer (motion start)."""
        super().__init__()
        self.shape = shape
        self.names = names
        self.kind = settings.residual
        positional = settings.encoding == "positional"
        coordinates = VideoCoordinates(shape.frames, shape.height, shape.width)
        self.mappings = nn.ModuleList()
        self.textures = nn.ModuleList()
        self.residuals = nn.ModuleList()
        for n, start in enumerate(starts):
            mask = start.deformation_mask
            if settings.mapping.start == "motion":
                mapping = MotionMapping(
                    coordinates,
                    settings.mapping,
                    torch.from_numpy(start.matrices),
                    start.pixels_per_unit,
                    start.projective,
                    None if mask is None else torch.from_numpy(mask),
                    start.windows,
                    start.parts,
                    None if start.labels is None else torch.from_numpy(start.labels),
                )
            else:
                background = n == len(starts) - 1
                uv_scale = (
                    settings.mapping.scale_background
                    if background
                    else settings.mapping.scale_object
                )
                mapping = IdentityMapping(coordinates, settings.mapping, uv_scale)
            self.mappings.append(mapping)
            finest = round(2 * mapping.pixels_per_unit)
            self.textures.append(
                Texture(
                    settings.texture_grid,
                    settings.texture_octaves if positional else None,
                    settings.texture_mlp,
                    finest,
                )
            )
            self.residuals.append(
                Residual(
                    settings.residual_grid,
                    settings.residual_octaves if positional else None,
                    settings.residual_mlp,
                    settings.residual,
                    coordinates.half_time,
                )
            )
        self.alpha = Alpha(
            coordinates,
            settings.alpha_grid,
            settings.alpha_octaves if positional else None,
            settings.alpha_mlp,
            len(names) - 1,
            max(shape.height, shape.width) // 2,
        )

    @property
    def layers(self) -> int:
        """Number of layers, the background included."""
        return len(self.names)

    def grid_tables(self) -> list[nn.Parameter]:
        """The hash tables of textures, residuals and alpha."""
        deformations = {id(p) for p in self.deformation_tables()}
        tables = [p for name, p in self.named_parameters() if name.endswith("grid.table")]
        return [p for p in tables if id(p) not in deformations]

    def deformation_tables(self) -> list[nn.Parameter]:
        """The grids of the mappings."""
        named = self.mappings.named_parameters()
        return [p for name, p in named if name.endswith("grid.table")]

    def motion_parameters(self) -> list[nn.Parameter]:
        """The per-frame corrections of the motion start; empty with the identity start."""
        return [p for name, p in self.named_parameters() if name.endswith("correction")]

    def mapping_parameters(self) -> list[nn.Parameter]:
        """The weights of the mappings' fully connected networks."""
        return [p for mapping in self.mappings for p in mapping.mlp.parameters()]

    def network_parameters(self) -> list[nn.Parameter]:
        """Everything else: the weights of the other fully connected networks."""
        others = self.grid_tables() + self.deformation_tables()
        others += self.motion_parameters() + self.mapping_parameters()
        special = {id(p) for p in others}
        return [p for p in self.parameters() if id(p) not in special]

    def use_bfloat16(self, on: bool) -> None:
        """Whether colours, light and alpha are trained in mixed precision; mappings never are."""
        for field in (*self.textures, *self.residuals, self.alpha):
            field.mlp.hidden_bfloat16 = on

    def colour(self, n: int, uv: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Texture colour, residual and lit colour of layer n at uv [P, 2]; each [P, 3].

        The residual sees detached coordinates: light may not bend the mapping.
        """
        colour = self.textures[n](uv)
        if self.kind == "none":
            return colour, torch.ones_like(colour), colour
        residual = self.residuals[n](uv.detach(), t)
        return colour, residual, self.residuals[n].shade(colour, residual)

    def composite(self, xy: Tensor, t: Tensor) -> Tensor:
        """Eq. 6: the colours [P, 3] of the clip at pixels xy [P, 2] of frames t [P]."""
        alphas = self.alpha(xy, t)
        lit = [self.colour(n, self.mappings[n](xy, t), t)[2] for n in range(self.layers)]
        return (torch.stack(lit, 1) * alphas[..., None]).sum(1)


OUTLINE_POINTS = 64


def frame_outline(shape: ClipShape, count: int = OUTLINE_POINTS) -> np.ndarray:
    """`count` points along the frame's border, in order, float32 [count, 2]."""
    corners = np.array(
        [
            [0, 0],
            [shape.width - 1, 0],
            [shape.width - 1, shape.height - 1],
            [0, shape.height - 1],
            [0, 0],
        ]
    )
    place = np.linspace(0, 4, count, endpoint=False)
    return np.stack([np.interp(place, range(5), corners[:, k]) for k in (0, 1)], -1).astype("f4")
