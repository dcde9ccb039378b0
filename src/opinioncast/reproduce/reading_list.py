"""The paper, part by part: which command makes a part, which file it is in; or that none does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opinioncast.reproduce.recipe import builtin_reproductions, load_reproduction


@dataclass(frozen=True)
class Part:
    """A part of the paper.

    Attributes:
        part: table, figure, section or appendix.
        what: what it is about.
        command: that makes it; empty where none does.
        file: what the command writes, or the code that is it.
        absent: why it is not made.
    """

    part: str
    what: str
    command: str = ""
    file: str = ""
    absent: str = ""


_OTHERS = (
    Part("Figure 1", "illustration of data and method", absent="a drawing, no numbers"),
    Part("Figure 2", "illustration of fine-tuning", absent="a drawing, no numbers"),
    Part(
        "Figure 6",
        "prompt that refines a question's wording",
        "opinioncast curate RECIPE --refine-with MODEL",
        "src/opinioncast/curate/refine.py",
    ),
    Part(
        "Figure 14",
        "zero-shot prompts",
        "opinioncast predict FILE --method zero-shot --layout paper --format qa",
        "src/opinioncast/prompts/steering.py",
    ),
    Part(
        "Figure 15",
        "few-shot prompt",
        "opinioncast predict FILE --method few-shot -k 5",
        "src/opinioncast/prompts/few_shot.py",
    ),
    Part(
        "Figure 16",
        "prompts of Modular Pluralism",
        "opinioncast predict FILE --method pluralism --modules FOLDER ...",
        "src/opinioncast/prompts/pluralism.py",
    ),
    Part(
        "Section 3.1",
        "losses and targets of fine-tuning",
        "opinioncast finetune RECIPE -o out",
        "out/adapter/curve.csv; src/opinioncast/finetune/losses.py",
    ),
    Part(
        "Section 4.1",
        "upper and lower bound",
        "opinioncast bounds RECIPE -o bounds.csv",
        "bounds.csv, bounds_cells.csv",
    ),
    Part(
        "Appendix A.5",
        "questions that ask the same, taken out of the training",
        "opinioncast curate RECIPE (its overlap: against, threshold, model)",
        "overlap.csv; --setting paper takes OpinionQA's and SubPOP-Eval's out",
    ),
    Part(
        "Appendix B",
        "search over learning rates and batches",
        "opinioncast finetune paper_grid -o out",
        "out/sweep.csv",
    ),
    Part(
        "Appendix A.3",
        "wordings refined by GPT-4o",
        absent="wordings that were published are read; --refine-with asks a model of yours",
    ),
    Part(
        "Section 4.1",
        "chat models asked in several turns, as the authors' code asks them",
        absent="one turn is asked, through the model's chat template",
    ),
)


def reading_list() -> list[Part]:
    """Every part, tables and figures first, in the order of their numbers."""
    made = []
    for name in builtin_reproductions():
        recipe = load_reproduction(name, "paper")
        files = f"out/{name}/{name}.csv, .md, .tex, .svg"
        where = recipe.paper.where
        made.append(Part(where, recipe.title, f"opinioncast reproduce {name}", files))
    return sorted([*made, *_OTHERS], key=_place)


def _place(part: Part) -> tuple[int, int, str]:
    kinds = ("Table", "Figure", "Section", "Appendix")
    kind = next((i for i, k in enumerate(kinds) if part.part.startswith(k)), len(kinds))
    number = re.search(r"\d+", part.part)
    return kind, int(number[0]) if number else 0, part.part
