"""What a decomposition folder keeps of the networks, and the model that comes of it.

`checkpoint.safetensors` holds the weights; `checkpoint.json`, with the settings, what is needed to
build the networks that they belong to.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from nvd_core.fields.model import ClipShape, LayeredVideo, LayerStart
from nvd_core.runtime.declared import JSON, Fault, Name, read, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.runtime.shown import shown
from nvd_core.settings import load_settings

VERSION = "2"
"""of both files; 2: `freedom` is called `deformation_mask`"""
FILES = ("checkpoint.safetensors", "checkpoint.json", "settings.yaml")
"""what the networks are loaded from"""


@dataclass(frozen=True)
class ShapeFacts:
    """The clip that the networks were trained on."""

    frames: Annotated[int, within(1, 2**31 - 1)]
    height: Annotated[int, within(1, 2**24)]
    width: Annotated[int, within(1, 2**24)]


@dataclass(frozen=True)
class LayerFacts:
    """A layer's name and start."""

    name: Name
    pixels_per_unit: Annotated[float, within(1e-9, 1e9)]
    projective: bool
    deformation_mask: Annotated[int, within(1, 16384)] | None = None
    """cells along a side"""


@dataclass(frozen=True)
class Facts:
    """All that `checkpoint.json` says."""

    version: str
    clip: ShapeFacts
    layers: list[LayerFacts]
    textures: list[Any] | None = None
    """lowest and highest coordinates [2] a layer; `load_texture_boxes` checks them"""


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimisers: list[torch.optim.Optimizer] | None = None
) -> None:
    """Restore what `save_checkpoint` wrote; `optimisers` None restores the weights alone."""
    try:
        tensors = _read_tensors(path)
        weights = {
            name.removeprefix("model."): value
            for name, value in tensors.items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise NvdError(
            f"cannot use the checkpoint {path}",
            found=str(error).splitlines()[0],
            remedy="remove the folder and run `nvd decompose` again",
        ) from error
    for i, optimiser in enumerate(optimisers or []):
        state = optimiser.state_dict()
        for name, value in tensors.items():
            if name.startswith(f"optimiser.{i}."):
                _, _, parameter, key = name.split(".")
                state["state"].setdefault(int(parameter), {})[key] = value
        optimiser.load_state_dict(state)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, under the names of the present version."""
    with safe_open(path, "pt") as file:
        version = file.metadata()["version"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    check_version(path, version)
    if version == "1":
        tensors = {_tensor_of_1(name): value for name, value in tensors.items()}
    return tensors


def _tensor_of_1(name: str) -> str:
    """The present name of a tensor of version 1."""
    if name.startswith("model.mappings.") and name.endswith(".freedom"):
        return name.removesuffix("freedom") + "deformation_mask"
    return name


def _read_facts(folder: Path) -> dict:
    """checkpoint.json, brought to the present version."""
    path = inside(folder, "checkpoint.json")
    facts = read_json(path)
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
        for name, start in zip(names, starts, strict=True)
    ]
    shape = {"frames": shape.frames, "height": shape.height, "width": shape.width}
    facts = {"version": VERSION, "clip": shape, "layers": layers}
    write_json(inside(folder, "checkpoint.json"), facts, durable=True)


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
    try:
        facts = _read_facts(folder)
        boxes = [(np.array(low, float), np.array(high, float)) for low, high in facts["textures"]]
        if any(
            low.shape != (2,) or high.shape != (2,) or (high <= low).any() for low, high in boxes
        ):
            raise ValueError("a box of another form")
        return boxes
    except (Unreadable, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NvdError(
            f"{folder} does not say how its textures lie in the networks' coordinates",
            found=str(error).splitlines()[0],
            remedy="decompose the clip again: an earlier version made this folder",
        ) from error


def _blank_mask(cells: int | None) -> np.ndarray | None:
    """What stands for a deformation mask of so many cells until the checkpoint gives its values."""
    return None if cells is None else np.ones((int(cells), int(cells)), np.float32)


def load_model(folder: Path) -> LayeredVideo:
    """The trained networks of a decomposition folder, on the CPU; NvdError where they are not."""
    missing = [name for name in FILES if not inside(folder, name).is_file()]
    if missing:
        raise NvdError(
            f"{folder} has come without its trained networks",
            expected=f"the files {', '.join(FILES)} in it",
            found=f"no {' and no '.join(missing)}",
            remedy="copy these files too from where the clip was decomposed, or decompose it again",
        )
    try:
        facts = _read_facts(folder)
        shape = ClipShape(**facts["clip"])
        unknown = np.zeros((shape.frames, 3, 3))  # the checkpoint holds the matrices themselves
        starts = [
            LayerStart(
                unknown,
                float(layer["pixels_per_unit"]),
                bool(layer["projective"]),
                _blank_mask(layer.get("deformation_mask")),
            )
            for layer in facts["layers"]
        ]
        names = [layer["name"] for layer in facts["layers"]]
    except (Unreadable, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NvdError(
            f"cannot read {folder / 'checkpoint.json'}",
            found=str(error).splitlines()[0],
            remedy="copy the folder again with all its files, or make it again",
        ) from error
    model = LayeredVideo(shape, names, load_settings(inside(folder, "settings.yaml")), starts)
    load_checkpoint(inside(folder, "checkpoint.safetensors"), model)
    return model
