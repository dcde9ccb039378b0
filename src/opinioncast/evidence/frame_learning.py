"""A population frame from surveys: a smooth joint distribution of all attributes, drawn from anew.

A latent-class model (every class a product of multinomials) is fitted by EM to the memberships of
several surveys. An attribute or group that one survey cannot tell is a set of possible groups
there, so surveys complete each other. The frame's rows are drawn from the model and raked to its
margins: no row is a respondent. Source of the model: Dunson and Xing (2009); as synthetic data: Si
and Reiter (2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opinioncast.errors import DataError
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.people import Array, Bools, Column, Groups
from opinioncast.evidence.sample import Sample

CLASSES = 40
_ROUNDS = 150
_POOL = 60_000
_PSEUDO = 0.5
"""People added to each group of each class, spread as in all surveys: what smooths empty cells."""

Unclear = Mapping[Column, Sequence[Column]]
"""Groups that a survey counts under another: people of the first may belong to the second."""


def learn_frame(
    samples: Sequence[tuple[Sample, Unclear]],
    card: Mapping[str, Any],
    *,
    rows: int = 3000,
    classes: int = CLASSES,
    seed: int = 0,
) -> Frame:
    """A frame of ``rows`` drawn rows (fewer, where rows are alike).

    Args:
        samples: surveys of one population, each with the groups it cannot tell apart.
        card: what is said of the frame.

    Raises:
        DataError: no respondent.
    """
    groups = Groups(tuple(dict.fromkeys(c for s, _ in samples for c in s.groups.columns)))
    possible, weights = [], []
    for sample, unclear in samples:
        mask, weight = _possible(sample, groups, unclear), _weight(sample)
        possible.append(mask[weight > 0])
        weights.append(weight[weight > 0])
    if not sum(map(len, weights)):
        raise DataError("No respondent to make a frame of", expected="respondents with a weight")
    mixture, chances = _latent_classes(
        groups, np.concatenate(possible), np.concatenate(weights), classes, seed
    )
    return _drawn(groups, mixture, chances, rows, seed, dict(card))


def _possible(sample: Sample, groups: Groups, unclear: Unclear) -> Bools:
    members = groups.spread(sample.members, sample.groups)
    for column, others in unclear.items():
        for other in others:
            members[:, groups.place[other]] |= members[:, groups.place[column]]
    for places in groups.attributes.values():
        untold = ~members[:, places].any(axis=1)
        members[np.ix_(untold, places)] = True
    return members


def _weight(sample: Sample) -> Array:
    """Weights that add up to the effective size; those of the question most people were asked."""
    answers = max(sample.answers, key=lambda a: int((a.weights > 0).sum()))
    return np.asarray(answers.weights * answers.weights.sum() / (answers.weights**2).sum())


def _latent_classes(
    groups: Groups, possible: Bools, weights: Array, classes: int, seed: int
) -> tuple[Array, Array]:
    """Size of each class, and each group's chance in it: (classes,), (classes, groups)."""
    rng = np.random.default_rng(seed)
    mask = possible.astype(float)
    parts = list(groups.attributes.values())
    overall = np.zeros(len(groups))
    for places in parts:
        clear = mask[:, places].sum(axis=1) < len(places)
        shared = mask[:, places] / mask[:, places].sum(axis=1, keepdims=True)
        overall[places] = (weights * clear) @ shared
        overall[places] /= overall[places].sum()
    chances = np.empty((classes, len(groups)))
    for places in parts:
        chances[:, places] = rng.dirichlet(20 * overall[places] + 0.5, classes)
    mixture = np.full(classes, 1 / classes)
    for _ in range(_ROUNDS):
        like = [mask[:, places] @ chances[:, places].T for places in parts]
        logs = np.log(mixture) + sum(np.log(np.maximum(p, 1e-300)) for p in like)
        logs -= logs.max(axis=1, keepdims=True)
        belongs = np.exp(logs)
        belongs *= (weights / belongs.sum(axis=1))[:, None]
        for places, each in zip(parts, like, strict=True):
            told = mask[:, places].sum(axis=1) < len(places)
            ratio = (belongs / np.maximum(each, 1e-300))[told]
            counted = (ratio.T @ mask[told][:, places]) * chances[:, places]
            counted += _PSEUDO * len(places) * overall[places]
            chances[:, places] = counted / counted.sum(axis=1, keepdims=True)
        mixture = belongs.sum(axis=0) + 1e-6
        mixture /= mixture.sum()
    return mixture, chances


def _drawn(
    groups: Groups, mixture: Array, chances: Array, rows: int, seed: int, card: dict[str, Any]
) -> Frame:
    """Rows of the model, rare groups drawn more often, raked to the model's own margins."""
    rng = np.random.default_rng([seed, 1])
    of_class = rng.choice(len(mixture), _POOL, p=mixture)
    pool = np.zeros((_POOL, len(groups)), dtype=bool)
    for places in groups.attributes.values():
        heights = np.cumsum(chances[of_class][:, places], axis=1)
        chosen = (rng.random((_POOL, 1)) * heights[:, -1:] > heights).sum(axis=1)
        pool[np.arange(_POOL), places[np.minimum(chosen, len(places) - 1)]] = True
    share = mixture @ chances
    rarity = pool @ (1 / np.maximum(share, 1e-4))
    chance = np.minimum(1.0, rarity * rows / rarity.sum())
    heights = np.cumsum(chance)
    marks = np.arange(rng.random(), heights[-1], 1.0)
    picked = np.searchsorted(heights, marks)
    members, weights = pool[picked], 1 / chance[picked]
    targets = [(places, share[places]) for places in groups.attributes.values()]
    pairs = list(groups.attributes.values())
    joint = {
        (i, j): (chances[:, pairs[i]] * mixture[:, None]).T @ chances[:, pairs[j]]
        for i in range(len(pairs))
        for j in range(i)
    }
    weights /= weights.sum()
    for _ in range(60):
        for (i, j), wanted in joint.items():
            one, other = members[:, pairs[i]].argmax(axis=1), members[:, pairs[j]].argmax(axis=1)
            held = np.zeros_like(wanted)
            np.add.at(held, (one, other), weights)
            # a pair that few rows hold is left as drawn: its weights would run away
            factor = np.where((held > 0) & (wanted > 1e-4), wanted / np.maximum(held, 1e-12), 1.0)
            weights *= np.clip(factor, 0.5, 2.0)[one, other]
        for places, wanted in targets:
            held = weights @ members[:, places]
            weights *= members[:, places] @ np.where(held > 0, wanted / np.maximum(held, 1e-12), 1)
    return Frame.of_people(groups, members, weights, card)
