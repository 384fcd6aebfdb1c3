"""What the networks say of a frame, as maps into the layers' textures."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from nvd_core.fields.inference import FrameLayers
from nvd_core.shot.maps import LayerMaps


@dataclass(frozen=True)
class TextureFrame:
    """The part of a layer's texture square that is baked, and at how many texels."""

    low: np.ndarray  # [2] smallest network coordinates
    high: np.ndarray  # [2] largest
    width: int
    height: int

    @property
    def texels_per_unit(self) -> float:
        """Texels for 1 of the networks' coordinates, along the axis that has more."""
        return float((np.array([self.width, self.height]) / (self.high - self.low)).max())

    def to_uv(self, network_uv: np.ndarray) -> np.ndarray:
        """Network coordinates [..., 2] to u right, v UP, both clamped to 0..1."""
        uv = (network_uv - self.low.astype(np.float32)) / (self.high - self.low).astype(np.float32)
        uv = uv.clip(0, 1)
        uv[..., 1] = 1 - uv[..., 1]
        return uv


def layer_maps(layers: FrameLayers, layout: list[TextureFrame]) -> list[LayerMaps]:
    """The frame's maps; where a layer does not show, its u and v are 0."""
    maps = []
    for n, frame in enumerate(layout):
        u, v = (np.empty(layers.alpha[n].shape, np.float32) for _ in range(2))
        low = frame.low.astype(np.float32)
        _place(
            layers.uv[n], layers.alpha[n], low, (frame.high - frame.low).astype(np.float32), u, v
        )
        texture = frame.width, frame.height
        maps.append(LayerMaps(u, v, layers.alpha[n], layers.residual[n], texture))
    return maps


@njit(cache=True, nogil=True, error_model="numpy")
def _place(places, alpha, low, size, u, v):
    """`TextureFrame.to_uv` of places [H, W, 2] where the layer shows."""
    zero, one = np.float32(0), np.float32(1)
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            shown = alpha[y, x] > 0
            right = min(max((places[y, x, 0] - low[0]) / size[0], zero), one)
            down = min(max((places[y, x, 1] - low[1]) / size[1], zero), one)
            u[y, x] = right if shown else zero
            v[y, x] = one - down if shown else zero


def without_garbage(uva: np.ndarray, matte: np.ndarray | None) -> np.ndarray:
    """What counts as looked up by a frame's maps, float32 [L, H, W, 3]."""
    if matte is None or not matte.any():
        return uva
    uva = uva.copy()
    uva[:, matte > 0, 2] = 0
    return uva


def hide_garbage(layers: FrameLayers, matte: np.ndarray | None) -> None:
    """Take the layers of a frame back where its matte, uint8 [H, W], has garbage; in place."""
    if matte is None or not matte.any():
        return
    kept = 1 - matte.astype(np.float32) / 255
    layers.alpha *= kept
    layers.residual[layers.alpha == 0] = 1
    if layers.added is not None:
        layers.added *= kept[..., None]


def matte_of(garbage: np.ndarray | None, t: int) -> np.ndarray | None:
    """The matte of frame `t`, uint8 [H, W]."""
    return None if garbage is None else np.array(garbage[t if len(garbage) > 1 else 0])
