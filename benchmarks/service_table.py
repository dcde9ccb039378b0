"""What comes of services that answer in odd ways: equal to the truth within what, or refused why.

    python benchmarks/service_table.py [--quick] [--write]

Each service is imitated in this process, as public bug reports describe it, with a distribution
that is known; one prompt of three options is asked of each, by its labels or, where it only chats,
in words. The rows go between their marks in docs/backends.md with ``--write``. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from opinioncast.backends.api import ApiBackend
from opinioncast.backends.api_limits import Clock, Limits
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.protocol import LabelRequest, TextRequest
from opinioncast.errors import OpinioncastError
from opinioncast.files import atomic_path
from opinioncast.methods.verbalised import Verbalised, parse_shares

Body = dict[str, Any]
Listed = dict[str, float]

DOCUMENT = Path(__file__).parent.parent / "docs" / "backends.md"
BEGIN = "<!-- services: python benchmarks/service_table.py --write -->"
END = "<!-- end of services -->"
LABELS, OPTIONS = ("A", "B", "C"), ("Favor", "Oppose", "Refused")
PROMPT = "Question: Do you favor a limit?\nA. Favor\nB. Oppose\nC. Refused\n\nAnswer:"
TRUE = {" A": 0.55, " B": 0.28, " C": 0.10, "A": 0.004, "B": 0.012, "C": 0.0005}
SHARES = '{"A": 0.58, "B": 0.31, "C": 0.11}'
REFUSED = (404, {"error": {"message": "no such address"}})


class NoWaiting(Clock):
    """Time that passes only when somebody sleeps."""

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        return


@dataclass(frozen=True)
class Imitation:
    """A kind of service.

    Attributes:
        does: what it does, for the table.
        answer: (path, payload) -> (status, body).
        writes: it only chats: it is asked for a distribution in words.
    """

    does: str
    answer: Callable[[str, Body], tuple[int, Any]]
    writes: bool = False


def whole() -> Listed:
    """Every token's log-probability, the likeliest first."""
    rest = 1 - sum(TRUE.values())
    others = {f" w{i}": rest * 0.9**i * 0.1 / (1 - 0.9**400) for i in range(400)}
    chances = sorted((TRUE | others).items(), key=lambda pair: -pair[1])
    return {token: math.log(p) for token, p in chances}


def lists(
    change: Callable[[Listed], Listed] = dict, most: int = 20, **more: Any
) -> Callable[[str, Body], tuple[int, Any]]:
    """A service that lists at most ``most`` tokens, after ``change``."""

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        asked = payload.get("logprobs") or 0
        if path != "/v1/completions" or payload.get("echo"):
            return REFUSED
        if asked > most:
            return 400, {"error": {"message": f"at most {most}"}}
        listed = change(dict(list(whole().items())[:asked]))
        token = next(iter(listed))
        found = {"tokens": [token], "token_logprobs": [listed[token]], "top_logprobs": [listed]}
        choice = {"text": token, "logprobs": found, "finish_reason": "length"}
        usage = {"prompt_tokens": 30, "completion_tokens": 1}
        return 200, {"model": "m", "choices": [choice], "usage": usage} | more

    return answer


def chats(
    content: str | None = SHARES, finish: str = "stop", **more: Any
) -> Callable[[str, Body], tuple[int, Any]]:
    """A service that only chats, and lists nothing."""

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        if path != "/v1/chat/completions":
            return REFUSED
        message = {"role": "assistant", "content": content}
        choice = {"message": message, "finish_reason": finish}
        usage = {"prompt_tokens": 40, "completion_tokens": 20}
        return 200, {"model": "m", "choices": [choice], "usage": usage} | more

    return answer


def reasoning(path: str, payload: Body) -> tuple[int, Any]:
    """OpenAI's reasoning models: no temperature, no log-probabilities, another limit's name."""
    for field, said in (
        ("max_tokens", "use max_completion_tokens"),
        ("temperature", "temperature"),
    ):
        if field in payload and payload[field] != 1:
            return 400, {"error": {"message": said}}
    return chats()(path, payload)


def stripped(listed: Listed) -> Listed:
    return {token.strip(): p for token, p in listed.items()}


def nucleus(listed: Listed) -> Listed:
    kept = dict(list(listed.items())[:2])
    total = sum(map(math.exp, kept.values()))
    return {token: p - math.log(total) for token, p in kept.items()}


def zeros(listed: Listed) -> Listed:
    first = next(iter(listed))
    return {token: 0.0 if token == first else -9999.0 for token in listed}


THOUGHT = '<think>A naive start: {"A": 0.1, "B": 0.1, "C": 0.8}, but that is wrong because'
IMITATIONS = (
    Imitation("lists 1,000 tokens (llama.cpp)", lists(most=1000)),
    Imitation("lists 20 tokens", lists()),
    Imitation("lists 5 tokens (OpenAI's completions)", lists(most=5)),
    Imitation('makes " A" and "A" one token (vLLM with SentencePiece)', lists(stripped)),
    Imitation("lists what top-p left, made whole again", lists(nucleus)),
    Imitation("lists zeros for all but the drawn token", lists(zeros)),
    Imitation(
        "gives probabilities for logarithms",
        lists(lambda found: {token: math.exp(p) for token, p in found.items()}),
    ),
    Imitation(
        "gives logarithms to base 10",
        lists(lambda found: {token: p / math.log(10) for token, p in found.items()}),
    ),
    Imitation("answers with another model (LM Studio)", lists(model="gemma-3-1b-it-qat:2")),
    Imitation(
        "puts an error into status 200 (OpenRouter)",
        chats(error={"message": "Rate limit exceeded", "code": 429}),
        writes=True,
    ),
    Imitation("gives null for a text", chats(None), writes=True),
    Imitation("filters the answer", chats("", "content_filter"), writes=True),
    Imitation("thinks until its tokens are spent", chats(THOUGHT, "length"), writes=True),
    Imitation("thinks, closes that, answers", chats(f"{THOUGHT}</think>\n{SHARES}"), writes=True),
    Imitation("is cut before the object closes", chats(SHARES[:-5], "length"), writes=True),
    Imitation(
        "cuts prompts without a word (Ollama)",
        chats(usage={"prompt_tokens": 2050, "completion_tokens": 20}),
        writes=True,
    ),
    Imitation("takes neither temperature 0 nor log-probabilities", reasoning, writes=True),
    Imitation("streams", lambda path, payload: (200, b"data: {}\n\ndata: [DONE]"), writes=True),
)


def outcome(service: Imitation) -> tuple[float | None, str]:
    """The largest difference of a share from the truth, or None and why it was refused."""

    def handle(request: httpx.Request) -> httpx.Response:
        status, body = service.answer(request.url.path, json.loads(request.content))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content)

    settings = ApiSettings("http://127.0.0.1/v1", "m", chat=service.writes, unlisted_tolerance=0.05)
    limits = Limits.of(settings, NoWaiting())
    backend = ApiBackend(settings, limits=limits, transport=httpx.MockTransport(handle))
    try:
        if service.writes:
            request = TextRequest(backend.chat_text(PROMPT), 100)
            ((_, said),) = backend.generate([request])
            read = parse_shares(said.text, LABELS, OPTIONS, cut=said.cut)
            if said.why_not or not isinstance(read, Verbalised):
                return None, said.why_not or getattr(read, "reason", "")
            return _off(read.shares, json.loads(SHARES)), ""
        ((_, scores),) = backend.score([LabelRequest(PROMPT, LABELS)])
    except OpinioncastError as error:
        none = error.title.startswith("The service gives no label probabilities")
        return None, (error.found or error.title) if none else error.title
    finally:
        backend.close()
    if np.isnan(scores.log_probs).any():
        return None, scores.why_not
    return _off(scores.shares, {k: TRUE[k] + TRUE[f" {k}"] for k in LABELS}), ""


def _off(shares: Any, true: Mapping[str, float]) -> float:
    expected = np.array(list(true.values()))
    return float(np.abs(np.asarray(shares) - expected / expected.sum()).max())


def table() -> tuple[list[str], dict[str, int]]:
    """The rows in Markdown, and how many services were taken and refused."""
    rows = ["| a service that | what comes out |", "|---|---|"]
    counts = {"services": len(IMITATIONS), "equal": 0, "wrong": 0, "refused": 0}
    for service in IMITATIONS:
        off, why = outcome(service)
        if off is None:
            counts["refused"] += 1
            reason = why.replace("The service's log-probabilities cannot be the model's: ", "")
            rows.append(
                f"| {service.does} | refused: {' '.join(reason.split()).replace('|', '/')} |"
            )
        else:
            counts["equal" if off <= 0.01 else "wrong"] += 1
            how = "asked in words, " if service.writes else ""
            rows.append(f"| {service.does} | {how}shares within {max(off, 1e-6):.6f} |")
    return rows, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    options = parser.parse_args()
    rows, counts = table()
    print("\n".join(rows))
    if options.write:
        text = DOCUMENT.read_text("utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        with atomic_path(DOCUMENT) as temporary:
            temporary.write_text("\n".join([before + BEGIN, *rows, END + after]), "utf-8")
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
