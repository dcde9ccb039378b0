"""Small tables of surveys for the tests of the library."""

from __future__ import annotations

from collections.abc import Sequence

from opinioncast.survey import OpinionTable, Question, Subpopulation, opinion_row

EVERYONE = Subpopulation()
WOMEN = Subpopulation((("SEX", "Female"),))
MEN = Subpopulation((("SEX", "Male"),))


def question(
    name: str,
    wave: str,
    text: str = "",
    options: Sequence[str] = ("Favor", "Oppose"),
    family: str = "GSS",
) -> Question:
    scale = tuple(float(i) for i in range(1, len(options) + 1))
    return Question(name, text or f"Do you favor {name}?", tuple(options), scale, family, wave)


def table(*rows: tuple[Question, Subpopulation, Sequence[float], int]) -> OpinionTable:
    made = [
        opinion_row(q, group, shares, n=n, n_eff=n / 2, refusal_rate=0.0, se=[0.02] * len(shares))
        for q, group, shares, n in rows
    ]
    meta = {"citation": "Made up.", "terms": "free", "redistribution": "group-level"}
    return OpinionTable.from_rows(made, meta)


def pistols() -> OpinionTable:
    """One question in three years, another in one."""
    text = "Would you favor or oppose a law that requires a permit for guns?"
    rows = [
        (question("guns", year, text), group, [share, 1 - share], 400)
        for year, base in (("1998", 0.8), ("2008", 0.75), ("2018", 0.7))
        for group, share in ((EVERYONE, base), (WOMEN, base + 0.1), (MEN, base - 0.1))
    ]
    other = question("whales", "2018", "Should whales be protected by treaty?", ("Yes", "No"))
    return table(*rows, (other, EVERYONE, [0.9, 0.1], 300))
