"""From the name of a method and its settings to the method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from opinioncast.errors import InputError
from opinioncast.methods.prediction import Method
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.prompts import PromptStyle
from opinioncast.survey import OpinionTable

if TYPE_CHECKING:
    from opinioncast.backends.protocol import Backend
    from opinioncast.backends.sentences import SentenceModel
    from opinioncast.methods.blend import Pool
    from opinioncast.methods.pluralism import ChooserReads
    from opinioncast.methods.row_cache import RowCache

SHIPPED_NETWORK = Path(str(resources.files("opinioncast") / "models" / "kernel"))
"""Kernel regression on the embedded sentence model, trained on the recipe ``training``."""

SHIPPED_TRAINING = (
    Path(str(resources.files("opinioncast") / "models" / "training")) / "opinions.parquet"
)
"""The table that the kernel regression and the shipped adapter were trained on: group-level shares.
The nearest questions and few-shot examples are taken from it where no other is given."""

DEFAULT_METHOD = "blend"
"""The best of what ships: see the search in docs/finetuning.md."""

LANGUAGE_MODEL_METHODS = ("zero-shot", "few-shot", "pluralism", "blend")
"""Methods that put prompts to a language model (with its adapter, if it has one)."""

METHOD_OPTIONS = {
    "train": ("nearest", "total", "few-shot", "blend"),
    "neighbours": ("nearest", "few-shot", "blend"),
    "network": ("network", "blend"),
    "blend": ("blend",),
    "structured": ("few-shot",),
    "modules": ("pluralism",),
    "chooser": ("pluralism",),
    "chooser_reads": ("pluralism",),
    "comment_tokens": ("pluralism",),
    "layout": ("zero-shot", "blend"),
    "format": ("zero-shot", "blend"),
    "answers": ("zero-shot", "blend"),
    "refusal": ("zero-shot", "blend", "few-shot"),
    "orders": ("zero-shot", "blend", "pluralism"),
    "seed": ("zero-shot", "blend", "pluralism"),
}
"""Which methods use a setting that the command has an option for; those not listed here belong to
the language model and go with every method that has one."""

METHODS = ("zero-shot", "few-shot", "pluralism", "uniform", "total", "nearest", "network", "blend")

_OTHER_PROMPTS = "try --chat with a chat model, another --format, or another model"
_OTHER_MODEL = "try --chat with a chat model, or another model"
ADVICE = {
    "zero-shot": _OTHER_PROMPTS,
    "blend": _OTHER_PROMPTS,
    "few-shot": _OTHER_MODEL,
    "pluralism": _OTHER_MODEL,
    "total": "give a --train table with the answers of the whole population (TOTAL) to every "
    "question asked",
    "nearest": "give a --train table with answers of every group asked for (the one that "
    "ships has those of paper22 and TOTAL)",
}
"""What may help where a method leaves rows missing or without label mass."""

NEAREST_NEIGHBOURS = 20
"""Of the method nearest; few-shot shows the paper's five."""


@dataclass(frozen=True, slots=True)
class BlendShares:
    """The parts of the blend. The default is what the validation questions, and a survey that no
    part had seen, chose (docs/finetuning.md).

    Raises:
        InputError: a negative share, no language model, or nothing beside it.
    """

    network: float = 0.5
    nearest: float = 0.3
    language_model: float = 0.2

    def __post_init__(self) -> None:
        values = astuple(self)
        if not all(math.isfinite(v) and v >= 0 for v in values) or not (
            self.language_model > 0 and self.network + self.nearest > 0
        ):
            raise InputError(
                "The parts of the blend cannot be mixed",
                where="--blend",
                expected="shares of network, nearest questions and language model: the last above "
                "0, one of the others too",
                found=",".join(f"{v:g}" for v in values),
                hint="a part by itself is --method network, nearest or zero-shot",
            )

    @classmethod
    def parse(cls, text: str) -> BlendShares:
        """Of "0.5,0.3,0.2".

        Raises:
            InputError: not three numbers, or shares that cannot be mixed.
        """
        try:
            network, nearest, language_model = map(float, text.split(","))
        except ValueError as error:
            raise InputError(
                "The shares of the blend cannot be read",
                where="--blend",
                expected="three numbers: network, nearest questions, language model, such as "
                "0.5,0.3,0.2",
                found=text,
            ) from error
        return cls(network, nearest, language_model)


@dataclass(frozen=True, slots=True)
class MethodSettings:
    """What methods other than zero-shot need.

    Attributes:
        train: opinion table with other questions' answers (nearest, few-shot, blend; None: the one
            that comes with the package) or with TOTAL rows of the questions asked (total).
        network: folder that ``opinioncast train-network`` wrote (network, blend); None: the one
            that comes with the package.
        sentence_model: folder or hub name; None: the embedded one.
        neighbours: training questions used for each question; None: 20 (nearest, blend), 5
            (few-shot). 0 for few-shot: no examples, and no ``train``.
        temperature: of the nearest questions.
        blend: shares of its parts.
        pool: of the blend.
        structured: hold few-shot answers to the JSON form; None: where the backend can.
        modules: community models of pluralism: folders of ``opinioncast train-community``, or
            models by folder or name; with ``api:MODEL@URL``, ``torch:MODEL`` or ``vllm:MODEL`` on a
            backend of their own (:mod:`opinioncast.jobs.parts`).
        chooser: model that picks a comment, named like a module; None: the one that answers.
        chooser_reads: ``scores`` or ``text``; None: scores, unless the chooser only writes.
        comment_tokens: length of a comment at most; None: the method's own.
    """

    train: Path | None = None
    network: Path | None = None
    sentence_model: str | None = None
    neighbours: int | None = None
    temperature: float = 0.1
    blend: BlendShares = BlendShares()
    pool: Pool = "linear"
    structured: bool | None = None
    modules: tuple[str, ...] = ()
    chooser: str | None = None
    chooser_reads: ChooserReads | None = None
    comment_tokens: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the models beside the one that answers."""
        return (*self.modules, *(() if self.chooser is None else (self.chooser,)))


@dataclass(frozen=True)
class LanguageModels:
    """How methods come by language models, and how those are prompted.

    Attributes:
        own: opens the model that answers; called only where it is needed.
        named: opens another model by folder or name, with or without a prefix for its backend.
        local: opens a model in this process by folder or name (the base of adapters).
        style, orders, chat, seed, judge_mass: as in :class:`opinioncast.methods.ZeroShot`.
        cache: finished rows are kept there; None keeps none.
    """

    own: Callable[[], Backend]
    named: Callable[[str], Backend]
    local: Callable[[str], Backend]
    style: PromptStyle = field(default_factory=PromptStyle)
    orders: str = "reversed"
    chat: bool = False
    cache: RowCache | None = None
    seed: int = 0
    judge_mass: bool = True


def check_options(method: str, given: Iterable[str]) -> None:
    """Refuse settings that ``method`` would ignore.

    Raises:
        InputError: one of ``given`` (names of :data:`METHOD_OPTIONS`) is not used by the method.
    """
    ignored = [n for n in given if n in METHOD_OPTIONS and method not in METHOD_OPTIONS[n]]
    if not ignored:
        return
    shown = ["--" + name.replace("_", "-") for name in ignored]
    raise InputError(
        f"The method {method} does not use what was given",
        expected=f"{shown[0]} with {' or '.join(METHOD_OPTIONS[ignored[0]])}",
        found=", ".join(shown),
        hint="name the method with --method, or leave the option out",
    )


def build_method(name: str, settings: MethodSettings, models: LanguageModels) -> Method:
    """The method called ``name``.

    Raises:
        InputError: an unknown name, or a file the method needs was not given.
        ModelError, DataError: a model or table cannot be read.
    """
    if name == "zero-shot":
        return _zero_shot(models)
    if name == "few-shot":
        return _few_shot(settings, models)
    if name == "pluralism":
        return _pluralism(settings, models)
    if name == "uniform":
        from opinioncast.methods.baselines import Uniform

        return Uniform()
    if name == "total":
        from opinioncast.methods.baselines import TotalPopulation

        if settings.train is None:
            raise InputError(
                "The method total needs a file",
                expected="--train: an opinion table (parquet) with the TOTAL rows",
                found="nothing",
            )
        return TotalPopulation(OpinionTable.read(settings.train))
    if name == "nearest":
        return _nearest(settings, _encoder(settings))
    if name == "network":
        return _network(settings, _encoder(settings))
    if name == "blend":
        return _blend(settings, models)
    raise InputError("Unknown method", expected=", ".join(METHODS), found=name)


def _encoder(settings: MethodSettings) -> SentenceModel:
    from opinioncast.backends.sentences import SentenceModel

    return SentenceModel.load(settings.sentence_model)


def _nearest(settings: MethodSettings, encoder: SentenceModel) -> Method:
    from opinioncast.methods.baselines import NearestQuestions

    if settings.neighbours is not None and settings.neighbours < 1:
        raise InputError(
            "The nearest questions need neighbours",
            expected="--neighbours 1 or more",
            found=settings.neighbours,
        )
    return NearestQuestions(
        OpinionTable.read(settings.train or SHIPPED_TRAINING),
        encoder,
        NEAREST_NEIGHBOURS if settings.neighbours is None else settings.neighbours,
        settings.temperature,
    )


def _network(settings: MethodSettings, encoder: SentenceModel) -> Method:
    from opinioncast.methods.embedding_model import load_embedding_model

    return load_embedding_model(settings.network or SHIPPED_NETWORK, encoder)


def _blend(settings: MethodSettings, models: LanguageModels) -> Method:
    """The nearest questions know the groups of their table only; the others answer for the rest."""
    from opinioncast.methods.blend import Blend

    shares = settings.blend
    unused = {
        "--network": settings.network is not None and not shares.network,
        "--train": settings.train is not None and not shares.nearest,
        "--neighbours": settings.neighbours is not None and not shares.nearest,
    }
    if any(unused.values()):
        raise InputError(
            "The blend has no part that would use what was given",
            expected="a share above 0 for it in --blend",
            found=", ".join(option for option, ignored in unused.items() if ignored),
        )
    encoder = _encoder(settings)
    parts: list[tuple[Method, float]] = []
    may_abstain = []
    if shares.network:
        parts.append((_network(settings, encoder), shares.network))
    if shares.nearest:
        parts.append((_nearest(settings, encoder), shares.nearest))
        may_abstain.append(parts[-1][0].name)
    parts.append((_zero_shot(models), shares.language_model))
    return Blend(parts, settings.pool, may_abstain)


def _zero_shot(models: LanguageModels) -> Method:
    return ZeroShot(
        backend=models.own(),
        style=models.style,
        option_orders=models.orders,
        chat=models.chat,
        cache=models.cache,
        seed=models.seed,
        judge_mass=models.judge_mass,
    )


def _few_shot(settings: MethodSettings, models: LanguageModels) -> Method:
    from opinioncast.jobs.community_modules import writer
    from opinioncast.methods.few_shot import PAPER_NEIGHBOURS, FewShot

    k = PAPER_NEIGHBOURS if settings.neighbours is None else settings.neighbours
    train = None
    if k > 0 or settings.train is not None:
        train = OpinionTable.read(settings.train or SHIPPED_TRAINING)
    return FewShot(
        backend=writer(models.own()),
        train=train,
        encoder=None if train is None else _encoder(settings),
        k=k,
        refusal=models.style.refusal,
        structured=settings.structured,
        chat=models.chat,
        cache=models.cache,
    )


def _pluralism(settings: MethodSettings, models: LanguageModels) -> Method:
    from opinioncast.jobs.community_modules import open_modules
    from opinioncast.methods.pluralism import COMMENT_TOKENS, ModularPluralism

    if not settings.modules:
        raise InputError(
            "The method pluralism needs community modules",
            expected="--modules FOLDER, two times or more",
            found="none",
            hint="opinioncast train-community makes one of a text corpus",
        )
    return ModularPluralism(
        modules=open_modules(settings.modules, models.named, models.local),
        chooser=models.own() if settings.chooser is None else models.named(settings.chooser),
        answerer=models.own(),
        chooser_reads=settings.chooser_reads,
        option_orders=models.orders,
        chat=models.chat,
        comment_tokens=(
            COMMENT_TOKENS if settings.comment_tokens is None else settings.comment_tokens
        ),
        cache=models.cache,
        seed=models.seed,
    )
