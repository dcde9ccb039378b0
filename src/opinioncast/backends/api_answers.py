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

from opinioncast.backends.api_invariants import (
    NO_CHANCE,
    SLACK,
    DoubtfulAnswerError,
    check_list,
    plain_token,
    usage_of,
)
from opinioncast.backends.labels import LabelPlan
from opinioncast.backends.protocol import LabelScores
from opinioncast.errors import ServiceError

Listed = list[tuple[str, float]]
"""Token text and natural log-probability, the likeliest first."""

_WHOLE = 1e-4  # what a list leaves over is no bound where rounding may have taken it


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
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        raise _without(choice) from None
    if not listed:
        raise _without(choice)
    listed.sort(key=lambda pair: -pair[1])
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.exp([p for _, p in listed]).sum())
    if not np.isfinite(total) or total > 1 + SLACK:
        raise ServiceError(
            "The service's log-probabilities are none",
            expected="natural logarithms of probabilities that sum to 1 at most",
            found=f"a sum of {total:.4g} over {len(listed)} tokens",
        )
    return listed


def drawn_token(body: Mapping[str, Any]) -> str | None:
    """The text of the first token the service said; None where it does not say."""
    return _drawn(first_choice(body))[0]


def checked_list(body: Mapping[str, Any], asked: int, *, known: bool = True) -> Listed:
    """The tokens listed, once they can be what they say.

    Args:
        asked: how many were asked for.
        known: the service is known to list so many.

    Raises:
        DoubtfulAnswerError: they cannot. ServiceError: what :func:`listed_tokens` raises.
    """
    listed = listed_tokens(body)
    choice = first_choice(body)
    drawn, log_prob = _drawn(choice)
    found = choice["logprobs"]
    as_object = not found.get("content")
    there = found.get("content") or found.get("top_logprobs")
    try:
        said: str | None = text_of(body)
    except ServiceError:
        said = None
    check_list(
        listed,
        asked=asked,
        known=known,
        as_object=as_object,
        drawn=drawn,
        drawn_log_prob=log_prob,
        said=said,
        places=len(there),
    )
    return listed


def _drawn(choice: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """The token that was drawn and its log-probability, as far as the service says."""
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        return None, None
    token: Any = None
    value: Any = None
    places, tokens, values = (found.get(k) for k in ("content", "tokens", "token_logprobs"))
    if isinstance(places, list) and places and isinstance(places[0], dict):
        token, value = places[0].get("token"), places[0].get("logprob")
    elif isinstance(tokens, list) and tokens:
        token = tokens[0]
        value = values[0] if isinstance(values, list) and values else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (token if isinstance(token, str) else None), (float(value) if number else None)


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
        text = plain_token(token)
        name = text.removeprefix(" ")
        if name in seen:
            seen[name] += float(np.exp(log_prob))
            spellings[name].add(text)
        elif text == " ":
            space = float(np.exp(log_prob))
    extra = len(listed) > 1 and drawn == listed[-1][0]
    least = float(np.exp(listed[-2 if extra else -1][1]))
    rest = max(0.0, 1.0 - float(np.exp([p for _, p in listed]).sum()))
    if rest < _WHOLE:  # rounding, or a list that was made whole again: the last token bounds more
        rest = max(rest, min(1.0, least * 2 * len(labels)))
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
            parts.append(found[token] if found[token] > NO_CHANCE else -np.inf)
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
    _, written = usage_of(body)
    count = 1 if written is None else written  # one token was asked for
    tokens = [str(t) for t in found["tokens"]]
    given = found.get("token_logprobs")
    log_probs = list(given) if isinstance(given, list) else []
    end = len(tokens) - count
    joined, total, at = "", 0.0, end
    while at > 0 and joined != ending and ending.endswith(joined):
        at -= 1
        joined = tokens[at] + joined
        value = log_probs[at] if at < len(log_probs) else None
        if not isinstance(value, int | float) or np.isnan(value):
            raise _without(choice)
        if value > SLACK:
            raise DoubtfulAnswerError(
                "The service's log-probabilities are none",
                expected="natural logarithms of probabilities",
                found=f"{value:.4g} for {tokens[at]!r}",
            )
        total += float(value) if value > NO_CHANCE else -np.inf
    if joined != ending:
        raise ServiceError(
            "The label cannot be told from the prompt in the service's tokens",
            expected=f'tokens that together are "{ending}" at the end of the prompt',
            found=tokens[max(0, end - 3) : end],
            hint="run with --scoring top, or with another model",
        )
    return total


def text_of(body: Mapping[str, Any]) -> str:
    """The text of a completion or of a chat answer.

    Raises:
        DoubtfulAnswerError: the model said nothing that is an answer (null, no text but its
            reasoning). ServiceError: there is no place for a text.
    """
    choice = first_choice(body)
    found = choice.get("text")
    message = choice.get("message")
    if found is None and isinstance(message, dict):
        found = message.get("content")
        if isinstance(found, list):  # parts, as some services write them
            parts = [p.get("text") for p in found if isinstance(p, dict)]
            found = "".join(p for p in parts if isinstance(p, str))
        if found is None:
            thought = next(
                (k for k in ("reasoning_content", "reasoning", "thinking") if message.get(k)), None
            )
            raise DoubtfulAnswerError(
                "The service's answer holds no text"
                + (" but the model's reasoning" if thought else ""),
                expected="choices[0].message.content",
                found=choice,
                hint="turn the model's reasoning off or down in the service" if thought else None,
            )
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
        hint="run with --method few-shot -k 0 --chat, which has the model write distributions, or "
        "take a service that gives log-probabilities",
    )
