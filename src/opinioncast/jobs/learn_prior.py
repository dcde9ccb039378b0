"""Learn a prior for evidence from a user's own surveys: how groups differ, by their microdata."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import InputError
from opinioncast.evidence.matching import plain
from opinioncast.evidence.prior import Prior, read_prior
from opinioncast.evidence.prior_learning import learn_covariance
from opinioncast.evidence.sample import Sample, read_sample
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import output_file


@dataclass(frozen=True)
class PriorRun:
    """What :func:`learn_prior_to_file` made.

    Attributes:
        left_out: questions of the recipes that ``exclude`` holds too.
    """

    prior: Prior
    left_out: tuple[str, ...]
    files: tuple[Path, ...]


def learn_prior_to_file(
    recipes: Sequence[str],
    folders: Sequence[Path],
    out: Path,
    *,
    exclude: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> PriorRun:
    """Learn the covariance of coefficients from the microdata behind curation recipes.

    The level about a method's total and the belief in its contrasts are those of the shipped prior:
    they are measured on a method's predictions, which microdata do not hold.

    Args:
        recipes: names or files; every wave of each teaches.
        exclude: opinion tables whose questions (by id or wording) must teach nothing.

    Raises:
        InputError: no recipe, or ``out`` is no place for a file. StorageError: nor one to write.
    """
    if not recipes:
        raise InputError("There is nothing to learn from", expected="a curation recipe")
    out = out.expanduser()
    with output_file(out, "learn-prior"):  # refused before an hour of fits
        return _learned(recipes, folders, out, exclude, progress)


def _learned(
    recipes: Sequence[str],
    folders: Sequence[Path],
    out: Path,
    exclude: Sequence[Path],
    progress: Callable[[int, int], None] | None,
) -> PriorRun:
    started = time.monotonic()
    apart = {
        plain(text)
        for path in exclude
        for row in read_opinions(path).frame.select("question_id", "question").unique().rows()
        for text in row
    }
    samples: list[Sample] = []
    left_out: list[str] = []
    terms = []
    for name in recipes:
        recipe, beside = load_curation(name)
        own = tuple(g for g in recipe.groups if g.endswith((".yaml", ".yml", ".json")))
        recipe = recipe.model_copy(update={"groups": ("all", *own)})
        terms.append(f"{recipe.name}: {recipe.terms}")
        for wave in curate(recipe, [*folders, beside]).waves:
            sample = read_sample(wave)
            kept = []
            for answers in sample.answers:
                question = answers.question
                if {plain(question.question_id), plain(question.text)} & apart:
                    left_out.append(f"{sample.name} {question.question_id}")
                else:
                    kept.append(question.question_id)
            samples.append(sample.keep(kept))
    shipped = read_prior()
    learned = learn_covariance(samples, progress=progress)
    card = dict(learned.record) | {
        "recipes": list(recipes),
        "terms": terms,
        "questions_kept_apart": len(left_out),
        "seconds": round(time.monotonic() - started, 1),
    }
    prior = replace(
        shipped,
        groups=learned.groups,
        center=learned.center,
        covariance=learned.covariance,
        other=learned.other,
        card=card,
    )
    path = prior.write(out)
    files = [path, path.with_name(path.name + ".json")]
    files.append(write_manifest(out.parent, card, files))
    return PriorRun(prior, tuple(left_out), tuple(files))
