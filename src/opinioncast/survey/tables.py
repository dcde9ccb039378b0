"""The two central tables: what people answered (OpinionTable), what a model says (PredictionTable).

Both are polars frames with a fixed schema, stored as parquet beside a JSON sidecar. One row is one
question x one subpopulation. A table is checked when it is made: a frame that got into one of
these classes has the columns, sums and lengths its schema promises.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.files import atomic_path
from opinioncast.parquet_files import read_parquet
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.identity import RULE, content_hash, hash_by_first_rule
from opinioncast.survey.population import Population
from opinioncast.survey.question import Question
from opinioncast.survey.table_rows import (
    HALF_WIDTH,
    INTERVAL,
    KEY,
    MODEL,
    QUESTION_COLUMNS,
    checked,
    with_intervals,
    wrong_type,
)

__all__ = [
    "HALF_WIDTH",
    "INTERVAL",
    "KEY",
    "MODEL",
    "NEVER_MEASURED",
    "NO_BASIS",
    "ORIGIN",
    "OpinionTable",
    "PredictionTable",
    "opinion_row",
    "with_intervals",
]

ORIGIN = "model output, not survey data"
"""What every prediction is labelled with, in its sidecar and in the manifest of its run."""

NO_BASIS = "no basis"
"""In ``basis`` where the question or the group is unlike any known, with the reason behind a colon:
the interval is as wide as that of a prediction made for another question."""

NEVER_MEASURED = "never measured"
"""In ``basis`` where nothing comparable was measured: the interval is from 0 to 1."""


@dataclass(frozen=True)
class _Table:
    """A checked frame with its provenance."""

    frame: pl.DataFrame
    meta: Mapping[str, Any] = field(default_factory=dict)

    schema: ClassVar[dict[str, Any]] = {}
    kind: ClassVar[str] = ""
    earlier: ClassVar[dict[str, Any] | None] = None
    """The schema that earlier versions wrote."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", checked(self.frame, self.schema, self.kind))

    def __len__(self) -> int:
        return self.frame.height

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], meta: Mapping[str, Any] | None = None
    ) -> Self:
        """Make a table of dictionaries; columns left out are null (family and wave are empty).

        Raises:
            DataError: a column that the table does not have, a value of another type than its
                column, or a row that breaks the schema.
        """
        listed = list(rows)
        if not listed:
            return cls(pl.DataFrame(schema=cls.schema), meta or {})
        # a misspelt optional column would otherwise be dropped, and the column itself be null
        named = dict.fromkeys(itertools.chain.from_iterable(listed))
        unknown = [c for c in named if c not in cls.schema]
        if unknown:
            raise DataError(
                f"{cls.kind} has no such columns",
                expected=", ".join(cls.schema),
                found=", ".join(map(str, unknown)),
                hint="correct the names, or leave these columns out of the rows",
            )
        try:
            frame = pl.DataFrame(
                listed, schema_overrides=cls.schema, strict=False, infer_schema_length=None
            )
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise wrong_type(cls.kind, cls.schema, error) from error
        return cls(frame, meta or {})

    @cached_property
    def content_hash(self) -> str:
        """``v2:`` and a SHA-256 of the rows, numbers to nine digits: the same on every machine that
        computed the table. It does not depend on row order or file format, and is computed once.
        """
        return content_hash(self.frame, KEY)

    def has_content(self, recorded: object) -> bool:
        """Whether a content hash that a file recorded is this table's, by the rule it was made by:
        one without ``v2:`` is of an older version, which hashed numbers to their last bit.
        """
        return _has_content(self.frame, recorded)

    def questions(self) -> list[Question]:
        """The questions in order of first appearance.

        Raises:
            DataError: the same key carries two wordings, option lists or scales.
        """
        columns = ["family", "wave", "question_id", "question", "options", "ordinal"]
        unique = self.frame.select(columns).unique(maintain_order=True)
        keys = unique.select("family", "wave", "question_id")
        if keys.is_duplicated().any():
            first = keys.filter(keys.is_duplicated()).row(0)
            raise DataError(
                "One question key carries two wordings, option lists or scales",
                where=f"{self.kind}, family/wave/question_id {first}",
                expected="the same question, options and ordinal in each of its rows",
                hint="give the variants different ids",
            )
        paraphrase = bool(self.meta.get("paraphrase", False))
        population = Population.read(self.meta.get("population"), f"{self.kind}, population")
        return [
            Question(
                question_id=row["question_id"],
                text=row["question"],
                options=tuple(row["options"]),
                ordinal=tuple(row["ordinal"]),
                family=row["family"],
                wave=row["wave"],
                paraphrase=paraphrase,
                population=population,
            )
            for row in unique.iter_rows(named=True)
        ]

    def subpopulations(self) -> list[Subpopulation]:
        """The subpopulations in order of first appearance."""
        unique = self.frame.select("attribute", "group").unique(maintain_order=True)
        return [Subpopulation.from_key(a, g) for a, g in unique.iter_rows()]

    def filter(self, *predicates: pl.Expr) -> Self:
        return type(self)(self.frame.filter(*predicates), self.meta)

    def in_key_order(self) -> Self:
        """The same rows in the order of their keys, as the content hash takes them."""
        return type(self)(self.frame.sort(*KEY), self.meta)

    def to_polars(self) -> pl.DataFrame:
        """The frame: one row per question x subpopulation."""
        return self.frame

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame, lists as lists.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise InputError(
                "A table cannot be given to pandas",
                expected="the package pandas",
                found=error,
                hint="pip install pandas, or use .frame (polars)",
            ) from error
        return pandas.DataFrame(self.frame.to_dict(as_series=False))

    def write(self, path: str | Path) -> Path:
        """Write ``path`` (parquet) and ``path`` + ``.json`` (sidecar), each atomically."""
        path = Path(path)
        sidecar = {"kind": self.kind, "rows": len(self), "content_hash": self.content_hash}
        sidecar |= {k: v for k, v in self.meta.items() if k not in sidecar}
        text = json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n"
        with atomic_path(_sidecar(path)) as beside, atomic_path(path) as temporary:
            beside.write_text(text, "utf-8")
            self.frame.write_parquet(temporary)
        return path

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a table written by :meth:`write`; its content must match the sidecar's hash.

        Raises:
            DataError: the file is missing, is not such a table, or was changed after it was
                written.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(
                f"{cls.kind} not found", where=str(path), expected="a parquet file", found="no file"
            )
        try:
            frame = read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"{cls.kind} cannot be read",
                where=str(path),
                expected="a parquet file written by opinioncast",
                found=error,
            ) from error
        if not _sidecar(path).is_file():
            raise DataError(
                f"{cls.kind} has lost its sidecar",
                where=str(path),
                expected=f"{_sidecar(path).name} beside it (provenance, terms, content hash)",
                found="no such file",
                hint="copy both files, or read a plain parquet with pl.read_parquet and "
                f"{cls.__name__}(frame, meta)",
            )
        try:
            meta = read_document(_sidecar(path), "A sidecar", error=DataError)
            kind = meta["kind"]
        except (DataError, KeyError, TypeError) as error:
            raise DataError(
                f"The sidecar of a {cls.kind} cannot be read",
                where=str(_sidecar(path)),
                expected="the JSON written beside the table",
                found=error,
            ) from error
        if kind != cls.kind:
            raise DataError(
                "The file holds another kind of table",
                where=str(path),
                expected=cls.kind,
                found=kind,
            )
        table = cls(frame, meta)
        # an earlier version's columns as they were
        written = table.frame.select([c for c in cls.schema if c in frame.columns])
        if cls.earlier is not None and HALF_WIDTH in frame.columns:
            written = checked(frame, cls.earlier, cls.kind)
        if not _has_content(written, meta.get("content_hash")):
            raise DataError(
                f"{cls.kind} does not match its sidecar",
                where=str(path),
                expected=f"content hash {meta.get('content_hash')}",
                found=content_hash(written, KEY),
                hint="the file was changed after it was written: make it again",
            )
        return table


def _has_content(frame: pl.DataFrame, recorded: object) -> bool:
    """Whether a content hash that a file recorded is this frame's, by the rule it was made by."""
    if not isinstance(recorded, str) or recorded.startswith(RULE):
        return recorded == content_hash(frame, KEY)
    return recorded == hash_by_first_rule(frame, KEY)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


@dataclass(frozen=True)
class OpinionTable(_Table):
    """What people answered: one row per question x subpopulation.

    >>> from opinioncast import OpinionTable, Question, Subpopulation
    >>> from opinioncast.survey import opinion_row
    >>> rent = Question("rent", "Are rents too high?", ("Yes", "No"))
    >>> table = OpinionTable.from_rows([opinion_row(rent, Subpopulation(), [0.7, 0.3], n=1004)])
    >>> table.frame["distribution"].to_list(), table.questions() == [rent]
    ([[0.7, 0.3]], True)

    Columns:
        family, wave: who fielded it and which wave or year.
        question_id, question, options: key, wording as prompted, substantive options in order.
        ordinal: position of each option on its scale; -1 off the scale; all equal, no scale.
        attribute, group: the subpopulation.
        distribution: weighted shares of the substantive options, sum 1.
        refusal_rate: weighted share that refused (null where the source does not tell).
        n, n_eff: unweighted base and effective base (Kish, or design-based), null if unknown.
        se: standard error of each share (null if unknown).

    ``meta`` holds provenance: source files, weight variable, missing-code policy, redistribution
    terms, whether wordings are paraphrases.
    """

    schema: ClassVar[dict[str, Any]] = QUESTION_COLUMNS | {
        "n": pl.Int64,
        "n_eff": pl.Float64,
        "se": pl.List(pl.Float64),
    }
    kind: ClassVar[str] = "OpinionTable"


@dataclass(frozen=True)
class PredictionTable(_Table):
    """What a model says: one row per question x subpopulation. Model output, not survey data.

    >>> from opinioncast import Question, predict
    >>> rent = Question("rent", "Are rents too high?", ("Yes", "No"))
    >>> table = predict([rent], "total", method="uniform").table
    >>> table.long().select("option", "share", "source").rows()[0]
    ('Yes', 0.5, 'model prediction, not survey data')

    Columns as :class:`OpinionTable` up to ``refusal_rate`` (null when "Refused" was not offered);
    then:
        label_mass: probability the model put on any option label at all, averaged over orders.
        order_spread: largest difference of any option's share between option orders (0 to 1;
            null when only one order was asked).
        low, high: 90% interval of each share, one number per option; asymmetric near 0 and 1,
            within them, and around the share; 0 and 1 where nothing comparable was measured. Both
            null where nobody set them: in what a method gives by itself.
        basis: what the row rests on: "model", "model and 100 respondents", ..., with "never
            measured" or "no basis" where that is so; "model" where it is left out.
        known_question, known_group: how near the nearest question and the nearest group that the
            method learned from are (cosine of their wordings, 1 for the very one); null where the
            method cannot say.
        model, method: what produced the row.

    Tables of earlier versions carry ``share_error_90``, one half-width for all options of a row:
    their intervals are the share plus and minus that, cut off at 0 and 1.
    """

    schema: ClassVar[dict[str, Any]] = QUESTION_COLUMNS | {
        "label_mass": pl.Float64,
        "order_spread": pl.Float64,
        "low": pl.List(pl.Float64),
        "high": pl.List(pl.Float64),
        "basis": pl.String,
        "known_question": pl.Float64,
        "known_group": pl.Float64,
        "model": pl.String,
        "method": pl.String,
    }
    kind: ClassVar[str] = "PredictionTable"
    earlier: ClassVar[dict[str, Any] | None] = QUESTION_COLUMNS | {
        "label_mass": pl.Float64,
        "order_spread": pl.Float64,
        HALF_WIDTH: pl.Float64,
        "model": pl.String,
        "method": pl.String,
    }

    def long(self) -> pl.DataFrame:
        """One row per option, for R, SPSS, Stata and Excel; each says that it is model output."""
        counted = self.frame.with_columns(
            option_number=pl.int_ranges(1, pl.col("options").list.len() + 1)
        )
        return (
            counted.with_columns(  # a null list would not explode beside full ones
                pl.when(pl.col(end).is_null())
                .then(pl.lit(None, pl.Float64).repeat_by(pl.col("options").list.len()))
                .otherwise(end)
                .alias(end)
                for end in INTERVAL
            )
            .explode("option_number", "options", "ordinal", "distribution", *INTERVAL)
            .rename({"options": "option", "ordinal": "scale_position", "distribution": "share"})
            .with_columns(source=pl.lit("model prediction, not survey data"))
            .select(
                "family",
                "wave",
                "question_id",
                "question",
                "attribute",
                "group",
                "option_number",
                "option",
                "scale_position",
                "share",
                *INTERVAL,
                "refusal_rate",
                "label_mass",
                "order_spread",
                "basis",
                "known_question",
                "known_group",
                "model",
                "method",
                "source",
            )
        )


def opinion_row(
    question: Question,
    subpopulation: Subpopulation,
    distribution: Sequence[float],
    **more: Any,
) -> dict[str, Any]:
    """One row of either table as a dictionary; ``more`` holds its other columns."""
    if len(distribution) != len(question.options):
        raise InputError(
            "A distribution does not have one share per option",
            where=f'question "{question.question_id}", {subpopulation}',
            expected=f"{len(question.options)} shares",
            found=list(distribution),
        )
    return {
        "family": question.family,
        "wave": question.wave,
        "question_id": question.question_id,
        "question": question.text,
        "options": list(question.options),
        "ordinal": list(question.ordinal),
        "attribute": subpopulation.attribute,
        "group": subpopulation.group,
        "distribution": [float(p) for p in distribution],
        **more,
    }
