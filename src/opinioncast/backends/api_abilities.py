"""What one endpoint of a service can do, and how its answers to a try are understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opinioncast.backends.api_invariants import OtherModelError
from opinioncast.backends.api_settings import Scoring
from opinioncast.errors import ServiceError

PROBE = "Question: Is this a test?\nA. Yes\nB. No\n\nAnswer:"
"""What is asked to find out what a service can do."""

_PROBE_WORDS = 8  # tokens at least of each repetition of the probe: it has ten words
_FILLED, _LONGEST_FILLED = 2_000, 200_000  # bytes of the long text that shows whether it is cut


@dataclass(frozen=True, slots=True)
class Ability:
    """What one endpoint of a service gives.

    Attributes:
        scoring: the way label probabilities are read; None: it gives none.
        listed: tokens it lists at most, as far as was tried; 0: no list.
        why_not: what it said where something was refused.
    """

    scoring: Scoring | None
    listed: int
    why_not: str = ""


class RemoteTokenizer:
    """As much of a Hugging Face tokenizer as :func:`plan_labels` needs, asked over HTTP."""

    unk_token_id = None

    def __init__(self, tokenize: Any) -> None:
        self._tokenize = tokenize

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens, "labels stand inside a text"
        return {"input_ids": self._tokenize(text)}


def is_no(error: ServiceError) -> bool:
    """Whether an error says that the service does not do what was tried.

    A missing key, an exhausted account or an unreachable server says nothing about that. Some
    servers fail with a status of 500 on fields they do not know, others show a page.
    """
    if isinstance(error, OtherModelError):
        return False
    if error.status is None or 200 <= error.status < 300:
        return error.answered
    if error.status == 403 and "logprob" in error.said.casefold():
        return True  # the key is good, the model gives none
    return error.status in (400, 404, 405, 413, 422, 500, 501)


def repetitions(size: int) -> int:
    """How often the probe makes a text that is longer than a prompt of ``size`` bytes."""
    times = max(_FILLED, 2 * size) // len(PROBE)
    return min(1 << times.bit_length(), _LONGEST_FILLED // len(PROBE))


def reads_whole(short: int | None, long: int | None, times: int) -> bool:
    """Whether the tokens read of the probe and of ``times`` the probe let both have been read
    whole; where the service does not count, nothing says otherwise."""
    return short is None or long is None or long - short >= _PROBE_WORDS * (times - 1)


def cuts_prompts(short: int, long: int, times: int, where: str) -> ServiceError:
    """The error of a service that does not."""
    return ServiceError(
        "The service cuts prompts without a word",
        where=where,
        expected=f"{_PROBE_WORDS * (times - 1)} tokens more for a text that is longer by "
        f"{len(PROBE) * (times - 1)} characters",
        found=f"{short} tokens read of the short text, {long} of the long one",
        hint="give the service more context (Ollama: OLLAMA_CONTEXT_LENGTH; llama.cpp: -c; "
        "LM Studio: context length), or ask a shorter question with fewer examples",
    )
