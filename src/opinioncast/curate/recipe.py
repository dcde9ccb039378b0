"""The curation recipe: which files, which groups, which rules make an opinion table.

    name: gss_2018
    citation: Smith, Tom W. et al. General Social Survey 2018. NORC.
    terms: Public; cite NORC. Group-level results may be shared.
    groups: [paper22, unseen]
    waves:
      - {family: GSS, wave: "2018", file: gss_2018.zsav, groups: gss, weight: wtssall}

Files are looked for in the data folder given at the command, then beside the recipe.
``defaults`` holds fields for every wave; texts in it may name ``{wave}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from opinioncast.curate.design import LonelyPsu
from opinioncast.curate.select import SelectionSettings
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.recipe_files import builtin_names, locate_recipe, misfits

Text = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)]
"""Text that YAML may have read as a number (wave: 2018)."""

File = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: (v,) if isinstance(v, str) else v),
    Field(min_length=1),
]
"""One file name, or several under which the same file is known: the first that is there counts."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WaveRecipe(_Model):
    """One wave's file and how to read it.

    Attributes:
        family, wave: who fielded it and which wave or year.
        file: microdata file, or OpinionQA's folder of the wave.
        conventions: whose missing codes and layout the file follows; ``opinionqa`` reads a folder;
            ``atp`` takes questions from the variable labels where nothing else has them.
        codebook, wording: what the codes mean and how the questions were asked.
        correct: variable -> fields of the codebook that are wrong, as they should be.
        groups: group recipe, built in or a file.
        weight, strata, psu, respondent_id: columns of the design. Without a weight (and no weight
            of their own in the codebook) answers count one each.
        where: keep only respondents with these values (``year: 2018`` of a file of several years).
        selection, review, scales: files of decisions a person made.
        questions: only these variables, with this wording: a file with ``wave -> variable -> text``
            (or text, options, ordinal), or SubPOP's question file.
        topic: what the wave is about.
    """

    family: str
    wave: Text
    file: File
    conventions: Literal["none", "gss", "anes", "atp", "opinionqa"] = "none"
    codebook: File | None = None
    wording: File | None = None
    correct: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    groups: str
    weight: str | None = None
    strata: str | None = None
    psu: str | None = None
    respondent_id: str | None = None
    encoding: str | None = None
    where: Mapping[str, float] = Field(default_factory=dict)
    selection: File | None = None
    review: File | None = None
    scales: File | None = None
    questions: File | None = None
    topic: str = ""

    @property
    def files(self) -> list[File]:
        """Every file this wave needs."""
        named = (
            self.file,
            self.codebook,
            self.wording,
            self.selection,
            self.review,
            self.scales,
            self.questions,
        )
        return [f for f in named if f]


class BoundsRecipe(_Model):
    """The human lower bound: how respondents are resampled (paper, Appendix D)."""

    replicates: int = Field(default=1000, ge=1)
    seed: int = 0
    resample: Literal["respondents", "psus"] = "respondents"


class SplitRecipe(_Model):
    """How the table is divided."""

    by: Literal["question", "wave", "family"] = "question"
    fractions: dict[str, float]
    seed: int = 0


class OverlapRecipe(_Model):
    """Which questions ask the same thing (paper, A.5).

    Attributes:
        against: opinion tables (parquet) or SubPOP files whose questions must not be in this one.
        threshold: cosine above which two questions count as one; None: the one measured for the
            embedded sentence model.
        model: sentence model; None: the embedded one.
    """

    against: tuple[str, ...] = ()
    threshold: float | None = Field(default=None, gt=0, le=1)
    model: str | None = None


class CurationRecipe(_Model):
    """A whole opinion table.

    Attributes:
        citation, terms: who made the data and what may be done with them; they stay with the table.
        redistribution: ``group-level``: group results may be passed on; ``none``: they may not.
        wording: what a reader of the table must know about the wording ("paraphrased", ...).
        groups: group schemes or expressions.
        select: limits of the selection.
        min_n: cells of fewer respondents are left out, and listed.
        lonely_psu: what a stratum with one PSU means for standard errors.
    """

    name: str
    title: str = ""
    citation: str
    terms: str
    redistribution: Literal["group-level", "none"]
    wording: str = "as fielded, refined where the wordings file says so"
    groups: tuple[str, ...] = ("paper22",)
    waves: tuple[WaveRecipe, ...] = Field(min_length=1)
    select: SelectionSettings = SelectionSettings()
    min_n: int = Field(default=1, ge=1)
    lonely_psu: LonelyPsu = "fail"
    bounds: BoundsRecipe = BoundsRecipe()
    overlap: OverlapRecipe | None = None
    split: SplitRecipe | None = None

    @model_validator(mode="after")
    def _each_wave_once(self) -> CurationRecipe:
        keys = [f"{w.family} {w.wave}" for w in self.waves]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise ValueError(f"waves listed twice: {', '.join(twice)}")
        return self

    def with_bounds(self, changes: Mapping[str, Any]) -> CurationRecipe:
        """This recipe with other settings of the bootstrap."""
        try:
            changed = BoundsRecipe.model_validate(self.bounds.model_dump() | dict(changes))
        except ValidationError as error:
            raise InputError(
                "A setting of the bootstrap does not fit",
                expected="replicates of 1 or more; resample: respondents or psus; a whole seed",
                found=dict(changes),
            ) from error
        return self.model_copy(update={"bounds": changed})


def builtin_curations() -> list[str]:
    """Names of the curation recipes that come with the package."""
    return builtin_names("curate", but=("_wording", "_selection"))


def load_curation(name_or_path: str | Path) -> tuple[CurationRecipe, Path]:
    """Read a recipe that comes with the package, or a user's own YAML file.

    Returns:
        The recipe and the folder it stands in.

    Raises:
        InputError: no such recipe, invalid YAML, or a field that is unknown, missing or wrong.
    """
    path = locate_recipe(name_or_path, "curate", builtin_curations(), "curation recipe")
    return parse_curation(read_document(path, "A curation recipe"), str(name_or_path)), path.parent


def parse_curation(raw: Any, source: str) -> CurationRecipe:
    """A recipe of what YAML holds; every wrong field is named at once."""
    if not isinstance(raw, dict):
        raise InputError(
            "A curation recipe cannot be read",
            where=source,
            expected="a mapping with name, citation, terms, redistribution and waves",
            found=type(raw).__name__,
        )
    raw = dict(raw)
    defaults = raw.pop("defaults", None) or {}
    waves = raw.get("waves")
    if isinstance(waves, list) and isinstance(defaults, dict):
        raw["waves"] = [_filled(defaults, w) if isinstance(w, dict) else w for w in waves]
    try:
        return CurationRecipe.model_validate(raw)
    except ValidationError as error:
        problems = misfits(error)
        raise InputError(
            f"A curation recipe has {len(problems)} field(s) that do not fit",
            where=source,
            expected="the fields of the documentation (docs/curation.md)",
            found="; ".join(problems),
        ) from None


def _filled(defaults: Mapping[str, Any], wave: Mapping[str, Any]) -> dict[str, Any]:
    """A wave with the defaults, in which ``{wave}`` stands for its number or year."""
    number = str(wave.get("wave", ""))

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(v) for v in value]
        return value.replace("{wave}", number) if isinstance(value, str) else value

    return {k: filled(v) for k, v in defaults.items()} | dict(wave)
