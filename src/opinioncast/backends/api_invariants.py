"""What holds of every answer, whatever the service; where it does not, there is no answer.

Each check is one function here, made of what the answer itself says: which model, why it ended, how
many tokens it read, which token was drawn, and what the list of the likeliest tokens adds up to. An
answer that fails is not kept in the journal: it may have been a moment's oddity.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opinioncast.errors import ServiceError

Body = Mapping[str, Any]
Listed = Sequence[tuple[str, float]]

CHECKS = 2
"""Raised with every new check: what was kept under an earlier one is asked again."""

NO_CHANCE = -9999.0
"""OpenAI's way of writing minus infinity."""

SLACK = 1e-3
"""How far rounding may take a list's sum above 1."""

_WHOLE = 1e-4  # a list that leaves less than this over says that it is all there is
_LONG = 100  # no list that top-p or top-k cut is so long; a small model's whole vocabulary may be
_VOCABULARY = 500_000  # tokens; no model has more
_MANY = 20  # of so many tokens after a word, some begin with a space
_APART = 0.1  # of two logarithms of one probability, as far as rounding and noise explain
_WORDS, _TOKENS_PER_WORD = 20, 0.5  # tokenizers do not join words, or few of them
_FRAME = 64  # tokens of a chat template; more than that and one a byte needs an explanation
_FILTERED = frozenset(("content_filter", "safety", "recitation", "blocklist", "sensitive"))
_FAILED = frozenset(("error", "abort", "network_error", "failed"))
_SENTENCE_PIECE, _BYTES = "▁", "Ġ"
_MOVING = ("latest", "free")
_DATED = re.compile(rf"[-@:_](?:{'|'.join(_MOVING)}|\d{{4}}[-\d]*)$|:\d{{1,2}}$")


class DoubtfulAnswerError(ServiceError):
    """An answer that contradicts itself or what was asked: it stands for nothing."""


class OtherModelError(ServiceError):
    """Another model answered than the one that was asked."""


def usage_of(body: Body) -> tuple[int | None, int | None]:
    """Tokens read and written as the service counts them; None where it does not tell. A count of
    no tokens read is no count."""

    def count(value: Any) -> int | None:
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
        return value if whole else None

    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return None, None
    return count(usage.get("prompt_tokens")) or None, count(usage.get("completion_tokens"))


def fault_inside(body: Body) -> tuple[int | None, str] | None:
    """The error that an answer of status 200 holds: its status if it names one, and its words."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for holder in (body, first):
        error = holder.get("error") if isinstance(holder, Mapping) else None
        if not error:
            continue
        code = error.get("code") if isinstance(error, Mapping) else None
        code = code if isinstance(code, int) and 400 <= code < 600 else None
        return code, str(error)
    reason = _lower(first.get("finish_reason")) if isinstance(first, Mapping) else ""
    return (None, f"the answer ended with {reason!r}") if reason in _FAILED else None


def check_model(body: Body, asked: str, served_as: Sequence[str] = ()) -> str | None:
    """The name the answer gives its model; None where it gives none.

    A name says the same as another where they differ in case, in what stands before the last ``/``
    (a vendor, a folder), in the ending of a weights file, or in a date, ``latest`` or ``free``
    behind it.

    Raises:
        OtherModelError: it is another model's.
    """
    name = body.get("model")
    if not isinstance(name, str) or not name.strip():
        return None
    if any(_same_model(name, known) for known in (asked, *served_as)):
        return name
    raise OtherModelError(
        "The service answered with another model than the one asked",
        expected=f"model {asked}",
        found=f"model {name}",
        hint=f"run with --model {name} if that is the one you mean, load the other one in the "
        f"service, or say that it is served under that name: --served-as {name}",
    )


def _same_model(name: str, asked: str) -> bool:
    """A date on one side only leaves open which; two dates say that they are two."""
    one, other = plain_name(name), plain_name(asked)
    moving = other.endswith(_MOVING)  # "latest" is whatever is latest
    if one == other or _DATED.sub("", one) == other or one == _DATED.sub("", other):
        return True
    return moving and _DATED.sub("", one) == _DATED.sub("", other)


def plain_name(name: str) -> str:
    """What two names of one model have in common."""
    last = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2].casefold()
    for ending in (".gguf", ".safetensors", ".bin"):
        last = last.removesuffix(ending)
    return last


def check_finish(choice: Body) -> None:
    """Raises DoubtfulAnswerError: a filter or a refusal of the service stands in for the answer."""
    reason = _lower(choice.get("finish_reason"))
    if reason in _FILTERED:
        raise DoubtfulAnswerError(
            "The service filtered the answer", found=f"finish_reason {reason!r}"
        )
    message = choice.get("message")
    if isinstance(message, Mapping) and isinstance(message.get("refusal"), str):
        raise DoubtfulAnswerError("The service refused to answer", found=message["refusal"])


def was_cut(choice: Body) -> bool:
    """Whether the answer ended because its tokens were spent."""
    return _lower(choice.get("finish_reason")) in ("length", "max_tokens", "max_output_tokens")


def check_tokens_read(body: Body, text: str) -> bool:
    """Whether the number of tokens read needs an explanation (more than one a byte).

    Raises:
        DoubtfulAnswerError: fewer than the text has words: it was cut.
    """
    read, _ = usage_of(body)
    if read is None:
        return False
    words = len(re.findall(r"[A-Za-z]{2,}", text))
    if words >= _WORDS and read < _TOKENS_PER_WORD * words:
        raise DoubtfulAnswerError(
            "The service cut the prompt without a word",
            expected=f"a token or more for most of its {words} words",
            found=f"{read} tokens read",
            hint="give the service more context (Ollama: OLLAMA_CONTEXT_LENGTH; llama.cpp: -c)",
        )
    return read > len(text.encode()) + _FRAME


def check_list(
    listed: Listed,
    *,
    asked: int,
    known: bool,
    as_object: bool,
    drawn: str | None,
    drawn_log_prob: float | None,
    said: str | None,
    places: int,
) -> None:
    """A list of the likeliest tokens can be what it says.

    Args:
        listed: token texts and natural log-probabilities, the likeliest first.
        asked: how many were asked for.
        known: the service lists so many; else that is being found out.
        as_object: it came as a JSON object, in which two tokens of one text are one.
        drawn, drawn_log_prob: the token that was drawn, where the service says.
        said: the text of the answer.
        places: for how many places of the answer there is a list.

    Raises:
        DoubtfulAnswerError: it contradicts itself, was cut, or is of another place.
    """
    possible = [(plain_token(t), p) for t, p in listed if p > NO_CHANCE]
    if not possible:
        raise _doubtful("every token listed is impossible", f"{len(listed)} tokens")
    total = math.fsum(math.exp(p) for _, p in possible)
    left = max(0.0, 1.0 - total)
    names = [t for t, _ in possible]
    token = None if drawn is None or _unreadable(drawn) else plain_token(drawn)
    extra = len(possible) > 1 and token == names[-1]
    least = math.exp(possible[-2 if extra else -1][1])
    if left < _WHOLE and least > _WHOLE and len(possible) < _LONG:
        raise _doubtful(
            "the list was cut and made whole again (top-p, top-k, or a list of what was drawn)",
            f"{len(possible)} tokens whose probabilities sum to {total:.6g}",
            "have the service list the model's own probabilities: top_p 1, top_k off, raw_logprobs",
        )
    if len(possible) < len(listed) and left > SLACK:
        raise _doubtful(
            "tokens listed have no chance, though more than they could have is left over",
            f"{left:.3g} left over, and {len(listed) - len(possible)} tokens of probability 0",
        )
    if left > SLACK + least * _VOCABULARY:
        raise _doubtful(
            "more is left over than all tokens that are not listed can have",
            f"{left:.3g} left over, and the last of {len(listed)} tokens has {least:.3g}",
        )
    stripped = not any(n[:1].isspace() for n in names)
    # of characters, which look alike: they may be one
    parts = any("\ufffd" in n for n in names)
    fewer = 0 < len(listed) < asked and not parts
    if as_object and stripped and (fewer or len(listed) >= _MANY):
        raise _doubtful(
            'tokens of one text were made one ("A" and " A"), and the less likely may have stayed',
            f"{len(listed)} tokens"
            + (f" of {asked} asked for" if asked else "")
            + ", none of them with its space",
            "run with --scoring token-ids or echo, with --chat, or with a newer server",
        )
    if known and fewer:
        raise _doubtful("the list is shorter than others", f"{len(listed)} tokens of {asked}")
    if token is None:
        return
    if said is not None and said.strip() and token.strip():
        start = said.lstrip()
        if not start.startswith(token.strip()) and not token.strip().startswith(start.strip()):
            raise _doubtful(
                "the list is of another place than the answer's beginning",
                f"the answer begins {said[:20]!r}, and the token listed there is {drawn!r}",
            )
    if places > 1 and not (said or "").strip():
        raise _doubtful("the list is of several places", f"{places} places for one token")
    _check_drawn(token, drawn_log_prob, possible, left, least)


def _check_drawn(
    token: str, log_prob: float | None, possible: Listed, left: float, least: float
) -> None:
    """The drawn token is in the list, with the probability it has there, or is less likely."""
    values = [p for t, p in possible if t == token]
    known = log_prob is not None and math.isfinite(log_prob) and log_prob > NO_CHANCE
    own = log_prob if known and log_prob is not None else None
    if values:
        if own is not None and min(abs(v - own) for v in values) > _APART:
            raise _doubtful(
                "the drawn token has another probability beside the list than in it",
                f"{token!r}: {math.exp(own):.3g} and {math.exp(values[0]):.3g}",
            )
        return
    unspaced = [p for t, p in possible if t.strip() == token.strip() and token.strip()]
    if unspaced:
        return
    if left < _WHOLE or (own is not None and own > math.log(max(least, 1e-300)) + _APART):
        likely = "" if own is None else f" of probability {math.exp(own):.3g}"
        raise _doubtful(
            "the drawn token is not in the list, and is too likely to be left out",
            f"{token!r}{likely}; the last of {len(possible)} tokens has {least:.3g}",
        )


class DrawnTokens:
    """Whether what a service draws is, over many answers, what its lists say is likely.

    One draw outside the list says nothing. Many more than the lists leave over say that the lists
    are of another place, another temperature or another model.
    """

    def __init__(self) -> None:
        self._missed, self._expected = 0, 0.0
        self._lock = threading.Lock()

    def add(self, listed: Listed, drawn: str | None) -> None:
        """Raises DoubtfulAnswerError once the draws do not fit the lists."""
        if drawn is None or _unreadable(drawn):
            return
        names = {plain_token(t).strip() for t, p in listed if p > NO_CHANCE}
        left = max(0.0, 1.0 - math.fsum(math.exp(p) for _, p in listed if p > NO_CHANCE))
        with self._lock:
            self._missed += plain_token(drawn).strip() not in names
            self._expected += left
            missed, expected = self._missed, self._expected
        if missed >= 5 and missed > expected + 3 + 6 * math.sqrt(expected):
            raise _doubtful(
                "what the service draws is not what its lists say is likely",
                f"{missed} draws outside the lists, where they leave {expected:.1f} over",
            )


def plain_token(token: str) -> str:
    """A token's text with its leading space, however the tokenizer writes that."""
    return f" {token[1:]}" if token[:1] in (_SENTENCE_PIECE, _BYTES) else token


def _unreadable(token: str) -> bool:
    """A token whose text cannot be compared: none, part of a character, or an id."""
    return not token or "\ufffd" in token or token.startswith(("<0x", "bytes:", "token_id:"))


def _lower(value: Any) -> str:
    return value.casefold() if isinstance(value, str) else ""


def _doubtful(title: str, found: str, hint: str | None = None) -> DoubtfulAnswerError:
    return DoubtfulAnswerError(
        f"The service's log-probabilities cannot be the model's: {title}",
        expected="a list of the likeliest next tokens with the model's own probabilities",
        found=found,
        hint=hint
        or "run with --scoring token-ids or echo where the service can, or with --method few-shot "
        "-k 0 --chat, which has the model write distributions",
    )
