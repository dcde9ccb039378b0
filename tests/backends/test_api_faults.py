"""The API client against a service that fails: what is sent again, and what is spent."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.backends.service import (
    DROP,
    Answer,
    Service,
    chat_answer,
    completion,
    is_probe,
    made_up,
    made_up_list,
)

pytest.importorskip("httpx")

import httpx

from opinioncast.backends import LabelRequest, TextRequest
from opinioncast.backends.api import ApiBackend
from opinioncast.backends.api_client import _most_tokens
from opinioncast.backends.api_journal import Journal
from opinioncast.backends.api_limits import Clock, Limits, Passage, RateLimiter
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.protocol import can_score, can_write
from opinioncast.errors import BudgetError, InputError, ServiceError

REQUESTS = [LabelRequest(f"Prompt {i}\nAnswer:", ("A", "B", "C"), "t") for i in range(30)]


class FakeClock(Clock):
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def chance(self) -> float:
        return 1.0


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(made_up) as running:
        yield running


def backend(service: Service, clock: Clock | None = None, **changed: Any) -> ApiBackend:
    journal = changed.pop("journal", None)
    settings: dict[str, Any] = {"scoring": "top", "concurrency": 1, "timeout": 10.0} | changed
    asked = ApiSettings(service.base_url, "m", **settings)
    return ApiBackend(asked, limits=Limits.of(asked, clock or FakeClock()), journal=journal)


def shares(backend: ApiBackend, requests: list[LabelRequest] = REQUESTS) -> list[Any]:
    found = dict(backend.score(requests))
    return [found[i].shares.tolist() for i in range(len(requests))]


def expected(requests: list[LabelRequest] = REQUESTS) -> list[list[float]]:
    rows = []
    for request in requests:
        listed = made_up_list(request.text)
        row = np.exp([listed[f" {label}"] for label in request.labels])
        rows.append((row / row.sum()).tolist())
    return rows


def test_it_is_a_backend_and_a_generator(service: Service) -> None:
    assert can_score(backend(service))
    assert can_write(backend(service))
    assert service.asked == [], "what it can do is asked when it is needed"


def test_faults_that_pass_change_nothing(service: Service) -> None:
    ready = backend(service)
    ready.score(REQUESTS[:1]).__next__()  # what it can do is found out first
    slow_down: Answer = (429, {"Retry-After": "7"}, {"error": {"message": "slow down"}})
    service.faults.extend(
        [slow_down, (500, {}, b"oops"), (503, {}, {}), DROP, (200, {}, b'{"choices": [tru'), None]
    )
    clock = ready.limits.clock
    assert isinstance(clock, FakeClock)
    clock.slept.clear()
    before = ready.usage["requests"]
    assert shares(ready) == pytest.approx(np.array(expected()), rel=1e-9)
    # Each wait is at least what the service asked for, and doubles; 7 s were asked for once.
    assert clock.slept == [7.0, 2.0, 4.0, 8.0, 16.0]
    assert ready.usage["retries"] == 5
    assert ready.usage["requests"] == before + len(REQUESTS) + 5


def test_a_date_in_retry_after(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    clock = ready.limits.clock
    assert isinstance(clock, FakeClock)
    clock.slept.clear()
    service.faults.append((429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}))
    list(ready.score(REQUESTS[1:2]))
    assert clock.slept == [1.0]  # long past: the backoff alone


def test_it_gives_up_after_its_attempts_and_says_how_to_go_on(service: Service) -> None:
    ready = backend(service, attempts=3)
    list(ready.score(REQUESTS[:1]))
    sent = len(service.asked)
    service.faults.extend([(500, {}, b"down")] * 3)
    with pytest.raises(ServiceError, match="status 500") as caught:
        list(ready.score(REQUESTS[1:]))
    assert len(service.asked) == sent + 3
    assert "goes on from here" in str(caught.value)


LOADING: Answer = (503, {}, {"error": {"message": "Loading model"}})


@pytest.mark.slow
@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
@pytest.mark.parametrize("scoring", ["auto", "top"])
def test_a_service_that_is_still_loading_is_waited_for(
    service: Service, status: int, scoring: str
) -> None:
    """The first requests of a run ask what the service can do; they have six attempts as well."""
    service.faults.extend([(status, {}, {"error": {"message": "Loading model"}})] * 5)
    ready = backend(service, scoring=scoring)
    assert shares(ready) == pytest.approx(np.array(expected()), rel=1e-9)
    clock = ready.limits.clock
    assert isinstance(clock, FakeClock)
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert ready.usage["service"]["scoring /completions"]["listed"] == 20
    service.faults.extend([LOADING] * 6)
    with pytest.raises(ServiceError, match="503"):
        list(backend(service, scoring=scoring).score(REQUESTS))


def test_the_tokenizer_of_a_service_is_waited_for() -> None:
    """``/tokenize`` while it is found out what the service can do, and afterwards."""
    failing = {"at first": 5, "later": 5}

    def reads_ids(path: str, payload: dict[str, Any]) -> Answer:
        if path == "/tokenize":
            when = "at first" if payload["prompt"] in (" B", "\n") else "later"
            failing[when] -= 1
            if failing[when] >= 0:
                return LOADING
            pieces = re.findall(" ?[^ ]| ", payload["prompt"])  # a space goes with what follows
            return 200, {}, {"tokens": [sum(map(ord, piece)) for piece in pieces]}
        wanted = payload["logprob_token_ids"]
        listed = {f"token_id:{i}": float(np.log(0.05 * (1 + i % 3))) for i in wanted}
        return 200, {}, completion(payload, listed, f"token_id:{wanted[0]}")

    with Service(reads_ids) as service:
        ready = backend(service, scoring="token-ids")
        ((_, scores),) = ready.score([LabelRequest("Answer:", ("A", "B", "C"))])
    # "A" is 65 and " A" 97, with remainders 2 and 1: 0.15 + 0.10; then 66, 98 and 67, 99
    assert np.exp(scores.log_probs) == pytest.approx([0.25, 0.20, 0.15])
    assert max(failing.values()) < 0, "both were met"


@pytest.mark.parametrize("fault", [(500, {}, b"oops"), (501, {}, {}), (200, {}, b"<html>")])
def test_what_was_found_after_a_fault_of_the_server_is_not_kept(
    tmp_path: Path, fault: Answer
) -> None:
    """Two faults on the longest list look like a no. That serves the run, and not the next one."""
    found = []
    with Service(lambda path, payload: made_up(path, payload, longest=1000)) as service:
        for faults in ([fault] * 2, [], [fault] * 2):
            service.faults.extend(faults)
            ready = backend(service, journal=Journal(tmp_path / "answers.sqlite"))
            try:
                list(ready.score(REQUESTS[:1]))
            finally:
                ready.close()
            # what it lists is 20 tokens whatever is asked for, so it is told by the requests
            found.append([p["logprobs"] for _, p in service.asked if is_probe(p["prompt"])])
            service.asked.clear()
            service.faults.clear()
    assert found == [[1000, 1000, 100], [1000], []], "the second run found out, the third knew"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "see what it says"),
        (401, "MY_KEY"),
        (403, "may not use this model"),
        (404, "--base-url"),
        (404, "needs --chat"),
        (307, "status 307"),
    ],
)
def test_what_is_refused_is_not_sent_again(
    service: Service, status: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    ready = backend(service, api_key_env="MY_KEY")
    list(ready.score(REQUESTS[:1]))
    assert service.headers[-1]["Authorization"] == "Bearer sk-secret"
    sent = len(service.asked)
    service.faults.append((status, {}, {"error": {"message": "bad key sk-secret"}}))
    with pytest.raises(ServiceError) as caught:
        list(ready.score(REQUESTS[1:2]))
    assert len(service.asked) == sent + 1
    assert says in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert "***" in str(caught.value)


def test_an_empty_account_is_not_waited_for(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    sent = len(service.asked)
    service.faults.append((429, {}, {"error": {"code": "insufficient_quota"}}))
    with pytest.raises(ServiceError, match="credit"):
        list(ready.score(REQUESTS[1:2]))
    assert len(service.asked) == sent + 1


def test_a_service_that_wants_an_hour_ends_the_run(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    service.faults.append((429, {"Retry-After": "3600"}, {}))
    with pytest.raises(ServiceError, match="429"):
        list(ready.score(REQUESTS[1:2]))


def test_nobody_at_the_address() -> None:
    with Service(made_up) as gone:
        url = gone.base_url
    settings = ApiSettings(url, "m", attempts=2)
    ready = ApiBackend(settings, limits=Limits.of(settings, FakeClock()))
    with pytest.raises(ServiceError, match="cannot be reached") as caught:
        list(ready.score(REQUESTS))
    assert caught.value.lost is False


@pytest.mark.slow
def test_a_service_that_never_answers_in_time() -> None:
    done = threading.Event()

    def slow(path: str, payload: dict[str, Any]) -> Answer:
        done.wait(5)
        return made_up(path, payload)

    with Service(slow) as service:
        ready = backend(service, timeout=0.2, attempts=2, price_in=1.0, price_out=1.0)
        with pytest.raises(ServiceError, match="broke off") as caught:
            list(ready.score(REQUESTS))
        done.set()
    assert caught.value.lost is True
    assert ready.cost["cost"] == 0
    assert ready.cost["cost_possible"] > 0  # it may have been charged


def test_answers_without_log_probabilities_are_named(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    service.faults.append((200, {}, {"choices": [{"text": " A", "logprobs": None}]}))
    with pytest.raises(ServiceError, match="no log-probabilities") as caught:
        list(ready.score(REQUESTS[1:2]))
    assert "--method few-shot" in str(caught.value)


def test_a_service_without_log_probabilities_is_named_at_once() -> None:
    def silent(path: str, payload: dict[str, Any]) -> Answer:
        return 200, {}, {"choices": [{"text": " A", "logprobs": None}]}

    wanted = "gives no label probabilities"
    with Service(silent) as service, pytest.raises(ServiceError, match=wanted) as caught:
        list(backend(service, scoring="auto").score(REQUESTS))
    assert "--method few-shot" in str(caught.value)


def test_log_probabilities_that_cannot_be(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    wrong = completion({"prompt": ""}, {" A": 0.0, " B": -0.1})
    service.faults.append((200, {}, wrong))
    with pytest.raises(ServiceError, match="log-probabilities are none"):
        list(ready.score(REQUESTS[1:2]))


def test_the_run_stops_before_the_cap_and_goes_on_with_nothing_asked_twice(
    service: Service, tmp_path: Path
) -> None:
    prices: dict[str, Any] = {"price_in": 1000.0, "price_out": 2000.0}
    runs, found = 0, None
    while found is None and runs < 40:
        runs += 1
        journal = Journal(tmp_path / "answers.sqlite")
        ready = backend(service, journal=journal, max_cost=0.13, concurrency=3, **prices)
        before = service.answered
        stopped: BudgetError | None = None
        try:
            found = shares(ready)
        except BudgetError as error:
            stopped = error
        finally:
            ready.close()
        assert ready.cost["cost"] <= 0.13
        assert service.answered > before, "each run gets further"
        if found is None:
            assert stopped is not None
            assert stopped.exit_code == 3
            assert "spent" in str(stopped)
            assert "goes on from here" in str(stopped)
    assert runs > 1, "the cap was never met"
    assert found == pytest.approx(np.array(expected()), rel=1e-9)
    assert set(service.prompts.values()) == {1}
    assert ready.usage["asked_again_after_kill"] == 0


def test_money_is_what_the_service_counted(service: Service) -> None:
    ready = backend(service, price_in=2.0, price_out=10.0)
    list(ready.score(REQUESTS))
    usage = ready.usage
    assert ready.cost["cost"] == pytest.approx(
        (2.0 * usage["tokens_in"] + 10.0 * usage["tokens_out"]) / 1e6, abs=1e-6
    )
    listed_ones = [p for p in service.asked if p[1].get("logprobs") == 20]
    assert usage["tokens_out"] == len(listed_ones)
    assert usage["requests_without_token_counts"] == 0


@pytest.mark.parametrize(
    ("limits", "longest"), [({"requests": 3}, 3), ({"tokens": 25}, 2), ({"requests": 5}, 5)]
)
def test_no_minute_has_more_than_the_limit(limits: dict[str, int], longest: int) -> None:
    clock = FakeClock()
    limiter = RateLimiter(limits.get("requests"), limits.get("tokens"), clock)
    times = []
    for _ in range(14):
        limiter.wait(10, threading.Event())
        times.append(clock.now())
        clock.time += 1.5
    for i, start in enumerate(times):
        assert sum(start <= t < start + 60 for t in times[i:]) <= longest
    assert times[-1] < 60 * (14 / longest + 1), "and it does not wait for nothing"


def test_tokens_used_take_the_place_of_tokens_feared() -> None:
    clock = FakeClock()
    limiter = RateLimiter(None, 100, clock)
    limiter.wait(90, threading.Event()).tokens = 10
    limiter.wait(90, threading.Event())
    assert clock.now() == 0
    limiter.wait(90, threading.Event())
    assert clock.now() == 60


def test_a_request_larger_than_a_minute(service: Service) -> None:
    with pytest.raises(InputError, match="more tokens than a minute"):
        list(backend(service, tokens_per_minute=20).score(REQUESTS))


def test_two_models_of_one_run_share_the_cap_and_the_limit(service: Service) -> None:
    one = backend(service, price_in=1000.0, price_out=1000.0, max_cost=0.3)
    settings = ApiSettings(service.base_url, "other", scoring="top", concurrency=1)
    other = ApiBackend(settings, limits=one.limits)
    list(one.score(REQUESTS[:20]))
    with pytest.raises(BudgetError, match="spending cap is reached"):
        list(other.score(REQUESTS))
    assert one.cost["cost"] == other.cost["cost"] <= 0.3
    assert not any("cost" in name for name in (*one.usage, *other.usage)), "else it counts twice"
    assert one.usage["tokens_in"] != other.usage["tokens_in"]


def test_requests_under_way_never_exceed_the_limit() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def counting(path: str, payload: dict[str, Any]) -> Answer:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return made_up(path, payload)

    with Service(counting) as service:
        found = shares(backend(service, Clock(), concurrency=3))
    assert found == pytest.approx(np.array(expected()), rel=1e-9)
    assert 1 < most[0] <= 3


def test_the_same_prompt_is_asked_once(service: Service) -> None:
    ready = backend(service, Clock(), concurrency=4)
    found = shares(ready, REQUESTS[:2] * 3)
    assert found == pytest.approx(np.array(expected(REQUESTS[:2] * 3)), rel=1e-9)
    assert set(service.prompts.values()) == {1}


def test_a_resumed_run_counts_the_tokens_of_an_answer_once(
    service: Service, tmp_path: Path
) -> None:
    first = backend(service, journal=Journal(tmp_path / "answers.sqlite"))
    list(first.score(REQUESTS))
    told = first._client.tokens
    list(first.score(REQUESTS))  # wanted again: by another part of a blend, or with another check
    assert first._client.tokens == told
    first.close()
    resumed = backend(service, journal=Journal(tmp_path / "answers.sqlite"))
    list(resumed.score(REQUESTS))
    once = resumed._client.tokens
    assert all(0 < now <= before for now, before in zip(once, told, strict=True))  # no probing
    list(resumed.score(REQUESTS))
    assert resumed._client.tokens == once
    resumed.close()


def test_the_key_is_nowhere_on_disk(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPINIONCAST_API_KEY", "sk-secret")
    ready = backend(service, journal=Journal(tmp_path / "answers.sqlite"))
    list(ready.score(REQUESTS))
    ready.close()
    assert service.headers[-1]["Authorization"] == "Bearer sk-secret"
    for file in tmp_path.iterdir():
        assert b"sk-secret" not in file.read_bytes()
    assert "sk-secret" not in repr((ready.fingerprint, ready.usage, ready.name))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"base_url": "localhost:8000"}, "http"),
        ({"base_url": "http://localhost:800000/v1"}, "cannot be used"),
        ({"base_url": "http://[::1/v1"}, "cannot be used"),
        ({"base_url": "http://local\thost/v1"}, r"cannot be used[^$]*local\\thost"),
        ({"base_url": "http://local host/v1"}, "cannot be used"),
        ({"base_url": "http://me:pw@[::1/v1"}, "cannot be used"),
        ({"base_url": "http://a..b/v1"}, "cannot be used"),
        ({"base_url": f"http://{'a' * 64}/v1"}, "cannot be used"),
        ({"base_url": "https://me:pw@host/v1"}, "no secrets"),
        ({"base_url": "https://host/v1?key=x"}, "no secrets"),
        ({"max_cost": 1.0}, "prices"),
        ({"price_in": 1.0}, "missing"),
        ({"concurrency": 0}, "out of range"),
        ({"unlisted_tolerance": float("nan")}, "out of range"),
        ({"scoring": "guess"}, "cannot be used"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        ApiSettings(**({"base_url": "http://127.0.0.1/v1", "model": "m"} | changed))
    assert re.search(says, str(caught.value))
    assert "pw" not in str(caught.value)


def test_a_key_that_was_named_and_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(InputError, match="not set"):
        ApiSettings("http://127.0.0.1/v1", "m", api_key_env="NO_SUCH_KEY").api_key()


@pytest.mark.parametrize("typed", ["sk-MISTAKE", "hf_abcDEF123", "AKIA0123456789", "0f3b2a", "a b"])
def test_what_is_no_name_of_a_variable_may_be_the_key(typed: str) -> None:
    with pytest.raises(InputError, match="is none") as caught:
        ApiSettings("http://127.0.0.1/v1", "m", api_key_env=typed).api_key()
    assert typed not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-schlüssel", "sk-two\nlines", "sk-\u200bcopied"])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    settings = ApiSettings("http://127.0.0.1/v1", "m", api_key_env="MY_KEY")
    with pytest.raises(InputError, match="cannot be sent") as caught:
        ApiBackend(settings)
    assert "MY_KEY" in str(caught.value)
    assert "sk-" not in str(caught.value)


def test_an_address_that_only_the_http_client_refuses_is_named() -> None:
    with pytest.raises(InputError, match="cannot be used") as caught:
        ApiBackend(ApiSettings("http://☃.net/v1", "m"))
    assert "☃.net" in str(caught.value)


def test_texts_chat_and_schemas() -> None:
    """A service that only chats, wants the newer name of the limit, and keeps to schemas."""

    def chat_only(path: str, payload: dict[str, Any]) -> Answer:
        if path != "/v1/chat/completions":
            return 404, {}, {"error": {"message": "no such address"}}
        if "max_tokens" in payload:
            return 400, {}, {"error": {"message": "use max_completion_tokens instead"}}
        if payload.get("logprobs"):
            return 200, {}, chat_answer(payload, {"A": -0.2, "B": -2.0, "C": -4.0, "x": -9.0})
        said = '{"days": 3}' if "response_format" in payload else "three"
        return 200, {}, chat_answer(payload, None, said)

    schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
    with Service(chat_only) as service:
        ready = backend(service, scoring="auto", chat=True)
        assert ready.has_chat_template
        assert ready.supports_schema
        turn = ready.chat_text("How many?")
        asked = [TextRequest(turn, 10), TextRequest(turn, 10, schema)]
        said = dict(ready.generate(asked))
        assert [said[i].text for i in range(2)] == ["three", '{"days": 3}']
        assert said[0].tokens_out == 1
        (scores,) = (s for _, s in ready.score([LabelRequest(turn, ("A", "B", "C"))]))
        assert scores.log_probs == pytest.approx([-0.2, -2.0, -4.0])
        assert scores.unlisted < 0.01
        with pytest.raises(ServiceError, match="add --chat"):
            list(ready.score(REQUESTS))


def test_what_it_can_do_can_be_asked_after_a_run(service: Service) -> None:
    ready = backend(service)
    list(ready.score(REQUESTS[:1]))
    assert ready.has_chat_template is False  # 404: it was asked, the run before has not stopped it
    assert ready.supports_schema is False


def test_tokens_are_counted_for_answers_of_the_journal_too(
    service: Service, tmp_path: Path
) -> None:
    counted = []
    for _ in range(2):
        ready = backend(service, journal=Journal(tmp_path / "answers.sqlite"))
        list(ready.score(REQUESTS[:1]))  # what it can do is found out, with tokens of its own
        before = ready.tokens
        list(ready.score(REQUESTS[1:]))
        counted.append(tuple(now - then for then, now in zip(before, ready.tokens, strict=True)))
        ready.close()
    assert counted[0] == counted[1] == (sum(len(r.text) // 4 for r in REQUESTS[1:]), 29)


def test_a_schema_counts_for_what_a_request_can_cost(service: Service) -> None:
    """Some services put it into the prompt: what is set aside has to cover that."""
    schema = {f"option {i}": {"type": "number"} for i in range(100)}
    plain = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
    bound = plain | {"response_format": {"type": "json_schema", "json_schema": schema}}
    assert _most_tokens(bound)[0] - _most_tokens(plain)[0] > len(json.dumps(schema))


def test_a_request_that_fails_oddly_leaves_nothing_set_aside() -> None:
    """Else a thread that waits for money set aside would wait for ever."""

    class Odd(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise RuntimeError("odd")

    prices: dict[str, Any] = {"price_in": 1000.0, "price_out": 1000.0, "max_cost": 1.0}
    settings = ApiSettings("http://127.0.0.1/v1", "m", scoring="top", **prices)
    ready = ApiBackend(settings, limits=Limits.of(settings, FakeClock()), transport=Odd())
    with pytest.raises(RuntimeError, match="odd"):
        list(ready.score(REQUESTS))
    budget = ready.limits.budget
    assert budget._reserved == 0
    assert ready.cost["cost_possible"] > 0


def test_a_request_is_sent_when_the_rate_limit_lets_it_through(service: Service) -> None:
    """Waiting for money comes first: the limiter's minute begins when a request leaves."""
    order: list[str] = []
    ready = backend(service, price_in=1.0, price_out=1.0)
    reserve, wait = ready.limits.budget.reserve, ready.limits.rate.wait

    def reserving(*most: int) -> float:
        order.append("money")
        return reserve(*most)

    def waiting(tokens: int, stop: threading.Event) -> Passage:
        order.append("rate")
        return wait(tokens, stop)

    ready.limits.budget.reserve = reserving  # type: ignore[method-assign, assignment]
    ready.limits.rate.wait = waiting  # type: ignore[method-assign]
    list(ready.score(REQUESTS[:2]))
    assert set(zip(order[::2], order[1::2], strict=True)) == {("money", "rate")}
