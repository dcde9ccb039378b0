"""What a service can do, found out by asking it once, and how label probabilities are read from it.

Best first:

- ``token-ids``: the service tokenizes (``/tokenize``) and gives the log-probabilities of chosen
  token ids (``logprob_token_ids``; vLLM). Exact, one request a prompt.
- ``echo``: the service gives log-probabilities of the prompt itself (``echo``); every spelling of
  every label is put behind the prompt. Exact, two requests a label.
- ``top``: the likeliest next tokens, as many as the service lists. Exact for what is listed,
  bounded for the rest (:mod:`opinioncast.backends.api_answers`).

``auto`` takes token-ids, then a list of 100 or more, then echo, then a shorter list. Chat answers
are read from lists only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from opinioncast.backends.api_abilities import (
    PROBE,
    Ability,
    RemoteTokenizer,
    cuts_prompts,
    is_no,
    reads_whole,
    repetitions,
)
from opinioncast.backends.api_answers import (
    checked_list,
    drawn_token,
    echoed_log_prob,
    first_choice,
    listed_tokens,
    text_of,
)
from opinioncast.backends.api_client import ApiClient, Body, Reader
from opinioncast.backends.api_invariants import (
    CHECKS,
    check_finish,
    check_tokens_read,
    usage_of,
    was_cut,
)
from opinioncast.backends.api_journal import Journal
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.labels import LabelPlan, plan_labels
from opinioncast.documents import parse_json
from opinioncast.errors import InputError, ModelError, NoScoresError, ServiceError

COMPLETIONS, CHAT = "/completions", "/chat/completions"
_LISTS = (1000, 100, 20, 5)  # tried in this order; OpenAI lists 5 (completions) or 20 (chat)
_LONG = 100  # from here a list serves better than two requests a label
_PROBE_SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "integer"}},
    "required": ["days"],
    "additionalProperties": False,
}
_CONTEXT_CHARS = 32


class Service:
    """One service and model: asked what it can do once, then asked."""

    def __init__(self, settings: ApiSettings, client: ApiClient) -> None:
        self._settings = settings
        self._client = client
        self._abilities: dict[str, Any] = {}
        self._plans: dict[tuple[str, tuple[str, ...]], LabelPlan] = {}
        self._limit_field = "max_tokens"  # newer OpenAI models want max_completion_tokens
        self._temperature = True  # some take none but their own
        self._lock = threading.RLock()
        self._unsure = False  # whether a no that is being found out rests on a fault of the server

    def ability(self, path: str) -> Ability:
        """How label probabilities are read at ``path``.

        Raises:
            NoScoresError: it gives none in the way that was asked for, or none at all.
            ServiceError: it could not be asked.
        """
        with self._lock:
            found = Ability(**self._once(f"scoring {path}", lambda: asdict(self._probe(path))))
        if found.scoring is None:
            wanted = self._settings.scoring
            raise NoScoresError(
                "The service gives no label probabilities"
                + ("" if wanted == "auto" else f" in the way {wanted}"),
                where=f"{self._settings.base_url}{path}, model {self._settings.model}",
                expected="log-probabilities of tokens",
                found=found.why_not or "answers without them",
                hint="check --model; "
                + ("" if path == CHAT else "add --chat if the service only chats; ")
                + "or run with --method few-shot -k 0 --chat, which has the model write "
                "distributions",
            )
        return found

    def does_chat(self) -> bool:
        """Whether the service takes messages (and has a chat template for the model)."""
        with self._lock:
            return bool(self._once("chat", lambda: {"yes": self._tries(self._chats)})["yes"])

    def keeps_schemas(self, path: str) -> bool:
        """Whether answers at ``path`` follow a JSON schema."""

        def follows() -> bool:
            said = self.say(path, PROBE, 32, _PROBE_SCHEMA, probing=True)["text"]
            try:
                found = parse_json(said, where=path, what="An answer", lenient=True)
                return isinstance(found["days"], int)
            except (InputError, KeyError, TypeError):
                return False

        with self._lock:
            found = self._once(f"schema {path}", lambda: {"yes": self._tries(follows)})
        return bool(found["yes"])

    def say(
        self,
        path: str,
        text: str,
        max_new_tokens: int,
        schema: Mapping[str, Any] | None,
        *,
        probing: bool = False,
    ) -> dict[str, Any]:
        """What the model says after ``text`` (at CHAT: in reply to it), with its token counts."""

        def read(body: Body) -> dict[str, Any]:
            tokens_in, tokens_out = usage_of(body)
            return {
                "text": text_of(body),
                "tokens_in": tokens_in or 0,
                "tokens_out": tokens_out or 0,
                "cut": was_cut(first_choice(body)),
            }

        more: dict[str, Any] = {"temperature": 0}
        if schema is not None:
            named = {"name": "answer", "schema": dict(schema), "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": named}
            if path == COMPLETIONS:
                more["json_schema"] = dict(schema)  # llama.cpp's way there; vLLM passes over it
        return self._ask(path, text, max_new_tokens, more, read, probing=probing)

    def top(self, path: str, text: str, listed: int, read: Reader, how: Any) -> dict[str, Any]:
        """The likeliest next tokens after ``text``, at most ``listed``."""
        at_chat = {"logprobs": True, "top_logprobs": listed}
        more = at_chat if path == CHAT else {"logprobs": listed}
        # Temperature 1, so that a service that scales before it lists lists the model's own.
        return self._ask(path, text, 1, {"temperature": 1} | more, read, how=how)

    def token_ids(self, text: str, plan: LabelPlan, read: Reader, how: Any) -> dict[str, Any]:
        """The log-probabilities of the token ids of ``plan`` after ``text``."""
        more = {
            "temperature": 1,
            "logprobs": 1,
            "logprob_token_ids": list(plan.wanted[0]),
            "return_tokens_as_token_ids": True,
        }
        return self._ask(COMPLETIONS, text, 1, more, read, how=how)

    def echo(self, text: str, ending: str) -> float:
        """The log-probability of ``ending`` after ``text``."""
        more = {"temperature": 1, "logprobs": 1, "echo": True}
        found = self._ask(
            COMPLETIONS,
            text + ending,
            1,
            more,
            lambda body: {"log_prob": max(-1e9, echoed_log_prob(body, ending))},
            how=["echo", ending],
        )
        return float(found["log_prob"])

    def plan(self, text: str, labels: tuple[str, ...]) -> LabelPlan:
        """How the service's tokenizer writes ``labels`` at the end of ``text``.

        Raises:
            ModelError: a label needs several tokens, or cannot be written.
        """
        key = (text.rsplit("\n", 1)[-1][-_CONTEXT_CHARS:], labels)
        with self._lock:
            if key not in self._plans:
                plan = plan_labels(RemoteTokenizer(self._tokenize), *key)
                if not plan.single_token:
                    raise ModelError(
                        "This model's tokenizer needs several tokens for an option label",
                        where=self._settings.model,
                        expected="one token per label, to be read by token id",
                        found=f"{len(plan.continuations)} places to read at",
                        hint="run with --scoring echo",
                    )
                self._plans[key] = plan
            return self._plans[key]

    @property
    def record(self) -> dict[str, Any]:
        """What was found out about the service, for the manifest."""
        return {**self._abilities, "temperature": "as asked" if self._temperature else "its own"}

    def forget(self) -> None:
        """What was found out no longer holds (the service was set up anew)."""
        if self._client.journal is not None:
            for what in self._abilities:
                self._client.journal.forget(self._key(what))

    def _probe(self, path: str) -> Ability:
        wanted = self._settings.scoring
        why_not = ""
        if path == COMPLETIONS:
            if wanted in ("auto", "token-ids") and self._tries(self._reads_ids):
                return Ability("token-ids", 0)
            listed, why_not = (0, "") if wanted == "echo" else self._list(path)
            echoes = wanted in ("auto", "echo") and listed < _LONG and self._tries(self._echoes)
            if echoes:
                return Ability("echo", listed)
            return Ability("top" if listed and wanted != "token-ids" else None, listed, why_not)
        if wanted in ("token-ids", "echo"):
            return Ability(None, 0, f"{wanted} works without --chat only")
        listed, why_not = self._list(path)
        return Ability("top" if listed else None, listed, why_not)

    def _list(self, path: str) -> tuple[int, str]:
        """The longest list of next tokens the service gives, and what it said of longer ones."""
        said = ""
        for listed in _LISTS:
            try:
                more: dict[str, Any] = {"logprobs": listed}
                if path == CHAT:
                    more = {"logprobs": True, "top_logprobs": listed}
                found = self._ask(
                    path,
                    PROBE,
                    1,
                    {"temperature": 1} | more,
                    partial(_list_length, asked=listed),
                    probing=True,
                )
                # Some services cut a long list without a word; what they gave counts. One more
                # token than was asked for is the one that was drawn.
                return min(listed, int(found["listed"])), said
            except ServiceError as error:
                if not self._no(error):
                    raise
                status = f"status {error.status}: " if error.status else f"{error.title}: "
                said = f"{status}{error.found}" if error.found else error.title
        return 0, said

    def _reads_ids(self) -> bool:
        ids = [self._tokenize(text, probing=True)[-1] for text in (" B", "\n")]
        wanted = sorted(set(ids))
        more = {
            "temperature": 1,
            "logprobs": 1,
            "logprob_token_ids": wanted,
            "return_tokens_as_token_ids": True,
        }

        def read(body: Body) -> dict[str, Any]:
            tokens = {token for token, _ in listed_tokens(body)}
            return {"yes": {f"token_id:{i}" for i in wanted} <= tokens}

        return bool(self._ask(COMPLETIONS, PROBE, 1, more, read, probing=True)["yes"])

    def _echoes(self) -> bool:
        more = {"temperature": 1, "logprobs": 1, "echo": True}
        self._ask(
            COMPLETIONS,
            f"{PROBE} A",
            1,
            more,
            lambda body: {"log_prob": echoed_log_prob(body, " A")},
            probing=True,
        )
        return True

    def _chats(self) -> bool:
        self._ask(CHAT, PROBE, 1, {}, lambda body: {"text": text_of(body)}, probing=True)
        return True

    def _tokenize(self, text: str, *, probing: bool = False) -> list[int]:
        payload = {"model": self._settings.model, "prompt": text, "add_special_tokens": False}

        def read(body: Body) -> dict[str, Any]:
            tokens = body.get("tokens")
            if not isinstance(tokens, list) or not all(isinstance(t, int) for t in tokens):
                raise ServiceError("The service gives no token ids", found=body)
            return {"tokens": tokens}

        found = self._client.ask("/tokenize", payload, read, at_root=True, probing=probing)
        if not found["tokens"]:
            raise ServiceError("The service's tokenizer writes nothing for a text", found=text)
        return list(found["tokens"])

    def check_room(self, path: str, size: int) -> None:
        """Find out whether the service reads prompts of ``size`` bytes whole.

        Some cut what is too long for them and say nothing. A text that is repeated must take more
        tokens the more often it stands there; a service that refuses a long text cuts none.

        Raises:
            ServiceError: it does not.
        """
        times = repetitions(size)

        def read(body: Body) -> dict[str, Any]:
            return {"tokens": usage_of(body)[0]}

        def find() -> dict[str, Any]:
            short, long = (
                self._ask(path, PROBE * n, 1, {}, read, probing=True)["tokens"] for n in (1, times)
            )
            return {"yes": reads_whole(short, long, times), "tokens": [short, long]}

        with self._lock:
            try:
                found = self._once(f"room {path} {times}", find)
            except ServiceError as error:
                if error.status not in (400, 413, 422):
                    raise
                self._abilities[f"room {path} {times}"] = found = {"yes": True, "refuses": True}
        if not found["yes"]:
            where = f"{self._settings.base_url}{path}, model {self._settings.model}"
            short, long = found["tokens"]
            raise cuts_prompts(short, long, times, where)

    def _ask(
        self,
        path: str,
        text: str,
        max_new_tokens: int,
        more: Mapping[str, Any],
        read: Reader,
        *,
        how: Any = None,
        probing: bool = False,
    ) -> dict[str, Any]:
        """Ask for what follows ``text``, once more where the service names a field it wants
        otherwise; the answer is checked before it is read."""

        def checked(body: Body) -> dict[str, Any]:
            check_finish(first_choice(body))
            if not probing and check_tokens_read(body, text):
                self.check_room(path, len(text.encode()))
            return read(body)

        while True:
            limit, temperature = self._limit_field, self._temperature
            fields = {k: v for k, v in more.items() if k != "temperature" or temperature}
            payload: dict[str, Any] = {"model": self._settings.model}
            if path == COMPLETIONS:
                payload |= {"prompt": text, "max_tokens": max_new_tokens, **fields}
            else:
                turn = {"role": "user", "content": text}
                payload |= {"messages": [turn], **fields, limit: max_new_tokens}
            try:
                return self._client.ask(
                    path, payload, checked, how=how, probing=probing, keep=not probing
                )
            except ServiceError as error:
                if not self._adapts(error, payload):
                    raise

    def _adapts(self, error: ServiceError, payload: Mapping[str, Any]) -> bool:
        """Whether a refusal names a field that can be put otherwise, and now is."""
        if error.status not in (400, 422):
            return False
        newer = "max_completion_tokens"
        if newer in error.said and newer not in payload and "prompt" not in payload:
            self._limit_field = newer
            return True
        if "temperature" in error.said.casefold() and "temperature" in payload:
            self._temperature = False
            return True
        return False

    def _tries(self, what: Any) -> bool:
        """Whether the service does ``what``; errors that are no answer to that are raised."""
        try:
            return bool(what())
        except ServiceError as error:
            if not self._no(error):
                raise
            return False

    def _no(self, error: ServiceError) -> bool:
        """Whether an error is a no; one that may pass leaves what is found out unsure."""
        self._unsure |= error.status is not None and not 400 <= error.status < 500
        return is_no(error)

    def _once(self, what: str, find: Any) -> dict[str, Any]:
        """What was found out before, in this run or by the journal, or is found out now."""
        if what not in self._abilities:
            journal = self._client.journal
            known = journal.get(self._key(what)) if journal is not None else None
            if known is None:
                self._unsure = False
                known = find()
                able = known.get("yes") or known.get("scoring")  # a no may be a fault that passes,
                if journal is not None and able and not self._unsure:  # a lesser way for one too
                    journal.keep(self._key(what), known)
            self._abilities[what] = known
        return dict(self._abilities[what])

    def _key(self, what: str) -> bytes:
        s = self._settings
        return Journal.key("ability", CHECKS, s.base_url, s.model, s.scoring, what)


def _list_length(body: Body, asked: int) -> dict[str, Any]:
    """How many tokens an answer lists, where it can be believed."""
    return {"listed": len(checked_list(body, asked, known=False)), "drawn": drawn_token(body)}
