"""``opinioncast predict``, ``demo`` and ``groups``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from opinioncast.cli import backend_options as of_backend
from opinioncast.cli.progress import progress_bar
from opinioncast.errors import InputError
from opinioncast.jobs.demo import run_demo
from opinioncast.jobs.methods import (
    DEFAULT_METHOD,
    LANGUAGE_MODEL_METHODS,
    METHODS,
    BlendShares,
    MethodSettings,
    check_options,
)
from opinioncast.jobs.parts import run_settings
from opinioncast.jobs.predict import (
    PredictSettings,
    predict_questionnaire,
    raise_for_problems,
)
from opinioncast.methods.blend import abstentions
from opinioncast.prompts import Answers, Format, Layout
from opinioncast.readers.questionnaire import read_questionnaire
from opinioncast.report.chart import MODEL_OUTPUT
from opinioncast.report.figure_words import unreadable_note
from opinioncast.report.terminal import decimal, prediction_table, score_table, span
from opinioncast.survey import load_groups, standard_attributes
from opinioncast.survey.groups import builtin_schemes

_console = Console()


def predict(
    questionnaire: Annotated[
        Path, typer.Argument(help="YAML, CSV or XLSX: question, options, scale, observed.")
    ],
    groups: Annotated[
        list[str],
        typer.Option(
            "--groups",
            "-g",
            help="A scheme (paper22, unseen, all, total), a group file, or an expression such as "
            "'SEX=Female & RACE=Black'. Repeat to join several.",
        ),
    ] = ["paper22"],  # noqa: B006  typer reads the default once
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help=f"One of {', '.join(METHODS)}. Left out: the blend of what ships, or zero-shot "
            "where --model or --adapter names a language model.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Language model: embedded, a folder, or a hub name."),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="Folder of a PEFT adapter; or shipped.")
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(
            "--layout",
            help="What stands first in the prompt: question-first or paper (default: as the "
            "adapter was trained, else question-first).",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="How the prompt describes the group (default: as trained, else qa).",
        ),
    ] = None,
    answers: Annotated[
        Answers | None,
        typer.Option(
            "--answers",
            help="How the model names an option: its letter, or its own words (default: as "
            "trained, else letters).",
        ),
    ] = None,
    orders: Annotated[
        str | None,
        typer.Option(
            "--orders", help="Option orders averaged: given, reversed (default), or a number."
        ),
    ] = None,
    refusal: Annotated[
        bool | None,
        typer.Option(
            "--refusal/--no-refusal", help='Show "Refused" as the last option (default: yes).'
        ),
    ] = None,
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Use the model's chat template.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out"
    ),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; else chosen.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16; else by device.")
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option("--cache/--no-cache", help="Reuse and keep finished prompts (default: yes)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of random option orders.")] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            help="Opinion table for the methods nearest, few-shot and blend (default: the training "
            "table that ships) and total."
        ),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option(
            "--neighbours",
            "-k",
            help="Training questions used (few-shot 5, nearest and blend 20; few-shot 0: none "
            "shown).",
            min=0,
        ),
    ] = None,
    structured: Annotated[
        bool | None,
        typer.Option(
            "--structured/--no-structured",
            help="few-shot: hold the model to JSON (default: where the backend can).",
        ),
    ] = None,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            help="pluralism: a community model, a folder of train-community or any model. Repeat. "
            "api:MODEL@URL, torch:MODEL and vllm:MODEL run there, whatever --backend is."
        ),
    ] = None,
    chooser: Annotated[
        str | None,
        typer.Option(
            help="pluralism: model that picks a comment, named like --modules (default: the one of "
            "--model)."
        ),
    ] = None,
    chooser_reads: Annotated[
        str | None,
        typer.Option(
            help="pluralism: pick the likeliest number (scores) or the one the chooser writes "
            "(text), for a service without log-probabilities (default: scores where it can)."
        ),
    ] = None,
    comment_tokens: Annotated[
        int | None, typer.Option(help="pluralism: length of a comment at most.", min=1)
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="Folder of a trained network; the shipped one otherwise.")
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(
            help="Shares of network, nearest questions and language model in a blend (default: "
            "0.5,0.3,0.2)."
        ),
    ] = None,
    backend: of_backend.BackendName = None,
    base_url: of_backend.BaseUrl = None,
    api_key_env: of_backend.ApiKeyEnv = None,
    scoring: of_backend.HowScored = None,
    unlisted_tolerance: of_backend.UnlistedTolerance = None,
    requests_per_minute: of_backend.RequestsPerMinute = None,
    tokens_per_minute: of_backend.TokensPerMinute = None,
    concurrency: of_backend.Concurrency = None,
    max_cost: of_backend.MaxCost = None,
    price_in: of_backend.PriceIn = None,
    price_out: of_backend.PriceOut = None,
    timeout: of_backend.Timeout = None,
    served_as: of_backend.ServedAs = None,
    tensor_parallel: of_backend.TensorParallel = None,
    gpu_memory: of_backend.GpuMemory = None,
    context_length: of_backend.ContextLength = None,
) -> None:
    """Predict a questionnaire for subpopulations."""
    scheme = load_groups(*groups)
    asked = read_questionnaire(questionnaire, scheme)
    language_model: dict[str, Any] = {
        "model": model,
        "adapter": adapter,
        "layout": layout,
        "format": format,
        "answers": answers,
        "orders": orders,
        "refusal": refusal,
        "chat": chat,
        "device": device,
        "dtype": dtype,
        "use_cache": cache,
        "seed": seed,
    }
    of_its_backend: dict[str, Any] = {
        "base_url": base_url,
        "api_key_env": api_key_env,
        "scoring": scoring,
        "unlisted_tolerance": unlisted_tolerance,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrency": concurrency,
        "max_cost": max_cost,
        "price_in": price_in,
        "price_out": price_out,
        "timeout": timeout,
        "served_as": tuple(served_as) if served_as else None,
        "tensor_parallel": tensor_parallel,
        "gpu_memory": gpu_memory,
        "context_length": context_length,
    }
    run_with = {name: value for name, value in of_its_backend.items() if value is not None}
    given = {name: value for name, value in language_model.items() if value is not None}
    if method is None:
        method = "zero-shot" if model or adapter or backend else DEFAULT_METHOD
    asked_for = given | run_with | ({"backend": backend} if backend is not None else {})
    if asked_for and method not in LANGUAGE_MODEL_METHODS:
        raise InputError(
            f"The method {method} uses no language model",
            expected=f"no {', '.join(_option(n, v) for n, v in asked_for.items())}",
            found=f"--method {method}",
            hint="add --method zero-shot (or blend), or leave the option out",
        )
    asked_of_method: dict[str, Any] = {
        "train": train,
        "neighbours": neighbours,
        "structured": structured,
        "modules": tuple(modules) if modules else None,
        "chooser": chooser,
        "chooser_reads": chooser_reads,
        "comment_tokens": comment_tokens,
        "network": network,
        "blend": None if blend is None else BlendShares.parse(blend),
    }
    others = {name: value for name, value in asked_of_method.items() if value is not None}
    check_options(method, [*others, *given])
    methods = MethodSettings(**others)
    own, beside = run_settings(backend or "torch", run_with, [*given], methods.parts)
    settings = PredictSettings(method=method, methods=methods, backend=own, beside=beside, **given)
    with progress_bar("predicting") as progress:
        run = predict_questionnaire(asked, scheme, settings, out, progress=progress)
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold] ({run.prediction.record['model']})\n")
    for difference in run.prediction.record.get("not_as_trained", []):
        _console.print(f"[bold]Not as trained[/bold]: {difference}")
    for note in asked.notes:
        _console.print(note, markup=False)
    for sentence in abstentions(run.prediction.record):
        _console.print(sentence)
    _console.print(prediction_table(run.prediction.table))
    questions = run.prediction.table.questions()
    if lacking := unreadable_note([text for q in questions for text in (q.text, *q.options)]):
        _console.print(lacking, markup=False)
    if run.scores is not None:
        _console.print("Mean Wasserstein distance to the observed answers (0 to 1)")
        _console.print(score_table(run.scores))
    unused = 0 if asked.observed is None else len(asked.observed)
    unused = run.scores.unpredicted if run.scores else unused
    if unused:
        _console.print(f"{unused} observed distributions are of groups that were not asked for")
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.prediction.problems, run.files[-1], method=method)


def _option(name: str, value: object) -> str:
    """The option that set ``name`` to ``value``, as it is typed."""
    typed = {"use_cache": "cache"}.get(name, name).replace("_", "-")
    return f"--no-{typed}" if value is False else f"--{typed}"


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/demo"
    ),
) -> None:
    """Predict shipped General Social Survey questions and compare with what people answered."""
    with progress_bar("predicting") as progress:
        run = run_demo(out, progress=progress)
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold]\n")
    _console.print("Mean Wasserstein distance to what people answered (0 = equal), default method")
    _console.print(score_table(run.scores))
    means = run.scores.mean()
    _console.print(f"\nall {means['cells']} cells")
    for name, scores in ((run.prediction.record["model"], run.scores), run.language_model):
        wd = decimal(scores.mean()["wd"])
        _console.print(f"  {wd}  {name} (95% over questions {span(*scores.interval())})")
    _console.print(f"  {decimal(means['wd_uniform'])}  uniform guess")
    _console.print(f"  {decimal(means['wd_noise'])}  sampling noise\n")
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.problems, run.files[-1], method=None)


def groups() -> None:
    """List the attributes and groups that --groups knows."""
    grid = Table(box=None, pad_edge=False)
    for column in ("attribute", "meaning", "groups"):
        grid.add_column(column, overflow="fold")
    for attribute in standard_attributes().values():
        grid.add_row(attribute.name, attribute.label, "; ".join(attribute.groups))
    _console.print(grid)
    _console.print(f"\nschemes: {', '.join(builtin_schemes())}, total")
