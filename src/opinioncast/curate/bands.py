"""Numbers and bands written as text: "45-60", "under 30", "> 60", "$25,000 to less than $50,000".

A band says between which values an answer lies, so it belongs to a range only where it lies wholly
inside. What cannot be read for certain is no number at all: a word that is not known, or "1.500",
which is one and a half or fifteen hundred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_INF = float("inf")


@dataclass(frozen=True, slots=True)
class Band:
    """Lowest and highest value an answer may stand for; equal for a number, infinite for open ends.

    An end that is left out ("under 30") is the next value in the text's own decimals: 29, 2.4 for
    "under 2.5".
    """

    low: float
    high: float

    def inside(self, low: float, high: float) -> bool:
        """Whether every value of the band is in ``low`` to ``high``, ends included."""
        return low <= self.low and self.high <= high

    def meets(self, low: float, high: float) -> bool:
        """Whether any value of the band is in ``low`` to ``high``."""
        return self.low <= high and low <= self.high


_DASHES = "-‐‑‒–—―−﹘﹣－~〜～"
_SIGNS = str.maketrans(
    dict.fromkeys(_DASHES, "-")
    | dict.fromkeys("\u00a0\u2007\u2009\u202f", " ")
    # what UTF-8 dashes become when they are read as Windows-1252
    | {"’": "'", "‘": "'", "＜": "<", "＞": ">", "＋": "+", "–": "-"}
)
_MOJIBAKE = re.compile("â€[“”’]|â€\x93|â€\x94")
_NUMBERING = re.compile(r"^\(?\d{1,3}[.)]\s+(?=\D*\d)")
_CURRENCY = re.compile(
    r"(?:us|ca|au|nz|a|c)?[$]|[€£¥₹]|\b(?:usd|eur|gbp|chf|cad|aud|dkk|sek|nok)\b"
)
_UNITS = re.compile(
    r"\b(?:years?|yrs?|year-olds?|y/?o|dollars?|euros?|pounds?|francs?|hours?|hrs?|minutes?|mins?"
    r"|days?|weeks?|months?|percent|children|people|persons?|times"
    r"|jahren?|jahre|jaar|jaren|ans|años|anos|anni|lata?|rok(?:u|i)?|år)\b"
    r"|%|\bof age\b|\bold\b(?!er)"
    r"|\b(?:per|a|an|each) (?:year|month|week|day|hour)\b|\b(?:annually|yearly|monthly)\b"
    r"|\b(?:aged?|ages)\b"
)
_COUNTED = re.compile(r"(?<=\d)\s?(?:周?岁|歳|才|세|(?=[及或]?以[上下]|未[満满]|이[상하]|미만))")
"""Years of age behind a number where words aren't parted by spaces."""
_NUMBER = (
    r"(?P<{0}>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d{{1,3}}(?:\.\d{{3}}){{2,}}(?:,\d+)?"
    r"|\d{{1,3}}(?:[ ']\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|\.\d+)"
    r"\s?(?P<{0}_k>k|tsd|thousand|m|mn|mio|million)?(?![\w])"
)
_N, _LOW, _HIGH = (_NUMBER.format(name) for name in ("n", "low", "high"))
_AT_LEAST = (
    r"or more|and more|or over|and over|or above|and above|or older|and older|or later|and later"
    r"|or higher"
    r"|and higher|or up|or greater|plus|(?:and|or) upwards?|and up|und (?:älter|mehr|darüber)"
    r"|oder (?:mehr|älter)|(?:et|ou) (?:plus|davantage)|[yo] (?:más|mayor(?:es)?)|en adelante"
    r"|e oltre|[eo] più|(?:e|ou) mais|(?:i|lub) (?:więcej|starsi)|en (?:meer|ouder)|of meer"
)
_AT_MOST = (
    r"or less|and less|or under|and under|or below|and below|or younger|and younger|or earlier"
    r"|and earlier|or fewer"
    r"|and fewer|or lower|and lower|und (?:jünger|weniger|darunter)|oder (?:weniger|jünger)"
    r"|(?:et|ou) moins|[yo] menos|[eo] meno|(?:e|ou) menos|(?:i|lub) mniej|en jonger|of minder"
)
_OVER = (
    r"over|above|more than|greater than|higher than|older than|über|mehr als|älter als|plus de"
    r"|más de|mayor(?:es)? de|oltre|più di|mais de|acima de|powyżej|ponad|więcej niż|meer dan"
)
_UNDER = (
    r"under|below|less than|fewer than|lower than|smaller than|younger than|unter|weniger als"
    r"|jünger als|moins de|menos de|menor(?:es)? de|abaixo de|meno di|poniżej|mniej niż"
    r"|minder dan|jonger dan"
)
_TO = r"-|to|through|thru|until|till|up to|bis|à|a|al|até|do|tot|and|至|到|から"
_FROM = r"(?:from|between|von|zwischen|de|entre|da|od|tra) "
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("number", rf"(?P<sign>-\s?)?{_N}"),
        (
            "at least",
            rf"(?:>\s?=|≥|=\s?>|at least|minimum|min\.?|from|ab|mindestens|au moins) ?{_N}",
        ),
        ("at least", rf"{_N}\s?(?:\+|{_AT_LEAST})"),
        (
            "at most",
            rf"(?:<\s?=|≤|=\s?<|at most|up to|maximum|max\.?|bis(?: zu)?|jusqu'à|hasta|fino a"
            rf"|até|do|tot) ?{_N}",
        ),
        ("at most", rf"{_N} (?:{_AT_MOST})"),
        ("at least", rf"{_N} ?(?:[及或]?以上|이상)"),
        ("at most", rf"{_N} ?(?:[及或]?以下|이하)"),
        ("under", rf"{_N} ?(?:未満|未满|미만)"),
        ("over", rf"(?:>|(?:{_OVER}) ){_N}"),
        ("over", rf"(?:>|(?:{_OVER})) {_N}"),
        ("under", rf"(?:<|(?:{_UNDER}) ){_N}"),
        ("under", rf"(?:<|(?:{_UNDER})) {_N}"),
        ("to under", rf"(?:{_FROM})?{_LOW} ?(?:(?:{_TO}|but|and|-) ?)?(?:<|(?:{_UNDER})) ?{_HIGH}"),
        ("over to", rf"(?:>|(?:{_OVER})) ?{_LOW} ?(?:{_TO}) ?{_HIGH}"),
        ("to", rf"(?:{_FROM})?{_LOW} ?(?:{_TO}) ?{_HIGH}"),
    )
)
"""Tried in this order; "to" is the last, so that "10 to under 20" is not one of its."""
_FACTORS = dict.fromkeys(("k", "tsd", "thousand"), 1e3) | dict.fromkeys(
    ("m", "mn", "mio", "million"), 1e6
)


@lru_cache(maxsize=10_000)
def read_band(text: str) -> Band | None:
    """The number or band a text stands for; None where it is none, or may be another one.

    Read are single numbers, "18-29" with any dash, "18 to 29", "between 18 and 29", "under 30",
    "<30", "30 or less", "65+", "65 and over", "> 60", "20 to less than 30", with currency,
    thousands separators, "k", years and other units around, in English and the commonest words of
    German, French, Spanish and Italian; ages in Chinese, Japanese and Korean.
    """
    plain = _MOJIBAKE.sub("-", " ".join(text.split())).translate(_SIGNS).casefold().strip(" .;:")
    plain = _COUNTED.sub(" ", _NUMBERING.sub("", plain))
    # "-5" keeps its sign; a currency sign may stand before or after it
    plain = _UNITS.sub(" ", _CURRENCY.sub(" ", plain))
    plain = re.sub(r"(?<=\d)\s+(?=\+)", "", " ".join(plain.split())).strip(" .;:")
    for kind, shape in _SHAPES:
        found = shape.fullmatch(plain)
        if found is not None:
            return _band(kind, found)
    return None


def _band(kind: str, found: re.Match[str]) -> Band | None:
    groups = found.groupdict()
    if "n" in groups:
        one = _value(groups["n"], groups["n_k"])
        if one is None:
            return None
        n, step = one
        match kind:
            case "number":
                n = -n if groups.get("sign") else n
                return Band(n, n)
            case "at least":
                return Band(n, _INF)
            case "at most":
                return Band(-_INF, n)
            case "over":
                return Band(_above(n, step), _INF)
            case _:
                return Band(-_INF, _below(n, step))
    # "10-20k" and "10 to 20 thousand": the unit is said once
    first = _value(groups["low"], groups["low_k"] or groups["high_k"])
    second = _value(groups["high"], groups["high_k"])
    if first is None or second is None:
        return None
    (low, step), (high, other) = first, second
    step = min(step, other)
    low = _above(low, step) if kind == "over to" else low
    high = _below(high, step) if kind == "to under" else high
    return Band(low, high) if low <= high else None


def _value(text: str, unit: str | None) -> tuple[float, float] | None:
    """A number and the step of its last digit; None where a separator has two meanings."""
    if re.fullmatch(r"\d{1,3}\.\d{3}", text):
        return None  # 1.500: one and a half, or fifteen hundred
    if re.fullmatch(r"\d{1,3}(?:[,.' ]\d{3})+", text):
        digits = re.sub(r"[,.' ]", "", text)
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", text):
        digits = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d+", text):
        digits = text.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:[ ']\d{3})+[.,]\d+", text):
        digits = re.sub(r"[ ']", "", text).replace(",", ".")
    else:
        digits = text.replace(",", ".")
    factor = _FACTORS[unit] if unit else 1.0
    places = len(digits.partition(".")[2])
    return float(digits) * factor, 1.0 if unit else 10.0**-places


def _below(value: float, step: float) -> float:
    return round(value - step, 9)


def _above(value: float, step: float) -> float:
    return round(value + step, 9)
