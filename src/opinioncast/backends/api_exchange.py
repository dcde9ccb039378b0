"""One question to a service and its whole answer: in time, of a bounded size, given up at once.

A library's time-out is for one read: a service that sends a byte now and then would hold a run for
ever. So each request runs in a thread of its own that nobody has to wait for. The API key is taken
out of what comes back.
"""

from __future__ import annotations

import json
import queue
import threading
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.documents import parse_json
from opinioncast.errors import InputError

MOST_BYTES = 16 * 1024 * 1024
"""Of an answer. A list of 1,000 tokens takes 0.1 MB, the longest prompt echoed about 5 MB."""

_PART = 1024 * 1024  # bytes unpacked at a time
_DEPTH = 50  # levels of JSON; an answer with log-probabilities has 8
_GRACE = 0.25  # seconds that the library's own, more telling time-outs have before the deadline
_ENCODINGS = ("", "identity", "gzip", "deflate")
_MASK = "***"
_SECRET = 8  # characters; a shorter key ("EMPTY", "none") is a local server's and no secret


class AnswerTooLargeError(Exception):
    """The answer is larger than :data:`MOST_BYTES`, or packed in a way whose size is not known."""


class GivenUpError(Exception):
    """The run was interrupted while the answer was under way."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> dict[str, Any] | None:
        """The JSON object; None where it is none, or nested deeper than any answer is."""
        try:
            body = parse_json(self.content, where="answer", what="An answer", lenient=True)
        except InputError:
            return None
        return body if isinstance(body, dict) and _levels(body) <= _DEPTH else None


def _unpacked(parts: Iterator[bytes], packed: str) -> Iterator[bytes]:
    """What was packed, in parts of a bounded size however well it was packed.

    Raises:
        httpx.DecodingError: it is not what its header says.
    """
    if packed in ("", "identity"):
        yield from parts
        return
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its first bytes say
    try:
        for part in parts:
            while part:
                yield unpack.decompress(part, _PART)
                part = unpack.unconsumed_tail
    except zlib.error as error:
        raise httpx.DecodingError(
            f"packed as {packed!r}, and cannot be unpacked: {error}"
        ) from error


def _levels(body: Any) -> int:
    """How deep JSON is nested; stops counting above :data:`_DEPTH`."""
    level, levels = [body], 0
    while level and levels <= _DEPTH:
        levels += 1
        nested = (
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        )
        level = [v for values in nested for v in values if isinstance(v, dict | list)]
    return levels


class Exchange:
    """Posts to one service; thread-safe.

    Args:
        key: sent with every request.
        transport: of httpx, for tests.
    """

    def __init__(
        self, settings: ApiSettings, key: str | None, transport: httpx.BaseTransport | None
    ) -> None:
        self._deadline = settings.timeout + _GRACE
        headers = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(
            timeout=settings.timeout,
            headers=headers,
            transport=transport,
            # the callers are as many as may be under way; what was given up may hold a connection
            limits=httpx.Limits(max_connections=None),
        )
        self._waiting: set[queue.SimpleQueue[Reply | BaseException]] = set()
        self._lock = threading.Lock()

    def post(self, url: str, payload: Mapping[str, Any]) -> Reply:
        """The answer to ``payload``.

        Raises:
            httpx.RequestError: not reached, broken off, or not whole within the deadline.
            AnswerTooLargeError, GivenUpError: as they say.
        """
        came: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        dropped = threading.Event()
        with self._lock:
            self._waiting.add(came)
        worker = threading.Thread(
            target=self._fetch, args=(url, payload, came, dropped), daemon=True, name="api-post"
        )
        worker.start()
        try:
            found = came.get(timeout=self._deadline)
        except queue.Empty:
            raise httpx.ReadTimeout(
                f"no whole answer within {self._deadline - _GRACE:g} s"
            ) from None
        finally:
            dropped.set()
            with self._lock:
                self._waiting.discard(came)
        if isinstance(found, BaseException):
            raise found
        return found

    def give_up(self) -> None:
        """Let go of everything that is under way, at once."""
        with self._lock:
            waiting = list(self._waiting)
        for came in waiting:
            came.put(GivenUpError())

    def close(self) -> None:
        self._http.close()

    def _fetch(
        self,
        url: str,
        payload: Mapping[str, Any],
        came: queue.SimpleQueue[Reply | BaseException],
        dropped: threading.Event,
    ) -> None:
        try:
            with self._http.stream("POST", url, json=dict(payload)) as answer:
                packed = answer.headers.get("Content-Encoding", "").strip().casefold()
                if packed not in _ENCODINGS:
                    raise AnswerTooLargeError(f"packed as {packed!r}, though plain was asked for")
                parts, size = [], 0
                whole = answer.is_stream_consumed  # a transport may hand over all there is
                given = iter([answer.content]) if whole else _unpacked(answer.iter_raw(), packed)
                for part in given:
                    size += len(part)
                    if size > MOST_BYTES:
                        raise AnswerTooLargeError(f"more than {MOST_BYTES // 2**20} MiB")
                    if dropped.is_set():
                        return
                    parts.append(part)
                came.put(Reply(answer.status_code, dict(answer.headers), b"".join(parts)))
        except BaseException as error:  # told to the thread that asked
            came.put(error)


class KeyMask:
    """Takes an API key out of texts, in every form in which a service may write it back."""

    def __init__(self, key: str | None) -> None:
        self._key = key or ""
        forms = {self._key} if self._key else set()
        if len(self._key) >= _SECRET:
            raw = self._key.encode()
            packed = [form(each) for form in (b64encode, urlsafe_b64encode) for each in _turns(raw)]
            forms = {
                self._key,
                quote(self._key),
                quote(self._key, safe=""),
                quote_plus(self._key),
                json.dumps(self._key)[1:-1],
                json.dumps(self._key)[1:-1].replace("/", "\\/"),
                raw.hex(),
                *(p.decode().rstrip("=") for p in packed),
            }
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Of an error: a piece of a key is masked too."""
        for form in self._forms:
            text = _without(text, form)
        if len(self._key) < _SECRET:
            return text
        folded, key = text.casefold(), self._key.casefold()
        if len(folded) != len(text):
            return text
        kept: list[str] = []
        at = 0
        while at < len(text):
            length = 0
            if folded[at : at + _SECRET] in key and at + _SECRET <= len(text):
                length = _SECRET
                while at + length < len(text) and folded[at : at + length + 1] in key:
                    length += 1
            kept.append(_MASK if length else text[at])
            at += length or 1
        return "".join(kept)

    def body(self, value: Any) -> Any:
        """Of an answer's JSON: nothing of the key, and nothing that cannot be written to a file
        (half a surrogate pair)."""
        if isinstance(value, str):
            if len(self._key) >= _SECRET:
                for form in self._forms:
                    value = _without(value, form)
            return value.encode("utf-8", "replace").decode("utf-8") if _lone(value) else value
        if isinstance(value, dict):
            return {self.body(k): self.body(v) for k, v in value.items()}
        return [self.body(v) for v in value] if isinstance(value, list) else value


def _turns(raw: bytes) -> list[bytes]:
    """What services put into base64: the key, as a header says it, as a password."""
    return [raw, b"Bearer " + raw, b":" + raw, raw + b":"]


def _without(text: str, form: str) -> str:
    at = text.casefold().find(form.casefold())
    while at >= 0:
        text = text[:at] + _MASK + text[at + len(form) :]
        at = text.casefold().find(form.casefold(), at + len(_MASK))
    return text


def _lone(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
