"""What a backend can do: score the labels that may follow a text, and say what follows one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from opinioncast.errors import ModelError


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """A text and the labels whose probability to follow it is wanted.

    Attributes:
        text: the prompt, ending where the label is expected.
        labels: for example ``("A", "B", "C")``.
        tree: requests with the same key begin alike; a backend may share that beginning.
        words: the labels are options in their own words: said in full, and nothing else can be
            said (:func:`opinioncast.backends.labels.plan_words`); else letters.
    """

    text: str
    labels: tuple[str, ...]
    tree: str = ""
    words: bool = False


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Natural log-probability of each label among everything the model could say next.

    A letter counts with and without its leading space; options in words are compared where they
    part from one another. Shape (labels,), float64.

    Attributes:
        unlisted: by how much labels that a service did not list could move any share, at most; 0
            where every label was read.
        why_not: why a row was refused; its ``log_probs`` are NaN.
    """

    log_probs: npt.NDArray[np.float64]
    unlisted: float = 0.0
    why_not: str = ""

    @property
    def mass(self) -> float:
        """Probability that the model says any of the labels at all."""
        return float(np.exp(self.log_probs).sum())

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Probabilities given that one of the labels is said, summing to one."""
        shifted = np.exp(self.log_probs - self.log_probs.max())
        return np.asarray(shifted / shifted.sum())


class Model(Protocol):
    """A language model, whatever it is asked for.

    ``fingerprint`` holds all that shapes its answers (weights, adapter, tokenizer, dtype); they
    are cached under it.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> Mapping[str, Any]: ...

    @property
    def has_chat_template(self) -> bool: ...

    def chat_text(self, message: str) -> str:
        """``message`` as a user's turn, up to where the model's turn begins."""
        ...


class Backend(Model, Protocol):
    """A language model that scores labels."""

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index into ``requests``, scores) as they come; every index exactly once."""
        ...


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A text whose continuation is wanted.

    Attributes:
        text: the prompt as the model is to read it; through ``chat_text`` where it is a message.
        max_new_tokens: the model stops there at the latest.
        schema: JSON schema that the answer must follow: an object of shares, whose properties are
            numbers from 0 to 1. A backend whose ``supports_schema`` is true keeps to it (and may
            also see to it that they sum to one); another one ignores it, and the reader of the
            answer must be ready for anything.
    """

    text: str
    max_new_tokens: int
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """What the model said, without the prompt, and the tokens it read and wrote for it.

    Attributes:
        cut: it ended because its tokens were spent, as far as the backend tells.
        why_not: why there is no answer, where ``text`` is empty for a reason.
    """

    text: str
    tokens_in: int
    tokens_out: int
    cut: bool = False
    why_not: str = ""


class Generator(Model, Protocol):
    """A language model that writes text: greedily, so that asking again gives the same."""

    @property
    def supports_schema(self) -> bool:
        """Whether ``TextRequest.schema`` binds the answer (structured decoding)."""
        ...

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        """Yield (index into ``requests``, text) as they come; every index exactly once."""
        ...


class AnswerKeeper(Protocol):
    """A model that keeps each answer itself, as it comes: nobody else needs to cache it.

    ``tokens`` are those read and written so far, for answers it had kept before too.
    """

    @property
    def keeps_answers(self) -> Literal[True]: ...

    @property
    def tokens(self) -> tuple[int, int]: ...


def answer_keeper(model: Model) -> AnswerKeeper | None:
    """``model``, if it keeps its answers."""
    keeper: Any = model
    return keeper if getattr(model, "keeps_answers", False) else None


def can_score(model: Model) -> TypeGuard[Backend]:
    """Whether ``model`` scores labels. Looks at no property: one may ask a service."""
    return callable(getattr(type(model), "score", None))


def can_write(model: Model) -> TypeGuard[Generator]:
    """Whether ``model`` writes text. Looks at no property: one may ask a service."""
    return callable(getattr(type(model), "generate", None))


def writer(backend: Backend) -> Generator:
    """``backend`` as a model that writes text.

    Raises:
        ModelError: it only scores labels.
    """
    if not can_write(backend):
        raise ModelError(
            "The model cannot write text",
            where=backend.name,
            expected="a backend that generates",
            hint="take --method zero-shot, or another --backend",
        )
    return backend


def continuations(
    generator: Generator, prompts: Sequence[str], *, max_new_tokens: int = 160
) -> list[str]:
    """What ``generator`` says after each prompt, in their order."""
    texts = [""] * len(prompts)
    for i, said in generator.generate([TextRequest(p, max_new_tokens) for p in prompts]):
        texts[i] = said.text
    return texts
