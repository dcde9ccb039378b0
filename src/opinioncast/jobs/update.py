"""Update predictions with evidence: toplines, a pilot, past waves; nothing is predicted anew."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from opinioncast.curate.pipeline import CuratedWave, curate, nothing_left
from opinioncast.curate.recipe import CurationRecipe, load_curation
from opinioncast.curate.select import SelectionSettings
from opinioncast.errors import DataError, InputError, OpinioncastError
from opinioncast.evidence.calibration import read_calibration
from opinioncast.evidence.frame import Frame, read_frame
from opinioncast.evidence.known import read_known
from opinioncast.evidence.matching import published_of_table, read_pilot
from opinioncast.evidence.observations import Evidence, PilotSource, Published
from opinioncast.evidence.past import read_memory
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import read_prior
from opinioncast.evidence.reading import Reading, Settings, read_evidence
from opinioncast.evidence.sample import read_sample
from opinioncast.evidence.store import (
    FOLDER,
    FRAME,
    PREDICTIONS,
    KeptPilot,
    read_evidence_folder,
    write_evidence,
)
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import holds_folder
from opinioncast.report.report import Report, chosen_formats
from opinioncast.survey import (
    US_ADULTS,
    GroupScheme,
    OpinionTable,
    Population,
    PredictionTable,
    Question,
    load_groups,
)
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.tables import ORIGIN

_EVERY_QUESTION = SelectionSettings(
    max_options=MAX_OPTIONS, min_n=1, min_group_n=1, max_association=1.0
)
"""A pilot is small: nothing it asked is left out for that."""
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True)
class PilotFile:
    """A pilot's microdata and how to read it.

    Attributes:
        data: the file; None where the recipe names it.
        recipe: curation recipe (a name or a file) with one wave.
    """

    recipe: str
    data: Path | None = None


@dataclass(frozen=True)
class Sources:
    """Where evidence is.

    Attributes:
        pilots: microdata.
        known: files of published results.
        past: opinion tables of other years, which their waves' names tell.
        year: the time predicted, where past tables need it; None: the predictions' own wave.
        frame: population; None: the one used before, else US adults.
        groups: group files that known results use.
        prior: of `opinioncast learn-prior`; None: the shipped one.
        folders: where a recipe's files are.
        library: whether what the library knows of the questions predicted is looked up and used.
    """

    pilots: tuple[PilotFile, ...] = ()
    known: tuple[Path, ...] = ()
    past: tuple[Path, ...] = ()
    year: float | None = None
    frame: Path | None = None
    groups: tuple[str, ...] = ()
    prior: Path | None = None
    folders: tuple[Path, ...] = ()
    library: bool = False

    def __bool__(self) -> bool:
        """Whether any evidence is named."""
        return bool(self.pilots or self.known or self.past)


WORDING_ALONE = Sources()
"""Nothing is known."""


@dataclass(frozen=True)
class UpdateRun:
    """What :func:`update_to_files` made."""

    table: PredictionTable
    reading: Reading
    files: tuple[Path, ...]


@holds_folder("update", plan=("predictions.parquet", "predictions.csv"))
def update_to_files(
    predictions: Path,
    sources: Sources,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> UpdateRun:
    """Read evidence on predictions and write new ones.

    ``predictions.parquet`` (+ sidecar) and ``predictions.csv`` with intervals and what each row
    rests on; ``evidence/``: the method's own predictions and every piece, so that a later update
    adds to it (of a pilot, where its file is: answers of people are copied into no file);
    ``manifest.json``: each piece with its origin, terms and weight.

    Args:
        predictions: ``predictions.parquet`` of ``opinioncast predict`` or of an earlier update, or
            the folder that holds it.

    Raises:
        InputError, DataError: evidence that cannot be used; nothing is written.
    """
    started = time.monotonic()
    path = predictions / "predictions.parquet" if predictions.is_dir() else predictions
    base, kept, earlier = _start(path)
    given = gather(sources, base.questions(), load_groups("total", *sources.groups))
    before = [*_at_hand(kept, given, base.questions())]
    if not before and not given:
        raise InputError(
            "There is nothing to update with",
            expected="a pilot, known results or a past table",
            hint="see --pilot, --known and --past",
        )
    frame = population_frame(sources.frame, base.meta.get("population"), earlier)
    updated = read_on(base, [*before, *given], frame, sources.prior, progress)
    table = updated.table
    files = updated.keep(out)
    report = Report(table)
    files += [f for kind in chosen_formats(["parquet", "csv"]) for f in kind.write(report, out)]
    record = {
        "command": "update",
        "origin": ORIGIN,
        "predictions": base.content_hash,
        **updated.record,
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    return UpdateRun(table, updated.reading, tuple(files))


@dataclass(frozen=True)
class Updated:
    """Predictions with evidence read on them, and all that a later update needs.

    Attributes:
        base: the method's own predictions.
        table: those that start from the evidence.
        record: for the manifest: population, prior, calibration, each piece of evidence.
    """

    base: PredictionTable
    table: PredictionTable
    reading: Reading
    evidence: tuple[Evidence, ...]
    frame: Frame
    record: Mapping[str, Any]

    def saying(self, more: Mapping[str, Any]) -> Updated:
        """The same, with ``more`` in the sidecar of its table."""
        return replace(self, table=PredictionTable(self.table.frame, {**self.table.meta, **more}))

    def keep(self, out: Path) -> list[Path]:
        """Write what a later update adds to, in the folder ``evidence`` of ``out``."""
        kept = out / FOLDER
        files = [self.base.write(kept / PREDICTIONS), self.frame.write(kept / FRAME)]
        return [*files, *write_evidence(kept, self.evidence)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra in one thread: of matrices as small as these, threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def read_on(
    base: PredictionTable,
    evidence: Sequence[Evidence],
    frame: Frame,
    prior: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Updated:
    """Read evidence on a method's predictions.

    Args:
        base: of a method, without evidence.
        frame: population.
        prior: of ``opinioncast learn-prior``; None: the shipped one.

    Raises:
        InputError: evidence that contradicts itself.
    """
    model = Model(read_prior(prior).with_frame(frame), frame)
    settings = Settings(model, read_calibration(), read_memory())
    with one_thread():
        reading = read_evidence(base, evidence, settings, progress)
    meta = dict(base.meta) | {
        "origin": ORIGIN,
        "based_on": f"predictions {base.content_hash}",
        "evidence": [p["name"] for p in reading.pieces],
        "population_frame": dict(frame.card),
    }
    record = {
        "population_frame": dict(frame.card) | {"hash": frame.content_hash},
        "prior": dict(model.prior.card),
        "calibration": dict(settings.calibration.card),
        "evidence": list(reading.pieces),
        "not_used": list(reading.left_out),
        "notes": list(reading.notes),
    }
    table = PredictionTable(reading.frame, meta)
    return Updated(base, table, reading, tuple(_once(evidence)), frame, record)


def _at_hand(
    before: Sequence[Published | KeptPilot],
    given: Sequence[Evidence],
    questions: Sequence[Question],
) -> Iterator[Evidence]:
    """The evidence there was before, a pilot's answers read again from their own file.

    Raises:
        DataError: the file is not where it was, or says something else, and was not given again.
    """
    again = {piece.key for piece in given}
    for piece in before:
        if isinstance(piece, Published):
            yield piece
        elif piece.key not in again:
            yield _read_again(piece, questions)


def _read_again(kept: KeptPilot, questions: Sequence[Question]) -> Evidence:
    source, found = kept.source, "no file: it was made in memory"
    if source is not None:
        try:
            piece = _pilot(PilotFile(source.recipe, source.data), questions, source.folders)
        except (OpinioncastError, OSError) as error:
            found = str(error)
        else:
            if piece.key == kept.key:
                return piece
            found = "other answers than before"
    raise DataError(
        "The predictions rest on a pilot whose answers are not at hand",
        where=kept.name if source is None else f"{kept.name}: {source.data or source.recipe}",
        expected="the same file, where it was: answers of people are copied nowhere",
        found=found,
        hint="give it again, from where it is now: --pilot FILE --recipe RECIPE",
    )


def _start(
    path: Path,
) -> tuple[PredictionTable, list[Published | KeptPilot], Path | None]:
    """The method's own predictions, the evidence they were updated with, and their population."""
    table = PredictionTable.read(path)
    folder = path.parent / FOLDER
    if "based_on" not in table.meta:
        return table, [], None
    if not (folder / PREDICTIONS).is_file():
        raise DataError(
            "Updated predictions have lost their evidence",
            where=str(path),
            expected=f"the folder {FOLDER}/ beside them",
            found="no such folder",
            hint="keep the folder of an update together, or update the method's predictions again",
        )
    base = PredictionTable.read(folder / PREDICTIONS)
    if table.meta["based_on"] != f"predictions {base.content_hash}":
        raise DataError(
            "Updated predictions and the folder of their evidence do not belong together",
            where=str(path),
            expected=table.meta["based_on"],
            found=base.content_hash,
        )
    return base, read_evidence_folder(folder), folder / FRAME


def population_frame(given: Path | None, asked: object, earlier: Path | None = None) -> Frame:
    """The frame that groups and totals are worked out on.

    Args:
        given: the user's.
        asked: whom the questions were put to, as a table's sidecar has it.
        earlier: of an update before.

    Raises:
        InputError: another frame than before; none, and the questions were put to people that the
            shipped one is not of.
    """
    if given is None:
        population = Population.read(asked)
        if earlier is None and population != US_ADULTS:
            raise InputError(
                "There is no population frame for the people asked",
                expected=f"--frame FILE with {population}: a row per kind of person, a column per "
                "attribute, and `weight`",
                found=f"the shipped frame, of {US_ADULTS}",
                hint="docs/evidence.md says how to make one",
            )
        return read_frame(earlier)
    frame = read_frame(given)
    if earlier is not None and read_frame(earlier).content_hash != frame.content_hash:
        raise InputError(
            "The predictions were updated on another population",
            where=str(given),
            expected="the frame of the update before, or none (it is kept)",
            hint="update the method's own predictions again, with all evidence and this frame",
        )
    return frame


def gather(sources: Sources, questions: Sequence[Question], scheme: GroupScheme) -> list[Evidence]:
    """Read every source."""
    found: list[Evidence] = []
    for pilot in sources.pilots:
        found.append(_pilot(pilot, questions, sources.folders))
    for path in sources.known:
        found.append(read_known(path, questions, scheme))
    for path in sources.past:
        found += _past(path, questions, sources.year)
    return found


def _pilot(pilot: PilotFile, questions: Sequence[Question], folders: Sequence[Path]) -> Evidence:
    wave, name, terms = curated_pilot(pilot, folders)
    source = PilotSource(pilot.recipe, pilot.data, tuple(folders))
    return replace(read_pilot(read_sample(wave), questions, name, terms), source=source)


def curated_pilot(pilot: PilotFile, folders: Sequence[Path]) -> tuple[CuratedWave, str, str]:
    """The one wave of a pilot with every group it can tell, its name, and the terms of its data.

    Raises:
        InputError: a recipe of several waves; what curation refuses.
    """
    recipe, beside = load_curation(pilot.recipe)
    places = [*folders, beside]
    if pilot.data is not None:
        recipe = _with_file(recipe, pilot.data)
        places = [pilot.data.parent, *places]
    recipe = recipe.model_copy(update={"groups": _told(recipe.groups), "select": _EVERY_QUESTION})
    curation = curate(recipe, places, empty=True)
    if not any(wave.questions for wave in curation.waves):
        raise nothing_left(curation)  # cells may be too small to be shown and yet be evidence
    if len(curation.waves) != 1:
        raise InputError(
            "A pilot is one wave",
            where=pilot.recipe,
            expected="a recipe with one wave",
            found=f"{len(curation.waves)} waves",
        )
    name = pilot.data.name if pilot.data is not None else recipe.name
    return curation.waves[0], name, recipe.terms


def _told(groups: Sequence[str]) -> tuple[str, ...]:
    """Every group the recipe can tell: the standard ones, and those of group files of its own."""
    return ("all", *(g for g in groups if g.endswith((".yaml", ".yml", ".json"))))


def _with_file(recipe: CurationRecipe, data: Path) -> CurationRecipe:
    waves = [w.model_copy(update={"file": (data.name,)}) for w in recipe.waves]
    return recipe.model_copy(update={"waves": tuple(waves)})


def _past(path: Path, questions: Sequence[Question], year: float | None) -> list[Evidence]:
    """One piece per wave of an opinion table."""
    table = read_opinions(path)
    terms = str(table.meta.get("terms", "not told"))
    pieces: list[Evidence] = []
    for key, frame in table.frame.group_by(["family", "wave"], maintain_order=True):
        family, wave = map(str, key)
        name = " ".join(filter(None, (path.name, family, wave)))
        target = year if year is not None else _year_of({q.wave for q in questions})
        then = _year_of({wave})
        if target is None or then is None:
            raise InputError(
                "It is not told how many years a past wave is from the predictions",
                where=name,
                expected="a year in the wave's name and in the predictions' (or --year)",
                found=f"wave {wave!r}; predictions of {sorted({q.wave for q in questions})}",
                hint="give --year YEAR for the time predicted",
            )
        own = published_of_table(OpinionTable(frame, table.meta), questions, name, terms)
        if not own.cells:
            raise InputError(
                "A past wave has none of the questions predicted",
                where=name,
                expected="the same question by id or wording, with the same options",
                found="; ".join(own.left_out[:3]),
            )
        pieces.append(replace(own, years=float(target - then)))
    return pieces


def _year_of(waves: set[str]) -> float | None:
    years = {int(m) for w in waves for m in _YEAR.findall(w)}
    return float(years.pop()) if len(years) == 1 else None


def _once(evidence: Sequence[Evidence]) -> list[Evidence]:
    kept = {piece.key: piece for piece in evidence}
    return [kept[k] for k in sorted(kept)]
