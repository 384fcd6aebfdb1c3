"""What a decomposition folder keeps of the networks, and the model that comes of it.

`checkpoint.safetensors` holds the weights; `checkpoint.json`, with the settings, what is needed to
build the networks that they belong to.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from safetensors import SafetensorError, safe_open

from nvd_core.fields.model import ClipShape, LayeredVideo, LayerStart
from nvd_core.runtime.declared import JSON, Fault, Name, read, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.runtime.parts import MOST_PARTS, Part
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_LAYERS, check_file
from nvd_core.runtime.time_windows import Window, covers
from nvd_core.settings import Settings, load_settings

VERSION = "2"
"""of both files; 2: `freedom` is called `deformation_mask`"""
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
"""what an optimiser keeps of a parameter"""
MOST_BYTES = 1 << 35
"""of a checkpoint"""
_FARTHEST = 1e6
_Side = Annotated[float, within(-8, 8)]
_REMEDY = "remove the folder and run `nvd decompose` again"
_AGAIN = "copy the folder again with all its files, or make it again"
FILES = ("checkpoint.safetensors", "checkpoint.json", "settings.yaml")
"""what the networks are loaded from"""


@dataclass(frozen=True)
class ShapeFacts:
    """The clip that the networks were trained on."""

    frames: Annotated[int, within(1, MOST_FRAMES)]
    height: Annotated[int, within(1, 2**24)]
    width: Annotated[int, within(1, 2**24)]


@dataclass(frozen=True)
class PartFacts:
    """A part's name and its cell of the texture square."""

    name: Name
    cell: tuple[_Side, _Side, _Side, _Side]


@dataclass(frozen=True)
class LayerFacts:
    """A layer's name and start."""

    name: Name
    pixels_per_unit: Annotated[float, within(1e-9, 1e9)]
    projective: bool
    deformation_mask: Annotated[int, within(1, 16384)] | None = None
    """cells along a side"""
    windows: list[tuple[int, int]] = field(default_factory=list)
    parts: Annotated[list[PartFacts], Meta(max_length=MOST_PARTS)] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """All that `checkpoint.json` says."""

    version: str
    clip: ShapeFacts
    layers: Annotated[list[LayerFacts], Meta(min_length=1, max_length=MOST_LAYERS)]
    textures: list[Any] | None = None
    """lowest and highest coordinates [2] a layer; `load_texture_boxes` checks them"""


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimisers: list[torch.optim.Optimizer] | None = None
) -> None:
    """Restore what `save_checkpoint` wrote; `optimisers` None restores the weights alone."""
    with reading(path, "the checkpoint", _REMEDY, also=(SafetensorError,)):
        tensors = _read_tensors(path)
        for name, value in tensors.items():
            if value.is_floating_point() and not value.isfinite().all():
                raise Unreadable(f"NaN or infinity in {name}")
        weights = {
            name.removeprefix("model."): value
            for name, value in tensors.items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
        for i, optimiser in enumerate(optimisers or []):
            _load_moments(tensors, i, optimiser)


def _load_moments(
    tensors: dict[str, torch.Tensor], i: int, optimiser: torch.optim.Optimizer
) -> None:
    """Restore the moments of the optimiser number `i`; Unreadable where they do not fit."""
    state = optimiser.state_dict()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"optimiser.{i}."):
            _, _, parameter, key = name.split(".")
            moments.setdefault(int(parameter), {})[key] = value
    if parameters and not moments:
        raise Unreadable(f"no moments of optimiser {i}")
    for number, of_parameter in moments.items():
        if set(of_parameter) != MOMENTS:
            raise Unreadable(f"moments {', '.join(of_parameter)[:80]} of parameter {number}")
        shapes = [of_parameter[key].shape for key in sorted(MOMENTS - {"step"})]
        if any(shape != parameters[number].shape for shape in shapes):
            raise Unreadable(f"moments of another size for parameter {number}")
        if of_parameter["step"].numel() != 1 or float(of_parameter["step"]) < 1:
            raise Unreadable(f"a step of parameter {number} that is no number from 1")
        if bool((of_parameter["exp_avg_sq"] < 0).any()):
            raise Unreadable(f"a negative square in the moments of parameter {number}")
    optimiser.load_state_dict(state | {"state": moments})


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, under the names of the present version."""
    check_file(path, MOST_BYTES)
    with safe_open(path, "pt") as file:
        version = _version_of(path, file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if version == "1":
        tensors = {_tensor_of_1(name): value for name, value in tensors.items()}
    return tensors


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a checkpoint's weights by name, from its header alone."""
    with safe_open(path, "pt") as file:
        version = _version_of(path, file.metadata())
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if version == "1":
        shapes = {_tensor_of_1(name): shape for name, shape in shapes.items()}
    return {
        name.removeprefix("model."): shape
        for name, shape in shapes.items()
        if name.startswith("model.")
    }


def _version_of(path: Path, metadata: dict[str, str] | None) -> str:
    if not metadata or "version" not in metadata:
        raise Unreadable("no version in it")
    check_version(path, metadata["version"])
    return metadata["version"]


def _tensor_of_1(name: str) -> str:
    """The present name of a tensor of version 1."""
    if name.startswith("model.mappings.") and name.endswith(".freedom"):
        return name.removesuffix("freedom") + "deformation_mask"
    return name


def _read_facts(folder: Path) -> dict:
    """checkpoint.json, brought to the present version."""
    path = inside(folder, "checkpoint.json")
    facts = read_json(path)
    if not isinstance(facts, dict):
        raise Unreadable(f"it is {shown(facts, 40)}")
    version = facts["version"]
    check_version(path, version)
    if version == "1":
        for layer in facts["layers"]:
            layer["deformation_mask"] = layer.pop("freedom", None)
    facts = facts | {"version": VERSION}
    try:
        read(Facts, facts, JSON)
    except Fault as fault:
        found = f"{fault.key} {fault.found}, not {fault.expected}"
        raise Unreadable(f"{fault.what} {fault.key}" if not fault.expected else found) from fault
    return facts


def check_version(path: Path, version: object) -> None:
    """NvdError where a file of this `version` cannot be read."""
    if version not in ("1", VERSION):
        raise NvdError(
            f"{path} was written by another version of the program",
            expected=f"version 1 or {VERSION}",
            found=shown(version),
            remedy="bring nvd up to date, or decompose the clip again",
        )


def save_architecture(folder: Path, shape: ClipShape, names: list[str], starts: list[LayerStart]):
    """Write `folder`/checkpoint.json: the clip's shape, and each layer's name and start."""
    layers = [
        {
            "name": name,
            "pixels_per_unit": start.pixels_per_unit,
            "projective": start.projective,
            "deformation_mask": _cells(start.deformation_mask),
        }
        | ({"windows": [list(window) for window in start.windows]} if start.windows else {})
        | ({"parts": [asdict(part) for part in start.parts]} if start.parts else {})
        for name, start in zip(names, starts, strict=True)
    ]
    shape = {"frames": shape.frames, "height": shape.height, "width": shape.width}
    facts = {"version": VERSION, "clip": shape, "layers": layers}
    write_json(inside(folder, "checkpoint.json"), facts, durable=True)


def copy_architecture(source: Path, target: Path) -> None:
    """Write the `source` folder's checkpoint.json into `target`, as that of a training begun."""
    with reading(source / "checkpoint.json", "what is known of the networks in", _AGAIN):
        facts = _read_facts(source)
    write_json(inside(target, "checkpoint.json"), {**facts, "textures": None}, durable=True)


def _cells(mask: np.ndarray | None) -> int | None:
    """Cells along a side of a deformation mask; its values are in the checkpoint."""
    return None if mask is None else len(mask)


def save_texture_boxes(folder: Path, boxes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Note in `folder`/checkpoint.json which box of network coordinates each texture shows.

    Lowest and highest coordinates [2] a layer: what ties the networks to the baked textures.
    """
    path = inside(folder, "checkpoint.json")
    facts = _read_facts(folder)
    facts["textures"] = [[low.tolist(), high.tolist()] for low, high in boxes]
    write_json(path, facts, durable=True)


def load_texture_boxes(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """What `save_texture_boxes` noted; NvdError where it has not."""
    problem = f"{folder} does not say how its textures lie in the networks' coordinates"
    again = "decompose the clip again: an earlier version made this folder"
    with reading(folder / "checkpoint.json", "the boxes of", again, problem=problem):
        facts = _read_facts(folder)
        if facts.get("textures") is None:
            raise Unreadable("no textures in checkpoint.json")
        boxes = [(np.array(low, float), np.array(high, float)) for low, high in facts["textures"]]
        for low, high in boxes:
            fits = low.shape == (2,) == high.shape and (high > low).all()
            if not fits or max(np.abs(low).max(), np.abs(high).max()) > _FARTHEST:
                raise Unreadable("a box of another form")
    return boxes


def _blank_mask(cells: int | None) -> np.ndarray | None:
    """What stands for a deformation mask of so many cells until the checkpoint gives its values."""
    return None if cells is None else np.ones((int(cells), int(cells)), np.float32)


def _windows(layer: dict, frames: int) -> tuple[Window, ...]:
    windows = tuple((first, last) for first, last in layer.get("windows", []))
    if not covers(windows, frames):
        raise Unreadable("windows that do not cover the frames")
    return windows


def _parts(layer: dict) -> tuple[Part, ...]:
    parts = (PartFacts(**part) for part in layer.get("parts", []))
    return tuple(Part(part.name, tuple(part.cell)) for part in parts)


def load_model(folder: Path) -> LayeredVideo:
    """The trained networks of a decomposition folder, on the CPU; NvdError where they are not."""
    missing = [name for name in FILES if not there(inside(folder, name).is_file)]
    if missing:
        raise NvdError(
            f"{folder} has come without its trained networks",
            expected=f"the files {', '.join(FILES)} in it",
            found=f"no {' and no '.join(missing)}",
            remedy="copy these files too from where the clip was decomposed, or decompose it again",
        )
    path = inside(folder, "checkpoint.safetensors")
    settings = load_settings(inside(folder, "settings.yaml"))
    with reading(folder / "checkpoint.json", "what is known of the networks in", _AGAIN):
        facts = _read_facts(folder)
        shape = ClipShape(**facts["clip"])
        names = [layer["name"] for layer in facts["layers"]]
    with reading(path, "the checkpoint", _AGAIN, also=(SafetensorError,)):
        stored = _read_shapes(path)
        _check_claims(facts, stored, settings)
        # the checkpoint holds matrices and labels themselves
        size = shape.frames, shape.height, shape.width
        starts = [
            LayerStart(
                np.zeros((shape.frames * max(len(layer.get("parts", [])), 1), 3, 3)),
                float(layer["pixels_per_unit"]),
                bool(layer["projective"]),
                _blank_mask(layer.get("deformation_mask")),
                _windows(layer, shape.frames),
                _parts(layer),
                np.zeros(size, np.uint8) if layer.get("parts") else None,
            )
            for layer in facts["layers"]
        ]
        with torch.device("meta"):  # of which only the shapes are there
            wanted = LayeredVideo(shape, names, settings, starts).state_dict()
        for name in wanted.keys() | stored.keys():
            there_, here = stored.get(name, "nothing"), wanted.get(name)
            asked = "nothing" if here is None else tuple(here.shape)
            if there_ != asked:
                raise Unreadable(f"{there_} for {name[:80]}, not {asked}")
    model = LayeredVideo(shape, names, settings, starts)
    load_checkpoint(path, model)
    return model


def _check_claims(facts: dict, stored: dict[str, tuple[int, ...]], settings: Settings) -> None:
    """Unreadable where checkpoint.json claims sizes that the checkpoint has not."""
    if settings.mapping.start != "motion":
        return
    for n, layer in enumerate(facts["layers"]):
        clip, parts = facts["clip"], len(layer.get("parts", []))
        claims: dict[str, tuple[int, ...]] = {"matrices": (clip["frames"] * max(parts, 1), 3, 3)}
        if parts:
            claims["labels"] = clip["frames"], clip["height"], clip["width"]
        if layer.get("deformation_mask") is not None:
            claims["deformation_mask"] = (layer["deformation_mask"],) * 2
        for name, shape in claims.items():
            if stored.get(f"mappings.{n}.{name}") != shape:
                raise Unreadable(f"no {name} {shape} of layer {n}, as checkpoint.json has it")
