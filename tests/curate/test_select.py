"""Selection: a wave made so that every reason occurs, filters against ballots, and GSS 2018."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.filters import find_filters, routing_words
from opinioncast.curate.select import (
    Reason,
    Selection,
    SelectionFile,
    SelectionSettings,
    read_selection,
    select,
    shared_uncertainty,
)
from opinioncast.curate.subjects import subject_of
from opinioncast.errors import InputError
from opinioncast.readers import gss
from opinioncast.readers.microdata import read_wave
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.wave import Design, Missing, Variable, Wave

N = 600
INAP, DK = -1.0, -8.0
MEN, WOMEN = Subpopulation((("SEX", "Male"),)), Subpopulation((("SEX", "Female"),))


def question(name: str, k: int = 3, label: str = "", wording: str = "Do you agree?") -> Variable:
    codes = tuple(float(i) for i in range(1, k + 1))
    return Variable(
        name,
        label=label or f"opinion on {name}",
        wording=wording,
        codes=codes,
        options=tuple(f"option {i}" for i in range(1, k + 1)),
        missing={INAP: Missing.NOT_ASKED, DK: Missing.DONT_KNOW},
    )


def make_wave(columns: dict[str, np.ndarray], variables: list[Variable]) -> Wave:
    frame = pl.DataFrame({k: v.astype(float) for k, v in columns.items()})
    design = Design(weight="wt") if "wt" in columns else Design()
    return Wave("TEST", "1", frame, {v.name: v for v in variables}, design)


@pytest.fixture(scope="module")
def everything() -> tuple[Wave, np.ndarray]:
    rng = np.random.default_rng(7)

    def answers(k: int = 3) -> np.ndarray:
        return rng.integers(1, k + 1, N).astype(float)

    gate, ballot, sex = answers(2), answers(3), answers(2)
    good = answers()
    few = np.full(N, DK)
    few[:40] = answers()[:40]
    columns = {
        "good": good,
        "twin": good.copy(),
        "gate": gate,
        "followup": np.where(gate == 1, answers(), INAP),
        "rotated": np.where(ballot == 1, INAP, answers()),
        "rotated_followup": np.where((gate == 1) & (ballot != 2), answers(), INAP),
        "ballot": ballot,
        "gender_role": np.where(rng.random(N) < 0.97, sex, 3 - sex),
        "sex": sex,
        "long": answers(11),
        "short": answers(1),
        "silent": answers(),
        "gone": np.full(N, DK),
        "same": np.full(N, 2.0),
        "few": few,
        "wt": rng.random(N),
        "school": answers(),
        "quiz": answers(2),
        "story": answers(),
    }
    variables = [
        question("good"),
        question("twin"),
        question("gate", 2),
        question("followup"),
        question("rotated"),
        question("rotated_followup"),
        question("ballot"),
        question("gender_role", 2),
        question("sex", 2),
        question("long", 11),
        question("short", 1),
        question("silent", wording=" "),
        question("gone"),
        question("same"),
        question("few"),
        question("wt"),
        question("school", label="highest year of school completed"),
        question("story", wording="Should NAME see a doctor?"),
        question("quiz", 2, label="sci knowledge: electrons are small"),
    ]
    masks = np.stack([sex == 1, sex == 2], axis=1)
    return make_wave(columns, variables), masks


def run(everything: tuple[Wave, np.ndarray], **options: object) -> Selection:
    wave, masks = everything
    given = {"group_variables": ["sex"], **options}
    return select(wave, masks=masks, subpopulations=(MEN, WOMEN), **given)  # type: ignore[arg-type]


def test_every_reason_is_given(everything: tuple[Wave, np.ndarray]) -> None:
    selection = run(everything)
    reasons = dict(selection.report.select("variable", "reason").iter_rows())
    assert reasons == {
        "good": Reason.KEPT,
        "twin": Reason.IDENTICAL,
        "gate": Reason.KEPT,
        "followup": Reason.FILTERED,
        "rotated": Reason.KEPT,
        "rotated_followup": Reason.FILTERED,
        "ballot": Reason.ADMINISTRATIVE,
        "gender_role": Reason.FOLLOWS_FROM_GROUP,
        "sex": Reason.GROUP_VARIABLE,
        "long": Reason.TOO_MANY_OPTIONS,
        "short": Reason.TOO_FEW_OPTIONS,
        "silent": Reason.NO_WORDING,
        "gone": Reason.REDACTED,
        "same": Reason.CONSTANT,
        "few": Reason.TOO_FEW_RESPONDENTS,
        "wt": Reason.ADMINISTRATIVE,
        "school": Reason.DEMOGRAPHIC,
        "quiz": Reason.KNOWLEDGE,
        "story": Reason.OPEN_FILL,
    }
    assert selection.kept == ("good", "gate", "rotated")
    details = dict(selection.report.select("variable", "detail").iter_rows())
    assert "good" in details["twin"]
    assert "gate = 2 option 2" in details["followup"]
    assert "100% of the others" in details["followup"]
    assert "gate = 2 option 2" in details["rotated_followup"]
    assert "SEX" in details["gender_role"]
    dropped = selection.report.filter(~pl.col("kept"))
    assert (dropped["detail"].str.len_chars() > 0).all()


def test_a_group_too_small_everywhere_drops_the_question(
    everything: tuple[Wave, np.ndarray],
) -> None:
    selection = run(everything, settings=SelectionSettings(min_group_n=N))
    assert selection.kept == ()
    reasons = dict(selection.report.select("variable", "reason").iter_rows())
    assert reasons["good"] == Reason.TOO_FEW_IN_GROUPS


def test_selection_file_decides_but_cannot_make_a_question(
    everything: tuple[Wave, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "selection.yaml"
    path.write_text("keep: {followup: wanted, gone: wanted}\ndrop: {good: sponsor's}\n")
    selection = run(everything, decided=read_selection(path))
    rows = {r["variable"]: r for r in selection.report.iter_rows(named=True)}
    assert selection.kept == ("gate", "followup", "rotated")
    assert rows["good"]["reason"] == Reason.FORCED_DROP
    assert rows["good"]["detail"] == "sponsor's"
    assert rows["followup"]["detail"].startswith("wanted; else: asked only of some")
    assert "cannot keep it" in rows["gone"]["detail"]
    with pytest.raises(InputError, match="does not have"):
        run(everything, decided=SelectionFile(keep={"nobody": ""}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keep: [a]", "unknown layout"),
        ("kept: {a: b}", "unknown layout"),
        ("{", "is not valid YAML"),
        ("keep: {a: x}\ndrop: {a: y}", "keeps and drops"),
    ],
)
def test_bad_selection_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "selection.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_selection(path)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="max_options"):
        SelectionSettings(max_options=27)
    with pytest.raises(InputError, match="max_association"):
        SelectionSettings(max_association=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 0.9))
def test_random_ballots_are_never_filters(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    ballot = rng.random(500) < share
    columns = {f"q{i}": rng.integers(1, 6, 500).astype(float) for i in range(12)}
    columns |= {
        f"b{i}": np.where(ballot == (i % 2 == 0), rng.integers(1, 4, 500), INAP) for i in range(6)
    }
    names = list(columns)
    wave = make_wave(columns, [question(n, 5) for n in names])
    assert find_filters(wave, names, names) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 0.8), st.booleans())
def test_a_filter_is_found_with_or_without_a_ballot(seed: int, share: float, rotate: bool) -> None:
    rng = np.random.default_rng(seed)
    gate = np.where(rng.random(800) < share, 1.0, 2.0)
    asked = (gate == 1) & (~rotate | (rng.random(800) < 0.6))
    columns = {
        "other": rng.integers(1, 6, 800).astype(float),
        "gate": gate,
        "child": np.where(asked, rng.integers(1, 4, 800), INAP),
    }
    wave = make_wave(columns, [question(n, 5) for n in columns])
    found = find_filters(wave, list(columns), list(columns))
    assert list(found) == ["child"]
    assert (found["child"].parent, found["child"].codes) == ("gate", (2.0,))
    assert found["child"].excluded == (gate == 2).sum()
    assert found["child"].asked_otherwise == pytest.approx(asked.sum() / (gate == 1).sum())


def test_a_wave_a_person_was_not_in_is_not_a_filter() -> None:
    rng = np.random.default_rng(3)
    gone = rng.random(600) < 0.3
    columns = {
        "completed": np.where(gone, 2.0, 1.0),
        "post": np.where(gone, -6.0, rng.integers(1, 4, 600)),
    }
    post = Variable(
        "post", codes=(1, 2, 3), options=("a", "b", "c"), missing={-6.0: Missing.NOT_IN_WAVE}
    )
    wave = make_wave(columns, [question("completed", 2), post])
    assert find_filters(wave, ["post"], ["completed"]) == {}


@pytest.mark.parametrize(
    ("wording", "routed"),
    [
        ("IF YES: Do any of those persons supervise anyone else?", True),
        ("(ASK IF MARRIED) How happy is your marriage?", True),
        ('(If "Self-employed") Do you have any employees?', True),
        ("If you were asked to use one of four names, which would it be?", False),
        ("Do you agree? IF NECESSARY: repeat.", False),
        ("Tell me if you agree.", False),
    ],
)
def test_routing_words(wording: str, routed: bool) -> None:
    assert bool(routing_words(wording)) == routed


def test_shared_uncertainty_by_hand() -> None:
    assert shared_uncertainty(np.array([[10.0, 0], [0, 30]])) == pytest.approx(1)
    assert shared_uncertainty(np.array([[10.0, 20], [5, 10]])) == pytest.approx(0, abs=1e-12)
    assert shared_uncertainty(np.array([[3.0, 1], [0, 0]])) == 0
    # rows 1/2, 1/2; columns 1/2, 1/2; cells 3/8, 1/8, 1/8, 3/8: 1 - H(3/4) in bits
    expected = 1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)
    assert shared_uncertainty(np.array([[3.0, 1], [1, 3]])) == pytest.approx(expected)


@pytest.mark.slow
def test_gss_2018(shared_data: Path) -> None:
    """Codebook questions are lost only to true filters and to 11-point scales."""
    folder = shared_data / "gss"
    wave = read_wave(
        folder / "gss_2018.zsav",
        family="GSS",
        wave="2018",
        codebook=folder / "codebook_gss_2018.json",
        wording=folder / "wording_gss_2018.json",
        design=gss.design(2018),
        conventions=gss.CONVENTIONS,
        respondent_id="id",
    )
    men, women = (wave.respondents["sex"].to_numpy() == c for c in (1, 2))
    report = select(wave, masks=np.stack([men, women], axis=1), subpopulations=(MEN, WOMEN)).report
    assert report["variable"].to_list() == list(wave.variables)
    names = [e["variable"] for e in json.loads((folder / "codebook_gss_2018.json").read_text())]
    rows = {r["variable"]: r for r in report.iter_rows(named=True)}
    dropped = {n: rows[n]["reason"] for n in names if not rows[n]["kept"]}
    filtered = {n for n, reason in dropped.items() if reason == Reason.FILTERED}
    assert filtered == {
        "hapmar", "jobfind", "popespks", "richwork", "abfelegl", "abmelegl", "buyesop", "company",
        "esopnot", "trdunion",
    }  # fmt: skip
    assert set(dropped) - filtered == {"lifein5", "lifenow", "trbigbus", "trcourts"}
    for name, reason in {
        "sexnow": Reason.FOLLOWS_FROM_GROUP,
        "wtssall": Reason.ADMINISTRATIVE,
        "ballot": Reason.ADMINISTRATIVE,
        "spdeg": Reason.DEMOGRAPHIC,
        "if12who": Reason.FILTERED,
        "electron": Reason.KNOWLEDGE,
    }.items():
        assert rows[name]["reason"] == reason


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("should homosexuals serve in u.s. armed forces", ""),
        ("years in armed forces", "demographic"),
        ("whom does r prefer for u.s. house (ballot card)", ""),
        ("ballot used for interview", "administrative"),
        ("would you say the respondent's health is good", "administrative"),
        ("sexual orientation", "demographic"),
        ("sex of sex partners in last year", ""),
        ("relationship of person 1 to head of household", "demographic"),
        ("how dangerous r thinks person 1 is", ""),
    ],
)
def test_subjects_by_label(label: str, kind: str) -> None:
    assert subject_of(Variable("q", label=label))[0] == kind
