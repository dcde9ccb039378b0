"""Options on a line of a questionnaire in text: codes, bullets, boxes, several side by side."""

from __future__ import annotations

import re
from itertools import pairwise

from opinioncast.questionnaires.text_lines import Line

_BULLET = re.compile(
    r"^\s*(?:[•·▪▫◦‣○◯●◉⃝❍□☐▢❑❏☑☒◻⚪]|\[[\sxX_]{0,3}\]|\([\sxX_]{0,3}\)|[*–—-](?=\s)|_{1,3}(?=\s))"
    r"\s*(?P<text>\S.*)$",
    re.S,
)
_BOX = re.compile(r"[□☐▢○◯●◉❍❑❏☑☒◻⚪]|\[[\sxX_]{0,3}\]|\([\sxX_]{0,3}\)")
_LETTER = "[A-Za-zͰ-ϿЀ-ӿא-תء-يऄ-ह]"
"""Of a list: Chinese and Japanese words may be one sign long."""
_CODED = re.compile(
    rf"^\s*(?:[\[(]\s*(?P<a>-?\d{{1,4}}|{_LETTER})\s*[\])]"
    rf"|(?P<b>-?\d{{1,4}}|{_LETTER})\s*[.)\]、．）]"
    r"|(?P<c>-?\d{1,4})\s*[:=]|(?P<d>-?\d{1,4})\s+[-–—=]\s(?!\s*\d)|(?P<e>-?\d{1,4})(?:\t|\s{2,}))"
    r"\s*(?P<text>\S.*)$",
    re.S,
)
_SPACED = re.compile(r"^\s*(?P<code>-?\d{1,3})\s+(?P<text>[^\W\d].*)$", re.S)
_TRAILING = re.compile(
    r"^\s*(?P<text>(?:\([^()\d]*\)\s*)?(?:[^\W_]|(?<=\))).*?)"
    r"\s*(?:\.{3,}|…+|_{2,}|\t+|\s{3,}|(?<=\))\s+(?=\d+\s*$)|\s*(?=\(\d|\[\d))\s*"
    r"[\[(]?(?P<code>-?\d{1,4})[\])]?\s*$",
    re.S,
)
_INLINE = re.compile(
    r"(?:^|(?<=[\s,;/|]))(?:[\[(](?P<a>-?\d{1,4})[\])]|(?P<b>\d{1,4})[.)=])\s*"
    r"(?P<text>[^\s\d(\[].*?)(?=[\s,;/|]+(?:[\[(]-?\d{1,4}[\])]|\d{1,4}[.)=]\s*\D)|$)",
    re.S,
)

_TABBED = re.compile(
    r"\s*[\[(]?(?P<a>\d{1,4})[\]).:=]*\s+(?P<b>\S.*)|(?P<c>\S.*?)\s*[\[(]?(?P<d>\d{1,4})[\])]?\s*"
)
_BEHIND = re.compile(r"\s*[\[(](-?\d{1,4})[\])][\s,;/|]*")
_GOING = re.compile(
    r"\s*(?:[-–—→>»]+\s*|\.{2,}\s*)?[\[(]?\b(?:TERMINATE|SKIP\s+TO|GO\s*TO|CONTINUE|THANK\s+AND)\b.*$",
    re.S,
)
_ARROW = re.compile(r"\s*(?:→|➔|=>|->|>>)\s*(?:[A-Z]{1,4}[._-]?\d+\w*|END)\W*$")


def options_of(line: Line, expected: int | None) -> list[tuple[str, str]] | None:
    """(code, text) of each option on a line, None where it holds none.

    Args:
        expected: code that would come next, which tells "1 Yes" from "2 or more".
    """
    text = line.text.strip()
    inline = [((m["a"] or m["b"]), m["text"].strip(" ,;/|\t")) for m in _INLINE.finditer(text)]
    if len(inline) > 1 and _INLINE.match(text) and _rising([c for c, _ in inline]):
        return inline
    if (apart := _apart(text)) or (apart := _codes_behind(text)):
        return apart
    if boxed := boxed_of(text):
        return [("", words) for words in boxed]
    if re.fullmatch(r"\d{1,2}(?:\s+\d{1,2}){2,}", text):
        points = [int(n) for n in text.split()]
        if all(b == a + 1 for a, b in pairwise(points)):
            return [(str(n), str(n)) for n in points]
    if (
        line.label
        and not line.named
        and re.fullmatch(r"[\[(]?(?:\d{1,4}|[A-Za-z])[\].):]*", line.label)
    ):
        return [(line.label.strip("[]().:"), text)]
    coded = _CODED.match(text)
    if coded and not re.fullmatch(r"[^\W\d_]\.?\s*[^\W\d_]\.", text):  # "k. A." is no answer "k"
        code = next(coded[k] for k in "abcde" if coded[k])
        return [(code, coded["text"].strip())]
    spaced = _SPACED.match(text)
    if spaced and expected is not None and _follows(int(spaced["code"]), expected):
        return [(spaced["code"], spaced["text"].strip())]
    bullet = _BULLET.match(text)
    body = bullet["text"] if bullet else text
    trailing = _TRAILING.match(body)
    if trailing and not body.rstrip().endswith("?") and "?" not in trailing["text"]:
        return [(trailing["code"], trailing["text"].strip())]
    if bullet or line.bulleted:
        return [("", body.strip())]
    return None


def going_of(text: str) -> tuple[str, str]:
    """An option, and where it leads to ("GO TO Q5")."""
    found = _GOING.search(text) or _ARROW.search(text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    return text[: found.start()].rstrip(), found[0].strip(" -–—→>»[]().")


def noted_end(text: str) -> tuple[str, str]:
    """An option, and the instruction in brackets behind it ("None 97 [EXCLUSIVE]")."""
    found = re.search(r"\s*\[(?P<said>[^\]\d][^\]]*)\]\s*$", text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    return text[: found.start()], found["said"].strip()


def coded_behind(lines: list[str]) -> list[tuple[str, str]]:
    """Code and text of lines that all end in a number, counted from 0 or 1; else as they are."""
    found = [re.fullmatch(r"(?P<text>.*[^\d\s,.–—-])\s+(?P<code>\d{1,3})", t) for t in lines]
    made = [(m["code"], m["text"]) for m in found if m]
    codes = [int(c) for c, _ in made]
    counted = all(_follows(b, a + 1) or b in (7, 8, 9) for a, b in pairwise(codes))
    if len(made) == len(lines) and codes[0] in (0, 1) and counted and _rising([c for c, _ in made]):
        return made
    return [("", t) for t in lines]


def _apart(text: str) -> list[tuple[str, str]] | None:
    """Options between tabs, each with its code: "Yes 1", "No 2"."""
    parts = [p.strip() for p in re.split(r"\t+", text) if p.strip()]
    found = [_TABBED.fullmatch(p) for p in parts] if len(parts) > 1 else []
    if not found or not all(found):
        return None
    made = [(m["a"] or m["d"], (m["b"] or m["c"]).strip()) for m in found if m]
    return made if _rising([c for c, _ in made]) else None


def _codes_behind(text: str) -> list[tuple[str, str]] | None:
    """Options on one line with their codes behind them: "Yes (1) No (2)"."""
    words = _BEHIND.split(text)  # words, code, words, code, ..., what is behind the last code
    texts, codes = words[:-1:2], words[1::2]
    if len(codes) < 2 or words[-1] or any(not t or re.search(r"[\d()\[\]]", t) for t in texts):
        return None
    made = [(c, t.strip()) for c, t in zip(codes, texts, strict=True)]
    return made if _rising([c for c, _ in made]) else None


def boxed_of(text: str) -> list[str]:
    """Options on one line with a box before or behind each: "☐ Yes ☐ No"; none where it is not."""
    parts = [p.strip(" \t,;/|") for p in _BOX.split(text.strip())]
    if len(parts) < 3 or (parts[0] and parts[-1]):
        return []
    options = parts[:-1] if parts[0] else parts[1:]
    return options if all(re.search(r"\w", o) and "?" not in o for o in options) else []


def is_plain_option(text: str) -> bool:
    """Whether a line without a mark is as short as an option and no sentence."""
    words = text.strip()
    return (
        0 < len(words) <= 70
        and len(words.split()) <= 9
        and not words.endswith((".", "!", "?", ":", ";", "؟", "？", "。", ","))
    )


def split_inline(text: str) -> tuple[str, list[tuple[str, str]]]:
    """A wording and the options that stand on its line: "Too high? 1. Yes 2. No"."""
    asked = re.search(r"[?:؟？]\s+(?=\S)", text)
    if asked is not None and (boxed := boxed_of(text[asked.end() :])):
        return text[: asked.start() + 1], [("", words) for words in boxed]
    tabbed = re.search(r"[?:؟？]\s*\t", text)
    if tabbed is not None:
        parts = [p.strip() for p in re.split(r"\t+", text[tabbed.end() :]) if p.strip()]
        coded = _apart(text[tabbed.end() :])
        if coded or (len(parts) > 1 and all(map(is_plain_option, parts))):
            return text[: tabbed.start() + 1], coded or [("", p) for p in parts]
    lettered = re.search(r"[?:؟？]\s*(?=[Aa][.)、．]\s*\S)", text)
    if lettered is not None:
        parts = re.split(r"(?:^|\s+)([A-Za-z])[.)、．]\s*", text[lettered.end() :])[1:]
        codes, words = parts[::2], [w.strip(" ,;/|") for w in parts[1::2]]
        if len(codes) > 1 and all(words) and all(ord(b) == ord(a) + 1 for a, b in pairwise(codes)):
            return text[: lettered.start() + 1], list(zip(codes, words, strict=True))
    found = re.search(r"[?:؟？]\s+(?=[\[(]?\d{1,3}[\])]?[.)=\]\s])", text)
    if found is None:
        return text, []
    rest = text[found.end() :]
    inline = [((m["a"] or m["b"]), m["text"].strip(" ,;/|\t")) for m in _INLINE.finditer(rest)]
    if len(inline) < 2 or not _INLINE.match(rest) or not _rising([c for c, _ in inline]):
        return text, []
    return text[: found.start() + 1], inline


def _follows(code: int, expected: int) -> bool:
    return code == expected or code in (77, 88, *range(90, 100), 777, 888, *range(990, 1000))


def _rising(codes: list[str]) -> bool:
    numbers = [int(c) for c in codes]
    return all(b > a for a, b in pairwise(numbers))


def slashed_of(text: str) -> list[str] | None:
    """Short options on one line, split by slashes, bars or semicolons: "Yes / No / Not sure"."""
    for split, least in ((r"\s+/\s+", 2), (r"\s*\|\s*", 2), (r"\s*;\s*", 2), (r"\s+[–—•·]\s+", 3)):
        parts = [p.strip() for p in re.split(split, text.strip()) if p.strip()]
        if least <= len(parts) <= 12 and all(len(p.split()) <= 6 and "?" not in p for p in parts):
            return parts
    return None
