"""The pictures of the page, gathered while the clip streams through, within a bound of bytes.

BYTES bounds the page of any clip: a share of it is for frames and a share for textures, and
every picture gets its part of one of them. Of a long clip MOST_FRAMES frames are pictured.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from nvd_core.editing.edits import display_colours, read_texture
from nvd_core.editing.frame_kernels import FrameKernels, Textures, painted_names
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.evaluation import pictures
from nvd_core.evaluation.page.encode import Encoder, data_uri
from nvd_core.evaluation.page.heat import LayerHeat, over_frame
from nvd_core.runtime.devices import choose_kind
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

BYTES = 25_000_000
"""of the page, at the most"""
FRAMES_BYTES, TEXTURES_BYTES = 13_000_000, 4_000_000
"""of pictures; as text in the page they take a third more"""
MOST_FRAMES = 120
MATTES = np.array(
    [[0.98, 0.45, 0.22], [0.22, 0.66, 0.98], [0.55, 0.85, 0.25], [0.93, 0.36, 0.80]], np.float32
)
"""colours of the layers' mattes, front to back; the background has none"""

_LONGEST = 960  # longest side of a frame's picture
_LONGEST_OVERLAY = 480
_LONGEST_TEXTURE = 900
_OVERLAY = 0.12  # share of a frame's bytes that an overlay gets


@dataclass
class Pictured:
    """What is shown of a shot: data URIs."""

    numbers: list[int]
    """the frames that are pictured"""
    frames: dict[str, list[str]]
    """by kind (shot, reconstruction, edit, heat, mattes): a picture of each of these"""
    textures: dict[str, dict[str, str]]
    """by layer and kind (texture, painted, seen, heat)"""
    painted: list[str]
    """the layers that have paint on them"""
    problems: list[str] = field(default_factory=list)
    """why an edit is not shown"""


class Gatherer:
    """Takes in the frames in their order; `done` is what they come to."""

    def __init__(self, shot: Shot) -> None:
        self.shot = shot
        count = min(shot.frames, MOST_FRAMES)
        self.numbers = sorted({round(n) for n in np.linspace(0, shot.frames - 1, count)})
        self._wanted = set(self.numbers)
        self.problems: list[str] = []
        self._sheets: Sheets | None = None
        self._deltas = self._painted()
        self._edit = self._edit_kernels()
        self._heats = [
            LayerHeat((layer.texture_width, layer.texture_height), layer.parts)
            for layer in shot.manifest.layers
        ]
        share = FRAMES_BYTES // len(self.numbers)
        small, kinds = int(share * _OVERLAY), ["shot", "reconstruction"]
        kinds += ["edit"] if self._edit else []
        self._encoders = {kind: Encoder((share - 2 * small) // len(kinds)) for kind in kinds}
        self._encoders |= {kind: Encoder(small) for kind in ("heat", "mattes")}
        self._frames: dict[str, list[str]] = {kind: [] for kind in self._encoders}

    def add(self, index: int, true: np.ndarray, image: np.ndarray, maps: FrameMaps) -> None:
        """Take in frame `index`, as shot and as reconstructed, display-encoded [H, W, 3]."""
        if index not in self._wanted:
            return
        size = true.shape[:2]
        heat = over_frame(size, [meter.add(maps, n) for n, meter in enumerate(self._heats)])
        shown: dict[str, Callable[[], np.ndarray]] = {
            "shot": lambda: _frame(true),
            "reconstruction": lambda: _frame(image),
            "edit": lambda: _frame(self._edit.at(index)(true, maps) if self._edit else true),
            "heat": lambda: pictures.shrunk(heat, _LONGEST_OVERLAY),
            "mattes": lambda: _mattes(maps),
        }
        for kind, encoder in self._encoders.items():
            self._frames[kind].append(data_uri(encoder.encode(shown[kind]())))

    def done(self) -> Pictured:
        """All pictures, those of the textures made last."""
        layers = self.shot.names
        share = TEXTURES_BYTES // (4 * len(layers))
        textures = {}
        for n, name in enumerate(layers):
            made = self._texture(n, name)
            textures[name] = {kind: data_uri(Encoder(share).encode(p)) for kind, p in made.items()}
        painted = [layers[n] for n in self._deltas]
        return Pictured(self.numbers, self._frames, textures, painted, self.problems)

    def _painted(self) -> dict[int, np.ndarray]:
        """The deltas of the layers that are painted, by number, in the first frame that shows all
        there may be; an edit that cannot be read is no reason to go without a report.
        """
        deltas = {}
        try:
            self._sheets = Sheets(self.shot)
            self._sheets.check(self.numbers)
            lacking = self._sheets.lacks_kept(self.numbers)
            if lacking:
                said = f"strokes and words that keep their width are left out: {', '.join(lacking)}"
                self.problems.append(f"{said}. What to do: look at a rendering")
            for name in painted_names(self._sheets, self.shot.names, self.numbers):
                first = next((t for t in self.numbers if self._sheets.state(name, t)), 0)
                deltas[self.shot.names.index(name)] = self._sheets.at(name, first).delta
        except NvdError as error:
            self.problems.append(f"{error.problem}. What to do: {error.remedy}")
        return deltas

    def _edit_kernels(self) -> FrameKernels | None:
        if not self._deltas or self._sheets is None:
            return None
        textures = Textures(self._sheets, self.shot.names, "delta")
        return FrameKernels(textures, False, choose_kind("auto"))

    def _texture(self, n: int, name: str) -> dict[str, np.ndarray]:
        colours, alpha = display_colours(read_texture(self.shot, name))
        colours = pictures.shrunk(colours, _LONGEST_TEXTURE)
        seen = np.ones((*colours.shape[:2], 1), np.float32)
        if alpha is not None:
            seen = pictures.shrunk(alpha, _LONGEST_TEXTURE).reshape(seen.shape)
        made = {"texture": pictures.to_bytes(colours), "seen": _seen(colours, seen)}
        if n in self._deltas:
            made["painted"] = _painted_texture(self._deltas[n], colours)
        return made | {"heat": self._heats[n].over_texture(colours)}


def _frame(image: np.ndarray) -> np.ndarray:
    return pictures.to_bytes(pictures.shrunk(np.nan_to_num(image), _LONGEST))


def _mattes(maps: FrameMaps) -> np.ndarray:
    """Every object in its colour with an outline, uint8 RGBA; the background is left clear."""
    alpha = pictures.shrunk(
        np.ascontiguousarray(maps.uva[:-1, ..., 2].transpose(1, 2, 0)), _LONGEST_OVERLAY
    )
    alpha = alpha.reshape(*alpha.shape[:2], -1).clip(0, 1)
    if not alpha.shape[2]:
        return np.zeros((*alpha.shape[:2], 4), np.uint8)
    tints = MATTES[np.arange(alpha.shape[2]) % len(MATTES)]
    total = alpha.sum(2, keepdims=True).clip(0, 1)
    colours = alpha @ tints / np.maximum(alpha.sum(2, keepdims=True), 1e-6)
    return np.dstack([pictures.to_bytes(colours), pictures.to_bytes(0.62 * total)[..., :1]])


def _seen(colours: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A texture in which what no frame shows is hatched, uint8."""
    height, width = colours.shape[:2]
    across = np.add(*np.mgrid[:height, :width])
    stripe = ((across // max(max(height, width) // 110, 3)) % 2)[..., None]
    hatch = np.where(stripe, (0.56, 0.16, 0.42), (0.16, 0.09, 0.15)) * 0.92
    hatch = hatch + 0.10 * colours
    return pictures.to_bytes(np.where(seen > 0.5, colours, hatch))


def _painted_texture(delta: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The learned texture with its paint; `delta` may be of another size."""
    small = pictures.shrunk(delta, max(colours.shape[:2]))
    if small.shape != colours.shape:
        small = cv2.resize(small, colours.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return pictures.to_bytes(colours + small)
