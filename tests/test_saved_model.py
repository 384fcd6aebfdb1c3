"""Checkpoints have a version: older ones are upgraded, others refused."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nvd_core.fields.model import ClipShape, LayeredVideo, LayerStart
from nvd_core.fields.saved_model import load_model, save_architecture
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import Settings, save_settings
from nvd_core.training.checkpoint import save_checkpoint


@pytest.fixture
def folder(tmp_path):
    """Networks as the present version saves them; the background has a deformation mask."""
    shape, settings = ClipShape(3, 24, 32), Settings()
    matrices = np.stack([np.diag([0.05, 0.05, 1.0])] * 3)
    mask = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    starts = [LayerStart(matrices, 20.0, False), LayerStart(matrices, 20.0, True, mask)]
    names = ["disc", "background"]
    save_settings(settings, tmp_path / "settings.yaml")
    save_architecture(tmp_path, shape, names, starts)
    model = LayeredVideo(shape, names, settings, starts)
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, [], 7)
    return tmp_path


def rewrite(folder, version: str, rename) -> None:
    """Both files as another version would have written them."""
    path = folder / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        tensors = {rename(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() | {"version": version}
    save_file(tensors, path, metadata)
    facts = json.loads((folder / "checkpoint.json").read_text())
    facts["version"] = version
    facts["layers"] = [{rename(k): v for k, v in layer.items()} for layer in facts["layers"]]
    (folder / "checkpoint.json").write_text(json.dumps(facts))


def test_version_1_is_upgraded(folder):
    new = load_model(folder).state_dict()
    rewrite(folder, "1", lambda name: name.replace("deformation_mask", "freedom"))
    old = load_model(folder).state_dict()
    assert new.keys() == old.keys() and "mappings.1.deformation_mask" in new
    assert all(torch.equal(new[name], old[name]) for name in new)


def test_a_version_to_come_is_refused(folder):
    rewrite(folder, "99", lambda name: name)
    with pytest.raises(NvdError, match="another version"):
        load_model(folder)
