"""All that is measured of one layer while a clip streams through."""

import numpy as np

from nvd_core.evaluation.flicker import FlickerMeter
from nvd_core.evaluation.metrics import FoldMeter, IouMeter, LayerPsnrMeter, PiecesMeter
from nvd_core.evaluation.stretch import StretchMeter
from nvd_core.shot.manifest import LayerRecord
from nvd_core.shot.maps import FrameMaps


class LayerMeters:
    """The meters of a layer; `masks` is how many frames have a mask of it."""

    def __init__(self, layer: LayerRecord, pixel: float = 1.0, texture_size: int = 1) -> None:
        """`pixel`: of the plate, in one that was looked at; textures are `texture_size` times as
        large as that size asks for. Stretch and flicker are told in pixels that were looked at.
        """
        share = pixel / texture_size
        size = layer.texture_width * share, layer.texture_height * share
        self.folds, self.stretch = FoldMeter(parts=layer.parts), StretchMeter(size, layer.parts)
        self.flicker = FlickerMeter(size, pixel, layer.windows, layer.parts)
        self.full, self.without_residual = LayerPsnrMeter(), LayerPsnrMeter()
        self.iou, self.masks = IouMeter(), 0
        self.pieces = PiecesMeter() if layer.kind == "object" else None

    def add(
        self,
        maps: FrameMaps,
        n: int,
        true: np.ndarray,  # [H, W, 3]
        image: np.ndarray,  # [H, W, 3], the reconstruction
        unlit: np.ndarray,  # [H, W, 3], the same without light
        mask: np.ndarray | None,  # [H, W], 0..255
    ) -> None:
        """Take in layer `n` of the next frame, with the mask that was given for it."""
        alpha = maps.uva[n, ..., 2]
        self.folds.add(maps, n)
        self.stretch.add(maps, n)
        self.flicker.add(maps, n)
        if self.pieces:  # what is left of a background hangs together or not
            self.pieces.add(alpha)
        self.full.add(image, true, alpha)
        self.without_residual.add(unlit, true, alpha)
        if mask is not None:
            self.iou.add(alpha, mask)
            self.masks += 1
