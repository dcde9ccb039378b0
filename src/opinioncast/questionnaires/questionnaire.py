"""A questionnaire: questions, whom they are put to, and what people answered where that is known.

Formats are files beside this one. Each reads its files into entries, which are checked here, the
same for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Entry, Head, Instrument, instrument_formats
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
from opinioncast.survey.question_kind import Asked, as_asked, item_shares, rounding_tolerance

SEPARATOR = "|"
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
    """

    name: str
    questions: tuple[Question, ...]
    observed: OpinionTable | None
    sha256: str
    population: Population = US_ADULTS
    notes: tuple[str, ...] = ()
    known: tuple[KnownResults, ...] = ()

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
    """Read a questionnaire by its ending.

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
    formats = {ending: kind for kind in instrument_formats() for ending in kind.endings}
    if not path.is_file():
        raise InputError(
            "Questionnaire not found",
            where=str(path),
            expected=f"a file ending in {', '.join(formats)}",
            found="a folder" if path.is_dir() else "no such file",
        )
    kind = formats.get(path.suffix.casefold())
    if kind is None:
        raise InputError(
            "A questionnaire of this kind cannot be read",
            where=str(path),
            expected=", ".join(formats),
            found=path.suffix or "no file ending",
            hint="save it as CSV (UTF-8) or XLSX",
        )
    content = path.read_bytes()
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
    notes: list[str] = []
    known: list[KnownResults] = []
    seen: dict[str, str] = {}
    scheme = groups or load_groups("total")
    for number, entry in enumerate(instrument.entries, start=1):
        whole = _question(entry, number, head, population)
        try:
            asked = as_asked(whole)
        except InputError as error:
            raise error.at(entry.where) from None
        notes += [asked.note] if asked.note else []
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
        path.stem, tuple(questions), observed, digest, population, tuple(notes), tuple(known)
    )


def _question(entry: Entry, number: int, head: Head, population: Population) -> Question:
    fields = entry.fields
    for needed in ("question", "options"):
        if not fields.get(needed):
            raise InputError(
                f"A question has no {needed}",
                where=entry.where,
                expected=f"`{needed}`",
                found=", ".join(k for k, v in fields.items() if v) or "nothing",
            )
    scale = fields.get("scale") or []
    try:
        positions = tuple(_number(v, entry.where, "scale position") for v in _listed(scale))
        return Question(
            question_id=str(fields.get("id") or f"q{number}"),
            text=str(fields["question"]),
            options=tuple(str(o) for o in _listed(fields["options"])),
            ordinal=positions,
            family=head.family,
            wave=head.wave,
            population=population,
        )
    except InputError as error:
        raise (error if error.where == entry.where else error.at(entry.where)) from None


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
            more = {k: _number(v, where, k) for k, v in given.items() if k != "shares"}
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
        written = [str(v) for v in _listed(shares)]
        values = [_number(v, where, "share") for v in written]
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
        values = [_number(v, where, "share") for v in _listed(shares)]
        if len(values) != len(asked.questions):
            check_distribution(values, len(asked.questions), where=where)  # says so
        for item, pair in zip(by_item, item_shares(values, where), strict=True):
            item[expression] = whole | {"shares": list(pair)}
    for question, shares in zip(asked.questions, by_item, strict=True):
        yield KnownResults(question.question_id, shares, entry.where)


def _listed(value: Any) -> Sequence[Any]:
    """A list as it is; text split at ``|``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR)]
    return value if isinstance(value, Sequence) else [value]


def _number(value: Any, where: str, what: str) -> float:
    try:
        return float(str(value).strip().removesuffix("%"))
    except ValueError:
        raise InputError(
            f"A {what} is not a number", where=where, expected="a number", found=value
        ) from None
