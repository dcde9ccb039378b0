"""Questions a person chose, with their wording: the file behind a wave's ``questions``.

Two layouts: ours, YAML with ``wave -> variable -> text`` or a mapping of ``text``, ``options``,
``codes`` or ``labels`` (of the options, in the file) and ``ordinal``; and the published SubPOP
question file, JSON with ``variable -> refined_qbody, option_list (ending in "Refused"), ordinal``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.curate.option_texts import match_texts
from opinioncast.curate.ordinality import normal_option
from opinioncast.documents import read_document, text_of, texts_of
from opinioncast.errors import InputError
from opinioncast.readers.codebook import crossed
from opinioncast.survey.wave import Variable

REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class ChosenQuestion:
    """Wording of one variable; options, codes and scale as in the survey's file if None."""

    text: str
    options: tuple[str, ...] | None = None
    ordinal: tuple[float, ...] | None = None
    codes: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Which of a variable's codes each option of a chosen question stands for.

    Attributes:
        places: index into the variable's codes, per option; empty where they cannot be matched.
        options: as prompted.
        note: what a person should check, or why they cannot be matched.
    """

    places: tuple[int, ...]
    options: tuple[str, ...]
    note: str = ""


def match_options(variable: Variable, chosen: ChosenQuestion) -> Match:
    """Match the options of a question file to a variable's codes without guessing.

    By ``codes`` or ``labels``, where a person gave them; else by what the texts say
    (:func:`opinioncast.curate.option_texts.match_texts`). The order in which options and labels
    are listed decides nothing: one of the two lists may run the other way.
    """
    labels = variable.options
    if len(variable.codes) < 2:
        return Match((), (), f"{len(variable.codes)} labelled option(s) in the file")
    if chosen.codes is not None:
        return _by_code(variable, chosen.codes, chosen.options)
    if chosen.labels is not None:
        return _by_label(variable, chosen.labels, chosen.options)
    if chosen.options is None:
        return Match(tuple(range(len(labels))), labels)
    if len(chosen.options) != len(labels):
        note = f"{len(chosen.options)} options {list(chosen.options)} for {_listed(variable)}: "
        return Match((), (), note + _FIX)
    places, doubtful = match_texts(chosen.options, labels, variable.codes)
    if places is None:
        told = ", ".join(f'"{option}"' for option in doubtful)
        return Match(
            (), (), f"not told by its text: {told}; the file has {_listed(variable)}: {_FIX}"
        )
    renamed = [
        f'"{option}" is "{labels[at]}"'
        for option, at in zip(chosen.options, places, strict=True)
        if normal_option(option) != normal_option(labels[at])
    ]
    note = f"matched by wording: {'; '.join(renamed)}" if renamed else ""
    return Match(places, chosen.options, note)


_FIX = "give `codes` (or `labels`) of the options, in their order"


def _listed(variable: Variable) -> str:
    pairs = zip(variable.codes, variable.options, strict=True)
    return "; ".join(f'{code:g} "{text}"' for code, text in pairs)


def _by_label(variable: Variable, labels: Sequence[str], options: tuple[str, ...] | None) -> Match:
    place = {normal_option(label): i for i, label in enumerate(variable.options)}
    found = [place.get(normal_option(label)) for label in labels]
    strange = [label for label, at in zip(labels, found, strict=True) if at is None]
    if strange or len(set(found)) != len(found) or len(place) != len(variable.options):
        given = ", ".join(f'"{label}"' for label in strange or labels)
        return Match((), (), f"labels {given} for the file's {_listed(variable)}")
    codes = [variable.codes[at] for at in found if at is not None]
    return _by_code(variable, codes, options)


def _by_code(variable: Variable, codes: Sequence[float], options: tuple[str, ...] | None) -> Match:
    place = {code: i for i, code in enumerate(variable.codes)}
    strange = [c for c in codes if c not in place]
    if strange or len(set(codes)) != len(codes):
        return Match((), (), f"codes {list(codes)} for the file's {_listed(variable)}")
    places = tuple(place[c] for c in codes)
    swapped = crossed(options, [variable.options[i] for i in places]) if options else None
    if swapped:
        return Match(
            (),
            (),
            f'"{swapped[0]}" is given the code of "{swapped[1]}", and the file has it for another '
            f"({_listed(variable)}): correct `codes`; if the file's labels are wrong, correct "
            "them first (`correct`, with `relabel: true`)",
        )
    left = [o for i, o in enumerate(variable.options) if i not in places]
    note = f"left out: {'; '.join(left)}" if left else ""
    return Match(places, options or tuple(variable.options[i] for i in places), note)


def read_questions(path: Path, wave: str) -> Mapping[str, ChosenQuestion]:
    """The questions ``path`` chooses for ``wave``, by variable.

    Raises:
        InputError: a file that cannot be read or has another layout; no question for the wave.
    """
    raw = read_document(path, "A question file")
    if not isinstance(raw, dict) or not raw:
        raise InputError(
            "A question file has an unknown layout",
            where=str(path),
            expected="wave -> variable -> text, or SubPOP's variable -> refined_qbody",
            found=type(raw).__name__,
        )
    published = all(isinstance(v, dict) and "refined_qbody" in v for v in raw.values())
    by_wave = {str(k): v for k, v in raw.items()}  # YAML reads a bare 2018 as a number
    entries = raw if published else by_wave.get(wave) or {}
    if not isinstance(entries, dict) or not entries:
        raise InputError(
            "A question file has no question for this wave",
            where=str(path),
            expected=f'`"{wave}":` with variables below it',
            found=", ".join(map(str, raw)),
        )
    read = _published if published else _own
    return {str(v): read(entry, f"{path}, {wave}, {v}") for v, entry in entries.items()}


def _published(entry: Mapping[str, Any], where: str) -> ChosenQuestion:
    options = entry.get("option_list")
    if not isinstance(options, list) or not options:
        raise InputError(
            "A published question has no options",
            where=where,
            expected="option_list",
            found=entry,
        )
    shown = options[:-1] if options[-1] == REFUSED else options
    return _fitting(
        {"options": shown, "ordinal": entry.get("ordinal")}, entry["refined_qbody"], where
    )


def _own(entry: Any, where: str) -> ChosenQuestion:
    if isinstance(entry, str) and entry.strip():
        return ChosenQuestion(entry.strip())
    if (
        not isinstance(entry, dict)
        or not entry.get("text")
        or set(entry) - {"text", "options", "ordinal", "codes", "labels"}
    ):
        raise InputError(
            "A question cannot be read",
            where=where,
            expected="its wording, or `text` with `options`, `codes` or `labels`, and `ordinal`",
            found=entry,
        )
    return _fitting(entry, entry["text"], where)


def _fitting(entry: Mapping[str, Any], text: Any, where: str) -> ChosenQuestion:
    named = ("options", "codes", "labels", "ordinal")
    lists: dict[str, Any] = {k: entry[k] for k in named if entry.get(k) is not None}
    try:
        if not all(isinstance(v, list) for v in lists.values()):
            raise TypeError("not a list")
        numbers = {k: tuple(float(n) for n in lists[k]) for k in ("codes", "ordinal") if k in lists}
    except (TypeError, ValueError) as error:
        raise InputError(
            "A question cannot be read",
            where=where,
            expected="lists: options and labels as texts, codes and ordinal as numbers",
            found=lists,
        ) from error
    if len({len(v) for v in lists.values()}) > 1:
        raise InputError(
            "A question has not one code and scale position per option",
            where=where,
            expected="lists of one length",
            found={k: len(v) for k, v in lists.items()},
        )
    if "codes" in lists and "labels" in lists:
        raise InputError(
            "A question says twice what its options stand for",
            where=where,
            expected="`codes` or `labels`",
            found=lists,
        )
    texts = {k: texts_of(lists[k], where) for k in ("options", "labels") if k in lists}
    return ChosenQuestion(
        text_of(text, where).strip(),
        texts.get("options"),
        numbers.get("ordinal"),
        numbers.get("codes"),
        texts.get("labels"),
    )
