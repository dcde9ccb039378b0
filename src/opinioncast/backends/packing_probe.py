"""Whether a model reads packed prompts as it reads each by itself; tried in float32.

Also whether it is a causal model at all, and whether it minds padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from opinioncast.backends.float32_reading import InFloat32
from opinioncast.backends.packed_forward import last_hidden
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.trees import Pack, PromptTokens, lay_out, plant

DIFFERENCE_MOST = 5e-4
"""Total variation between the packed and the plain way, in float32, whatever the model's dtype. The
embedded model is at 0.00006."""

_HIDDEN_MOST = 1e-3
"""Of a last hidden state, relative to its length: rounding is far below, another position above."""
_LEAK_MOST = 1e-4
"""Of any hidden state when another branch says something else: 0 but for rounding."""
_TRUNK = "Question: Is this a test?\nA. Yes\nB. No\n\n"
_FILLER = "I have thought about it and I choose B. "
_LINES = ("Asked of: region: South\n", "Asked of: religion: nothing in particular\n")
_VOCABULARY = 256
_CANNOT = (TypeError, ValueError, LookupError, RuntimeError, AttributeError)

Projection = Callable[[torch.Tensor, Sequence[tuple[int, ...]]], list[np.ndarray[Any, Any]]]


def packing_difference(
    causal: Any,
    prompts: PromptTokenizer,
    project: Projection,
    *,
    length: int,
    limit: int | None = None,
) -> float:
    """Largest total variation, over the likeliest tokens, between the packed and plain ways.

    One tree: a branch that makes a prompt of ``length`` tokens, then two short ones. The long one
    puts many tokens, which argue for one label, between the trunk and the short ones: a family that
    minds where a token lies in the pack shows a large difference. Then the branches around the
    middle one say something else: where one of its states moves, branches see one another, and the
    difference is infinite, as it is where a family's forward takes no such mask or positions, or
    where the states are apart though what they say is not (of a model without opinions).

    Args:
        project: log-probabilities of wanted tokens from last hidden states.
        limit: most tokens the model can read.
    """
    paths = _paths(prompts, length)
    if limit and max(map(len, paths)) > limit:
        return float("inf")
    sequences = [PromptTokens(path, (i, 0), "probe") for i, path in enumerate(paths)]
    trees = list(plant(sequences, 2 * sum(map(len, paths))))
    pack = lay_out(trees).to(causal.device)
    with torch.inference_mode(), InFloat32():
        plain = [_plain(causal, paths[number]) for number, _ in pack.owners]
        likely = [tuple(np.argsort(row)[-_VOCABULARY:].tolist()) for row, _ in plain]
        try:
            states = last_hidden(causal, replace(pack, last=_all(pack)))
            hidden = states[pack.last]
            packed = project(hidden, likely)
            if _leaks(causal, pack, states):
                return float("inf")
        except _CANNOT:
            return float("inf")
        for (_, alone), together in zip(plain, hidden, strict=True):
            if alone is None or _apart(alone, together) > _HIDDEN_MOST:
                return float("inf")
    return max(
        float(0.5 * np.abs(np.exp(row[list(ids)]) - np.exp(read)).sum())
        for (row, _), ids, read in zip(plain, likely, packed, strict=True)
    )


def looks_ahead(causal: Any, ids: Sequence[int]) -> bool:
    """Whether what the model says after a token depends on the tokens behind it (an encoder).

    Args:
        ids: of any text.
    """
    half = len(ids) // 2
    texts = [list(ids), list(ids[:half]) + list(ids[half:])[::-1]]

    def differ() -> float:
        rows = [
            causal(input_ids=torch.tensor([t]).to(causal.device), use_cache=False).logits[0, :half]
            for t in texts
        ]
        return _apart(*rows)

    with torch.inference_mode():
        if differ() == 0:
            return False
        with InFloat32():
            return differ() > _LEAK_MOST


def minds_padding(causal: Any, prompts: PromptTokenizer) -> bool:
    """Whether a masked token before a prompt moves what is said after it (states that read every
    token, masked or not)."""
    path = prompts.ids(_TRUNK)
    pad = path[len(path) // 2 :]
    rows = []
    with torch.inference_mode(), InFloat32():
        for before in ((), pad):
            mask = torch.tensor([[0] * len(before) + [1] * len(path)]).to(causal.device)
            ids = torch.tensor([[*before, *path]]).to(causal.device)
            inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": True}
            try:  # as generation calls it
                inputs = causal.prepare_inputs_for_generation(ids, attention_mask=mask) | inputs
                rows.append(causal(**inputs).logits[0, -1])
            except _CANNOT:
                return True
    return _apart(*rows) > 1e-3


def _paths(prompts: PromptTokenizer, length: int) -> list[tuple[int, ...]]:
    trunk = prompts.ids(_TRUNK)
    end = prompts.bare("Answer:")
    filler = prompts.bare(_FILLER) * length
    paths = [trunk + filler[: max(1, length - len(trunk) - len(end))] + end]
    return paths + [trunk + prompts.bare(line) + end for line in _LINES]


def _plain(causal: Any, path: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], torch.Tensor | None]:
    """Log-probabilities of the whole vocabulary after ``path``, and the state they are read off."""
    seen: list[torch.Tensor] = []
    head = causal.get_output_embeddings()
    hook = None
    if head is not None:
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        ids = torch.tensor([path]).to(causal.device)
        logits = causal(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1]
    finally:
        if hook is not None:
            hook.remove()
    state = seen[-1].reshape(-1, seen[-1].shape[-1])[-1] if seen else None
    return torch.log_softmax(logits.float(), dim=-1).double().cpu().numpy(), state


def _leaks(causal: Any, pack: Pack, states: torch.Tensor) -> bool:
    """Whether a state of the middle prompt moves when the prompts around it say other things."""
    middle = len(pack.last) // 2
    ids = pack.input_ids.clone()
    for number in range(len(pack.last)):
        if number != middle:
            own = _own(pack, number)
            ids[0, own] = ids[0, own.flip(0)]
    moved = last_hidden(causal, replace(pack, input_ids=ids, last=_all(pack)))
    own = _own(pack, middle)
    return _apart(states[own], moved[own]) > _LEAK_MOST


def _own(pack: Pack, number: int) -> torch.Tensor:
    """Where the tokens lie that only prompt ``number`` reads."""
    others = [i for i in range(len(pack.last)) if i != number]
    shared = pack.shared[number, others].max()
    return torch.nonzero((pack.prompt == number) & (pack.position_ids[0] >= shared))[:, 0]


def _all(pack: Pack) -> torch.Tensor:
    return torch.arange(pack.input_ids.shape[1], device=pack.input_ids.device)


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.float(), b.float()
    return float((a - b).norm() / a.norm().clamp(min=1e-12))
