"""Training does not import torch's compiler, and its Adam is torch's."""

import subprocess
import sys

import pytest
import torch

from nvd_core.training.no_compiler import Adam

pytestmark = pytest.mark.slow

SCRIPT = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._dynamo":
            raise SystemExit("torch._dynamo was imported")

sys.meta_path.insert(0, Refused())
from nvd_core.cli.main import main

sys.exit(main(sys.argv[1:]))
"""
SETTINGS = """
iterations: 12
points: 200
texture_grid: {levels: 2, log2_table: 8}
residual_grid: {levels: 2, log2_table: 8}
alpha_grid: {levels: 2, log2_table: 8}
"""


def test_a_decomposition_goes_without(tmp_path, tiny_clip):
    tiny_clip.write(tmp_path)
    (tmp_path / "small.yaml").write_text(SETTINGS)
    words = [tmp_path / "frames", "--out", tmp_path / "shot.nvd", "--settings"]
    command = [sys.executable, "-c", SCRIPT, "decompose", *words, tmp_path / "small.yaml"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_torchs_adam_bit_for_bit():
    def trained(kind: type[torch.optim.Optimizer]) -> tuple[torch.Tensor, dict]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optimiser = kind([{"params": layer.parameters(), "lr": 0.01}], fused=True)
        for _ in range(4):
            optimiser.zero_grad()
            layer(torch.rand(7, 5)).square().sum().backward()
            optimiser.step()
        return layer.weight, optimiser.state_dict()

    (weight, state), (expected, expected_state) = trained(Adam), trained(torch.optim.Adam)
    assert torch.equal(weight, expected)
    for number, values in expected_state["state"].items():
        for name, value in values.items():
            assert torch.equal(state["state"][number][name], value)
    assert state["param_groups"] == expected_state["param_groups"]
