"""A questionnaire: questions, whom they are put to, and what people answered where that is known.

Formats are files beside this one. Each reads its files into entries, which are checked here, the
same for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.check_list import CheckList
from opinioncast.questionnaires.declaration import Entry, Instrument
from opinioncast.questionnaires.entry_question import (
    Placement,
    asked_of,
    listed,
    number_of,
    question_of,
    scale_note,
)
from opinioncast.questionnaires.file_format import format_of
from opinioncast.questionnaires.limits import read_bytes
from opinioncast.survey import (
    US_ADULTS,
    GroupScheme,
    OpinionTable,
    Population,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)
from opinioncast.survey.question import check_distribution
from opinioncast.survey.question_kind import Asked, item_shares, rounding_tolerance

_EXACT = 0.005  # of a sum of shares; more is rounding, which is said
_OBSERVED_FIELDS = {"shares", "n", "n_eff", "refusal_rate"}


@dataclass(frozen=True)
class KnownResults:
    """What a questionnaire says is known of one question.

    Attributes:
        shares: group expression -> shares in the order of the options, option -> share, or a
            mapping with ``shares``, ``n``, ``n_eff``.
        where: file and line, for errors.
    """

    question_id: str
    shares: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class Questionnaire:
    """What a questionnaire file holds; :func:`read_questionnaire` has an example.

    Attributes:
        questions: in file order.
        observed: distributions the file gives, or None if it gives none.
        known: results that predictions start from, as the file has them:
            :func:`opinioncast.evidence.known.known_cells` reads them.
        sha256: of the file.
        population: whom the questions are put to.
        notes: what was read otherwise than it stands, a sentence each.
        placements: block, battery, routing and codes of each question, in their order.
        title, language: as the file has them, else empty.
        check_list: of a file that was imported: what was understood and what was left out.
    """

    name: str
    questions: tuple[Question, ...]
    observed: OpinionTable | None
    sha256: str
    population: Population = US_ADULTS
    notes: tuple[str, ...] = ()
    known: tuple[KnownResults, ...] = ()
    placements: tuple[Placement, ...] = ()
    title: str = ""
    language: str = ""
    check_list: CheckList | None = None

    def put_to(self, population: str | Population) -> Questionnaire:
        """The same questions, put to another population.

        Raises:
            InputError: words that cannot name one.
        """
        whom = Population.read(population)
        observed = self.observed
        if observed is not None:
            meta = dict(observed.meta) | {"population": whom.record()}
            observed = OpinionTable(observed.frame, meta)
        questions = tuple(replace(q, population=whom) for q in self.questions)
        return replace(self, questions=questions, observed=observed, population=whom)


def read_questionnaire(path: str | Path, groups: GroupScheme | None = None) -> Questionnaire:
    """Read a questionnaire by its ending and, where several formats share one, its content.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from opinioncast import read_questionnaire
    >>> text = "question,options\\nAre rents too high?,Yes|No\\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "survey.csv"
    ...     _ = path.write_text(text)
    ...     read_questionnaire(path).questions[0].options
    ('Yes', 'No')

    Args:
        groups: scheme that knows the groups named under ``observed``; the standard attributes when
            left out.

    Raises:
        InputError: a file that is missing, in another format or encoding, or a question,
            distribution or group that cannot be used, with the line or row it stands in.
    """
    path = Path(path)
    kind = format_of(path)
    content = read_bytes(path)
    return questionnaire(kind.read(path, content), path, content, groups)


def questionnaire(
    instrument: Instrument, path: Path, content: bytes, groups: GroupScheme | None = None
) -> Questionnaire:
    """The questionnaire of what a format read, checked.

    Raises:
        InputError: as :func:`read_questionnaire`.
    """
    head = instrument.head
    population = Population.read(head.population, f"{path}, population")
    questions: list[Question] = []
    rows: list[dict[str, Any]] = []
    checked = instrument.check_list
    notes = [f"{path.name}: {checked.summary()}; `import` lists them"] if checked else []
    known: list[KnownResults] = []
    placements: list[Placement] = []
    seen: dict[str, str] = {}
    scheme = groups or load_groups("total")
    for number, entry in enumerate(instrument.entries, start=1):
        whole = question_of(entry, number, head, population)
        asked, places = asked_of(entry, whole)
        placements += places
        if not checked and not asked.several and (remark := scale_note(entry, asked.questions[0])):
            notes.append(remark)
        notes += [asked.note] if asked.note and not checked else []  # the check list has them
        for question in asked.questions:
            first = seen.setdefault(question.question_id, entry.where)
            if first != entry.where:
                raise InputError(
                    "Two questions have one id",
                    where=f"{first} and {entry.where}",
                    expected="different ids",
                    found=question.question_id,
                )
        questions += asked.questions
        rows.extend(_observed(entry, asked, scheme, notes))
        known.extend(_known(entry, asked))
    if not questions:
        raise InputError(
            "The questionnaire has no questions",
            where=str(path),
            expected="at least one question",
            found="none",
        )
    observed = None
    if rows:
        meta = {"source": path.name, "kind": "user's observed", "population": population.record()}
        observed = OpinionTable.from_rows(rows, meta)
    digest = hashlib.sha256(content).hexdigest()
    return Questionnaire(
        path.stem,
        tuple(questions),
        observed,
        digest,
        population,
        tuple(notes),
        tuple(known),
        tuple(placements),
        head.title,
        head.language,
        checked,
    )


def _observed(
    entry: Entry, asked: Asked, scheme: GroupScheme, notes: list[str]
) -> Iterator[dict[str, Any]]:
    done: dict[Subpopulation, str] = {}
    for expression, given in entry.observed.items():
        where = f"{entry.where}, observed {expression}"
        more: dict[str, Any] = {}
        shares = given
        if isinstance(given, Mapping):
            unknown = set(given) - _OBSERVED_FIELDS
            if unknown or "shares" not in given:
                raise InputError(
                    "An observed distribution cannot be read",
                    where=where,
                    expected="a list of shares, or `shares` with "
                    + ", ".join(sorted(_OBSERVED_FIELDS - {"shares"})),
                    found=dict(given),
                )
            shares = given["shares"]
            more = {k: number_of(v, where, k) for k, v in given.items() if k != "shares"}
            if "n" in more:
                more["n"] = round(more["n"])
        try:
            group = scheme.parse(expression)
        except InputError as error:
            raise error.at(where) from None
        if group in done:
            raise InputError(
                "A group has two observed distributions",
                where=where,
                expected="one per group",
                found=f"{done[group]} and {expression}",
            )
        done[group] = expression
        written = [str(v) for v in listed(shares)]
        values = [number_of(v, where, "share") for v in written]
        if asked.several:
            if len(values) != len(asked.questions):
                check_distribution(values, len(asked.questions), where=where)  # says so
            for question, pair in zip(asked.questions, item_shares(values, where), strict=True):
                yield opinion_row(question, group, pair, **more)
            continue
        (question,) = asked.questions
        tolerance = max(_EXACT, rounding_tolerance(values, written))
        distribution = check_distribution(
            values, len(question.options), where=where, tolerance=tolerance
        )
        total = sum(values)
        if min(abs(total - 1), abs(total - 100) / 100) > _EXACT:
            notes.append(
                f'"{question.question_id}", {expression}: shares that sum to {total:g} are taken '
                "as rounded"
            )
        yield opinion_row(question, group, distribution, **more)


def _known(entry: Entry, asked: Asked) -> Iterator[KnownResults]:
    if not entry.known:
        return
    if not asked.several:
        yield KnownResults(asked.questions[0].question_id, entry.known, entry.where)
        return
    by_item: list[dict[str, Any]] = [{} for _ in asked.questions]
    for expression, given in entry.known.items():
        where = f"{entry.where}, known {expression}"
        whole = dict(given) if isinstance(given, Mapping) and "shares" in given else {}
        shares = whole.get("shares", given)
        if isinstance(shares, Mapping):
            raise InputError(
                "Known results of a question of several answers cannot be read",
                where=where,
                expected="a list with one share per option, in their order",
                found=dict(shares),
            )
        values = [number_of(v, where, "share") for v in listed(shares)]
        if len(values) != len(asked.questions):
            check_distribution(values, len(asked.questions), where=where)  # says so
        for item, pair in zip(by_item, item_shares(values, where), strict=True):
            item[expression] = whole | {"shares": list(pair)}
    for question, shares in zip(asked.questions, by_item, strict=True):
        yield KnownResults(question.question_id, shares, entry.where)
