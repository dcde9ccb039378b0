"""Labels as institutions write them."""

import pytest

from opinioncast.readers.labels import clean_label, is_cut, missing_reason, says_dont_know
from opinioncast.survey import Missing


@pytest.mark.parametrize(
    ("label", "code", "clean"),
    [
        ("1. Very likely", 1, "Very likely"),
        ("-9. Refused", -9, "Refused"),
        ("06. R wanted to stop", 6, "R wanted to stop"),
        ("05.ballot card not shown", 5, "ballot card not shown"),
        ("1. Inap, R did not select TV", -1, "Inap, R did not select TV"),
        ("(3) Agree", 3, "Agree"),
        ("1 = Yes", 1, "Yes"),
        ("2-3 times", 2, "2-3 times"),
        ("2.5 hours", 2, "2.5 hours"),
        ("4. Fewer", 5, "4. Fewer"),
        ("0", 0, "0"),
        ("[1] Ja", 1, "Ja"),
        ("[-1] keine Angabe", -1, "keine Angabe"),
        ("[2] Ja", 1, "[2] Ja"),
        ("9 Refused", 9, "Refused"),
        ("8 Refused", 9, "8 Refused"),
        ("1 child", 1, "1 child"),
        ("Don&#39;t know", 8, "Don't know"),
        ("<strong>A &amp; B</strong>", 1, "A & B"),
        ("< 30", 1, "< 30"),
        ("  Very   likely ", 1, "Very likely"),
    ],
)
def test_code_prefixes_are_taken_off_only_where_they_are_the_code(label, code, clean):
    assert clean_label(label, code) == clean


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("Refused", Missing.REFUSED),
        ("Refused (by IWR)", Missing.REFUSED),
        ("VOLUNTEERED: REFUSED", Missing.REFUSED),
        ("[DNR] Refused", Missing.REFUSED),
        ("N/A", Missing.NOT_ASKED),
        ("NA", Missing.NO_ANSWER),
        ("REFUSED", Missing.REFUSED),
        ("No Answer", Missing.NO_ANSWER),
        ("SKIPPED ON WEB", Missing.NO_ANSWER),
        ("skipped", Missing.NO_ANSWER),
        ("No answer (.n)", Missing.NO_ANSWER),
        ("inapplicable, legitimate skip", Missing.NOT_ASKED),
        ("Inapplicable (.i)", Missing.NOT_ASKED),
        ("IAP", Missing.NOT_ASKED),
        ("NA: Form 1", Missing.NOT_ASKED),
        ("not asked", Missing.NOT_ASKED),
        ("Interview breakoff (sufficient partial IW)", Missing.NOT_ASKED),
        ("No post-election interview", Missing.NOT_IN_WAVE),
        ("Not asked, unit nonresponse (no post-election interview)", Missing.NOT_IN_WAVE),
        ("Technical error", Missing.UNKNOWN),
        ("restricted access", Missing.UNKNOWN),
        ("Missing", Missing.UNKNOWN),
        ("Don't know/Refused (VOL.)", Missing.NO_ANSWER),
    ],
)
def test_a_whole_label_says_why_an_answer_is_missing(label, reason):
    assert missing_reason(label, declared=False) is reason
    assert missing_reason(label, declared=True) is reason


@pytest.mark.parametrize(
    "label",
    [
        "Should be allowed to refuse services",
        "Refused recontact",
        "Soft refusal - too busy",
        "Dk/RF whether voted already",
        "Not asked to show an ID",
        "not correctly answered",
        "Don't know",
        "Not sure",
        "Unfamiliar (N/A)",
        "I did not have the correct form of identification",
        "Error-prone voting machines",
        "other information services",
    ],
)
def test_answers_that_mention_such_words_stay_answers(label):
    assert missing_reason(label, declared=False) is None


def test_whom_somebody_knows_is_an_answer():
    for label in ("I do not know anyone with it", "Don't know any of them", "Don't know him"):
        assert not says_dont_know(label)
    for label in ("Don't know enough", "I don't know the answer", "Don't know about it"):
        assert says_dont_know(label)


def test_declared_codes_are_read_loosely():
    assert missing_reason("DON’T KNOW", declared=True) is Missing.DONT_KNOW
    assert missing_reason("Haven't thought much about this", declared=True) is Missing.DONT_KNOW
    assert missing_reason("DK/RF in V201124 or V201125", declared=True) is Missing.NO_ANSWER
    assert missing_reason("Missing: soft refusal", declared=True) is Missing.REFUSED
    assert missing_reason("allowed to refuse services", declared=True) is None
    assert says_dont_know("Don’t know (don't know where to rate)")
    assert not says_dont_know("I know nothing of it")


def test_labels_of_eighty_characters_count_as_cut():
    assert is_cut("x" * 80)
    assert is_cut("é" * 40)
    assert not is_cut("x" * 79)
    assert not is_cut("x" * 81)
