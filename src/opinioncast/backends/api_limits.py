"""How fast and for how much a service is asked: a rate limit, a spending cap, and a clock."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.errors import BudgetError, InputError

_MINUTE = 60.0
_PER = 1_000_000  # prices are per million tokens


class Clock:
    """Time, waiting and chance; tests put a clock of their own in its place."""

    def now(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Wait ``seconds``, or until ``stop`` is set."""
        stop.wait(seconds)

    def chance(self) -> float:
        """Uniform in [0, 1)."""
        return random.random()


@dataclass(slots=True)
class Passage:
    """One request that was let through: when (seconds), and its tokens, corrected when known."""

    at: float
    tokens: int


class RateLimiter:
    """Keeps to requests and tokens per minute, in every window of 60 seconds; thread-safe."""

    def __init__(self, requests: int | None, tokens: int | None, clock: Clock) -> None:
        self._requests, self._tokens, self._clock = requests, tokens, clock
        self._passed: deque[Passage] = deque()
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def wait(self, tokens: int, stop: threading.Event) -> Passage:
        """Wait until a request of at most ``tokens`` may go.

        Raises:
            InputError: one request alone is larger than a minute's tokens.
        """
        if self._tokens is not None and tokens > self._tokens:
            raise InputError(
                "One request may need more tokens than a minute allows",
                where="--tokens-per-minute",
                expected=f"{tokens} or more",
                found=self._tokens,
            )
        while True:
            with self._lock:
                delay = self._delay(tokens)
                if delay <= 0 or stop.is_set():
                    passage = Passage(self._clock.now(), tokens)
                    self._passed.append(passage)
                    return passage
            self._clock.sleep(delay, stop)

    def pause(self, seconds: float) -> None:
        """Let nothing through for ``seconds``: the service asked for it."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _delay(self, tokens: int) -> float:
        now = self._clock.now()
        while self._passed and self._passed[0].at <= now - _MINUTE:
            self._passed.popleft()
        delay = self._paused_until - now
        if self._requests is not None and len(self._passed) >= self._requests:
            delay = max(delay, self._passed[-self._requests].at + _MINUTE - now)
        if self._tokens is not None:
            over = sum(p.tokens for p in self._passed) + tokens - self._tokens
            for passage in self._passed:
                if over <= 0:
                    break
                over -= passage.tokens
                delay = max(delay, passage.at + _MINUTE - now)
        return delay


class Budget:
    """Counts money, and stops before the cap could be exceeded; thread-safe.

    A request is reserved at the most it could cost before it is sent, and settled at what the
    service says it used. A request whose answer never came may have been charged: it stays counted
    at its most (``cost_possible``).
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._cap = settings.max_cost
        self._prices = (settings.price_in or 0.0, settings.price_out or 0.0)
        self._change = threading.Condition()
        self._reserved = self._spent = self._possible = self._before = 0.0

    def price(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self._prices[0] + tokens_out * self._prices[1]) / _PER

    def reserve(self, most_in: int, most_out: int) -> float:
        """Set aside what a request could cost, or stop.

        Raises:
            BudgetError: it would exceed the cap. Requests under way are waited for first: they
                mostly cost less than was set aside for them.
        """
        most = self.price(most_in, most_out)
        with self._change:
            while self._cap is not None and self._committed + most > self._cap:
                if self._reserved <= 0:
                    raise self._exceeded(most)
                self._change.wait()
            self._reserved += most
        return most

    def settle(self, reserved: float, tokens_in: int, tokens_out: int) -> None:
        """The answer came."""
        with self._change:
            self._free(reserved)
            self._spent += self.price(tokens_in, tokens_out)
            self._change.notify_all()

    def paid_before(self, tokens_in: int, tokens_out: int) -> None:
        """An answer that an earlier run paid for is used; it is counted, not against the cap."""
        with self._change:
            self._before += self.price(tokens_in, tokens_out)

    def release(self, reserved: float) -> None:
        """The service refused or was never reached: nothing was charged."""
        with self._change:
            self._free(reserved)
            self._change.notify_all()

    def lose(self, reserved: float) -> None:
        """No answer came after the request was sent: it may have been charged."""
        with self._change:
            self._free(reserved)
            self._possible += reserved
            self._change.notify_all()

    @property
    def record(self) -> dict[str, Any]:
        priced = self._settings.price_in is not None
        return {
            "cost": round(self._spent, 6) if priced else None,
            "cost_possible": round(self._possible, 6) if priced else None,
            "cost_before": round(self._before, 6) if priced else None,
            "cost_cap": self._cap,
        }

    @property
    def _committed(self) -> float:
        return self._spent + self._possible + self._reserved

    def _free(self, reserved: float) -> None:
        self._reserved = max(0.0, self._reserved - reserved)
        if self._reserved < 1e-12:
            self._reserved = 0.0  # what sums of floats leave behind

    def _exceeded(self, most: float) -> BudgetError:
        lost = f" and up to {self._possible:.6g} for answers that never came" * (self._possible > 0)
        return BudgetError(
            "The spending cap is reached: the next request could exceed it",
            where=f"{self._settings.model} at {self._settings.base_url}",
            expected=f"at most {self._cap:g} spent by this run",
            found=f"{self._spent:.6g} spent{lost}; the next request: up to {most:.6g}",
            hint="every answer is kept: the same command goes on from here and may spend "
            "--max-cost once more; nothing answered is asked or paid again",
        )


@dataclass(frozen=True)
class Limits:
    """What all models of one run share: a clock, the rate limit and the spending cap."""

    clock: Clock
    rate: RateLimiter
    budget: Budget

    @classmethod
    def of(cls, settings: ApiSettings, clock: Clock | None = None) -> Limits:
        clock = clock or Clock()
        rate = RateLimiter(settings.requests_per_minute, settings.tokens_per_minute, clock)
        return cls(clock, rate, Budget(settings))
