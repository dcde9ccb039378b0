"""People by the groups they are in: the rows of a population frame, of a pilot, of past microdata.

A person is a row of memberships in the groups of every attribute (``RACE=Black``, ``AGE=65+``). An
attribute nobody can tell for a person has no membership at all; a survey whose answers do not tell
two groups apart (religion "none") puts a person in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from opinioncast.errors import InputError
from opinioncast.survey import Subpopulation

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

Column = tuple[str, str]
"""An attribute and one of its groups."""


@dataclass(frozen=True)
class Groups:
    """The columns of a membership matrix, attribute by attribute.

    Raises:
        InputError: a column twice.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.columns):
            raise InputError(
                "A group appears twice", expected="different groups", found=self.columns
            )

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def attributes(self) -> Mapping[str, Ints]:
        """Attribute -> places of its groups."""
        names = dict.fromkeys(a for a, _ in self.columns)
        return {n: np.array([i for i, (a, _) in enumerate(self.columns) if a == n]) for n in names}

    @cached_property
    def place(self) -> Mapping[Column, int]:
        return {column: i for i, column in enumerate(self.columns)}

    def told(self, members: Bools) -> Bools:
        """Whether each attribute is told for each person, repeated for its groups; as members."""
        told = np.zeros_like(members)
        for places in self.attributes.values():
            told[:, places] = members[:, places].any(axis=1, keepdims=True)
        return told

    def spread(self, members: Bools, own: Groups) -> Bools:
        """Memberships in ``own`` as memberships in these groups; those not here are left out."""
        out = np.zeros((len(members), len(self)), dtype=bool)
        for i, column in enumerate(own.columns):
            if column in self.place:
                out[:, self.place[column]] = members[:, i]
        return out

    def mask(self, members: Bools, subpopulation: Subpopulation) -> Bools | None:
        """Who is in a subpopulation, shape (people,); None where a condition has no column."""
        inside = np.ones(len(members), dtype=bool)
        for condition in subpopulation.conditions:
            if condition not in self.place:
                return None
            inside &= members[:, self.place[condition]]
        return inside


def merged(members: Bools, counts: Array) -> tuple[Bools, Array]:
    """People with equal memberships as one row, their counts added up; in a fixed order.

    Args:
        members: shape (people, groups).
        counts: what is added up, shape (people, k).

    The order of the result does not depend on the order of the people.
    """
    rows, inverse = np.unique(members, axis=0, return_inverse=True)
    out = np.zeros((len(rows), counts.shape[1]))
    # sums in a fixed order, so that shuffled people give the same bits
    order = np.lexsort((*counts.T, inverse.ravel()))
    np.add.at(out, inverse.ravel()[order], counts[order])
    return rows, out


def sources_of(columns: Sequence[Column]) -> str:
    """Groups for a message: attributes with how many groups each has."""
    names = dict.fromkeys(a for a, _ in columns)
    return ", ".join(f"{n} ({sum(a == n for a, _ in columns)})" for n in names)
