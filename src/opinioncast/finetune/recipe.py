"""The fine-tuning recipe: which model, which table, which settings make an adapter.

    name: llama2_7b
    model: meta-llama/Llama-2-7b-hf
    table: subpop_train.parquet
    validation: {fraction: 0.1}
    groups: [paper22]
    layout: paper

Tables are looked for as given, then beside the recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from opinioncast.backends.catalogue import EMBEDDED
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.prompts import Answers, Format, Layout, Prompting
from opinioncast.recipe_files import Strict, builtin_names, locate_recipe, misfits

_Beta = Annotated[float, Field(ge=0, lt=1)]


class SplitValidation(Strict):
    """Hold out a share of the table itself; no question is in both parts."""

    fraction: float = Field(gt=0, lt=1)
    by: Literal["question", "wave", "family"] = "question"
    seed: int = 0


class LossMix(Strict):
    """Weights of the losses; see :mod:`opinioncast.finetune.losses` for each.

    The defaults are the paper's: forward KL alone.
    """

    kl: float = Field(default=1.0, ge=0)
    wasserstein: float = Field(default=0.0, ge=0)
    contrast: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _some(self) -> LossMix:
        if self.kl + self.wasserstein + self.contrast == 0:
            raise ValueError("at least one of kl, wasserstein, contrast must be above 0")
        return self


class LoraRecipe(Strict):
    """A low-rank adapter. The defaults are the paper's (Appendix B).

    Attributes:
        targets: modules by the end of their name, or ``all-linear``.
        layers: only in these layers (0 is the lowest); the layers below the lowest of them then
            need no backward pass at all.
        init_sigma: standard deviation of the down projection's first values; the up projection
            starts at zero, so that training starts from the base model itself.
        quantize: ``4bit`` loads the base model in 4 bits (QLoRA; needs bitsandbytes).
    """

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = ("q_proj", "v_proj")
    layers: tuple[int, ...] | None = None
    init_sigma: float = Field(default=0.02, gt=0)
    quantize: Literal["4bit"] | None = None


class OptimizerRecipe(Strict):
    """AdamW and its schedule. Learning rate and batch are the paper's for Llama-2-7B.

    Attributes:
        batch_rows: rows (question x group) per update, over all processes; question-first batches
            hold whole questions, so they come near it.
        epochs: passes over the table.
        warmup: share of all updates over which the rate rises.
        schedule: how it falls afterwards, to zero.
        clip: largest norm of the gradient; None: not clipped.
    """

    learning_rate: float = Field(default=2e-4, gt=0)
    batch_rows: int = Field(default=256, ge=1)
    epochs: int = Field(default=1, ge=1)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[_Beta, _Beta] = (0.9, 0.999)
    clip: float | None = Field(default=1.0, gt=0)


class CheckRecipe(Strict):
    """When validation is measured and a checkpoint kept.

    Attributes:
        every: updates between checks; ``epoch``: a check at the end of each; None: ten per run.
        metric: what the best checkpoint is best in: Wasserstein distance or KL divergence. None:
            the distance where a validation question has a scale, else the divergence.
        patience: checks without a better value after which training stops; None: never.
        questions: validate on this many questions, drawn with the seed; None: all.
        orders: option orders averaged in validation, as ``predict --orders``.
    """

    every: Annotated[int, Field(ge=1)] | Literal["epoch"] | None = None
    metric: Literal["wd", "kl"] | None = None
    patience: int | None = Field(default=None, ge=1)
    questions: int | None = Field(default=None, ge=1)
    orders: str = "given"


class SweepRecipe(Strict):
    """Runs to compare on the validation rows (Appendix B); every combination is trained."""

    learning_rate: tuple[Annotated[float, Field(gt=0)], ...] = ()
    batch_rows: tuple[Annotated[int, Field(ge=1)], ...] = ()


class FinetuneRecipe(Strict):
    """A whole training run.

    Attributes:
        model: ``embedded``, a folder, or a name on the Hugging Face hub.
        table: opinion table(s) to train on.
        validation: opinion table(s) to validate on, or a share of the training table, or none.
        same_questions: what becomes of training questions that the validation tables ask too, by
            key or wording: ``refuse`` them, or ``remove`` them from the training, with those of the
            same meaning (A.5).
        fraction: share of the training questions to use, drawn with the seed (Figure 5).
        groups: group schemes or expressions; each needs rows. None: every group of the table.
        layout, format, refusal, chat: of the prompts, as in prediction.
        answers: options are named by their ``letters``, as in the paper, or in their own ``words``.
        option_order: the order options are shown in, drawn anew for every question and epoch:
            ``given``; ``reversed``: as given or backwards; ``random``: any permutation.
        groups_per_question: rows of each question drawn anew for every epoch; None: all. Question
            first, the trunk is most of the cost, so fewer rows buy more passes over the questions.
        target: the whole distribution, its likeliest answer, or (``augment``) that many one-hot
            answers replicated by observed frequency (section 3.1, C.1).
        row_weight: every row alike; by effective base; or such that every group weighs alike.
        lora: None trains the whole model.
        compile: compile the model's layers (needs a C++ compiler; about a minute at first).
        checkpoint_activations: compute a layer's activations again in the backward pass instead of
            keeping them: a third slower, and a fraction of the memory.
        pack_tokens: tokens per micro-batch; None: chosen by a short probe.
        dtype: of the base model; None: by machine (float32 when the whole model is trained).
        trackers: who is told of losses and checks while it runs, beside ``curve.csv``; nobody by
            default, and nothing leaves the machine unless an account is set up for it.
        device: None: CUDA where there is one, else the CPU. Which GPU is for CUDA_VISIBLE_DEVICES
            and the launcher to say.
    """

    name: str
    model: str = EMBEDDED
    table: str | tuple[str, ...]
    validation: SplitValidation | str | tuple[str, ...] | None = None
    same_questions: Literal["refuse", "remove"] = "refuse"
    fraction: float = Field(default=1.0, gt=0, le=1)
    groups: tuple[str, ...] | None = None
    layout: Layout = Layout.QUESTION_FIRST
    format: Format = Format.QA
    refusal: bool = True
    chat: bool = False
    answers: Answers = Answers.LETTERS
    option_order: Literal["given", "reversed", "random"] = "given"
    groups_per_question: int | None = Field(default=None, ge=1)
    target: Literal["explicit", "one-hot", "augment"] = "explicit"
    augment: int | None = Field(default=None, ge=2)
    row_weight: Literal["equal", "n_eff", "group"] = "equal"
    loss: LossMix = LossMix()
    lora: LoraRecipe | None = LoraRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    checks: CheckRecipe = CheckRecipe()
    sweep: SweepRecipe | None = None
    compile: bool = False
    checkpoint_activations: bool = False
    pack_tokens: int | None = Field(default=None, ge=64)
    dtype: Literal["float32", "bfloat16"] | None = None
    device: Literal["cpu", "cuda", "mps"] | None = None
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> FinetuneRecipe:
        if (self.target == "augment") != (self.augment is not None):
            raise ValueError("augment: N goes with target: augment, and only with it")
        if self.target != "explicit" and self.loss.contrast:
            raise ValueError("the contrast loss compares whole distributions: target: explicit")
        if self.groups_per_question is not None and (
            self.layout is not Layout.QUESTION_FIRST or self.target == "augment"
        ):
            raise ValueError(
                "groups_per_question goes with layout: question-first, and not with target: augment"
            )
        if self.loss.contrast and self.layout is not Layout.QUESTION_FIRST:
            raise ValueError(
                "the contrast loss holds the groups of one question against each other: "
                "layout: question-first"
            )
        if self.groups_per_question == 1 and self.loss.contrast:
            raise ValueError("the contrast loss needs at least 2 groups_per_question")
        if self.lora is not None and self.lora.quantize and self.dtype == "float32":
            raise ValueError("lora.quantize: 4bit computes in bfloat16: leave dtype out")
        return self

    @property
    def prompting(self) -> Prompting:
        """How rows are put to the model; option orders are training's own."""
        return Prompting(
            self.layout, self.format, self.answers, self.refusal, self.chat, seed=self.seed
        )

    @property
    def hash(self) -> str:
        """Of every setting that shapes the result, the names of model, tables and groups too."""
        return self._hash_without({"name", "device", "trackers"})

    @property
    def settings_hash(self) -> str:
        """Of the settings that shape the result, and not of where model, tables and groups are
        found: what is in them is hashed as it is put to the model
        (:mod:`opinioncast.finetune.fingerprint`).
        """
        found = {"name", "device", "trackers", "model", "table", "groups", "sweep"}
        if not isinstance(self.validation, SplitValidation):
            found.add("validation")
        return self._hash_without(found)

    def _hash_without(self, fields: set[str]) -> str:
        text = json.dumps(self.model_dump(mode="json", exclude=fields), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def changed(self, **optimizer: Any) -> FinetuneRecipe:
        """This recipe with other optimizer settings and no sweep."""
        settings = self.optimizer.model_dump() | optimizer
        return self.model_copy(
            update={"optimizer": OptimizerRecipe.model_validate(settings), "sweep": None}
        )


def builtin_finetunes() -> list[str]:
    """Names of the fine-tuning recipes that come with the package."""
    return builtin_names("finetune")


def load_finetune(name_or_path: str | Path) -> tuple[FinetuneRecipe, Path]:
    """Read a recipe that comes with the package, or a user's own YAML file.

    >>> from opinioncast import load_finetune
    >>> recipe, folder = load_finetune("embedded")
    >>> recipe.model, str(recipe.prompting.answers)
    ('embedded', 'words')

    Returns:
        The recipe and the folder its tables are looked for in.

    Raises:
        InputError: no such recipe, invalid YAML, or a field that is unknown, missing or wrong.
    """
    name, names = str(name_or_path), builtin_finetunes()
    path = locate_recipe(name, "finetune", names, "fine-tuning recipe")
    beside = Path() if name in names else path.parent  # the package holds no tables to train on
    return parse_finetune(read_document(path, "A fine-tuning recipe"), name), beside


def parse_finetune(raw: Any, source: str) -> FinetuneRecipe:
    """A recipe of what YAML holds; every wrong field is named at once."""
    if not isinstance(raw, Mapping):
        raise InputError(
            "A fine-tuning recipe cannot be read",
            where=source,
            expected="a mapping with name, model and table",
            found=type(raw).__name__,
        )
    try:
        return FinetuneRecipe.model_validate(dict(raw))
    except ValidationError as error:
        problems = misfits(error)
        raise InputError(
            "A fine-tuning recipe has fields that do not fit",
            where=source,
            expected="the fields of FinetuneRecipe (docs/finetuning.md lists them)",
            found="; ".join(problems),
        ) from error
