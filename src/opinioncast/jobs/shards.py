"""Predict a part of a questionnaire on each of many machines, and put the parts together.

Any scheduler's array job does the whole: each of its tasks predicts every N-th question with all
groups (the prompts of a question share how they begin, so its groups stay together) into a folder
of its own; :func:`merge_shards` checks that the parts are of one run, without gap or double, and
writes what one machine would have written.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from opinioncast.documents import read_document
from opinioncast.errors import DataError, IncompleteRunError, InputError
from opinioncast.files import atomic_path, checksum
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.jobs.predict import (
    PredictionRun,
    read_starting_point,
    run_record,
    sentences_for,
    write_prediction,
)
from opinioncast.jobs.update import WORDING_ALONE, Sources
from opinioncast.methods.declaration import shaping
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.output_folder import holds_folder, output_folder
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.questionnaires import Questionnaire, read_questionnaire
from opinioncast.report.report import chosen_formats
from opinioncast.survey import Cells, GroupScheme, PredictionTable, load_groups
from opinioncast.survey.identity import content_hash
from opinioncast.survey.tables import KEY

PREDICTIONS, REST = "predictions.parquet", "prediction.json"
_WRITTEN_AS = re.compile(r"([1-9]\d*)/([1-9]\d*)")
_FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")
_SUMMED = ("parse_failures", "tokens_in", "tokens_out", "retries", "cache_dropped")
"""Counts of a prediction's record."""
_JOINED: Mapping[str, Callable[[list[Any]], Any]] = {
    "nearest_known_question": lambda told: {q: near for one in told for q, near in one.items()},
    "same_questions": lambda told: {k: _total(one[k] for one in told) for k in told[0]},
}
"""What a record says by question, or counts of questions, and how parts are put together."""
_SAME = ("model", "method", "prompting", "populations", "error_bars")
"""Keys of a prediction's record that must be alike in all parts, beside those that methods name."""


@dataclass(frozen=True, order=True)
class Shard:
    """One of ``of`` parts, counted from one.

    >>> shard = Shard.read("2/3")
    >>> [shard.holds(place) for place in range(5)], str(shard)
    ([False, True, False, False, True], '2/3')
    """

    of: int
    number: int

    @classmethod
    def read(cls, written: str) -> Self:
        """A part as ``NUMBER/OF``.

        Raises:
            InputError: not so, or a number above the parts there are.
        """
        found = _WRITTEN_AS.fullmatch(written.strip())
        if found is None or int(found[1]) > int(found[2]):
            raise InputError(
                "No part of a run",
                where="--shard",
                expected="NUMBER/OF, counted from one, such as 3/16",
                found=written,
            )
        return cls(int(found[2]), int(found[1]))

    def holds(self, place: int) -> bool:
        """Whether the question at that place (from zero) is in this part."""
        return place % self.of == self.number - 1

    def folder(self, out: Path) -> Path:
        """Where its files are, below the folder of the whole run."""
        width = len(str(self.of))
        return out / f"shard-{self.number:0{width}}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Given:
    """What a run was told to predict, as it was typed: a merge reads it again.

    Attributes:
        questionnaire: its file.
        groups: schemes, files or expressions.
        population: in place of the questionnaire's, or None.
    """

    questionnaire: Path
    groups: tuple[str, ...]
    population: str | None = None

    def read(self) -> tuple[Questionnaire, GroupScheme]:
        """The questionnaire and the groups.

        Raises:
            InputError: one of them cannot be read.
        """
        groups = load_groups(*self.groups)
        asked = read_questionnaire(self.questionnaire, groups)
        return (asked if self.population is None else asked.put_to(self.population)), groups

    def record(self) -> dict[str, Any]:
        return {
            "questionnaire": str(self.questionnaire.resolve()),
            "groups": list(self.groups),
            "population": self.population,
        }


@dataclass(frozen=True)
class ShardRun:
    """What :func:`predict_shard` made."""

    prediction: Prediction
    questions: int
    files: tuple[Path, ...]


def predict_shard(
    given: Given,
    shard: Shard,
    settings: PredictSettings,
    out: Path,
    *,
    progress: Progress | None = None,
) -> ShardRun:
    """Predict one part into its folder below ``out``: a table and a manifest, written last.

    Evidence, scores and charts are the merge's. A part that died is run again alone; rows that it
    had finished are in the row cache.

    Raises:
        InputError: more parts than questions. Others: as in prediction.
    """
    started = time.monotonic()
    asked, groups = given.read()
    mine = [q for i, q in enumerate(asked.questions) if shard.holds(i)]
    if not mine:
        raise InputError(
            "A part without questions",
            where=f"--shard {shard}",
            expected=f"at most {len(asked.questions)} parts, one for each question",
            found=f"{shard.of} parts",
        )
    folder = shard.folder(out)
    with output_folder(folder, "predict"):
        with Predictor(settings) as predictor:
            prediction = predictor.predict(mine, groups, progress=progress)
        files = [prediction.table.write(folder / PREDICTIONS)]
        files.append(_write_rest(folder, prediction))
        record = run_record(prediction, groups, time.monotonic() - started) | {
            "settings": settings.record(),
            "shard": {
                "number": shard.number,
                "of": shard.of,
                "run": run_key(asked, groups, settings.record()),
                "questions": len(mine),
                **given.record(),
            },
        }
        files.append(write_manifest(folder, record, files))
    return ShardRun(prediction, len(mine), tuple(files))


def run_key(asked: Questionnaire, groups: GroupScheme, settings: Mapping[str, Any]) -> str:
    """What tells one run from another: every cell, how groups are worded, whom it is put to, and
    the settings."""
    cells = Cells.cross(asked.questions, groups)
    shape = {
        "cells": content_hash(cells.frame(), KEY),
        "groups": [asdict(a) for a in groups.attributes.values()],
        "populations": [asdict(q.population) for q in asked.questions],
        "settings": settings,
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode()).hexdigest()


@holds_folder("predict")
def merge_shards(
    out: Path,
    *,
    questionnaire: Path | None = None,
    sources: Sources = WORDING_ALONE,
    formats: Sequence[str] | None = None,
) -> PredictionRun:
    """Put the parts below ``out`` together and write there what one machine would have written.

    Args:
        questionnaire: its file, where it has moved since the parts were predicted.
        sources: evidence to start from, as in prediction.
        formats: as in prediction.

    Raises:
        IncompleteRunError: parts are missing or unfinished; the commands that make them are named.
        InputError: parts of different runs, or of a questionnaire that has changed since.
        DataError: a part whose cells are not those it should hold.
    """
    started = time.monotonic()
    wanted = chosen_formats(formats)
    parts = _found(out)
    first = parts[0]
    given = Given(
        questionnaire or Path(first.of_shard["questionnaire"]),
        tuple(first.of_shard["groups"]),
        first.of_shard["population"],
    )
    asked, groups = given.read()
    settings = first.manifest["settings"]
    if run_key(asked, groups, settings) != first.of_shard["run"]:
        raise InputError(
            "The questionnaire or the groups are not those of the parts",
            where=str(given.questionnaire),
            expected="the file as it was when the parts were predicted",
            found="other questions, options, groups or population",
            hint="put the file back, or predict the parts anew",
        )
    sentences = sentences_for(settings) if sources.library else None
    known = read_starting_point(asked, groups, sources, sentences)
    prediction = _joined(parts, Cells.cross(asked.questions, groups))
    record = {"settings": settings, "shards": [part.summary() for part in parts]}
    return write_prediction(
        prediction, asked, groups, known, out, formats=wanted, record=record, started=started
    )


@dataclass(frozen=True)
class _Part:
    """A finished part: its folder, its manifest, its predictions."""

    folder: Path
    manifest: Mapping[str, Any]
    prediction: Prediction

    @property
    def of_shard(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["shard"]
        return found

    def summary(self) -> dict[str, Any]:
        """For the manifest of the whole."""
        return {
            "number": self.of_shard["number"],
            "rows": len(self.prediction),
            "seconds": self.manifest["seconds"],
            "written": self.manifest["written"],
            "versions": self.manifest["versions"],
        }


def _found(out: Path) -> list[_Part]:
    """The parts of one run, all of them, in order."""
    folders = sorted(
        (Shard(int(m[2]), int(m[1])), path)
        for path in (out.iterdir() if out.is_dir() else ())
        if (m := _FOLDER.fullmatch(path.name)) and path.is_dir()
    )
    if not folders:
        raise InputError(
            "No parts to put together",
            where=str(out),
            expected="folders such as shard-3-of-16, written by `opinioncast predict --shard 3/16`",
            found="none",
        )
    runs = sorted({shard.of for shard, _ in folders})
    if len(runs) > 1:
        raise InputError(
            "Parts of runs that were divided differently lie in one folder",
            where=str(out),
            expected="one number of parts",
            found=", ".join(f"parts of {of}" for of in runs),
            hint="move away the folders that do not belong, or write to a folder of their own",
        )
    finished = [(s, f) for s, f in folders if (f / NAME).is_file()]
    there = {shard.number for shard, _ in finished}
    missing = [Shard(runs[0], n) for n in range(1, runs[0] + 1) if n not in there]
    if missing:
        listed = ", ".join(map(str, missing[:8])) + (
            f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        )
        raise IncompleteRunError(
            f"{len(missing)} of {runs[0]} parts are missing or unfinished",
            where=str(out),
            expected="a manifest in every part's folder",
            found=f"none for {listed}",
            hint=f"run the same command again with --shard {missing[0]}"
            + (" and so on" if len(missing) > 1 else ""),
        )
    parts = [_read(folder, shard) for shard, folder in finished]
    others = [p for p in parts if p.of_shard["run"] != parts[0].of_shard["run"]]
    if others:
        raise InputError(
            "Parts of different runs",
            where=", ".join(str(p.folder) for p in others[:4]),
            expected=f"the questionnaire, groups and settings of {parts[0].folder.name}",
            found="others",
            hint="predict those parts anew with the settings of the rest",
        )
    return parts


def _read(folder: Path, shard: Shard) -> _Part:
    manifest = read_document(folder / NAME, "a manifest")
    try:
        own = manifest["shard"]
        if (own["number"], own["of"]) != (shard.number, shard.of):
            raise KeyError(f"it is part {own['number']}/{own['of']}")
        rest = read_document(folder / REST, "a part of a run")
        prediction = Prediction(
            PredictionTable.read(folder / PREDICTIONS),
            tuple(Problem(**p) for p in rest["problems"]),
            rest["record"],
            rest["details"],
        )
        for name in (PREDICTIONS, REST):
            if checksum(folder / name) != manifest["files"][name]:
                raise KeyError(f"another {name}")
    except (KeyError, TypeError) as error:
        raise DataError(
            "A part cannot be used",
            where=str(folder),
            expected=f"what `predict --shard {shard}` wrote, unchanged",
            found=error,
            hint=f"run that command again with --shard {shard}",
        ) from error
    return _Part(folder, manifest, prediction)


def _write_rest(folder: Path, prediction: Prediction) -> Path:
    """What a prediction is beside its table."""
    rest = {
        "record": dict(prediction.record),
        "problems": [asdict(p) for p in prediction.problems],
        "details": [dict(d) for d in prediction.details],
    }
    with atomic_path(folder / REST) as temporary:
        text = json.dumps(rest, indent=1, ensure_ascii=False, default=str)
        temporary.write_text(text + "\n", "utf-8")
    return folder / REST


def _joined(parts: Sequence[_Part], cells: Cells) -> Prediction:
    """One prediction of all parts, its rows in the order of the cells asked for.

    Raises:
        InputError: parts whose models, prompts or versions shaped their numbers differently.
        DataError: a cell that no part has, or two have, or nobody asked for.
    """
    records = [part.prediction.record for part in parts]
    for key in dict.fromkeys((*_SAME, *shaping())):
        values = [record.get(key) for record in records]
        other = next((i for i, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            raise InputError(
                f"Parts were predicted with different {key}",
                where=f"{parts[0].folder.name} and {parts[other].folder.name}",
                expected=values[0],
                found=values[other],
                hint="predict the part anew with what the others have",
            )
    problems = [p for part in parts for p in part.prediction.problems]
    told = [tuple(row) for part in parts for row in part.prediction.frame.select(KEY).iter_rows()]
    held = Counter([*told, *(p.key for p in problems if p.missing)])
    asked = Counter(cells.frame().select(KEY).iter_rows())
    if held != asked:
        gaps, doubles = asked - held, held - asked
        raise DataError(
            "The parts do not make the whole",
            where=", ".join(part.folder.name for part in parts[:4]),
            expected=f"each of {len(cells)} cells once",
            found=f"{gaps.total()} cells in no part, {doubles.total()} too many; first: "
            + " / ".join(next(iter([*gaps, *doubles]))),
            hint="predict the parts anew",
        )
    frame = pl.concat([part.prediction.frame for part in parts])
    order = {key: place for place, key in enumerate(cells.frame().select(KEY).iter_rows())}
    places = pl.Series([order[key] for key in frame.select(KEY).iter_rows()], dtype=pl.Int64)
    details = [d for part in parts for d in part.prediction.details]
    record = dict(records[0])
    for key in _SUMMED:
        counts = [r[key] for r in records if r.get(key) is not None]
        if counts:
            record[key] = sum(counts)
    for key, join in _JOINED.items():
        told = [r[key] for r in records if r.get(key) is not None]
        if told:
            record[key] = join(told)
    meta = dict(parts[0].prediction.table.meta)
    meta |= {key: record[key] for key in _JOINED if key in meta}
    return Prediction(
        PredictionTable(frame[places.arg_sort()], meta),
        tuple(problems),
        record,
        details,
    )


def _total(values: Iterable[Any]) -> Any:
    """The sum of counts; anything else as the first part has it."""
    listed = list(values)
    return sum(listed) if all(isinstance(v, int) for v in listed) else listed[0]
