"""Texts of instruments as people read them: without markup, instructions and codes.

Piped text ("your vote for ${q://QID1/...}") is told, not filled in: what stands there was another
person's answer.
"""

from __future__ import annotations

import html
import re
import unicodedata

_TAGS = (
    "a|abbr|b|big|blockquote|body|br|button|center|code|dd|del|details|div|dl|dt|em|fieldset|"
    "figure|font|form|h[1-6]|head|hr|html|i|iframe|img|input|ins|label|legend|li|mark|meta|nobr|"
    "ol|option|p|pre|q|s|script|section|select|small|span|strike|strong|style|sub|summary|sup|"
    "svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video|audio|source|wbr|o:p"
)
_UNSEEN = re.compile(r"<(script|style|head|title|svg)\b[^>]*>.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_BREAK = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|td|th|table|h[1-6]|hr|blockquote|dd|dt|option)\b[^<>]*>", re.I
)
_PICTURED = re.compile(
    r"<img\b[^<>]*?\balt\s*=\s*(?:\"(?P<a>[^\"<>]*)\"|'(?P<b>[^'<>]*)')[^<>]*>", re.I
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?=[\s/>])[^<>]*>", re.I)
_HAS_TAG = re.compile(rf"</?(?:{_TAGS})(?=[\s/>])[^<>]*>|&(?:#\d+|#x[0-9a-f]+|\w{{2,8}});", re.I)
_CONTROL = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\ufeff\u00ad]")

_PIPED = re.compile(
    r"""\$\{[^{}]*\}                                         # Qualtrics, XLSForm, Decipher
    |\{\{.+?\}\}                                             # SurveyMonkey and others
    |\{[^{}\s][^{}]{0,300}\}                                 # LimeSurvey
    |\[(?:pipe|loopvar|rel|insert|restore|fill|answer\s+(?:from|to)|question\()[^\]]*\]
    |\[%[^\]]+%\]
    |<(?:insert|pipe|fill|restore)\b[^>]*>
    |\[Q[\w.]{0,8}(?:\s+(?:answer|response))\]
    |\^[^\s^][^^]*\^                                         # Forsta
    |(?-i:<[A-Z][A-Z0-9 /_.-]{2,40}>)                        # <PROJECT NAME>
    """,
    re.IGNORECASE | re.VERBOSE,
)


def plain(text: object) -> str:
    """A text without HTML, entities, control characters and runs of white space, on one line.

    A picture is its alternative text.

    "<5" and "<none>" stay: only tags that HTML knows are taken out. What is escaped twice
    ("&amp;lt;b&amp;gt;") is unescaped as long as tags appear, three times at most.
    """
    if text is None:
        return ""
    made = str(text)
    for _ in range(3):
        if not _HAS_TAG.search(made):
            break
        made = _PICTURED.sub(lambda m: f" {m['a'] or m['b'] or ''} ", _UNSEEN.sub("", made))
        made = _TAG.sub("", _BREAK.sub("\n", made))
        unescaped = html.unescape(made)
        if unescaped == made:
            break
        made = unescaped
    made = _CONTROL.sub("", made.replace("\t", " ").replace("\xa0", " ").replace("\n", " "))
    return unicodedata.normalize("NFC", " ".join(made.split()))


def from_markdown(text: object) -> str:
    """As :func:`plain`, of a text with Markdown's emphasis, links and headings."""
    made = str(text or "")
    made = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", made)
    made = re.sub(r"\[([^\]]+)\]\((?:https?:|mailto:|#|/)[^)]*\)", r"\1", made)
    made = re.sub(r"^\s{0,3}#{1,6}\s+", "", made, flags=re.M)
    made = re.sub(r"(\*\*\*|\*\*|__)(?=[^\s_])(.+?)(?<=\S)\1", r"\2", made, flags=re.S)
    made = re.sub(r"(?<![\w*\\])([*_])(?=[^\s*_])([^*_\n]+?)(?<=\S)\1(?![\w*])", r"\2", made)
    made = re.sub(r"`([^`]+)`", r"\1", made)
    made = re.sub(r"\\([\\`*_{}\[\]()#+\-.!|>~])", r"\1", made)
    return plain(made)


def piped(text: str) -> str:
    """The first piece of piped text in a wording, "" where there is none."""
    found = _PIPED.search(text)
    return found[0] if found else ""


_INSTRUCTION_WORDS = (
    r"randomi[sz]e|rotate|rotation|flip|shuffle|anchor(?:ed)?|page\s*break|terminate|thank\s+and|"
    r"read\s+(?:out|list|each|aloud|in\s+order|response)|do\s*not\s+read|don'?t\s+read|dnr|"
    r"probe|prompt|spontaneous|unaided|unprompted|"
    r"programmer|programming|prog(?:ramm?ing)?\s*note|pn\b|interviewer|enumerator|note\s+to|"
    r"single\s*(?:code|punch|response|answer|select|choice)|"
    r"(?:multi(?:ple)?)[\s-]*(?:code|punch|response|answers?|select|choice|mention)s?|"
    r"code\s+(?:one|all|first|to|as)|record|accept\s+(?:one|all|multiple|up)|"
    r"select\s+(?:one|all|only|up)|check\s+(?:one|all)|tick\s+(?:one|all)|choose\s+(?:one|all)|"
    r"mark\s+(?:one|all)|one\s+(?:answer|response)\s+only|"
    r"ask\b|base\s*[:=]|if\b|skip\b|go\s+to|show\b|display|hide|insert\s+(?:image|logo)|"
    r"open[\s-]*end(?:ed)?|oe\b|numeric|drop\s*-?\s*down|slider|grid|scale\s*[:=]|exclusive|"
    r"mutually|required|optional|force|hidden|punch|quota|screen|end\s+of|new\s+screen|"
    r"vol(?:\.|untee?red)?\b|specify|split|half|form\s+[ab]\b|ask\s+half"
)
_BRACKETED = re.compile(
    rf"\s*(?:\[\s*(?:{_INSTRUCTION_WORDS})[^\]]*\]|\(\s*(?:{_INSTRUCTION_WORDS})[^)]*\))", re.I
)
_CAPITALS = re.compile(r"\s*\[[^\]a-zà-ÿ]*[A-Z]{3}[^\]a-zà-ÿ]*\]")
_SURELY = re.compile(
    r"\s*(?:randomi[sz]e|rotate|read\b|do\s*not\s+read|dnr\b|probe|interviewer|enumerator|"
    r"programmer|spontaneous|unprompted|open[\s-]*end|single\s*(?:code|punch)|"
    r"multi(?:ple)?[\s-]*(?:code|punch)|code\s+(?:one|all|first|to)|record\b|vol(?:\.|unt)|numeric)",
    re.I,
)
_PICTURE = re.compile(r"insert\s+(?:\w+\s+)?(?:image|logo|picture|video|photo)", re.I)


def without_instructions(text: str) -> tuple[str, tuple[str, ...]]:
    """A wording without what is said to interviewers and programmers in brackets, and that.

    In round brackets only what is in capitals or surely said to them: "(if any)" and "(Please
    select all that apply)" are said to people. Piped text stays; :func:`piped` finds it.
    """
    taken: list[str] = []

    def take(match: re.Match[str]) -> str:
        whole = match[0].strip()
        inner = whole[1:-1].strip()
        capitals = sum(c.isupper() for c in inner) > sum(c.islower() for c in inner)
        if whole[0] == "(" and not capitals and not _SURELY.match(inner):
            return match[0]
        if _PIPED.search(whole) and not _PICTURE.search(whole):
            return match[0]
        taken.append(inner)
        return ""

    made = _CAPITALS.sub(take, _BRACKETED.sub(take, text))
    return " ".join(made.split()), tuple(taken)


_SPECIFY = re.compile(
    r"(?:\s*[\[(,;:]\s*|\s+[–—-]\s+|\s+)(?:please\s+)?"
    r"(?:specify|describe|write\s+in|tell\s+us|explain)"
    r"(?:\s+below|\s+here)?\s*[\])]?\s*:?\s*$",
    re.I,
)
_FILL_IN = re.compile(r"\s*_{3,}.*$")
_EXCLUSIVE = re.compile(r"^[⊗✕☒]\s*")


def option_text(text: str) -> str:
    """An option without lines to write on, "(please specify)" and marks of exclusiveness."""
    made = _EXCLUSIVE.sub("", _FILL_IN.sub("", plain(text)))
    made, _ = without_instructions(made)
    cut = _SPECIFY.sub("", made)
    if cut and len(cut.split()) <= 6:
        made = cut
    return made.strip().rstrip(":").strip()
