"""Services that answer oddly: what comes out is right, or refused with a reason; never a share that
is wrong and says nothing."""

from __future__ import annotations

import gzip
import json
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.backends.service import Body, Service, chat_answer, completion, prompt_of

pytest.importorskip("httpx")

import httpx

from opinioncast.backends import LabelRequest, TextRequest
from opinioncast.backends.api import ApiBackend
from opinioncast.backends.api_exchange import KeyMask
from opinioncast.backends.api_invariants import DrawnTokens, check_model
from opinioncast.backends.api_journal import Journal
from opinioncast.backends.api_limits import Clock, Limits
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.errors import NoScoresError, OpinioncastError, ServiceError
from opinioncast.methods.verbalised import Unreadable, Verbalised, parse_shares

LABELS = ("A", "B", "C")
PROMPT = "Question: Do you favor a limit?\nA. Favor\nB. Oppose\nC. Refused\n\nAnswer:"
TRUE = {" A": 0.55, " B": 0.28, " C": 0.10, "A": 0.004, "B": 0.012, "C": 0.0005}
JSON = '{"A": 0.5, "B": 0.3, "C": 0.2}'


class NoWaiting(Clock):
    """Time that passes only when somebody sleeps."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        self.time += seconds


def vocabulary(chances: Mapping[str, float] = TRUE) -> dict[str, float]:
    """With 400 other tokens that have the rest, ever less of it."""
    rest = 1 - sum(chances.values())
    others = {f" w{i}": rest * 0.9**i * 0.1 / (1 - 0.9**400) for i in range(400)}
    return dict(sorted((dict(chances) | others).items(), key=lambda pair: -pair[1]))


def answer_of(payload: Body, chances: Mapping[str, float] = TRUE, most: int = 20) -> Body | None:
    """An honest service's answer; None where it refuses so long a list."""
    asked = payload.get("logprobs") or 0
    if asked > most:
        return None
    listed = list(vocabulary(chances).items())[:asked]
    return completion(payload, {t: math.log(p) for t, p in listed}, listed[0][0])


def backend_of(
    answer: Callable[[str, Body], tuple[int, Any]], journal: Journal | None = None, **changed: Any
) -> ApiBackend:
    """The backend on a service in this process: no socket."""

    def handle(request: httpx.Request) -> httpx.Response:
        status, body = answer(request.url.path, json.loads(request.content))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content)

    asked = ApiSettings("http://127.0.0.1/v1", "m", **({"concurrency": 1} | changed))
    limits = Limits.of(asked, NoWaiting())
    transport = httpx.MockTransport(handle)
    return ApiBackend(asked, journal=journal, limits=limits, transport=transport)


def refusing(path: str, payload: Body) -> tuple[int, Any]:
    return 404, {"error": {"message": "no such address"}}


def completions(change: Callable[[Body, Body], Any], most: int = 20) -> Any:
    """A service whose honest completions ``change(body, payload)`` spoils."""

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        if path != "/v1/completions" or payload.get("echo"):
            return refusing(path, payload)
        body = answer_of(payload, most=most)
        if body is None:
            return 400, {"error": {"message": f"logprobs above {most}"}}
        return 200, change(body, payload)

    return answer


def outcome(backend: ApiBackend, text: str = PROMPT) -> tuple[Any, str]:
    """Shares, or None and what was said instead."""
    try:
        ((_, scores),) = backend.score([LabelRequest(text, LABELS)])
    except OpinioncastError as error:
        return None, str(error)
    if np.isnan(scores.log_probs).any():
        assert scores.why_not
        return None, scores.why_not
    return scores, ""


def true_shares(chances: Mapping[str, float] = TRUE) -> Any:
    found = np.array([chances.get(k, 0) + chances.get(f" {k}", 0) for k in LABELS])
    return found / found.sum()


def top(body: Body) -> dict[str, float]:
    return dict(body["choices"][0]["logprobs"]["top_logprobs"][0])


def with_list(body: Body, listed: dict[str, float], **more: Any) -> Body:
    found = {**body["choices"][0]["logprobs"], "top_logprobs": [listed], **more}
    return {**body, "choices": [{**body["choices"][0], "logprobs": found}]}


def stripped(body: Body, payload: Body) -> Body:
    """vLLM: tokens decoded one by one lose their space, and the less likely one overwrites."""
    listed: dict[str, float] = {}
    for token, p in top(body).items():
        listed[token.strip()] = p
    return with_list(body, listed, tokens=["A"], token_logprobs=[listed["A"]])


def nucleus(body: Body, payload: Body) -> Body:
    kept, total = {}, 0.0
    for token, p in vocabulary().items():
        kept[token], total = p, total + p
        if total >= 0.8:
            break
    return with_list(body, {t: math.log(p / total) for t, p in kept.items()})


ODD: dict[str, tuple[Callable[[Body, Body], Any], str]] = {
    "one text, one token": (stripped, "tokens of one text"),
    "top-p": (nucleus, "cut and made whole"),
    "zeros for all but the drawn": (
        lambda b, p: with_list(b, {t: 0.0 if t == " A" else -9999.0 for t in top(b)}),
        "cut and made whole",
    ),
    "minus infinity after three": (
        lambda b, p: with_list(
            b, {t: v if i < 3 else -math.inf for i, (t, v) in enumerate(top(b).items())}
        ),
        "no chance",
    ),
    "another probability beside the list": (
        lambda b, p: with_list(b, top(b), token_logprobs=[-3.0]),
        "another probability",
    ),
    "a likely token that is not listed": (
        lambda b, p: with_list(b, top(b), tokens=[" Z"], token_logprobs=[-0.5]) | {},
        "another place",
    ),
    "probabilities": (
        lambda b, p: with_list(b, {t: math.exp(v) for t, v in top(b).items()}),
        "a sum of",
    ),
    "base 10": (
        lambda b, p: with_list(b, {t: v / math.log(10) for t, v in top(b).items()}),
        "a sum of",
    ),
    "filtered": (
        lambda b, p: {**b, "choices": [{**b["choices"][0], "finish_reason": "content_filter"}]},
        "filtered",
    ),
    "another model": (lambda b, p: {**b, "model": "other-7b"}, "--model other-7b"),
    "prompt tokens of a cut prompt": (
        lambda b, p: {**b, "usage": {"prompt_tokens": 8, "completion_tokens": 1}},
        "cut the prompt",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_list_is_refused_with_its_reason(name: str) -> None:
    change, reason = ODD[name]
    text = PROMPT if "cut prompt" not in name else f"{'Many words stand here. ' * 20}{PROMPT}"
    found, said = outcome(backend_of(completions(change)), text)
    assert found is None
    assert reason in said


@pytest.mark.parametrize("most", [5, 20, 1000])
def test_an_honest_list_is_taken(most: int) -> None:
    backend = backend_of(completions(lambda b, p: b, most=most), unlisted_tolerance=0.2)
    scores, said = outcome(backend)
    assert not said
    assert np.abs(scores.shares - true_shares()).max() <= scores.unlisted + 1e-9
    assert backend.usage["answers_not_taken"] == 0


def test_a_model_so_sure_that_its_list_is_whole_is_taken() -> None:
    sure = {" A": 1 - 3e-9, " B": 1e-9, "A": 1e-9, " C": 1e-12}

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        body = None if path != "/v1/completions" else answer_of(payload, sure)
        return (200, body) if body else (400, {"error": {"message": "no"}})

    scores, said = outcome(backend_of(answer))
    assert not said
    assert scores.shares[0] == pytest.approx(1)


@pytest.mark.parametrize("where", ["body", "choice"])
def test_an_error_inside_200_is_sent_again_and_never_kept(where: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "answers.sqlite")
    asked = [0]

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        if path != "/v1/chat/completions":
            return refusing(path, payload)
        asked[0] += 1
        error = {"message": "Provider returned error", "code": 429}
        body = chat_answer(payload, None, JSON)
        if asked[0] % 2:
            body = body | {"error": error} if where == "body" else body
            body["choices"][0] |= {"message": {"content": None}, "error": error}
        return 200, body

    backend = backend_of(answer, journal, chat=True)
    requests = [TextRequest(backend.chat_text(f"Shares {i}?"), 50) for i in range(3)]
    assert [t.text for _, t in sorted(backend.generate(requests))] == [JSON] * 3
    assert backend.usage["retries"] == 3
    again = backend_of(refusing, journal, chat=True)
    assert [t.text for _, t in sorted(again.generate(requests))] == [JSON] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"message": {"content": None}, "finish_reason": "stop"}, "no text"),
        (
            {"message": {"content": None, "reasoning_content": "hm"}, "finish_reason": "length"},
            "reasoning",
        ),
        ({"message": {"content": ""}, "finish_reason": "content_filter"}, "filtered"),
        ({"message": {"content": None, "refusal": "I won't."}}, "refused"),
    ],
)
def test_no_answer_is_named_and_not_kept(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    def answer(path: str, payload: Body) -> tuple[int, Any]:
        body = chat_answer(payload, None, JSON)
        body["choices"][0] |= change
        return 200, body

    journal = Journal(tmp_path / "answers.sqlite")
    backend = backend_of(answer, journal, chat=True)
    request = TextRequest(backend.chat_text("Shares?"), 50)
    ((_, said),) = backend.generate([request])
    assert said.text == ""
    assert reason in said.why_not
    well = backend_of(lambda p, b: (200, chat_answer(b, None, JSON)), journal, chat=True)
    ((_, said),) = well.generate([request])
    assert said.text == JSON


THOUGHT = 'A start: {"A": 0.1, "B": 0.1, "C": 0.8}, but that is wrong. '


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        (f"<think>{THOUGHT}", True, None),
        (f"<think>{THOUGHT}", False, None),
        (f"<THINKING>\n{THOUGHT}", False, None),
        (f"<|channel|>analysis<|message|>{THOUGHT}", False, None),
        (f"<think>{THOUGHT}</think>\n{JSON}", False, (0.5, 0.3, 0.2)),
        (f"{THOUGHT}</think>{JSON}", False, (0.5, 0.3, 0.2)),
        (
            f"<|channel|>analysis<|message|>{THOUGHT}<|channel|>final<|message|>{JSON}",
            False,
            (0.5, 0.3, 0.2),
        ),
        (f"First {JSON} but then", True, None),
        (f"First {JSON} but then", False, (0.5, 0.3, 0.2)),
        (JSON, True, (0.5, 0.3, 0.2)),
        (f"```json\n{JSON}\n```", True, (0.5, 0.3, 0.2)),
        (JSON[:-4], True, None),
    ],
)
def test_thinking_and_cut_answers_are_no_answers(
    text: str, cut: bool, expected: tuple[float, ...] | None
) -> None:
    found = parse_shares(text, LABELS, ("Favor", "Oppose", "Refused"), cut=cut)
    if expected is None:
        assert isinstance(found, Unreadable)
        assert "reasoning" in found.reason or "cut" in found.reason
    else:
        assert isinstance(found, Verbalised)
        assert found.shares == pytest.approx(expected)


def test_a_cut_answer_says_so() -> None:
    def answer(path: str, payload: Body) -> tuple[int, Any]:
        body = chat_answer(payload, None, "Let me see")
        body["choices"][0]["finish_reason"] = "length"
        return 200, body

    backend = backend_of(answer, chat=True)
    ((_, said),) = backend.generate([TextRequest(backend.chat_text("Shares?"), 50)])
    assert said.cut


def test_a_model_that_takes_no_temperature_and_no_log_probabilities_still_writes() -> None:
    """OpenAI's reasoning models: other names of fields, and 403 to log-probabilities."""

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        if path != "/v1/chat/completions":
            return refusing(path, payload)
        if "max_tokens" in payload:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        if payload.get("temperature", 1) != 1:
            return 400, {"error": {"message": "'temperature' does not support 0 with this model"}}
        if payload.get("logprobs"):
            return 403, {"error": {"message": "You are not allowed to request logprobs"}}
        return 200, chat_answer(payload, None, JSON)

    backend = backend_of(answer, chat=True)
    with pytest.raises(NoScoresError, match="few-shot -k 0 --chat"):
        list(backend.score([LabelRequest(backend.chat_text("Which?"), LABELS)]))
    ((_, said),) = backend.generate([TextRequest(backend.chat_text("Shares?"), 50)])
    assert said.text == JSON
    assert backend.usage["service"]["temperature"] == "its own"


@pytest.mark.parametrize("limit", [None, 2050, 512, 4096])
def test_a_service_that_cuts_prompts_is_found_out(limit: int | None) -> None:
    """It reads the last tokens only and says how many; one that refuses a long prompt cuts none."""

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        tokens = len(prompt_of(payload)) // 4 + 10
        if limit is None and tokens > 2050:
            return 400, {"error": {"message": "maximum context length is 2050 tokens"}}
        body = chat_answer(payload, None, JSON)
        body["usage"] = {"prompt_tokens": min(tokens, limit or tokens), "completion_tokens": 20}
        return 200, body

    backend = backend_of(answer, chat=True)
    long = TextRequest(backend.chat_text("An example with many words in it. " * 200), 50)
    if limit is None:
        assert next(iter(backend.generate([long])))[1].text == JSON
    else:
        with pytest.raises(ServiceError, match="cuts prompts") as caught:
            list(backend.generate([long]))
        assert "OLLAMA_CONTEXT_LENGTH" in str(caught.value)


def test_a_count_that_never_changes_is_found_out_with_short_prompts_too() -> None:
    def answer(path: str, payload: Body) -> tuple[int, Any]:
        body = chat_answer(payload, None, JSON)
        return 200, body | {"usage": {"prompt_tokens": 2050, "completion_tokens": 20}}

    backend = backend_of(answer, chat=True)
    with pytest.raises(ServiceError, match="cuts prompts"):
        list(backend.generate([TextRequest(backend.chat_text("Shares?"), 50)]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("m", "M"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-latest", "claude-20250514"),
        ("llama3", "llama3:latest"),
        ("meta/Llama-3-8B", "Llama-3-8B"),
        ("/models/a.gguf", "a"),
        ("gemma-3-1b", "gemma-3-1b:2"),
        ("x:free", "vendor/x"),
    ],
)
def test_names_of_one_model(asked: str, said: str) -> None:
    assert check_model({"model": said}, asked) == said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4", "gpt-4-32k"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("m", "gemma-3-1b-it-qat:2"),
        ("llama-3", "llama-3-70b"),
        ("qwen2.5:7b", "qwen2.5:7b-instruct"),
        ("gpt", "gpt-2"),
    ],
)
def test_names_of_two_models(asked: str, said: str) -> None:
    with pytest.raises(ServiceError, match="another model"):
        check_model({"model": said}, asked)
    assert check_model({"model": said}, asked, (said,)) == said, "unless it was said"


def test_two_models_in_one_run() -> None:
    names = iter(["m-2024-01-01", "m-2024-01-01", "m-2025-01-01", "m-2025-01-01"])
    backend = backend_of(completions(lambda b, p: b | {"model": next(names)}), scoring="top")
    with pytest.raises(ServiceError, match="two models"):
        list(backend.score([LabelRequest(f"{i} {PROMPT}", LABELS) for i in range(4)]))


def test_draws_that_do_not_fit_the_lists() -> None:
    """Each list leaves 0.07 over; draws outside come about so often, or far too often."""
    rng = np.random.default_rng(0)
    listed = [(t, math.log(p)) for t, p in list(TRUE.items())[:3]]
    honest = DrawnTokens()
    for _ in range(2000):
        honest.add(listed, " A" if rng.random() > 0.07 else " other")
    wrong = DrawnTokens()

    def draw_outside(times: int) -> None:
        for _ in range(times):
            wrong.add(listed, " other")

    draw_outside(4)  # by chance
    with pytest.raises(ServiceError, match="not what its lists say"):
        draw_outside(20)


def test_a_stream_is_named_at_once() -> None:
    sent: list[int] = []

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        sent.append(1)
        return 200, b'data: {"choices":[]}\n\ndata: [DONE]\n\n'

    backend = backend_of(answer, chat=True)
    with pytest.raises(ServiceError, match="a stream"):
        list(backend.generate([TextRequest(backend.chat_text("Shares?"), 50)]))
    assert len(sent) == 1


KEY = "sk-Proj/abc+def=0123456789"


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        KEY.upper(),
        "sk-Proj%2Fabc%2Bdef%3D0123456789",
        "c2stUHJvai9hYmMrZGVmPTAxMjM0NTY3ODk=",
        "Bearer " + KEY,
        KEY[:14] + "...",
        "..." + KEY[-12:],
        KEY.encode().hex(),
        json.dumps(KEY),
    ],
)
def test_the_key_is_masked_in_every_form(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONCAST_API_KEY", KEY)
    backend = backend_of(lambda p, b: (401, {"error": {"message": f"bad key {said}"}}))
    with pytest.raises(ServiceError) as caught:
        list(backend.score([LabelRequest(PROMPT, LABELS)]))
    shown = str(caught.value)
    assert "***" in shown
    for i in range(len(KEY) - 8):
        assert KEY[i : i + 9].casefold() not in shown.casefold()
    assert said not in shown


def test_a_key_that_a_model_writes_back_is_in_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KeyMask(KEY).body({"a": [f"it is {KEY}"]}) == {"a": ["it is ***"]}
    assert KeyMask("EMPTY").body("EMPTY") == "EMPTY", "a local server's is no secret"
    assert KeyMask(None).body("\ud800x") == "?x"


def test_retry_after_is_named() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "3600"}, json={})

    asked = ApiSettings("http://127.0.0.1/v1", "m")
    limits = Limits.of(asked, NoWaiting())
    backend = ApiBackend(asked, limits=limits, transport=httpx.MockTransport(handle))
    with pytest.raises(ServiceError, match=r"3600 seconds \(Retry-After\)"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))


def test_an_answer_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opinioncast.backends.api_exchange.MOST_BYTES", 10_000)
    backend = backend_of(lambda p, b: (200, b"x" * 20_000))
    with pytest.raises(ServiceError, match="too large"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))


def test_a_packed_answer_has_a_size_too() -> None:
    """100 MB of nothing in 0.4 MB."""
    packed = gzip.compress(bytes(100_000_000), 1)

    def handle(request: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed))

    asked = ApiSettings("http://127.0.0.1/v1", "m", attempts=1)
    backend = ApiBackend(asked, transport=httpx.MockTransport(handle))
    with pytest.raises(ServiceError, match="too large"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))


@pytest.mark.parametrize("levels", [60, 600, 200_000])
def test_an_answer_nested_without_end_is_no_answer(levels: int) -> None:
    text = b'{"choices": ' + b"[" * levels + b"]" * levels + b"}"
    backend = backend_of(lambda p, b: (200, text))
    with pytest.raises(ServiceError, match=r"no JSON object|no label probabilities"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))
    backend = backend_of(lambda p, b: (200, b"[" * levels))
    with pytest.raises(ServiceError, match=r"no JSON object|no label probabilities"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))


def dripping(done: threading.Event) -> Any:
    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            while not done.wait(0.05):
                yield b" "

    return lambda request: httpx.Response(200, stream=Dripping())


def test_a_whole_answer_has_a_deadline() -> None:
    """A byte now and then is no answer: the time-out of one read never comes."""
    done = threading.Event()
    asked = ApiSettings("http://127.0.0.1/v1", "m", timeout=0.3, attempts=1)
    limits = Limits.of(asked, NoWaiting())
    backend = ApiBackend(asked, limits=limits, transport=httpx.MockTransport(dripping(done)))
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"no whole answer within 0\.3 s"):
        list(backend.score([LabelRequest(PROMPT, LABELS)]))
    done.set()
    assert time.monotonic() - began < 10


def test_ctrl_c_ends_a_run_at_once() -> None:
    """Nothing under way is waited for."""
    done = threading.Event()
    asked = ApiSettings("http://127.0.0.1/v1", "m", timeout=60, attempts=1)
    backend = ApiBackend(asked, transport=httpx.MockTransport(dripping(done)))
    main = threading.get_ident()
    # a test run in the background may have been started with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(backend.score([LabelRequest(PROMPT, LABELS)]))
    finally:
        signal.signal(signal.SIGINT, before)
        done.set()
    assert time.monotonic() - began < 20


JUNK: tuple[Any, ...] = (
    *(None, "", "x", True, math.nan, math.inf, -math.inf, 10**400, "\ud800"),
    *([], {}, [None], {"a": 1}),
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [path, *(p for k, v in inside for p in places_in(v, (*path, k)))]


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], junk)
    return copy


@st.composite
def truths(draw: st.DrawFn) -> dict[str, float]:
    """Probabilities of the labels, with and without their space."""
    raw = draw(st.lists(st.floats(0.001, 1), min_size=6, max_size=6))
    spaceless = draw(st.sampled_from([0.001, 0.05, 1.0]))
    weights = [w * (1 if i < 3 else spaceless) for i, w in enumerate(raw)]
    mass = draw(st.floats(0.3, 0.97))
    names = [f" {k}" for k in LABELS] + list(LABELS)
    return {n: mass * w / sum(weights) for n, w in zip(names, weights, strict=True)}


FAULTS = (
    *("none", "strip", "first", "last", "nucleus", "top-k", "zeros", "drawn", "base", "shift"),
    *("error", "model", "filter", "null", "usage", "junk", "missing"),
)


def spoil(rng: random.Random, body: Body) -> Any:
    """One fault, as services have been seen to have them."""
    listed = top(body)
    kind = rng.choice(FAULTS)
    pairs = list(listed.items())
    if kind in ("strip", "last", "first"):
        seen: dict[str, float] = {}
        for token, p in pairs if kind != "first" else reversed(pairs):
            seen[token.strip()] = p
        token = pairs[0][0].strip()
        return with_list(body, seen, tokens=[token], token_logprobs=[seen[token]])
    if kind in ("nucleus", "top-k", "zeros"):
        n = rng.randint(1, 6)
        kept = dict(pairs[:n])
        total = sum(map(math.exp, kept.values())) if kind != "zeros" else 1.0
        new = {t: p - math.log(total) for t, p in kept.items()}
        if kind == "zeros":
            new |= {t: rng.choice([-9999.0, -math.inf]) for t, _ in pairs[n:]}
        return with_list(body, new, token_logprobs=[new[pairs[0][0]]])
    if kind == "drawn":
        value = pairs[0][1] - rng.uniform(0.5, 5)
        return with_list(body, listed, token_logprobs=[value])
    if kind == "base":
        factor = rng.choice([1 / math.log(10), 0.5, 0.0, -1.0])
        return with_list(body, {t: p * factor for t, p in pairs})
    if kind == "shift":  # a list of another place: the drawn token is not of it
        other = {f" v{i}": p for i, (_, p) in enumerate(pairs)}
        return with_list(body, other)
    if kind == "error":
        return {"error": {"message": "no", "code": rng.choice([400, 429, 500, None])}}
    if kind == "model":
        return body | {"model": rng.choice(["m-mini", "n", "m2", "vendor/m-8b"])}
    if kind == "filter":
        return body | {"choices": [body["choices"][0] | {"finish_reason": "content_filter"}]}
    if kind == "null":
        return body | {"choices": rng.choice([None, [], [None], [{}], {}])}
    if kind == "usage":
        return body | {"usage": rng.choice(JUNK)}
    if kind == "missing":
        return with_list(body, dict(pairs[: len(pairs) - rng.randint(1, 3)]))
    if kind == "junk":
        return put(body, rng.choice(places_in(body)), rng.choice(JUNK))
    return body


@pytest.mark.slow
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(st.integers(0, 2**32), truths(), st.sampled_from([5, 20, 100]), st.booleans())
def test_whatever_the_fault_shares_are_right_or_refused(
    seed: int, true: dict[str, float], most: int, at_first: bool
) -> None:
    """Right: within what the row itself says the unlisted could move, and a tenth of a point."""
    rng = random.Random(seed)

    def answer(path: str, payload: Body) -> tuple[int, Any]:
        if path != "/v1/completions" or payload.get("echo"):
            return refusing(path, payload)
        body = answer_of(payload, true, most)
        if body is None:
            return 400, {"error": {"message": f"logprobs above {most}"}}
        probing = payload["prompt"] != PROMPT
        return 200, spoil(rng, body) if at_first or not probing else body

    scores, said = outcome(backend_of(answer, attempts=2, unlisted_tolerance=0.05))
    if scores is None:
        assert said
    else:
        off = np.abs(scores.shares - true_shares(true)).max()
        assert off <= scores.unlisted + 0.001
        assert 0 <= scores.mass <= 1.001


def test_over_a_real_connection_too() -> None:
    """One odd service on loopback, from the probe to the refusal."""

    def answer(path: str, payload: Body) -> Any:
        status, body = completions(stripped)(path, payload)
        return status, {}, body

    with Service(answer) as service:
        backend = ApiBackend(ApiSettings(service.base_url, "m"))
        found, said = outcome(backend)
        backend.close()
    assert found is None
    assert "tokens of one text" in said
