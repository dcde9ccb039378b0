"""The population a survey is about: whose answers are meant where no group is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opinioncast.errors import InputError


@dataclass(frozen=True, slots=True)
class Population:
    """Everyone a question is put to, in words that stand in prompts.

    >>> from opinioncast import Population, Question
    >>> berlin = Population("adults in Berlin", "an adult living in Berlin")
    >>> Question("rent", "Are rents too high?", ("Yes", "No"), population=berlin).population.people
    'adults in Berlin'

    Attributes:
        people: all of them, in the plural ("adults in the United States"); after "all" or "of".
        person: one of them, with its article ("an adult living in the United States"); after "I
            am". Left out: "one of the " + ``people``.

    Raises:
        InputError: no words, or words over several lines.
    """

    people: str = "adults in the United States"
    person: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "people", str(self.people).strip())
        person = str(self.person).strip()
        if not person and self.people == Population.__dataclass_fields__["people"].default:
            person = "an adult living in the United States"
        set_(self, "person", person or f"one of the {self.people}")
        if not self.people or not self.people.isprintable() or not self.person.isprintable():
            raise InputError(
                "A population cannot be read",
                where="population",
                expected='words on one line for all of it, such as "adults in Berlin"',
                found=self.people or "nothing",
            )

    @property
    def is_default(self) -> bool:
        """Whether these are the paper's: its prompts name them for the total population only."""
        return self == US_ADULTS

    @classmethod
    def read(cls, raw: Any, where: str = "population") -> Population:
        """Of a file or a table's sidecar: None (the default), text, or people with person.

        Raises:
            InputError: something else.
        """
        if raw is None:
            return US_ADULTS
        if isinstance(raw, Population):
            return raw
        if isinstance(raw, str):
            return cls(raw)
        if isinstance(raw, Mapping) and "people" in raw and set(raw) <= {"people", "person"}:
            return cls(str(raw["people"]), str(raw.get("person") or ""))
        raise InputError(
            "A population cannot be read",
            where=where,
            expected='text such as "adults in Berlin", or a mapping of people and person',
            found=raw,
        )

    def record(self) -> dict[str, str]:
        """What a sidecar or a manifest keeps; :meth:`read` takes it back."""
        return {"people": self.people, "person": self.person}

    def __str__(self) -> str:
        return self.people


US_ADULTS = Population()
"""The paper's population: adults living in the United States."""
