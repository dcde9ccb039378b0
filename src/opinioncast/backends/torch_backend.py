"""The PyTorch backend: label probabilities of any Hugging Face causal model, trees packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from opinioncast.backends.generation import generate_texts
from opinioncast.backends.json_decoding import JsonDigits
from opinioncast.backends.labels import LabelPlan
from opinioncast.backends.packed_forward import (
    after_head,
    has_plain_head,
    last_hidden,
    rope_reach,
    token_logits,
)
from opinioncast.backends.packing_probe import (
    DIFFERENCE_MOST,
    minds_padding,
    packing_difference,
)
from opinioncast.backends.prompt_tokens import PromptTokenizer, TokenizesPrompts
from opinioncast.backends.protocol import (
    GeneratedText,
    LabelRequest,
    LabelScores,
    TextRequest,
)
from opinioncast.backends.torch_model import LoadedModel, load_model
from opinioncast.backends.trees import PromptTokens, Tree, lay_out, packs, plant
from opinioncast.errors import ModelError

_VOCABULARY_BLOCK = 32_768
_PROBE_TOKENS = 128
_WINDOW_MOST = 1_024
"""Packing past a sliding window is tried up to this window; probing a longer one costs too much."""


class TorchBackend(TokenizesPrompts):
    """Scores labels with a causal model in this process.

    Args:
        loaded: model and tokenizer.
        pack_tokens: tokens per forward pass. On a CPU one question's tree is enough to keep the
            cores busy, and longer packs only pay for masked attention; a GPU wants more.
        shared_prefix: whether prompts share their trunks. None: yes, if this model's packed
            result equals its plain one on a probe in float32, else no. Models whose state is not
            attention (Mamba), or whose positions cannot be given (ALiBi), do not. Prompts that
            reach past a sliding window too long to probe, or past where a model's positions change
            with the longest prompt (long rope), go the plain way.
        generate_batch: prompts per batch of :meth:`generate`.

    Raises:
        ModelError: shared prefixes were demanded but change this model's results.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        pack_tokens: int | None = None,
        shared_prefix: bool | None = None,
        generate_batch: int | None = None,
    ) -> None:
        self._loaded = loaded
        self._generate_batch = generate_batch or (32 if loaded.device.type == "cuda" else 8)
        self._digits = JsonDigits(loaded.tokenizer)
        self._causal = loaded.causal
        self._config = self._causal.config.get_text_config()
        self._pack_tokens = pack_tokens or (16_384 if loaded.device.type == "cuda" else 640)
        self._prompts = PromptTokenizer(loaded.tokenizer)
        self._reach: int | None = None  # prompts longer than this go the plain way
        self._rope_reach = rope_reach(self._config)
        self._crossing_probed = False
        self._minds_padding: bool | None = None
        self.probe_difference: float | None = None
        if shared_prefix is False:
            self.shared_prefix = False
            return
        self.probe_difference = self._probe(min(_PROBE_TOKENS, self._rope_reach or _PROBE_TOKENS))
        self.shared_prefix = self.probe_difference <= DIFFERENCE_MOST
        if self._window is not None and self._window >= _PROBE_TOKENS:
            self._reach = self._window
        if shared_prefix and not self.shared_prefix:
            raise ModelError(
                "This model's results change when prompts share a prefix",
                where=loaded.name,
                expected=f"probabilities within {DIFFERENCE_MOST:g} (total variation) of the plain "
                "way's",
                found=f"{self.probe_difference:.3g}",
                hint="leave shared_prefix out: the plain way is used instead",
            )

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        adapter: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        pack_tokens: int | None = None,
        shared_prefix: bool | None = None,
        name: str | None = None,
    ) -> TorchBackend:
        """Load a model by folder or hub name; see :func:`torch_model.load_model` for the errors."""
        loaded = load_model(model, adapter=adapter, device=device, dtype=dtype, name=name)
        return cls(loaded, pack_tokens=pack_tokens, shared_prefix=shared_prefix)

    @property
    def name(self) -> str:
        adapter = self._loaded.adapter
        return f"{self._loaded.name} + {adapter}" if adapter else self._loaded.name

    @property
    def loaded(self) -> LoadedModel:
        """The model and tokenizer themselves."""
        return self._loaded

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        dated = {"template_date": self.template_date} if self.template_date else {}
        return {
            "backend": "torch",
            "weights": self._loaded.weights_hash,
            "tokenizer": self._loaded.tokenizer_hash,
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "shared_prefix": self.shared_prefix,
            **dated,
        }

    @property
    def details(self) -> Mapping[str, Any]:
        """What a manifest says about this backend beyond its fingerprint."""
        return {
            "device": str(self._loaded.device),
            "pack_tokens": self._pack_tokens,
            "probe_difference": self.probe_difference,
            "template_date": self.template_date,
            "adapter_base": self._loaded.adapter_base,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }

    @property
    def supports_schema(self) -> bool:
        """Whether a JSON schema can bind the answer: the tokenizer has a token for each digit."""
        return self._digits.usable

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        """Yield (index, what the model says after that text, greedily) batch by batch.

        A request's schema is kept to; its answer then ends when the object is closed, whatever
        ``max_new_tokens`` says.

        Raises:
            ModelError: a prompt longer than the model can read, or a schema it cannot be held to.
        """
        bound = [r.schema is not None and self.supports_schema for r in requests]
        plans = [
            self._digits.plan(r.text, r.schema) if held and r.schema is not None else None
            for r, held in zip(requests, bound, strict=True)
        ]
        limits = [
            plan.most_tokens if plan else request.max_new_tokens
            for request, plan in zip(requests, plans, strict=True)
        ]
        ids = [self.token_ids(r.text) for r in requests]
        for request, tokens, more in zip(requests, ids, limits, strict=True):
            self._check_length(request.text, len(tokens) + more)
        yield from generate_texts(
            self._loaded,
            ids,
            max_new_tokens=limits,
            plans=plans,
            digits=self._digits,
            batch=self._generate_batch,
            padded=self._may_pad(max(map(sum, zip(map(len, ids), limits, strict=True)), default=0)),
        )

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index, scores) pack by pack.

        Raises:
            ModelError: a prompt longer than the model can read, or labels its tokenizer cannot
                write.
        """
        plans = [self.label_plan(r) for r in requests]
        sequences = self._sequences(requests, plans)
        waiting = {i: len(plan.continuations) for i, plan in enumerate(plans)}
        read: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
        for owners, rows in self._read(sequences, plans):
            for owner, row in zip(owners, rows, strict=True):
                read[owner] = row
                i = owner[0]
                waiting[i] -= 1
                if waiting[i] == 0:
                    whole = [read[i, c] for c in range(len(plans[i].continuations))]
                    yield i, LabelScores(plans[i].log_probs(whole))

    def _sequences(
        self, requests: Sequence[LabelRequest], plans: Sequence[LabelPlan]
    ) -> list[PromptTokens]:
        trees: dict[str, list[PromptTokens]] = {}
        for i, (request, plan) in enumerate(zip(requests, plans, strict=True)):
            ids = self.token_ids(request.text)
            self._check_length(request.text, len(ids) + max(map(len, plan.continuations)))
            key = request.tree or f"request {i}"
            for c, continuation in enumerate(plan.continuations):
                trees.setdefault(key, []).append(PromptTokens(ids + continuation, (i, c), key))
        return [sequence for family in trees.values() for sequence in family]

    def _check_length(self, text: str, tokens: int) -> None:
        if self._limit and tokens > self._limit:
            raise ModelError(
                "A prompt is longer than the model can read",
                where=f'prompt beginning "{text[:80]}"',
                expected=f"{self._limit} tokens at most, with what is to follow",
                found=f"{tokens} tokens",
                hint="shorten the question or take a model with a longer context",
            )

    def _read(
        self, sequences: Sequence[PromptTokens], plans: Sequence[LabelPlan]
    ) -> Iterator[tuple[Sequence[tuple[int, int]], list[np.ndarray[Any, Any]]]]:
        """Log-probabilities of each sequence's wanted tokens, one forward pass at a time."""
        trees = plant(sequences, self._pack_tokens)
        for group in packs(trees, self._pack_tokens):
            wanted = [plans[r].wanted[c] for tree in group for r, c in tree.owners]
            owners = [owner for tree in group for owner in tree.owners]
            with torch.inference_mode():
                if self.shared_prefix and self._within_reach(group):
                    hidden = last_hidden(self._causal, lay_out(group).to(self._loaded.device))
                    rows = self._project(hidden, wanted)
                else:
                    rows = self._plain(group, wanted)
            yield owners, rows  # outside, or the caller would run in inference mode too

    def _within_reach(self, trees: Sequence[Tree]) -> bool:
        """Whether packing is known to be right for prompts this long.

        The first probe is short, to keep loading quick. The first prompt that reaches past the
        model's sliding window has a probe of that length made, once.
        """
        longest = max(tree.longest for tree in trees)
        if self._rope_reach is not None and longest > self._rope_reach:
            return False  # it would change the positions of the shorter prompts beside it
        if self._reach is None or longest <= self._reach:
            return True
        if not self._crossing_probed and self._reach <= _WINDOW_MOST:
            self._crossing_probed = True
            if self._probe(self._reach + 16) <= DIFFERENCE_MOST:
                self._reach = None
        return self._reach is None

    def _may_pad(self, longest: int) -> bool:
        """Whether prompts of unlike length may be written on in one batch."""
        if self._rope_reach is not None and longest > self._rope_reach:
            return False
        if self._minds_padding is None:
            self._minds_padding = minds_padding(self._causal, self._prompts)
        return not self._minds_padding

    @property
    def _limit(self) -> int | None:
        return getattr(self._config, "max_position_embeddings", None)

    @property
    def _window(self) -> int | None:
        return getattr(self._config, "sliding_window", None)

    def _project(
        self, hidden: torch.Tensor, wanted: Sequence[tuple[int, ...]]
    ) -> list[np.ndarray[Any, Any]]:
        """Log-probabilities of the wanted tokens.

        Only rows that are read come here, and the wanted tokens' logits are taken in float32 from
        their own rows of the output matrix. The rest of the vocabulary is needed once, for the
        normaliser (without it there is no label mass): it is summed block by block and never held.
        """
        head = self._causal.get_output_embeddings()
        if not has_plain_head(self._causal):  # quantised, or an adapter trains it: only it knows
            whole = torch.log_softmax(after_head(self._causal, head(hidden).float()), dim=-1)
            return [whole[i, list(row)].double().cpu().numpy() for i, row in enumerate(wanted)]
        ids = sorted({token for row in wanted for token in row})
        column = {token: i for i, token in enumerate(ids)}
        index = torch.tensor(ids, device=hidden.device)
        exact = token_logits(self._causal, hidden, index)
        rest = torch.full((len(hidden),), -torch.inf, device=hidden.device)
        for start in range(0, head.weight.shape[0], _VOCABULARY_BLOCK):
            block = slice(start, start + _VOCABULARY_BLOCK)
            bias = None if head.bias is None else head.bias[block]
            logits = torch.nn.functional.linear(hidden, head.weight[block], bias).float()
            logits = after_head(self._causal, logits)
            inside = index[(index >= start) & (index < start + _VOCABULARY_BLOCK)] - start
            logits[:, inside] = -torch.inf
            rest = torch.logaddexp(rest, torch.logsumexp(logits, dim=1))
        total = torch.logaddexp(rest, torch.logsumexp(exact, dim=1))
        log_probs = (exact - total[:, None]).double().cpu().numpy()
        return [log_probs[i, [column[token] for token in row]] for i, row in enumerate(wanted)]

    def _plain(
        self, trees: Sequence[Tree], wanted: Sequence[tuple[int, ...]] | None
    ) -> list[np.ndarray[Any, Any]]:
        """The fallback: whole prompts through the model's own forward and output layer.

        Only prompts of one length share a batch, so there is no padding for a family to get wrong.
        ``wanted`` None: log-probabilities of the whole vocabulary.
        """
        rows = [prompt.ids for tree in trees for prompt in tree.prompts]
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        found: dict[int, np.ndarray[Any, Any]] = {}
        for length, same in groupby(by_length, key=lambda i: len(rows[i])):
            numbers = list(same)
            step = max(1, self._pack_tokens // length)
            for batch in (numbers[i : i + step] for i in range(0, len(numbers), step)):
                ids = torch.tensor([rows[i] for i in batch]).to(self._loaded.device)
                logits = self._causal(input_ids=ids, use_cache=False, logits_to_keep=1).logits
                log_probs = torch.log_softmax(logits[:, -1].float(), dim=-1).double().cpu().numpy()
                for i, row in zip(batch, log_probs, strict=True):
                    found[i] = row if wanted is None else row[list(wanted[i])]
        return [found[i] for i in range(len(rows))]

    def _probe(self, length: int) -> float:
        """How far packing moves this model (:func:`packing_probe.packing_difference`), by a branch
        that makes a prompt of ``length`` tokens."""
        return packing_difference(
            self._causal, self._prompts, self._project, length=length, limit=self._limit
        )
