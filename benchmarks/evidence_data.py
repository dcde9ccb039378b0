"""What the benchmarks of evidence share: respondents, which questions are for what, truths"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation, parse_curation
from opinioncast.errors import InputError
from opinioncast.evidence.people import Array
from opinioncast.evidence.sample import Answers, Sample, read_sample
from opinioncast.predictor import predict
from opinioncast.survey import (
    PredictionTable,
    Subpopulation,
    load_groups,
)

CODEBOOKS = {
    "gss_2018": Path("gss") / "codebook_gss_2018.json",
    "gss_2016": Path("gss") / "codebook_gss_2016.json",
    "anes_2020": Path("anes") / "codebook_timeseries_2020.json",
}
MIN_N = 20
"""Groups of fewer answers have no truth worth a distance."""
TRAINING = Path(__file__).parents[1] / "src/opinioncast/models/training/opinions.parquet"


@dataclass(frozen=True)
class Surveys:
    """Respondents by wave, read once.

    Attributes:
        data: folder of the surveys' files.
        cache: folder of what was read before (written by these scripts), or None.
    """

    data: Path
    cache: Path | None = None

    def sample(self, name: str) -> Sample:
        """Respondents of a recipe's only wave, of ``gss_YEAR`` without one, of ``trend_YEAR``."""
        if name.startswith("trend_"):
            years = self._samples("gss_trend")
            return next(s for s in years if s.name.endswith(name[-4:]))
        return self._samples(name)[0]

    def _samples(self, name: str) -> list[Sample]:
        held = None if self.cache is None else self.cache / f"{name}.pkl"
        if held is not None and held.is_file():
            return pickle.loads(held.read_bytes())  # type: ignore[no-any-return]
        try:
            recipe, beside = load_curation(name)
            recipe = recipe.model_copy(update={"groups": ("all",)})
        except InputError:  # no recipe of the package: a GSS year of its own
            year, beside = name.removeprefix("gss_"), Path()
            wave = {
                "family": "GSS",
                "wave": year,
                "file": f"gss_{year}.zsav",
                "conventions": "gss",
                "wording": f"wording_gss_{year}.json",
                "groups": "gss",
                "weight": "wtssnrps" if int(year) > 2018 else "wtssall",
            }
            raw = {"name": name, "citation": "NORC", "terms": "", "redistribution": "group-level"}
            recipe = parse_curation(
                raw | {"groups": ["all"], "lonely_psu": "certainty", "waves": [wave]}, name
            )
        curation = curate(recipe, [self.data / "gss", self.data / "anes", beside])
        samples = [read_sample(w) for w in curation.waves]
        if held is not None:
            held.parent.mkdir(parents=True, exist_ok=True)
            held.write_bytes(pickle.dumps(samples))
        return samples

    def predictions(self, name: str, sample: Sample) -> PredictionTable:
        """The network method's predictions of a wave's questions, for all groups and the total."""
        questions = [a.question for a in sample.answers]
        which = hashlib.sha256(" ".join(q.question_id for q in questions).encode()).hexdigest()[:8]
        held = None if self.cache is None else self.cache / f"pred_{name}_{which}.parquet"
        if held is not None and held.is_file():
            return PredictionTable.read(held)
        scheme = load_groups("paper22", "unseen", "total")
        table = predict(questions, scheme, method="network").table
        if held is not None:
            table.write(held)
        return table

    def codebook(self, name: str) -> set[str]:
        entries = json.loads((self.data / CODEBOOKS[name]).read_text("utf-8"))
        return {e["variable"] for e in entries}


@dataclass(frozen=True)
class Split:
    """Which questions are evaluated on, which calibrate, which may teach the prior.

    Evaluation: questions of the codebooks of GSS 2016 and 2018 and ANES 2020 that are not in the
    package's training table. A GSS question of any year whose variable's name begins as one of
    theirs does is kept out of everything else: spelling variants ask the same.
    """

    evaluated: dict[str, frozenset[str]]
    trained: dict[str, frozenset[str]]

    @classmethod
    def of(cls, surveys: Surveys) -> Split:
        table = pl.read_parquet(TRAINING).select("family", "question_id").unique()
        by = {
            f: frozenset(table.filter(pl.col("family") == f)["question_id"])
            for f in ("GSS", "ANES")
        }
        family = {"gss_2018": "GSS", "gss_2016": "GSS", "anes_2020": "ANES"}
        evaluated = {n: frozenset(surveys.codebook(n) - by[f]) for n, f in family.items()}
        return cls(evaluated, by)

    @property
    def gss(self) -> frozenset[str]:
        return self.evaluated["gss_2018"] | self.evaluated["gss_2016"]

    def free(self, name: str, question_id: str) -> bool:
        """Whether a question is none of the evaluated ones."""
        if name.startswith("anes"):
            return not (name == "anes_2020" and question_id in self.evaluated["anes_2020"])
        return not any(
            (question_id.startswith(e) or e.startswith(question_id))
            and abs(len(question_id) - len(e)) <= 5
            for e in self.gss
        )

    def teaches(self, name: str, question_id: str) -> bool:
        """Whether a question may teach the prior."""
        if not self.free(name, question_id):
            return False
        if name.startswith("anes"):
            return chance(name + question_id) >= 0.2
        if name in ("gss_2018", "gss_2016"):
            return True
        return chance(question_id) < 0.5

    def calibrates(self, name: str, question_id: str) -> bool:
        """Whether a question sets the prior's level and the intervals: it did not teach the prior.

        Of GSS years that the package's methods were not trained on, without questions that another
        year of the training table asks; of ANES also those that trained the methods, which then say
        nothing of the wording alone.
        """
        if name in ("gss_2018", "gss_2016") or self.teaches(name, question_id):
            return False
        learned = name.startswith("gss") and question_id in self.trained["GSS"]
        return self.free(name, question_id) and not learned


def chance(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def scored_groups() -> list[Subpopulation]:
    """The paper's 22 groups and everyone."""
    return [*load_groups("paper22"), Subpopulation()]


def truth(
    sample: Sample, answers: Answers, groups: Sequence[Subpopulation], but: Any = None
) -> tuple[Array, Array]:
    """Weighted shares and unweighted bases of a question's groups, (groups, K) and (groups,).

    Args:
        but: respondents left out, by index.
    """
    masks = np.stack([_mask(sample, g) for g in groups])
    used = np.where(answers.choice >= 0, answers.weights, 0.0)
    if but is not None:
        used = used.copy()
        used[but] = 0.0
    chosen = np.eye(len(answers.question.options))[np.maximum(answers.choice, 0)] * used[:, None]
    shares = (masks @ chosen) / np.maximum(masks @ used, 1e-12)[:, None]
    return shares, masks @ (used > 0).astype(float)


def _mask(sample: Sample, group: Subpopulation) -> Array:
    mask = sample.groups.mask(sample.members, group)
    return np.zeros(len(sample)) if mask is None else mask.astype(float)


def drawn(answers: Answers, count: int, rng: np.random.Generator) -> Any:
    """Respondents of a pilot, drawn by weight among those who answered, with replacement."""
    used = np.where(answers.choice >= 0, answers.weights, 0.0)
    return rng.choice(len(used), count, p=used / used.sum())


def predicted_cells(table: PredictionTable, question_id: str) -> dict[Subpopulation, Array]:
    rows = table.frame.filter(pl.col("question_id") == question_id)
    return {
        Subpopulation.from_key(a, g): np.array(d)
        for a, g, d in rows.select("attribute", "group", "distribution").rows()
    }
