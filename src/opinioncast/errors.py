"""Errors a user can act on: what happened, where, what was expected, what was found, what to do.

Every error the package raises on purpose derives from :class:`OpinioncastError`. Its text fits one
screen; the command line prints it without a traceback (``--traceback`` asks for one).
"""

from __future__ import annotations

import copy
from typing import Self

_MAX_VALUE_CHARS = 200


class OpinioncastError(Exception):
    """Base of all deliberate errors.

    Args:
        title: one sentence: what could not be done.
        where: file, line, row, question or variable that holds the problem.
        expected: what would have been accepted.
        found: what was there instead (cut to one line of 200 characters).
        hint: what the user can do next.
    """

    exit_code = 2

    def __init__(
        self,
        title: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.where = where
        self.expected = expected
        self.found = None if found is None else _one_line(found)
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.title]
        for label, value in (
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("what to do", self.hint),
        ):
            if value:
                parts.append(f"  {label + ':':<12}{value}")
        return "\n".join(parts)

    def at(self, place: str) -> Self:
        """Return the same error, with all it carries, and ``place`` put before its location.

        >>> print(InputError("No options", where="option 2").at("questions.yaml"))
        No options
          where:      questions.yaml, option 2
        """
        moved = copy.copy(self)
        moved.where = f"{place}, {self.where}" if self.where else place
        return moved


def _one_line(value: object) -> str:
    if isinstance(value, Exception):
        text = f"{type(value).__name__}: {value}"
    else:
        text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 1] + "…"


class InputError(OpinioncastError):
    """A questionnaire, group scheme, table or setting that cannot be used."""


class DataError(OpinioncastError):
    """A survey file or table whose content contradicts itself or its codebook."""


class ModelError(OpinioncastError):
    """A model, tokenizer or adapter that cannot be loaded or does not fit the request."""


class ServiceError(OpinioncastError):
    """A service that refuses a request, cannot be reached, or answers with something unusable.

    Attributes:
        status: the HTTP status it answered with, if that is what was wrong.
        answered: False where no answer came at all.
        lost: True where a request went out whose answer never came; it may have been charged.
        said: what it answered, longer than ``found`` shows.
    """

    status: int | None = None
    answered: bool = True
    lost: bool = False
    said: str = ""


class NoScoresError(ServiceError):
    """A service that gives no label probabilities, in the way asked for or at all."""


class StorageError(OpinioncastError):
    """A file could not be written or read back (disk full, no permission)."""


class IncompleteRunError(OpinioncastError):
    """The run ended with rows that are missing or not to be relied on; the files say which."""

    exit_code = 3


class CancelledError(OpinioncastError):
    """The caller ended the run; what was finished is kept."""

    exit_code = 3


class BudgetError(OpinioncastError):
    """The next request would cost more than the spending cap allows; what was answered is kept."""

    exit_code = 3
