"""Scales: hand-worked lists, published scales, and what may not change one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.curate.ordinality import detect_scale, same_scale
from opinioncast.curate.scale_file import read_scales, scale_of
from opinioncast.errors import InputError
from opinioncast.evaluate.distance import pad, wasserstein
from opinioncast.survey.wave import Variable

CASES = [
    (["Strongly agree", "Agree", "Disagree", "Strongly disagree"], [1, 2, 3, 4]),
    (["Very likely", "Somewhat likely", "Not too likely", "Not at all likely"], [1, 2, 3, 4]),
    (["A great deal", "Only some", "Hardly any"], [1, 2, 3]),
    (["Too little", "About right", "Too much"], [1, 2, 3]),
    (["Major reason", "Minor reason", "Not a reason"], [1, 2, 3]),
    (["Yes", "No"], [1, 2]),
    (["Yes", "No", "Not sure"], [1, 2, -1]),
    (["Favor", "Oppose", "Neither favor nor oppose"], [1, 2, 1.5]),
    (["Better", "Worse", "About the same"], [1, 2, 1.5]),
    (["Better", "About the same", "Worse"], [1, 2, 3]),
    (
        ["Helps a lot", "Helps a bit", "Hurts a bit", "Hurts a lot", "Neither helps nor hurts"],
        [1, 2, 3, 4, 2.5],
    ),
    (["Try to be helpful", "Looking out for themselves", "Depends"], [1, 2, -1]),
    (["Obedience", "Self-reliance", "Both", "Neither"], [1, 2, -1, -1]),
    (["0 - No trust", *map(str, range(1, 10)), "10 - Complete trust"], list(range(1, 12))),
    (["Less than 3 months", "3 months to less than 1 year", "1 to 5 years"], [1, 2, 3]),
    (["Every day", "Once a week", "Once a month", "Never"], [1, 2, 3, 4]),
    (["65+", "18-24", "< 18", "25-64"], [4, 2, 1, 3]),
    (["unter 18", "65 und älter", "18 bis 24", "25 bis 64"], [1, 4, 2, 3]),
    (["25歳以上", "18歳未満", "18-24歳"], [3, 1, 2]),
    (["$100k+", "$75,000-$99,999", "<$75,000"], [3, 2, 1]),
    (["1981 or later", "Before 1946", "1946-1964", "1965-1980"], [4, 1, 2, 3]),
    (["Strong", "Not very strong", "Somewhat strong"], [1, 3, 2]),
    (["Your spouse", "A sibling", "A friend", "Someone else"], [0, 0, 0, 0]),
    (["The economy", "Immigration", "Abortion", "Guns"], [0, 0, 0, 0]),
    (["Certainly true", "Probably true", "I am uncertain", "Probably false", "Certainly false"],
     [1, 2, 3, 4, 5]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), CASES, ids=lambda v: str(v[0]))
def test_hand_worked_lists(options: list[str], expected: list[float]) -> None:
    assert same_scale(detect_scale(options).ordinal, expected)


def test_positions_are_ranks_in_listing_order_and_the_middle_is_the_mean() -> None:
    assert detect_scale(["Better", "Worse", "About the same"]).ordinal == (1.0, 2.0, 1.5)
    assert detect_scale(["Very bad", "Bad", "Good"]).ordinal == (1.0, 2.0, 3.0)
    assert detect_scale(["Very bad", "Bad", "Good"]).direction == "low to high"
    assert detect_scale(["Agree", "Disagree", "Don't know"]).ordinal == (1.0, 2.0, -1.0)
    assert not detect_scale(["Red", "Green", "Blue"]).has_scale


def test_question_decides_where_options_leave_it_open() -> None:
    options = ["Alpha", "Beta", "Gamma"]
    assert detect_scale(options, "How much alphabet is there?").has_scale
    assert not detect_scale(options, "Which of these letters do you like most?").has_scale


@pytest.mark.slow
@given(st.lists(st.text(max_size=30), min_size=1, max_size=12), st.text(max_size=60))
def test_any_list_gets_usable_positions(options: list[str], question: str) -> None:
    scale = detect_scale(options, question)
    assert len(scale.ordinal) == len(options)
    assert all(v == -1 or v >= 0 for v in scale.ordinal)
    assert any(v != -1 for v in scale.ordinal)


@given(st.sampled_from([c[0] for c in CASES]), st.booleans(), st.sampled_from(["", " ", "."]))
def test_case_and_punctuation_do_not_matter(options: list[str], upper: bool, end: str) -> None:
    changed = [(o.upper() if upper else o.lower()) + end for o in options]
    assert detect_scale(changed).ordinal == detect_scale(options).ordinal


@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=6).filter(lambda v: len(set(v)) > 1),
    st.integers(1, 5),
    st.integers(0, 7),
    st.data(),
)
def test_same_scale_means_same_distance(
    scale: list[int], stretch: int, shift: int, data: st.DataObject
) -> None:
    """Scales counted as equal give equal normalised distances (evaluate.distance)."""
    other = [max(scale) * stretch + shift - v * stretch for v in scale]
    assert same_scale(scale, other)
    shares = st.lists(st.integers(1, 20), min_size=len(scale), max_size=len(scale))
    p, q = (pad([[v / sum(x) for v in x]], 0.0) for x in (data.draw(shares), data.draw(shares)))
    first = wasserstein(p, q, pad([[float(v) for v in scale]], float("nan")))
    second = wasserstein(p, q, pad([[float(v) for v in other]], float("nan")))
    assert first == pytest.approx(second)


def test_same_scale_tells_middle_and_off_scale_apart() -> None:
    assert same_scale([1, 2, 1.5], [1, 3, 2])
    assert not same_scale([1, 2, 1.5], [1, 2, 3])
    assert not same_scale([1, 2, -1], [1, 2, 3])
    assert same_scale([1, 1, 1], [0, 0, 0])
    assert not same_scale([1, 1, 1], [1, 2, 3])


def test_no_options_is_an_error() -> None:
    with pytest.raises(InputError, match="needs options"):
        detect_scale([])


def test_scale_file_before_codebook_before_rules(tmp_path: Path) -> None:
    path = tmp_path / "scales.yaml"
    path.write_text(
        "variables: {Q1: [2, 1, 3]}\nlists:\n- {options: [Red, Green], ordinal: [1, -1]}\n"
    )
    decided = read_scales(path)
    q1 = Variable("Q1", codes=(1, 2, 3), options=("a", "b", "c"), ordinal=(1, 2, 3))
    q2 = Variable("Q2", codes=(1, 2), options=("RED", "green"))
    q3 = Variable("Q3", codes=(1, 2, 3), options=("x", "y", "z"), ordinal=(1, 3, 2))
    assert scale_of(q1, decided).ordinal == (2, 1, 3)
    assert scale_of(q1).rule == "codebook"
    assert scale_of(q2, decided).ordinal == (1, -1)
    assert scale_of(q3, decided).ordinal == (1, 3, 2)
    with pytest.raises(InputError, match="does not fit"):
        decided.lookup("Q1", ["a", "b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "unknown layout"),
        ("scales: {}", "unknown layout"),
        ("variables: {Q: [1, x]}", "not a number"),
        ("variables: {Q: [1, -3]}", "not usable"),
        ("lists: [{options: [a, b], ordinal: [1]}]", "one position per option"),
        ("variables: {Q: [1", "is not valid YAML"),
    ],
)
def test_bad_scale_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scales.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_scales(path)
    assert "scales.yaml" in str(caught.value)


def test_published_scales_of_subpop_eval(shared_data: Path) -> None:
    """The three that differ are named: two look like slips, one needs to know the survey."""
    raw = json.loads((shared_data / "gss/subpop_eval_questions.json").read_text())
    wrong = {
        name
        for name, e in raw.items()
        if not same_scale(
            detect_scale(e["option_list"][:-1], e["refined_qbody"]).ordinal, e["ordinal"]
        )
    }
    assert wrong <= {"nataid", "incom16", "getahead"}


def test_published_scales_of_opinionqa(shared_data: Path) -> None:
    lines = (shared_data / "opinionqa/opinionqa_contentious.jsonl").read_text().splitlines()
    rows = {r["qkey"]: r for r in map(json.loads, lines)}
    agree = [
        same_scale(
            detect_scale([o for o in r["options"] if o != "Refused"], r["question"]).ordinal,
            r["ordinal"],
        )
        for r in rows.values()
    ]
    assert sum(agree) / len(agree) > 0.95


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["rich", "2", "3", "4", "5", "6", "poor"], (1, 2, 3, 4, 5, 6, 7)),
        (["first", "second", "third", "fourth", "fifth"], (1, 2, 3, 4, 5)),
        (["rich", "2", "3", "poor"], (0, 0, 0, 0)),  # two numbers are no line yet
    ],
)
def test_numbered_lines_and_ranks(options: list[str], expected: tuple[int, ...]) -> None:
    assert detect_scale(options).ordinal == tuple(map(float, expected))


def test_who_the_question_does_not_concern_is_off_the_scale() -> None:
    assert detect_scale(["yes", "no", "never married"]).ordinal == (1.0, 2.0, -1.0)


LANGUAGES = {
    "es": (["Mucho", "Bastante", "Poco", "Nada"], ["No sabe", "N.S./N.C.", "Sin opinión"]),
    "it": (["Molto", "Abbastanza", "Poco", "Per niente"], ["Non so", "Nessuna opinione"]),
    "de": (["Sehr gut", "Gut", "Schlecht", "Sehr schlecht"], ["Weiß nicht", "Keine Meinung"]),
    "fr": (["Toujours", "Souvent", "Parfois", "Jamais"], ["Ne sait pas", "Sans opinion"]),
    "pt": (["Muito", "Bastante", "Pouco", "Nada"], ["Não sabe", "Sem opinião"]),
    "pl": (["Zawsze", "Często", "Rzadko", "Nigdy"], ["Nie wiem", "Trudno powiedzieć"]),
    "nl": (["Altijd", "Vaak", "Soms", "Nooit"], ["Weet niet", "Geen mening"]),
}


@given(
    st.sampled_from(sorted(LANGUAGES)),
    st.integers(0, 2),
    st.sampled_from([0, 1, 3, 4]),
    st.booleans(),
)
def test_a_dont_know_takes_no_rank_wherever_it_stands(
    language: str, word: int, place: int, falling: bool
) -> None:
    words, unsure = LANGUAGES[language]
    options = words[::-1] if falling else list(words)
    options.insert(place, unsure[word % len(unsure)])
    expected = [1.0, 2.0, 3.0, 4.0]
    expected.insert(place, -1.0)
    assert same_scale(detect_scale(options).ordinal, expected)
