"""The page: self-contained, worded so that it cannot be misread, nothing that may not be shown."""

from __future__ import annotations

import base64
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from opinioncast.evaluate.compare import paired_test
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evidence.worth import Worth
from opinioncast.report import page
from opinioncast.report.answers_chart import answers_chart
from opinioncast.report.figure_files import save_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.page import PageFigure, write_page
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

WOMEN = Subpopulation((("SEX", "Female"),))
QUESTIONS = [Question(f"q{i}", f"Question <{i}>?", ("No", "Yes"), (0, 1)) for i in range(4)]
OBSERVED = OpinionTable.from_rows([opinion_row(q, WOMEN, [0.69, 0.31], n=400) for q in QUESTIONS])


def scored(share: float) -> CellScores:
    return score_cells(
        OBSERVED,
        PredictionTable.from_rows(
            [opinion_row(q, WOMEN, [1 - share, share]) for q in QUESTIONS[:3]]
        ),
    )


def text_of(path: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", path.read_text("utf-8")).split())


def write(path: Path, scores: CellScores, **more: object) -> str:
    cards: dict[str, object] = {"model_card": {"Model": "m"}, "data_card": {"Survey": "s"}}
    write_page(path, scores, title="T", chart=Figure(), **cards, **more)  # type: ignore[arg-type]
    return text_of(path)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.36, "% of the way from uniform guess to the sampling noise"),
        (0.8, "worse than a uniform guess, by 1"),
        (0.31, "all of the way from uniform guess to the sampling noise and beyond"),
    ],
)
def test_skill_reads_well(tmp_path: Path, share: float, words: str) -> None:
    text = write(tmp_path / "p.html", scored(share))
    assert words in text
    assert not re.search(r"-\d+%", text)
    assert ("no better than guessing uniformly" in text) == (share == 0.8)


def test_the_worst_questions_are_shown_and_equals_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_QUESTIONS", 4)
    predicted = {0: 0.3, 1: 0.9, 2: 0.5, 3: 0.9, 4: 0.1, 5: 0.2}
    asked = [Question(f"q{i}", f"Is it {i}?", ("No", "Yes"), (0, 1)) for i in predicted]
    observed = [opinion_row(q, WOMEN, [0.69, 0.31], n=400) for q in asked]
    guessed = [opinion_row(q, WOMEN, [1 - predicted[i], predicted[i]]) for i, q in enumerate(asked)]
    scores = score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(guessed))
    text = write(tmp_path / "p.html", scores)
    assert re.findall(r"Is it (\d)\?", text) == ["1", "3", "4", "2"]


def test_page_holds_comparison_figures_and_what_is_missing(tmp_path: Path) -> None:
    ours, other = scored(0.3), scored(0.6)
    text = write(
        tmp_path / "p.html",
        ours,
        comparison=("zero-shot", paired_test(ours, other)),
        figures=[PageFigure("Is it steered?", Figure(), "alt words", "Words on it.")],
        human_bound=0.02,
    )
    assert "the model's distance is 0.280 smaller" in text
    assert "human lower bound" in text
    assert "Is it steered? Words on it." in text
    assert "observed, not predicted: 1, not in the averages (q3 SEX=Female)" in text
    html = (tmp_path / "p.html").read_text("utf-8")
    assert "Question &lt;0&gt;?" in html
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "31%" in text


def test_withheld_shares_are_not_on_the_page(tmp_path: Path) -> None:
    text = write(tmp_path / "p.html", scored(0.4), withheld="The terms say so.")
    assert "The terms say so." in text
    assert "31%" not in text
    assert "69%" not in text
    assert "0.090" in text  # the distance


def test_only_the_worst_questions_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_QUESTIONS", 2)
    text = write(tmp_path / "p.html", scored(0.4))
    assert "The 2 worst of 3 questions" in text


def test_the_page_opens_with_answers_and_worth(tmp_path: Path) -> None:
    worth = Worth(3.47, 2.4, math.inf, 1.33, 1.0, 2.0, 30, 10)
    text = write(tmp_path / "p.html", scored(0.36), answers=Figure(), worth=worth)
    order = [
        "Model output, not survey data",
        "In respondents: worth about 3.5 respondents",
        "What was predicted, and what people answered",
        "How near",
        "3.5 respondents a group",
        "mean Wasserstein distance",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "95% over questions 2.4 to as near as can be told" in text
    assert "published k-hat 1.3" in text


def test_shares_stand_with_their_intervals(tmp_path: Path) -> None:
    rows = [opinion_row(QUESTIONS[0], WOMEN, [0.6, 0.4], low=[0.4, 0.2], high=[0.8, 0.6])]
    scores = score_cells(OBSERVED, PredictionTable.from_rows(rows))
    text = write(tmp_path / "p.html", scores)
    assert "60% [40-80]" in text
    assert "The 90% intervals hold 100% of the observed shares; they are ±20 points" in text


HOSTILE = "a\x1b]52;c;YQ==\x07\x00\u202e <script>&"


def hostile_scores() -> CellScores:
    group = Subpopulation((("SEX", HOSTILE),))
    questions = [
        Question(f"q{i}", f"Asked {HOSTILE}?", (HOSTILE, "[/b]"), (0, 1)) for i in range(3)
    ]
    observed = OpinionTable.from_rows([opinion_row(q, group, [0.7, 0.3], n=400) for q in questions])
    predicted = [opinion_row(q, group, [0.5, 0.5]) for q in questions]
    return score_cells(observed, PredictionTable.from_rows(predicted))


@pytest.mark.slow
def test_figures_are_xml_whatever_a_group_is_called(tmp_path: Path) -> None:
    scores = hostile_scores()
    chart = group_chart(scores, model=HOSTILE, title=HOSTILE)
    (svg,) = (p for p in save_figure(chart, tmp_path / "groups") if p.suffix == ".svg")
    text = " ".join(ElementTree.parse(svg).getroot().itertext())
    assert r"\u001b]52;c;YQ==\u0007\u0000\u202e" in text
    answers = answers_chart(scores.frame)
    path = write_page(
        tmp_path / "page.html",
        scores,
        title=HOSTILE,
        chart=chart,
        answers=answers,
        model_card={HOSTILE: HOSTILE},
        data_card={"Survey": HOSTILE},
    )
    page = path.read_text("utf-8")
    figures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(figures) == 1 + (answers is not None)
    for figure in figures:
        ElementTree.fromstring(base64.b64decode(figure))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    assert "<script" not in page


@pytest.mark.slow
def test_equal_scores_give_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        scores = scored(0.36)
        chart = group_chart(scores, model="m", title="t")
        pages.append(
            write_page(
                tmp_path / f"{name}.html",
                scores,
                title="T",
                chart=chart,
                answers=answers_chart(scores.frame),
                model_card={},
                data_card={},
            ).read_bytes()
        )
    assert pages[0] == pages[1]
    figure = base64.b64decode(re.findall(rb"base64,([^\"]+)", pages[0])[0])
    assert b"<dc:date>" not in figure
