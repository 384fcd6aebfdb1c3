"""Small fully connected networks, and their passes on a CPU without needless work.

`Mlp` is a plain chain of `nn.Linear` and ReLU; that is also what runs on CUDA. On a CPU its passes
are one autograd function: nothing but the layers' inputs is kept, gradients are masked in place.
Where no gradient is wanted the rows go through all layers a few at a time.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from nvd_core.settings import MlpSettings

ROWS = 2048
"""answered at a time without gradients: what lies between two layers stays in a core's own cache"""


class Mlp(nn.Sequential):
    """Linear layers with ReLU between them; `last_scale` shrinks the initial output.

    With `hidden_bfloat16` set, training computes all layers but the last in bfloat16; sums,
    weights, their optimiser and the output stay float32. Good enough for colours and alpha:
    coordinates it would round to steps of several pixels.
    """

    def __init__(
        self, inputs: int, outputs: int, settings: MlpSettings, last_scale: float = 1.0
    ) -> None:
        sizes = [inputs] + [settings.width] * (settings.layers - 1) + [outputs]
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])
        self.hidden_bfloat16 = False
        with torch.no_grad():
            self[-1].weight.mul_(last_scale)
            self[-1].bias.mul_(last_scale)

    def forward(self, x: Tensor) -> Tensor:
        half = self.hidden_bfloat16 and torch.is_grad_enabled()
        if x.device.type == "cpu":
            parameters = [p for layer in list(self)[::2] for p in (layer.weight, layer.bias)]
            if not torch.is_grad_enabled():
                return _answered(x, parameters[::2], parameters[1::2])
            return _Chain.apply(x, torch.bfloat16 if half else x.dtype, *parameters)
        if not half:
            return super().forward(x)
        *hidden, last = self
        with torch.autocast(x.device.type, torch.bfloat16):
            for layer in hidden:
                x = layer(x)
        return last(x.float())


def _answered(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    """x [P, inputs] through linear layers with ReLU between them, ROWS at a time."""
    out = x.new_empty(len(x), len(weights[-1]))
    room = [x.new_empty(min(ROWS, len(x)), len(weight)) for weight in weights[:-1]]
    for first in range(0, len(x), ROWS):
        part, result = x[first : first + ROWS], out[first : first + ROWS]
        for weight, bias, space in zip(weights, biases, room, strict=False):  # all but the last
            part = torch.addmm(bias, part, weight.t(), out=space[: len(part)]).relu_()
        torch.addmm(biases[-1], part, weights[-1].t(), out=result)
    return out


class _Chain(torch.autograd.Function):
    """x [P, inputs] through linear layers with ReLU between them; hidden ones in `dtype`."""

    @staticmethod
    def forward(ctx, x, dtype, *parameters):
        weights, biases = parameters[::2], parameters[1::2]
        inputs = [x.to(dtype)]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden = torch.addmm(bias.to(dtype), inputs[-1], weight.to(dtype).t())
            inputs.append(hidden.relu_())
        ctx.save_for_backward(*inputs, *weights)
        ctx.dtype = dtype
        return torch.addmm(biases[-1], inputs[-1].to(x.dtype), weights[-1].t())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        layers = len(ctx.saved_tensors) // 2
        inputs, weights = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        gradients: list[Tensor | None] = []
        exact = grad.dtype
        for number in range(layers - 1, -1, -1):
            dtype = exact if number == layers - 1 else ctx.dtype
            given, weight = inputs[number].to(dtype), weights[number].to(dtype)
            ones = grad.new_ones(1, len(grad))  # a product sums in float32, and is the fastest sum
            of_bias = (ones @ grad).squeeze(0)
            gradients[:0] = _over_rows(grad, given).to(exact), of_bias.to(exact)
            if number:
                grad = (grad @ weight).to(ctx.dtype)
                torch.ops.aten.threshold_backward.grad_input(
                    grad, inputs[number], 0, grad_input=grad
                )
        if not ctx.needs_input_grad[0]:
            return None, None, *gradients
        narrow = weight.shape[1] < weight.shape[0]
        grad_x = (weight.t() @ grad.t()).t() if narrow else grad @ weight
        return grad_x.to(exact), None, *gradients


def _over_rows(a: Tensor, b: Tensor) -> Tensor:
    """a^T b of [P, A] and [P, B].

    The narrower stands at the left: MKL takes up to five times as long the other way round, for
    64 and 11 columns.
    """
    if a.shape[1] <= b.shape[1]:
        return a.t() @ b
    return (b.t() @ a).t().contiguous()
