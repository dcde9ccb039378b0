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
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from opinioncast.backends.prompt_tokens import PromptTokenizer, TokenizesPrompts
from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.backends.vllm_engine import VllmEngine
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.errors import ModelError
from opinioncast.files import end_of_path

_BATCH = 2048  # prompts handed over at once: what a killed run loses at most
_BLOCK = 1 << 20
_ABOUT = frozenset((".md", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".html", ".log"))


class VllmBackend(TokenizesPrompts):
    """Scores labels and writes texts with vLLM's offline engine.

    Args:
        settings: the model, its adapter, and how vLLM is to run them.
        engine: opened for another model of the run, and serves these settings; None: opens one.

    Raises:
        ModelError: vLLM is not installed or cannot load the model or adapter.
    """

    def __init__(self, settings: VllmSettings, *, engine: VllmEngine | None = None) -> None:
        self._settings = settings
        self._held: VllmEngine | None = engine or VllmEngine(settings)
        self._prompts = PromptTokenizer(self._engine.llm.get_tokenizer())
        self._tokens_in = self._tokens_out = 0

    @property
    def name(self) -> str:
        s = self._settings
        name = s.name or s.model
        return f"{name} + {end_of_path(s.adapter)}" if s.adapter else name

    @property
    def engine(self) -> VllmEngine | None:
        """What runs the model, for other models of the run; None once closed."""
        return self._held

    @property
    def _engine(self) -> VllmEngine:
        assert self._held is not None, "a closed model is not asked"
        return self._held

    @cached_property  # a folder's files are read whole
    def fingerprint(self) -> Mapping[str, Any]:
        """Weights by content where they are a folder, else by the hub's commit."""
        s = self._settings
        return {
            "backend": "vllm",
            "vllm": self._engine.version,
            "weights": _weights(s.model, self._engine.config),
            "adapter": None if s.adapter is None else hash_files(Path(s.adapter)),
            "dtype": str(self._engine.config.dtype).removeprefix("torch."),
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
                    self._engine.sampling(
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
                    schema = self._engine.structured(json=dict(request.schema))
                    held["structured_outputs"] = schema
                params.append(
                    self._engine.sampling(
                        temperature=0.0, max_tokens=request.max_new_tokens, **held
                    )
                )
            prompts = [{"prompt_token_ids": list(ids[i])} for i in part]
            for i, output in zip(part, self._run(prompts, params), strict=True):
                said = output.outputs[0]
                cut = getattr(said, "finish_reason", None) == "length"
                yield i, GeneratedText(said.text, len(ids[i]), len(said.token_ids), cut)

    def close(self) -> None:
        """Let go of the engine; its processes end when no other model of the run holds it."""
        self._held = None

    def _run(self, prompts: list[dict[str, list[int]]], params: list[Any]) -> list[Any]:
        outputs = self._engine.generate(prompts, params, self._settings.adapter)
        self._tokens_in += sum(len(p["prompt_token_ids"]) for p in prompts)
        self._tokens_out += sum(len(o.outputs[0].token_ids) for o in outputs)
        return outputs

    def _check_length(self, text: str, tokens: int) -> None:
        limit = int(self._engine.config.max_model_len)
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


def _weights(model: str, config: Any) -> str:
    if Path(model).exists():
        return hash_files(Path(model))
    commit = getattr(getattr(config, "hf_config", None), "_commit_hash", None)
    return f"{model}@{commit or 'unknown commit'}"


def hash_files(place: Path) -> str:
    """SHA-256 over the names and contents of a folder's files, or of one file.

    All of them count but texts and pictures about the model: vLLM takes weights from files of many
    kinds (``.safetensors``, ``.bin``, ``.pt``, ``.gguf``), and one that is passed over here would
    bring back answers of the weights before.
    """
    digest = hashlib.sha256()
    for file in [place] if place.is_file() else sorted(place.iterdir()):
        if file.is_file() and file.suffix.lower() not in _ABOUT and not file.name.startswith("."):
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
