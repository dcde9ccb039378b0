"""What the vLLM backend is told: which model, on how many GPUs, with room for which adapters."""

from __future__ import annotations

from dataclasses import dataclass

from opinioncast.errors import InputError
from opinioncast.options import check_types, option


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """What vLLM is told.

    Attributes:
        model: folder, or name on the Hugging Face hub; filled in later where vLLM is chosen first.
        adapter: folder of a PEFT LoRA adapter.
        other_adapters: folders of adapters on the same model that other parts of the run use: the
            engine makes room for them, and all share it.
        dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
        tensor_parallel: GPUs over which each layer is split.
        gpu_memory: share of each GPU's memory vLLM may take (0 to 1), of main memory with a build
            for CPUs; None: its own default.
        context_length: longest prompt with its answer, in tokens; None: the model's. A shorter one
            leaves more memory for the prefix cache.
        name: shown in tables; the model's where left out.
    """

    model: str = ""
    adapter: str | None = option(None, "Folder of a PEFT adapter; or shipped.")
    other_adapters: tuple[str, ...] = ()
    dtype: str = option("auto", "float32, bfloat16, float16; else by device.")
    tensor_parallel: int = option(1, "vLLM: GPUs a layer is split over.")
    gpu_memory: float | None = option(None, "vLLM: share of each GPU's memory it may take.")
    context_length: int | None = option(None, "vLLM: longest prompt with its answer, in tokens.")
    name: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        share = self.gpu_memory
        wrong = {
            "--tensor-parallel": (self.tensor_parallel < 1, self.tensor_parallel, "1 or more"),
            "--gpu-memory": (share is not None and not 0 < share <= 1, share, "above 0, 1 at most"),
            "--context-length": (
                self.context_length is not None and self.context_length < 1,
                self.context_length,
                "1 or more",
            ),
        }
        for flag, (is_wrong, found, expected) in wrong.items():
            if is_wrong:
                raise InputError(
                    "A setting of vLLM is out of range",
                    where=flag,
                    expected=expected,
                    found=found,
                )

    @property
    def adapters(self) -> tuple[str, ...]:
        """Every adapter the engine needs room for, each once."""
        own = () if self.adapter is None else (self.adapter,)
        return tuple(dict.fromkeys((*own, *self.other_adapters)))
