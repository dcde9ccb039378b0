"""The predictor: a method with its models, kept open so that a second question costs little."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from opinioncast.backends.protocol import Backend
from opinioncast.errors import CancelledError, InputError
from opinioncast.methods.basis import with_basis
from opinioncast.methods.definition import by_definition
from opinioncast.methods.embedding.features import TextEncoder
from opinioncast.methods.error_bars import ErrorBars
from opinioncast.methods.prediction import Method, Prediction, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.predictor.resources import Resources
from opinioncast.predictor.settings import PredictSettings
from opinioncast.predictor.two_options import as_given, with_two_points
from opinioncast.survey import Cells, GroupScheme, Question, load_groups

Groups = str | Path | Sequence[str | Path] | GroupScheme
Cancelled = threading.Event | Callable[[], bool]


class Predictor:
    """Predicts as often as it is asked; what it needs is loaded once, at the first question.

    >>> from opinioncast import Predictor, Question
    >>> rent = Question("rent", "Do you favor or oppose a limit on rents?", ("Favor", "Oppose"))
    >>> with Predictor(method="uniform") as predictor:
    ...     predictor.predict([rent], "total").frame["distribution"].to_list()
    [[0.5, 0.5]]

    Args:
        settings: how to predict; None: of ``options``, the default where there are none.
        cache: finished rows; None: the user's cache, unless the settings want none.
        beside: a predictor whose models serve here too, as long as it is open.
        options: of :class:`PredictSettings`.

    One predictor serves one thread at a time; another process makes its own of the settings, which
    can be sent to it.
    """

    def __init__(
        self,
        settings: PredictSettings | None = None,
        *,
        cache: RowCache | None = None,
        beside: Predictor | None = None,
        **options: Any,
    ) -> None:
        if settings is not None and options:
            raise InputError(
                "A predictor is given settings twice",
                expected="settings, or options beside none",
                found=", ".join(options),
            )
        self.settings = settings or PredictSettings(**options)
        lent: Resources | None = None if beside is None else beside._resources
        self._resources: Resources = Resources(self.settings, cache=cache, beside=lent)
        self._method: Method | None = None
        self._error_bars: ErrorBars | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; asked again, the predictor opens it anew."""
        self._method = None
        self._resources.close()

    @property
    def method(self) -> Method:
        """The method itself, with its models; the first use loads them.

        Raises:
            InputError, DataError, ModelError, StorageError: one of them cannot be opened.
        """
        if self._method is None:
            self._method = self.settings.kind.build(self.settings.of_method, self._resources)
        return self._method

    @property
    def language_model(self) -> Backend:
        """The language model with its adapter; the first use loads it.

        Raises:
            InputError: the method puts prompts to none. ModelError: it cannot be opened.
        """
        if not self.settings.kind.language_model:
            raise InputError(
                f"The method {self.settings.method} uses no language model",
                expected="a method that puts prompts to one",
            )
        return self._resources.language_model()

    @property
    def sentences(self) -> TextEncoder | None:
        """The sentence model of a method that reads texts by one; None for the others.

        Raises:
            ModelError: it cannot be opened.
        """
        if "sentence_model" not in self.settings.kind.options:
            return None
        return self._resources.sentence_model(self.settings.of_method.sentence_model)

    @property
    def how_asked(self) -> dict[str, Any]:
        """How questions are put to the language model, and where that is not as its adapter was
        trained; for manifests."""
        if not self.settings.kind.language_model:
            return {"prompting": None, "not_as_trained": []}
        resources = self._resources
        return {
            "prompting": resources.prompting.record(),
            "not_as_trained": resources.untrained,
        }

    def predict(
        self,
        questions: Sequence[Question] | Cells,
        groups: Groups = "paper22",
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Prediction:
        """Predict every question for every group, or the cells given.

        Nothing is raised for rows that could not be predicted: they are the prediction's
        ``problems``, the others are in its table.

        Args:
            questions: or cells, and then ``groups`` are theirs.
            groups: what :func:`opinioncast.load_groups` takes, or a scheme.
            progress: called with (rows done, rows in all) between batches.
            cancelled: looked at between batches.

        Raises:
            InputError, DataError, ModelError, StorageError: what was asked for cannot be done.
            CancelledError: ``cancelled`` was set; finished rows are kept in the cache.
        """
        cells = questions if isinstance(questions, Cells) else _cells(questions, groups)
        report = _reporting(progress, cancelled)
        if self._error_bars is None:
            self._error_bars = ErrorBars.read()
        made = self.method.predict(with_two_points(cells), progress=report)
        told = self._error_bars.apply(as_given(made, cells))
        found = by_definition(with_basis(told, cells, self.method), cells)
        record = {**found.record, **self._resources.usage}
        if untrained := self.how_asked["not_as_trained"]:
            record["not_as_trained"] = untrained
        record |= {"populations": sorted({q.population.people for q in cells.questions})}
        return replace(found, record=record)


def predict(
    questions: Sequence[Question] | Cells,
    groups: Groups = "paper22",
    settings: PredictSettings | None = None,
    **options: Any,
) -> Prediction:
    """Predict how subpopulations answer ``questions``; the frame is ``.frame``.

    >>> from opinioncast import Question, predict
    >>> rent = Question("rent", "Do you favor or oppose a limit on rents?", ("Favor", "Oppose"))
    >>> predict([rent], "paper22", method="uniform").frame.height
    22

    Rows that could not be predicted are among ``.problems``; ``.raise_for_problems()`` raises for
    them. For one question after another keep a :class:`Predictor` open.

    Args:
        groups: what :func:`opinioncast.load_groups` takes, or a scheme.
        settings: how to predict; None: of ``options``.
        options: of :class:`PredictSettings`: ``method``, ``model``, ``adapter`` and so on.

    Raises:
        InputError, DataError, ModelError, StorageError: what was asked for cannot be done.
    """
    with Predictor(settings, **options) as predictor:
        return predictor.predict(questions, groups)


def _cells(questions: Sequence[Question], groups: Groups) -> Cells:
    if not isinstance(groups, GroupScheme):
        groups = load_groups(*([groups] if isinstance(groups, str | Path) else groups))
    return Cells.cross(questions, groups)


def _reporting(progress: Progress | None, cancelled: Cancelled | None) -> Progress:
    """Progress that ends the run where it is cancelled."""
    stop = cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total)
        if stop is not None and stop():
            raise CancelledError(
                "The prediction was cancelled",
                where=f"after {done} of {total} steps",
                hint="finished rows are kept: the same call goes on from here",
            )

    return report
