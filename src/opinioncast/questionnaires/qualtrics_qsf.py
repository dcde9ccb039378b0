"""Qualtrics survey files (.qsf).

Questions stand in the file in the order they were made; the order asked comes from the flow, its
blocks and their elements. Display, branch and skip logic are kept as the texts Qualtrics wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opinioncast.questionnaires.assembly import assembled, choices_of
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.json_file import has_keys, json_object, mapping, sequence
from opinioncast.questionnaires.wording import option_text, plain
from opinioncast.texts import whole_number

_NO_ID = re.compile(r"[\s|,;:/\\]+")  # as ids are mended where entries are made
_MULTIPLE = {"MAVR", "MAHR", "MACOL", "MSB"}
_NO_CHOICE = {
    "TE": Kind.OPEN,
    "RO": Kind.RANKING,
    "PGR": Kind.RANKING,
    "CS": Kind.POINTS,
    "FileUpload": Kind.UPLOAD,
    "Draw": Kind.UPLOAD,
    "Signature": Kind.UPLOAD,
    "HeatMap": Kind.UPLOAD,
    "HotSpot": Kind.UPLOAD,
    "Timing": Kind.COMPUTED,
    "Meta": Kind.COMPUTED,
    "Captcha": Kind.COMPUTED,
    "DB": Kind.TEXT,
}
_MATRIX_NO_CHOICE = {
    "TE": Kind.OPEN,
    "RO": Kind.RANKING,
    "CS": Kind.POINTS,
    "MaxDiff": Kind.RANKING,
}


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a Qualtrics survey in the order of its flow.

    Raises:
        InputError: no .qsf, or no closed question in it.
    """
    file = json_object(path, content, "A Qualtrics file", "SurveyElements")
    entry = mapping(file.get("SurveyEntry"))
    survey = _Survey(sequence(file["SurveyElements"]))
    head = Head(
        title=plain(entry.get("SurveyName")), language=plain(entry.get("SurveyLanguage")).lower()
    )
    return assembled(path, "Qualtrics survey (.qsf)", survey.found(), head, survey.notes())


class _Survey:
    """The elements of a file by what they are."""

    def __init__(self, elements: list[Any]) -> None:
        self.questions: dict[str, Mapping[str, Any]] = {}
        self.blocks: dict[str, Mapping[str, Any]] = {}
        self.flow: list[Any] = []
        self.languages: set[str] = set()
        for element in map(mapping, elements):
            payload = element.get("Payload")
            if element.get("Element") == "SQ" and isinstance(payload, Mapping):
                self.questions[str(element.get("PrimaryAttribute"))] = payload
                self.languages |= set(mapping(payload.get("Language")))
            elif element.get("Element") == "BL":
                self.blocks |= {str(b.get("ID")): b for b in map(mapping, sequence(payload))}
            elif element.get("Element") == "FL":
                self.flow = sequence(mapping(payload).get("Flow"))

    def notes(self) -> tuple[str, ...]:
        if not self.languages:
            return ()
        return (f"translations in the file, not read: {', '.join(sorted(self.languages))}",)

    def found(self) -> Iterator[Found]:
        done: set[str] = set()
        order = list(self._flow(self.flow, ())) or [(b, ()) for b in self.blocks]
        for block_id, conditions in order:
            block = self.blocks.get(block_id)
            if block is not None and block.get("Type") != "Trash":
                yield from self._block(block, conditions, done)
        for block in self.blocks.values():
            trash = block.get("Type") == "Trash"
            for qid in _question_ids(block):
                if qid in self.questions and qid not in done:
                    done.add(qid)
                    made = self._question(qid, "", "")
                    why = Kind.DELETED.value if trash else "its block is not in the flow"
                    yield from (_left_out(f, why) for f in made)

    def _flow(self, flow: list[Any], conditions: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Blocks in order, each with the conditions of the branches it stands in."""
        stack = [(mapping(step), conditions) for step in reversed(flow)]
        while stack:
            step, above = stack.pop()
            if step.get("Type") in ("Block", "Standard"):
                yield str(step.get("ID")), above
            said = self._logic(step.get("BranchLogic"))
            below = (*above, said) if said else above
            stack += [(mapping(s), below) for s in reversed(sequence(step.get("Flow")))]

    def _block(
        self, block: Mapping[str, Any], conditions: tuple[str, ...], done: set[str]
    ) -> Iterator[Found]:
        looped = mapping(block.get("Options")).get("Looping") not in (None, "None", "")
        above = [*conditions, *(["in a loop"] if looped else [])]
        for qid in _question_ids(block):
            if qid in self.questions and qid not in done:
                done.add(qid)
                yield from self._question(qid, plain(block.get("Description")), "; ".join(above))

    def _question(self, qid: str, block: str, conditions: str) -> list[Found]:
        payload = self.questions[qid]
        shown = self._logic(payload.get("DisplayLogic")) or self._logic(
            payload.get("InPageDisplayLogic")
        )
        skips = [
            f"then skip: {plain(mapping(s).get('Description'))}"
            for s in sequence(payload.get("SkipLogic"))
            if mapping(s).get("Description")
        ]
        choices, note = self._choices(payload)
        common = {
            "where": f"element {qid}",
            "id": str(payload.get("DataExportTag") or qid),
            "block": block,
            "routing": "; ".join(filter(None, (conditions, shown, *skips))),
            "note": note,
        }
        hidden = [c.text for c in choices if c.off_scale]
        remarks = (f"shown only by logic: {', '.join(hidden)}",) if hidden else ()
        choices = [Choice(c.text, c.code) for c in choices]
        return _made(payload, choices, common | {"remarks": remarks})

    def _logic(self, logic: Any) -> str:
        """A logic tree in words: ``If Q1 = "Yes" and Q2 != "No"`` where it asks for choices.

        What asks for something else stays as Qualtrics words it.
        """
        groups: list[str] = []
        tree = mapping(logic)
        for key in sorted((k for k in tree if str(k).isdecimal()), key=int):
            group = mapping(tree[key])
            said: list[str] = []
            for inner in sorted((k for k in group if str(k).isdecimal()), key=int):
                leaf = mapping(group[inner])
                if not isinstance(leaf.get("Description"), str) or not leaf.get("LogicType"):
                    continue
                joint = str(leaf.get("Conjuction") or "And").lower()  # so spelt in the format
                said += [joint] if said else []
                said.append(self._choice_asked_for(leaf) or _described(leaf["Description"]))
            if said:
                joint = (
                    "or" if str(group.get("Type")).lower() in ("orif", "elseif", "or") else "and"
                )
                groups += [joint] if groups else []
                groups.append(" ".join(said))
        if len(groups) > 1:
            groups = [f"({g})" if i % 2 == 0 else g for i, g in enumerate(groups)]
        return f"If {' '.join(groups)}" if groups else ""

    def _choice_asked_for(self, leaf: Mapping[str, Any]) -> str:
        """``Q1 = "Yes"`` of a leaf that asks whether a choice was selected, "" of others."""
        sign = {"Selected": "=", "NotSelected": "!="}.get(str(leaf.get("Operator")))
        found = re.fullmatch(r"q://(QID\w+)/SelectableChoice/(\w+)", str(leaf.get("ChoiceLocator")))
        asked = self.questions.get(found[1]) if found else None
        if sign is None or found is None or asked is None or asked.get("QuestionType") != "MC":
            return ""
        choice = mapping(mapping(asked.get("Choices")).get(found[2]))
        words = option_text(str(choice.get("Display") or "")).replace('"', "'")
        tag = _NO_ID.sub("_", plain(asked.get("DataExportTag") or found[1]))
        return f'{tag} {sign} "{words}"' if words else ""

    def _choices(self, payload: Mapping[str, Any]) -> tuple[list[Choice], str]:
        """Options (rows, in a matrix) in order; off_scale marks one that logic may hide."""
        own = mapping(payload.get("Choices"))
        source, note = payload, ""
        if carried := mapping(payload.get("DynamicChoices")).get("Locator"):
            found = re.search(r"q://(QID\w+)/", str(carried))
            other = self.questions.get(found[1]) if found else None
            if other is not None:
                tag = other.get("DataExportTag") or (found and found[1])
                note = f"the file shows only what was chosen at {tag}; here all of it"
                if not own:
                    source, own = other, mapping(other.get("Choices"))
        order = [str(c) for c in sequence(source.get("ChoiceOrder"))]
        codes = mapping(source.get("RecodeValues"))
        keys = [k for k in order if k in own] + [k for k in own if k not in order]
        matrix = payload.get("QuestionType") in ("Matrix", "SBS")
        made = []
        for key in keys:
            choice = mapping(own[key])
            text = str(choice.get("Display") or "")
            code = key if matrix else str(codes.get(key, key))
            made.append(Choice(text, code, off_scale=bool(choice.get("DisplayLogic"))))
        return made, note


def _made(
    payload: Mapping[str, Any], choices: list[Choice], common: Mapping[str, Any]
) -> list[Found]:
    kind, selector = str(payload.get("QuestionType")), str(payload.get("Selector"))
    text = plain(payload.get("QuestionText"))
    common = {**common, "text": text}
    items = _items(payload, choices)
    if kind in ("MC", "NPS"):
        several = selector in _MULTIPLE
        if selector == "NPS" and len(choices) < 2:
            choices = [Choice(str(n), str(n)) for n in range(11)]
        return [Found(**common, kind=Kind.SEVERAL if several else Kind.SINGLE, choices=(*choices,))]
    if kind == "Matrix" and selector in _MATRIX_NO_CHOICE:
        return [Found(**common, kind=_MATRIX_NO_CHOICE[selector], why=f"{len(choices)} rows")]
    if kind == "Matrix":
        made = _grid(payload, str(payload.get("SubSelector")), items, common)
        return [_between_ends(made) if selector == "Bipolar" else made]
    if kind == "SBS":
        return _side_by_side(payload, items, common)
    if kind == "Slider":
        return [_slider(payload, items, common)]
    if kind == "TE" and mapping(_validation(payload)).get("ContentType") == "ValidNumber":
        return [Found(**common, kind=Kind.NUMBER)]
    if kind in _NO_CHOICE:
        return [Found(**common, kind=_NO_CHOICE[kind])]
    return [Found(**common, kind=Kind.UNKNOWN, why=f"{kind} {selector}")]


def _items(payload: Mapping[str, Any], rows: list[Choice]) -> tuple[Item, ...]:
    tags = mapping(payload.get("ChoiceDataExportTags"))
    return tuple(
        Item(c.text, id=plain(t) if isinstance(t := tags.get(c.code), str) else "", code=c.code)
        for c in rows
    )


def _grid(
    payload: Mapping[str, Any], sub: str, items: tuple[Item, ...], common: Mapping[str, Any]
) -> Found:
    answers = mapping(payload.get("Answers"))
    order = [str(a) for a in sequence(payload.get("AnswerOrder"))]
    codes = mapping(payload.get("RecodeValues"))
    keys = [k for k in order if k in answers] + [k for k in answers if k not in order]
    choices = choices_of((codes.get(k, k), mapping(answers[k]).get("Display")) for k in keys)
    if sub == "MultipleAnswer" and len(choices) == 1:
        rows = tuple(Choice(i.text, i.code) for i in items)
        return Found(**common, kind=Kind.SEVERAL, choices=rows)
    kind = Kind.SEVERAL if sub == "MultipleAnswer" else Kind.SINGLE
    return Found(**common, kind=kind, choices=choices, items=items)


def _between_ends(found: Found) -> Found:
    """A scale between two ends with both in words: its rows are "Cold:Warm" in the file."""
    named = [c.text or c.code for c in found.choices]
    items = []
    for item in found.items:
        left, colon, right = plain(item.text).partition(":")
        if colon and left.strip() and right.strip() and len(named) > 1:
            words = f"from {left.strip()} ({named[0]}) to {right.strip()} ({named[-1]})"
            item = replace(item, text=words)
        items.append(item)
    return replace(found, items=tuple(items))


def _side_by_side(
    payload: Mapping[str, Any], items: tuple[Item, ...], common: Mapping[str, Any]
) -> list[Found]:
    made = []
    for number, column in mapping(payload.get("AdditionalQuestions")).items():
        column = mapping(column)
        own = {**common, "id": f"{common['id']}#{number}"}
        own["text"] = " - ".join(filter(None, (common["text"], plain(column.get("QuestionText")))))
        if column.get("Selector") == "TE" or column.get("QuestionType") == "TE":
            made.append(Found(**own, kind=Kind.OPEN))
            continue
        named = tuple(Item(i.text, code=i.code) for i in items)
        made.append(_grid(column, str(column.get("SubSelector")), named, own))
    return made


def _slider(
    payload: Mapping[str, Any], items: tuple[Item, ...], common: Mapping[str, Any]
) -> Found:
    settings = mapping(payload.get("Configuration"))
    ends = None
    stars = payload.get("Selector") == "STAR"
    low = 1 if stars else settings.get("CSSliderMin")
    high = settings.get("StarCount") if stars else settings.get("CSSliderMax")
    first, last = whole_number(str(low)), whole_number(str(high))
    if first is not None and last is not None and last >= 0:
        ends = (first, last)
    words = [str(mapping(v).get("Display") or "") for v in sequence(payload.get("Labels"))]
    labels = (words[0], words[-1]) if len(words) > 1 else ("", "")
    return Found(**common, kind=Kind.SLIDER, items=items, ends=ends, end_labels=labels)


def _validation(payload: Mapping[str, Any]) -> Any:
    return mapping(payload.get("Validation")).get("Settings")


def _question_ids(block: Mapping[str, Any]) -> list[str]:
    elements = map(mapping, sequence(block.get("BlockElements")))
    return [str(e.get("QuestionID")) for e in elements if e.get("Type") == "Question"]


def _described(description: str) -> str:
    """A leaf as Qualtrics words it, without the word that joins it to the one before."""
    words = plain(description.replace("</span>", " </span>"))
    return re.sub(r"^(?:If|And|Or)\s+", "", words)


def _left_out(found: Found, why: str) -> Found:
    return Found(found.where, found.id, found.text, left_out=True, why=why)


FORMAT = InstrumentFormat(
    name="qualtrics",
    help="A Qualtrics survey file (.qsf).",
    endings=(".qsf", ".json"),
    read=read,
    recognises=lambda content: has_keys(content, "SurveyElements"),
    order=50,
)
