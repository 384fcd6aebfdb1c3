"""How far maps that were made from nodes are off, measured where no node was chosen for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nvd_core.fields.inference import FrameLayers, layers_at
from nvd_core.fields.model import LayeredVideo
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.node_maps import SIDE, tiles_of

FILE = "maps/errors.json"
VERSION = 1
PIXELS = 2000
"""of a frame at which the networks are asked again"""
LINES = 4
"""one of so many lines of tiles holds the pixels of a frame: only there its light is decoded"""
MOST = 2_000_000
"""of all frames: of a long clip, fewer a frame"""
KINDS = {"place": "texels", "alpha": "1/255", "light": "1/255"}


Found = list[dict[str, np.ndarray]]
"""by layer: a kind's errors at the pixels of one frame"""


class MapErrors:
    """Compares frames with the networks themselves at random pixels."""

    def __init__(self, model: LayeredVideo, textures: list[tuple[int, int]]) -> None:
        self._model = model
        self._texels = [np.array(size, np.float32) for size in textures]
        self._count = min(PIXELS, max(MOST // model.shape.frames, 1))
        self._found: list[dict[str, list[np.ndarray]]] = [
            {kind: [] for kind in KINDS} for _ in range(model.layers)
        ]

    def lines(self, t: int) -> np.ndarray:
        """The lines of tiles in which frame `t` is looked at, bool [H / SIDE]: one in LINES."""
        count = tiles_of(self._model.shape.height, 1)[0]
        chosen = np.random.default_rng((t, 1)).permutation(count)[: -(-count // LINES)]
        return np.isin(np.arange(count), chosen)

    def of_frame(
        self, t: int, layers: FrameLayers, stored: FrameMaps, to_uv: list[Callable]
    ) -> Found:
        """The errors of frame t: of what is `stored`, which was made of `layers` [L, H, W].

        `to_uv` makes a layer's places, those of the networks, such as are stored.
        """
        model = self._model
        random = np.random.default_rng(t)
        rows = np.flatnonzero(np.repeat(self.lines(t), SIDE)[: model.shape.height])
        ys = rows[random.integers(0, len(rows), self._count)]
        xs = random.integers(0, model.shape.width, self._count)
        exact = layers_at(model, np.stack([xs, ys], -1).astype(np.float32)[None], t)
        errors = []
        for n in range(model.layers):
            alpha = layers.alpha[n, ys, xs]
            own = alpha if layers.own_alpha is None else layers.own_alpha[n, ys, xs]
            found, lit = stored.uva[n, ys, xs], stored.residual[n, ys, xs]
            both = (found[:, 2] > 0) & (exact.alpha[n, 0] > 0)
            place = np.abs(found[:, :2] - to_uv[n](exact.uv[n, 0])) * self._texels[n]
            place = place.max(-1)
            light = np.abs(lit - exact.residual[n, 0]).max(-1)
            # the networks' alpha may have been changed since, as by a matte
            off = (np.abs(own - exact.alpha[n, 0]) + np.abs(found[:, 2] - alpha)) * 255
            errors.append({"place": place[both], "alpha": off, "light": light[both] * 255})
        return errors

    def take(self, errors: Found) -> None:
        """Count what `of_frame` found in a frame."""
        for found, of_layer in zip(self._found, errors, strict=True):
            for kind, values in of_layer.items():
                found[kind].append(values)

    def save(self, folder: Path) -> None:
        """Write maps/errors.json, if any frame was looked at."""
        if not self._found[0]["alpha"]:
            inside(folder, FILE).unlink(missing_ok=True)
            return
        layers = {}
        for name, found in zip(self._model.names, self._found, strict=True):
            errors = {kind: np.concatenate(parts) for kind, parts in found.items()}
            layers[name] = {
                kind: {"max": _rounded(values.max()), "p99.9": _rounded(np.quantile(values, 0.999))}
                for kind, values in errors.items()
                if len(values)
            }
        value = {"version": VERSION, "units": KINDS, "pixels_a_frame": self._count}
        write_json(inside(folder, FILE), value | {"layers": layers}, durable=True)


def _rounded(value: float) -> float:
    return round(float(value), 4)
