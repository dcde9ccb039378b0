"""The rule for labels that read like missing answers, on whole variables and files."""

from __future__ import annotations

import html

import polars as pl
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.readers import read_wave
from opinioncast.readers.file_labels import FileLabels, stands_apart
from opinioncast.readers.labels import Sort, clean_label, folded, reading
from opinioncast.readers.missing_answers import MissingRule, judge
from opinioncast.survey import Missing

LANGUAGES = {
    "en": (["Agree", "Neither", "Disagree"], "Don't know", "Refused", "No answer"),
    "de": (["Stimme zu", "Weder noch", "Lehne ab"], "Weiß nicht", "Verweigert", "Keine Angabe"),
    "fr": (["D'accord", "Ni l'un", "Pas d'accord"], "Ne sait pas", "Refus", "Sans réponse"),
    "es": (["De acuerdo", "Ni sí ni no", "En desacuerdo"], "No sabe", "Rechazo", "No contesta"),
    "it": (["D'accordo", "Né l'uno né l'altro", "Contrario"], "Non so", "Rifiuta", "Non risponde"),
    "pl": (["Zgadzam się", "Ani tak", "Nie zgadzam"], "Nie wiem", "Odmowa", "Brak odpowiedzi"),
    "pt": (["Concordo", "Nem uma coisa", "Discordo"], "Não sabe", "Recusa", "Não respondeu"),
    "nl": (["Mee eens", "Geen van beide", "Mee oneens"], "Weet niet", "Weigert", "Geen antwoord"),
    "sv": (["Instämmer", "Varken", "Inte"], "Vet ej", "Vägrar", "Ej svar"),
}  # fmt: skip
REASONS = (Missing.DONT_KNOW, Missing.REFUSED, Missing.NO_ANSWER)


RATHER_NOT = {
    "en": "Prefer not to say",
    "de": "Möchte ich nicht sagen",
    "fr": "Préfère ne pas répondre",
    "es": "Prefiero no decirlo",
    "it": "Preferisco non rispondere",
    "pl": "Wolę nie odpowiadać",
    "pt": "Prefiro não dizer",
    "nl": "Zeg ik liever niet",
}


def written(text: str, how: str, code: int = 0) -> str:
    """A label as an export may have it."""
    return {
        "boxed": f"[{code}] {text}",
        "coded": f"{code} {text}",
        "web": f"<b>{html.escape(text)}</b>",
        "not read out": f"VOLUNTEERED: {text}",
        "plain": text,
        "upper": text.upper(),
        "lower": text.lower(),
        "acute": text.replace("'", "´"),
        "curly": text.replace("'", "’"),
        "mojibake": text.replace("'", "’").encode().decode("cp1252", "ignore")
        if all(b not in text.replace("'", "’").encode() for b in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
        else text,
        "star": f"{text}*",
        "padded": f"  {text} .",
    }[how]


def decide(texts, counts=None, about="", file=None, rule=None, settled=None):
    texts = {float(c): clean_label(t, float(c)) for c, t in texts.items()}
    counts = counts or dict.fromkeys(texts, 10)
    return judge(
        "q",
        texts,
        counts,
        settled or {},
        about=about,
        file=lambda: file or FileLabels(),
        rule=rule or MissingRule(1.0),
    )


@settings(max_examples=400)
@given(
    language=st.sampled_from(sorted(LANGUAGES)),
    how=st.sampled_from(
        ["plain", "upper", "lower", "acute", "curly", "mojibake", "star", "padded", "boxed",
         "coded", "web", "not read out"]
    ),
    first=st.sampled_from([0, 1]),
    options=st.integers(2, 7),
    places=st.sampled_from([(8, 9, 10), (97, 98, 99), (-3, -2, -1), (77, 88, 99), (997, 998, 999)]),
)  # fmt: skip
def test_label_sets_in_nine_languages(language, how, first, options, places):
    """Apart from the answers each reads as its reason, and the answers as none. (Oracle: the table
    above, not the word list.)"""
    words, *gone = LANGUAGES[language]
    answers = {first + i: words[i % 3] + " " * (i // 3) + str(i // 3 or "") for i in range(options)}
    if places[0] > 0 and first + options >= places[0]:
        return
    texts = answers | {c: written(t, how, c) for c, t in zip(places, gone, strict=True)}
    result = decide(texts)
    assert result.missing == {float(c): r for c, r in zip(places, REASONS, strict=True)}
    assert not result.undecided


@pytest.mark.parametrize("language", sorted(RATHER_NOT))
def test_who_prefers_not_to_say_is_missing_even_in_the_run(language):
    answers = dict(enumerate(LANGUAGES[language][0], start=1))
    for how in ("plain", "upper", "coded", "web"):
        result = decide(answers | {4: written(RATHER_NOT[language], how, 4)})
        assert result.missing == {4.0: Missing.REFUSED}


def test_answers_that_nobody_explains_are_left_out_only_if_they_are_few(tmp_path):
    for first, counts in ((20, "few"), (90, "most")):
        frame = pl.DataFrame({"q": [1.0] * 30 + [2.0] * 30 + [5.0] * first})
        labels = {"q": {1.0: "Good", 2.0: "Fair", 3.0: "Bad"}}
        pyreadstat.write_sav(frame, str(tmp_path / "f.sav"), variable_value_labels=labels)
        texts = frame["q"].replace_strict({1.0: "good", 2.0: "fair", 5.0: "GOOD"})
        pl.DataFrame({"q": texts}).write_csv(tmp_path / "f.csv")
        book = tmp_path / "book.yaml"
        book.write_text("q: {codes: [good, fair], options: [Good, Fair]}", "utf-8")
        waves = [
            read_wave(tmp_path / "f.sav", family="T", wave="1"),
            read_wave(tmp_path / "f.csv", family="T", wave="1", codebook=book),
        ]
        for wave in waves:
            undecided = wave.variables["q"].undecided
            assert bool(undecided) == (counts == "most")
            assert not undecided or ("60.0%" in undecided and "limit: 0.61" in undecided)
        kept = read_wave(
            tmp_path / "f.sav", family="T", wave="1", missing=MissingRule(0.61)
        ).variables["q"]
        assert not kept.undecided


@settings(max_examples=200)
@given(
    texts=st.dictionaries(st.integers(-9, 12), st.text(min_size=1, max_size=20), max_size=8),
    counts=st.dictionaries(st.integers(-9, 12), st.integers(0, 50), max_size=8),
    limit=st.floats(0, 1),
)
def test_whatever_the_labels_every_decision_is_accounted_for(texts, counts, limit):
    """No code is both; shares are those of the counts; a moved code has a decision."""
    numbers = {float(c): n for c, n in counts.items()}
    result = decide(texts, numbers, rule=MissingRule(limit))
    total = sum(numbers.values())
    told = {d.code: d for d in result.decisions}
    assert set(result.missing) <= set(told)
    for d in result.decisions:
        assert d.n == numbers.get(d.code, 0)
        assert d.share == pytest.approx(d.n / total if total else 0)
        assert (d.taken_as in ("answer", "undecided")) == (d.code not in result.missing)


@settings(max_examples=300)
@given(
    word=st.sampled_from(
        ["Refused", "Restricted", "Not available", "Skipped", "No response", "Not applicable",
         "Error", "Missing", "Blank", "Suppressed"]
    ),
    place=st.integers(0, 3),
    others=st.lists(
        st.sampled_from(["Accepted", "Planned", "Late", "Banned", "Legal", "A letter", "Correct"]),
        min_size=3, max_size=3, unique=True,
    ),
)  # fmt: skip
def test_in_the_run_of_the_answers_a_doubtful_word_is_an_answer(word, place, others):
    labels = [*others[:place], word, *others[place:]]
    result = decide(dict(enumerate(labels, start=1)))
    assert result.missing == {}
    assert [d.taken_as for d in result.decisions] == ["answer"]


def test_the_file_decides_where_the_variable_cannot():
    yes = {1.0: "Yes", 2.0: "No", 3.0: "Refused"}
    alone = FileLabels.of({"a": yes}, {})
    assert decide(yes, file=alone).missing == {}
    declared = FileLabels.of({"a": yes, "b": yes}, {"b": [(3.0, 3.0)]})
    assert decide(yes, file=declared).missing == {3.0: Missing.REFUSED}
    many = {f"v{i}": {1.0: f"One {i}", 2.0: f"Two {i}", 3.0: "Refused"} for i in range(3)}
    assert decide(yes, file=FileLabels.of(many, {})).missing == {3.0: Missing.REFUSED}
    battery = {f"v{i}": yes for i in range(9)}  # one question asked of nine things
    assert decide(yes, file=FileLabels.of(battery, {})).missing == {}


def test_evidence_both_ways_is_a_persons_to_decide():
    texts = {1: "Accepted", 2: "Not offered", 9: "Refused"}
    result = decide(texts, about="Did you accept or refuse the vaccine?")
    assert result.missing == {}
    assert "may be an answer or a missing one" in result.undecided
    assert decide(texts, about="Vaccination status").missing == {9.0: Missing.REFUSED}
    assert decide(texts, settled={9.0: None}, about="Did you refuse?").undecided == ""


def test_offered_and_volunteered_dont_knows():
    seven = {i: f"Point {i}" for i in range(1, 8)}
    assert decide(seven | {8: "Can't choose", 9: "No answer"}).missing == {
        8.0: Missing.DONT_KNOW,
        9.0: Missing.NO_ANSWER,
    }
    assert decide({1: "Yes", 2: "No", 3: "Don't know"}).missing == {}
    assert decide({1: "Yes", 2: "No", 3: "DK"}).missing == {3.0: Missing.DONT_KNOW}
    assert decide({1: "Yes", 2: "No", 3: "Don't know (VOL.)"}).missing == {3.0: Missing.DONT_KNOW}
    assert decide({1: "Don't know", 2: "Yes", 3: "No"}).missing == {}
    assert decide({1: "Yes", 2: "No", 3: "Not sure"}).missing == {}
    assert decide({1: "Yes", 2: "No", 3: "DON'T KNOW", 4: "REFUSED"}).missing == {
        3.0: Missing.DONT_KNOW,
        4.0: Missing.REFUSED,
    }
    # a file that keeps its off-scale answers at 999
    kept = {
        "a": {1.0: "Yes", 2.0: "No", 999.0: "Haven't heard enough"},
        "b": {1.0: "Yes", 2.0: "No", 999.0: "I would not have done this"},
        "c": {1.0: "Yes", 2.0: "No", 999.0: "Don't know"},
    }
    assert decide(kept["c"], file=FileLabels.of(kept, {})).missing == {}


def test_where_codes_stand():
    def far(codes, said=()):
        texts = {float(c): "x" for c in codes}
        marks = {c: reading("Refused") if c in said else None for c in texts}
        return stands_apart(texts, marks, [])

    assert far([1, 2, 3, 8, 9], {8, 9}) == {8.0, 9.0}
    assert far([0, 1, 2, -1], {-1}) == {-1.0}
    assert far([-2, -1, 0, 1, 2]) == set()
    assert far([1, 2, 3, 4], {4}) == set()
    texts = {0.0: "Low", 10.0: "High", 98.0: "Refused"}
    said = {c: reading(t) for c, t in texts.items()}
    assert stands_apart(texts, said, [float(i) for i in range(11)]) == {98.0}


@pytest.mark.parametrize(
    ("label", "reason", "sort"),
    [
        ("Missing: Other", Missing.UNKNOWN, Sort.CERTAIN),
        ("Not asked in survey", Missing.NOT_ASKED, Sort.CERTAIN),
        ("NAP, other countries", Missing.NOT_ASKED, Sort.CERTAIN),
        ("Refused [DNR]", Missing.REFUSED, Sort.DOUBTFUL),
        ("NSP / Refus", Missing.NO_ANSWER, Sort.CERTAIN),
        ("I'd rather not say", Missing.REFUSED, Sort.CERTAIN),
        ("Не знаю", Missing.DONT_KNOW, Sort.DONT_KNOW),
        ("わからない", Missing.DONT_KNOW, Sort.DONT_KNOW),
        ("Don\ufffdt know", Missing.DONT_KNOW, Sort.DONT_KNOW),
        ("Neither (VOL)", None, None),
        ("Refused recontact", None, None),
        ("No", None, None),
    ],
)
def test_readings(label, reason, sort):
    found = reading(label)
    assert (found and found.reason, found and found.sort) == (reason, sort)
    assert folded("DON´T KNOW") == folded("don’t know")


def test_a_subset_of_columns_is_decided_as_the_whole_file(tmp_path):
    labels = {f"q{i}": {1.0: f"One {i}", 2.0: "Two", 3.0: "Refused"} for i in range(4)}
    frame = pl.DataFrame({n: [1.0, 2.0, 3.0] for n in labels})
    pyreadstat.write_sav(frame, str(tmp_path / "f.sav"), variable_value_labels=labels)
    whole = read_wave(tmp_path / "f.sav", family="T", wave="1")
    part = read_wave(tmp_path / "f.sav", family="T", wave="1", columns=["q0"])
    assert whole.variables["q0"] == part.variables["q0"]
    assert part.variables["q0"].missing == {3.0: Missing.REFUSED}
    assert part.meta["missing_decisions"][0]["share"] == pytest.approx(1 / 3)
    assert any('"Refused" (3) taken as refused' in n for n in part.meta["notes"])


def test_brackets_abbreviations_and_customary_pairs():
    gone = {8.0: Missing.DONT_KNOW, 9.0: Missing.REFUSED}
    assert decide({1: "D'accord", 2: "Pas d'accord", 8: "(NSP)", 9: "[Refus]"}).missing == gone
    assert decide({1: "Yes", 2: "No", 8: "No opinion", 9: "Refused"}).missing == gone
    assert decide({1: "Yes", 2: "No", 8: "No opinion"}).missing == {}
    assert decide({1: "Sí", 2: "A veces", 98: "NS", 99: "NC"}).missing == {
        98.0: Missing.DONT_KNOW,
        99.0: Missing.NO_ANSWER,
    }
    states = {26: "MT", 27: "NC", 28: "ND", 29: "NE"}
    assert decide(states).missing == {}
    assert decide({1: "Yes", 2: "No", 3: "Decline to answer"}).missing == {3.0: Missing.REFUSED}


def test_a_label_of_the_recipe_that_is_nowhere_is_said(tmp_path):
    frame = pl.DataFrame({"q": [1.0, 2.0, 9.0] * 5, "r": [1.0] * 15})
    labels = {"q": {1.0: "Yes", 2.0: "No", 9.0: "Refused"}, "r": {1.0: "Nem tudja"}}
    pyreadstat.write_sav(frame, str(tmp_path / "f.sav"), variable_value_labels=labels)
    rule = MissingRule.of({"labels": {"Refusd": "answer", "Nem tudja": "don't know"}})
    wave = read_wave(tmp_path / "f.sav", family="T", wave="1", columns=["q"], missing=rule)
    found = [n for n in wave.meta["notes"] if "does not have" in n]
    assert len(found) == 1
    assert 'refusd (like it: "refused")' in found[0]
    assert "nem tudja" not in found[0]
