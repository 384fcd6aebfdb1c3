"""Figures that say how good a decomposition is, each over whole clips without holding them.

Images are display-encoded float32 [H, W, 3] with values 0..1.
"""

import math
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from nvd_core.priors.pieces import apart
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_borders, part_numbers

BEST_PSNR = 100.0
"""dB, what equal images are given in place of infinity"""
OPAQUE = 0.5
"""alpha above which a pixel belongs to a layer"""


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB for values 0..1, at most BEST_PSNR."""
    if mean_squared_error <= 0:
        return BEST_PSNR
    return min(-10 * math.log10(mean_squared_error), BEST_PSNR)


def squared_error(image: np.ndarray, true: np.ndarray) -> float:
    """The mean squared error over all pixels and channels."""
    if image.shape != true.shape:
        raise ValueError(f"expected two images of one shape, got {image.shape} and {true.shape}")
    difference = image.astype(np.float64) - true
    return float(np.mean(difference * difference))


def ssim(
    image: np.ndarray,  # [H, W, 3]
    true: np.ndarray,  # [H, W, 3]
) -> float:
    """Structural similarity (torchmetrics): Gaussian window, sigma 1.5, data range 1."""
    ours, wanted = (
        torch.from_numpy(np.ascontiguousarray(a)).movedim(-1, 0)[None] for a in (image, true)
    )
    found = structural_similarity_index_measure(ours, wanted, data_range=1.0)
    return float(cast(torch.Tensor, found))  # a pair only where the whole picture is asked for


@dataclass
class PsnrMeter:
    """PSNR of a clip from its overall mean squared error: not the mean of its frames' PSNR."""

    errors: list[float] = field(default_factory=list)  # of every frame

    def add(self, image: np.ndarray, true: np.ndarray, share: float = 1.0) -> float:
        """Take in a frame, of which a `share` is measured and the rest equal; returns its PSNR."""
        self.errors.append(squared_error(image, true) / share)
        return psnr(self.errors[-1])

    @property
    def value(self) -> float:
        """PSNR over all pixels of all frames so far."""
        return psnr(sum(self.errors) / len(self.errors))

    @property
    def per_frame(self) -> list[float]:
        """PSNR of each frame."""
        return [psnr(error) for error in self.errors]


@dataclass
class LayerPsnrMeter:
    """PSNR over a layer's own pixels of all frames: those where its alpha is above OPAQUE."""

    error: float = 0.0  # sum of squares
    values: int = 0

    def add(self, image: np.ndarray, true: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame [H, W, 3], what it should be, and the layer's alpha [H, W]."""
        inside = alpha > OPAQUE
        difference = image[inside].astype(np.float64) - true[inside]
        self.error += float(np.sum(difference * difference))
        self.values += difference.size

    @property
    def value(self) -> float | None:
        """dB; None for a layer without pixels."""
        return psnr(self.error / self.values) if self.values else None


@dataclass
class IouMeter:
    """Agreement of a layer's alpha with its mask: intersections by unions, both summed up."""

    intersections: int = 0
    unions: int = 0

    def add(self, alpha: np.ndarray, mask: np.ndarray) -> None:
        """Take in a frame: alpha [H, W] 0..1 and its mask [H, W] 0..255."""
        if alpha.shape != mask.shape:
            raise ValueError(f"expected a mask of shape {alpha.shape}, got {mask.shape}")
        ours, given = alpha > OPAQUE, mask > 127
        self.intersections += int(np.count_nonzero(ours & given))
        self.unions += int(np.count_nonzero(ours | given))

    @property
    def value(self) -> float | None:
        """The ratio, 1 at best; None where neither alpha nor mask ever had a pixel."""
        return self.intersections / self.unions if self.unions else None


@dataclass
class PiecesMeter:
    """The share of a layer's pixels outside its largest piece, over all frames."""

    outside: int = 0
    whole: int = 0

    def add(self, alpha: np.ndarray) -> None:
        """Take in a frame's alpha [H, W], 0..1."""
        outside, whole = apart(alpha > OPAQUE)
        self.outside += outside
        self.whole += whole

    @property
    def value(self) -> float | None:
        """The share, 0 at best; None where the layer never had a pixel."""
        return self.outside / self.whole if self.whole else None


@dataclass
class FoldMeter:
    """The share of a layer's pixels where its mapping is turned over: paint appears mirrored.

    The sign of the determinant of the forward differences of (u, v) along x and y should be the
    same everywhere; the rarer sign counts as folded. Only pixels count that belong to the layer
    together with their right and lower neighbours. A determinant of 0 is not folded.
    """

    positive: int = 0
    negative: int = 0
    total: int = 0
    parts: tuple[PartRecord, ...] = ()
    """of the layer; neighbours of different ones do not count"""

    def add(self, maps: FrameMaps, n: int) -> None:
        """Take in layer `n` of a frame."""
        # float32 loses the sign of small determinants
        u, v = (maps.uva[n, ..., c].astype(np.float64) for c in (0, 1))
        inside = maps.uva[n, ..., 2] > OPAQUE
        inside = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1]
        if self.parts:
            inside &= ~part_borders(part_numbers(self.parts, u, v))[:-1, :-1]
        ux, vx = (np.diff(a[:-1], axis=1)[inside] for a in (u, v))
        uy, vy = (np.diff(a[:, :-1], axis=0)[inside] for a in (u, v))
        determinant = ux * vy - uy * vx
        self.positive += int(np.count_nonzero(determinant > 0))
        self.negative += int(np.count_nonzero(determinant < 0))
        self.total += len(determinant)

    @property
    def folded(self) -> int:
        """How many pixels are folded."""
        return min(self.positive, self.negative)

    @property
    def value(self) -> float | None:
        """The folded share, 0 at best; None for a layer without pixels."""
        return self.folded / self.total if self.total else None
