"""Known results from files: every way a person may have written them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.evidence.small import DEMOCRATS, EVERYONE, RENT, TRUST

from opinioncast.errors import InputError
from opinioncast.evidence.known import read_known
from opinioncast.evidence.observations import Cell
from opinioncast.survey import Question, load_groups

SCHEME = load_groups("total", "POLPARTY=Democrat")
COMMAS = Question(
    "how",
    "How much?",
    ("Very, very, very, very, very, very, very, very, very much", "No, not, at, all, not a bit"),
)
HALF = [Cell("rent", EVERYONE, (0.58, 0.42), 1004, 0.01, 1004)]


def cells(path: Path, text: str, *questions: Question) -> list[Cell]:
    path.write_text(text, "utf-8")
    return list(read_known(path, questions or (RENT, TRUST), SCHEME).cells)


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("key", ["id", "question_id", " Question_ID "])
def test_columns_and_what_is_between_them(tmp_path: Path, between: str, key: str) -> None:
    rows = [
        (key, "group", "option", "percent", "n"),
        ("rent", "TOTAL", "Favor", "58", "1004"),
        ("rent", "TOTAL", "Oppose", "42", "1004"),
    ]
    text = "".join(between.join(row) + "\n" for row in rows)
    assert cells(tmp_path / "known.csv", text) == HALF


def test_what_is_between_columns_is_told_by_their_names_alone(tmp_path: Path) -> None:
    """Options with many commas, in a file with semicolons."""
    text = "question_id;option;share\n" + "".join(f"how;{o};0.5\n" for o in COMMAS.options)
    (cell,) = cells(tmp_path / "known.csv", text, COMMAS)
    assert (cell.question_id, cell.shares) == ("how", (0.5, 0.5))


def test_percent_signs_spaces_and_a_question_by_its_wording(tmp_path: Path) -> None:
    text = (
        "question,attribute,group,option,share,n_eff\n"
        "Limit rents?,POLPARTY,Democrat,Favor, 75 % ,210.5\n"
        "LIMIT RENTS?,POLPARTY,Democrat,Oppose,25%,210.5\n"
        ",,,,,\n"
    )
    # spelled in another case it is another block of the same question: half a cell is refused
    with pytest.raises(InputError, match="without a share"):
        cells(tmp_path / "known.csv", text)
    (cell,) = cells(tmp_path / "known.csv", text.replace("LIMIT RENTS?", "Limit rents?"))
    assert (cell.question_id, cell.subpopulation, cell.shares) == ("rent", DEMOCRATS, (0.75, 0.25))
    assert (cell.n_eff, cell.n) == (210.5, None)


def test_questions_of_a_yaml_file_by_id_wording_or_number(tmp_path: Path) -> None:
    text = """
        questions:
        - id: RENT
          known: {TOTAL: {shares: [58, 42], n: 1004}}
        - question: Limit rents?
          known: {"POLPARTY=Democrat": [75, 25]}
        - id: not known
        - known: {TOTAL: [60, 40]}
        """
    fourth = Question("q4", "The fourth?", ("Yes", "No"))
    found = cells(tmp_path / "known.yaml", text, RENT, TRUST, fourth)
    assert [(c.question_id, c.subpopulation, c.shares) for c in found] == [
        ("rent", EVERYONE, (0.58, 0.42)),
        ("rent", DEMOCRATS, (0.75, 0.25)),
        ("q4", EVERYONE, (0.6, 0.4)),
    ]


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ("rent,TOTAL,Favor,many,9\n", "A share is not a number"),
        ("rent,TOTAL,Favor,58,few\n", "A n is not a number"),
        ("rent,TOTAL,Favor,58,0.5\n", "A base is not usable"),
        ("rent,TOTAL,Favor,58,inf\n", "A base is not usable"),
        ("rent,TOTAL,Favor,58,9\nrent,TOTAL,Favor,42,9\n", "give an option twice"),
        ("rent,TOTAL,Favor,58,9\nrent,TOTAL,Oppose,42,8\n", "have different bases"),
        ("guns,TOTAL,Favor,58,9\n", "not predicted"),
        ("", "have no row"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, rows: str, title: str) -> None:
    with pytest.raises(InputError, match=title):
        cells(tmp_path / "known.csv", "question_id,group,option,percent,n\n" + rows)
    with pytest.raises(InputError, match="cannot be read"):
        read_known(tmp_path / "known.docx", [RENT], SCHEME)
