"""Questionnaires in every format, and what bad ones get."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from opinioncast.errors import InputError
from opinioncast.questionnaires import Questionnaire, read_questionnaire
from opinioncast.survey import US_ADULTS, load_groups

YAML = """\
family: MYPOLL
wave: "2026"
questions:
  - id: death
    question: Do you favor or oppose the death penalty?
    options: [Yes, No, Not sure]
    scale: [1, 2, -1]
    observed:
      POLPARTY=Democrat: [40, 55, 5]
      TOTAL: {shares: [0.5, 0.4, 0.1], n: 1004, refusal_rate: 0.02}
  - question: "Second: one?"
    options: [18-29, 2026-01-01, "null"]
"""

CSV = (
    "id,question,options,scale,observed: POLPARTY=Democrat,Observed:total\n"
    'death,Do you favor or oppose the death penalty?,Yes|No|Not sure,1|2|-1,40|55|5,"0.5|0.4|0.1"\n'
    ",Second: one?,18-29|2026-01-01|null,,,\n"
)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def check(found: Questionnaire) -> None:
    first, second = found.questions
    assert first.question_id == "death"
    assert first.options == ("Yes", "No", "Not sure")
    assert first.ordinal == (1, 2, -1)
    assert second.question_id == "q2"
    assert second.options == ("18-29", "2026-01-01", "null")
    assert not second.has_scale
    assert found.observed is not None
    rows = {r["group"]: r for r in found.observed.frame.iter_rows(named=True)}
    assert rows["Democrat"]["distribution"] == pytest.approx([0.4, 0.55, 0.05])
    assert rows["All adults"]["distribution"] == pytest.approx([0.5, 0.4, 0.1])


def test_yaml_keeps_yes_and_no_dates_and_nulls_as_text(tmp_path: Path) -> None:
    found = read_questionnaire(write(tmp_path / "q.yaml", YAML))
    check(found)
    assert found.questions[0].family == "MYPOLL"
    assert found.observed is not None
    total = found.observed.frame.row(1, named=True)
    assert (total["n"], total["refusal_rate"]) == (1004, 0.02)


def test_options_may_be_a_mapping_of_their_codes(tmp_path: Path) -> None:
    text = "- question: Own?\n  options: {1: Yes, 2: No, 9: Don't know}\n"
    found = read_questionnaire(write(tmp_path / "q.yaml", text))
    assert found.questions[0].options == ("Yes", "No", "Don't know")
    assert found.placements[0].codes == ("1", "2", "9")
    with pytest.raises(InputError, match="given twice"):
        read_questionnaire(write(tmp_path / "r.yaml", text + "  codes: [1, 2, 9]\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_the_ways_excel_writes_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = CSV.replace(",", delimiter)
    check(read_questionnaire(write(tmp_path / "q.csv", text, encoding)))


def test_xlsx(tmp_path: Path) -> None:
    path = tmp_path / "q.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for r, line in enumerate(CSV.replace('"', "").splitlines()):
            for c, cell in enumerate(line.split(",")):
                sheet.write_string(r + (r > 1), c, cell)  # with an empty row in between
    check(read_questionnaire(path))


def test_bare_list_and_own_groups(tmp_path: Path) -> None:
    scheme = write(
        tmp_path / "g.yaml",
        "attributes:\n  PET:\n    question: Which pet do you have?\n    groups: [Cat, Dog]\n"
        "groups:\n  PET: all\n",
    )
    text = "- question: Q?\n  options: [a, b]\n  observed: {PET=Cat: [1, 0]}\n"
    found = read_questionnaire(write(tmp_path / "q.yml", text), load_groups(scheme))
    assert found.observed is not None
    assert found.observed.frame["group"].to_list() == ["Cat"]


@pytest.mark.parametrize(
    ("text", "title", "place"),
    [
        ("- question: Q?\n  options: [a]\n", "between 2 and 26", "line 1"),
        (
            f"- question: Q?\n  options: {[f'o{i}' for i in range(27)]}\n",
            "between 2 and 26",
            "line 1",
        ),
        ("\n- question: Q?\n  options: [a, a]\n", "appears twice", "line 2"),
        ("- question: Q?\n  options: [a, '']\n", "option is empty", "option 2"),
        ("- question: Q?\n  options: [a, b]\n  scale: [1, 2, 3]\n", "one position per", "line 1"),
        ("- question: Q?\n  options: [a, b]\n  scale: [1, high]\n", "not a number", "line 1"),
        ("- question: Q?\n  options: [a, b]\n  observed: {TOTAL: [0.5, 0.6]}\n", "sum", "TOTAL"),
        (
            "- question: Q?\n  options: [a, b]\n  observed: {SEX=Robot: [0.5, 0.5]}\n",
            "Unknown group of SEX",
            "SEX=Robot",
        ),
        (
            "- question: Q?\n  options: [a, b]\n  observed: {SHOE=Big: [0.5, 0.5]}\n",
            "Unknown attribute",
            "SHOE=Big",
        ),
        (
            "- question: Q?\n  options: [a, b]\n"
            "  observed: {total: [0.5, 0.5], TOTAL: [0.5, 0.5]}\n",
            "two observed",
            "line 1",
        ),
        ("- options: [a, b]\n", "no question", "line 1"),
        ("- question: Q?\n", "no options", "line 1"),
        ("- question: Q?\n  option: [a, b]\n", "not known", "line 1"),
        ("questions: []\n", "has no questions", "q.yaml"),
        ("a: [b\n", "not valid YAML", "line"),
        ("- question: Q?\n  question: R?\n  options: [a, b]\n", "twice", "lines 1 and 2"),
        (
            "- id: x\n  question: Q?\n  options: [a, b]\n"
            "- id: x\n  question: R?\n  options: [a, b]\n",
            "one id",
            "line 1",
        ),
    ],
)
def test_bad_yaml_names_the_line(tmp_path: Path, text: str, title: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        read_questionnaire(write(tmp_path / "q.yaml", text))
    assert title in caught.value.title
    assert place in str(caught.value.where)
    assert len(str(caught.value).splitlines()) <= 6


@pytest.mark.parametrize(
    ("text", "title", "place"),
    [
        ("question,opts\nQ?,a|b\n", "columns do not fit", "line 1"),
        ("question,options\nQ?,a|b,c\n", "more cells", "line 2"),
        ("question,options\n\nQ?,a\n", "between 2 and 26", "line 3"),
        ('question,options\nQ?,"a|b\n', "not valid CSV", "line"),
        ("question,question,options\nQ?,Q,a|b\n", "two columns", "line 1"),
        ("", "empty", "q.csv"),
    ],
)
def test_bad_csv_names_the_line(tmp_path: Path, text: str, title: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        read_questionnaire(write(tmp_path / "q.csv", text))
    assert title in caught.value.title
    assert place in str(caught.value.where)


def test_wrong_encoding_names_line_and_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", "question,options\nCafé?,a|b\n", "cp1252")
    with pytest.raises(InputError) as caught:
        read_questionnaire(path)
    assert "line 2" in str(caught.value.where)
    assert "0xe9" in str(caught.value.found)
    assert "iconv" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["q.docx", "q", "gone.yaml"])
def test_other_files(tmp_path: Path, name: str) -> None:
    if not name.startswith("gone"):
        write(tmp_path / name, "x")
    with pytest.raises(InputError):
        read_questionnaire(tmp_path / name)


def test_damaged_xlsx(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        read_questionnaire(write(tmp_path / "q.xlsx", "not a workbook"))


def test_whom_it_is_put_to(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    body = "questions:\n- question: Is it so?\n  options: [Yes, No]\n  observed: {TOTAL: [1, 0]}\n"
    path.write_text(body, "utf-8")
    assert read_questionnaire(path).population == US_ADULTS
    path.write_text(f"population: adults in Berlin\n{body}", "utf-8")
    found = read_questionnaire(path)
    assert found.questions[0].population.people == "adults in Berlin"
    assert found.observed is not None
    assert found.observed.questions()[0].population == found.population
    person = "{people: adults in Berlin, person: an adult living in Berlin}"
    path.write_text(f"population: {person}\n{body}", "utf-8")
    assert read_questionnaire(path).population.person == "an adult living in Berlin"
    path.write_text(f"population: [a, b]\n{body}", "utf-8")
    with pytest.raises(InputError, match="population cannot be read"):
        read_questionnaire(path)
    moved = found.put_to("adults in Bern")
    assert {q.population.people for q in moved.questions} == {"adults in Bern"}


def test_several_answers_with_what_people_named(tmp_path: Path) -> None:
    text = (
        "- id: news\n  question: Which did you use? Select all that apply.\n"
        "  options: [TV, Radio, None]\n  observed: {TOTAL: [60, 40, 10]}\n"
    )
    found = read_questionnaire(write(tmp_path / "q.yaml", text))
    assert [q.question_id for q in found.questions] == ["news_1", "news_2", "news_3"]
    assert found.observed is not None
    shares = found.observed.frame["distribution"].to_list()
    assert shares == [pytest.approx([p, 1 - p]) for p in (0.6, 0.4, 0.1)]
    assert "3 yes/no items" in found.notes[0]


def test_toplines_as_they_are_published(tmp_path: Path) -> None:
    text = "- question: Rate\n  options: [a, b, c, d]\n  observed: {TOTAL: ['33%', 33, 33, 0]}\n"
    found = read_questionnaire(write(tmp_path / "q.yaml", text))
    assert found.observed is not None
    third = pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert found.observed.frame["distribution"].to_list() == [third]
    assert "99" in found.notes[0]


def test_what_is_no_choice_names_the_line(tmp_path: Path) -> None:
    text = "- question: How warm, from 0 to 100?\n  options: ['0', '100']\n"
    with pytest.raises(InputError) as caught:
        read_questionnaire(write(tmp_path / "q.yaml", text))
    assert "line 1" in str(caught.value.where)
    assert "bands" in str(caught.value.hint)


def test_known_results_are_kept_for_predictions_to_start_from(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(
        """
- id: rent
  question: Do you favor or oppose a limit?
  options: [Favor, Oppose]
  known: {TOTAL: {shares: {Oppose: 42, Favor: 58}, n: 1004}}
  observed: {TOTAL: [0.5, 0.5]}
- question: Are rents too high?
  options: [Yes, No]
"""
    )
    asked = read_questionnaire(path)
    (known,) = asked.known
    assert known.question_id == "rent"
    assert known.shares == {"TOTAL": {"shares": {"Oppose": "42", "Favor": "58"}, "n": "1004"}}
    assert known.where.endswith("line 2")
    assert asked.observed is not None
    assert len(asked.observed) == 1
    rows = tmp_path / "q.csv"
    rows.write_text("id,question,options,Known: TOTAL\nrent,Limit?,Favor|Oppose,58|42\n")
    (known,) = read_questionnaire(rows).known
    assert known.shares == {"TOTAL": "58|42"}
    path.write_text(path.read_text().replace("known: {TOTAL: {shares", "known: [{shares"))
    path.write_text(path.read_text().replace("n: 1004}}", "n: 1004}]"))
    with pytest.raises(InputError, match="Distributions of groups cannot be read"):
        read_questionnaire(path)


BATTERY = """\
title: Zoo
language: en
questions:
- id: army
  block: Trust
  battery: How much do you trust each?
  question: The army
  options: [A lot, Not at all]
  codes: [1, 5]
  routing: if Q1 = 1
- {id: often, battery: "How often have you ...", question: felt sad?, options: [Often, Never]}
- {id: own, question: Which do you own?, options: [Car, Bike], codes: [1, 97], select_all: yes}
- {id: tea, battery: Which do you drink?, question: Tea, options: [No, Yes], select_all: item}
- {id: one, question: "Which? Select all that apply.", options: [A, B], select_all: no}
"""


def test_batteries_codes_and_select_all(tmp_path: Path) -> None:
    found = read_questionnaire(write(tmp_path / "q.yaml", BATTERY))
    assert [(q.question_id, q.text) for q in found.questions] == [
        ("army", "How much do you trust each? - The army"),
        ("often", "How often have you felt sad?"),
        ("own_1", "Which do you own? - Car"),
        ("own_97", "Which do you own? - Bike"),
        ("tea", "Which do you drink? - Tea"),
        ("one", "Which? Select all that apply."),
    ]
    assert (found.title, found.language) == ("Zoo", "en")
    army, often, own, bike, tea, one = found.placements
    assert (army.block, army.battery, army.item) == (
        "Trust",
        "How much do you trust each?",
        "The army",
    )
    assert (army.codes, army.routing) == (("1", "5"), "if Q1 = 1")
    assert (own.battery, own.item, bike.item) == ("Which do you own?", "Car", "Bike")
    assert [p.select_all for p in (often, own, bike, tea, one)] == [False, True, True, True, False]
    assert found.check_list is None


def test_columns_say_the_same(tmp_path: Path) -> None:
    text = "id,battery,question,options,codes,select_all\nown,,Which?,Car|Bike,1|97,yes\n"
    found = read_questionnaire(write(tmp_path / "q.csv", text))
    assert [q.question_id for q in found.questions] == ["own_1", "own_97"]


@pytest.mark.parametrize(
    ("line", "said"),
    [("codes: [1]", "not one for each option"), ("select_all: maybe", "yes, no or item")],
)
def test_codes_and_select_all_that_do_not_fit(tmp_path: Path, line: str, said: str) -> None:
    body = f"questions:\n- question: Which?\n  options: [A, B]\n  {line}\n"
    with pytest.raises(InputError) as refused:
        read_questionnaire(write(tmp_path / "q.yaml", body))
    assert said in str(refused.value)
    assert "q.yaml, line 2" in str(refused.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("question: Q?\n  options:\n  - {a: 1}\n  - b", "line 5"),
        ("question: Q?\n  options: [x, [y]]", "line 4"),
        ("question: {x: 1}\n  options: [a, b]", "line 3"),
        ("question: Q?\n  options:\n  - !!binary AAAA\n  - b", "line 5"),
        ("question: Q?\n  options:\n  - !!timestamp 2020-11-03\n  - b", "line 5"),
        ("question: Q?\n  note: [a]\n  options: [a, b]", "line 4"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path, given: str, line: str) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(f"questions:\n- id: a\n  {given}\n")
    with pytest.raises(InputError) as caught:
        read_questionnaire(path)
    assert line in str(caught.value)
    assert str(path) in str(caught.value)
