"""The paper's figures beside ours: each row its own model's; what averages leave out is said."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import score_cells
from opinioncast.reproduce.context import absent_words, base_words, per_model, with_note
from opinioncast.reproduce.improvement_outputs import spread_words
from opinioncast.reproduce.recipe import PaperFigures, load_reproduction
from opinioncast.reproduce.result import beside_paper, measure
from opinioncast.survey import OpinionTable, PredictionTable, Question, load_groups, opinion_row


def test_every_row_has_its_own_models_figures() -> None:
    paper = load_reproduction("table8", "paper").paper
    frame = pl.DataFrame(
        {"wave": ["42", "42", "99"], "model": ["Llama-2-7B", "Mistral-7B", "Mistral-7B"]}
    )
    found, shown = beside_paper(frame, paper, label="model")
    assert shown == ["paper: zero-shot", "paper: ours"]
    assert found.select(shown).rows() == [(0.159, 0.053), (0.127, 0.059), (None, None)]


def test_figures_of_no_model_stay_beside_those_of_the_rows_own() -> None:
    paper = load_reproduction("table9", "paper").paper
    frame = pl.DataFrame({"attribute": ["RACE"], "group": ["Black"], "model": ["Llama-3-70B"]})
    found, shown = beside_paper(frame, paper, label="model")
    assert shown == ["paper: human", "paper: base", "paper: fine-tuned"]
    assert found.select(shown).row(0) == (0.031, 0.116, 0.085)


def test_a_model_the_paper_has_not_stands_beside_the_figures_to_show() -> None:
    paper = load_reproduction("table9", "paper").paper
    frame = pl.DataFrame({"attribute": ["RACE"], "group": ["Black"], "model": ["Gemma 3 270M"]})
    found, shown = beside_paper(frame, paper, label="model")
    assert shown == ["paper: human", "paper: Llama-2-7B base", "paper: Llama-2-7B fine-tuned"]
    assert found.select(shown).row(0) == (0.031, 0.151, 0.102)


def test_figures_by_number_stand_in_their_row() -> None:
    """Figure 5: Table 1's distances beside all of the training questions, nothing elsewhere."""
    paper = load_reproduction("figure5", "embedded").paper
    frame = pl.DataFrame({"model": ["Gemma 3 270M"] * 2, "fraction": [0.25, 1.0]})
    found, shown = beside_paper(frame, paper, label="model")
    assert shown == ["paper: Llama-2-7B", "paper: Llama-2-13B", "paper: Mistral-7B"]
    assert found.select(shown).rows() == [(None, None, None), (0.106, 0.102, 0.096)]
    table1 = load_reproduction("table1", "paper").paper
    (ours,) = [r for r in table1.rows if r[:2] == ("opinionqa", "Ours (SubPOP-FT)")]
    assert found.select(shown).row(1) == ours[2:5]
    own = pl.DataFrame({"model": ["Mistral-7B"], "fraction": [1.0]})
    assert beside_paper(own, paper, label="model")[0]["paper: WD"].to_list() == [0.096]


def test_the_base_counts_a_question_of_two_years_once() -> None:
    rows = [
        opinion_row(Question(f"q{i}", f"Is it {i}?", ("No", "Yes"), (0, 1), "GSS", year), g, [1, 0])
        for i in range(3)
        for year in ("2016", "2018")[: 1 + (i < 2)]
        for g in load_groups("SEX=Male", "SEX=Female")
    ]
    table = OpinionTable.from_rows(rows)
    scores = score_cells(table, PredictionTable(table.frame))
    assert base_words({"GSS": scores}) == "GSS: 10 cells of 3 questions (5 with waves)"


def test_a_mean_over_fewer_groups_says_so() -> None:
    assert spread_words(pl.DataFrame({"relative": [0.4, None, 0.5]}), "groups") == (
        "relative improvement known for 2 of 3 groups"
    )
    assert spread_words(pl.DataFrame({"relative": [0.4, 0.5]}), "groups") == ""
    assert spread_words(pl.DataFrame({"relative": [None, None]}), "groups") == ""


def test_notes_are_shown_where_there_are_any() -> None:
    frame = pl.DataFrame({"a": [1, 2], "note": ["", "1 of 2 cells"]})
    assert with_note(["a"], frame) == ["a", "note"]
    assert with_note(["a"], frame[:1]) == ["a"]


def test_groups_of_the_recipe_that_the_table_lacks_are_named() -> None:
    recipe = load_reproduction("figure11", "paper")
    present = [("POLPARTY", g) for g in ("Democrat", "Republican", "Independent")]
    assert absent_words(recipe, present) == "not in the table: POLPARTY=Something else"
    assert absent_words(recipe, [*present, ("POLPARTY", "Something else")]) == ""


def test_a_measure_of_several_models_names_each() -> None:
    assert per_model({"A": 0.5}) == 0.5
    assert per_model({"A": 0.5, "B": None, "C": "25"}) == "A 0.500; B not known; C 25"


def test_a_statement_without_its_measure_is_an_error() -> None:
    assert measure({"a": 1}, "a", "mine") == 1
    with pytest.raises(InputError, match="measure") as caught:
        measure({"a": 1}, "b", "mine")
    assert "a" in str(caught.value)


def test_table_1_says_what_the_abstract_claims() -> None:
    """32 to 46% and 39 to 42% (section 4.2); its own Table 1 gives other ends."""
    paper: PaperFigures = load_reproduction("table1", "embedded").paper
    assert [(s.measure, s.value) for s in paper.statements if s.value is not None] == [
        ("reduction_opinionqa", "0.32 to 0.46"),
        ("reduction_subpop_eval", "0.39 to 0.42"),
    ]
    rows = {row[:2]: row[2:] for row in paper.rows}
    for table, ends in (("opinionqa", (0.32, 0.40)), ("subpop_eval", (0.34, 0.42))):
        names = [m for t, m in rows if t == table and "bound" not in m and "Ours" not in m]
        best = [min(rows[table, m][i] for m in names) for i in range(4)]  # type: ignore[type-var]
        gains = [1 - o / b for o, b in zip(rows[table, "Ours (SubPOP-FT)"], best, strict=True)]
        assert (round(min(gains), 2), round(max(gains), 2)) == ends
