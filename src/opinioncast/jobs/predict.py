"""Predict a questionnaire: from questions and groups to a table, and to files a person can use."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.protocol import Backend
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.errors import IncompleteRunError
from opinioncast.evaluate.scores import CellScores, score_cells, share_cells
from opinioncast.files import atomic_path
from opinioncast.jobs.adapters import (
    SHIPPED_ADAPTER,
    Prompting,
    adapter_folder,
    trained_model,
    trained_prompting,
)
from opinioncast.jobs.backends import (
    BACKEND_OPTIONS,
    BackendSettings,
    LanguageModel,
    close,
    open_model,
    usage_record,
)
from opinioncast.jobs.backends import EMBEDDED as EMBEDDED  # is found here too
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.jobs.methods import (
    ADVICE,
    DEFAULT_METHOD,
    LanguageModels,
    MethodSettings,
    build_method,
)
from opinioncast.jobs.parts import Part, Places, base_name, kind_of, kinds_used
from opinioncast.methods.error_bars import ErrorBars
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.prompts import Answers, Format, Layout, PromptStyle
from opinioncast.readers.questionnaire import Questionnaire
from opinioncast.survey import GroupScheme, PredictionTable, Question, load_groups
from opinioncast.survey.tables import ORIGIN

REFUSED = "Refused"
_PROMPTING = tuple(f.name for f in fields(Prompting))
WRITTEN = "written.jsonl"


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """How to predict.

    Attributes:
        method: one of :data:`opinioncast.jobs.methods.METHODS`; "zero-shot" is the language model
            by itself, with its adapter if it has one.
        methods: what the other methods need.
        model: ``embedded``, a folder, or a name on the Hugging Face hub.
        adapter: folder of a PEFT adapter trained on that model, or ``shipped``. None: none, except
            that a blend with the embedded model takes the shipped one.
        layout, format, answers: of the prompt; None: those the adapter was trained on, else
            question-first, QA, and letters.
        orders: option orders averaged: ``given``, ``reversed``, or a number.
        refusal: show "Refused" as the last option, as the paper does; None: as the adapter was
            trained, else shown.
        chat: use the model's chat template (instruction-tuned models); None: as the adapter was
            trained, else not.
        device, dtype: chosen by the machine when left out.
        backend: where the language model runs, and what that needs; None: in this process.
        beside: the same for parts of pluralism that name another backend (``api:MODEL@URL``);
            defaults where left out.
        use_cache: reuse and keep finished rows.
        seed: of random option orders.
    """

    method: str = DEFAULT_METHOD
    methods: MethodSettings = field(default_factory=MethodSettings)
    model: str = EMBEDDED
    adapter: str | None = None
    layout: Layout | None = None
    format: Format | None = None
    answers: Answers | None = None
    orders: str = "reversed"
    refusal: bool | None = None
    chat: bool | None = None
    device: str | None = None
    dtype: str | None = None
    backend: BackendSettings = None
    beside: tuple[ApiSettings | VllmSettings, ...] = ()
    use_cache: bool = True
    seed: int = 0

    @property
    def adapter_used(self) -> str | None:
        """Folder of the adapter."""
        if self.adapter is None and self.method == "blend" and self.model == EMBEDDED:
            return str(SHIPPED_ADAPTER)
        return adapter_folder(self.adapter)

    @property
    def _trained(self) -> Prompting | None:
        """The prompts that the adapter, or without one the model's folder, was trained on."""
        return trained_prompting(self.adapter_used or self.model)

    @property
    def prompting(self) -> Prompting:
        """What was asked for; what was not, as the adapter or model was trained."""
        asked = {name: getattr(self, name) for name in _PROMPTING}
        trained = self._trained or Prompting()
        return replace(trained, **{n: value for n, value in asked.items() if value is not None})

    @property
    def answers_as_trained(self) -> bool:
        """Whether the adapter says what it was trained to answer with, and is asked for that."""
        trained = self._trained
        return trained is not None and trained.answers is self.prompting.answers

    @property
    def untrained(self) -> list[str]:
        """Where prompts, or the name of the model, differ from those the adapter was trained on."""
        trained, asked = self._trained, self.prompting
        if trained is None:
            return []
        base = trained_model(self.adapter_used)
        found = []
        if base is not None and base != self.model:
            found.append(f"model: {self.model}; the adapter was trained on {base}")
        if self.method in ("few-shot", "pluralism"):
            return [
                *found,
                f"prompts of {self.method}; the adapter was trained with those of zero-shot",
            ]
        pairs = {n: (getattr(trained, n), getattr(asked, n)) for n in _PROMPTING}
        return found + [
            f"{n}: {b}; the adapter was trained with {a}" for n, (a, b) in pairs.items() if a != b
        ]


def open_backend(settings: PredictSettings, beside: Sequence[Backend] = ()) -> LanguageModel:
    """Open the model of ``settings``; :func:`opinioncast.jobs.backends.open_model` lists the
    errors and says what ``beside`` is."""
    return open_model(
        settings.model,
        settings.backend,
        adapter=settings.adapter_used,
        device=settings.device,
        dtype=settings.dtype,
        chat=settings.prompting.chat,
        use_cache=settings.use_cache,
        beside=beside,
    )


def models_of_run(
    settings: PredictSettings,
) -> tuple[PredictSettings, dict[str, PredictSettings]]:
    """Settings of the model that answers, and of every module and chooser of pluralism by its name.

    A device or dtype goes to the models whose backend uses it, and a vLLM engine gets room for
    every adapter that the run puts on its model.

    Raises:
        InputError: a part behind a service that has no address. ModelError: an adapter without the
            name of its base model.
    """
    names = settings.methods.parts if settings.method == "pluralism" else ()
    places = Places(settings.backend, settings.beside)
    used = kinds_used(kind_of(settings.backend), names)
    parts = {name: _of_part(settings, Part.read(name), places) for name in names}
    on_vllm = [
        (s.model, adapter)
        for s in (settings, *parts.values())
        if isinstance(s.backend, VllmSettings) and (adapter := s.adapter_used or s.backend.adapter)
    ]

    def fitted(s: PredictSettings) -> PredictSettings:
        backend, kind = s.backend, kind_of(s.backend)
        if isinstance(backend, VllmSettings):
            room = tuple(sorted({adapter for model, adapter in on_vllm if model == s.model}))
            backend = replace(backend, other_adapters=room)
        lent: dict[str, Any] = {  # to another model of the run; what none uses is refused later
            name: None
            for name in ("device", "dtype")
            if kind not in (users := BACKEND_OPTIONS[name]) and not used.isdisjoint(users)
        }
        return replace(s, backend=backend, **lent)

    return fitted(settings), {name: fitted(part) for name, part in parts.items()}


def _of_part(settings: PredictSettings, part: Part, places: Places) -> PredictSettings:
    backend = places.of(part)
    if part.is_adapter and backend is not None:
        model = base_name(Path(part.model))
        return replace(settings, model=model, adapter=part.model, backend=backend)
    return replace(settings, model=part.model, adapter=None, backend=backend)


def run_method(
    questions: Sequence[Question],
    groups: GroupScheme,
    settings: PredictSettings,
    *,
    progress: Progress | None = None,
) -> Prediction:
    """Predict every question x subpopulation; problems are returned, not raised."""
    cache = RowCache() if settings.use_cache else None
    backends: list[Backend] = []

    @functools.cache  # modules and chooser may be one model
    def opened(wanted: PredictSettings) -> Backend:
        backends.append(open_backend(wanted, backends))
        return backends[-1]

    own, parts = models_of_run(settings)
    prompting = settings.prompting
    models = LanguageModels(
        own=lambda: opened(own),
        named=lambda name: opened(parts[name]),
        local=lambda model: opened(replace(settings, model=model, adapter=None, backend=None)),
        style=PromptStyle(
            prompting.layout,
            prompting.format,
            REFUSED if prompting.refusal else None,
            prompting.answers,
        ),
        orders=settings.orders,
        chat=prompting.chat,
        cache=cache,
        seed=settings.seed,
        judge_mass=not settings.answers_as_trained,
    )
    try:
        method = build_method(settings.method, settings.methods, models)
        found = ErrorBars.read().apply(method.predict(questions, groups, progress=progress))
        record = {**found.record, **usage_record(backends)}
        if settings.untrained:
            record["not_as_trained"] = settings.untrained
        return replace(found, record=record)
    finally:
        close(backends)
        if cache is not None:
            cache.close()


def predict(
    questions: Sequence[Question],
    groups: str | Path | Sequence[str | Path] | GroupScheme = "paper22",
    settings: PredictSettings | None = None,
) -> PredictionTable:
    """Predict how subpopulations answer ``questions``; the frame is ``.frame``.

    Args:
        groups: what :func:`opinioncast.load_groups` takes, or a scheme.

    Raises:
        InputError, ModelError, StorageError: what was asked for cannot be done.
        IncompleteRunError: some rows are missing or carry no label mass.
    """
    if not isinstance(groups, GroupScheme):
        groups = load_groups(*([groups] if isinstance(groups, str | Path) else groups))
    settings = settings or PredictSettings()
    prediction = run_method(questions, groups, settings)
    raise_for_problems(prediction.problems, method=settings.method)
    return prediction.table


def raise_for_problems(
    problems: Sequence[Problem], where: Path | None = None, *, method: str | None = "zero-shot"
) -> None:
    """Raise IncompleteRunError if there are any, naming the first ones.

    Args:
        where: the file that lists all of them.
        method: one of :data:`opinioncast.jobs.methods.METHODS`, for what may help; None: a command
            that leaves no choice.
    """
    if not problems:
        return
    missing = sum(p.missing for p in problems)
    listed = "; ".join(str(p) for p in problems[:3])
    hints = [f"all are listed under problems in {where}" if where else None]
    hints.append(None if method is None else ADVICE.get(method))
    raise IncompleteRunError(
        f"{missing} rows are missing and {len(problems) - missing} are not to be relied on",
        where=listed + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        expected="every question x group, answered with one of the options",
        hint="; ".join(h for h in hints if h) or None,
    )


@dataclass(frozen=True)
class PredictionRun:
    """What :func:`predict_questionnaire` made: the prediction, its scores if any, its files."""

    prediction: Prediction
    scores: CellScores | None
    folder: Path
    files: tuple[Path, ...]


def predict_questionnaire(
    questionnaire: Questionnaire,
    groups: GroupScheme,
    settings: PredictSettings,
    out: Path,
    *,
    progress: Progress | None = None,
) -> PredictionRun:
    """Predict a questionnaire and write parquet, CSV, charts and the manifest to ``out``.

    Where the questionnaire holds observed distributions, those cells are scored too. Problem rows
    do not stop the files from being written; call :func:`raise_for_problems` afterwards.
    """
    from opinioncast.report.chart import draw_charts  # matplotlib: not for `import opinioncast`

    started = time.monotonic()
    (out / NAME).unlink(missing_ok=True)  # of an earlier run: its files are about to change
    prediction = run_method(questionnaire.questions, groups, settings, progress=progress)
    scores = None
    observed = questionnaire.observed
    if observed is not None and share_cells(observed, prediction.table):
        scores = score_cells(observed, prediction.table)
    files = write_tables(prediction.table, out) + write_details(prediction, out)
    files += draw_charts(prediction.table, out, observed=questionnaire.observed)
    files.append(
        write_manifest(
            out,
            run_record(prediction, groups, time.monotonic() - started)
            | {"questionnaire": questionnaire.name, "questionnaire_sha256": questionnaire.sha256}
            | {"questionnaire_notes": list(questionnaire.notes)}
            | ({"scores": scores.mean()} if scores else {}),
            files,
        )
    )
    return PredictionRun(prediction, scores, out, tuple(files))


def write_tables(table: PredictionTable, out: Path) -> list[Path]:
    """``predictions.parquet`` with its sidecar, and ``predictions.csv`` with a row per option."""
    parquet = table.write(out / "predictions.parquet")
    csv = out / "predictions.csv"
    with atomic_path(csv) as temporary:
        table.long().write_csv(temporary, include_bom=True, float_precision=6)  # BOM: for Excel
    return [parquet, csv]


def write_details(prediction: Prediction, out: Path) -> list[Path]:
    """``written.jsonl``: what a model wrote for each row, where the method has it write."""
    path = out / WRITTEN
    if not prediction.details:
        path.unlink(missing_ok=True)  # of an earlier run with another method
        return []
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for detail in prediction.details:
            file.write(json.dumps(detail, ensure_ascii=False) + "\n")
    return [path]


def run_record(prediction: Prediction, groups: GroupScheme, seconds: float) -> dict[str, object]:
    """What every manifest of a prediction says."""
    mass = prediction.table.frame["label_mass"]
    missing = sum(p.missing for p in prediction.problems)
    return {
        "origin": ORIGIN,
        "parse_failures": 0,  # a method that reads no text has none, and reads and writes no token
        "tokens_in": 0,
        "tokens_out": 0,
        "retries": 0,  # nor is anything asked again where no service is asked, or anything paid
        "cost": None,
        **prediction.record,
        "groups": groups.name,
        "rows": len(prediction.table),
        "rows_missing": missing,
        "rows_without_label_mass": len(prediction.problems) - missing,
        "label_mass_mean": mass.mean(),
        "label_mass_min": mass.min(),
        "seconds": round(seconds, 2),
        "problems": [str(p) for p in prediction.problems],
    }
