"""The bootstrap against a plain loop over replicates with the same draws, and against Taylor."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from opinioncast.curate import bootstrap as module
from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.bootstrap import WaveQuestions, resample_psus, resample_respondents
from opinioncast.errors import DataError, InputError
from opinioncast.survey import Design, Missing, Question, Subpopulation, Variable, Wave

WOMEN = Subpopulation((("SEX", "Female"),))
MEN = Subpopulation((("SEX", "Male"),))
SIZES = {"a": 2, "b": 4}
WEIGHTED = Design("w")


def _wave(
    name: str, n: int, seed: int, design: Design = WEIGHTED, ids: list[int] | None = None
) -> WaveQuestions:
    rng = np.random.default_rng(seed)
    psu = rng.integers(0, 2, n).astype(float)
    columns = {
        "w": rng.lognormal(size=n),
        "h": rng.integers(0, 6, n).astype(float),
        "j": psu,
        "id": np.array(ids if ids is not None else range(n), dtype=float),
    } | {
        q: np.where(rng.random(n) < 0.3, -1.0, (rng.integers(0, k, n) + psu) % k + 1.0)
        for q, k in SIZES.items()
    }
    variables, questions = {}, []
    for q, k in SIZES.items():
        options = tuple(f"option {i}" for i in range(k))
        codes = tuple(i + 1.0 for i in range(k))
        variables[q] = Variable(q, "", "", codes, options, missing={-1.0: Missing.NOT_ASKED})
        questions.append((Question(q, f"{q}?", options), q))
    respondent_id = None if ids is None else "id"
    wave = Wave("TEST", name, pl.DataFrame(columns), variables, design, respondent_id)
    women = rng.random(n) < 0.5
    return WaveQuestions(wave, questions, np.stack([women, ~women], axis=1))


def _plain_shares(asked: WaveQuestions, g: int, counts: np.ndarray) -> list[float]:
    """Appendix D for one replicate, respondent by respondent."""
    frame = asked.wave.respondents
    shares = []
    for name, size in SIZES.items():
        sums = [0.0] * size
        for i in range(frame.height):
            answer = frame[name][i]
            if asked.masks[i, g] and answer > 0:
                sums[int(answer) - 1] += counts[i] * frame["w"][i]
        shares += [s / sum(sums) for s in sums]
    return shares


def test_equals_a_plain_loop_with_the_same_draws() -> None:
    asked = _wave("1", 40, seed=1)
    for g, drawn in enumerate(resample_respondents([asked], [WOMEN, MEN], replicates=20, seed=7)):
        members = np.flatnonzero(asked.masks[:, g])
        rng = module._generator(7, drawn.subpopulation)
        for r in range(20):
            people = members[rng.integers(0, len(members), len(members))]
            counts = np.bincount(people, minlength=40)
            assert drawn.shares[r] == pytest.approx(_plain_shares(asked, g, counts))


def test_a_person_is_drawn_with_the_answers_of_all_waves() -> None:
    first = _wave("1", 30, seed=2, ids=list(range(30)))
    second = _wave("2", 30, seed=3, ids=[*range(50, 60), *range(20)])
    only_women = [WaveQuestions(w.wave, w.questions, w.masks[:, :1]) for w in (first, second)]
    (drawn,) = resample_respondents(only_women, [WOMEN], replicates=5, seed=3)
    ids = [w.wave.respondents["id"].to_numpy() for w in (first, second)]
    persons = list(dict.fromkeys([*ids[0].tolist(), *ids[1].tolist()]))  # in order of appearance
    women = {i for w, x in zip((first, second), ids, strict=True) for i in x[w.masks[:, 0]]}
    group = [p for p in persons if p in women]
    rng = module._generator(3, WOMEN)
    for r in range(5):
        draws = rng.integers(0, len(group), len(group))
        times = dict(zip(group, np.bincount(draws, minlength=len(group)), strict=True))
        expected = [
            share
            for w, x in zip((first, second), ids, strict=True)
            for share in _plain_shares(w, 0, np.array([times.get(i, 0) for i in x]))
        ]
        assert drawn.shares[r] == pytest.approx(expected)
    assert [q.wave for q in drawn.questions] == ["1", "1", "2", "2"]


def test_does_not_depend_on_chunks_nor_on_other_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _wave("1", 40, seed=4)
    women, men = resample_respondents([asked], [WOMEN, MEN], replicates=50, seed=1)
    monkeypatch.setattr(module, "_CELLS", 70)
    reversed_masks = WaveQuestions(asked.wave, asked.questions, asked.masks[:, ::-1])
    men_again, women_again = resample_respondents(
        [reversed_masks], [MEN, WOMEN], replicates=50, seed=1
    )
    np.testing.assert_allclose(women.shares, women_again.shares, rtol=1e-12)
    np.testing.assert_allclose(men.shares, men_again.shares, rtol=1e-12)
    other, _ = resample_respondents([asked], [WOMEN, MEN], replicates=50, seed=2)
    assert not np.allclose(women.shares, other.shares)


def _taylor(asked: WaveQuestions) -> np.ndarray:
    table = aggregate(asked.wave, asked.questions, [WOMEN, MEN], asked.masks).table.frame
    rows = table.filter(pl.col("group") == "Female")["se"].to_list()
    return np.concatenate(rows)


def test_spread_of_respondent_replicates_is_the_linearised_error() -> None:
    asked = _wave("1", 600, seed=5)
    women, _ = resample_respondents([asked], [WOMEN, MEN], replicates=3000)
    np.testing.assert_allclose(women.shares.std(axis=0), _taylor(asked), rtol=0.08)


def test_spread_of_psu_replicates_is_the_design_based_error() -> None:
    """Also with two PSUs per stratum, where drawing n_h instead of n_h - 1 would halve it."""
    asked = _wave("1", 600, seed=6, design=Design("w", "h", "j"))
    women, _ = resample_psus([asked], [WOMEN, MEN], replicates=4000)
    np.testing.assert_allclose(women.shares.std(axis=0), _taylor(asked), rtol=0.1)


def test_a_group_of_which_nobody_is_drawn_has_no_shares() -> None:
    asked = _wave("1", 30, seed=8)
    masks = asked.masks.copy()
    masks[:, 1] = False
    _, men = resample_respondents(
        [WaveQuestions(asked.wave, asked.questions, masks)], [WOMEN, MEN], replicates=3
    )
    assert men.shares.shape == (3, 6)
    assert np.isnan(men.shares).all()


def test_requests_that_cannot_be_resampled() -> None:
    asked = _wave("1", 30, seed=9)
    with pytest.raises(InputError, match="No wave"):
        list(resample_respondents([], [WOMEN]))
    with pytest.raises(InputError, match="replicates"):
        list(resample_respondents([asked], [WOMEN, MEN], replicates=0))
    with pytest.raises(InputError, match="no strata and no PSUs"):
        list(resample_psus([asked], [WOMEN, MEN]))
    with pytest.raises(InputError, match="policy"):
        list(resample_psus([asked], [WOMEN, MEN], lonely_psu="adjust"))
    twice = _wave("1", 30, seed=9, ids=[1, *range(1, 30)])
    with pytest.raises(DataError, match="ids are missing or appear twice"):
        list(resample_respondents([twice], [WOMEN, MEN]))
