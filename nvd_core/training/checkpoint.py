"""Saving a training: weights, optimiser moments and the number of steps in one file.

`fields/saved_model.py` reads the weights back, and says what else a folder keeps of the networks.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nvd_core.fields.saved_model import MOST_BYTES, VERSION, check_version
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.reading import reading
from nvd_core.runtime.sizes import check_file
from nvd_core.training.progression import KEY, Progression

PREDICTIONS = "early_stop.predictions"
"""a tensor, kept between two looks of `early_stop.py`"""
ERRORS = "error_map."
"""before the names of the arrays of `error_map.py`"""


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimisers: list[torch.optim.Optimizer],
    step: int,
    progression: Progression | None = None,
    predictions: torch.Tensor | None = None,
    errors: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write weights, optimiser moments and the number of finished steps into one file.

    `predictions`: `EarlyStop.predictions`; `errors`: `ErrorMap.state()`.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for i, optimiser in enumerate(optimisers):
        for parameter, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{i}.{parameter}.{name}"] = torch.as_tensor(value)
    metadata = {"version": VERSION, "step": str(step)}
    if progression:
        metadata[KEY] = progression.to_json()
    if predictions is not None:
        tensors[PREDICTIONS] = predictions
    tensors |= {f"{ERRORS}{name}": value for name, value in (errors or {}).items()}
    tensors = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    _write(path, tensors, metadata)


def _write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    with written_beside(path, durable=True) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # so it tells of a disk that refuses
            raise OSError(None, str(error)) from error
        temporary.chmod(0o644)  # safetensors makes it unreadable to others


def copy_checkpoint(source: Path, target: Path, step: int) -> None:
    """Write what is in the checkpoint `source` as one that has seen `step` steps."""
    remedy = "name a folder that `nvd decompose` finished, with all its files"
    with reading(source, "the checkpoint", remedy, also=(SafetensorError,)):
        check_file(source, MOST_BYTES)
        with safe_open(source, "pt") as file:
            version = file.metadata()["version"]
            check_version(source, version)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # what is trained from it looks at itself anew
    tensors = {k: v for k, v in tensors.items() if k != PREDICTIONS and not k.startswith(ERRORS)}
    _write(target, tensors, {"version": version, "step": str(step)})


def checkpoint_step(path: Path) -> int:
    """How many steps the checkpoint at `path` has seen; 0 where there is none.

    NvdError where it is damaged, or of a version that cannot be read.
    """
    if not path.exists():
        return 0
    remedy = "remove the folder and run `nvd decompose` again"
    with reading(path, "the checkpoint", remedy, also=(SafetensorError,)):
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        check_version(path, metadata["version"])
        step = int(metadata["step"])
        if not 0 <= step < 2**31:
            raise ValueError(f"step {step}")
        return step


def load_predictions(path: Path) -> torch.Tensor | None:
    """The predictions [P, 3] in the checkpoint at `path`; None where it has none."""
    remedy = "remove the folder and run `nvd decompose` again"
    with (
        reading(path, "the checkpoint", remedy, also=(SafetensorError,)),
        safe_open(path, "pt") as file,
    ):
        known = PREDICTIONS in file.keys()  # noqa: SIM118
        return file.get_tensor(PREDICTIONS) if known else None


def load_errors(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of `ErrorMap.state()` in the checkpoint at `path`; empty where it has none."""
    remedy = "remove the folder and run `nvd decompose` again"
    with (
        reading(path, "the checkpoint", remedy, also=(SafetensorError,)),
        safe_open(path, "pt") as file,
    ):
        names = [name for name in file.keys() if name.startswith(ERRORS)]  # noqa: SIM118
        return {name.removeprefix(ERRORS): file.get_tensor(name) for name in names}
