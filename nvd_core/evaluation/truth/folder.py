"""Reading a truth folder, a clip of which everything is known (docs/reference/truth-folder.md)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from nvd_core.evaluation.truth.tracks import Tracks, read_tracks
from nvd_core.media.images import image_size, read_image, to_float
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.runtime.array_files import map_npy
from nvd_core.runtime.declared import JSON, Fault, Name, kinds_of, read, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import check_links, inside
from nvd_core.runtime.reading import reading, require_finite, there
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_LAYERS, MOST_PIXELS, MOST_SIDE

SCHEMA, VERSION = "nvd.truth", 1
ALWAYS = ("frames", "masks", "alphas", "painted", "edited", "tracks")
OPTIONAL = ("uv", "flow", "light", "clean", "given")

_REMEDY = "render the truth again with tools/scenes/make_truth_scenes.py"


Colour = Annotated[float, within(-1e3, 1e3)]


@dataclass(frozen=True)
class TruthLayer:
    """One layer as it truly is."""

    name: Name
    kind: Literal["object", "background"]
    paint: tuple[Colour, Colour, Colour]
    """display-encoded colour of the paint on it, unlit"""


@dataclass(frozen=True)
class _Description:
    """What truth.json says."""

    scene: str
    says: str
    program: str
    frames: Annotated[int, within(1, MOST_FRAMES)]
    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]
    layers: Annotated[tuple[TruthLayer, ...], Meta(max_length=MOST_LAYERS)]
    edit_frame: int
    light_scale: Annotated[float, within(1e-6, 1e6)]
    files: dict[str, str]
    edit_frames: Annotated[tuple[int, ...], Meta(max_length=MOST_FRAMES)] = ()


@dataclass(frozen=True)
class Truth:
    """An opened truth folder; images are display-encoded float32, top row first."""

    folder: Path
    scene: str
    says: str
    program: str
    frames: int
    width: int
    height: int
    layers: tuple[TruthLayer, ...]  # front to back, the background last
    edit_frame: int
    light_scale: float
    files: dict[str, str]
    edit_frames: tuple[int, ...] = ()  # in which paint is given, edit_frame first; () = only there

    @classmethod
    def open(cls, folder: Path | str) -> "Truth":
        """Open and check `folder`; NvdError where it is no truth folder or lacks files."""
        folder = Path(folder)
        check_links(folder)
        value = _read_json(inside(folder, "truth.json"))
        known = {key: value[key] for key in kinds_of(_Description) if key in value}
        try:
            said = read(_Description, known, JSON)
        except Fault as fault:
            raise _wrong(folder, f"{fault.key} is {fault.found}", fault.expected) from fault
        truth = cls(folder, **{key: getattr(said, key) for key in kinds_of(_Description)})
        with reading(folder, "the truth", _REMEDY):
            truth._check()
        return truth

    @property
    def names(self) -> list[str]:
        """The layers' names, front to back."""
        return [layer.name for layer in self.layers]

    @property
    def all_edit_frames(self) -> list[int]:
        """The frames in which paint is given, the first one first."""
        return list(dict.fromkeys([self.edit_frame, *self.edit_frames]))

    def has(self, part: str) -> bool:
        """Whether the folder holds `part`, one of OPTIONAL."""
        return part in self.files

    def path(self, part: str, index: int = 0, layer: str = "") -> Path:
        """The file of `part` for frame `index` (and `layer`)."""
        path = self.files[part].replace("<layer>", layer)
        return inside(self.folder, frame_path(path, index) if is_pattern(path) else path)

    def frame(self, index: int) -> np.ndarray:  # [H, W, 3]
        """The clip itself."""
        return self._read(self.path("frames", index), 3)

    def edited(self, index: int) -> np.ndarray:  # [H, W, 3]
        """The frame rendered again with paint on the true surfaces."""
        image = self._read(self.path("edited", index), 4)
        return np.where(image[..., 3:] > 0.5, image[..., :3], self.frame(index))

    def alpha(self, index: int) -> np.ndarray:  # [L, H, W]
        """Share of each pixel that each layer takes; they sum to 1."""
        names = self.names[:-1]
        alphas = [self._read(self.path("alphas", index, name), 1)[..., 0] for name in names]
        return np.stack([*alphas, (1 - sum(alphas)).clip(0, 1)])

    def painted(self, index: int) -> np.ndarray:  # [L, H, W]
        """Share of each pixel that is paint on each layer."""
        paths = [self.path("painted", index, name) for name in self.names]
        return np.stack([self._read(path, 1)[..., 0] for path in paths])

    def given(self, index: int) -> np.ndarray | None:  # [L, H, W]
        """Share of each pixel that is paint which `edit_frame` shows; None where not known."""
        if not self.has("given"):
            return None
        paths = [self.path("given", index, name) for name in self.names]
        return np.stack([self._read(path, 1)[..., 0] for path in paths])

    def light(self, index: int) -> np.ndarray | None:  # [H, W, 3]
        """What the light multiplies display-encoded colours by; None where it was left out."""
        if not self.has("light"):
            return None
        return self._read(self.path("light", index), 3) * np.float32(self.light_scale)

    def flow(self, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Flow [H, W, 2] from frame `index` to the next, and where it can be followed, bool."""
        if not self.has("flow"):
            return None
        folder = inside(self.folder, self.files["flow"])
        arrays = []
        pairs = self.frames - 1, self.height, self.width
        for name, shape in (("forward", (*pairs, 2)), ("ok", (2, *pairs))):
            path = inside(folder, f"{name}.npy")
            with reading(path, "the flow", _REMEDY):
                arrays.append(map_npy(path))
                if arrays[-1].shape != shape:
                    raise ValueError(f"{list(arrays[-1].shape)}, not {list(shape)}")
        with reading(folder, "the flow", _REMEDY):
            flow = require_finite(np.asarray(arrays[0][index], np.float32), "it")
        return flow, arrays[1][0, index].astype(bool)

    def tracks(self) -> Tracks:
        """Points of all layers with their true pixels."""
        size = self.width, self.height
        return read_tracks(self.path("tracks"), self.frames, *size, len(self.layers))

    def _read(self, path: Path, channels: int) -> np.ndarray:
        size = image_size(path)
        image = to_float(read_image(path)) if size == (self.height, self.width) else None
        if image is None or image.shape[2] != channels:
            expected = f"{self.width} x {self.height} x {channels}"
            found = f"{size[1]} x {size[0]}" + ("" if image is None else f" x {image.shape[2]}")
            raise _wrong(path, found, expected)
        if not np.isfinite(image).all():
            raise _wrong(path, "NaN or infinity", "finite values")
        return image

    def _check(self) -> None:
        """NvdError where a value makes no sense or a file is missing."""
        if self.width * self.height > MOST_PIXELS:
            raise _wrong(self.folder, f"{self.width} x {self.height}", f"{MOST_PIXELS} pixels")
        kinds = [layer.kind for layer in self.layers]
        if len(kinds) < 2 or kinds != ["object"] * (len(kinds) - 1) + ["background"]:
            raise _wrong(self.folder, f"layers {kinds}", "objects, then one background")
        if len(set(self.names)) != len(self.names):
            raise _wrong(self.folder, f"layers {self.names}", "a name for each layer")
        for edit in self.all_edit_frames:
            if not 0 <= edit < self.frames or self.frames < 2:
                raise _wrong(self.folder, f"edit_frame {edit} of {self.frames}", "a frame")
        missing = [part for part in ALWAYS if part not in self.files]
        unknown = set(self.files) - {*ALWAYS, *OPTIONAL}
        if missing or unknown:
            raise _wrong(self.folder, f"files {sorted(self.files)}", f"at least {list(ALWAYS)}")
        for part in self.files:
            for name in self.names if "<layer>" in self.files[part] else [""]:
                if part in ("alphas", "masks") and name == self.names[-1]:
                    continue  # the background takes what is left
                for index in (0, self.frames - 1):
                    if not there(self.path(part, index, name).exists):
                        raise _wrong(self.folder, f"no {self.path(part, index, name)}", "all files")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except Unreadable as error:
        if not there(path.exists):
            raise _wrong(path.parent, f"no file {path.name} in it", "a truth folder") from error
        raise _wrong(path, str(error), "JSON") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _wrong(path, "another schema", SCHEMA)
    if value.get("version") != VERSION:
        raise _wrong(path, f"version {shown(value.get('version'))}", f"version {VERSION}")
    return value


def _wrong(path: Path, found: str, expected: str) -> NvdError:
    return NvdError(
        f"{path} is not as a truth should be", expected=expected, found=found, remedy=_REMEDY
    )
