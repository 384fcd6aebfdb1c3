"""A kernel so small that only a Triton that does not work can fail it. Needs triton."""

import torch
import triton
import triton.language as tl


@triton.jit
def _add_one(values):
    tl.store(values, tl.load(values) + 1)


def probe(device: torch.device) -> None:
    """Compile a kernel, run it on `device` and look at the result; raises whatever goes wrong."""
    values = torch.zeros(1, device=device)
    with torch.cuda.device_of(values):
        _add_one[(1,)](values)
    if values.item() != 1:
        raise RuntimeError(f"a kernel that adds 1 to 0 gave {values.item()}")
