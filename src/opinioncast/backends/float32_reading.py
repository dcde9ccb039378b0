"""A 16-bit model computed in float32, for as long as a check of it takes.

In 16 bits a model's own rounding is as large as many a fault: packed prompts that see one another
moved shares by 6 points and passed for noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SHORT = (torch.bfloat16, torch.float16)
_DTYPE = torch.Tensor.dtype.__get__  # type: ignore[attr-defined]


class InFloat32(TorchFunctionMode):
    """Within it, what an operation reads in 16 bits it reads in float32, and so its result is.

    Weights stay as they are: each is converted as it is used and the copy let go, so that it needs
    room for one weight more (for the rows read, of an embedding).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func == _DTYPE:
            found = func(*args)
            return torch.float32 if found in _SHORT else found
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return func(*args, **kwargs)
        if func is functional.embedding:
            return _long(func(*args, **kwargs))
        # what is changed in place must stay the tensor that it is
        keep = int(name == "__setitem__" or (name.endswith("_") and not name.endswith("__")))
        args = args[:keep] + tuple(_long(a) for a in args[keep:])
        return func(*args, **{k: _long(v) for k, v in kwargs.items()})


def _long(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in _SHORT else value
    if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        return type(value)(_long(v) for v in value)
    return value
