"""Give the training table that ships the other groups of its own questions, and fit the kernel.

The table was curated for the paper's 22 groups and the total, which the adapter beside it was
trained on. The same recipe with ``groups: [all, total]`` has the groups that its surveys also know
(age, the other regions, independents ...). Their rows are added for the questions of the table,
where the 22 groups' own rows come out as they were: the adapter's rows stay in it word for word.
An attribute of which an old cell is held back today, because its groups together would give a
small one away, gets no new groups there.

    opinioncast curate training -d DATA ... -o table        # with groups: [all, total]
    python benchmarks/training_groups.py table/opinions.parquet [--write] [--quick]

The kernel regression gets columns for the added groups, fitted on the same questions; those of the
22 groups, and the temperature, stay what they were (``weights_moved``: by how much fitting anew
would move them, which is rounding). ``--write`` puts both into the package. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.errors import DataError
from opinioncast.methods.embedding.kernel_regression import KernelRegression, fit_on
from opinioncast.models import SHIPPED_NETWORK, SHIPPED_TRAINING
from opinioncast.survey import OpinionTable, load_groups
from opinioncast.survey.tables import KEY

QUESTION = ["family", "wave", "question_id"]
SAME = ["question", "options", "ordinal", "n"]


def with_groups(table: OpinionTable, every: OpinionTable) -> OpinionTable:
    """``table`` and the rows of ``every`` of other groups for the same questions.

    Raises:
        DataError: a row that both have is not the same.
    """
    both = table.frame.join(every.frame, on=list(KEY), how="inner", suffix="_new")
    for row in both.iter_rows(named=True):
        alike = all(row[name] == row[f"{name}_new"] for name in SAME)
        if not alike or not np.allclose(row["distribution"], row["distribution_new"], atol=1e-9):
            raise DataError(
                "A row of the training table is curated otherwise today",
                where=" ".join(str(row[k]) for k in KEY),
                expected=f"{row['distribution']}, n {row['n']}",
                found=f"{row['distribution_new']}, n {row['n_new']}",
            )
    attribute = [*QUESTION, "attribute"]
    held_back = table.frame.join(every.frame, on=list(KEY), how="anti").select(attribute).unique()
    asked = table.frame.select(QUESTION).unique(maintain_order=True).with_row_index("_question")
    added = (
        every.frame.join(asked.select(QUESTION), on=QUESTION, how="semi")
        .join(table.frame, on=list(KEY), how="anti")
        .join(held_back, on=attribute, how="anti")
    )
    order = [s.key for s in load_groups("all", "total")]
    place = pl.DataFrame(
        [(a, g, i) for i, (a, g) in enumerate(order)],
        schema=["attribute", "group", "_group"],
        orient="row",
    )
    frame = (
        pl.concat([table.frame, added.select(table.frame.columns)])
        .join(asked, on=QUESTION, how="left")
        .join(place, on=["attribute", "group"], how="left")
        .sort("_question", "_group")
        .drop("_question", "_group")
    )
    return OpinionTable(frame, dict(table.meta))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("every", type=Path, nargs="?", help="the recipe's table for all groups")
    parser.add_argument("--write", action="store_true", help="into the package")
    parser.add_argument(
        "--quick", action="store_true", help="the table against itself: nothing is added"
    )
    options = parser.parse_args()
    table = OpinionTable.read(SHIPPED_TRAINING)
    if options.every is None and not options.quick:
        parser.error("name the table that the recipe makes for all groups, or --quick")
    every = table if options.quick else OpinionTable.read(options.every)
    made = with_groups(table, every)
    encoder = SentenceModel.load(None)
    before = KernelRegression.load(SHIPPED_NETWORK, encoder)
    fitted = fit_on(made, encoder, before.settings)
    if any(
        not np.allclose(fitted.points[name], vectors, atol=1e-3)
        for name, vectors in before.points.items()
    ):
        raise DataError(
            "The kernel was fitted on other questions than the table's",
            expected="the same points in the same order",
            found="others",
            hint="train it anew: opinioncast train-network --kernel",
        )
    columns = [0, *(1 + fitted.seen.index(text) for text in before.seen)]
    moved = float(np.abs(fitted.weights[:, columns] - before.weights).max())
    weights = fitted.weights.copy()
    weights[:, columns] = before.weights  # predictions of the 22 groups stay to the last digit
    kept = {k: v for k, v in before.record.items() if k not in fitted.record}
    fitted = replace(
        before,
        weights=weights,
        seen=fitted.seen,
        seen_vectors=fitted.seen_vectors,
        record=dict(fitted.record) | kept,
    )
    if options.write and not options.quick:
        made.write(SHIPPED_TRAINING)
        fitted.save(SHIPPED_NETWORK)
        print(f"wrote {SHIPPED_TRAINING} and {SHIPPED_NETWORK}; their cards and manifests are next")
    print(
        json.dumps(
            {
                "rows_before": len(table),
                "rows": len(made),
                "groups": len(made.subpopulations()),
                "least_n": made.frame["n"].min(),
                "weights_moved": moved,
            }
        )
    )


if __name__ == "__main__":
    main()
