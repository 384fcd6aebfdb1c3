"""A layer's maps in one frame, in whichever form the folder has them; no bpy, for threads."""

import numpy as np

from .exr import read_channels
from .folder import Shot
from .map_file import chunk
from .node_maps import LayerNodes, full_maps, read_layer

_CHANNELS = ("Map.X", "Map.Y", "Map.Z", "Residual.R", "Residual.G", "Residual.B")
_FINE = ("Fine.X", "Fine.Y")  # added to Map where the texture is large

Maps = np.ndarray | LayerNodes


def read_maps(shot: Shot, frame: int, layer: str) -> Maps:
    """float32 [H, W, 6] (u, v, alpha, residual), top row first, or the nodes of compact ones.

    MapsError where the file cannot be read.
    """
    size = shot.width, shot.height
    compact = chunk(shot, frame)
    if compact is not None:
        return read_layer(compact, frame, layer, size)
    names = [f"{layer}.{channel}" for channel in _CHANNELS]
    fine = tuple(f"{layer}.{channel}" for channel in _FINE)
    planes = read_channels(shot.map(frame), [*names, *fine], optional=fine, size=size)
    planes[:2] += planes[6:]
    return np.ascontiguousarray(planes[:6].transpose(1, 2, 0))


def read_alpha(shot: Shot, frame: int, layer: str) -> np.ndarray:
    """How much of each pixel shows the layer, float32 [H, W], top row first; MapsError as above."""
    return read_plain(shot, frame, layer)[..., 2]


def read_plain(shot: Shot, frame: int, layer: str) -> np.ndarray:
    """The same as float32 [H, W, 6] whatever form it has."""
    maps = read_maps(shot, frame, layer)
    return full_maps(maps) if isinstance(maps, LayerNodes) else maps
