"""From a service's answers to label probabilities and texts, and what an answer leaves open.

A list of the likeliest tokens does not hold every label. What is not listed is not zero: each
unlisted spelling is at most as likely as the least likely token listed, and all of them together
are at most what the list leaves over. A label with no listed spelling is put at that bound (the
leftover shared evenly where that is less), and the most that the unlisted could move any share
goes with the row (``LabelScores.unlisted``): U / (M + U), with M the probability of the labels
listed and U the bound on the unlisted. Shares of any two ways to fill the gap differ by no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opinioncast.backends.labels import LabelPlan
from opinioncast.backends.protocol import LabelScores
from opinioncast.errors import ServiceError

Listed = list[tuple[str, float]]
"""Token text and natural log-probability, the likeliest first."""

_SPACES = ("▁", "Ġ")  # how SentencePiece and byte-level BPE write a leading space
_NO_CHANCE = -9999.0  # OpenAI's way of writing minus infinity
_SLACK = 1e-3  # how far rounding may take a list's sum above 1


def listed_tokens(body: Mapping[str, Any]) -> Listed:
    """The tokens listed for the first place of an answer.

    Reads OpenAI's completions (``top_logprobs``: an object per place) and chat (``content``: a list
    per place; llama.cpp writes completions so too).

    Raises:
        ServiceError: no log-probabilities, or such as cannot be.
    """
    choice = first_choice(body)
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        raise _without(choice)
    try:
        if found.get("content"):
            top = found["content"][0]["top_logprobs"]
            listed = [(str(t["token"]), float(t["logprob"])) for t in top]
        else:
            listed = [(str(t), float(p)) for t, p in found["top_logprobs"][0].items()]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise _without(choice) from None
    if not listed:
        raise _without(choice)
    listed.sort(key=lambda pair: -pair[1])
    total = float(np.exp([p for _, p in listed]).sum())
    if not np.isfinite(total) or total > 1 + _SLACK:
        raise ServiceError(
            "The service's log-probabilities are none",
            expected="natural logarithms of probabilities that sum to 1 at most",
            found=f"a sum of {total:.4g} over {len(listed)} tokens",
        )
    return listed


def drawn_token(body: Mapping[str, Any]) -> str | None:
    """The text of the first token the service said; None where it does not say."""
    found = first_choice(body).get("logprobs") or {}
    if found.get("content"):
        return str(found["content"][0].get("token"))
    tokens = found.get("tokens")
    return str(tokens[0]) if tokens else None


def scores_from_list(
    listed: Listed, labels: Sequence[str], *, tolerance: float, drawn: str | None = None
) -> LabelScores:
    """Label scores from the likeliest tokens.

    Args:
        listed: of :func:`listed_tokens`.
        tolerance: a row whose unlisted labels could move a share by more is refused: its
            log-probabilities are NaN, and ``why_not`` says so.
        drawn: the token that was drawn; as the last of the list it may be an addition to it, and
            is no bound then.
    """
    seen = dict.fromkeys(labels, 0.0)
    spellings = {label: set[str]() for label in labels}
    space = 0.0
    for token, log_prob in listed:
        text = f" {token[1:]}" if token[:1] in _SPACES else token
        name = text.removeprefix(" ")
        if name in seen:
            seen[name] += float(np.exp(log_prob))
            spellings[name].add(text)
        elif text == " ":
            space = float(np.exp(log_prob))
    extra = len(listed) > 1 and drawn == listed[-1][0]
    least = float(np.exp(listed[-2 if extra else -1][1]))
    rest = max(0.0, 1.0 - float(np.exp([p for _, p in listed]).sum()))
    missing = {label: 2 - len(found) for label, found in spellings.items()}
    # A lone space may begin a label in two tokens, where the tokenizer has no token for " A". One
    # label listed with its space says that it has: letters are written alike.
    spaced = any(f" {label}" in found for label, found in spellings.items())
    unseen = min(rest, least * sum(missing.values())) + (0.0 if spaced else space)
    mass = sum(seen.values())
    unlisted = unseen / (mass + unseen) if unseen > 0 else 0.0
    absent = [label for label in labels if not spellings[label]]
    if mass <= 0 or unlisted > tolerance:
        return LabelScores(
            np.full(len(labels), np.nan),
            unlisted=unlisted if mass > 0 else 1.0,
            why_not=f"among the {len(listed)} tokens listed are labels of probability {mass:.3g}; "
            f"unlisted ones ({', '.join(absent) or 'other spellings'}) could move a share by "
            f"{100 * (unlisted if mass > 0 else 1.0):.1f} points",
        )
    bound = min(2 * least, rest / max(1, len(absent)))
    values = [seen[k] if spellings[k] else bound for k in labels]
    with np.errstate(divide="ignore"):
        return LabelScores(np.log(np.array(values)), unlisted=unlisted)


def scores_from_ids(body: Mapping[str, Any], plan: LabelPlan) -> LabelScores:
    """Label scores where the service gave exactly the token ids asked for (vLLM).

    Raises:
        ServiceError: an id is missing.
    """
    found = dict(listed_tokens(body))
    values = []
    for spellings in plan.paths:
        parts = []
        for spelling in spellings:
            ((_, place),) = spelling
            token = f"token_id:{plan.wanted[0][place]}"
            if token not in found:
                raise ServiceError(
                    "The service left out a token it was asked for",
                    expected=token,
                    found=sorted(found)[:5],
                    hint="run with --scoring top or echo",
                )
            parts.append(found[token] if found[token] > _NO_CHANCE else -np.inf)
        values.append(np.logaddexp.reduce(parts))
    return LabelScores(np.array(values, dtype=np.float64))


def echoed_log_prob(body: Mapping[str, Any], ending: str) -> float:
    """Log-probability of ``ending``, with which the prompt that was echoed ends.

    Raises:
        ServiceError: no log-probabilities of the prompt, or a token that reaches across the place
            where ``ending`` begins.
    """
    choice = first_choice(body)
    found = choice.get("logprobs")
    if not isinstance(found, dict) or not isinstance(found.get("tokens"), list):
        raise _without(choice)
    written = (body.get("usage") or {}).get("completion_tokens")
    count = written if isinstance(written, int) else 1  # one token was asked for
    tokens = [str(t) for t in found["tokens"]]
    log_probs = list(found.get("token_logprobs") or [])
    end = len(tokens) - count
    joined, total, at = "", 0.0, end
    while at > 0 and joined != ending and ending.endswith(joined):
        at -= 1
        joined = tokens[at] + joined
        value = log_probs[at] if at < len(log_probs) else None
        if value is None:
            raise _without(choice)
        total += float(value) if value > _NO_CHANCE else -np.inf
    if joined != ending:
        raise ServiceError(
            "The label cannot be told from the prompt in the service's tokens",
            expected=f'tokens that together are "{ending}" at the end of the prompt',
            found=tokens[max(0, end - 3) : end],
            hint="run with --scoring top, or with another model",
        )
    return total


def text_of(body: Mapping[str, Any]) -> str:
    """The text of a completion or of a chat answer (empty where the model said nothing).

    Raises:
        ServiceError: the answer holds none.
    """
    choice = first_choice(body)
    found = choice.get("text")
    if found is None and isinstance(choice.get("message"), dict):
        found = choice["message"].get("content") or ""
    if not isinstance(found, str):
        raise ServiceError(
            "The service's answer holds no text",
            expected="choices[0].text or choices[0].message.content",
            found=choice,
        )
    return found


def first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """``choices[0]``. Raises ServiceError where there is none."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ServiceError(
            "The service's answer is not an OpenAI-compatible one",
            expected="choices with at least one entry",
            found=body,
            hint="check --base-url",
        )
    return choices[0]


def _without(choice: Mapping[str, Any]) -> ServiceError:
    return ServiceError(
        "The service's answer holds no log-probabilities",
        expected="choices[0].logprobs with the tokens asked for",
        found=choice,
        hint="run with --method few-shot -k 0, which has the model write distributions, or take a "
        "service that gives log-probabilities",
    )
