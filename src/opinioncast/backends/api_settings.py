"""What the API backend is told: which service, how to read labels, how fast, for how much."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from opinioncast.errors import InputError
from opinioncast.options import check_types, option

Scoring = Literal["auto", "token-ids", "echo", "top"]
"""How label probabilities are read: see :mod:`opinioncast.backends.api_service`."""

_ADDRESS = "--base-url, or the URL of api:MODEL@URL"
KEY_VARIABLE = "OPINIONCAST_API_KEY"
"""Environment variable of the API key. No vendor's own variable is read unasked: the address is the
user's choice, and a key goes only where it was meant to go."""
_NAME = re.compile(r"[A-Z]+(?:_[A-Z0-9]+)+|[A-Z]*(?:KEY|TOKEN)")
"""A variable that may be shown: words in capitals. A key put there by mistake looks unlike it."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """One OpenAI-compatible service and one of its models.

    Attributes:
        base_url: up to and with ``/v1``, for example ``http://127.0.0.1:8000/v1``.
        model: as the service calls it; filled in later where the service is chosen first.
        api_key_env: environment variable that holds the key; None: :data:`KEY_VARIABLE`, and no
            key where that is unset (local servers).
        scoring: ``auto`` takes the best way the service has.
        unlisted_tolerance: a service may list only its likeliest tokens. A prompt whose unlisted
            labels could move a share by more than this is refused (0.01: one point).
        requests_per_minute, tokens_per_minute: kept to in every 60 seconds; None: no limit.
        concurrency: requests under way at once.
        max_cost: the run stops before the request that could exceed it; needs both prices.
        price_in, price_out: per million tokens read and written, in any one currency.
        timeout: seconds for one whole answer.
        attempts: how often one request is sent at most.
        chat: whether texts are asked for as chat; only ``supports_schema`` depends on it.
        served_as: other names under which the service gives this model in its answers.
    """

    base_url: str = option(..., "Address of an OpenAI-compatible service, usually with /v1.")
    model: str = ""
    api_key_env: str | None = option(
        None, "Environment variable with the API key (default: OPINIONCAST_API_KEY)."
    )
    scoring: Scoring = option(
        "auto", "How label probabilities are read: auto (default), token-ids, echo, top."
    )
    unlisted_tolerance: float = option(
        0.01,
        "Refuse rows whose labels the service did not list could move a share by more (default: "
        "0.01).",
    )
    requests_per_minute: int | None = option(None, "Rate limit of the service.")
    tokens_per_minute: int | None = option(None, "Rate limit of the service.")
    concurrency: int = option(4, "Requests under way at once (default: 4).")
    max_cost: float | None = option(
        None, "Stop before this run could spend more; needs both prices."
    )
    price_in: float | None = option(None, "Per million tokens read.")
    price_out: float | None = option(None, "Per million tokens written.")
    timeout: float = option(120.0, "Seconds for one whole answer (default: 120).")
    attempts: int = 6
    chat: bool = False
    served_as: tuple[str, ...] = option(
        (), "Another name that the service's answers may give the model. Repeat."
    )

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            (parts.hostname or "").encode("idna")  # what a connection would make of it
        except ValueError:  # a bracket left open, a port or a host that cannot be
            usable = False
        # urlsplit passes over tabs and line ends; a connection would not
        if not usable or not self.base_url.isprintable() or " " in self.base_url:
            raise unusable_address(self.base_url)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                "The address of the service must hold no secrets: it is written into manifests",
                where=_ADDRESS,
                expected="no user, password or query in it",
                found=f"{parts.scheme}://...{parts.hostname}",
                hint="put the key into an environment variable and name it with --api-key-env",
            )
        check_types(self)
        least = {
            "unlisted-tolerance": (self.unlisted_tolerance, 0.0),
            "requests-per-minute": (self.requests_per_minute, 1),
            "tokens-per-minute": (self.tokens_per_minute, 1),
            "concurrency": (self.concurrency, 1),
            "max-cost": (self.max_cost, 0.0),
            "price-in": (self.price_in, 0.0),
            "price-out": (self.price_out, 0.0),
            "timeout": (self.timeout, 0.001),
            "attempts": (self.attempts, 1),
        }
        for name, (value, minimum) in least.items():
            if value is not None and not value >= minimum:
                raise InputError(
                    "A setting of the service is out of range",
                    where=f"--{name}",
                    expected=f"{minimum:g} or more",
                    found=value,
                )
        if (self.price_in is None) != (self.price_out is None):
            raise InputError(
                "One price of two is missing",
                expected="--price-in and --price-out, or neither",
                found="--price-in" if self.price_out is None else "--price-out",
            )
        if self.max_cost is not None and self.price_in is None:
            raise InputError(
                "A spending cap needs the service's prices",
                expected="--price-in and --price-out (per million tokens) with --max-cost",
                found=f"--max-cost {self.max_cost:g}",
            )

    @property
    def root_url(self) -> str:
        """The server's own address, without ``/v1``: vLLM's ``/tokenize`` is there."""
        return self.base_url.rstrip("/").removesuffix("/v1")

    def api_key(self) -> str | None:
        """The key, read from the environment at this moment and kept in no setting.

        Raises:
            InputError: ``api_key_env`` was named and is not set, or the key cannot be sent.
        """
        variable = self.api_key_env or KEY_VARIABLE
        key = os.environ.get(variable, "").strip()
        if not key and self.api_key_env is not None:
            if not _NAME.fullmatch(self.api_key_env):
                raise InputError(
                    "The name of the API key's environment variable is none",
                    where="--api-key-env",
                    expected="the name of a variable, such as OPENAI_API_KEY, never the key itself",
                    found=f"{len(self.api_key_env)} characters, not shown: they may be a key",
                    hint=f"export {KEY_VARIABLE}=... and leave --api-key-env out",
                )
            raise InputError(
                "The environment variable of the API key is not set",
                where=f"--api-key-env {self.api_key_env}",
                expected="the key in that variable",
                found="nothing",
                hint=f"export {self.api_key_env}=...",
            )
        odd = next((i for i, c in enumerate(key) if not (c.isascii() and c.isprintable())), None)
        if odd is not None:
            raise InputError(
                "The API key cannot be sent",
                where=f"environment variable {variable}",
                expected="printable ASCII characters, as a service hands them out",
                found=f"another kind of character at place {odd + 1} of {len(key)}",
                hint=f"copy the key anew and export {variable}=...",
            )
        return key or None


def unusable_address(address: str, why: object | None = None) -> InputError:
    """The error of an address that nothing can be sent to, with what a library says of it. What
    stands before an @ may be a password and is not shown."""
    shown = "..." + address[address.rindex("@") :] if "@" in address else address
    return InputError(
        "The address of the service cannot be used",
        where=_ADDRESS,
        expected="http:// or https://, a host and usually /v1, with no spaces in it",
        found=repr(shown) + ("" if why is None else f" ({why})"),
    )
