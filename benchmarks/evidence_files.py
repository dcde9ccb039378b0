"""The evidence room's shipped files: prior, population frame, memory, factors of intervals.

Each is learned from questions apart from those that benchmarks/evidence.py evaluates on.

    python benchmarks/evidence_files.py [--quick] [--write] [--data DIR] [--cache DIR]
        [--only prior frame level memory calibration]

--write puts the result into the package (src/opinioncast/models/evidence). The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from evidence_data import (
    MIN_N,
    Split,
    Surveys,
    chance,
    drawn,
    predicted_cells,
    scored_groups,
    truth,
)
from opinioncast.evidence import calibration as kinds
from opinioncast.evidence.calibration import Calibration, fit, scores
from opinioncast.evidence.frame import SHIPPED_FRAME, Frame, read_frame
from opinioncast.evidence.frame_learning import learn_frame
from opinioncast.evidence.logit import contrasts
from opinioncast.evidence.observations import Cell, Pilot, Published
from opinioncast.evidence.option_contrasts import KINDS, contrasts_of
from opinioncast.evidence.past import NO_SCALE, SCALE, SHIPPED_MEMORY, Memory, kind_of, read_memory
from opinioncast.evidence.people import Array
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import SHIPPED_PRIOR, Prior, read_prior
from opinioncast.evidence.prior_learning import learn_covariance
from opinioncast.evidence.reading import Settings, read_question
from opinioncast.evidence.sample import Answers, Sample
from opinioncast.survey import Subpopulation

FOLDER = Path(__file__).parents[1] / "src/opinioncast/models/evidence"
PRIOR_WAVES = {
    "gss_2018": 60,
    "gss_2016": 20,
    "gss_2014": 20,
    "gss_2012": 10,
    "gss_2010": 15,
    "gss_2004": 10,
    "gss_2000": 10,
    "gss_1998": 10,
    "anes_2020": 30,
    "anes_2012": 25,
    "anes_pilot_2018": 10,
}
"""Waves that teach the prior, with the most questions taken of each (by hash of the name)."""
PEOPLE = 2000
"""Respondents of a wave that are used at most: more would be slower, hardly better."""
CALIBRATION_WAVES = ("gss_2014", "gss_2012", "gss_2010", "gss_2008", "gss_2021")
"""Waves whose questions taught nothing: each question once, in the first of them that asks it."""
PARTISAN_WAVES = ("anes_2012", "anes_2020", "anes_pilot_2018")
"""Waves that calibrate intervals where evidence is given, beside those: groups differ more on their
questions. Some of these taught the method, none the prior."""
PAST_PAIRS = (
    ("gss_2014", "gss_2010"),
    ("gss_2014", "gss_2012"),
    ("gss_2012", "gss_2010"),
    ("gss_2012", "gss_2008"),
    ("gss_2021", "gss_2014"),
)
"""A wave, and the earlier one whose results are given."""
REPEATED = (
    *(("gss_2010", "gss_2014"), ("gss_2014", "gss_2018"), ("gss_2010", "gss_2018")),
    *(("gss_2012", "gss_2021"), ("gss_2014", "gss_2021")),
)
"""Years compared; from 2021 on the survey was also taken on the web, which moves answers too."""
GSS_CANNOT_TELL = {
    ("RELIG", "Atheist"): [("RELIG", "Agnostic")],
    ("RELIG", "Protestant"): [("RELIG", "Mormon")],
}
PILOTS = {kinds.FEW: (10, 25), kinds.SOME: (100, 400)}


@dataclass(frozen=True)
class Item:
    """One question of a wave.

    Attributes:
        cells: what the method predicts of each.
        learned: the method may have seen the question: it says nothing of how far off the wording
            alone is.
    """

    sample: Sample
    answers: Answers
    cells: dict[Subpopulation, Array]
    learned: bool = False


def prior_samples(surveys: Surveys, split: Split, waves: Sequence[str]) -> list[Sample]:
    """What teaches the prior: each GSS question once, of its latest year."""
    seen: set[str] = set()
    samples = []
    for name in waves:
        sample = surveys.sample(name)
        ids = [a.question.question_id for a in sample.answers if a.n_eff >= 300]
        kept = [i for i in ids if split.teaches(name, i) and i not in seen]
        kept = sorted(kept, key=chance)[: PRIOR_WAVES[name]]
        if name.startswith("gss"):
            seen |= set(kept)
        if len(sample) > PEOPLE:
            rng = np.random.default_rng(0)
            sample = sample.take(np.sort(rng.choice(len(sample), PEOPLE, replace=False)))
        samples.append(sample.keep(kept))
    return samples


def calibration_items(
    surveys: Surveys, split: Split, waves: Sequence[str], limit: int | None = None
) -> list[Item]:
    """Questions apart of ``waves``, each once."""
    items: list[Item] = []
    seen: set[str] = set()
    for name in waves:
        sample = surveys.sample(name)
        ids = [
            a.question.question_id
            for a in sample.answers
            if split.calibrates(name, a.question.question_id)
            and a.n_eff >= 500
            and a.question.question_id not in seen
        ][:limit]
        if name.startswith("gss"):
            seen |= set(ids)
        learned = name.startswith("anes")
        sample = sample.keep(ids)
        table = surveys.predictions(name, sample)
        items += [
            Item(sample, a, predicted_cells(table, a.question.question_id), learned)
            for a in sample.answers
        ]
    return items


def own_frame(sample: Sample) -> Frame:
    """The population of a wave, its own people: for what is measured on the wave's coding."""
    return Frame.of_people(sample.groups, sample.members, sample.answers[0].weights)


_ALIKE = 20
"""Contrasts of all kinds that a kind's own are averaged with: some kinds are rare."""


def fit_level(items: Sequence[Item]) -> tuple[dict[str, float], float, dict[str, Any]]:
    """Variance of the level about the method's by kind of contrast, and of its contrasts."""
    level: dict[str, list[float]] = {kind: [] for kind in KINDS}
    contrast_gain = []
    everyone = Subpopulation()
    groups = scored_groups()
    for item in items:
        sample, answers, cells = item.sample, item.answers, item.cells
        shares, bases = truth(sample, answers, [*groups])
        total = np.maximum(shares[-1], 0.002)
        own = contrasts_of(answers.question.ordinal)
        predicted = np.maximum(cells[everyone], 0.005)
        off = ((np.log(total) - np.log(predicted)) @ own.basis) ** 2
        for kind, squared in zip(own.kinds, off, strict=True):
            level[kind].append(float(squared))
        for group, share, base in zip(groups[:-1], shares, bases, strict=False):
            if base >= 100 and group in cells:
                said = (np.log(np.maximum(cells[group], 0.005)) - np.log(predicted)) @ own.basis
                true = (np.log(np.maximum(share, 0.005)) - np.log(total)) @ own.basis
                contrast_gain += list(zip(said, true, strict=True))
    said, true = np.array(contrast_gain).T
    slope = float((said @ true) / (said @ said))
    # a contrast of the method is the true one plus noise: slope = signal / (signal + noise)
    noise = float(np.mean(said**2)) * (1 - np.clip(slope, 0.05, 0.95))
    # the groups' errors are alike within a question: 22 of them do not weigh as 22
    spread = noise * len(groups) / 4
    record = {
        "contrast_slope": round(slope, 3),
        "questions": len(items),
        "contrasts": {kind: len(values) for kind, values in level.items()},
    }
    pooled = float(np.mean([v for values in level.values() for v in values]))
    fitted = {
        kind: round((sum(values) + _ALIKE * pooled) / (len(values) + _ALIKE), 4)
        for kind, values in level.items()
    }
    return fitted, max(spread, 0.05), record


def fit_memory(surveys: Surveys, pairs: Sequence[tuple[str, str]], prior: Prior) -> Memory:
    """Memories from questions of two years: how far answers moved beyond what sampling explains."""
    moved: dict[str, list[tuple[float, ...]]] = {SCALE: [], NO_SCALE: []}
    groups = scored_groups()[:-1]
    for first, second in pairs:
        one, two = surveys.sample(first), surveys.sample(second)
        years = float(second[-4:]) - float(first[-4:])
        frame = own_frame(two)
        own = prior.with_frame(frame)
        features = own.features(frame.groups, frame.members)
        cells, places, _ = frame.cells(groups)
        away = cells @ features[:, 1:] - frame.weights @ features[:, 1:]
        later = {a.question.question_id: a for a in two.answers}
        for a in one.answers:
            b = later.get(a.question.question_id)
            if b is None or a.question.options != b.question.options:
                continue
            if min(a.n_eff, b.n_eff) < 500:
                continue
            kind = kind_of(a.question.has_scale)
            basis = contrasts(len(a.question.options))
            variances = own.variances(contrasts_of(a.question.ordinal).kinds).mean(axis=0)
            spread = away**2 @ variances[1:]
            everyone = [Subpopulation(), *groups]
            (s1, n1), (s2, n2) = truth(one, a, everyone), truth(two, b, everyone)
            logs = [np.log(np.maximum(s, 0.003)) @ basis for s in (s1, s2)]
            noise = [((1 / np.maximum(s, 0.003)) @ basis**2) for s in (s1, s2)]
            level = (logs[0][0] - logs[1][0]) ** 2 - noise[0][0] / a.n_eff - noise[1][0] / b.n_eff
            gap = (logs[0][1:] - logs[0][0]) - (logs[1][1:] - logs[1][0])
            drift, room = [], []
            for i, place in enumerate(places):
                if min(n1[place + 1], n2[place + 1]) < 100:
                    continue
                noisy = noise[0][place + 1] / n1[place + 1] + noise[1][place + 1] / n2[place + 1]
                drift += list(gap[place] ** 2 - 1.3 * noisy)
                room += [spread[i]] * basis.shape[1]
            moved[kind].append(
                (
                    *(years, float(level.mean()), float(variances[0])),
                    *(float(np.mean(drift)), float(np.mean(room))),
                )
            )
    level_memory, contrast_memory, card = {}, {}, {}
    for kind, rows in moved.items():
        years, level, about, drift, room = np.array(rows).T
        # stationary process: mean square change = 2 variance (1 - exp(-years / memory))
        level_memory[kind] = _memory(years.mean(), level.mean() / (2 * about.mean()))
        contrast_memory[kind] = _memory(years.mean(), drift.mean() / (2 * room.mean()))
        card[kind] = len(rows)
    told = {"repeated_questions": card, "pairs": [f"{a} {b}" for a, b in pairs]}
    return Memory(level_memory, contrast_memory, told)


def _memory(years: float, changed: float) -> float:
    """Years after which the correlation is 1/e, from the share of the variance that changed."""
    return round(float(-years / np.log1p(-np.clip(changed, 0.001, 0.95))), 1)


_work: list[Any] = []
"""What worker processes share: items and settings."""


@cache
def _wave_settings(name: str) -> Settings:
    """Settings on a wave's own people."""
    items: Sequence[Item] = _work[0]
    settings: Settings = _work[1]
    sample = next(i.sample for i in items if i.sample.name == name)
    frame = own_frame(sample)
    return replace(settings, model=Model(settings.model.prior.with_frame(frame), frame))


def _item_scores(number: int) -> list[tuple[str, Subpopulation, Array]]:
    """Kind of evidence, group, and scores of each cell of one question."""
    items, _ = _work
    item: Item = items[number]
    sample, answers, cells = item.sample, item.answers, item.cells
    own = _wave_settings(sample.name)
    rng = np.random.default_rng([7, number])
    groups = scored_groups()
    shares, bases = truth(sample, answers, groups)
    measured = []
    for kind, evidence in trials(sample, answers, groups, shares, bases, rng):
        if kind == kinds.NOTHING and item.learned:
            continue
        answer = read_question(answers.question, cells, evidence, own)
        at = {s: i for i, s in enumerate(answer.cells.subpopulations)}
        given = {c.subpopulation for e in evidence if isinstance(e, Published) for c in e.cells}
        for j, group in enumerate(groups):
            if bases[j] >= 50 and group in at and group not in given:
                draws = answer.cells.draws[:, [at[group]]]
                measured.append((kind, group, scores(draws, shares[[j]])[0]))
    return measured


def past_scores(
    surveys: Surveys, split: Split, now: str, before: str, settings: Settings
) -> list[tuple[str, Subpopulation, Array]]:
    """Scores where an earlier wave's results of the same question are known."""
    old = surveys.sample(before)
    earlier = {a.question.question_id: a for a in old.answers}
    frame = own_frame(old)
    own = replace(settings, model=Model(settings.model.prior.with_frame(frame), frame))
    years = float(now[-4:]) - float(before[-4:])
    groups = scored_groups()
    measured = []
    for item in calibration_items(surveys, split, (now,)):
        answers = item.answers
        then = earlier.get(answers.question.question_id)
        if then is None or then.question.options != answers.question.options or then.n_eff < 300:
            continue
        shares, bases = truth(item.sample, answers, groups)
        known = as_published(then, groups, *truth(old, then, groups), groups)
        answer = read_question(answers.question, item.cells, [replace(known, years=years)], own)
        for j, group in enumerate(answer.cells.subpopulations):
            if group in groups and bases[groups.index(group)] >= 50:
                true = shares[[groups.index(group)]]
                measured.append((kinds.PAST, group, scores(answer.cells.draws[:, [j]], true)[0]))
    return measured


def fit_calibration(
    items: Sequence[Item], settings: Settings, surveys: Surveys, split: Split, workers: int
) -> Calibration:
    """Factors of intervals for every kind of evidence."""
    _work[:] = [items, settings]  # forked workers see it; nothing in them uses polars' threads
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        found = list(pool.map(_item_scores, range(len(items))))
    measured = [score for scores_of_item in found for score in scores_of_item]
    of = [i.sample.name for i, scored in zip(items, found, strict=True) for _ in scored]
    by_pair = [past_scores(surveys, split, now, before, settings) for now, before in PAST_PAIRS]
    past = [score for scores_of in by_pair for score in scores_of]
    pooled, by_group = fit([*measured, *past], [*of, *[""] * len(past)])
    # years differ in how much moved between them: the factor is that of the pair that needs most
    most = max(fit(scores_of)[0][kinds.PAST] for scores_of in by_pair)
    wider = most / pooled[kinds.PAST]
    pooled[kinds.PAST] = most
    by_group[kinds.PAST] = {g: round(f * wider, 4) for g, f in by_group[kinds.PAST].items()}
    about = {
        "questions": len(items),
        "waves": sorted({i.sample.name for i in items}),
        "past": [f"{now} given {before}" for now, before in PAST_PAIRS],
    }
    return Calibration(pooled, by_group, about)


def trials(
    sample: Sample,
    answers: Answers,
    groups: Sequence[Subpopulation],
    shares: Array,
    bases: Array,
    rng: np.random.Generator,
) -> list[tuple[str, list[Any]]]:
    """Evidence of each kind on one question."""
    out: list[tuple[str, list[Any]]] = [(kinds.NOTHING, [])]
    for kind, sizes in PILOTS.items():
        for size in sizes:
            out.append((kind, [as_pilot(sample, answers, drawn(answers, size, rng))]))
    out.append((kinds.PUBLISHED, [as_published(answers, groups, shares, bases, [Subpopulation()])]))
    parties = [Subpopulation((("POLPARTY", p),)) for p in ("Democrat", "Republican")]
    told = [Subpopulation(), *parties]
    out.append((kinds.PUBLISHED, [as_published(answers, groups, shares, bases, told)]))
    return out


def as_pilot(sample: Sample, answers: Answers, rows: Any) -> Pilot:
    """Some respondents as a pilot of equal weights: they were drawn by weight."""
    name = answers.question.question_id
    return Pilot(
        "pilot",
        sample.groups,
        sample.members[rows],
        {name: answers.choice[rows]},
        {name: np.ones(len(rows))},
    )


def as_published(
    answers: Answers,
    groups: Sequence[Subpopulation],
    shares: Array,
    bases: Array,
    told: Sequence[Subpopulation],
    n_eff: float | None = None,
) -> Published:
    """Some groups' shares as a published table in whole percent."""
    cells = []
    deff = answers.n / max(answers.n_eff, 1.0)
    for group in told:
        i = list(groups).index(group)
        if bases[i] >= MIN_N:
            rounded = np.round(shares[i], 2)
            rounded = rounded / rounded.sum()
            base = n_eff if n_eff is not None else float(bases[i]) / deff
            cells.append(
                Cell(answers.question.question_id, group, tuple(rounded), base, 0.01, int(bases[i]))
            )
    return Published("published", tuple(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one wave, few questions")
    parser.add_argument("--write", action="store_true", help="put the files into the package")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="keep respondents read here")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parser.add_argument("--limit", type=int, help="questions that calibrate, per wave")
    parts = ("prior", "frame", "level", "memory", "calibration")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    if not (options.data / "gss").is_dir():
        print(json.dumps({"skipped": f"no survey files in {options.data}"}))
        return
    out = (
        FOLDER if options.write and not options.quick else options.cache or Path("opinioncast-out")
    )
    out.mkdir(parents=True, exist_ok=True)
    surveys = Surveys(options.data, options.cache)
    split = Split.of(surveys)
    only = ("prior",) if options.quick else options.only
    figures: dict[str, Any] = {}
    if "prior" in only:
        waves = ("gss_2018",) if options.quick else tuple(PRIOR_WAVES)
        samples = prior_samples(surveys, split, waves)
        if options.quick:
            samples = [s.keep([a.question.question_id for a in s.answers[:8]]) for s in samples]
        learned = learn_covariance(samples, workers=options.workers, progress=_progress)
        prior = Prior(
            learned.groups,
            learned.center,
            learned.covariance,
            learned.other,
            dict.fromkeys(KINDS, 1.5),
            1.0,
            learned.record,
        )
        prior.write(out / SHIPPED_PRIOR)
        figures["prior_questions"] = learned.record["questions"]
    if "frame" in only:
        card = {
            "population": "US adults",
            "year": "2018 to 2021",
            "made_from": "latent classes fitted to the General Social Survey 2018 and 2021 "
            "(NORC) and the ANES 2020 Time Series Study (University of Michigan and Stanford "
            "University); rows are drawn from the model, none is a respondent",
            "terms": "group-level; cite NORC and ANES",
        }
        sources = [
            (surveys.sample("gss_2018"), GSS_CANNOT_TELL),
            (surveys.sample("gss_2021"), GSS_CANNOT_TELL),
            (surveys.sample("anes_2020"), {}),
        ]
        learn_frame(sources, card).write(out / SHIPPED_FRAME)
        figures["frame_rows"] = len(read_frame(out / SHIPPED_FRAME))
    if {"level", "memory", "calibration"} & set(only):
        prior = read_prior(out / SHIPPED_PRIOR)
    if "level" in only:
        items = calibration_items(surveys, split, CALIBRATION_WAVES)
        level, spread, record = fit_level(items)
        prior = replace(
            prior, level=level, spread=spread, card=dict(prior.card) | {"level": record}
        )
        prior.write(out / SHIPPED_PRIOR)
        figures |= {"level": level, "spread": round(spread, 3)}
    if "memory" in only:
        memory = fit_memory(surveys, REPEATED, prior)
        content = {"level": memory.level, "contrasts": memory.contrasts, "card": memory.card}
        (out / SHIPPED_MEMORY).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        figures["memory"] = content
    if "calibration" in only:
        waves = (*CALIBRATION_WAVES, *PARTISAN_WAVES)
        items = calibration_items(surveys, split, waves, limit=options.limit)
        frame = read_frame(out / SHIPPED_FRAME)
        settings = Settings(Model(prior, frame), Calibration({}), read_memory(out / SHIPPED_MEMORY))
        measured = fit_calibration(items, settings, surveys, split, options.workers)
        measured.write(out / kinds.SHIPPED_CALIBRATION)
        figures["factors"] = dict(measured.pooled)
    print(json.dumps(figures))


def _progress(done: int, whole: int) -> None:
    if done % 50 == 0:
        print(f"{done} of {whole} fits", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
