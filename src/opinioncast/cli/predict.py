"""``opinioncast predict`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from opinioncast.cli.evidence_options import (
    Data,
    FrameFile,
    Past,
    Pilots,
    PriorFile,
    Recipes,
    Results,
    Year,
    say_reading,
    sources_of,
)
from opinioncast.cli.options import takes_predict_options
from opinioncast.cli.progress import progress_bar

_console = Console()


@takes_predict_options()
def predict(
    questionnaire: Annotated[
        Path, typer.Argument(help="YAML, CSV or XLSX: question, options, scale, observed.")
    ],
    given: Any,
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
    write: Annotated[
        list[str] | None,
        typer.Option(help="What is written: parquet, csv, written, chart. Repeat; default: all."),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(
            help="Whom the questions are put to, such as 'adults in Berlin' (default: as the "
            "questionnaire says, else adults in the United States)."
        ),
    ] = None,
    pilot: Pilots = None,
    recipe: Recipes = None,
    known: Results = None,
    past: Past = None,
    year: Year = None,
    frame: FrameFile = None,
    prior: PriorFile = None,
    data: Data = None,
) -> None:
    """Predict a questionnaire for subpopulations, from its wording and what is known already."""
    from opinioncast.jobs.predict import predict_questionnaire
    from opinioncast.methods.blend import abstentions
    from opinioncast.predictor import PredictSettings
    from opinioncast.questionnaires import read_questionnaire
    from opinioncast.report.figure_words import unreadable_note
    from opinioncast.report.report import MODEL_OUTPUT
    from opinioncast.report.terminal import prediction_table, score_table
    from opinioncast.survey import load_groups

    settings = PredictSettings(**given)
    scheme = load_groups(*groups)
    asked = read_questionnaire(questionnaire, scheme)
    if population is not None:
        asked = asked.put_to(population)
    sources = sources_of(pilot, recipe, known, past, year, frame, prior, data)
    with progress_bar("predicting") as progress:
        run = predict_questionnaire(
            asked, scheme, settings, out, sources=sources, formats=write or None, progress=progress
        )
    record = run.prediction.record
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold] ({record['model']})\n")
    for difference in record.get("not_as_trained", []):
        _console.print(f"[bold]Not as trained[/bold]: {difference}")
    for note in asked.notes:
        _console.print(note, markup=False)
    for sentence in abstentions(record):
        _console.print(sentence)
    if run.updated is not None:
        say_reading(_console, run.updated.reading)
    _console.print(prediction_table(run.prediction.table))
    texts = [text for q in asked.questions for text in (q.text, *q.options)]
    if lacking := unreadable_note(texts):
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
    run.prediction.raise_for_problems(str(run.files[-1]), hint=settings.kind.advice)


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
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold]")
    _console.print(f"From the wording alone, [bold]{run.worth[OVERALL]}[/bold] a group\n")
    _console.print("What knowing more is worth (topline and pilot made from the shipped shares)")
    _console.print(plain_table(knowing_more(run.story)))
    _console.print(
        "\nMean Wasserstein distance to what people answered (0 = equal), worth in respondents; "
        "wording alone"
    )
    _console.print(score_table(run.scores, run.worth))
    means = run.scores.mean()
    _console.print(f"\nall {means['cells']} cells")
    for name, scores in ((run.prediction.record["model"], run.scores), run.language_model):
        wd = decimal(scores.mean()["wd"])
        _console.print(f"  {wd}  {name} (95% over questions {span(*scores.interval())})")
    _console.print(f"  {decimal(means['wd_uniform'])}  uniform guess")
    _console.print(f"  {decimal(means['wd_noise'])}  sampling noise\n")
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.problems, run.files[-1])
