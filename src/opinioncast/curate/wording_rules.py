"""Rules that turn a wording as fielded into one that reads well (paper, Appendix A.3)."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence


def squeeze(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[a-z0-9']+", text.casefold())


_INSTRUCTION = (
    r"READ|CIRCLE|CODE|PROBE|HAND|SHOW|ASK|IF|INTERVIEWER|NOTE|RECORD|ENTER|REFER|LIST|CHECK|SKIP|GO|"
    r"RANDOMI[ZS]E|ROTATE|INSERT|DISPLAY|PROGRAMM?ER|PROGRAMMING|DO|MARK|SELECT|REPEAT|CARD|PAUSE|"
    r"PLEASE|FORM|SPLIT|SCRAMBLE|ORDER|TERMINATE|SINGLE|MULTIPLE|OPEN|PIPE|USE|COUNT|FOR|RESPONDENT"
)
_CAPS = r"[A-Z][A-Z0-9'’/&\-]*"
_FILL = (
    r"(?:s?/?he|she|he|his|hers?|him|they|them|their|was|were|is|are|has|have|you|your|this|these)"
)


def clean_wording(raw: str, options: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The wording after all rules, and the names of the rules that changed it.

    Removes HTML, interviewer instructions, routing, lead-ins, item letters and option lists that
    repeat ``options``; resolves fills in brackets; joins battery stem and item; ends a sentence
    that the options were to end. The same input always gives the same text.
    """
    notes: list[str] = []
    text = raw
    for note, step in (
        ("characters", _characters),
        ("battery", _slashes),
        ("options listed", lambda t: _without_options(t, options)),
        ("instructions", _without_instructions),
        ("fills", _fills),
        ("lead-in", _without_lead_in),
        ("item joined", _join_item),
        ("repetition", _without_repetition),
        ("dangling prompt", _without_prompt),
        ("completed with its options", lambda t: _completed(t, options)),
    ):
        after = step(text)
        if squeeze(after) != squeeze(text):
            notes.append(note)
        text = after
    return _finish(text), tuple(notes)


def _characters(text: str) -> str:
    text = re.sub(r"(?<=\bto)(?:ï¿½|\ufffd|~)\.?", "... ", text)  # an ellipsis lost on the way
    text = html.unescape(text.replace("ï¿½", "? ").replace("\ufffd", " "))
    text = re.sub(r"<\s*(br|p|/p|li|/li|div|/div)\b[^>]*>", "\n", text, flags=re.I)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    for curly, straight in (
        ("“", '"'),
        ("”", '"'),
        ("‘", "'"),
        ("’", "'"),
        ("`", "'"),
        ("\u00a0", " "),
    ):
        text = text.replace(curly, straight)
    text = re.sub(r"(?<=\w)''(?=\w)", "'", text)
    text = re.sub(r'""', '"', text)
    text = re.sub(r"\s*(?:\.\s?){3,}|\s*…", "... ", text)
    return re.sub(r"[ \t\r]+", " ", text)


def _slashes(text: str) -> str:
    """``item // stem`` as the paper's Pew batteries write it: "stem: item"."""
    item, slashes, stem = text.partition("//")
    if not slashes or not item.strip() or not stem.strip():
        return text
    if "?" in item and "?" not in stem:
        item, stem = stem, item
    return f"{stem.strip()}\n{item.strip()}" if "?" in stem else f"{stem.strip()}: {item.strip()}"


def _without_options(text: str, options: Sequence[str]) -> str:
    """Drop an option list that follows the wording, on lines of its own or in one run."""
    known = {" ".join(words(o)) for o in options}
    if len(known) < 2:
        return text
    lines = text.split("\n")
    is_option = [
        " ".join(words(re.sub(r"^\W*(?:\d{1,2}|[A-Za-z])[.):=\s-]+\s*", "", x))) in known
        or " ".join(words(x)) in known
        for x in lines
    ]
    if sum(is_option) >= 2:
        text = "\n".join(x for x, o in zip(lines, is_option, strict=True) if not o)
    run = r"[\W\d]*".join(re.escape(o) for o in options)
    return re.sub(rf"\s*(?:\b[A1][.):=]?\s+|\b0?1[.):=]?\s*)?{run}\W*$", "", text, flags=re.I)


def _without_instructions(text: str) -> str:
    def bracket(match: re.Match[str]) -> str:
        inner = match.group(1).strip()
        letters = [c for c in inner if c.isalpha()]
        caps = sum(c.isupper() for c in letters) / len(letters) if letters else 1.0
        if caps > 0.6 and "/" in inner and re.fullmatch(rf"{_FILL}(?:/{_FILL})+", inner.lower()):
            return match.group().lower()
        if caps > 0.6 and (len(letters) > 5 or "[" in match.group()) and not inner.isdigit():
            return " "
        if re.match(rf"(?:{_INSTRUCTION})\b", inner) and caps > 0.2:
            return " "
        return match.group()

    # "First (READ ITEM A) ... are we spending ... on (ITEM)?" leaves only a template behind.
    text = re.sub(r"\b(?:First|Next)?,?\s*\(READ ITEM[^)]*\)[^?]*\(ITEM\)\s*\?", "", text)
    text = re.sub(r"\[([^\[\]]*)\]", bracket, text)
    text = re.sub(r"\(([^()]*)\)", bracket, text)
    text = re.sub(r"\bIF YES(?: ASK)?\s*[:,]\s*([A-Za-z])", _if_yes, text)
    text = re.sub(
        rf"(?:(?<=^)|(?<=[.?!:\n ]))(?:{_INSTRUCTION})\b[,;:]?"
        rf"(?:[ ]{_CAPS}[,;]?|[ ]\d+[,;]?)+[.:]?",
        " ",
        text,
        flags=re.M,
    )
    text = re.sub(r"\bcircle one number (?:for each \w+(?: below)? )?to show\b", "show", text)
    text = re.sub(r"\b(?:PROBE|INTERVIEWER|NOTE|PROGRAMMER)\s*:[^\n]*", " ", text)
    return re.sub(rf"(?<![\w.])(?:{_CAPS}[ ,;]+){{4,}}{_CAPS}[.:]?", " ", text)


def _if_yes(match: re.Match[str]) -> str:
    return f"If yes, {match.group(1).lower()}"


def _fills(text: str) -> str:
    text = re.sub(rf"\(({_FILL}(?:/{_FILL})+)\)", r"\1", text, flags=re.I)
    text = re.sub(r"\[([^\[\]]+)\]", r"\1", text)
    # A question in parentheses is read aloud; a prompt of up to three words is not.
    text = re.sub(r"\((?:\w+[ ,]*){1,3}\?\)", " ", text)
    return re.sub(r"\(([A-Z][^()]{12,}(?:[.?!]|\.\.\. ?))\)", r"\1", text)


_LEAD_INS = (
    (r"On (?:a|another) (?:different |new )?(?:subject|topic)[.,…\s]*", ""),
    (r"(?:Now|Next),? (?:on to|for) (?:a|another) (?:different )?(?:subject|topic)[.,…\s]*", ""),
    (r"(?:Or|And) (?=consider\b)", ""),
    (
        r"Now,? I(?:'m| am|'d like) (?:going )?to read (?:you )?(?:several|some|a few)(?: more)? "
        r"statements?\. As I read each one,? (?=please)",
        "",
    ),
)  # fmt: skip


def _without_lead_in(text: str) -> str:
    text = text.strip()
    text = re.sub(r"^(?:[A-Z]|\d{1,3}[a-z]?|Q\.?\d+[a-z]?)[.)]\s+(?=[A-Z(\"'])", "", text)
    for pattern, put in _LEAD_INS:
        text = re.sub(rf"^{pattern}", put, text)
    return re.sub(r"\s*For example, here is the statement\s*:", "", text)


_ITEM = re.compile(
    r"(?:\n\s*|(?<=[.?:]) |(?<=\?)(?=[A-Z]\. ))"
    r"(?:(?P<letter>[A-Z]|[a-z]|\d{1,2})[.)]\s*)(?P<item>[^\n]+?)\s*$"
)
_LINKS = {
    "if", "is", "are", "was", "were", "that", "to", "in", "on", "of", "for", "be", "about", "as",
    "has", "have", "like", "because", "with", "person",
}  # fmt: skip
_BATTERY = re.compile(
    r"\b(?:each|whether|statements?|following|these|listed|indicate|rate|agree)\b", re.I
)


def _join_item(text: str) -> str:
    """Join a battery's stem with the item that follows under a letter or on its own line."""
    text = text.strip()
    match = _ITEM.search(text)
    if match is None:
        lines = [x.strip() for x in text.split("\n") if x.strip()]
        if len(lines) < 2:
            return text
        stem, item = " ".join(lines[:-1]), lines[-1]
    else:
        stem = re.sub(r"\s*\n\s*(?:[A-Za-z]|\d{1,2})[.)]\s+", " ", text[: match.start() + 1])
        stem, item = squeeze(stem), match["item"].strip()
    stem = re.sub(r"\bdisagree with it\.$", "disagree:", stem)
    bare = re.sub(r"[\s.:…]+$", "", stem)
    last = bare.rsplit(" ", 1)[-1].casefold()
    open_end = stem.endswith((":", "...", "…"))
    own = bool(re.match(r"(?:Suppose|If|Should|Do|Does|Would|Is|Are|How|What|When|In)\b", item))
    verb = bool(re.match(r"(?:Has|Is|Was|Are|Does|Wants)\b", item))
    if (
        (open_end or not re.search(r"[.?!]$", stem))
        and last in _LINKS
        and (last != "person" or verb)
    ):
        item = re.sub(r"^If (?=\w)", "", item) if last == "if" else item
        return f"{bare} {_lower_first(item)}"
    if stem.endswith(":"):
        return f"{bare}. {item}" if own and item.endswith("?") else f"{stem} {item}"
    if stem.endswith(".") and not open_end and not own and _BATTERY.search(stem):
        return f"{bare}: {item}"
    return f"{stem} {item}"


def _lower_first(item: str) -> str:
    word = item.split(" ", 1)[0]
    common = {
        "a", "an", "the", "there", "she", "he", "they", "it", "has", "is", "was", "are", "because",
        "mainly", "you", "your", "people", "some", "this", "these", "most", "provide", "keep", "if",
    }  # fmt: skip
    return item[0].lower() + item[1:] if word.casefold() in common else item


def _without_repetition(text: str) -> str:
    """Collapse a passage of five words or more that is followed by itself (a typing slip)."""
    return re.sub(r"\b((?:\S+\s+){5,}?)(?:\1)+", r"\1", text)


def _without_prompt(text: str) -> str:
    """Drop an opening that the option list was to finish: "... Are you ..."."""
    return re.sub(
        r"(?<=[.?!])\s+(?:Are you|Would you say|Is it|Is that|Should it be|Would it be|Do you)"
        r"[\s,:]*(?:\.\.\.|…)?\s*$",
        "",
        text.rstrip(),
    )


def _completed(text: str, options: Sequence[str]) -> str:
    """End a sentence that the options were to end: "Is it ..." -> "Is it good or bad?"."""
    if not 2 <= len(options) <= 6 or sum(map(len, options)) > 160:
        return text
    listed = ", ".join(_lower_option(o) for o in options[:-1])
    choice = f"{listed}{',' if len(options) > 2 else ''} or {_lower_option(options[-1])}?"
    bare = re.sub(r"[\s.,:…]+$", "", text)
    if text.rstrip().endswith(("...", ":")) and re.search(r"\b(is|are|it|was|be)$", bare):
        return f"{bare} {choice}"
    agrees = any(re.search(r"\bagree", o, re.I) for o in options)
    if agrees and not re.search(r"\?|\b(dis)?agree|\.\.\.|:", text):
        return f"{bare}. Do you {choice}"
    return text


def _lower_option(option: str) -> str:
    return option if re.match(r"I\b|[A-Z]{2}|[A-Z]\.", option) else option[:1].lower() + option[1:]


def _finish(text: str) -> str:
    text = squeeze(text)
    text = re.sub(r"\s+([,.;:?!])", r"\1", text)
    text = re.sub(r"\(\s*\)|\[\s*\]", "", text)
    text = re.sub(r"([,;:])(?=[.?!])", "", text)
    text = re.sub(r"(?<!\.)\.\.(?!\.)", ".", squeeze(text)).strip(" ,;")
    return text[:1].upper() + text[1:]
