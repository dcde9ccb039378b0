"""``opinioncast predict``, ``merge`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opinioncast.cli.evidence_options import (
    evidence_options,
    say_basis,
    say_library,
    say_reading,
)
from opinioncast.cli.options import predict_options, takes
from opinioncast.cli.progress import progress_bar, progress_bars
from opinioncast.cli.screen import Screen
from opinioncast.jobs.update import Sources

if TYPE_CHECKING:
    from opinioncast.jobs.predict import PredictionRun

_console = Screen()
Written = Annotated[
    list[str] | None,
    typer.Option(
        help="What is written: parquet, csv, written, chart, charts (of every question). "
        "Repeat; default: all but charts."
    ),
]


@takes(evidence_options(but=("groups",)), predict_options())
def predict(
    questionnaire: Annotated[
        Path, typer.Argument(help="YAML, CSV or XLSX, or an instrument that `import` reads.")
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
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out"
    ),
    write: Written = None,
    population: Annotated[
        str | None,
        typer.Option(
            help="Whom the questions are put to, such as 'adults in Berlin' (default: as the "
            "questionnaire says, else adults in the United States)."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Only a part, such as 3/16, into a folder of its own below --out; `merge` puts "
            "the parts together."
        ),
    ] = None,
    *,
    sources: Sources,
    given: Any,
) -> None:
    """Predict a questionnaire for subpopulations, from its wording and what is known already."""
    from opinioncast.predictor import PredictSettings
    from opinioncast.questionnaires import read_questionnaire
    from opinioncast.survey import load_groups

    settings = PredictSettings(**given)
    if shard is not None:
        _refuse_beside_shard(sources, write)
        from opinioncast.jobs.shards import Given, Shard, predict_shard

        part = Shard.read(shard)
        whole = Given(questionnaire, tuple(groups), population)
        with progress_bar("predicting") as progress:
            made = predict_shard(whole, part, settings, out, progress=progress)
        _console.say(f"part {part}: {made.questions} questions, {len(made.prediction)} rows")
        _console.wrote(made.files)
        made.prediction.raise_for_problems(str(made.files[-1]), hint=settings.kind.advice)
        return
    from opinioncast.jobs.predict import predict_questionnaire

    scheme = load_groups(*groups)
    asked = read_questionnaire(questionnaire, scheme)
    if population is not None:
        asked = asked.put_to(population)
    with progress_bars("predicting", "drawing charts") as (progress, drawing):
        run = predict_questionnaire(
            asked,
            scheme,
            settings,
            out,
            sources=sources,
            formats=write or None,
            progress=progress,
            drawing=drawing,
        )
    _say(run, settings.kind.advice)


@takes(evidence_options(but=("groups",)))
def merge(
    out: Annotated[Path, typer.Argument(help="The folder given to every part with --out.")],
    questionnaire: Annotated[
        Path | None, typer.Option(help="The questionnaire's file, where it has moved since.")
    ] = None,
    write: Written = None,
    *,
    sources: Sources,
) -> None:
    """Put together what `predict --shard` made: the files that one machine would have written."""
    from opinioncast.jobs.shards import merge_shards

    run = merge_shards(out, questionnaire=questionnaire, sources=sources, formats=write or None)
    _say(run, None)


def _refuse_beside_shard(sources: Any, write: list[str] | None) -> None:
    """What belongs to the whole is given to `merge`, not to a part."""
    from opinioncast.errors import InputError

    if sources or sources.frame is not None or write:
        raise InputError(
            "A part of a run starts from the wording alone and writes its table only",
            expected="--pilot, --known, --past, --frame and --write with `opinioncast merge`",
            found="one of them beside --shard",
        )


def _say(run: PredictionRun, advice: str | None) -> None:
    """A prediction on the terminal; what is missing becomes the status."""
    from opinioncast.methods.blend import abstentions
    from opinioncast.methods.prediction import seen_before
    from opinioncast.report.figure_words import unreadable_note
    from opinioncast.report.report import MODEL_OUTPUT
    from opinioncast.report.terminal import prediction_table, score_table

    record = run.prediction.record
    _console.heading(MODEL_OUTPUT, f" ({record['model']})\n")
    for difference in record.get("not_as_trained", []):
        _console.heading("Not as trained", f": {difference}")
    for note in run.questionnaire.notes:
        _console.say(note)
    for sentence in abstentions(record):
        _console.say(sentence)
    if run.asked_before is not None:
        say_library(_console, run.asked_before)
    say_basis(_console, run.prediction.table)
    if run.updated is not None:
        say_reading(_console, run.updated.reading)
    _console.print(prediction_table(run.prediction.table))
    texts = [text for q in run.questionnaire.questions for text in (q.text, *q.options)]
    if lacking := unreadable_note(texts):
        _console.say(lacking)
    if run.scores is not None:
        for sentence in seen_before(record):
            _console.say(sentence)
        _console.say("Mean Wasserstein distance to the observed answers (0 to 1)")
        _console.print(score_table(run.scores))
    observed = run.questionnaire.observed
    unused = 0 if observed is None else len(observed)
    unused = run.scores.unpredicted if run.scores else unused
    if unused:
        _console.say(f"{unused} observed distributions are of groups that were not asked for")
    _console.wrote(run.files)
    run.prediction.raise_for_problems(str(run.files[-1]), hint=advice)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/demo"
    ),
) -> None:
    """Predict shipped General Social Survey questions and compare with what people answered."""
    from opinioncast.evidence.worth import OVERALL
    from opinioncast.jobs.demo import knowing_more, run_demo
    from opinioncast.methods.prediction import raise_for_problems
    from opinioncast.report.report import MODEL_OUTPUT
    from opinioncast.report.terminal import decimal, plain_table, score_table, span

    with progress_bar("predicting") as progress:
        run = run_demo(out, progress=progress)
    _console.heading(MODEL_OUTPUT)
    worth = str(run.worth[OVERALL])
    _console.heading(worth, " a group\n", before="From the wording alone, ")
    _console.say("What knowing more is worth (topline and pilot made from the shipped shares)")
    _console.print(plain_table(knowing_more(run.story)))
    _console.say(
        "\nMean Wasserstein distance to what people answered (0 = equal), worth in respondents; "
        "wording alone"
    )
    _console.print(score_table(run.scores, run.worth))
    means = run.scores.mean()
    _console.say(f"\nall {means['cells']} cells")
    for name, scores in ((run.prediction.record["model"], run.scores), run.language_model):
        wd = decimal(scores.mean()["wd"])
        _console.say(f"  {wd}  {name} (95% over questions {span(*scores.interval())})")
    _console.say(f"  {decimal(means['wd_uniform'])}  uniform guess")
    _console.say(f"  {decimal(means['wd_noise'])}  sampling noise\n")
    _console.wrote(run.files)
    raise_for_problems(run.problems, run.files[-1])
