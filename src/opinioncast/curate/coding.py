"""Answers as option indices and missing reasons: the numeric form that aggregation works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import Question
from opinioncast.survey.wave import Missing, Variable, Wave

UNLISTED = "unlisted"
"""A code in the file to which the codebook gives no meaning, neither answer nor missing."""

REASONS: tuple[str, ...] = (*(m.value for m in Missing), UNLISTED)
"""Why an answer is not substantive, in the order of the indices in :class:`CodedAnswers`."""

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CodedAnswers:
    """What each respondent answered to each question.

    Attributes:
        choice: index of the option chosen, -1 where there is none; int8, (respondents, questions),
            each question's answers side by side.
        reason: index into :data:`REASONS`, -1 where an option was chosen; same shape.
        starts: first place of each question in the flat layout that lists all options of all
            questions one after the other, and its length at the end; (questions + 1,).
    """

    choice: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    starts: Ints

    def entries(self) -> tuple[Ints, Ints]:
        """Respondent and flat option of every substantive answer, ordered by respondent."""
        rows, questions = np.nonzero(self.choice >= 0)
        return rows, self.starts[questions] + self.choice[rows, questions]

    def chosen(self) -> npt.NDArray[np.float64]:
        """1 where a respondent chose a flat option, else 0; shape (respondents, options)."""
        onehot = np.zeros((len(self.choice), int(self.starts[-1])))
        onehot[self.entries()] = 1.0
        return onehot

    def take(self, questions: Sequence[int]) -> CodedAnswers:
        """The same answers for some of the questions."""
        sizes = np.diff(self.starts)[list(questions)]
        return CodedAnswers(
            self.choice[:, questions], self.reason[:, questions], option_starts(sizes)
        )


def option_starts(sizes: npt.ArrayLike) -> Ints:
    """Where each question starts in the flat layout, given its number of options."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)


def code_answers(wave: Wave, questions: Sequence[tuple[Question, str]]) -> CodedAnswers:
    """Turn the file's codes into option indices and missing reasons.

    Args:
        questions: each question with the variable that holds its answers; the variable's codes are
            in the order of the question's options.

    Raises:
        InputError: no question; a question of another family or wave; a question key that appears
            twice.
        DataError: a variable that the wave does not describe, that holds text, or that has another
            number of codes than the question has options.
    """
    variables = [_variable(wave, question, name) for question, name in questions]
    if not variables:
        raise InputError("No question to aggregate", expected="at least one question")
    ids = [question.question_id for question, _ in questions]
    if len(set(ids)) != len(ids):
        raise InputError(
            "A question id appears twice",
            where=_place(wave),
            expected="different ids",
            found=", ".join(sorted({i for i in ids if ids.count(i) > 1})),
        )
    shape = (len(wave), len(variables))
    choice = np.full(shape, -1, np.int8, order="F")
    reason = np.full(shape, REASONS.index(UNLISTED), np.int8, order="F")
    for q, variable in enumerate(variables):
        known = np.array([*variable.codes, *variable.missing], dtype=float)
        order = np.argsort(known)
        answers = wave.respondents[variable.name].cast(pl.Float64).to_numpy()
        place = np.searchsorted(known[order], answers).clip(max=len(known) - 1)
        at = order[place]
        listed = known[at] == answers
        reasons = np.array(
            [-1] * len(variable.codes) + [REASONS.index(m.value) for m in variable.missing.values()]
        )
        chosen = listed & (at < len(variable.codes))
        choice[chosen, q] = at[chosen]
        reason[listed, q] = reasons[at[listed]]
        reason[np.isnan(answers), q] = REASONS.index(variable.system_missing.value)
    return CodedAnswers(choice, reason, option_starts([len(v.codes) for v in variables]))


def check_masks(wave: Wave, subpopulations: Sequence[Subpopulation], masks: Bools) -> Bools:
    """Return ``masks`` if it has one row per respondent and one column per subpopulation."""
    masks = np.asarray(masks)
    expected = (len(wave), len(subpopulations))
    if masks.shape != expected or masks.dtype != np.bool_:
        raise InputError(
            "The group masks do not fit the wave",
            where=_place(wave),
            expected=f"booleans of shape {expected}: respondents, subpopulations",
            found=f"{masks.dtype} of shape {masks.shape}",
        )
    if len(set(subpopulations)) != len(subpopulations):
        raise InputError(
            "A subpopulation appears twice",
            where=_place(wave),
            expected="different subpopulations",
            found=", ".join(
                sorted({str(s) for s in subpopulations if subpopulations.count(s) > 1})
            ),
        )
    return masks


def _variable(wave: Wave, question: Question, name: str) -> Variable:
    where = f'{_place(wave)}, question "{question.question_id}", variable {name}'
    for own, theirs in ((question.family, wave.family), (question.wave, wave.wave)):
        if own and own != theirs:
            raise InputError(
                "A question belongs to another wave",
                where=where,
                expected=_place(wave),
                found=f"{question.family} {question.wave}",
            )
    variable = wave.variables.get(name)
    if variable is None:
        raise DataError(
            "A question names a variable the wave does not describe",
            where=where,
            expected="a variable with codes and options",
            hint="check the spelling in the recipe; names are case sensitive",
        )
    if len(variable.codes) != len(question.options):
        raise DataError(
            "A question does not have as many options as its variable has codes",
            where=where,
            expected=f"{len(variable.codes)} options for codes {list(variable.codes)}",
            found=list(question.options),
        )
    column = wave.respondents[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise DataError(
            "The answers to a question are not numeric codes",
            where=where,
            expected="numbers",
            found=f"{column.dtype}: {column.drop_nulls().head(3).to_list()}",
            hint="give the texts codes in the codebook",
        )
    return variable


def _place(wave: Wave) -> str:
    return f"{wave.family} {wave.wave}"
