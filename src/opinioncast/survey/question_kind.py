"""What kind of question a wording, its options and its codes make: not all are single choice.

A model is asked to pick one option, and its shares sum to one. A question of which people could
tick several has shares that do not, so it is asked as one yes/no item for each option. A
thermometer with nothing but its ends, a ranking, points to hand out and an open number cannot be
asked so at all: they are refused, with what to ask instead. "Don't know" stands on no scale,
whatever its code.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from opinioncast.errors import InputError
from opinioncast.survey.question import OFF_SCALE, Question
from opinioncast.texts import whole_number

YES_NO = ("Yes", "No")
"""Options of the items that a question with several answers becomes."""

_SEVERAL = re.compile(
    r"""
    (?:^|[.?!:;,(\[—–-]\s*|\b(?:please|and|then|can|may)\s+)  # said to the respondent
        (?:select|check|tick|mark|choose|pick|circle|indicate|name|list)\s+
        (?:(?:as\s+many|all|any|every|each|up\s+to|at\s+most|no\s+more\s+than|a\s+maximum\s+of
        |(?:the\s+|your\s+)?(?:top\s+|up\s+to\s+)?(?:two|three|four|five|six|[2-9]|1\d))\b
        |one\s+or\s+(?:more|several))
    |\b(?:all|any|as\s+many\s+as)\s+(?:of\s+(?:these|them|the\s+following)\s+)?(?:that\s+)?appl(?:y|ies|icable)\b
    |\bmultiple\s+(?:answers?|responses?|selections?|choices?)\s+(?:are\s+)?(?:possible|allowed|accepted|permitted|ok)
    |\b(?:more\s+than\s+one|several)\s+(?:answers?|responses?|options?)\s+(?:is|are|may|can|possible|allowed)
    |\bselect\s+multiple\b|\bmulti[- ]?(?:select|punch|response)\b
    |mehrfach(?:nennung|antwort|auswahl)|mehrere\s+(?:antworten|nennungen)|alle\s+zutreffenden
    |plusieurs\s+(?:réponses|choix)|toutes\s+les\s+réponses|cochez\s+tou
    |(?:marque|seleccione|elija|señale|indique)\s+tod[ao]s|respuestas?\s+múltiples?|múltiples\s+respuestas
    |(?:marque|selecione|assinale)\s+todas|múltipla\s+escolha|respostas\s+múltiplas
    |(?:selezion\w+|indic\w+|segn\w+)\s+tutt[ei]|più\s+(?:di\s+una\s+)?rispost[ae]
    |meerdere\s+antwoorden|flere\s+svar|flera\s+svar|wszystkie\s+pasujące|несколько\s+(?:вариантов|ответов)
    |多选|可选多项|可複選|複選|複数回答|複数選択|あてはまるものすべて|当てはまるものすべて|복수\s*(?:응답|선택)|모두\s*(?:선택|골라)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ONE = re.compile(
    r"\b(?:select|check|mark|choose|pick|tick)\s+(?:only\s+|just\s+)?one\b(?!\s+or\b)|\bone\s+answer\s+only\b",
    re.IGNORECASE,
)
_RANKING = re.compile(
    r"\brank(?:\s+order)?\s+(?:the|these|each|your|them|all|from|in|up)\b|\bin\s+order\s+of\s+(?:importance|preference)\b"
    r"|\border\s+of\s+(?:importance|preference)\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:allocate|distribute|divide|split|assign|spread)\b.{0,40}\b(?:\d+|one\s+hundred|a\s+hundred)\s*"
    r"(?:points?|percent|%|chips|tokens|dollars)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:from|between|scale(?:\s+of)?)\s*:?\s*(?P<low>-?\d{1,9})\s*"
    r"(?:to|and|through|[-–—])\s*(?P<high>\d{1,9})(?!\d)",
    re.IGNORECASE,
)
_THERMOMETER = re.compile(
    r"thermometer|\b(?:very\s+)?(?:cold|cool)\b.{0,60}\bwarm\b", re.IGNORECASE
)
_NUMBER_WANTED = re.compile(
    r"\b(?:how\s+(?:many|much|old|often\s+per|tall|far)|what\s+(?:percent|percentage|number|year|age)|"
    r"in\s+what\s+year|enter\s+(?:a|the)\s+number)\b",
    re.IGNORECASE,
)
_BLANK = re.compile(
    r"^(?:_+|\.{3,}|number|open[- ]?end(?:ed)?|(?:enter|write|specify)\b.*"
    r"|type\s+(?:in|here|your|the|an?)\b.*"  # not "Type 2 diabetes"
    r"|[\[<]\s*(?:[_.…\s]*|(?:enter|type|write|specify|record|fill)\b.*"
    r"|(?:.*\b)?(?:number|text|verbatim|open[- ]?end(?:ed)?|blank|amount|year)(?:\b.*)?)\s*[\]>])$",
    re.I,
)
"""An answer to be written. Brackets alone are none: "[Don't know]" is an answer, not read out."""
_WHOLE = re.compile(r"-?\d+")

_NO_ANSWER = re.compile(
    r"""^\W*(?:
    (?:i\s+|i'm\s+|am\s+|really\s+)*(?:do\s*n[o']?t|dont|can(?:no|')?t|cannot|not)\s+(?:really\s+)?(?:know|sure|say|certain|choose|decide|guess|applicable|ascertained)(?:\s*/.*|\s*\(.*|\s+enough.*|\s+what.*|\s+about.*)?
    |(?:no|without\s+an?|have\s+no|haven'?t\s+(?:got\s+)?an?)\s+(?:opinion|answer|response|idea|view)(?:\s*/.*|\s*\(.*)?
    |haven'?t\s+(?:heard|thought)\b.*|never\s+(?:heard|thought)\b.*|don'?t\s+have\s+an?\s+opinion.*
    |unsure|undecided|uncertain|unknown|dk|d/?k|n/?a|na|dk/(?:na|ref\w*|nr)|dk\s*/\s*refused|ref|rf|refused?|refusal|refused\s+to\s+.*|decline[ds]?(?:\s+to\s+.*)?|skipped|skip|missing|web\s+blank
    |(?:i\s+)?prefer\s+not\s+to\s+.*|(?:i'd\s+|would\s+)?rather\s+not\s+.*|hard\s+to\s+say.*|difficult\s+to\s+say.*|can'?t\s+say.*
    |wei(?:ß|ss)\s+(?:ich\s+)?nicht.*|keine\s+(?:angaben?|meinung|antwort).*|k\.?\s?a\.?|wn
    |(?:je\s+)?ne\s+sa(?:is|it)\s+pas.*|sans\s+(?:opinion|réponse).*|nsp
    |no\s+(?:sabe|sé|contesta|responde).*|ns\s*/\s*nc|não\s+sab.*|não\s+sei.*|não\s+respond.*|non\s+so.*|non\s+sa.*|nessuna\s+(?:risposta|opinione)
    |weet\s+(?:ik\s+)?niet.*|geen\s+(?:mening|antwoord).*|vet\s+ikke|vet\s+ej|ved\s+ikke|nie\s+wiem.*|trudno\s+powiedzieć|не\s+знаю.*|затрудняюсь.*|нет\s+ответа
    |bilmiyorum.*|fikrim\s+yok|لا\s+أعرف.*|لا\s+ادري|不知道.*|不清楚.*|说不清.*|說不清.*|无法回答.*|拒绝回答.*|わからない.*|分からない.*|無回答|잘?\s*모르겠.*|모름.*|무응답.*
    )\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
_MISSING_CODES = frozenset((8, 9, 77, 88, 97, 98, 99, 777, 888, 997, 998, 999, 9997, 9998, 9999))


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question is asked.

    Attributes:
        questions: the question itself, or its yes/no items in the order of its options.
        note: what was read otherwise than it stood, in one sentence; empty where nothing was.
        several: the questions are items of one with several answers.
    """

    questions: tuple[Question, ...]
    note: str = ""
    several: bool = False


def as_asked(question: Question, *, several: bool | None = None, keys: Sequence[str] = ()) -> Asked:
    """The question as a model can be asked it.

    Args:
        several: whether several options can be named; None: as the wording says.
        keys: of the options, for the ids of yes/no items; 1, 2, ... where left out.

    Raises:
        InputError: no single choice and no set of them: a ranking, points to hand out, an open
            number, a thermometer with nothing between its ends; or a scale position that looks
            like the code of a missing answer.
    """
    _refuse_what_is_no_choice(question)
    if takes_several(question.text) if several is None else several:
        return Asked(
            tuple(_items(question, keys)),
            f'"{question.question_id}" takes several answers: asked as {len(question.options)} '
            "yes/no items, one for each option",
            several=True,
        )
    ordinal, moved = substantive_scale(question.options, question.ordinal)
    if ordinal == question.ordinal:
        return Asked((question,))
    return Asked(
        (replace(question, ordinal=ordinal),),
        f'"{question.question_id}": {_quoted(moved)} taken off the scale (no answer has a place '
        "on it); write -1 to say so",
    )


def takes_several(text: str) -> bool:
    """Whether a wording lets people name several options."""
    plain = unicodedata.normalize("NFKC", text)
    return bool(_SEVERAL.search(plain)) and not _ONE.search(plain)


def is_no_answer(option: str) -> bool:
    """Whether an option is a way of giving no answer ("Don't know", "Prefer not to say")."""
    plain = unicodedata.normalize("NFKC", option).replace("’", "'").replace("ʼ", "'")
    return bool(_NO_ANSWER.match(" ".join(plain.split())))


def substantive_scale(
    options: Sequence[str], ordinal: Sequence[float]
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The scale with ways of giving no answer off it, and which those were.

    One that stands between two other positions stays: somebody put it in the middle.

    Raises:
        InputError: another option has the code of a missing answer (9 behind 1 to 5).
    """
    on = [(v, o) for v, o in zip(ordinal, options, strict=True) if v != OFF_SCALE]
    if len({v for v, _ in on}) < 2:
        return tuple(ordinal), ()
    others = [v for v, o in on if not is_no_answer(o)]
    moved: list[str] = []
    scale = []
    for value, option in zip(ordinal, options, strict=True):
        outside = not others or not min(others) < value < max(others)
        if value != OFF_SCALE and is_no_answer(option) and outside:
            moved.append(option)
            scale.append(OFF_SCALE)
        else:
            scale.append(value)
    _refuse_missing_codes(options, scale)
    return tuple(scale), tuple(moved)


def _refuse_missing_codes(options: Sequence[str], scale: Sequence[float]) -> None:
    """9, 99 and the like behind three or more neighbours one apart, and more than one beyond."""
    values = sorted({v for v in scale if v != OFF_SCALE})
    odd = [v for v in values if v in _MISSING_CODES]
    rest = [v for v in values if v not in odd]
    steps = {round(b - a, 9) for a, b in pairwise(rest)}
    if odd and len(rest) >= 3 and steps == {1.0} and min(odd) - max(rest) > 1:
        named = [o for o, v in zip(options, scale, strict=True) if v in odd]
        raise InputError(
            "A scale position looks like the code of a missing answer",
            where=f"option {_quoted(named)}",
            expected=f"a position near {min(rest):g} to {max(rest):g}, or -1 for off the scale",
            found=f"{', '.join(f'{v:g}' for v in odd)}",
            hint="write -1 if it is no answer; if the distance is meant, write positions in "
            "another unit (0.1, 0.2, ... 0.9)",
        )


def _items(question: Question, keys: Sequence[str]) -> list[Question]:
    stem = item_stem(question.text)
    count = len(question.options)
    if len(set(keys)) != count:
        keys = [str(i) for i in range(1, count + 1)]
    return [
        replace(
            question,
            question_id=f"{question.question_id}_{key}",
            text=f"{stem} - {option}",
            options=YES_NO,
            ordinal=(),
        )
        for key, option in zip(keys, question.options, strict=True)
    ]


def item_stem(text: str) -> str:
    """A wording without the instruction to name several options."""
    parts = re.split(r"(?<=[.?!。？！])\s*|(?=[(\[（])|(?<=[)\]）])\s*", text.strip())
    kept = [p.strip() for p in parts if p and re.search(r"\w", p) and not takes_several(p)]
    return " ".join(kept).strip() or text.strip()


def item_shares(shares: Sequence[float], where: str) -> list[tuple[float, float]]:
    """Observed shares of a question with several answers as (yes, no) of each item.

    Args:
        shares: of people who named each option; or percentages, where one is above 1.

    Raises:
        InputError: a share outside 0 to 1 (0 to 100), or shares that sum to one: of people, or of
            all that was named?
    """
    values = [float(s) for s in shares]
    if any(not math.isfinite(v) or v < 0 or v > 100 for v in values):
        raise InputError(
            "A share is none",
            where=where,
            expected="0 to 1 or 0 to 100: the share of people who named the option",
            found=list(shares),
        )
    parts = [v / 100 for v in values] if max(values, default=0) > 1 else values
    if len(parts) > 2 and abs(sum(parts) - 1) <= 0.015:
        raise InputError(
            "Shares of a question with several answers sum to one",
            where=where,
            expected="for each option the share of people who named it (their sum is free)",
            found=list(shares),
            hint="shares of all that was named are another figure: multiply them by the number of "
            "options that a person named on average",
        )
    return [(p, 1 - p) for p in parts]


def rounding_tolerance(shares: Sequence[float], texts: Sequence[str] = ()) -> float:
    """How far from one published shares may sum because each was rounded (as a share of one).

    Half a unit for each share at the very most, and rarely more than three standard deviations of
    their sum, sqrt(k / 12) units each: 1 point for up to 4 whole percentages, 2 for 7.

    Args:
        shares: shares, or percentages.
        texts: as they were written, whose decimals count; else those of the numbers.
    """
    values = [float(s) for s in shares]
    if not values or not all(math.isfinite(v) for v in values):
        return 0.0
    percent = sum(values) > 2 or any(str(t).strip().endswith("%") for t in texts)
    written = [str(t).strip().removesuffix("%") for t in texts] or [f"{v:.10g}" for v in values]
    decimals = max(len(w.partition(".")[2]) for w in written)
    unit = 10.0**-decimals if percent else 10.0 ** -max(decimals, 2) * 100
    k = len(values)
    return min(k / 2, max(1.0, 3 * math.sqrt(k / 12)) if k > 2 else 1.0) * unit / 100 + 1e-9


def _refuse_what_is_no_choice(question: Question) -> None:
    where = f'question "{question.question_id}"'
    text = unicodedata.normalize("NFKC", question.text)
    options = [unicodedata.normalize("NFKC", o).strip() for o in question.options]
    if _RANKING.search(text):
        raise InputError(
            "A question that asks for a ranking is no single choice",
            where=where,
            expected="a question that one option answers",
            found=question.text,
            hint='ask which is first ("Which of these is most important to you?"), or each pair',
        )
    if _POINTS.search(text):
        raise InputError(
            "A question that hands out points is no single choice",
            where=where,
            expected="a question that one option answers",
            found=question.text,
            hint="ask for each option by itself, with bands such as 0 to 20 points",
        )
    if any(_BLANK.match(o) for o in options):
        raise InputError(
            "A question with an open answer is no single choice",
            where=where,
            expected="options that say what people can answer",
            found=list(question.options),
            hint="give the answers in bands, such as 0, 1 to 2, 3 or more",
        )
    numbers = [_leading_number(o) for o in options if not is_no_answer(o)]
    if not numbers or any(n is None for n in numbers):
        return
    values = sorted(n for n in numbers if n is not None)
    span = _RANGE.search(text)
    low, high = (int(span["low"]), int(span["high"])) if span else (values[0], values[-1])
    if not span and not (_THERMOMETER.search(text) or _NUMBER_WANTED.search(text)):
        return
    gaps = [b - a for a, b in pairwise(values)]
    whole = values[0] <= low and values[-1] >= high
    if gaps and max(gaps) > 1 and (whole or span or _THERMOMETER.search(text)):
        raise InputError(
            "A scale of numbers has only some of its points as options",
            where=where,
            expected=f"every number from {low} to {high}, or bands that leave none out",
            found=list(question.options),
            hint=f"write bands, such as {_bands(low, high)}",
        )


def _leading_number(option: str) -> int | None:
    """The number of an option that is one point ("0 (very cold)"); None for bands and words."""
    found = _WHOLE.match(option)
    if found is None:
        return None
    rest = option[found.end() :].strip()
    band = re.search(r"\d|^(?:to|or|and|\+|-|–|—|more|less|plus|bis|à)\b|^[+–—<>%]", rest)
    return None if band else whole_number(found[0])


def _bands(low: int, high: int) -> str:
    """Five bands of whole numbers."""
    if (high - low) % 5 == 0 and high - low >= 10:  # round ends: 0 to 20, 21 to 40, ...
        width = (high - low) // 5
        ends = [(low + i * width + (i > 0), low + (i + 1) * width) for i in range(5)]
    else:
        width = max(1, math.ceil((high - low + 1) / 5))
        ends = [(a, min(a + width - 1, high)) for a in range(low, high + 1, width)]
    return ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in ends)


def _quoted(options: Sequence[str]) -> str:
    return " and ".join(f'"{o}"' for o in options)
