"""How a question is put to a language model: the one description of it.

Prediction, fine-tuning, the cards of adapters and the reproduction all carry this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from opinioncast.errors import DataError, InputError
from opinioncast.options import check_types, option
from opinioncast.prompts.steering import Format
from opinioncast.survey.question import REFUSED


class Layout(StrEnum):
    """What stands first and is shared: the group's steering text, or the question."""

    PAPER = "paper"
    QUESTION_FIRST = "question-first"


class Answers(StrEnum):
    """How an option is named: by its letter, as in the paper, or in its own words.

    A small model hardly learns which letter stands for which option; in words it can bring what it
    knows of them (``benchmarks/ablation.py``).
    """

    LETTERS = "letters"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Prompting:
    """Everything about a prompt but its question and group. The defaults are those of a model
    without an adapter.

    Attributes:
        layout: which part comes first.
        format: how the group is described.
        answers: by letter or in words.
        refusal: "Refused" stands last among the options, as in the paper.
        chat: through the model's chat template.
        orders: option orders averaged: ``given``, ``reversed``, or a number
            (:func:`opinioncast.prompts.orders`).
        seed: of random option orders.

    Raises:
        InputError: a value that is none of these.
    """

    layout: Layout = Layout.QUESTION_FIRST
    format: Format = Format.QA
    answers: Answers = Answers.LETTERS
    refusal: bool = True
    chat: bool = False
    orders: str = "reversed"
    seed: int = 0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "layout", _one_of(Layout, self.layout, "--layout"))
        set_(self, "format", _one_of(Format, self.format, "--format"))
        set_(self, "answers", _one_of(Answers, self.answers, "--answers"))
        check_orders(self.orders)

    @property
    def refusal_text(self) -> str | None:
        """The last option; None where none is shown."""
        return REFUSED if self.refusal else None

    @classmethod
    def trained(cls, recipe: Mapping[str, Any], where: str) -> Prompting:
        """What the recipe of ``opinioncast finetune`` says an adapter was trained on. Option orders
        of training are its own; those of prediction are the default's.

        Raises:
            DataError: it does not say.
        """
        try:
            return cls(
                layout=Layout(recipe["layout"]),
                format=Format(recipe["format"]),
                answers=Answers(recipe.get("answers", Answers.LETTERS)),  # only letters once
                refusal=bool(recipe["refusal"]),
                chat=bool(recipe["chat"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "An adapter's recipe does not say how it was prompted",
                where=where,
                expected="layout, format, refusal and chat, as opinioncast finetune writes them",
                found=error,
            ) from error

    def differences(self, other: Prompting) -> dict[str, tuple[str, str]]:
        """Where two ways of putting a question differ, option orders apart: name -> (of this, of
        the other)."""
        return {
            name: (str(getattr(self, name)), str(getattr(other, name)))
            for name in TRAINED_WITH
            if getattr(self, name) != getattr(other, name)
        }

    def flags(self) -> str:
        """The options of ``opinioncast predict`` that put questions like this, orders apart."""
        said = [f"--layout {self.layout}", f"--format {self.format}"]
        said += [f"--answers {self.answers}"] if self.answers is not Answers.LETTERS else []
        said += [] if self.refusal else ["--no-refusal"]
        return " ".join([*said, *(["--chat"] if self.chat else [])])

    def record(self) -> dict[str, Any]:
        """What shapes a model's answers, in words that JSON takes."""
        return {k: str(v) if isinstance(v, StrEnum) else v for k, v in asdict(self).items()}


TRAINED_WITH = ("layout", "format", "refusal", "chat", "answers")
"""What an adapter is trained with, and best asked with."""


@dataclass(frozen=True, slots=True)
class AskedPrompting:
    """What a user says of the prompts; what is left out (None) is as the adapter was trained, else
    the default of :class:`Prompting`."""

    layout: Layout | None = option(
        None,
        "What stands first in the prompt: question-first or paper (default: as the adapter was "
        "trained, else question-first).",
    )
    format: Format | None = option(
        None,
        "How the prompt describes the group: qa, bio or portray (default: as trained, else qa).",
        flags=("--format", "-f"),
    )
    answers: Answers | None = option(
        None,
        "How the model names an option: its letter, or its own words (default: as trained, else "
        "letters).",
    )
    refusal: bool | None = option(
        None, 'Show "Refused" as the last option (default: as trained, else yes).'
    )
    chat: bool | None = option(None, "Use the model's chat template.")
    orders: str | None = option(
        None, "Option orders averaged: given, reversed (default), or a number."
    )
    seed: int | None = option(None, "Of random option orders.")

    def __post_init__(self) -> None:
        check_types(self)
        if self.orders is not None:
            check_orders(self.orders)


def over(asked: Any, trained: Prompting | None) -> Prompting:
    """What ``asked`` (settings with fields of :class:`Prompting`) says; what it does not, as
    trained, else as usual."""
    said = {
        f.name: value
        for f in fields(Prompting)
        if (value := getattr(asked, f.name, None)) is not None
    }
    return replace(trained or Prompting(), **said)


def check_orders(spec: str) -> None:
    """Refuse what is no way to order options.

    Raises:
        InputError: neither ``given``, ``reversed`` nor a number of 1 or more.
    """
    if spec in ("given", "reversed"):
        return
    if not isinstance(spec, str) or not spec.isdecimal() or int(spec) < 1:
        raise InputError(
            "Unknown option orders",
            where="--orders",
            expected="given, reversed, or a number of orders",
            found=spec,
        )


def _one_of(kind: type[StrEnum], value: Any, where: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise InputError(
            "A prompt cannot be put like this",
            where=where,
            expected=", ".join(kind),
            found=value,
        ) from None
