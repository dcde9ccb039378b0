"""Toplines and banner tables of a table or of microdata: a workbook, a page, and the figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.banners.build import Counts, QuestionKey, prediction_banner, survey_banner
from opinioncast.banners.long import long_frame
from opinioncast.banners.microdata import counts_of_bases, counts_of_wave
from opinioncast.banners.settings import BannerSettings
from opinioncast.banners.table import Banner
from opinioncast.csv_files import read_csv, write_csv
from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation
from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.files import atomic_path
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import holds_folder
from opinioncast.report.banner_page import write_banner_page
from opinioncast.report.disclosure import NOBODY_NAMED, Card, Parties, disclosure_card, write_card
from opinioncast.report.workbook import WorkbookSettings, book_title, write_workbook
from opinioncast.survey import GroupScheme, OpinionTable, PredictionTable, load_groups
from opinioncast.survey.tables import KEY

WORKBOOK, PAGE, CSV, PARQUET, CARD = (
    "banner.xlsx",
    "banner.html",
    "banner.csv",
    "banner.parquet",
    "disclosure.md",
)
FORMATS = ("xlsx", "html", "csv", "parquet")

Table = OpinionTable | PredictionTable
_TABLES = ("predictions.parquet", "opinions.parquet")
_BASES = "bases.csv"


@dataclass(frozen=True)
class BannerRequest:
    """What is wanted beside the settings of the tables.

    Attributes:
        observed: an opinion table to stand beside predictions.
        groups: schemes, files or expressions: columns, in this order; none: those of the table.
        questions: ids, in the order wanted; none: all.
        formats: of :data:`FORMATS`.
        layout: of the workbook.
        parties: for the disclosure card.
        folders: where a recipe's files are.
    """

    observed: Path | None = None
    groups: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS
    layout: WorkbookSettings = field(default_factory=WorkbookSettings)
    parties: Parties = NOBODY_NAMED
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        unknown = [f for f in self.formats if f not in FORMATS]
        if unknown:
            raise InputError(
                "Unknown format of banner tables",
                where="--write",
                expected=", ".join(FORMATS),
                found=", ".join(unknown),
            )


@dataclass(frozen=True)
class BannerRun:
    """What :func:`banner_to_files` made."""

    banner: Banner
    card: Card
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A table, with what its microdata say of bases where they are at hand."""

    table: Table
    counts: Mapping[QuestionKey, Counts]
    name: str
    notes: tuple[str, ...] = ()


@holds_folder("banner", plan=(WORKBOOK, PAGE, CSV, PARQUET, CARD))
def banner_to_files(
    source: str | Path,
    settings: BannerSettings,
    out: Path,
    request: BannerRequest = BannerRequest(),
    *,
    progress: Callable[[int, int], None] | None = None,
) -> BannerRun:
    """Write banner tables to ``out``: ``banner.xlsx``, ``banner.html``, ``banner.csv``,
    ``banner.parquet``, ``disclosure.md`` and ``manifest.json``.

    Args:
        source: a table's parquet, a folder that holds one, or a curation recipe (a name or a YAML
            file): microdata give weighted bases and who is in two groups.

    Raises:
        InputError: groups or questions that the table does not have; observations beside a survey,
            or of other questions.
        DataError: a file that is no table.
    """
    started = time.monotonic()
    held = _read(source, request.folders, progress)
    table, labels = _chosen(held.table, request)
    banner = _banner(table, held, settings, request, labels)
    card = disclosure_card(table, parties=request.parties)
    title = book_title(banner, request.layout.title)
    files = []
    if "xlsx" in request.formats:
        files.append(write_workbook(banner, card, out / WORKBOOK, request.layout))
    if "html" in request.formats:
        files.append(write_banner_page(banner, card, out / PAGE, title=title))
    figures = long_frame(banner)
    if "csv" in request.formats:
        files.append(write_csv(figures, out / CSV))
    if "parquet" in request.formats:
        files.append(out / PARQUET)
        with atomic_path(files[-1]) as temporary:
            figures.write_parquet(temporary)
    files.append(write_card(card, out / CARD))
    record: dict[str, Any] = {
        "command": "banner",
        "source": held.name,
        "content_hash": table.content_hash,
        "kind": banner.kind,
        "origin": table.meta.get("origin", "survey"),
        "settings": {f: getattr(settings, f) for f in settings.__slots__},
        "tables": len(banner.tables),
        "columns": len(banner.columns),
        "notes": list(held.notes),
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    return BannerRun(banner, card, tuple(files), held.notes)


def _banner(
    table: Table,
    held: _Source,
    settings: BannerSettings,
    request: BannerRequest,
    labels: Mapping[str, str],
) -> Banner:
    if isinstance(table, OpinionTable):
        if request.observed is not None:
            raise InputError(
                "Observed answers stand beside predictions",
                where=held.name,
                expected="a table of predictions, or no --observed",
                found="a table of what people answered",
            )
        return survey_banner(table, settings, counts=held.counts, labels=labels)
    observed = None if request.observed is None else _observed(request.observed)
    return prediction_banner(table, settings, observed=observed, labels=labels)


def _observed(path: Path) -> OpinionTable:
    path = _file_in(path)
    if path.suffix == ".parquet" and _kind(path) == PredictionTable.kind:
        raise InputError(
            "Predictions are no observed answers",
            where=str(path),
            expected="an opinion table",
            found="a table of predictions",
        )
    return read_opinions(path)


def _read(
    source: str | Path, folders: Sequence[Path], progress: Callable[[int, int], None] | None
) -> _Source:
    path = _file_in(Path(source))
    if path.suffix == ".parquet":
        if _kind(path) == PredictionTable.kind:
            return _Source(PredictionTable.read(path), {}, path.name)
        table = OpinionTable.read(path)
        counts, notes = _bases_beside(table, path.with_name(_BASES))
        return _Source(table, counts, path.name, notes)
    if path.suffix in (".jsonl", ".csv") and path.is_file():
        return _Source(read_opinions(path), {}, path.name)
    recipe, beside = load_curation(str(source))
    curation = curate(
        recipe, [*folders, beside] if folders else [beside, Path()], progress=progress
    )
    counted: dict[QuestionKey, Counts] = {}
    for wave in curation.waves:
        counted |= counts_of_wave(wave)
    notes = tuple(note for wave in curation.waves for note in wave.notes)
    return _Source(curation.table, counted, recipe.name, notes)


def _file_in(path: Path) -> Path:
    """The table in a folder, or the path itself."""
    if not path.is_dir():
        return path
    found = [path / name for name in _TABLES if (path / name).is_file()]
    if len(found) != 1:
        raise InputError(
            "A folder does not hold one table",
            where=str(path),
            expected=" or ".join(_TABLES),
            found=", ".join(f.name for f in found) or "neither",
            hint="name the file",
        )
    return found[0]


def _kind(path: Path) -> str:
    """Of a table by its sidecar; an opinion table where there is none: reading it says so."""
    beside = path.with_name(path.name + ".json")
    if not beside.is_file():
        return OpinionTable.kind
    record = read_document(beside, "A sidecar", error=DataError)
    return str(record.get("kind")) if isinstance(record, Mapping) else OpinionTable.kind


def _bases_beside(
    table: OpinionTable, path: Path
) -> tuple[Mapping[QuestionKey, Counts], tuple[str, ...]]:
    """Weighted bases of the curation that made the table; none where they are not of it."""
    if not path.is_file():
        return {}, ()
    try:
        bases = read_csv(
            path, infer_schema_length=None, schema_overrides=dict.fromkeys(KEY, pl.String)
        )
        bases = bases.with_columns(pl.col("family", "wave").fill_null(""))
        both = table.frame.join(bases, on=list(KEY), how="left", suffix="_bases")
        same = (both["n"] == both["n_bases"].cast(pl.Int64)).fill_null(False).all()
    except (pl.exceptions.PolarsError, OSError) as error:
        return {}, (f"{path.name} beside the table cannot be read ({error}): no weighted bases",)
    if not same:
        return {}, (f"{path.name} beside the table is of another one: no weighted bases",)
    return counts_of_bases(bases), ()


def _chosen(table: Table, request: BannerRequest) -> tuple[Table, dict[str, str]]:
    """The table's rows that are wanted, in the order wanted, and words for attributes.

    Raises:
        InputError: a question or group that it does not have.
    """
    frame = table.frame
    labels: dict[str, str] = {}
    if request.questions:
        known = set(frame["question_id"])
        _refuse("question", [q for q in request.questions if q not in known], sorted(known))
        order = {q: i for i, q in enumerate(dict.fromkeys(request.questions))}
        frame = frame.filter(pl.col("question_id").is_in(list(order)))
        frame = frame.sort(
            pl.col("question_id").replace_strict(order, return_dtype=pl.Int64), maintain_order=True
        )
    if request.groups:
        scheme: GroupScheme = load_groups(*request.groups)
        labels = {name: attribute.label for name, attribute in scheme.attributes.items()}
        there = set(frame.select("attribute", "group").iter_rows())
        absent = [str(s) for s in scheme if s.key not in there]
        _refuse("group", absent, [f"{a}={g}" for a, g in sorted(there)])
        wanted = pl.DataFrame(
            [(*s.key, i) for i, s in enumerate(scheme)],
            schema={"attribute": pl.String, "group": pl.String, "_column": pl.Int64},
            orient="row",
        )
        asked = frame.select(KEY[:3]).unique(maintain_order=True).with_row_index("_question")
        frame = (
            frame.join(asked, on=list(KEY[:3]), how="left", maintain_order="left")
            .join(wanted, on=["attribute", "group"], how="inner", maintain_order="left")
            .sort("_question", "_column", maintain_order=True)
            .drop("_question", "_column")
        )
    if isinstance(table, OpinionTable):
        return OpinionTable(frame, table.meta), labels
    return PredictionTable(frame, table.meta), labels


def _refuse(what: str, absent: Sequence[str], known: Sequence[str]) -> None:
    if absent:
        raise InputError(
            f"The table does not have a {what}",
            expected="; ".join(known[:30]) + (" ..." if len(known) > 30 else ""),
            found="; ".join(absent[:10]),
        )
