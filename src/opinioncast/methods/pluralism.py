"""Modular Pluralism: community models comment, a chooser picks, a final model answers with that.

The paper's baseline (section 4.1, Appendix D, Figure 16; Feng et al. 2024). Modules, chooser and
final model are any backends.

The chooser's pick is the comment number with the highest probability where the chooser can score
labels: one reading of the prompt, nothing to parse, and every comment has a number in the record.
A model that only writes text is asked to write the number, and so is one behind a service without
probabilities where that was said; an answer without a number is a problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from opinioncast.backends.protocol import (
    Backend,
    Generator,
    LabelRequest,
    LabelScores,
    Model,
    TextRequest,
    can_score,
    can_write,
)
from opinioncast.errors import InputError, ModelError, NoScoresError
from opinioncast.methods.asking import add_up, ask_scores, ask_texts
from opinioncast.methods.comment_choice import (
    CommentChoice,
    clean_comment,
    comment_numbers,
    scored_choice,
    written_choice,
)
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.label_answers import put_label_row
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.methods.row_cache import RowCache
from opinioncast.options import check_types, option
from opinioncast.prompts import orders
from opinioncast.prompts.layout import ChatTemplate
from opinioncast.prompts.pluralism import (
    choice_prompt,
    comment_prompt,
    passage_prompt,
    pluralism_template_hash,
)
from opinioncast.prompts.prompting import check_orders
from opinioncast.survey import Cells, Question, Subpopulation

COMMENT_TOKENS = 96
_NUMBER_TOKENS = 16
_MOST_MODULES = 9  # comment numbers are read as single digits
Cell = tuple[Question, Subpopulation]
ChooserReads = Literal["scores", "text"]


@dataclass(frozen=True, slots=True)
class PluralismSettings:
    """Of the method pluralism.

    Attributes:
        modules: community models: folders of ``opinioncast train-community``, or models by folder
            or name; behind ``api:``, ``torch:`` or ``vllm:`` on a backend of their own.
        chooser: model that picks a comment, named like a module; None: the one that answers.
        chooser_reads: ``scores`` or ``text``; None: scores, unless the chooser only writes.
        comment_tokens: length of a comment at most; None: the method's own.
        orders, seed: option orders of the last prompt; None: reversed.
        chat: through the chat template of every model that has one; None: as trained, else not.

    Raises:
        InputError: fewer than 2 modules or more than 9, or a value that cannot be.
    """

    modules: tuple[str, ...] = option(
        (),
        "pluralism: a community model, a folder of train-community or any model. Repeat. "
        "api:MODEL@URL, torch:MODEL and vllm:MODEL run there, whatever --backend is.",
    )
    chooser: str | None = option(
        None,
        "pluralism: model that picks a comment, named like --modules (default: that of --model).",
    )
    chooser_reads: ChooserReads | None = option(
        None,
        "pluralism: pick the likeliest number (scores) or the one the chooser writes (text), for a "
        "service without log-probabilities (default: scores where it can).",
    )
    comment_tokens: int | None = option(None, "pluralism: length of a comment at most.")
    orders: str | None = option(None, "Option orders averaged: given, reversed, or a number.")
    seed: int | None = option(None, "Of random option orders.")
    chat: bool | None = option(None, "Use the model's chat template.")

    def __post_init__(self) -> None:
        check_types(self)
        if self.orders is not None:
            check_orders(self.orders)
        tokens = COMMENT_TOKENS if self.comment_tokens is None else self.comment_tokens
        check_parts(len(self.modules), tokens)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the models beside the one that answers."""
        return (*self.modules, *(() if self.chooser is None else (self.chooser,)))


def check_parts(modules: int, comment_tokens: int) -> None:
    """Refuse a number of modules or a length of comments that cannot be.

    Raises:
        InputError: see above.
    """
    if not 2 <= modules <= _MOST_MODULES or comment_tokens < 1:
        raise InputError(
            "Modular Pluralism cannot be set up like this",
            where="--modules" if comment_tokens >= 1 else "--comment-tokens",
            expected=f"2 to {_MOST_MODULES} modules, comments of 1 token or more",
            found=f"{modules} modules, {comment_tokens} tokens",
            hint="name each module with --modules; opinioncast train-community makes one of a "
            "text corpus",
        )


@dataclass(frozen=True)
class ModularPluralism:
    """Predict with a passage from the community that speaks best for the group.

    Attributes:
        modules: models trained on text of communities (``opinioncast train-community``).
        chooser: picks one of their comments.
        answerer: answers with it; its letter probabilities are the distribution.
        chooser_reads: the pick is the likeliest number (``scores``) or the one that the chooser
            writes (``text``). None: scores, unless the chooser only writes.
        option_orders: of the last prompt: ``given``, ``reversed`` or a number.
        chat: use the chat template of every model that has one.
        comment_tokens: length of a comment at most.
        cache: finished texts and scores are kept there; None keeps none.
        seed: of random option orders.

    Raises:
        InputError: fewer than 2 modules or more than 9; an unknown way to read the chooser.
        ModelError: ``chat``, and no model has a chat template; a chooser that cannot be read so.
    """

    modules: Sequence[Generator]
    chooser: Backend | Generator
    answerer: Backend
    chooser_reads: ChooserReads | None = None
    option_orders: str = "reversed"
    chat: bool = False
    comment_tokens: int = COMMENT_TOKENS
    cache: RowCache | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_parts(len(self.modules), self.comment_tokens)
        if self.reads not in get_args(ChooserReads):
            raise InputError(
                "Unknown way to read the chooser",
                where="--chooser-reads",
                expected=" or ".join(get_args(ChooserReads)),
                found=self.reads,
            )
        if not (can_score if self.reads == "scores" else can_write)(self.chooser):
            raise ModelError(
                "The chooser cannot be read like this",
                where=self.chooser.name,
                expected="a model that scores labels (scores) or one that writes (text)",
                found=f"--chooser-reads {self.reads}",
                hint="read it the other way, or name another one with --chooser",
            )
        everyone = (*self.modules, self.chooser, self.answerer)
        if self.chat and not any(model.has_chat_template for model in everyone):
            raise ModelError(
                "None of the models has a chat template",
                where=", ".join(model.name for model in everyone),
                expected="at least one instruction-tuned model",
                hint="run without --chat",
            )

    @property
    def name(self) -> str:
        kind = f"modular pluralism, {len(self.modules)} modules"
        return f"{kind}, chat" if self.chat else kind

    @property
    def reads(self) -> ChooserReads:
        """How the chooser is read."""
        return self.chooser_reads or ("scores" if can_score(self.chooser) else "text")

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Predict every cell. One for which no comment was written, or none could be picked, is a
        problem.

        Raises:
            ModelError: a prompt too long for a model; a service without the label probabilities
                that are needed (found out before anything is written).
            StorageError: the cache cannot be written.
        """
        self._check_scoring()
        asked = list(cells)
        by_order = [orders(len(q.options), self.option_orders, seed=self.seed) for q, _ in asked]
        steps = _Steps(progress, len(asked) * (len(self.modules) + 1) + sum(map(len, by_order)))
        tokens: list[tuple[int | None, int | None]] = []
        comments, reused = self._comments(cells, steps, tokens)
        choices = self._choices(cells, comments, steps, tokens)
        template = self._template(self.answerer)
        requests: list[LabelRequest] = []
        owner: list[int] = []
        for i, ((question, group), choice) in enumerate(zip(asked, choices, strict=True)):
            if choice.picked is None:
                continue
            for order in by_order[i]:
                prompt = passage_prompt(
                    question,
                    group,
                    cells.groups,
                    choice.comments[choice.picked],
                    order=order,
                    chat_template=template,
                )
                requests.append(LabelRequest(prompt.text, prompt.labels, prompt.tree))
                owner.append(i)
        answers = ask_scores(self.answerer, requests, self.cache, steps.part(len(requests)))
        tokens.append((answers.tokens_in, answers.tokens_out))
        found: dict[int, list[LabelScores | None]] = {}
        for i, scores in zip(owner, answers.found, strict=True):
            found.setdefault(i, []).append(scores)
        rows = Rows(cells, model=self.answerer.name, method=self.name)
        for i, choice in enumerate(choices):
            if choice.picked is None:
                rows.lack(i, choice.wrong)
            else:
                put_label_row(rows, i, found[i], refusal=False)
        record = self._record(choices) | {
            "texts": len(asked) * len(self.modules),
            "texts_from_cache": reused,
            "prompts": len(requests),
            "prompts_from_cache": answers.reused,
            "tokens_in": add_up(i for i, _ in tokens),
            "tokens_out": add_up(o for _, o in tokens),
        }
        details = [self._detail(c, choice) for c, choice in zip(asked, choices, strict=True)]
        return rows.prediction(record, details)

    def _check_scoring(self) -> None:
        """Ask services whose label probabilities are needed whether they give any: comments are
        paid for before the first one is read."""
        for model, role, hint in (
            (self.answerer, "answers", "with --model, or run --method few-shot -k 0"),
            (self.chooser, "chooses", "with --chooser, or have it write: --chooser-reads text"),
        ):
            check = getattr(model, "check_scoring", None)
            if check is None or (role == "chooses" and self.reads == "text"):
                continue
            template = self._template(model)
            try:
                check(template("") if template else "")
            except NoScoresError as error:
                raise ModelError(
                    f"The model that {role} gives no label probabilities",
                    where=error.where,
                    expected=error.expected,
                    found=error.found,
                    hint=("" if self.chat else "add --chat if the service only chats; or ")
                    + f"name one that gives them {hint}",
                ) from error

    def _template(self, model: Model) -> ChatTemplate | None:
        return model.chat_text if self.chat and model.has_chat_template else None

    def _comments(
        self,
        cells: Cells,
        steps: _Steps,
        tokens: list[tuple[int | None, int | None]],
    ) -> tuple[list[tuple[str, ...]], int]:
        """Every module's comment on each cell, and how many came from the cache."""
        written: list[list[str]] = [[] for _ in range(len(cells))]
        reused = 0
        for module in self.modules:
            template = self._template(module)
            requests = [
                TextRequest(
                    comment_prompt(q, g, cells.groups, chat_template=template),
                    self.comment_tokens,
                )
                for q, g in cells
            ]
            answers = ask_texts(module, requests, self.cache, steps.part(len(requests)))
            reused += answers.reused
            tokens.append((answers.tokens_in, answers.tokens_out))
            for texts, said in zip(written, answers.found, strict=True):
                texts.append("" if said is None else clean_comment(said.text))
        return [tuple(texts) for texts in written], reused

    def _choices(
        self,
        cells: Cells,
        comments: Sequence[tuple[str, ...]],
        steps: _Steps,
        tokens: list[tuple[int | None, int | None]],
    ) -> list[CommentChoice]:
        """The pick for each cell; nobody is asked where fewer than two comments were written."""
        template = self._template(self.chooser)
        report = steps.part(len(cells))
        choices: list[CommentChoice | None] = [None] * len(cells)
        shown: dict[int, list[int]] = {}
        for i, texts in enumerate(comments):
            there = [m for m, text in enumerate(texts) if text]
            if len(there) > 1:
                shown[i] = there
            elif there:
                choices[i] = CommentChoice(texts, there[0])
            else:
                choices[i] = CommentChoice(texts, None, "no module wrote a comment")
        asked = list(cells)
        prompts = [
            choice_prompt(
                [comments[i][m] for m in there],
                asked[i][1],
                cells.groups,
                population=asked[i][0].population,
                chat_template=template,
            )
            for i, there in shown.items()
        ]
        chooser: Model = self.chooser
        if self.reads == "scores" and can_score(chooser):
            labels = [
                LabelRequest(p, comment_numbers(len(n)))
                for p, n in zip(prompts, shown.values(), strict=True)
            ]
            scored = ask_scores(chooser, labels, self.cache, report)
            tokens.append((scored.tokens_in, scored.tokens_out))
            for (i, there), scores in zip(shown.items(), scored.found, strict=True):
                choices[i] = scored_choice(comments[i], there, scores)
        elif can_write(chooser):
            texts_wanted = [TextRequest(p, _NUMBER_TOKENS) for p in prompts]
            said = ask_texts(chooser, texts_wanted, self.cache, report)
            tokens.append((said.tokens_in, said.tokens_out))
            for (i, there), text in zip(shown.items(), said.found, strict=True):
                choices[i] = written_choice(comments[i], there, text)
        return [c for c in choices if c is not None]

    def _record(self, choices: Sequence[CommentChoice]) -> dict[str, Any]:
        picked = [c.picked for c in choices if c.picked is not None]
        masses = [c.mass for c in choices if c.mass is not None]
        unread = [c for c in choices if c.picked is None and any(c.comments)]
        written = sum(1 for c in choices for text in c.comments if text)
        return {
            "method": self.name,
            "model": self.answerer.name,
            "backend": dict(self.answerer.fingerprint),
            "modules": [{"name": m.name} | dict(m.fingerprint) for m in self.modules],
            "chooser": {"name": self.chooser.name} | dict(self.chooser.fingerprint),
            "chooser_reads": self.reads,
            "option_orders": self.option_orders,
            "seed": self.seed,
            "chat": self.chat,
            "comment_tokens": self.comment_tokens,
            "prompt_template": pluralism_template_hash(self._template(self.answerer)),
            "picked": [picked.count(m) for m in range(len(self.modules))],
            "comments_empty": len(choices) * len(self.modules) - written,
            "parse_failures": len(unread) if self.reads == "text" else 0,
            "chooser_label_mass_mean": float(np.mean(masses)) if masses else None,
        }

    def _detail(self, cell: Cell, choice: CommentChoice) -> Mapping[str, Any]:
        question, group = cell
        names = [m.name for m in self.modules]
        return {
            "question_id": question.question_id,
            "attribute": group.attribute,
            "group": group.group,
            "comments": [
                {"module": n, "comment": t} for n, t in zip(names, choice.comments, strict=True)
            ],
            "picked": None if choice.picked is None else choice.picked + 1,
            "probabilities": [round(p, 4) for p in choice.shares],
            "wrong": choice.wrong or None,
        }


class _Steps:
    """One progress bar over the parts of the work."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0

    def part(self, size: int) -> Progress | None:
        """The progress of the next ``size`` steps."""
        before = self._before
        self._before += size

        def report(done: int, _: int) -> None:
            if self._progress:
                self._progress(before + done, self._total)

        return report if self._progress else None


def build(settings: PluralismSettings, resources: Resources) -> ModularPluralism:
    """The method on the models of a run.

    Raises:
        InputError, ModelError: a folder or model that cannot be opened, or that cannot write.
    """
    modules = [resources.module(name) for name in settings.modules]
    answerer = resources.language_model()
    tokens = settings.comment_tokens
    return ModularPluralism(
        modules=modules,
        chooser=answerer if settings.chooser is None else resources.named(settings.chooser),
        answerer=answerer,
        chooser_reads=settings.chooser_reads,
        option_orders=resources.prompting.orders,
        chat=resources.prompting.chat,
        comment_tokens=COMMENT_TOKENS if tokens is None else tokens,
        cache=resources.cache,
        seed=resources.prompting.seed,
    )


METHOD = MethodKind(
    name="pluralism",
    help="Community models comment, a chooser picks, the language model answers with that.",
    settings=PluralismSettings,
    build=build,
    language_model=True,
    shapes=(
        "method",
        "prompt_template",
        "option_orders",
        "modules",
        "chooser",
        "chooser_reads",
        "comment_tokens",
    ),
    advice="try --chat with a chat model, or another model",
    parts=lambda settings: settings.parts,
    order=40,
)
