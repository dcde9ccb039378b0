"""`opinioncast plan`: tables and files, against hand-worked designs; and input that cannot be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest

from opinioncast.cli.main import main
from opinioncast.errors import InputError
from opinioncast.evidence.plan_design import PlanDesign, read_design
from opinioncast.jobs.plan import parse_group, plan_sample, plan_to_files
from opinioncast.survey import PredictionTable, Question, Subpopulation, opinion_row

TOTAL = Subpopulation()
BLACK, WHITE = (Subpopulation((("RACE", r),)) for r in ("Black", "White"))
WOMEN, MEN = (Subpopulation((("SEX", s),)) for s in ("Female", "Male"))
BOTH = Subpopulation((("SEX", "Female"), ("RACE", "Black")))
Q = Question("rent", "Limit rents?", ("Favor", "Oppose"), (1, 2))
SHARES = {TOTAL: 0.55, BLACK: 0.8, WHITE: 0.5, WOMEN: 0.6, MEN: 0.5, BOTH: 0.8}
POPULATION = {BLACK: 0.1, WHITE: 0.9, WOMEN: 0.5, MEN: 0.5, BOTH: 0.06}


def share(group: Subpopulation) -> float | None:
    known = {frozenset(g.conditions): s for g, s in POPULATION.items()}
    known |= {
        frozenset({("SEX", "Female"), ("RACE", "White")}): 0.44,
        frozenset({("SEX", "Male"), ("RACE", "Black")}): 0.04,
        frozenset({("SEX", "Male"), ("RACE", "White")}): 0.46,
    }
    return known.get(frozenset(group.conditions))


def predictions(width: float | None = 0.1) -> PredictionTable:
    rows = []
    for group, p in SHARES.items():
        more = {}
        if width is not None:
            more = {"low": [p - width, 1 - p - width], "high": [p + width, 1 - p + width]}
        rows.append(opinion_row(Q, group, [p, 1 - p], **more))
    return PredictionTable.from_rows(rows)


def row(frame: pl.DataFrame, group: Subpopulation) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("group") == group.group, named=True)


def test_one_sample_by_population() -> None:
    design = PlanDesign(sample=1000, design_effect=1.25, assume="predicted")
    plan = plan_sample(predictions(), design, share)
    women, both, total = (row(plan.groups, g) for g in (WOMEN, BOTH, TOTAL))
    assert (women["interviews"], women["base"]) == (pytest.approx(500), pytest.approx(400))
    assert both["base"] == pytest.approx(48)
    assert women["moe_half"] == pytest.approx(196 * math.sqrt(0.25 / 400), rel=1e-3)
    assert women["moe"] == pytest.approx(196 * math.sqrt(0.24 / 400), rel=1e-3)
    assert total["base"] == pytest.approx(800)
    assert plan.summary["design"]["total_base_lost"] == pytest.approx(0)
    assert plan.notes == ()
    # at the interval's worst share: 0.6 - 0.1 = 0.5
    wide = plan_sample(predictions(), PlanDesign(sample=1000), share)
    assert row(wide.groups, WOMEN)["moe"] == pytest.approx(row(wide.groups, WOMEN)["moe_half"])
    assert row(wide.groups, BLACK)["moe"] == pytest.approx(196 * math.sqrt(0.21 / 100), rel=1e-3)


def test_an_oversample_costs_the_total() -> None:
    design = PlanDesign(strata="RACE", sample={"Black": 500, "White": 500})
    plan = plan_sample(predictions(), design, share)
    # 0.1^2 / 0.5 + 0.9^2 / 0.5 = 1.64
    assert plan.summary["design"]["oversampling_effect"] == pytest.approx(1.64)
    assert row(plan.groups, TOTAL)["base"] == pytest.approx(1000 / 1.64)
    assert plan.summary["design"]["total_base_lost"] == pytest.approx(1 - 1 / 1.64)
    assert row(plan.groups, BLACK)["base"] == pytest.approx(500)
    # women: 12% Black (0.06 / 0.5); interviews 0.6 x 500 + 0.44 / 0.9 x 500
    women = row(plan.groups, WOMEN)
    assert women["interviews"] == pytest.approx(0.6 * 500 + 0.44 / 0.9 * 500)
    by_hand = 0.12**2 / (0.6 * 500) + 0.88**2 / (0.44 / 0.9 * 500)
    assert women["base"] == pytest.approx(1 / by_hand)
    assert row(plan.groups, BOTH)["interviews"] == pytest.approx(300)


def test_the_cheapest_sample_meets_every_target() -> None:
    targets = {"TOTAL": 3.0, "RACE=Black": 5.0, "SEX=Male": 5.0}
    design = PlanDesign(
        strata="RACE",
        sample=1000,
        cost={"Black": 10, "White": 20},
        screening=1.0,
        targets=targets,
        budget=10_000,
        assume="half",
    )
    plan = plan_sample(predictions(), design, share)
    assert plan.summary["groups_short_of_target"] == ["TOTAL", "RACE=Black"]
    for name, target in targets.items():
        found = row(plan.groups, parse_group(name))
        assert found["moe_needed"] <= target + 1e-6  # type: ignore[operator]
    strata = {r["stratum"]: r for r in plan.strata.iter_rows(named=True)}
    assert strata["RACE=Black"]["cost"] == pytest.approx(10 + 1 / 0.1)
    assert strata["RACE=White"]["cost"] == pytest.approx(20 + 1 / 0.9)
    # one group's own target is met by its own stratum: (1.96 / 0.05)^2 / 4
    assert strata["RACE=Black"]["interviews_needed"] == math.ceil(384.146)
    needed = plan.summary["needed"]
    assert plan.summary["targets_times"] == pytest.approx(math.sqrt(needed["cost"] / 10_000))


def test_differences_and_whether_they_would_be_seen() -> None:
    design = PlanDesign(sample=1000, assume="predicted")
    plan = plan_sample(predictions(), design, share)
    race, sex = plan.differences.iter_rows(named=True)
    assert (race["group"], race["other"], race["option"]) == ("RACE=Black", "RACE=White", "Favor")
    assert race["difference"] == pytest.approx(30)
    assert (race["low"], race["high"]) == (pytest.approx(10), pytest.approx(50))
    assert race["seen"] is True
    # 500 against 500 at 0.6: 0.1 needs 388 a group, so 500 see it
    assert sex["detectable"] < 10
    assert sex["seen"] is True
    few = plan_sample(predictions(), PlanDesign(sample=200), share)
    assert few.differences["seen"].to_list() == [True, False] or not few.differences["seen"][1]


def test_pairs_of_ones_own_and_what_is_not_known() -> None:
    design = PlanDesign(sample=500, compare=(("SEX=Male", "SEX=Female & RACE=Black"),))
    plan = plan_sample(predictions(None), design, lambda g: 0.5 if g in (WOMEN, MEN) else None)
    assert plan.differences.height == 1
    assert plan.differences["detectable"][0] is None  # nothing is known of the second group
    assert row(plan.groups, BLACK)["base"] is None
    assert any("RACE=Black" in note for note in plan.notes)
    spread = plan_sample(
        predictions(),
        PlanDesign(strata="RACE", sample=500, population={"RACE=Black": 0.1, "RACE=White": 0.9}),
        lambda g: 0.5 if g in (WOMEN, MEN) else None,
    )
    assert row(spread.groups, WOMEN)["base"] == pytest.approx(250)
    assert sum("overlap is not known" in note for note in spread.notes) == 2


def test_a_total_that_was_not_predicted_is_planned_at_one_half() -> None:
    table = PredictionTable(predictions().frame.filter(pl.col("attribute") != "TOTAL"))
    plan = plan_sample(table, PlanDesign(sample=1000, targets={"TOTAL": 3.0}), share)
    total = row(plan.groups, TOTAL)
    assert total["moe"] == total["moe_half"] == pytest.approx(3.099, abs=1e-3)
    assert total["interviews_needed"] == pytest.approx(1067.07, abs=0.01)
    assert "TOTAL is not predicted" in plan.notes[0]


@pytest.mark.parametrize(
    ("design", "title"),
    [
        ({}, "nothing to plan"),
        ({"sample": 100, "strata": "AGE"}, "strata are not groups"),
        ({"sample": 100, "strata": "RACE", "population": {"RACE=Black": 0.5}}, "do not make up"),
        ({"sample": {"Black": 1}, "strata": "RACE"}, "does not fit the strata"),
        ({"sample": {"Black": 1, "White": 1, "X": 1}, "strata": "RACE"}, "does not fit the strata"),
        ({"sample": 100, "cost": -1.0}, "out of range"),
        ({"targets": {"RACE=Asian": 3.0}}, "target does not fit"),
        ({"targets": {"TOTAL": 0.0}}, "target does not fit"),
        ({"sample": 100, "population": {"RACE=Black": 10.0}}, "share is out of range"),
        ({"sample": 100, "compare": (("SEX=Male", "RACE=Black"),)}, "cannot be compared"),
        ({"sample": 100, "targets": {"nobody": 3.0}}, "cannot be read"),
    ],
)
def test_designs_that_cannot_be(design: dict[str, object], title: str) -> None:
    with pytest.raises(InputError, match=title):
        plan_sample(predictions(), PlanDesign(**design), share)  # type: ignore[arg-type]


def test_all_wrong_fields_of_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "design.yaml"
    path.write_text("sampel: 100\nbudget: -1\n")
    with pytest.raises(InputError, match="2 field") as caught:
        read_design(path, {})
    assert "sampel" in str(caught.value.found)
    assert read_design(None, {"sample": 5}).sample == 5


@pytest.mark.slow
def test_files_and_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = plan_to_files(predictions(), PlanDesign(sample=1000), share, tmp_path / "a")
    names = {f.name for f in run.files}
    assert names == {
        "groups.csv",
        "strata.csv",
        "differences.csv",
        "plan.json",
        "plan.png",
        "manifest.json",
    }
    found = json.loads((tmp_path / "a" / "plan.json").read_text("utf-8"))
    assert found["summary"]["design"]["interviews"] == 1000
    assert "not survey data" in (tmp_path / "a" / "groups.csv").read_text("utf-8-sig")

    path = predictions().write(tmp_path / "p.parquet")
    frame = tmp_path / "frame.csv"
    frame.write_text(
        "SEX,RACE,weight\nFemale,Black,6\nMale,Black,4\nFemale,White,44\nMale,White,46\n"
    )
    weights = tmp_path / "w.csv"
    weights.write_text("w\n1\n1\n2\n4\n")
    arguments = [
        "plan",
        *(str(path), "--sample", "1000", "--strata", "RACE", "--frame", str(frame)),
        *("--target", "TOTAL:3", "--target", "RACE=Black:6", "--weights", f"{weights}:w"),
        *("--out", str(tmp_path / "b")),
    ]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code in (0, None)
    said = capsys.readouterr().out
    assert "To meet all targets" in said
    assert "Short of their target: TOTAL, RACE=Black" in said
    summary = json.loads((tmp_path / "b" / "plan.json").read_text("utf-8"))
    # weights 1, 1, 2, 4: 4 x 22 / 64 = 1.375
    assert summary["design"]["design_effect"] == pytest.approx(1.375)


def test_groups_of_others_than_us_adults_need_a_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = predictions()
    berlin = PredictionTable(table.frame, {"population": {"people": "adults in Berlin"}})
    path = berlin.write(tmp_path / "predictions.parquet")
    with pytest.raises(SystemExit):
        main(["plan", str(path), "-o", str(tmp_path / "plan")])
    assert "adults in Berlin" in capsys.readouterr().err
