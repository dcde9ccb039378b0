"""The API backend: any OpenAI-compatible service, for label probabilities and for texts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Literal, TypeVar

import httpx
import numpy as np

from opinioncast.backends.api_answers import checked_list, drawn_token, scores_from_ids
from opinioncast.backends.api_answers import scores_from_list as from_list
from opinioncast.backends.api_client import ApiClient, Body, StoppedError
from opinioncast.backends.api_invariants import SLACK, DoubtfulAnswerError, DrawnTokens
from opinioncast.backends.api_journal import Journal
from opinioncast.backends.api_limits import Limits
from opinioncast.backends.api_service import CHAT, COMPLETIONS, Service
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.errors import ModelError, ServiceError

T = TypeVar("T")
_LONG_PROMPT = 1000  # bytes; a service with less room than this has no room for any question
_TURN, _END = "\x02user\x03", "\x02model\x03"
"""Around a user's message: the service has the chat template, so the text only marks the turn."""


class ApiBackend:
    """Scores labels and writes texts with a model behind an OpenAI-compatible service.

    Args:
        settings: service, model, limits and prices.
        journal: answers are kept there as they come, and asked for there first; it is closed with
            the backend.
        limits: of another model of the run, to share its rate limit and spending cap.
        transport: for tests.

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
        self._settings = settings
        self._client = ApiClient(settings, journal=journal, limits=limits, transport=transport)
        self._service = Service(settings, self._client)
        self._unlisted: list[float] = []
        self._refused = self._doubtful = 0
        self._drawn = DrawnTokens()
        self._counting = threading.Lock()

    @property
    def name(self) -> str:
        return f"{self._settings.model} at {self._settings.base_url}"

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The service may change a model behind its name; nothing here can tell."""
        s = self._settings
        return {
            "backend": "api",
            "base_url": s.base_url,
            "model": s.model,
            "scoring": s.scoring,
            "unlisted_tolerance": s.unlisted_tolerance,
        }

    @property
    def usage(self) -> Mapping[str, Any]:
        """What this run asked of this model, and what the service can do: for its manifest."""
        return {
            **self._client.record,
            "prompts_with_unlisted_labels": len(self._unlisted),
            "unlisted_share_most": max(self._unlisted, default=0.0),
            "prompts_refused_for_unlisted_labels": self._refused,
            "answers_not_taken": self._doubtful,
            "kept_answers_dropped": self._client.dropped,
            "service": self._service.record,
        }

    @property
    def cost(self) -> Mapping[str, Any]:
        """What all models that share the limits cost together, for the manifest of their run."""
        return self._client.cost

    @property
    def keeps_answers(self) -> Literal[True]:
        """In its journal, each as it comes (in none where none was given)."""
        return True

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens read and written so far, for answers of the journal too."""
        return self._client.tokens

    @property
    def limits(self) -> Limits:
        """Rate limit and spending cap, to be shared with other models of the run."""
        return self._client.limits

    @property
    def has_chat_template(self) -> bool:
        return self._service.does_chat()

    def chat_text(self, message: str) -> str:
        return f"{_TURN}{message}{_END}"

    @property
    def supports_schema(self) -> bool:
        """Whether the service holds its answers to a JSON schema, where texts are asked for."""
        return self._service.keeps_schemas(CHAT if self._settings.chat else COMPLETIONS)

    def check_scoring(self, text: str) -> None:
        """Find out whether label probabilities can be read where ``text`` would go.

        Raises:
            NoScoresError: they cannot. What :meth:`score` raises.
        """
        self._service.ability(_address(text)[0])

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index, scores) as answers come; prompts of one tree are sent one after another.

        Raises:
            ServiceError: refused, out of reach, or no label probabilities to be had.
            BudgetError: the spending cap. StorageError: the journal cannot be written.
            ModelError: labels the service's tokenizer cannot write, or answers in words.
        """
        if any(r.words for r in requests):
            raise ModelError(
                "A service's label probabilities are read for letters only",
                where="--answers words",
                expected="answers by letter, or a model in this process or in vLLM",
                hint="run with --answers letters, or with --backend torch",
            )
        self._check_room([r.text for r in requests])
        same: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for i in sorted(range(len(requests)), key=lambda i: requests[i].tree):
            same.setdefault((requests[i].text, requests[i].labels), []).append(i)
        for places, scores in self._each(
            list(same.values()), lambda p: self._score(requests[p[0]])
        ):
            with self._counting:
                if scores.why_not:
                    self._refused += scores.unlisted > 0
                elif scores.unlisted > 0:
                    self._unlisted.append(scores.unlisted)
            for place in places:
                yield place, scores

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        """Yield (index, text) as answers come. Raises what :meth:`score` raises."""
        self._check_room([r.text for r in requests])
        same: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            asked = repr((request.text, request.max_new_tokens, request.schema))
            same.setdefault(asked, []).append(i)

        def write(places: list[int]) -> GeneratedText:
            request = requests[places[0]]
            path, text = _address(request.text)
            schema = request.schema
            if schema is not None and not self._service.keeps_schemas(path):
                schema = None
            try:
                said = self._service.say(path, text, request.max_new_tokens, schema)
            except DoubtfulAnswerError as error:
                return GeneratedText("", 0, 0, why_not=self._not_taken(error))
            counted = said["tokens_in"], said["tokens_out"]
            return GeneratedText(said["text"], *counted, cut=bool(said.get("cut")))

        for places, said in self._each(list(same.values()), write):
            for place in places:
                yield place, said

    def close(self) -> None:
        """Close the connections and the journal."""
        self._client.close()

    def _check_room(self, texts: Sequence[str]) -> None:
        """Find out whether the service reads the longest of ``texts`` whole, where it is long."""
        longest: dict[str, int] = {}
        for whole in texts:
            path, text = _address(whole)
            longest[path] = max(longest.get(path, 0), len(text.encode()))
        for path, size in longest.items():
            if size > _LONG_PROMPT:
                self._service.check_room(path, size)

    def _not_taken(self, error: DoubtfulAnswerError) -> str:
        """Why an answer is none, in one line."""
        with self._counting:
            self._doubtful += 1
        return f"{error.title} ({error.found})" if error.found else error.title

    def _score(self, request: LabelRequest) -> LabelScores:
        path, text = _address(request.text)
        ability = self._service.ability(path)
        labels, tolerance = request.labels, self._settings.unlisted_tolerance

        def read_list(body: Body) -> dict[str, Any]:
            listed, drawn = checked_list(body, ability.listed), drawn_token(body)
            self._drawn.add(listed, drawn)
            return _kept(from_list(listed, labels, tolerance=tolerance, drawn=drawn))

        try:
            if ability.scoring == "echo":
                return self._echoed(text, labels)
            if ability.scoring == "token-ids":
                plan = self._service.plan(text, labels)

                def read_ids(body: Body) -> dict[str, Any]:
                    return _kept(scores_from_ids(body, plan))

                return _scores(self._service.token_ids(text, plan, read_ids, [*labels]))
            how = ["top", [*labels], tolerance]
            return _scores(self._service.top(path, text, ability.listed, read_list, how))
        except DoubtfulAnswerError as error:
            return LabelScores(np.full(len(labels), np.nan), why_not=self._not_taken(error))

    def _echoed(self, text: str, labels: Sequence[str]) -> LabelScores:
        scores = LabelScores(np.array([self._echo(text, label) for label in labels]))
        if scores.mass > 1 + SLACK:
            raise DoubtfulAnswerError(
                "The service's log-probabilities are none",
                expected="probabilities of different labels that sum to 1 at most",
                found=f"a sum of {scores.mass:.4g}",
            )
        return scores

    def _echo(self, text: str, label: str) -> float:
        both = [self._service.echo(text, spelling) for spelling in (label, f" {label}")]
        return float(np.logaddexp.reduce(both))

    def _each(
        self, items: Sequence[list[int]], work: Callable[[list[int]], T]
    ) -> Iterator[tuple[list[int], T]]:
        """Do ``work`` for all items, several at once; when one fails the rest is not begun, and
        what is under way is waited for, so that its answers are kept."""
        stop = self._client.stop
        stop.clear()

        def guarded(item: list[int]) -> T:
            try:
                return work(item)
            except StoppedError:
                raise
            except BaseException:
                stop.set()  # here, before this thread takes up another item
                raise

        pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="api")
        try:
            futures = {pool.submit(guarded, item): item for item in items}
            for future in as_completed(futures):
                if not isinstance(future.exception(), StoppedError):  # the reason comes too
                    yield futures[future], future.result()
        except ServiceError as error:
            if error.status in (400, 404, 422):
                self._service.forget()
            raise
        except KeyboardInterrupt:
            self._client.give_up()
            raise
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            stop.clear()  # or what the service can do could not be asked afterwards


def _address(text: str) -> tuple[str, str]:
    """Where a text goes: a marked turn to the chat endpoint, anything else to completions."""
    if text.startswith(_TURN) and text.endswith(_END):
        return CHAT, text.removeprefix(_TURN).removesuffix(_END)
    return COMPLETIONS, text


def _kept(scores: LabelScores) -> dict[str, Any]:
    """Scores as JSON. Python's JSON writes NaN and infinities and reads them back."""
    return {
        "log_probs": scores.log_probs.tolist(),
        "unlisted": scores.unlisted,
        "why_not": scores.why_not,
    }


def _scores(kept: Mapping[str, Any]) -> LabelScores:
    log_probs = np.array(kept["log_probs"], dtype=np.float64)
    return LabelScores(log_probs, float(kept["unlisted"]), str(kept["why_not"]))
