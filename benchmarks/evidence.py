"""Predictions that start from what is known: distances and intervals, beside a crosstab and MRP.

Pilots are drawn from the real respondents of GSS 2018, GSS 2016 and ANES 2020; questions are those
outside the package's training table, which taught neither the methods nor the prior nor the
factors of intervals. The population frame is another survey's (the other GSS year; ANES 2012).
Distances are Wasserstein's, over the paper's 22 groups and everyone, in cells of 20 answers or
more.

    python benchmarks/evidence.py [--quick] [--data DIR] [--cache DIR] [--draws 2]

The last line is one JSON object; what could not be measured is null.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from evidence_data import MIN_N, Split, Surveys, drawn, predicted_cells, scored_groups, truth
from evidence_files import as_pilot, as_published, own_frame
from opinioncast.evaluate.distance import wasserstein
from opinioncast.evidence.calibration import Calibration, read_calibration
from opinioncast.evidence.frame import Frame, read_frame
from opinioncast.evidence.logit import Counts, posterior, probabilities
from opinioncast.evidence.observations import Cell, Evidence, Pilot, Published
from opinioncast.evidence.past import Memory, read_memory
from opinioncast.evidence.people import Array
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import Prior, read_prior
from opinioncast.evidence.reading import Settings, read_evidence, read_question
from opinioncast.evidence.sample import Answers, Sample
from opinioncast.survey import PredictionTable, Subpopulation, load_groups

SIZES = (10, 25, 50, 100, 200, 400)
EVALUATED = {"gss_2018": "gss_2016", "gss_2016": "gss_2018", "anes_2020": "anes_2012"}
"""Wave evaluated, and the wave whose people are the population frame."""
PARTIES = tuple(Subpopulation((("POLPARTY", p),)) for p in ("Democrat", "Republican"))
EVERYONE = Subpopulation()
_BY_WAVE = (
    *("n25", "n100", "n400", "crosstab_n25", "crosstab_n100", "mrp_n100", "topline"),
    *("topline_party", "everyone", "level_n100"),
)
BIG = 50
"""Groups of fewer people are not asked to hold their intervals one by one."""


@dataclass
class Tally:
    """What was measured of one reading, question by question."""

    wd: list[float] = field(default_factory=list)
    wd_rest: list[float] = field(default_factory=list)
    inside: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    half_width: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.wd += other.wd
        self.wd_rest += other.wd_rest
        self.half_width += other.half_width
        for group, values in other.inside.items():
            self.inside[group] += values

    def mean(self) -> float | None:
        return round(float(np.mean(self.wd)), 4) if self.wd else None

    def rest(self) -> float | None:
        return round(float(np.mean(self.wd_rest)), 4) if self.wd_rest else None

    def cover(self) -> float | None:
        held = [v for values in self.inside.values() for v in values]
        return round(float(np.mean(held)), 4) if held else None

    def worst(self) -> tuple[str, float] | None:
        by = {g: float(np.mean(v)) for g, v in self.inside.items() if len(v) >= 60}
        return min(by.items(), key=lambda i: i[1]) if by else None


@dataclass(frozen=True)
class Item:
    """One question of a wave, with its truth."""

    sample: Sample
    answers: Answers
    predicted: dict[Subpopulation, Array]
    groups: list[Subpopulation]
    shares: Array
    bases: Array


def distance(item: Item, shares: Array, truths: Array, bases: Array, skip: set[int]) -> float:
    """Mean distance over the groups with a truth; the question has a scale."""
    rows = [i for i in range(len(item.groups)) if bases[i] >= MIN_N and i not in skip]
    ordinal = np.tile(item.answers.question.ordinal, (len(rows), 1))
    return float(np.mean(wasserstein(truths[rows], shares[rows], ordinal)))


def items_of(surveys: Surveys, split: Split, name: str, limit: int | None) -> list[Item]:
    sample = surveys.sample(name).keep(split.evaluated[name])
    if name == "gss_2016":
        sample = sample.keep(split.evaluated[name] - split.evaluated["gss_2018"])
    if limit is not None:
        sample = sample.keep([a.question.question_id for a in sample.answers[:limit]])
    table = surveys.predictions(name, sample)
    groups = scored_groups()
    found = []
    for answers in sample.answers:
        if not answers.question.has_scale:
            continue
        shares, bases = truth(sample, answers, groups)
        predicted = predicted_cells(table, answers.question.question_id)
        found.append(Item(sample, answers, predicted, groups, shares, bases))
    return found


def tell(
    tally: Tally,
    item: Item,
    evidence: Sequence[Evidence],
    settings: Settings,
    *,
    given: Sequence[Subpopulation] = (),
    rest: tuple[Array, Array] | None = None,
) -> Array:
    """Read the evidence on one question and count how near it is; returns the shares."""
    cells = {g: item.predicted.get(g, item.predicted[EVERYONE]) for g in item.groups}
    answer = read_question(item.answers.question, cells, evidence, settings)
    at = {s: i for i, s in enumerate(answer.cells.subpopulations)}
    shares = np.array(
        [
            answer.cells.mean[at[g]] if g in at else item.predicted.get(g, item.predicted[EVERYONE])
            for g in item.groups
        ]
    )
    skip = {i for i, g in enumerate(item.groups) if g in given}
    tally.wd.append(distance(item, shares, item.shares, item.bases, set()))
    if rest is not None:
        tally.wd_rest.append(distance(item, shares, *rest, set()))
    for i, group in enumerate(item.groups):
        if item.bases[i] >= BIG and group in at and i not in skip:
            low, high = answer.low[at[group]], answer.high[at[group]]
            inside = (item.shares[i] >= low - 1e-9) & (item.shares[i] <= high + 1e-9)
            tally.inside[str(group)] += inside.astype(float).tolist()
            tally.half_width += ((high - low) / 2).tolist()
    return shares


def crosstab(item: Item, rows: Any) -> Array:
    """The pilot's plain shares: a group of nobody, or of none on the scale, gets the total's."""
    choice = item.answers.choice[rows]
    options = len(item.answers.question.options)
    on = np.array(item.answers.question.ordinal) >= 0
    total = np.bincount(choice, minlength=options) / len(choice)
    if not total[on].sum():
        total = np.full(options, 1 / options)
    out = []
    for group in item.groups:
        mask = item.sample.groups.mask(item.sample.members, group)
        inside = np.zeros(len(rows), dtype=bool) if mask is None else mask[rows]
        counted = np.bincount(choice[inside], minlength=options)
        out.append(counted / counted.sum() if counted[on].sum() else total)
    return np.array(out)


def ridge_mrp(item: Item, rows: Any, frame: Frame) -> Array:
    """MRP as it is done today: ridge multinomial logit, penalty by five-fold cross-validation."""
    groups = item.sample.groups
    columns = frame.groups.spread(item.sample.members[rows], groups).astype(float)
    center = frame.weights @ frame.members
    people = np.hstack([np.ones((len(rows), 1)) * 3, columns - center])
    population = np.hstack([np.ones((len(frame), 1)) * 3, frame.members - center])
    options = len(item.answers.question.options)
    counts = np.eye(options)[item.answers.choice[rows]]
    fold = np.arange(len(rows)) % 5

    def fitted(scale: float, keep: Any) -> Array:
        scales = np.append(1.0, np.full(people.shape[1] - 1, scale))
        piece = Counts(people[keep] * scales, np.ones((int(keep.sum()), 1)), counts[keep])
        zero = np.zeros((options - 1, people.shape[1]))
        return np.asarray(posterior(zero, [piece], tolerance=1e-3).mean * scales)

    loss = {}
    for scale in (0.03, 0.1, 0.2, 0.4, 0.8):
        off = 0.0
        for k in range(5):
            theta = fitted(scale, fold != k)
            shares = probabilities(people[fold == k], theta)
            off -= float((counts[fold == k] * np.log(np.maximum(shares, 1e-9))).sum())
        loss[scale] = off
    theta = fitted(min(loss, key=lambda s: loss[s]), np.ones(len(rows), dtype=bool))
    cells, places, _ = frame.cells(item.groups)
    told = cells @ probabilities(population, theta)
    total = told[places.index(item.groups.index(EVERYONE))]
    return np.array(
        [told[places.index(i)] if i in places else total for i in range(len(item.groups))]
    )


@dataclass(frozen=True)
class Room:
    """What every reading uses."""

    prior: Prior
    calibration: Calibration
    memory: Memory

    def on(self, frame: Frame) -> Settings:
        model = Model(self.prior.with_frame(frame), frame)
        return Settings(model, self.calibration, self.memory, draws=200)


def pilots(
    items: Sequence[Item],
    settings: Settings,
    tallies: dict[str, Tally],
    *,
    draws: int,
    sizes: Sequence[int],
    plain: Settings,
    shipped: Settings,
) -> None:
    """Every reading of every pilot size; ``plain``: the same without the wording."""
    for item in items:
        number = zlib.crc32(item.answers.question.question_id.encode())
        flat = replace(item, predicted=_flat(item))
        for draw in range(draws):
            for size in sizes:
                rng = np.random.default_rng([number, draw, size])
                if item.answers.n < size:
                    continue
                rows = drawn(item.answers, size, rng)
                evidence = [as_pilot(item.sample, item.answers, rows)]
                rest = truth(item.sample, item.answers, item.groups, np.unique(rows))
                tell(tallies[f"n{size}"], item, evidence, settings, rest=rest)
                table = crosstab(item, rows)
                tallies[f"crosstab_n{size}"].wd.append(
                    distance(item, table, item.shares, item.bases, set())
                )
                tallies[f"crosstab_n{size}"].wd_rest.append(distance(item, table, *rest, set()))
                if draw == 0 and size <= 100:
                    tell(tallies[f"no_wording_n{size}"], flat, evidence, plain)
                if draw == 0 and size == 100:
                    tell(tallies["shipped_frame_n100"], item, evidence, shipped)
                if draw == 0 and size in (25, 100):
                    shares = ridge_mrp(item, rows, settings.model.frame)
                    tallies[f"mrp_n{size}"].wd.append(
                        distance(item, shares, item.shares, item.bases, set())
                    )


def floor(item: Item, settings: Settings, tallies: dict[str, Tally], sizes: Sequence[int]) -> None:
    """What no reading can be expected to go below.

    The truth's own noise: how far it lies from a reading of everyone's answers. And the level's:
    how far it lies from everyone's contrasts with no more than the level read from the pilot.
    """
    model, answers, question = settings.model, item.answers, item.answers.question
    cells = {g: item.predicted.get(g, item.predicted[EVERYONE]) for g in item.groups}
    expected = model.expected(cells, question.ordinal)
    everyone = model.people(item.sample.groups, item.sample.members, answers.counts())
    fitted = posterior(expected.mean, everyone, precision=expected.precision)
    known = expected.variances.copy()
    known[:, 1:] = 1e-8
    number = zlib.crc32(question.question_id.encode())
    weights, places, _ = model.frame.cells(item.groups)
    total = places.index(item.groups.index(EVERYONE))

    def add(name: str, theta: Array) -> None:
        told = weights @ probabilities(model.features, theta)
        shares = np.tile(told[total], (len(item.groups), 1))
        shares[places] = told
        tallies[name].wd.append(distance(item, shares, item.shares, item.bases, set()))

    add("everyone", fitted.mean)
    for size in sizes:
        if answers.n < size:
            continue
        rows = drawn(answers, size, np.random.default_rng([number, 0, size]))
        counts = np.eye(len(question.options))[answers.choice[rows]]
        pilot = model.people(item.sample.groups, item.sample.members[rows], counts)
        start = fitted.mean.copy()
        start[:, 0] = expected.mean[:, 0]
        level = posterior(start, pilot, precision=expected.contrasts.across(1 / known))
        add(f"level_n{size}", level.mean)


def _flat(item: Item) -> dict[Subpopulation, Array]:
    options = len(item.answers.question.options)
    return {g: np.full(options, 1 / options) for g in item.groups}


def toplines(items: Sequence[Item], settings: Settings, tallies: dict[str, Tally]) -> None:
    for item in items:
        tell(tallies["wording"], item, [], settings)
        even = np.full_like(item.shares, 1 / item.shares.shape[1])
        tallies["uniform"].wd.append(distance(item, even, item.shares, item.bases, set()))
        total = np.tile(item.shares[-1], (len(item.groups), 1))
        tallies["same_topline"].wd.append(distance(item, total, item.shares, item.bases, set()))
        for name, told in (("topline", [EVERYONE]), ("topline_party", [EVERYONE, *PARTIES])):
            source = as_published(item.answers, item.groups, item.shares, item.bases, told)
            tell(tallies[name], item, [source], settings, given=told)


def past(
    surveys: Surveys, now: str, then: str, years: float, room: Room, limit: int | None
) -> tuple[Tally, Tally]:
    """A wave given an earlier one: the reading, and last wave unchanged."""
    new, old = surveys.sample(now), surveys.sample(then)
    earlier = {a.question.question_id: a for a in old.answers}
    settings = room.on(own_frame(old))
    groups = scored_groups()
    split = Split.of(surveys)
    kept = [
        a
        for a in new.answers
        if a.question.question_id in earlier
        and a.question.options == earlier[a.question.question_id].question.options
        and a.question.has_scale
        and (a.question.question_id in split.gss or now.startswith("trend"))
        and min(a.n_eff, earlier[a.question.question_id].n_eff) >= 300
    ][:limit]
    table = surveys.predictions(now, new.keep([a.question.question_id for a in kept]))
    reading, unchanged = Tally(), Tally()
    for answers in kept:
        name = answers.question.question_id
        before, bases_before = truth(old, earlier[name], groups)
        shares, bases = truth(new, answers, groups)
        item = Item(new, answers, predicted_cells(table, name), groups, shares, bases)
        deff = earlier[name].n / earlier[name].n_eff
        cells = tuple(
            Cell(name, g, tuple(s / s.sum()), float(b) / deff, 0.0, int(b))
            for g, s, b in zip(groups, before, bases_before, strict=True)
            if b >= MIN_N
        )
        tell(reading, item, [Published(then, cells, years=years)], settings)
        skip = {i for i, b in enumerate(bases_before) if b < MIN_N}
        unchanged.wd.append(distance(item, before, shares, bases, skip))
    return reading, unchanged


def opinionqa(data: Path, surveys: Surveys, room: Room, limit: int | None) -> dict[str, Any]:
    """OpinionQA's visible rows with each question's topline known, in whole percent."""
    import polars as pl

    from opinioncast.predictor import predict
    from opinioncast.readers.subpop import read_rows, to_table
    from opinioncast.survey import GroupScheme

    path = data / "opinionqa" / "opinionqa_contentious.jsonl"
    if not path.is_file():
        return {"wd_opinionqa_topline": None}
    rows = read_rows(path)
    table = to_table(rows, family="ATP")
    sampled = to_table(rows.filter(pl.col("in_sample22")), family="ATP")
    groups = GroupScheme.of_standard(
        [*load_groups("paper22"), EVERYONE], "OpinionQA with its totals"
    )
    questions = sampled.questions()[:limit]
    held = None if surveys.cache is None else surveys.cache / f"pred_opinionqa_{limit}.parquet"
    if held is not None and held.is_file():
        predictions = PredictionTable.read(held)
    else:
        predictions = predict(questions, groups, method="network").table
        if held is not None:
            predictions.write(held)
    settings = room.on(read_frame())
    tally, same = [], []
    for question in questions:
        here = (pl.col("question_id") == question.question_id) & (pl.col("wave") == question.wave)
        total = _whole(table.frame.filter(here), settings.model.frame)
        truths = {
            Subpopulation.from_key(a, g): np.array(d)
            for a, g, d in sampled.frame.filter(here)
            .select("attribute", "group", "distribution")
            .rows()
        }
        if total is None or not truths or not question.has_scale:
            continue
        predicted = {
            Subpopulation.from_key(a, g): np.array(d)
            for a, g, d in predictions.frame.filter(here)
            .select("attribute", "group", "distribution")
            .rows()
        }
        cell = Cell(question.question_id, EVERYONE, tuple(total), 2000.0, 0.01)
        answer = read_question(question, predicted, [Published("topline", (cell,))], settings)
        at = {s: i for i, s in enumerate(answer.cells.subpopulations)}
        for group, true in truths.items():
            ordinal = np.array([question.ordinal])
            told = answer.cells.mean[at[group]] if group in at else total
            tally.append(float(wasserstein(true[None], told[None], ordinal)[0]))
            same.append(float(wasserstein(true[None], total[None], ordinal)[0]))
    return {
        "wd_opinionqa_topline": round(float(np.mean(tally)), 4) if tally else None,
        "wd_opinionqa_same_topline": round(float(np.mean(same)), 4) if same else None,
        "opinionqa_cells": len(tally),
    }


def _whole(rows: Any, frame: Frame) -> Array | None:
    """A question's topline from the attribute whose groups are most of the people, in percent."""
    best: tuple[float, Array] | None = None
    for attribute in rows["attribute"].unique(maintain_order=True):
        shares, sizes = [], []
        for group, shown in (
            rows.filter(rows["attribute"] == attribute).select("group", "distribution").rows()
        ):
            size = frame.share(Subpopulation(((attribute, group),)))
            if size:
                shares.append(shown)
                sizes.append(size)
        if sizes and sum(sizes) > (best[0] if best else 0.75):
            best = sum(sizes), np.array(sizes) @ np.array(shares) / sum(sizes)
    if best is None:
        return None
    rounded = np.round(best[1], 2)
    return np.asarray(rounded / rounded.sum())


def speed(room: Room, questions: int) -> dict[str, float]:
    """Time and memory of reading a pilot of 1,000 on many questions and about 60 groups."""
    import resource

    frame = read_frame()
    settings = room.on(frame)
    rng = np.random.default_rng(0)
    rows = rng.choice(len(frame), 1000, p=frame.weights)
    groups = [s for s in load_groups("all", "total") if frame.share(s)]
    table, choice, weights = [], {}, {}
    for i in range(questions):
        options = 2 + i % 4
        name = f"q{i}"
        shares = rng.dirichlet(np.full(options, 3.0))
        choice[name] = rng.choice(options, 1000, p=shares)
        weights[name] = rng.uniform(0.5, 2.0, 1000)
        table += [
            {
                "question_id": name,
                "question": f"Question {i}?",
                "options": [f"Answer {k}" for k in range(options)],
                "ordinal": list(range(options)),
                "attribute": g.attribute,
                "group": g.group,
                "distribution": shares.tolist(),
            }
            for g in groups
        ]
    pilot = Pilot("pilot", frame.groups, frame.members[rows], choice, weights)
    predictions = PredictionTable.from_rows(table)
    started, busy = time.monotonic(), time.process_time()
    read_evidence(predictions, [pilot], settings)
    return {
        "speed_questions": questions,
        "speed_groups": len(groups),
        "speed_seconds": round(time.monotonic() - started, 1),
        "speed_cpu_seconds": round(time.process_time() - busy, 1),
        "speed_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def equivalent(wd: float | None, curve: Mapping[int, float | None]) -> float | None:
    """The crosstab sample of the same distance, between sizes on logarithms."""
    points = [(n, w) for n, w in sorted(curve.items()) if w is not None]
    if wd is None or len(points) < 2:
        return None
    sizes, distances = np.log([n for n, _ in points]), np.log([w for _, w in points])
    slope, level = np.polyfit(sizes, distances, 1)
    return round(float(np.exp((np.log(wd) - level) / slope)), 0)


@dataclass(frozen=True)
class Task:
    """Every ``of``-th question of each wave, from number ``part`` on."""

    data: Path
    cache: Path | None
    part: int
    of: int
    limit: int | None
    draws: int
    quick: bool
    waves: tuple[str, ...]
    sizes: tuple[int, ...]


def measure(task: Task) -> tuple[dict[str, int], dict[str, dict[str, Tally]]]:
    """All readings of a task's questions: how many there are, and tallies by name, by wave."""
    started = time.monotonic()
    surveys = Surveys(task.data, task.cache)
    split = Split.of(surveys)
    room = Room(read_prior(), read_calibration(), read_memory())
    by_wave: dict[str, dict[str, Tally]] = {}
    counted = {}
    shipped = room.on(read_frame())
    flat = replace(room.prior, level={k: max(v, 4.0) for k, v in room.prior.level.items()})
    for name in task.waves:
        items = items_of(surveys, split, name, task.limit)[task.part :: task.of]
        frame = own_frame(surveys.sample(name if task.quick else EVALUATED[name]))
        settings = room.on(frame)
        plain = replace(settings, model=Model(flat.with_frame(frame), frame))
        tallies: dict[str, Tally] = defaultdict(Tally)
        toplines(items, settings, tallies)
        pilots(
            items,
            settings,
            tallies,
            draws=1 if task.quick else task.draws,
            sizes=task.sizes,
            plain=plain,
            shipped=shipped,
        )
        for item in items:
            floor(item, settings, tallies, [n for n in (25, 100, 400) if n in task.sizes])
        by_wave[name] = dict(tallies)
        counted[name] = len(items)
        seconds = time.monotonic() - started
        print(f"part {task.part}, {name}: {len(items)} questions, {seconds:.0f} s", file=sys.stderr)
    return counted, by_wave


def pilot_figures(tallies: Mapping[str, Tally], counted: Mapping[str, int]) -> dict[str, Any]:
    """What the readings of pilots and toplines come to."""
    figures: dict[str, Any] = {"questions": sum(counted.values()), "by_wave": dict(counted)}
    for size in SIZES:
        figures[f"wd_n{size}"] = tallies[f"n{size}"].mean()
        figures[f"wd_rest_n{size}"] = tallies[f"n{size}"].rest()
        figures[f"wd_no_wording_n{size}"] = tallies[f"no_wording_n{size}"].mean()
        figures[f"wd_crosstab_n{size}"] = tallies[f"crosstab_n{size}"].mean()
    for name in ("mrp_n25", "mrp_n100", "topline", "topline_party", "same_topline", "wording"):
        figures[f"wd_{name}"] = tallies[name].mean()
    figures["wd_everyone"] = tallies["everyone"].mean()
    for size in (25, 100, 400):
        figures[f"wd_level_n{size}"] = tallies[f"level_n{size}"].mean()
    figures["wd_uniform"] = tallies["uniform"].mean()
    figures["wd_shipped_frame_n100"] = tallies["shipped_frame_n100"].mean()
    for name in ("n25", "n100", "n400", "topline", "topline_party", "wording"):
        figures[f"cover90_{name}"] = tallies[name].cover()
    widths = tallies["n100"].half_width
    figures["half_width_n100"] = round(float(np.mean(widths)), 4) if widths else None
    worst = {n: tallies[n].worst() for n in ("n25", "n100", "n400", "topline")}
    told = [w for w in worst.values() if w is not None]
    figures["worst_group_cover"] = round(min(w[1] for w in told), 4) if told else None
    figures["worst_groups"] = {n: [w[0], round(w[1], 3)] for n, w in worst.items() if w is not None}
    curve = {n: figures[f"wd_crosstab_n{n}"] for n in SIZES}
    figures["worth"] = {
        name: equivalent(figures[f"wd_{name}"], curve)
        for name in ("wording", "n10", "n25", "n100", "topline", "topline_party")
    }
    helps = [
        n
        for n in SIZES
        if tallies[f"no_wording_n{n}"].wd
        and (figures[f"wd_no_wording_n{n}"] - figures[f"wd_n{n}"]) > 0.01 * figures[f"wd_n{n}"]
    ]
    figures["wording_helps_up_to_n"] = max(helps, default=None)
    return figures


def past_figures(surveys: Surveys, room: Room, limit: int | None) -> dict[str, Any]:
    """A wave given an earlier one."""
    figures: dict[str, Any] = {}
    for label, now, then, years in (
        ("2018_given_2016", "gss_2018", "gss_2016", 2.0),
        ("2024_given_2018", "trend_2024", "trend_2018", 6.0),
    ):
        reading, unchanged = past(surveys, now, then, years, room, limit)
        figures[f"wd_{label}"] = reading.mean()
        figures[f"wd_{label}_unchanged"] = unchanged.mean()
        figures[f"cover90_{label}"] = reading.cover()
        figures[f"questions_{label}"] = len(reading.wd)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="six questions of one wave")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="keep respondents and predictions read here")
    parser.add_argument("--draws", type=int, default=2, help="pilots drawn of each size")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parts = ("pilots", "past", "opinionqa", "speed")
    parser.add_argument("--waves", nargs="+", choices=tuple(EVALUATED), default=tuple(EVALUATED))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--limit", type=int, help="questions per wave")
    options = parser.parse_args()
    started = time.monotonic()
    if not (options.data / "gss").is_dir():
        print(json.dumps({"skipped": f"no survey files in {options.data}"}))
        return
    limit = 6 if options.quick else options.limit
    surveys = Surveys(options.data, options.cache)
    room = Room(read_prior(), read_calibration(), read_memory())
    figures: dict[str, Any] = {}
    if "pilots" in options.parts:
        tasks = [
            Task(
                options.data,
                options.cache,
                i,
                options.workers,
                limit,
                options.draws,
                options.quick,
                ("gss_2018",) if options.quick else tuple(options.waves),
                (25, 100) if options.quick else tuple(options.sizes),
            )
            for i in range(options.workers)
        ]
        tallies: dict[str, Tally] = defaultdict(Tally)
        counted: dict[str, int] = defaultdict(int)
        waves: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
        with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
            for count, found in pool.map(measure, tasks):
                for name, questions in count.items():
                    counted[name] += questions
                for wave, of_wave in found.items():
                    for key, tally in of_wave.items():
                        tallies[key].add(tally)
                        waves[wave][key].add(tally)
        figures |= pilot_figures(tallies, counted)
        figures["wd_by_wave"] = {
            wave: {key: of_wave[key].mean() for key in _BY_WAVE} for wave, of_wave in waves.items()
        }
        print(json.dumps(figures), flush=True)
    if "past" in options.parts and not options.quick:
        figures |= past_figures(surveys, room, limit)
    if "opinionqa" in options.parts and not options.quick:
        figures |= opinionqa(options.data, surveys, room, limit)
    if "speed" in options.parts:
        figures |= speed(room, 20 if options.quick else 200)
    figures["seconds"] = round(time.monotonic() - started, 1)
    for key, value in figures.items():
        print(f"{key}: {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
