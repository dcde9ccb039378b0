"""MRP by R's lme4 beside ours, on judged questions of two options and pilots as they are judged.

lme4 fits one random effect per attribute (``glmer``, binomial), its cells are poststratified over
the same population frame. Needs R with lme4.

    python benchmarks/evidence_lme4.py [--data DIR] [--cache DIR] [--size 100] [--limit N]

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
import polars as pl

from evidence import EVALUATED, EVERYONE, Room, Tally, crosstab, distance, items_of, ridge_mrp, tell
from evidence_data import Split, Surveys, drawn
from evidence_files import as_pilot, own_frame
from opinioncast.csv_files import write_csv
from opinioncast.evidence.calibration import read_calibration
from opinioncast.evidence.past import read_memory
from opinioncast.evidence.people import Bools, Groups
from opinioncast.evidence.prior import read_prior

SCRIPT = Path(__file__).with_suffix(".R")


def kinds_of(groups: Groups, members: Bools) -> dict[str, list[str]]:
    """Attribute -> each person's group: several that nobody tells apart are one of their own."""
    out = {}
    for name, places in groups.attributes.items():
        names = np.array([groups.columns[i][1] for i in places])
        out[name] = [" or ".join(names[row]) or "not told" for row in members[:, places]]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="keep respondents and predictions read here")
    parser.add_argument("--size", type=int, default=100, help="answers of a pilot")
    parser.add_argument("--limit", type=int, help="questions at most")
    options = parser.parse_args()
    if shutil.which("Rscript") is None or not (options.data / "gss").is_dir():
        print(json.dumps({"skipped": "no R, or no survey files"}))
        return
    surveys = Surveys(options.data, options.cache)
    split = Split.of(surveys)
    room = Room(read_prior(), read_calibration(), read_memory())
    taken = [
        (wave, item)
        for wave in EVALUATED
        for item in items_of(surveys, split, wave, None)
        if len(item.answers.question.options) == 2 and item.answers.n >= options.size
    ][: options.limit]
    frames = {wave: own_frame(surveys.sample(EVALUATED[wave])) for wave, _ in taken}
    people, pilots = [], {}
    for wave, item in taken:
        name = item.answers.question.question_id
        seed = [zlib.crc32(name.encode()), 0, options.size]
        rows = drawn(item.answers, options.size, np.random.default_rng(seed))
        pilots[wave, name] = rows
        groups = frames[wave].groups
        own = groups.spread(item.sample.members[rows], item.sample.groups)
        people.append(
            pl.DataFrame(
                {
                    "question": f"{wave} {name}",
                    "wave": wave,
                    "y": item.answers.choice[rows].tolist(),
                    **kinds_of(groups, own),
                }
            )
        )
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        told_all = pl.concat(people, how="diagonal").fill_null("not told")
        write_csv(told_all, folder / "people.csv", for_excel=False)
        for wave, frame in frames.items():
            kinds = kinds_of(frame.groups, frame.members)
            table = pl.DataFrame({"weight": frame.weights, **kinds})
            write_csv(table, folder / f"frame_{wave}.csv", for_excel=False)
        subprocess.run(["Rscript", str(SCRIPT), str(folder)], check=True)
        told = pl.read_csv(folder / "shares.csv")
    found: dict[str, list[float]] = {"lme4": [], "ridge_mrp": [], "crosstab": []}
    ours = Tally()
    for wave, item in taken:
        name = item.answers.question.question_id
        frame, rows = frames[wave], pilots[wave, name]
        second = told.filter(pl.col("question") == f"{wave} {name}").sort("row")["share"].to_numpy()
        cells, places, _ = frame.cells(item.groups)
        of_cells = cells @ np.stack([1 - second, second], axis=1)
        shares = np.tile(of_cells[places.index(item.groups.index(EVERYONE))], (len(item.groups), 1))
        shares[places] = of_cells
        for key, each in (
            ("lme4", shares),
            ("ridge_mrp", ridge_mrp(item, rows, frame)),
            ("crosstab", crosstab(item, rows)),
        ):
            found[key].append(distance(item, each, item.shares, item.bases, set()))
        tell(ours, item, [as_pilot(item.sample, item.answers, rows)], room.on(frame))
    figures: dict[str, object] = {"questions": len(taken), "size": options.size}
    figures |= {f"wd_{key}": round(float(np.mean(values)), 4) for key, values in found.items()}
    print(json.dumps(figures | {"wd_ours": ours.mean()}))


if __name__ == "__main__":
    main()
