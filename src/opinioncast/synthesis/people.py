"""People drawn from a population frame, each in one group of an attribute at most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from opinioncast.evidence.frame import Frame
from opinioncast.evidence.people import Array

Ints = npt.NDArray[np.intp]


def each_in_one_group(frame: Frame) -> Frame:
    """A frame whose rows are in one group of an attribute, or in none where it is not told.

    A row in several (no survey tells them apart) becomes one row for each, weighing by how common
    the groups are among rows of one.
    """
    members, weights = frame.members, frame.weights
    for places in frame.groups.attributes.values():
        several = members[:, places].sum(axis=1) > 1
        if not several.any():
            continue
        alone = members[~several][:, places]
        common = weights[~several] @ alone + 1e-9  # groups that never stand alone share evenly
        parts, sizes = [members[~several]], [weights[~several]]
        for place, size in zip(places, common, strict=True):
            inside = several & members[:, place]
            rows = members[inside].copy()
            among = rows[:, places] @ common
            rows[:, places] = False
            rows[:, place] = True
            parts.append(rows)
            sizes.append(weights[inside] * size / among)
        members, weights = np.concatenate(parts), np.concatenate(sizes)
    return replace(frame, members=members, weights=weights)


@dataclass(frozen=True)
class People:
    """Records' people.

    Attributes:
        frame: what they were drawn from, each row in one group of an attribute at most.
        rows: of the frame, one per person; shape (people,).
    """

    frame: Frame
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def members(self) -> npt.NDArray[np.bool_]:
        return self.frame.members[self.rows]


def draw_people(frame: Frame, count: int, rng: np.random.Generator) -> People:
    """A simple random sample of a population: every record weighs the same.

    Args:
        frame: of :func:`each_in_one_group`.
    """
    weights: Array = frame.weights
    return People(frame, rng.choice(len(frame), size=count, p=weights / weights.sum()))
