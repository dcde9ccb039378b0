"""Which label of a file an option of a questionnaire stands for, by what the two texts say.

Nothing here looks at the order of a list: options listed in another order are matched to the same
labels, or to none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from opinioncast.curate.bands import read_band
from opinioncast.curate.ordinality import degree_of, normal_option
from opinioncast.readers.labels import clean_label

_NEGATIONS = frozenset({"no", "not", "never", "neither", "nor", "none", "nothing", "without"})
_OPPOSING = re.compile(r"(?:un|dis|in|im|il|ir|non)(?=[a-z]{3})")
_ORDERING = _NEGATIONS | {"than", "over", "but", "and", "or", "from", "to"}
"""With one of these, the same words in another order may say another thing."""
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        """a an the is are was were be been being am of to at in on for with it its that this these
        those there i you he she they we their his her my your our got get gets getting gotten gone
        has have had do does did would about just as so than them stay stays stayed remain remained
        keep kept spending spend doing done going""",
    )
)
"""Words that carry a sentence, not its meaning: "Stayed about the same" says "same"."""


def match_texts(
    options: Sequence[str], labels: Sequence[str], codes: Sequence[float]
) -> tuple[tuple[int, ...] | None, list[str]]:
    """The place of each option's label.

    Texts say the same if they are equal but for punctuation, filler words and the label's own code
    ("1 - rich" is code 1, "rich"), or stand for the same numbers ("4+", "4 or more"). What is then
    left is matched where one text has all the words of the other, neither negates or grades what
    the other does not ("Agree" is not "Strongly agree"), and no other pair left would do as well.

    Returns:
        Places, or None and the options for which there is not exactly one label.
    """
    places: dict[int, int] = {}
    for says in (_equal, _same, _part_of):
        left = [i for i in range(len(options)) if i not in places]
        free = [j for j in range(len(labels)) if j not in places.values()]
        fits = {i: [j for j in free if says(options[i], labels[j], codes[j])] for i in left}
        taken = [j for found in fits.values() for j in found]
        places |= {
            i: found[0]
            for i, found in fits.items()
            if len(found) == 1 and taken.count(found[0]) == 1
        }
    doubtful = [option for i, option in enumerate(options) if i not in places]
    if doubtful:
        return None, doubtful
    return tuple(places[i] for i in range(len(options))), []


def _equal(option: str, label: str, code: float) -> bool:
    plain = normal_option(option)
    return plain == normal_option(label) or normal_option(
        clean_label(option, code)
    ) == normal_option(clean_label(label, code))


def _same(option: str, label: str, code: float) -> bool:
    first, second = (_words(clean_label(text, code)) for text in (option, label))
    if first and first == second:
        return True
    free = not _ORDERING & {*_plain_words(option), *_plain_words(label)}
    if first and free and sorted(first) == sorted(second):
        return True
    bands = read_band(option), read_band(label)
    return bands[0] is not None and bands[0] == bands[1]


def _part_of(option: str, label: str, code: float) -> bool:
    texts = [clean_label(text, code) for text in (option, label)]
    shorter, longer = sorted((_words(text) for text in texts), key=len)
    if not shorter or not _in_order(shorter, longer):
        return False
    first, second = set(shorter), set(longer)
    more = first ^ second
    if more & _NEGATIONS or any(any(c.isdigit() for c in word) for word in more):
        return False
    degrees = [degree_of(normal_option(text)) for text in texts]
    return degrees[0] == degrees[1] and not _opposed(first, second)


def _opposed(first: set[str], second: set[str]) -> bool:
    """Whether one has a word of which the other has the opposite ("likely", "unlikely")."""
    return any(
        _OPPOSING.sub("", a, count=1) == b or a == _OPPOSING.sub("", b, count=1)
        for a in first - second
        for b in second - first
    )


def _in_order(shorter: Sequence[str], longer: Sequence[str]) -> bool:
    """Whether the words of one stand in the other, in this order."""
    rest = iter(longer)
    return all(word in rest for word in shorter)


def _words(text: str) -> tuple[str, ...]:
    """The words that carry a text's meaning."""
    words = _plain_words(text)
    return tuple(w for w in words if w not in _FILLERS) or words


def _plain_words(text: str) -> tuple[str, ...]:
    """All words; "can't" is "can not"."""
    plain = normal_option(text).replace("cannot", "can not").replace("can't", "can not")
    plain = re.sub(r"n't\b", " not", plain.replace("won't", "will not"))
    return tuple(re.findall(r"[^\W_]+", plain))
