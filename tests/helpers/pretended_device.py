"""A device that is not there: tensors say they lie on it, and compute on the CPU.

Where a tensor of it meets one of the CPU, torch's operations fail as CUDA's would. Numbers (tensors
without axes) may meet anything, and indices on the CPU may index a tensor elsewhere.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

DEVICE = torch.device("meta")
"""the name it goes by: one that autograd lets the CPU work for"""

_ops = torch.ops.aten


class Elsewhere(torch.Tensor):
    """A tensor on the pretended device; `held` has its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), dtype=held.dtype, device=DEVICE, **layout
        )
        made.held = held
        return made

    def new_tensor(self, data):
        return Elsewhere(_real_tensor(data, dtype=self.dtype))

    def tolist(self):
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """While it is entered, DEVICE can be used."""

    def __enter__(self):
        torch.tensor = _tensor  # what the dispatcher does not see
        return super().__enter__()

    def __exit__(self, *reason):
        torch.tensor = _real_tensor
        return super().__exit__(*reason)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def move(model: torch.nn.Module) -> torch.nn.Module:
    """`model` with all it holds on the pretended device, as `model.to` would leave it."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            module._parameters[name] = torch.nn.Parameter(Elsewhere(parameter.data))
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else Elsewhere(buffer)
    return model


_real_tensor = torch.tensor


def _tensor(data, device=None, **options):
    made = _real_tensor(data, **options)
    return Elsewhere(made) if device is not None and torch.device(device) == DEVICE else made


def _run(func, args, kwargs):
    tensors = [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, torch.Tensor)]
    elsewhere = [a for a in tensors if isinstance(a, Elsewhere)]
    here = [a for a in tensors if not isinstance(a, Elsewhere) and a.dim()]
    indexes = func in (_ops.index.Tensor, _ops.index_put_.default, _ops.index_put.default)
    allowed = func in (_ops._to_copy.default, _ops.copy_.default)
    allowed |= indexes and isinstance(args[0], Elsewhere)
    if elsewhere and here and not allowed:
        shapes = [(type(a).__name__, tuple(a.shape)) for a in tensors]
        raise RuntimeError(f"{func} on tensors of different devices: {shapes}")
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    values, options = tree_map_only(Elsewhere, lambda t: t.held, (args, kwargs))
    result = func(*values, **options)
    if func._schema.is_mutable and isinstance(result, torch.Tensor):
        return args[0]
    there = bool(elsewhere) if wanted is None else torch.device(wanted) == DEVICE
    if not there or func is _ops._local_scalar_dense.default:
        return result
    return tree_map_only(torch.Tensor, Elsewhere, result)
