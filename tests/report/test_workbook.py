"""The workbook as a second program finds it: its XML, and its values read by calamine."""

from __future__ import annotations

import re
import zipfile
from datetime import date
from pathlib import Path

import fastexcel
import pytest

from opinioncast.banners.build import prediction_banner, survey_banner
from opinioncast.banners.settings import BannerSettings
from opinioncast.report.disclosure import disclosure_card
from opinioncast.report.report import Report, chosen_formats
from opinioncast.report.workbook import WorkbookSettings, write_workbook
from opinioncast.survey import (
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    opinion_row,
)

TOTAL = Subpopulation()
WOMEN, MEN = (Subpopulation((("SEX", g),)) for g in ("Female", "Male"))
NASTY = Question(
    "=1+1",
    '=HYPERLINK("http://x","is it?") \x1b[31m Are rents too high? 租金太高了吗？',
    ("=cmd|' /C calc'!A0", "-2+3", "http://example.com", "18-29"),
    (1, 2, 3, 4),
)


def _survey() -> OpinionTable:
    return OpinionTable.from_rows(
        opinion_row(NASTY, s, p, n=n, n_eff=float(n), refusal_rate=0.05)
        for s, p, n in (
            (TOTAL, [0.285, 0.215, 0.497, 0.003], 400),
            (WOMEN, [0.5, 0.2, 0.3, 0.0], 120),
            (MEN, [0.2, 0.2, 0.6, 0.0], 20),
        )
    )


def _predictions() -> PredictionTable:
    return PredictionTable.from_rows(
        opinion_row(NASTY, s, p, low=[0.1] * 4, high=[0.6] * 4, model="m", method="x")
        for s, p in ((TOTAL, [0.25, 0.25, 0.25, 0.25]), (WOMEN, [0.4, 0.2, 0.2, 0.2]))
    )


def _write(path: Path, *, stacked: bool = False, predicted: bool = False, **kwargs) -> Path:
    table: OpinionTable | PredictionTable
    if predicted:
        table = _predictions()
        banner = prediction_banner(table, BannerSettings(), **kwargs)
    else:
        table = _survey()
        banner = survey_banner(table, BannerSettings(), **kwargs)
    card = disclosure_card(table, today=date(2026, 1, 2))
    return write_workbook(banner, card, path, WorkbookSettings(stacked=stacked))


def _parts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as book:
        return {n: book.read(n).decode("utf-8") for n in book.namelist()}


def _cells(path: Path, sheet: str) -> list[list]:
    frame = fastexcel.read_excel(path).load_sheet(sheet, header_row=None).to_polars()
    return [list(row) for row in frame.iter_rows()]


@pytest.mark.parametrize("predicted", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
def test_no_text_is_a_formula_or_a_link_out(tmp_path: Path, stacked: bool, predicted: bool) -> None:
    parts = _parts(_write(tmp_path / "b.xlsx", stacked=stacked, predicted=predicted))
    sheets = {n: t for n, t in parts.items() if n.startswith("xl/worksheets/")}
    assert not any("<f>" in t for t in sheets.values())
    assert not any("http://example.com" in t for t in sheets.values())
    assert "\x1b" not in "".join(parts.values())
    assert "租金" in parts["xl/sharedStrings.xml"]


def test_predictions_say_so_on_every_sheet_and_in_the_properties(tmp_path: Path) -> None:
    path = _write(tmp_path / "b.xlsx", predicted=True)
    for name in fastexcel.read_excel(path).sheet_names:
        said = " ".join(str(v) for row in _cells(path, name) for v in row)
        assert "Model output, not survey data" in said, name
    parts = _parts(path)
    for name, text in parts.items():
        if name.startswith("xl/worksheets/sheet"):
            assert "<oddHeader>" in text
            assert "Model output, not survey data" in text.split("<oddHeader>")[1]
    assert "Model output, not survey data" in parts["docProps/core.xml"]
    assert "Model output, not survey data" in parts["docProps/custom.xml"]


def test_figures_are_numbers_rounded_half_up_and_small_bases_hidden(tmp_path: Path) -> None:
    path = _write(tmp_path / "b.xlsx")
    rows = _cells(path, "T1")
    named = {row[0]: row for row in rows if row[0]}
    assert named["=cmd|' /C calc'!A0"][1:4] == ["0.29", "0.5", "**"]  # mixed columns read as text
    assert named["18-29"][1] == "0.003"  # shown as <0.5% by its format
    net = next(row for label, row in named.items() if label.startswith("Top 2"))
    assert net[1] == "0.5"  # 28.5 + 21.5, not 29 + 22
    assert named["Unweighted base"][1:4] == ["400", "120", "20"]
    assert any("Letters" in str(label) for label in named)
    assert named["Refused (of all asked)"][1] == "0.05"
    text = _parts(path)["xl/styles.xml"]
    assert "&lt;0.5%" in text


def test_contents_lead_there_and_back(tmp_path: Path) -> None:
    parts = _parts(_write(tmp_path / "b.xlsx"))
    contents = parts["xl/worksheets/sheet1.xml"]
    assert re.findall(r'location="([^"]+)"', contents) == [
        "'Toplines'!A1",
        "'Disclosure'!A1",
        "'T1'!A1",
    ]
    table = parts["xl/worksheets/sheet3.xml"]
    assert "'Contents'!A1" in table
    assert 'state="frozen"' in table
    assert 'orientation="landscape"' in table
    assert "Print_Titles" in parts["xl/workbook.xml"]


def test_observed_and_difference_stand_below_each_share(tmp_path: Path) -> None:
    rows = _cells(_write(tmp_path / "b.xlsx", predicted=True, observed=_survey()), "T1")
    at = next(i for i, row in enumerate(rows) if row[0] == "=cmd|' /C calc'!A0")
    assert rows[at][1:3] == ["0.25", "0.4"]
    assert rows[at + 1][:3] == ["90% interval", "10–60", "10–60"]
    assert rows[at + 2][:3] == ["observed", "0.29", "0.5"]
    assert rows[at + 3][:3] == ["predicted − observed", "-4", "-10"]


def test_a_run_can_write_one(tmp_path: Path) -> None:
    card, kind = sorted(chosen_formats(["workbook", "disclosure"]), key=lambda k: k.name)
    (file,) = kind.write(Report(_predictions(), _survey()), tmp_path)
    assert file.name == "predictions.xlsx"
    assert "T1" in fastexcel.read_excel(file).sheet_names
    (text,) = card.write(Report(_predictions()), tmp_path)
    assert "Model predictions. No one was interviewed" in text.read_text("utf-8")
    empty = PredictionTable(_predictions().frame.head(0))
    for each in (card, kind):
        assert each.write(Report(empty), tmp_path / "none") == []
