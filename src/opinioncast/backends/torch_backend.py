"""The PyTorch backend: label probabilities of any Hugging Face causal model, trees packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from opinioncast.backends.labels import LabelPlan, plan_labels
from opinioncast.backends.protocol import LabelRequest, LabelScores
from opinioncast.backends.torch_model import LoadedModel, load_model
from opinioncast.backends.trees import Pack, PromptTokens, Tree, lay_out, packs, plant
from opinioncast.errors import ModelError

_CONTEXT_CHARS = 32
_VOCABULARY_BLOCK = 32_768
_PROBE = (
    "Question: Is this a test?\nA. Yes\nB. No\n\nRegion: South\nAnswer:",
    "Question: Is this a test?\nA. Yes\nB. No\n\nReligion: none in particular\nAnswer:",
)


class TorchBackend:
    """Scores labels with a causal model in this process.

    Args:
        loaded: model and tokenizer.
        pack_tokens: tokens per forward pass. On a CPU one question's tree is enough to keep the
            cores busy, and longer packs only pay for masked attention; a GPU wants more.
        shared_prefix: whether prompts share their trunks. None: yes, if this model's packed
            result equals its plain one on a probe, else no. Models whose state is not attention
            (Mamba), or whose positions cannot be given, do not.

    Raises:
        ModelError: shared prefixes were demanded but change this model's results.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        pack_tokens: int | None = None,
        shared_prefix: bool | None = None,
    ) -> None:
        self._loaded = loaded
        self._causal = loaded.causal
        self._decoder = getattr(self._causal, self._causal.base_model_prefix)
        self._tokenizer = loaded.tokenizer
        self._config = self._causal.config.get_text_config()
        self._pack_tokens = pack_tokens or (16_384 if loaded.device.type == "cuda" else 1_024)
        self._plans: dict[tuple[str, tuple[str, ...]], LabelPlan] = {}
        self.probe_difference: float | None = None
        if shared_prefix is False:
            self.shared_prefix = False
            return
        self.probe_difference = self._probe()
        tolerance = 1e-3 if loaded.dtype == torch.float32 else 5e-2
        self.shared_prefix = self.probe_difference <= tolerance
        if shared_prefix and not self.shared_prefix:
            raise ModelError(
                "This model's results change when prompts share a prefix",
                where=loaded.name,
                expected=f"label probabilities within {tolerance:g} of the plain forward pass",
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
    def fingerprint(self) -> Mapping[str, Any]:
        return {
            "backend": "torch",
            "weights": self._loaded.weights_hash,
            "tokenizer": self._loaded.tokenizer_hash,
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "shared_prefix": self.shared_prefix,
        }

    @property
    def details(self) -> Mapping[str, Any]:
        """What a manifest says about this backend beyond its fingerprint."""
        return {
            "device": str(self._loaded.device),
            "pack_tokens": self._pack_tokens,
            "probe_difference": self.probe_difference,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }

    @property
    def has_chat_template(self) -> bool:
        return bool(getattr(self._tokenizer, "chat_template", None))

    def chat_text(self, message: str) -> str:
        if not self.has_chat_template:
            raise ModelError(
                "The model has no chat template",
                where=self.name,
                expected="a tokenizer with a chat template (an instruction-tuned model)",
                hint="run without --chat",
            )
        return str(
            self._tokenizer.apply_chat_template(
                [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True
            )
        )

    def token_ids(self, text: str) -> tuple[int, ...]:
        """``text`` as the model reads it; special tokens are added unless a template wrote them."""
        begin = self._tokenizer.bos_token
        templated = bool(begin) and text.startswith(begin)
        return tuple(self._tokenizer(text, add_special_tokens=not templated)["input_ids"])

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index, scores) pack by pack.

        Raises:
            ModelError: a prompt longer than the model can read, or labels its tokenizer cannot
                write.
        """
        plans = [self._plan(r) for r in requests]
        sequences = self._sequences(requests, plans)
        waiting = {i: len(plan.continuations) for i, plan in enumerate(plans)}
        read: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
        for owners, rows in self._read(sequences, plans):
            for owner, row in zip(owners, rows, strict=True):
                read[owner] = row
                request = owner[0]
                waiting[request] -= 1
                if waiting[request] == 0:
                    yield request, _label_scores(request, plans[request], read)

    def _plan(self, request: LabelRequest) -> LabelPlan:
        key = (request.text[-_CONTEXT_CHARS:], request.labels)
        if key not in self._plans:
            self._plans[key] = plan_labels(self._tokenizer, *key)
        return self._plans[key]

    def _sequences(
        self, requests: Sequence[LabelRequest], plans: Sequence[LabelPlan]
    ) -> list[PromptTokens]:
        limit = getattr(self._config, "max_position_embeddings", None)
        trees: dict[str, list[PromptTokens]] = {}
        for i, (request, plan) in enumerate(zip(requests, plans, strict=True)):
            ids = self.token_ids(request.text)
            if limit and len(ids) >= limit:
                raise ModelError(
                    "A prompt is longer than the model can read",
                    where=f'prompt beginning "{request.text[:80]}"',
                    expected=f"fewer than {limit} tokens",
                    found=f"{len(ids)} tokens",
                    hint="shorten the question or take a model with a longer context",
                )
            key = request.tree or f"request {i}"
            for c, continuation in enumerate(plan.continuations):
                trees.setdefault(key, []).append(PromptTokens(ids + continuation, (i, c), key))
        return [sequence for family in trees.values() for sequence in family]

    def _read(
        self, sequences: Sequence[PromptTokens], plans: Sequence[LabelPlan]
    ) -> Iterator[tuple[Sequence[tuple[int, int]], list[np.ndarray[Any, Any]]]]:
        """Log-probabilities of each sequence's wanted tokens, one forward pass at a time."""
        trees = plant(sequences, self._pack_tokens)
        for group in packs(trees, self._pack_tokens):
            wanted = [plans[r].wanted[c] for tree in group for r, c in tree.owners]
            owners = [owner for tree in group for owner in tree.owners]
            with torch.inference_mode():
                if self.shared_prefix:
                    hidden = self._hidden(lay_out(group).to(self._loaded.device))
                    yield owners, self._project(hidden, wanted)
                else:
                    yield owners, self._plain(group, wanted)

    def _hidden(self, pack: Pack) -> torch.Tensor:
        """Last hidden state of each branch's last token: shape (rows, hidden)."""
        output = self._decoder(
            input_ids=pack.input_ids,
            position_ids=pack.position_ids,
            attention_mask=self._masks(pack),
            use_cache=False,
        )
        return output.last_hidden_state[0, pack.last]

    def _masks(self, pack: Pack) -> torch.Tensor | dict[str, torch.Tensor]:
        """One mask, or one for each kind of layer the model mixes."""
        window = getattr(self._config, "sliding_window", None)
        kinds = getattr(self._config, "layer_types", None)
        if kinds:
            return {
                kind: pack.mask(window if kind == "sliding_attention" else None)
                for kind in sorted(set(kinds))
            }
        return pack.mask(window)

    def _project(
        self, hidden: torch.Tensor, wanted: Sequence[tuple[int, ...]]
    ) -> list[np.ndarray[Any, Any]]:
        """Log-probabilities of the wanted tokens.

        Only rows that are read come here, and the wanted tokens' logits are taken in float32 from
        their own rows of the output matrix. The rest of the vocabulary is needed once, for the
        normaliser (without it there is no label mass): it is summed block by block and never held.
        """
        head = self._causal.get_output_embeddings()
        ids = sorted({token for row in wanted for token in row})
        column = {token: i for i, token in enumerate(ids)}
        index = torch.tensor(ids, device=hidden.device)
        weight = head.weight[index].float()
        exact = hidden.float() @ weight.T
        if head.bias is not None:
            exact = exact + head.bias[index].float()
        exact = self._after_head(exact)
        rest = torch.full((len(hidden),), -torch.inf, device=hidden.device)
        for start in range(0, head.weight.shape[0], _VOCABULARY_BLOCK):
            block = slice(start, start + _VOCABULARY_BLOCK)
            bias = None if head.bias is None else head.bias[block]
            logits = torch.nn.functional.linear(hidden, head.weight[block], bias).float()
            logits = self._after_head(logits)
            inside = index[(index >= start) & (index < start + _VOCABULARY_BLOCK)] - start
            logits[:, inside] = -torch.inf
            rest = torch.logaddexp(rest, torch.logsumexp(logits, dim=1))
        total = torch.logaddexp(rest, torch.logsumexp(exact, dim=1))
        log_probs = (exact - total[:, None]).double().cpu().numpy()
        return [log_probs[i, [column[token] for token in row]] for i, row in enumerate(wanted)]

    def _after_head(self, logits: torch.Tensor) -> torch.Tensor:
        """What some families do to logits after the output matrix."""
        scale = getattr(self._config, "logit_scale", None)  # Cohere
        if scale is not None:
            logits = logits * scale
        divisor = getattr(self._config, "logits_scaling", None)  # Granite
        if divisor is not None:
            logits = logits / divisor
        cap = getattr(self._config, "final_logit_softcapping", None)  # Gemma 2
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def _plain(
        self, trees: Sequence[Tree], wanted: Sequence[tuple[int, ...]]
    ) -> list[np.ndarray[Any, Any]]:
        """The fallback: whole prompts in left-padded batches, the model's own output layer."""
        rows = [tree.trunk + branch for tree in trees for branch in tree.branches]
        pad = self._tokenizer.pad_token_id or 0
        found: list[np.ndarray[Any, Any]] = []
        longest = max(map(len, rows))
        step = max(1, self._pack_tokens // longest)
        for start in range(0, len(rows), step):
            batch = rows[start : start + step]
            width = max(map(len, batch))
            ids = torch.tensor([[pad] * (width - len(r)) + list(r) for r in batch])
            mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in batch])
            device = self._loaded.device
            logits = self._causal(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=(mask.cumsum(1) - 1).clamp(min=0).to(device),
                use_cache=False,
                logits_to_keep=1,
            ).logits[:, -1]
            log_probs = torch.log_softmax(logits.float(), dim=-1).double().cpu().numpy()
            found += [
                log_probs[i, list(row)] for i, row in enumerate(wanted[start : start + len(batch)])
            ]
        return found

    def _probe(self) -> float:
        """Largest difference of a label probability between the packed and the plain way."""
        plans = [plan_labels(self._tokenizer, "Answer:", ("A", "B"))] * len(_PROBE)
        sequences = [
            PromptTokens(self.token_ids(text), (i, 0), "probe") for i, text in enumerate(_PROBE)
        ]
        wanted = [plan.wanted[0] for plan in plans]
        trees = list(plant(sequences, 4096))
        with torch.inference_mode():
            plain = self._plain(trees, wanted)
            try:
                hidden = self._hidden(lay_out(trees).to(self._loaded.device))
                packed = self._project(hidden, wanted)
            except (TypeError, ValueError, KeyError, RuntimeError, AttributeError):
                # A family whose forward takes no such mask or positions: the plain way serves it.
                return float("inf")
        return max(
            float(np.abs(np.exp(a) - np.exp(b)).max()) for a, b in zip(plain, packed, strict=True)
        )


def _label_scores(
    request: int, plan: LabelPlan, read: Mapping[tuple[int, int], np.ndarray[Any, Any]]
) -> LabelScores:
    """Add up the spellings of each label; a spelling's tokens multiply."""
    totals = [
        np.logaddexp.reduce(
            [sum(read[request, c][place] for c, place in spelling) for spelling in spellings]
        )
        for spellings in plan.paths
    ]
    return LabelScores(np.array(totals, dtype=np.float64))
