"""What ``import opinioncast`` offers beside the vocabulary: curate, evaluate, fine-tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opinioncast.curate.recipe import CurationRecipe
    from opinioncast.evaluate.scores import CellScores
    from opinioncast.finetune.recipe import FinetuneRecipe
    from opinioncast.jobs.curate import CurationRun
    from opinioncast.jobs.finetune import FinetuneRun
    from opinioncast.methods.prediction import Prediction
    from opinioncast.survey import OpinionTable, PredictionTable


def curate(
    recipe: str | Path | CurationRecipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    partial: bool = False,
) -> CurationRun:
    """Turn survey microdata into an opinion table, with a report of every decision in ``out``.

    >>> from opinioncast import curate
    >>> curate("gss_2018", data="no/such/folder", out="nothing-is-written")
    Traceback (most recent call last):
    opinioncast.errors.InputError: ...

    Args:
        recipe: name of one that ships, a YAML file, or a recipe that was read.
        data: folders with the recipe's files.
        out: folder of the table and its reports; the table is also the result's ``.table``.
        partial: go on without waves whose files are absent.

    Raises:
        InputError, DataError, StorageError: as ``opinioncast curate``.
    """
    from opinioncast.curate.recipe import load_curation
    from opinioncast.jobs.curate import curate_to_files

    folders = [Path(data)] if isinstance(data, str | Path) else [Path(d) for d in data]
    if isinstance(recipe, str | Path):
        wanted, beside = load_curation(recipe)
        folders.append(beside)
    else:
        wanted = recipe
    return curate_to_files(wanted, folders, Path(out), partial=partial)


def evaluate(
    predictions: Prediction | PredictionTable | str | Path, opinions: OpinionTable | str | Path
) -> CellScores:
    """Score predictions against what people answered: distances per cell, means, intervals.

    >>> from opinioncast import Cells, evaluate, predict
    >>> from opinioncast.jobs.demo import demo_table
    >>> opinions = demo_table()
    >>> scores = evaluate(predict(Cells.of_table(opinions), method="uniform"), opinions)
    >>> round(scores.mean()["wd"], 3)
    0.197

    Args:
        predictions, opinions: tables, or their files.

    Raises:
        DataError: they share no cell, or a file is no such table.
    """
    from opinioncast.evaluate.scores import score_cells
    from opinioncast.survey import OpinionTable, PredictionTable

    if isinstance(predictions, str | Path):
        predictions = PredictionTable.read(predictions)
    if isinstance(opinions, str | Path):
        opinions = OpinionTable.read(opinions)
    table = predictions if isinstance(predictions, PredictionTable) else predictions.table
    return score_cells(opinions, table)


def finetune(
    recipe: str | Path | Mapping[str, Any] | FinetuneRecipe,
    out: str | Path,
    *,
    beside: str | Path = ".",
) -> FinetuneRun:
    """Train an adapter as a recipe says; the same call goes on where a killed one stopped.

    >>> from opinioncast import finetune
    >>> finetune({"name": "mine", "table": "no_such.parquet"}, out="nothing-is-written")
    Traceback (most recent call last):
    opinioncast.errors.DataError: ...

    Args:
        recipe: name of one that ships, a YAML file, its fields, or a recipe that was read.
        out: folder of the adapter, its card and its checkpoints.
        beside: folder in which its tables are looked for, unless the recipe is a file.

    Raises:
        InputError, DataError, ModelError, StorageError: as ``opinioncast finetune``.
    """
    from opinioncast.finetune.recipe import FinetuneRecipe, load_finetune, parse_finetune
    from opinioncast.jobs.finetune import finetune_to_folder

    folder = Path(beside)
    if isinstance(recipe, Mapping):
        wanted = parse_finetune(recipe, "the recipe given")
    elif isinstance(recipe, FinetuneRecipe):
        wanted = recipe
    else:
        wanted, of_file = load_finetune(recipe)
        folder = of_file if of_file != Path() else folder
    return finetune_to_folder(wanted, Path(out), beside=folder)
