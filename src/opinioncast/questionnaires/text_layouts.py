"""Tables that hold a questionnaire row by row: number, question, answers, filter.

The columns are told by their heads, in the languages questionnaires are often written in; without
the heads of question and answers a table is read in other ways. Each answer may have a row of its
own, with its code beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from opinioncast.questionnaires.line_options import options_of, slashed_of
from opinioncast.questionnaires.option_rows import OptionColumns, Row, questions_of
from opinioncast.questionnaires.text_lines import Grid, Line, is_routing

Columns = dict[str, tuple[int, ...]]
"""What is in which columns of a table."""

_HEADS = {
    "number": r"(?:q(?:uestion)?|item|var(?:iable)?|frage(?:n)?)?[\s._-]*"
    r"(?:no|nr|num|number|nummer|id|#|n°|nº|code|name|label)\.?|#|q|var(?:iable)?|item|№",
    "question": r"(?:survey\s+)?questions?(?:\s*(?:text|wording))?|(?:question\s+)?wording|"
    r"fragen?(?:text|wortlaut)?|pregunta|vraag|(?:texte\s+de\s+la\s+)?question|domanda|pergunta|"
    r"fråga|spørgsmål|spørsmål|pytanie|вопрос|السؤال|سؤال|שאלה|问题|問題|質問|soru",
    "answers": r"(?:answer|response|reply)?\s*(?:options?|answers?|responses?|categor(?:y|ies)|"
    r"choices|scale|codes?\s*(?:list|frame))(?:\s*\(.*\))?|"
    r"(?:option|answer|response|choice)\s+(?:texts?|labels?)|antwort(?:en|möglichkeiten|optionen|"
    r"kategorien|vorgaben)?|skala|réponses?|modalités|respuestas?|opciones(?:\s+de\s+respuesta)?|"
    r"antwoord(?:en|opties)?|risposte?|respostas?|opções|svar(?:s?alternativ|muligheder)?|"
    r"odpowiedzi?|ответы?|варианты\s+ответов?|الإجابات?|الاجابات|الخيارات|תשובות|选项|選項|答案|"
    r"選択肢|cevaplar|seçenekler",
    "routing": r"filter|routing|ask(?:ed)?\s*(?:if|of|to)?|base|conditions?|universe|"
    r"(?:skip\s+)?logic|relevant|filtro|filtre|bedingung|show\s+if|display\s+(?:if|logic)",
    "kind": r"(?:question|answer|response)?\s*(?:type|format)|frage(?:n)?typ|typ|tipo",
    "block": r"section|block|module|topic|theme|thema|rubrik|bloque|sección",
}
_PATTERNS = {name: re.compile(pattern, re.I) for name, pattern in _HEADS.items()}
_CODE_HEAD = re.compile(
    r"(?:option|answer|response|value|category|antwort)?[\s._-]*"
    r"(?:codes?|values?|ids?|no|nr|num(?:ber)?|#|werte?|valor|valeur|código)\.?",
    re.I,
)
_LABEL_HEAD = re.compile(
    r"(?:value|code|answer|option|response|category)?[\s._-]*(?:labels?|texts?|descriptions?)", re.I
)
_TWO_WAYS = "[options in one cell and in rows of their own]"
_NUMBERED = re.compile(
    r"(?:option|answer|response|choice|code|antwort(?:option)?|réponse|opción|respuesta|antwoord)"
    r"[\s._-]*(?:\d{1,2}|[A-Za-z])(?:\s*text)?",
    re.I,
)
_SEVERAL = re.compile(
    r"multi\w*|m\.?[ar]\.?|check\s*box(?:es)?|check\s*all|tick\s*all|mehrfach\w*|múltiple|multiple",
    re.I,
)
_EVERYONE = re.compile(
    r"(?:ask\s+)?(?:all|everyone|every\s*body|alle|tous|todos|tutti|[-–—/]+|n/?a)\.?", re.I
)


def rows_of_layout(grid: Grid, places: Sequence[str] = ()) -> list[Line | Grid] | None:
    """The lines of a table with a question in each row; None where its heads do not say so.

    Args:
        places: of the rows in the file, where it is not a table's place and the row's number.
    """
    heads = ((n, found) for n, row in enumerate(grid.rows[:3]) if (found := _columns(row)))
    start, columns = next(heads, (0, None))
    if columns is None:
        return None
    rows: Sequence[Row] = [
        (places[n - 1] if places else f"{grid.where}, row {n}", cells)
        for n, cells in enumerate(grid.rows[start + 1 :], start=start + 2)
    ]
    made: list[Line | Grid] = []
    asked = 0
    rows, columns = _one_a_question(rows, columns)
    for place, cells in rows:
        lines = _lines_of(place, cells, columns)
        if "number" not in columns:
            asked += any(not one.heading for one in lines)
            lines = [replace(e, label=f"Q{asked}") if e.named else e for e in lines]
        made += lines
    return made


def _head(cell: str) -> str:
    """A column's head as words: "option_text" as "Option text"."""
    return " ".join(cell.replace("_", " ").split()).strip(" :*")


def _columns(row: tuple[str, ...]) -> Columns | None:
    """What each column holds, where one holds questions and another one answers."""
    columns: Columns = {}
    for place, cell in enumerate(row):
        words = _head(cell)
        for name, pattern in _PATTERNS.items():
            if name not in columns and pattern.fullmatch(words):
                columns[name] = (place,)
                break
        else:
            if _NUMBERED.fullmatch(words):
                columns["answers"] = (*columns.get("answers", ()), place)
    if "question" not in columns:
        return None
    (question,) = columns["question"]
    beyond = [(k, _head(c)) for k, c in enumerate(row) if k > question]
    if codes := [k for k, words in beyond if _CODE_HEAD.fullmatch(words)][:1]:
        columns["code"] = tuple(codes)
        labels = [k for k, words in beyond if k > codes[0] and _LABEL_HEAD.fullmatch(words)]
        if labels and "answers" not in columns:
            columns["answers"] = tuple(labels[:1])
    return columns if "answers" in columns else None


def _one_a_question(rows: Sequence[Row], columns: Columns) -> tuple[Sequence[Row], Columns]:
    """The rows with those of one question together, a line for each option with its code."""
    plain = {name: places for name, places in columns.items() if name != "code"}
    (question,), answers, code = columns["question"], columns["answers"], columns.get("code", ())
    width = max((len(cells) for _, cells in rows), default=0)
    if len(answers) > 1 or width <= max(question, *answers, *code):
        return rows, plain
    even = [
        (place, (*(c.strip() for c in cells), *[""] * (width - len(cells))))
        for place, cells in rows
    ]
    apart = OptionColumns(question, answers[0], code, _is_one, "\n")
    groups = questions_of(even, apart)
    if all(len(group) == 1 for group in groups):
        return rows, plain
    if plain.get("number") == code:
        del plain["number"]
    made: list[Row] = []
    for group in groups:
        place, cells = group[0]
        if len(group) > 1 and apart.several(group):
            cells = _with(cells, answers[0], _TWO_WAYS)
        elif len(group) > 1:
            if code and all(row[code[0]] for _, row in group if row[answers[0]]):
                group = [
                    (
                        p,
                        _with(
                            c, answers[0], f"{c[code[0]]}. {c[answers[0]]}" if c[answers[0]] else ""
                        ),
                    )
                    for p, c in group
                ]
            place, cells = apart.joined(group)
        made.append((place, cells))
    return made, plain


def _with(cells: tuple[str, ...], column: int, text: str) -> tuple[str, ...]:
    return (*cells[:column], text, *cells[column + 1 :])


def _is_one(cell: str) -> bool:
    """Whether a cell is one option: "Yes, definitely" is, "Yes, no, maybe" may be three."""
    parts = options_in_cell(cell)
    return len(parts) < 2 or (len(parts) == 2 and parts == _between_commas(cell))


def _lines_of(place: str, cells: tuple[str, ...], columns: Columns) -> list[Line]:
    """A row's question: who is asked, its label and wording, how it is answered, its options."""

    def cell(name: str) -> str:
        places = [p for p in columns.get(name, ()) if p < len(cells)]
        return "\n".join(filter(None, (cells[p].strip() for p in places)))

    wording, answers = " ".join(cell("question").split()), cell("answers")
    if not wording:
        filled = [" ".join(c.split()) for c in cells if c.strip()]
        return [Line(place, filled[0], heading=True)] if len(filled) == 1 else []
    made = [Line(place, cell("block"), heading=True)] if cell("block") else []
    routing = " ".join(cell("routing").split())
    if routing and not _EVERYONE.fullmatch(routing):
        made.append(Line(place, f"[{routing}]" if is_routing(routing) else f"[Ask if: {routing}]"))
    name = cell("number").rstrip(".:) ")
    label = f"Q{name}" if name.isdecimal() else re.sub(r"\s+", "_", name)
    made.append(Line(place, wording, label=label, named=bool(label) or "number" not in columns))
    if kind := " ".join(cell("kind").split()):
        several = "multiple response: " if _SEVERAL.fullmatch(kind) else ""
        made.append(Line(place, f"[{several}{kind}]"))
    options = options_in_cell(answers)
    if len(options) > 1:
        return made + [Line(place, o, bulleted=True) for o in options]
    return made + [Line(place, f"[{o}]") for o in options]


def options_in_cell(cell: str) -> list[str]:
    """The options written into one cell: a line each, or between semicolons, bars or slashes."""
    lines = [line.strip() for line in cell.split("\n") if line.strip()]
    if len(lines) != 1:
        return lines
    (line,) = lines
    if (coded := options_of(Line("", line), None)) and len(coded) > 1:
        return [f"{code}. {text}" if code else text for code, text in coded]
    if parts := slashed_of(line):
        return parts
    commas = _between_commas(line)
    return commas if len(commas) > 1 and all(len(p.split()) <= 4 for p in commas) else lines


def _between_commas(line: str) -> list[str]:
    return [p.strip() for p in re.split(r"\s*[,،、，]\s*", line) if p.strip()]
