"""Structured decoding: a model can write nothing but one JSON object of shares that sum to one.

The answer's skeleton (braces, names, "0.") is forced token by token and the model chooses the
digits, three for each share. A digit that would take the sum above one is not offered, and the last
share is what the others left. So every answer is a distribution; which one is the model's doing,
the last share excepted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import LogitsProcessor

from opinioncast.errors import ModelError

PLACES = 3
"""Digits after the point of each share, as in the paper's examples (Figure 15)."""

_WHOLE = 10**PLACES
_CONTEXT_CHARS = 32
TokenIds = tuple[int, ...]


@dataclass(frozen=True)
class JsonPlan:
    """The fixed parts of an answer as token ids; between two of them come the digits of a share.

    Attributes:
        literals: one more than there are shares; the last one closes the object.
    """

    literals: tuple[TokenIds, ...]

    @property
    def most_tokens(self) -> int:
        """Tokens of an answer whose digits are a token each, its end token included."""
        return sum(map(len, self.literals)) + PLACES * (len(self.literals) - 1) + 1


@dataclass(frozen=True)
class JsonDigits:
    """A tokenizer's ways of writing digits and fixed text.

    Attributes:
        tokenizer: a Hugging Face tokenizer.
    """

    tokenizer: Any

    @cached_property
    def pieces(self) -> dict[int, str]:
        """Token id -> its digits, of all tokens that are nothing but 1 to 3 digits."""
        special = set(self.tokenizer.all_special_ids)
        return {
            token: piece
            for piece, token in sorted(self.tokenizer.get_vocab().items())
            if piece.isascii() and piece.isdecimal() and len(piece) <= PLACES
            if token not in special
        }

    @cached_property
    def usable(self) -> bool:
        """Whether the tokenizer has a token for every digit and every character of a skeleton."""
        if sum(len(piece) == 1 for piece in self.pieces.values()) != 10:
            return False
        skeleton = '{"A": 0.000, "B": 0.000}'
        ids = self.tokenizer(skeleton, add_special_tokens=False)["input_ids"]
        written = self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return str(written).strip() == skeleton

    def allowed(self, written: str, left: int, *, last: bool) -> TokenIds:
        """Token ids that may follow the digits ``written`` of a share.

        Args:
            left: thousandths that the shares before it left over.
            last: the share must be just those (999 of them at most: "0." is written already).
        """
        wanted = f"{min(left, _WHOLE - 1):0{PLACES}d}"
        found = []
        for token, piece in self.pieces.items():
            digits = written + piece
            if len(digits) > PLACES:
                continue
            least = int(digits.ljust(PLACES, "0"))
            if wanted.startswith(digits) if last else least <= left:
                found.append(token)
        return tuple(found)

    def plan(self, text: str, schema: Mapping[str, Any]) -> JsonPlan:
        """How an answer to ``schema`` is written after ``text``.

        Raises:
            ModelError: the schema is not an object with number properties from 0 to 1.
        """
        names = number_properties(schema)
        opening = "" if not text or text[-1].isspace() else " "
        quoted = [json.dumps(name, ensure_ascii=False) for name in names]
        pieces = [f"{opening}{{{quoted[0]}: 0.", *(f", {name}: 0." for name in quoted[1:])]
        contexts = [text[-_CONTEXT_CHARS:]] + ["0.000"] * len(names)
        literals = [
            self._after(context, piece)
            for context, piece in zip(contexts, [*pieces, "}"], strict=True)
        ]
        return JsonPlan(tuple(literals))

    def _after(self, context: str, piece: str) -> TokenIds:
        """Token ids of ``piece`` where it follows ``context``."""
        before = self._ids(context)
        whole = self._ids(context + piece)
        if whole[: len(before)] == before and len(whole) > len(before):
            return whole[len(before) :]
        return self._ids(piece)

    def _ids(self, text: str) -> TokenIds:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def number_properties(schema: Mapping[str, Any]) -> list[str]:
    """Names of the properties of an object whose properties are all numbers from 0 to 1.

    Raises:
        ModelError: another kind of schema.
    """
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, Mapping) and properties:
        bounds = [(p.get("type"), p.get("minimum"), p.get("maximum")) for p in properties.values()]
        if all(found == ("number", 0, 1) for found in bounds):
            return list(properties)
    raise ModelError(
        "The model cannot be held to this JSON schema",
        expected="an object whose properties are numbers with minimum 0 and maximum 1",
        found=json.dumps(schema),
    )


class JsonDecoding(LogitsProcessor):  # type: ignore[misc]
    """Leaves each row of a batch only the tokens its plan allows next.

    Args:
        plans: of each row; None: the row is free.
        start: width of the prompts; what follows is the model's.
        ends: token ids that end a text; the only ones allowed after the closing brace.
    """

    def __init__(
        self,
        plans: Sequence[JsonPlan | None],
        digits: JsonDigits,
        start: int,
        ends: Collection[int],
    ) -> None:
        self._plans = plans
        self._digits = digits
        self._start = start
        self._ends = tuple(sorted(ends))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Mask ``scores``, shape (rows, vocabulary), after ``input_ids``, shape (rows, tokens)."""
        for row, plan in enumerate(self._plans):
            if plan is None:
                continue
            allowed = self.allowed(plan, input_ids[row, self._start :].tolist())
            if allowed:
                index = torch.tensor(allowed, device=scores.device)
                kept = scores[row, index].clone()
                scores[row] = -torch.inf
                scores[row, index] = kept
        return scores

    def allowed(self, plan: JsonPlan, said: Sequence[int]) -> TokenIds:
        """Token ids that may follow what was said."""
        at, left = 0, _WHOLE
        shares = len(plan.literals) - 1
        for place, literal in enumerate(plan.literals):
            for token in literal:
                if at == len(said):
                    return (token,)
                at += 1
            if place == shares:
                break
            written = ""
            while len(written) < PLACES:
                if at == len(said):
                    return self._digits.allowed(written, left, last=place == shares - 1)
                written += self._digits.pieces[said[at]]
                at += 1
            left -= int(written)
        return self._ends
