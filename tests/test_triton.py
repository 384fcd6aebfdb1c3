"""Triton: found where it works, missed where it does not, and its kernels compile for GPUs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nvd_core.runtime.devices import PROBE, triton_works

pytestmark = pytest.mark.slow

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: its kernels are NOT tested",
)
HERE = Path(__file__).parent


def run(*arguments: str, **environment: str) -> str:
    """A child process with Python, not under the interpreter of Triton; what it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=HERE.parent, env=kept | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_engine_does_not_import_triton():
    """Nor need it: every module but Triton's own is imported with triton made impossible."""
    code = """
import importlib, pkgutil, sys
sys.modules["triton"] = None
import nvd_core
for module in pkgutil.walk_packages(nvd_core.__path__, "nvd_core."):
    if "triton" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from nvd_core.fields.hash_grid.grid import GridLayout, HashGrid
import torch
print(HashGrid(GridLayout(2, 2))(torch.rand(3, 2)).shape)
"""
    assert "torch.Size([3, 4])" in run("-c", code)


@needs_triton
def test_a_triton_that_fails_is_said_and_not_used(monkeypatch):
    from nvd_core.runtime import triton_probe

    def broken(device):
        raise RuntimeError("Failed to find C compiler.\nmore")

    triton_works.cache_clear()
    monkeypatch.setattr(triton_probe, "probe", broken)
    with pytest.warns(UserWarning, match=r"is not used: Failed to find C compiler\.$"):
        assert not triton_works(torch.device("cpu"))
    triton_works.cache_clear()


def test_without_triton_nothing_is_said(monkeypatch, recwarn):
    triton_works.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not triton_works(torch.device("cpu"))
    assert not recwarn.list
    triton_works.cache_clear()


@needs_triton
def test_every_kernel_compiles_for_a_gpu(tmp_path):
    """To machine code of an NVIDIA GPU (compute capability 8.0), which takes no GPU."""
    out = run(str(HERE / "scripts" / "compile_for_cuda.py"), "80", TRITON_CACHE_DIR=str(tmp_path))
    lines = [line.split() for line in out.splitlines()]
    kernels = {"_encode_kernel", "_backward_kernel", "_render", "_update"}
    assert {name for name, *_ in lines} == kernels
    assert all(int(size) > 1000 for *_, size in lines)


def test_the_probe_is_where_it_is_looked_for():
    """It cannot be imported without triton, so a module that moved would never be missed."""
    assert importlib.util.find_spec(PROBE) is not None
