"""Questionnaires in text and Markdown, in the styles of several houses, made up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError
from opinioncast.questionnaires.check_list import Outcome
from opinioncast.questionnaires.text_grids import battery_of, lines_of, options_in
from opinioncast.questionnaires.text_lines import Grid, Line

NUMBERED = """1. Do you approve of the mayor?
   1. Approve
   2. Disapprove
   3. Not sure
2. How do you travel? Select all that apply.
   a) Car
   b) Bus
3. Please rate the parks:
   ( ) Good
   ( ) Poor
4. How old are you? ______
"""

CODED = """SECTION A: POLITICS

QA1. Who would you vote for? SINGLE CODE. ROTATE.
Labour ........................... 1
Other (SPECIFY) .................. 3
Would not vote ................... 4  GO TO QA3
Don't know (DO NOT READ OUT) ..... 98

[ASK IF QA1=1-3]
QA2. And why is that? [OPEN END]

QA3. Which have you done? MULTICODE OK
01 Voted
02 Written to an MP
"""

LETTERED = """ASK ALL:
SATIS\tAre you satisfied with the country?
\t1\tSatisfied
\t2\tDissatisfied
\t99\tNo answer

ASK IF SATIS=2:
Q2. How worried are you about each? [RANDOMIZE ITEMS]
a. The economy
b. Climate change
RESPONSE OPTIONS:
1 Very worried
2 Not worried

Q3. And these?
1 Often
2 Never
a. Bus
b. Train
"""

INLINE = """Q1) Are rents too high?  1. Yes  2. No  3. Don't know
Q2) Do you own or rent?
Own / Rent / Neither
Q3) On a scale from 0 to 10, how satisfied are you?
0 = Not at all
10 = Completely
Q4: On a scale from 0 to 100, rate the police.
"""

MARKDOWN = """# Zoo poll
## Animals
**Like** (IF age > 17) - Do you like _animals_?
  1. Yes
  2. No
(98) DK, (99) REF

**Q2_Trust** - How much do you trust each?
| Q2 | A lot | Not at all | DK |
|----|-------|------------|----|
| The lion (Q2_lion) | 1 | 2 | 98 |
| The vet (q2_vet) | 1 | 2 | 98 |

**Q3_Best** - Which comes to mind? (SPONTANEOUS; do not read)

| Code | 1st (Q3_1) | 2nd (Q3_2) |
|---|---|---|
| Cats | 1 | 1 |
| Dogs | 2 | 2 |

Thank you!
"""


def test_numbers_are_questions_and_options(tmp_path: Path) -> None:
    instrument = imported(tmp_path / "zoo.txt", NUMBERED)
    found = fields(instrument)
    assert list(found) == ["Q1", "Q2", "Q3"]
    assert found["Q1"]["options"] == ["Approve", "Disapprove", "Not sure"]
    assert found["Q1"]["scale"] == [1, 2, -1]
    assert found["Q2"]["codes"] == ["a", "b"]
    assert found["Q2"]["select_all"] == "yes"
    assert found["Q3"]["question"] == "Please rate the parks:"
    assert found["Q3"]["options"] == ["Good", "Poor"]
    assert checks(instrument)["Q4"].why == "open answer: no options below it"


def test_codes_behind_and_instructions_in_capitals(tmp_path: Path) -> None:
    found = fields(instrument := imported(tmp_path / "zoo.txt", CODED))
    assert found["QA1"]["question"] == "Who would you vote for?"
    assert found["QA1"]["options"] == ["Labour", "Other", "Would not vote", "Don't know"]
    assert found["QA1"]["codes"] == ["1", "3", "4", "98"]
    assert found["QA1"]["block"] == "SECTION A: POLITICS"
    assert "Would not vote: GO TO QA3" in found["QA1"]["note"]
    assert found["QA3"]["select_all"] == "yes"
    assert found["QA3"]["codes"] == ["01", "02"]
    assert checks(instrument)["QA2"].why == "open answer"
    assert checks(instrument)["QA2"].where == "line 10"


def test_lettered_items_and_routing_lines(tmp_path: Path) -> None:
    found = fields(imported(tmp_path / "zoo.txt", LETTERED))
    assert list(found) == ["SATIS", "Q2_a", "Q2_b", "Q3_a", "Q3_b"]
    assert found["SATIS"]["routing"] == "ASK ALL:"
    assert found["SATIS"]["codes"] == ["1", "2", "99"]
    assert found["Q2_b"]["battery"] == "How worried are you about each?"
    assert found["Q2_b"]["question"] == "Climate change"
    assert found["Q2_b"]["options"] == ["Very worried", "Not worried"]
    assert found["Q2_b"]["routing"] == "ASK IF SATIS=2:"
    assert "RANDOMIZE ITEMS" in found["Q2_b"]["note"]
    assert found["Q3_a"]["options"] == ["Often", "Never"]


def test_options_on_one_line_and_scales_by_their_ends(tmp_path: Path) -> None:
    instrument = imported(tmp_path / "zoo.txt", INLINE)
    found = fields(instrument)
    assert found["Q1"]["options"] == ["Yes", "No", "Don't know"]
    assert found["Q2"]["options"] == ["Own", "Rent", "Neither"]
    assert found["Q3"]["options"][::10] == ["0 (Not at all)", "10 (Completely)"]
    assert found["Q4"]["options"][:2] == ["0 to 20", "21 to 40"]
    assert checks(instrument)["Q4"].outcome is Outcome.BANDS


def test_markdown(tmp_path: Path) -> None:
    instrument = imported(tmp_path / "zoo.md", MARKDOWN)
    found = fields(instrument)
    assert list(found) == ["Like", "Q2_lion", "q2_vet", "Q3_1", "Q3_2"]
    assert instrument.head.title == "Zoo poll"
    assert found["Like"] == {
        "id": "Like", "block": "Animals", "question": "Do you like animals?",
        "options": ["Yes", "No", "DK", "REF"], "codes": ["1", "2", "98", "99"],
        "scale": [1, 2, -1, -1], "routing": "IF age > 17",
    }  # fmt: skip
    assert found["q2_vet"]["question"] == "The vet"
    assert found["q2_vet"]["codes"] == ["1", "2", "98"]
    assert found["Q3_2"]["options"] == ["Cats", "Dogs"]
    assert found["Q3_2"]["question"] == "2nd"
    assert found["Q3_2"]["note"] == "SPONTANEOUS; do not read"


def test_right_to_left_and_emoji(tmp_path: Path) -> None:
    text = "س1. هل توافق؟\n1. أوافق 😀\n2. أعارض\n3. لا أعرف\n"
    found = fields(imported(tmp_path / "zoo.txt", text))
    assert found["س1"]["options"] == ["أوافق 😀", "أعارض", "لا أعرف"]
    assert found["س1"]["scale"] == [1, 2, -1]


def test_unnumbered_questions(tmp_path: Path) -> None:
    text = "Our poll\n\nDo you vote?\n- Always\n- Never\n\nHow warm?\n• Hot\n• Cold\nThank you!\n"
    found = fields(imported(tmp_path / "zoo.txt", text))
    assert [f["question"] for f in found.values()] == ["Do you vote?", "How warm?"]


def test_tables_that_lay_out(tmp_path: Path) -> None:
    text = """| Q1 | Too high? |
|---|---|
| 1 | Yes |
| 9 | DK |

| Q2. How often? | | |
|---|---|---|
| Always | Sometimes | Never |

| Q3. Trust? | | |
|---|---|---|
| | A lot | Not at all |
| The army | 1 | 2 |

Q4 And now? [OPEN TEXT BOX]

Q5 Which?
Ford\t1
None\t97 [EXCLUSIVE]
"""
    instrument = imported(tmp_path / "zoo.md", text)
    found = fields(instrument)
    assert found["Q1"]["options"] == ["Yes", "DK"]
    assert found["Q2"]["options"] == ["Always", "Sometimes", "Never"]
    assert found["Q3_1"]["battery"] == "Trust?"
    assert found["Q5"]["codes"] == ["1", "97"]
    assert found["Q5"]["note"] == "None: EXCLUSIVE"
    assert checks(instrument)["Q4"].why == "open answer"


def test_a_letter_is_no_questionnaire(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No closed question") as refused:
        imported(tmp_path / "zoo.txt", "Dear all,\nplease find attached nothing.\n")
    assert '"Q1. Are rents too high?"' in str(refused.value)


def test_an_amount_is_no_code(tmp_path: Path) -> None:
    amounts = "  Under 500 EUR\t1\n  500 - 999 EUR\t2\n  1000 EUR +\t3\n"
    text = f"A1) Rent?\n{amounts}A2) B?\n1 - Yes\n2 - No\n"
    found = fields(imported(tmp_path / "rent.txt", text))
    assert found["A1"]["options"] == ["Under 500 EUR", "500 - 999 EUR", "1000 EUR +"]
    assert found["A1"]["codes"] == ["1", "2", "3"]
    assert found["A2"]["options"] == ["Yes", "No"]


def test_ids_on_lines_of_their_own_and_words_before_what_is_said(tmp_path: Path) -> None:
    text = "Q1\nDo you rent?\nYes\nNo\n\nQuestion 2\nDo you vote?\nAlways\nNever\n"
    found = fields(imported(tmp_path / "ids.txt", text))
    assert {i: f["question"] for i, f in found.items()} == {
        "Q1": "Do you rent?",
        "Q2": "Do you vote?",
    }
    assert found["Q2"]["options"] == ["Always", "Never"]
    text = "Q: Do you rent?\nA: Yes / No\n\nQ: Do you vote?\nAnswers: Always / Never\n"
    found = fields(imported(tmp_path / "said.txt", text))
    assert [f["question"] for f in found.values()] == ["Do you rent?", "Do you vote?"]
    assert [f["options"] for f in found.values()] == [["Yes", "No"], ["Always", "Never"]]


def test_a_numbered_line_after_bullets_is_no_further_option(tmp_path: Path) -> None:
    text = (
        "1. Own a home?\n   - yes\n   - no\n\n2. Rate democracy from 0 to 10\n"
        "   0 | 1 | 2 | 3 | 4\n\n3. Agree?\n   Strongly — Somewhat — Not at all\n"
        "4. What is your age? ____\n5. Please allocate 100 points among: food, rent\n"
    )
    instrument = imported(tmp_path / "home.md", text)
    found = fields(instrument)
    assert found["Q1"]["options"] == ["yes", "no"]
    assert found["Q2"]["options"] == ["0", "1", "2", "3", "4"]
    assert found["Q3"]["options"] == ["Strongly", "Somewhat", "Not at all"]
    left = {c.id for c in checks(instrument).values() if c.outcome is Outcome.LEFT_OUT}
    assert left == {"Q4", "Q5"}


def test_what_is_rated_on_numbers_is_a_battery(tmp_path: Path) -> None:
    rated = "Q1. Rate each of these from 1 to 5, where 5 is best:\na. Schools\nb. Parks\n"
    text = f"{rated}Q2. Best?\na. Yes\nb. No\n"
    found = fields(imported(tmp_path / "rated.txt", text))
    assert list(found) == ["Q1_a", "Q1_b", "Q2"]
    assert found["Q1_b"]["question"] == "Parks"
    assert found["Q1_b"]["options"] == ["1", "2", "3", "4", "5"]
    assert found["Q2"]["options"] == ["Yes", "No"]


def test_lines_to_write_on_are_no_emphasis(tmp_path: Path) -> None:
    text = "Q1. Which? (Check all that apply)\n☐ Voted\n☐ Marched\n☐ Other: ______\n"
    assert fields(imported(tmp_path / "x.txt", text))["Q1"]["options"][-1] == "Other"


def test_boxes_on_a_line(tmp_path: Path) -> None:
    text = (
        "1. Do you rent? ( ) Yes ( ) No\n2. Do you vote?\n☐ Always   ☐ Never\n"
        "3. A car?\nYes ☐  No ☐\n4. Why? [ ] \n"
    )
    found = fields(imported(tmp_path / "zoo.txt", text))
    assert [f["options"] for f in found.values()] == [
        ["Yes", "No"],
        ["Always", "Never"],
        ["Yes", "No"],
    ]


def test_letters_of_other_scripts_are_marks(tmp_path: Path) -> None:
    text = "١. هل تستأجر منزلك؟\nأ) نعم\nب) لا\n\n٢. ما مدى رضاك؟\n١) راضٍ\n٢) غير راضٍ\n"
    found = fields(imported(tmp_path / "rtl.txt", text))
    assert found["Q1"]["options"] == ["نعم", "لا"]
    assert found["Q2"]["options"] == ["راضٍ", "غير راضٍ"]
    russian = fields(imported(tmp_path / "ru.txt", "Q1. Снимаете жильё?\nа) Да\nб) Нет\n"))
    assert russian["Q1"]["options"] == ["Да", "Нет"]


@pytest.mark.slow
def test_two_hundred_questions(tmp_path: Path) -> None:
    text = "".join(f"Q{n}. Is {n} a lot?\n1. Yes\n2. No\n" for n in range(1, 201))
    found = fields(imported(tmp_path / "zoo.txt", text))
    assert len(found) == 200
    assert found["Q200"]["question"] == "Is 200 a lot?"


def test_tables() -> None:
    listed = Grid("t", (("Code", "Answer"), ("1", "Yes"), ("2", "No")))
    assert options_in(listed) == [("1", "Yes"), ("2", "No")]
    laid_out = Grid("t", (("Q1.", "Do you?\nReally?", "1. Yes\n2. No"),))
    lines = lines_of(laid_out)
    assert lines is not None
    texts = [one.text for one in lines if isinstance(one, Line)]
    assert texts == ["Q1. Do you?", "Really?", "1. Yes", "2. No"]
    marks = Grid("t", (("", "Good (1)", "Bad (2)"), ("a. Zoo", "○", "○"), ("b. Park", "", "")))
    battery = battery_of(marks)
    assert battery is not None
    assert [(c.code, c.text) for c in battery.choices] == [("1", "Good"), ("2", "Bad")]
    assert [(i.code, i.text) for i in battery.items] == [("a", "Zoo"), ("b", "Park")]
    assert battery_of(Grid("t", (("Name", "Town", "Job"), ("Ann", "Rome", "cook")))) is None


def test_tables_made_of_spaces(tmp_path: Path) -> None:
    text = """POLL
1) Do you shop here?
     Yes ..... 1
     No ...... 2
2) [IF YES AT 1] How satisfied are you with:
                     Very   Fairly  Not
   a. Prices          1       2      3
   b. Staff           1       2      3
3) Which have you bought? (CODE ALL)
   Bread 1
   Milk 2
4) How old are you?
   18 to 34
   35 to 64
"""
    found = fields(imported(tmp_path / "shop.txt", text))
    assert list(found) == ["Q1", "Q2_a", "Q2_b", "Q3", "Q4"]
    assert found["Q2_a"]["battery"] == "How satisfied are you with:"
    assert found["Q2_a"]["question"] == "Prices"
    assert found["Q2_b"]["options"] == ["Very", "Fairly", "Not"]
    assert found["Q2_b"]["codes"] == ["1", "2", "3"]
    assert found["Q2_b"]["routing"] == "IF YES AT 1"
    assert found["Q3"]["options"] == ["Bread", "Milk"]
    assert found["Q3"]["codes"] == ["1", "2"]
    assert found["Q4"]["options"] == ["18 to 34", "35 to 64"]  # numbers that are no codes


def test_a_question_in_the_corner_of_its_table(tmp_path: Path) -> None:
    corner = "| Q3. Do you trust... | A lot | Not |"
    text = f"{corner}\n|---|---|---|\n| The army | ○ | ○ |\n| Us | ○ | ○ |\n"
    found = fields(imported(tmp_path / "zoo.md", text))
    assert list(found) == ["Q3_1", "Q3_2"]
    assert found["Q3_2"]["battery"] == "Do you trust..."


def test_chinese_numbers_letters_and_brackets(tmp_path: Path) -> None:
    text = """社区调查
1、您是否赞成这项提案？
A. 赞成
B. 反对
2、您多久去一次公园？ A. 每天 B. 每周 C. 很少
3、您使用哪些交通工具？（多选）
A. 汽车
B. 公交 🚌
"""
    found = fields(imported(tmp_path / "zh.txt", text))
    assert found["Q1"]["options"] == ["赞成", "反对"]
    assert found["Q2"]["options"] == ["每天", "每周", "很少"]
    assert found["Q2"]["question"] == "您多久去一次公园？"
    assert found["Q3"]["select_all"] == "yes"


def test_codes_behind_brackets_and_points_on_a_line(tmp_path: Path) -> None:
    text = """Q1. Are things going well?
Yes ............... 1
No ................ 2
(VOL) Not sure .... 9
Q2. Etes-vous d'accord ?
1 - Oui
2 - Non
(NSP) 9
Q3. How satisfied are you? (1 = not at all, 5 = completely)
1 2 3 4 5
Q4. A quel point, sur une échelle de 0 à 10 ?
Q5. How likely, on a scale of 0 (certainly not) to 10 (certainly)?
"""
    found = fields(imported(tmp_path / "poll.txt", text))
    assert found["Q1"]["options"] == ["Yes", "No", "Not sure"]
    assert found["Q1"]["codes"] == ["1", "2", "9"]
    assert found["Q2"]["codes"] == ["1", "2", "9"]
    assert found["Q3"]["options"] == ["1", "2", "3", "4", "5"]
    assert len(found["Q4"]["options"]) == 11
    assert len(found["Q5"]["options"]) == 11


def test_items_with_ids_of_their_own(tmp_path: Path) -> None:
    text = """| Q7. How much do you trust these? | A lot | Not |
|---|---|---|
| Q7a The army | ○ | ○ |
| Q7b The press | ○ | ○ |
"""
    found = fields(imported(tmp_path / "zoo.md", text))
    assert list(found) == ["Q7a", "Q7b"]
    assert found["Q7b"]["question"] == "The press"


def test_questions_as_headings(tmp_path: Path) -> None:
    first = "# Poll\n## How is the mayor?\n- Good\n- Poor\n"
    text = f"{first}## The parks\n## Do you vote?\n- Yes\n- No\n"
    found = fields(imported(tmp_path / "poll.md", text))
    assert [f["question"] for f in found.values()] == ["How is the mayor?", "Do you vote?"]
    assert [f["block"] for f in found.values()] == ["Poll", "The parks"]


def test_a_long_paragraph_is_read_in_no_time(tmp_path: Path) -> None:
    long = "word and " * 3000
    text = f"{long}\n\nQ1. Too high? {long}\n1. Yes\n2. No\n\n{long}\n"
    begun = time.process_time()
    imported(tmp_path / "long.txt", text)
    assert time.process_time() - begun < 5


def test_where_an_option_leads_is_no_part_of_it(tmp_path: Path) -> None:
    text = """Q1. Do you vote?

| Code | Answer |
|---|---|
| 1 | Always |
| 2 | Never → Q3 |

Q2. Why?
1. I must -> END
2. I like it
"""
    found = fields(imported(tmp_path / "zoo.md", text))
    assert found["Q1"]["options"] == ["Always", "Never"]
    assert found["Q1"]["codes"] == ["1", "2"]
    assert "Q3" in found["Q1"]["note"]
    assert found["Q2"]["options"] == ["I must", "I like it"]
