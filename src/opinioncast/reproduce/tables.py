"""Opinion tables of a setting: curated from the data folders, or read; drawn; with their bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from opinioncast.curate.recipe import CurationRecipe
from opinioncast.curate.sources import described, find_file
from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.bounds import OVERALL, Bounds
from opinioncast.evaluate.scores import QUESTION
from opinioncast.files import atomic_path
from opinioncast.jobs.curate import TABLE, bounds_of, curate_to_files, people_of
from opinioncast.jobs.evaluation_inputs import GROUP, read_bounds, write_bounds
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.reproduce.setting import Setting, TableSetting
from opinioncast.reproduce.shapes import curation_shape
from opinioncast.reproduce.store import Done, Store, shape_key
from opinioncast.survey import OpinionTable

FAMILY = "ATP"
"""Of tables in SubPOP's layout: OpinionQA is Pew's."""

_BOUNDS = "bounds.csv"
_PEOPLE = "people.parquet"


@dataclass
class Tables:
    """Tables by key, each made once.

    Attributes:
        data: folders with the survey files.
        questions: draw this many questions of every table, with ``seed``; None: all.
    """

    setting: Setting
    store: Store
    data: Sequence[Path]
    questions: int | None = None
    seed: int = 0
    _tables: dict[str, OpinionTable] = field(default_factory=dict)
    _bounds: dict[str, Bounds | None] = field(default_factory=dict)
    _steps: dict[str, list[Done]] = field(default_factory=dict)

    def table(self, key: str) -> OpinionTable:
        """The table, cut down to the questions drawn.

        Raises:
            InputError, DataError: files are absent or cannot be curated; nothing is left.
        """
        with self._noted(f"table {key}"):
            if key not in self._tables:
                self._tables[key] = self._drawn(key, self._whole(self.setting.tables[key]))
        return self._tables[key]

    def bounds(self, key: str) -> Bounds | None:
        """The human lower bound of the table's own questions; None where there are no respondents.

        Of several curations the means are averaged by cells, and the half-widths of the intervals
        added as independent: other surveys ask other people.
        """
        wanted = self.setting.tables[key]
        if not wanted.bounds:
            return None
        with self._noted(f"bounds {key}"):
            if key not in self._bounds:
                table = self.table(key)
                frames = [self._bounds_of(c, table) for c in wanted.curated]
                self._bounds[key] = pooled([f for f in frames if f is not None])
        return self._bounds[key]

    def people(self, key: str) -> pl.DataFrame:
        """Who was asked: ``family, wave, attribute, group, n, respondents, share, weighted``.

        ``share`` is of the respondents, ``weighted`` of their weights; as many rows as each wave of
        the table's curations has groups.

        Raises:
            InputError: a table that no respondents are known of.
        """
        wanted = self.setting.tables[key]
        if not wanted.curated:
            raise InputError(
                "Nobody knows who was asked",
                where=wanted.title,
                expected="a table that is curated from respondents' answers",
                found="a file of groups",
            )
        return pl.concat([self._people_of(curation) for curation in wanted.curated])

    def _people_of(self, curation: str) -> pl.DataFrame:
        recipe, folders = self._recipe(curation)
        shape = curation_shape(recipe, folders, {})

        def make(folder: Path) -> None:
            with atomic_path(folder / _PEOPLE) as temporary:
                people_of(recipe, folders).write_parquet(temporary)

        return pl.read_parquet(self.store.step("people", curation, shape, make) / _PEOPLE)

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """Steps of ``what`` are asked for once, and noted each time it is wanted."""
        if what in self._steps:
            self.store.asked += self._steps[what]
            yield
            return
        before = len(self.store.asked)
        yield
        self._steps[what] = [replace(d, reused=True) for d in self.store.asked[before:]]

    def curated(self, key: str) -> Path:
        """Folder of a curation."""
        recipe, folders = self._recipe(key)
        apart = {
            name: self._apart(source) for name, source in self.setting.curations[key].apart.items()
        }
        shape = curation_shape(recipe, folders, apart)

        def make(folder: Path) -> None:
            for name, table in apart.items():
                (folder / "apart" / name).parent.mkdir(parents=True, exist_ok=True)
                table.write(folder / "apart" / name)
            curate_to_files(recipe, [folder / "apart", *folders] if apart else folders, folder)

        return self.store.step("curate", key, shape, make)

    def _apart(self, key: str) -> OpinionTable:
        return OpinionTable.read(self.curated(key) / TABLE)

    def _whole(self, wanted: TableSetting) -> OpinionTable:
        if wanted.file is not None:
            return self._file(wanted)
        name = TABLE if wanted.part is None else f"{wanted.part}.parquet"
        tables = [OpinionTable.read(self.curated(c) / name) for c in wanted.curated]
        if len(tables) == 1:
            table = tables[0]
        else:
            terms = {t.meta.get("redistribution") for t in tables}
            table = OpinionTable(
                pl.concat([t.frame for t in tables]),
                {
                    "tables": [dict(t.meta) for t in tables],
                    "redistribution": terms.pop() if len(terms) == 1 else "none",
                },
            )
        if wanted.only is None:
            return table
        path = self._find(wanted.only)
        keys = question_keys(path)
        kept = OpinionTable(
            table.frame.filter(pl.col("question_id").is_in(list(keys))), dict(table.meta)
        )
        if len(kept) == 0:
            raise DataError(
                "None of the questions wanted is in the table",
                where=path.name,
                expected="question keys of the table, such as GUNRESPNOKIDSF_W26",
                found=", ".join(sorted(keys)[:3]) or "an empty file",
            )
        return kept

    def _file(self, wanted: TableSetting) -> OpinionTable:
        assert wanted.file is not None
        path = self._find(wanted.file)
        rows = read_rows(path)
        absent = sorted(set(wanted.where) - set(rows.columns))
        if absent:
            raise DataError(
                "A file lacks the columns its rows are chosen by",
                where=path.name,
                expected=", ".join(wanted.where),
                found=", ".join(rows.columns),
            )
        for column, value in wanted.where.items():
            rows = rows.filter(pl.col(column) == value)
        return to_table(rows, family=FAMILY)

    def _find(self, names: Sequence[str]) -> Path:
        path = find_file(names, self.data)
        if path is None:
            raise missing_files({described(names): self.setting.how_to_get(names[0])}, self.data)
        return path

    def _recipe(self, key: str) -> tuple[CurationRecipe, list[Path]]:
        recipe, beside = self.setting.curation(key)
        return recipe, [*self.data, beside]

    def _drawn(self, key: str, table: OpinionTable) -> OpinionTable:
        if self.questions is None:
            return table
        chosen = draw_questions(table, self.questions, self.seed)
        if len(chosen) == 0:
            raise InputError("No question is left", where=key, expected="--questions of 1 or more")
        return chosen

    def _bounds_of(self, curation: str, table: OpinionTable) -> Bounds | None:
        """Bounds of those questions of ``table`` that the curation made; None for none."""
        recipe, folders = self._recipe(curation)
        waves = {(w.family, w.wave) for w in recipe.waves}
        rows = table.frame.select(QUESTION).unique().sort(QUESTION).iter_rows()
        keys = [k for k in rows if (k[0], k[1]) in waves]
        if not keys:
            return None
        shape = curation_shape(recipe, folders, {}) | {
            "questions": shape_key("questions", {"keys": keys}),
            "of": "groups and cells",
        }

        def make(folder: Path) -> None:
            write_bounds(bounds_of(recipe, folders, questions=keys), folder / _BOUNDS)

        return read_bounds(self.store.step("bounds", curation, shape, make) / _BOUNDS)


def pooled(parts: Sequence[Bounds]) -> Bounds | None:
    """Bounds of several surveys as those of all their questions; None for none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    cells = [part.cells for part in parts if part.cells is not None]
    whole = pl.concat([part.groups for part in parts]).filter(pl.col("human").is_not_null())
    weight = pl.col("n_questions")
    total = weight.sum()

    def half(end: str) -> pl.Expr:
        return (((pl.col(end) - pl.col("human")) * weight) ** 2).sum().sqrt() / total

    rows = whole.group_by(GROUP, maintain_order=True).agg(
        n_questions=total,
        human=(pl.col("human") * weight).sum() / total,
        _low=half("human_low"),
        _high=half("human_high"),
    )
    rows = rows.with_columns(
        human_low=pl.col("human") - pl.col("_low"), human_high=pl.col("human") + pl.col("_high")
    ).drop("_low", "_high")
    last = (pl.col("attribute") == OVERALL[0]) & (pl.col("group") == OVERALL[1])
    groups = pl.concat([rows.filter(~last), rows.filter(last)])
    return Bounds(groups, pl.concat(cells) if len(cells) == len(parts) else None)


def draw_questions(table: OpinionTable, count: int, seed: int) -> OpinionTable:
    """``count`` questions of the table (all where it has fewer), whatever the order of its rows.

    A question in two waves is two here, as training and prediction take them.
    """
    keys = table.frame.select(QUESTION).unique().sort(QUESTION)
    if count >= keys.height:
        return table
    chosen = keys[np.sort(np.random.default_rng(seed).permutation(keys.height)[:count])]
    frame = table.frame.join(chosen, on=list(QUESTION), how="semi", maintain_order="left")
    return OpinionTable(frame, {**table.meta, "questions_drawn": count, "seed": seed})


def question_keys(path: Path) -> set[str]:
    """Question keys of a list (one a line) or of a table in SubPOP's layout."""
    if path.suffix == ".txt":
        return {line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()}
    return set(read_rows(path)["qkey"].drop_nulls().to_list())


def missing_files(files: dict[str, str], folders: Sequence[Path]) -> DataError:
    """An error that names every missing file and how to get it."""
    listed = "".join(f"\n    {name}: {how}" for name, how in files.items())
    return DataError(
        f"{len(files)} file(s) that the reproduction needs are not here",
        where="; ".join(map(str, folders)) + " (or a folder right below)",
        expected=f"these files{listed}",
        hint="name their folder with --data (repeat for several)",
    )
