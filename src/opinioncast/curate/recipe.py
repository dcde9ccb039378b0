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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from opinioncast.curate.design import LonelyPsu
from opinioncast.curate.disclosure import MIN_RESPONDENTS
from opinioncast.curate.replicates import find_columns
from opinioncast.curate.select import SelectionSettings
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.readers.institutions import conventions
from opinioncast.readers.opinionqa import OPINIONQA
from opinioncast.recipe_files import Strict, builtin_names, locate_recipe, misfits
from opinioncast.survey.wave import ReplicateMethod, ReplicateWeights

Text = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)]
"""Text that YAML may have read as a number (wave: 2018)."""

File = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: (v,) if isinstance(v, str) else v),
    Field(min_length=1),
]
"""One file name, or several under which the same file is known: the first that is there counts."""


def _no_booleans(value: Any) -> Any:
    values = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(v, bool) for v in values):
        raise ValueError('YAML reads a bare Yes or No as true or false: put it in quotes, "Yes"')
    return tuple(values) if isinstance(value, list) else value


Wanted = Annotated[float | str | tuple[float | str, ...], BeforeValidator(_no_booleans)]
"""A code, a text (value label, or what a text variable holds), or several of them."""


class ReplicatesRecipe(Strict):
    """Replicate weights; see :class:`opinioncast.survey.wave.ReplicateWeights`.

    Attributes:
        columns: names, ``W1-W80``, or ``W*`` (W and a number).
        rscales: a factor per replicate, or one for all: (n_h - 1) / n_h for ``jkn``.
    """

    columns: str | tuple[str, ...]
    method: ReplicateMethod
    fay: float | None = Field(default=None, ge=0, lt=1)
    scale: float | None = Field(default=None, gt=0)
    rscales: float | tuple[float, ...] | None = None
    combined: bool = True
    centre: Literal["estimate", "replicates"] = "estimate"

    @model_validator(mode="after")
    def _whole(self) -> ReplicatesRecipe:
        if (self.method == "fay") != (self.fay is not None):
            raise ValueError("`fay` (Fay's factor) belongs to the method fay, which needs it")
        if self.method == "jkn" and self.rscales is None:
            raise ValueError("jkn needs `rscales`: (n_h - 1) / n_h of each replicate's stratum")
        if self.method == "other" and self.scale is None:
            raise ValueError("the method other needs `scale`")
        if self.method in ("brr", "fay", "jk2", "sdr") and (self.scale or self.rscales):
            raise ValueError(f"{self.method} has its own scale: leave `scale` and `rscales` out")
        return self

    def weights(self, available: Sequence[str], where: str) -> ReplicateWeights:
        """With the columns of a file that has ``available``.

        Raises:
            InputError: columns that are not there; another number of ``rscales``.
        """
        columns = tuple(find_columns(self.columns, available, where))
        given = self.rscales
        rscales = (given,) if isinstance(given, float) else given
        if rscales is not None and len(rscales) not in (1, len(columns)):
            raise InputError(
                "`rscales` has another length than the replicate weights",
                where=where,
                expected=f"one number, or {len(columns)}",
                found=f"{len(rscales)} numbers",
            )
        return ReplicateWeights(
            columns, self.method, self.fay, self.scale, rscales, self.combined, self.centre
        )


class WaveRecipe(Strict):
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
            of their own in the codebook) answers count one each, unless the file itself is weighted
            (SPSS: WEIGHT BY); ``none`` counts one each even then. Several weights are multiplied.
        fpc: finite population correction: a column or one number (population size, or the fraction
            drawn); see :class:`opinioncast.survey.wave.Design`.
        replicates: replicate weights, instead of strata and PSUs.
        sample: the file holds several samples, this is one of them (``year: 2018``).
        where: the table is about these respondents of the sample (a domain: the others stay in the
            design).
        encoding, decimal: of a text file; what it shows itself where left out.
        missing: a person's word on labels that read like missing answers: ``limit`` and ``labels``.
        selection, review, scales: files of decisions a person made.
        questions: only these variables, with this wording: a file with ``wave -> variable -> text``
            (or text, options, ordinal), or SubPOP's question file.
        topic: what the wave is about.
    """

    family: str
    wave: Text
    file: File
    conventions: str = "none"
    codebook: File | None = None
    wording: File | None = None
    correct: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    groups: str
    weight: str | Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    strata: str | None = None
    psu: str | None = None
    fpc: str | Annotated[float, Field(gt=0)] | None = None
    replicates: ReplicatesRecipe | None = None
    respondent_id: str | None = None
    encoding: str | None = None
    sample: Mapping[str, Wanted] = Field(default_factory=dict)
    where: Mapping[str, Wanted] = Field(default_factory=dict)
    decimal: Literal[",", "."] | None = None
    missing: Mapping[str, Any] = Field(default_factory=dict)
    selection: File | None = None
    review: File | None = None
    scales: File | None = None
    questions: File | None = None
    topic: str = ""

    @field_validator("conventions")
    @classmethod
    def _declared(cls, name: str) -> str:
        known = (*conventions(), OPINIONQA)
        if name not in known:
            raise ValueError(f"not one of {', '.join(known)}")
        return name

    @model_validator(mode="after")
    def _one_design(self) -> WaveRecipe:
        if self.replicates and (self.strata or self.psu or self.fpc):
            raise ValueError("`replicates` stands for the design: leave strata, psu and fpc out")
        if self.replicates and self.weight is None:
            raise ValueError("`replicates` needs the `weight` that it replicates")
        return self

    @property
    def weights(self) -> tuple[str, ...]:
        """The weight columns; several are factors of one weight."""
        return (self.weight,) if isinstance(self.weight, str) else self.weight or ()

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


class BoundsRecipe(Strict):
    """The human lower bound: how respondents are resampled (paper, Appendix D)."""

    replicates: int = Field(default=1000, ge=1)
    seed: int = 0
    resample: Literal["respondents", "psus"] = "respondents"


class SplitRecipe(Strict):
    """How the table is divided."""

    by: Literal["question", "wave", "family"] = "question"
    fractions: dict[str, float]
    seed: int = 0


class OverlapRecipe(Strict):
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


class CurationRecipe(Strict):
    """A whole opinion table.

    Attributes:
        citation, terms: who made the data and what may be done with them; they stay with the table.
        redistribution: ``group-level``: group results may be passed on; ``none``: they may not.
        wording: what a reader of the table must know about the wording ("paraphrased", ...).
        groups: group schemes or expressions.
        select: limits of the selection.
        min_n: cells of fewer respondents are left out and counted, and with them those that would
            give one away; see :data:`opinioncast.curate.disclosure.MIN_RESPONDENTS`.
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
    min_n: int = Field(default=MIN_RESPONDENTS, ge=1)
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

    >>> from opinioncast import load_curation
    >>> recipe, folder = load_curation("gss_2018")
    >>> recipe.waves[0].family
    'GSS'

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
