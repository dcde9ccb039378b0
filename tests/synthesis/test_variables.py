from __future__ import annotations

from opinioncast.survey import Question
from opinioncast.synthesis.variables import codebook_rows, cut, question_variable, variable_names


def test_names_are_taken_by_every_program_and_differ() -> None:
    wanted = ["q" * 40, "q" * 41, "租金", "?", "all", "Synthetic", "a-b c", "_x"]
    names = variable_names(wanted, ["synthetic"])
    assert len({n.casefold() for n in names} | {"synthetic"}) == len(names) + 1
    assert all(len(n) <= 32 and n[0].isalpha() and n.isascii() for n in names)
    assert names[4] == "all_"
    assert names[6] == "a_b_c"


def test_texts_are_cut_between_characters() -> None:
    assert cut("租金太高", 9) == "租金..."
    assert len(cut("é" * 200, 120).encode()) <= 120


def test_a_codebook_has_every_value_whole() -> None:
    rent = Question("rent", "Rents?", ("Too high " * 20, "No"))
    rows = codebook_rows([question_variable(rent, "rent", refusals=True, routed=True)])
    assert [(r["code"], r["missing"]) for r in rows] == [
        (1, False),
        (2, False),
        (98, True),
        (99, True),
    ]
    assert rows[0]["meaning"] == rent.options[0]
