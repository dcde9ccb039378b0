from __future__ import annotations

from datetime import date
from pathlib import Path

from opinioncast.report.disclosure import Parties, disclosure_card, write_card
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

RENT = Question("rent", "Limit rents?", ("Favor", "Oppose"), (1, 2), family="GSS", wave="2018")
DAY = date(2026, 1, 2)


def _predictions(**meta) -> PredictionTable:
    row = opinion_row(RENT, Subpopulation(), [0.5, 0.5], model="m", method="x")
    return PredictionTable.from_rows([row], meta)


def test_eleven_items_in_aapors_order_and_what_does_not_apply_is_said() -> None:
    card = disclosure_card(_predictions(), today=DAY)
    assert [i.number for i in card.items] == [str(n) for n in range(1, 12)]
    assert [i.heading.split()[0] for i in card.items] == [
        *("Data", "Who", "Measurement", "Population", "Method", "Methods", "Dates", "Sample"),
        *("How", "How", "Limitations"),
    ]
    for place in (4, 5, 7, 8):
        assert card.items[place].text.startswith("Does not apply")
    assert "Not recorded" in card.items[1].text
    assert "never measured" in card.items[7].text
    assert "2026-01-02" in card.items[6].text
    assert card.notice.startswith("Model predictions. No one was interviewed")
    assert len(card.themes) == 5
    assert card.themes[3].text.startswith("None recorded")


def test_what_is_known_is_told(tmp_path: Path) -> None:
    table = _predictions(
        evidence=["pilot.sav"],
        population_frame={"population": "US adults", "year": "2018"},
        worth={"all cells": {"questions": 40, "words": "about 3.5 respondents"}},
    )
    card = disclosure_card(
        table, parties=Parties("The _Trust_", "A & B", "Ada", "a@b.c"), today=DAY
    )
    assert "pilot.sav" in card.items[0].text
    assert "US adults" in card.items[8].text
    assert "about 3.5 respondents" in card.items[7].text
    assert "Ada" in card.themes[3].text
    text = write_card(card, tmp_path / "card.md").read_text("utf-8")
    assert text.startswith("# Disclosure card")
    assert "The \\_Trust\\_" in text  # a name is no markup
    assert text.index("1 Data") < text.index("11 Limitations")


def test_a_surveys_card_has_its_source_weights_and_sizes() -> None:
    row = opinion_row(RENT, Subpopulation(), [0.5, 0.5], n=400)
    meta = {"citation": "Smith 2018", "waves": [{"weights": {"w": {}}, "respondents": 2348}]}
    card = disclosure_card(OpinionTable.from_rows([row], meta), today=DAY)
    assert card.notice == ""
    assert "GSS 2018" in card.items[0].text
    assert "Smith 2018" in card.items[1].text
    assert "2348 respondents" in card.items[7].text
    assert card.items[8].text == "Weight: w."


def test_synthetic_records_are_called_that() -> None:
    card = disclosure_card(_predictions(), synthetic="1000 records, seed 3.", today=DAY)
    assert card.notice.startswith("Synthetic records")
    assert "seed 3" in card.items[9].text
