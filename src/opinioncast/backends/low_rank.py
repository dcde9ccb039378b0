"""PEFT's LoRA layers with the same result and less work.

PEFT's forward converts the layer's input to the adapter's dtype and adds the adapter's output in
passes of their own; on a CPU those passes over activations cost more than the adapter's products.
Here the products accumulate straight into the base layer's output, in the activations' dtype, and
the backward pass does the same.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear


class _LowRank(torch.autograd.Function):
    """y = x W^T + bias + s (x A^T) B^T, with W and bias frozen.

    Shapes: x (T, in), W (out, in), A (rank, in), B (out, rank), y (T, out).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, s: float
    ) -> Tensor:
        down = x @ a.T
        out = linear(x, weight, bias).addmm_(down, b.T, alpha=s)
        ctx.save_for_backward(x, weight, a, b, down)
        ctx.s = s
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, weight, a, b, down = ctx.saved_tensors
        grad_down = (grad @ b).mul_(ctx.s)
        grad_x = (grad @ weight).addmm_(grad_down, a) if ctx.needs_input_grad[0] else None
        grad_a = grad_down.T @ x
        grad_b = (grad.T @ down).mul_(ctx.s)
        return grad_x, None, None, grad_a, grad_b, None


def lighten(model: nn.Module) -> int:
    """Give every plain LoRA layer of ``model`` the light forward; returns how many there were.

    A layer keeps PEFT's own forward where it does more than add one low-rank product to a frozen
    linear layer (quantised base, DoRA and other variants, biases of its own).
    """
    from peft.tuners.lora import Linear as LoraLinear

    count = 0
    for module in model.modules():
        if type(module) is LoraLinear and _is_plain(module):
            module.forward = types.MethodType(_forward, module)
            count += 1
    return count


def _is_plain(layer: Any) -> bool:
    names = layer.active_adapters
    return (
        len(names) == 1
        and not layer.lora_variant
        and not layer.merged
        and not layer.disable_adapters
        and not layer.fan_in_fan_out
        and type(layer.base_layer) is nn.Linear
        and not layer.use_dora[names[0]]
        and layer.lora_A[names[0]].bias is None
        and layer.lora_B[names[0]].bias is None
        and not layer.base_layer.weight.requires_grad
    )


def _forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    name = self.active_adapters[0]
    base = self.base_layer
    a = self.lora_A[name].weight.to(x.dtype)
    b = self.lora_B[name].weight.to(x.dtype)
    s = self.scaling[name]
    rate = getattr(self.lora_dropout[name], "p", 0.0)
    if self.training and rate > 0:  # the adapter reads another input than the base layer
        with_dropout: Tensor = base(x) + linear(linear(dropout(x, rate), a), b) * s
        return with_dropout
    shape = x.shape
    flat = x.reshape(-1, shape[-1])
    out: Tensor = _LowRank.apply(flat, base.weight, base.bias, a, b, s)
    return out.reshape(*shape[:-1], -1)
