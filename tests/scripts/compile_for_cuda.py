"""Compile every Triton kernel to machine code for NVIDIA GPUs; needs no GPU. Run by a test.

    python tests/scripts/compile_for_cuda.py 80 90

Takes compute capabilities. Prints a line for each kernel: name, capability, bytes of machine code.
Argument types are those of the calls in the modules; TRITON_INTERPRET must not be set.
"""

import itertools
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from nvd_core.editing import kernel_triton as render_kernel
from nvd_core.fields.hash_grid import kernel_triton as grid_kernel
from nvd_core.training import grid_adam_triton

GRID = {
    "scales": "*fp32", "resolutions": "*i64", "offsets": "*i64", "level_entries": "*i64",
    "dense": "*i32", "count": "i32", "x": "*fp32", "table": "*fp32", "out": "*fp32",
    "grad_out": "*fp32", "grad_table": "*fp32", "grad_x_parts": "*fp32",
}  # fmt: skip
FRAME = {
    "uva": "*fp32", "residual": "*fp32", "added": "*fp32", "table": "*i64", "texels": "*fp32",
    "pixels": "i32",
}  # fmt: skip
ADAM = dict.fromkeys(("table", "grad", "first", "second"), "*fp32") | {"count": "i32"}
ADAM["size"] = "fp32"


def cases():
    """Kernel, types of its arguments, and its constants, for every way it is launched."""
    for dims, features in ((2, 2), (3, 2)):
        shape = {"DIMS": dims, "FEATURES": features, "LEVELS": 16, "BLOCK": grid_kernel.BLOCK}
        padded = triton.next_power_of_2(features)
        yield grid_kernel._encode_kernel, GRID, shape | {"PADDED": padded}
        for needs in ((True, True), (True, False)):
            flags = dict(zip(("NEEDS_TABLE", "NEEDS_X"), needs, strict=True))
            yield grid_kernel._backward_kernel, GRID, shape | flags
    for dtype, largest in (("*u8", 255), ("*u16", 65535), ("*fp32", 0)):
        for delta, linear in itertools.product((True, False), {False, largest == 0}):
            constants = {"DELTA": delta, "ADDED": not delta, "LARGEST": largest, "LINEAR": linear}
            constants |= {"BLOCK": render_kernel.BLOCK, "ROWS": 2}
            absent = {"added": None} if delta else {"frame": None}
            types = FRAME | {"frame": dtype, "out": dtype}
            yield render_kernel._render, types, constants | absent
    adam = {"BETA1": 0.9, "BETA2": 0.99, "EPS": 1e-15, "BLOCK": grid_adam_triton.BLOCK}
    yield grid_adam_triton._update, ADAM, adam


def compiled(kernel, types: dict, constants: dict, capability: int) -> bytes:
    """The machine code."""
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types[name] for name in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=values)
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target, options={"enable_fp_fusion": False}).asm["cubin"]


def main() -> None:
    """Compile them all."""
    for capability in map(int, sys.argv[1:]):
        for kernel, types, constants in cases():
            code = compiled(kernel, types, constants, capability)
            print(kernel.fn.__name__, capability, len(code))


if __name__ == "__main__":
    main()
