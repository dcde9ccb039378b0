"""HTTP to a service that fails at times: retries, limits, the spending cap and the journal.

Sent again: 408, 425, 429, every 5xx, time-outs, broken connections and answers that are no JSON,
with exponential backoff and jitter, never before ``Retry-After``. Any other status is final. An
error inside an answer of status 200 counts as the status it names, else as 502. What a service can
do is asked with less patience for 500 and 501, which may be all it has to say.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from opinioncast.backends.api_exchange import (
    AnswerTooLargeError,
    Exchange,
    GivenUpError,
    KeyMask,
    Reply,
)
from opinioncast.backends.api_invariants import (
    CHECKS,
    OtherModelError,
    check_model,
    fault_inside,
    plain_name,
    usage_of,
)
from opinioncast.backends.api_journal import Journal
from opinioncast.backends.api_limits import Limits
from opinioncast.backends.api_settings import KEY_VARIABLE, ApiSettings, unusable_address
from opinioncast.errors import OpinioncastError, ServiceError

Body = Mapping[str, Any]
Reader = Callable[[Body], dict[str, Any]]
"""From the service's JSON to what is wanted of it (JSON values), or ServiceError."""

_COUNTS = (
    "requests",
    "retries",
    "from_journal",
    "asked_again_after_kill",
    "tokens_in",
    "tokens_out",
    "requests_without_token_counts",
    "tokens_in_before",
    "tokens_out_before",
)
_AGAIN = (408, 425, 429)
_ODD = (500, 501)  # what some servers say to a field they do not know; others send a page
_ODD_PROBES = 2  # so often a question what a service can do is sent to one that does so
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds, of the backoff
_PATIENCE = 600.0  # seconds; a service that asks for a longer pause ends the run
_BAD_GATEWAY = 502  # what an error inside an answer counts as where it names no status
_SAID = 4000  # characters kept of what a service says to a refusal
_FRAME_TOKENS = 64  # what a chat template and a beginning-of-text token add at most
_HINTS = {
    400: "the service does not take this request: see what it says under found; another --scoring, "
    "--chat or --no-chat, or another --model may be needed",
    401: "the key is missing or wrong: export it in {key}",
    403: "this key may not use this model: ask whoever runs the service, or take another --model",
    404: "check --base-url (it usually ends in /v1) and --model; {base}/models lists the models; a "
    "service that only chats needs --chat",
    413: "the prompt is too long for the service: shorten the question",
    422: "the service does not take this request: see what it says under found",
}


class StoppedError(ServiceError):
    """A request that was not sent because the run is ending for another reason."""

    answered = False


class ApiClient:
    """Asks one service; thread-safe.

    Args:
        journal: answers are kept there as they come; None keeps none.
        limits: shared with other models of the run; its own where left out.
        transport: of httpx, for tests.

    Raises:
        InputError: an address or a key that cannot be used.
    """

    def __init__(
        self,
        settings: ApiSettings,
        *,
        journal: Journal | None = None,
        limits: Limits | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:  # it would be no RequestError later
            raise unusable_address(settings.base_url, error) from error
        self._settings = settings
        self._journal = journal
        self.limits = limits or Limits.of(settings)
        key = settings.api_key()
        self._mask = KeyMask(key)
        self._exchange = Exchange(settings, key, transport)
        self._names: dict[str, str] = {}
        self.stop = threading.Event()
        self._counting = threading.Lock()
        self.counts = dict.fromkeys(_COUNTS, 0)
        self._paid: set[bytes] = set()

    def ask(
        self,
        path: str,
        payload: Body,
        read: Reader,
        *,
        how: Any = None,
        at_root: bool = False,
        probing: bool = False,
        keep: bool = True,
    ) -> dict[str, Any]:
        """POST ``payload`` and give what ``read`` makes of the answer, from the journal if known.

        Args:
            how: what else shapes what ``read`` gives (JSON values); part of the journal's key.
            at_root: ``path`` is below the server's address, not below ``/v1``. What is there runs
                no model and costs no tokens.
            probing: it is asked what the service can do: a second 500, 501 or answer that is no
                JSON is taken for a no, not for a fault to wait for. All else is sent again as ever.
            keep: use the journal.

        Raises:
            ServiceError: refused, out of reach after every attempt, or an unusable answer.
            StoppedError: ``stop`` is set.
            BudgetError: the spending cap. InputError: too large for the rate limit.
            StorageError: the journal cannot be written.
        """
        base = self._settings.root_url if at_root else self._settings.base_url.rstrip("/")
        url = f"{base}{path}"
        if self._journal is None or not keep:
            return read(self._send(url, payload, free=at_root, probing=probing)[0])
        key = Journal.key(CHECKS, url, payload, how)
        known = self._journal.get(key)
        if known is not None:
            tokens_in, tokens_out = known["tokens"]
            if not self._first_time(key):  # paid once, however often it is wanted
                tokens_in = tokens_out = 0
            self.limits.budget.paid_before(tokens_in, tokens_out)
            self._count(from_journal=1, tokens_in_before=tokens_in, tokens_out_before=tokens_out)
            return dict(known["answer"])
        if self._journal.begin(key):
            self._count(asked_again_after_kill=1)
        try:
            body, tokens = self._send(url, payload, free=at_root, probing=probing)
            found = read(body)
        except OpinioncastError as error:
            if not getattr(error, "lost", False):
                self._journal.refused(key)
            raise
        self._journal.keep(key, {"answer": found, "tokens": tokens})
        self._first_time(key)
        return found

    def _first_time(self, key: bytes) -> bool:
        """Whether the tokens of an answer are not in this run's counts yet; now they are."""
        with self._counting:
            first = key not in self._paid
            self._paid.add(key)
        return first

    @property
    def record(self) -> dict[str, Any]:
        """Counts of this run and model, for its manifest; ``..._before``: of answers from the
        journal, paid by earlier runs."""
        with self._counting:
            return {**self.counts, "answered_as": sorted(self._names.values())}

    @property
    def cost(self) -> dict[str, Any]:
        """What the models that share the limits cost together; None: no prices were given."""
        return self.limits.budget.record

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens read and written by this run, and by earlier ones for answers of the journal."""
        with self._counting:
            counts = self.counts
            return (
                counts["tokens_in"] + counts["tokens_in_before"],
                counts["tokens_out"] + counts["tokens_out_before"],
            )

    @property
    def journal(self) -> Journal | None:
        return self._journal

    @property
    def dropped(self) -> int:
        """Damaged answers met in the journal."""
        return 0 if self._journal is None else self._journal.dropped

    def give_up(self) -> None:
        """The run is interrupted: nothing is sent any more, nothing under way is waited for."""
        self.stop.set()
        self._exchange.give_up()

    def close(self) -> None:
        self._exchange.close()
        if self._journal is not None:
            self._journal.close()

    def _send(
        self, url: str, payload: Body, *, free: bool, probing: bool
    ) -> tuple[Body, tuple[int, int]]:
        """The answer, and the tokens read and written for it."""
        attempts, odd = self._settings.attempts, 0
        budget, rate, clock = self.limits.budget, self.limits.rate, self.limits.clock
        most_in, most_out = (0, 0) if free else _most_tokens(payload)
        lost = False
        for attempt in range(1, attempts + 1):
            self._check_going(url, lost)
            reserved = budget.reserve(most_in, most_out)
            try:
                # last, because the time it notes is the sending's
                passage = rate.wait(most_in + most_out, self.stop)
                self._check_going(url, lost)
            except OpinioncastError:
                budget.release(reserved)
                raise
            self._count(requests=1)
            wait: float | None = None
            try:
                answer = self._exchange.post(url, payload)
            except GivenUpError:
                budget.lose(reserved)
                self._check_going(url, True)
                raise
            except AnswerTooLargeError as error:
                budget.lose(reserved)
                raise self._error(
                    "The service's answer is too large to be one",
                    url,
                    str(error),
                    hint="check --base-url and --model",
                ) from None
            except httpx.RequestError as error:
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                (budget.release if unsent else budget.lose)(reserved)
                failure = self._error(
                    "The service cannot be reached" if unsent else "The service's answer broke off",
                    url,
                    f"{type(error).__name__}: {error}",
                    hint="check --base-url and that the service runs"
                    if unsent
                    else "the same command goes on from here when the service is well again; "
                    "--timeout gives it longer",
                )
                lost = lost or not unsent
                failure.answered, failure.lost = False, lost
            except Exception:
                budget.lose(reserved)  # or a thread that waits for it would wait for ever
                raise
            else:
                body = self._mask.body(answer.json()) if answer.is_success else None
                inside = None if body is None or free else fault_inside(body)
                if body is not None and inside is None:
                    used = (0, 0, True) if free else _used(body, most_in, most_out)
                    used_in, used_out, reported = used
                    passage.tokens = used_in + used_out
                    budget.settle(reserved, used_in, used_out)
                    self._count(
                        tokens_in=used_in,
                        tokens_out=used_out,
                        requests_without_token_counts=int(not reported),
                    )
                    if not free:
                        self._check_model(url, body)
                    return body, (used_in, used_out)
                (budget.lose if answer.is_success else budget.release)(reserved)
                wait = _retry_after(answer.headers.get("retry-after"))
                failure = self._failure(url, answer, inside, wait)
                if failure.status not in _AGAIN and 300 <= (failure.status or 0) < 500:
                    raise failure
                if "insufficient_quota" in failure.said:  # a 429 that no waiting helps
                    raise failure
                if failure.said.startswith("data:"):
                    raise failure
                if wait is not None and wait > _PATIENCE:
                    raise failure
                odd += inside is None and (answer.is_success or answer.status in _ODD)
            if attempt == attempts or (probing and odd == _ODD_PROBES):
                raise failure
            self._count(retries=1)
            longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
            pause = longest * (0.5 + 0.5 * clock.chance())
            if wait is not None:
                rate.pause(wait)  # for every thread: the service is full
                pause = max(pause, wait)
            clock.sleep(pause, self.stop)
        raise AssertionError("at least one attempt is made")

    def _check_going(self, url: str, lost: bool) -> None:
        if self.stop.is_set():
            stopping = StoppedError("The run is ending; this request was not sent", where=url)
            stopping.lost = lost
            raise stopping

    def _check_model(self, url: str, body: Body) -> None:
        """Raises OtherModelError: not the model asked, or not the one that answered before."""
        where = f"{url}, model {self._settings.model}"
        try:
            name = check_model(body, self._settings.model, self._settings.served_as)
        except ServiceError as error:
            raise error.at(where) from None
        if name is None:
            return
        with self._counting:
            self._names.setdefault(plain_name(name), name)
            names = sorted(self._names.values())
        if len(names) > 1:
            raise OtherModelError(
                "The service answered with two models in one run",
                where=where,
                expected="one model behind one name",
                found=" and ".join(names[:2]),
                hint=f"name the one you mean: --model {name}",
            )

    def _failure(
        self, url: str, answer: Reply, inside: tuple[int | None, str] | None, wait: float | None
    ) -> ServiceError:
        status, text = answer.status, answer.text
        if inside is not None:
            status, text = inside[0] or _BAD_GATEWAY, inside[1]
        elif answer.is_success:
            streams = text.startswith("data:")
            broken = self._error(
                "The service answers in pieces (a stream), which was not asked for"
                if streams
                else "The service's answer is no JSON object",
                url,
                text,
                hint="turn streaming off in the service" if streams else None,
            )
            broken.status, broken.said = status, text[:_SAID]
            return broken
        variable = self._settings.api_key_env or KEY_VARIABLE
        hint = _HINTS.get(status, "").format(key=variable, base=self._settings.base_url.rstrip("/"))
        if "insufficient_quota" in text:
            hint = "the account has no credit left; what was answered is kept"
        elif status == 429:
            hint = "lower --requests-per-minute, --tokens-per-minute or --concurrency"
        elif status >= 500:
            hint = "the same command goes on from here when the service is well again"
        if wait:
            pause = f"{wait:.0f} seconds" if math.isfinite(wait) else "for ever"
            hint = f"the service asks to wait {pause} (Retry-After); " + hint
        error = self._error(
            f"The service answered with an error of status {status} inside an answer of status 200"
            if inside is not None
            else f"The service answered with status {status}",
            url,
            text,
            hint=hint or None,
        )
        error.status, error.said = status, text[:_SAID]
        return error

    def _error(
        self, title: str, url: str, found: str | None, *, hint: str | None = None
    ) -> ServiceError:
        found = self._mask.text(found[:_SAID]) if found else found
        model = self._settings.model
        return ServiceError(title, where=f"{url}, model {model}", found=found, hint=hint)

    def _count(self, **more: int) -> None:
        with self._counting:
            for what, number in more.items():
                self.counts[what] += number


def _most_tokens(payload: Body) -> tuple[int, int]:
    """The most tokens a request can need: no token of a text is shorter than one byte."""
    text = payload.get("prompt") or ""
    turns = payload.get("messages") or ()
    size = len(str(text).encode()) + sum(len(str(t["content"]).encode()) for t in turns)
    if "response_format" in payload:  # some services put the schema into the prompt
        size += len(json.dumps(payload["response_format"]))
    out = payload.get("max_tokens") or payload.get("max_completion_tokens") or 0
    return size + _FRAME_TOKENS, int(out)


def _used(body: Body, most_in: int, most_out: int) -> tuple[int, int, bool]:
    """Tokens read and written as the service counts them; else the most there can have been."""
    read, written = usage_of(body)
    if read is not None:
        return read, written or 0, True
    return most_in, most_out, False


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
        return None if math.isnan(seconds) else max(0.0, seconds)
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(value)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0.0, (then - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
