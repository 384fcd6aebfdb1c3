"""Saving and restoring a training: weights and moments as safetensors, the rest as JSON."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from nvd_core.errors import NvdError
from nvd_core.files import written_beside

VERSION = "1"


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimisers: list[torch.optim.Optimizer], step: int
) -> None:
    """Write weights, optimiser moments and the number of finished steps into one file."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for i, optimiser in enumerate(optimisers):
        for parameter, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{i}.{parameter}.{name}"] = torch.as_tensor(value)
    tensors = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    metadata = {"version": VERSION, "step": str(step)}
    with written_beside(path) as temporary:
        save_file(tensors, temporary, metadata)
        temporary.chmod(0o644)  # safetensors makes it unreadable to others


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimisers: list[torch.optim.Optimizer] | None = None
) -> None:
    """Restore what `save_checkpoint` wrote; `optimisers` None restores the weights alone."""
    try:
        tensors = load_file(path)
        weights = {
            name.removeprefix("model."): value
            for name, value in tensors.items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
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


def checkpoint_step(path: Path) -> int:
    """How many steps the checkpoint at `path` has seen; 0 where there is none."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            return int(file.metadata()["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise NvdError(
            f"cannot read the checkpoint {path}",
            found=str(error).splitlines()[0],
            remedy="remove the folder and run `nvd decompose` again",
        ) from error
