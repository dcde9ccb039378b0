"""Every command of `campaign.py` that is killed, with small inputs of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from campaign_inputs import OUT, survey


def _questions(folder: Path) -> None:
    lines = [f"- {{id: q{i}, question: Is it {i}?, options: [Yes, No, Both]}}" for i in range(13)]
    (folder / "q.yaml").write_text("\n".join(lines), "utf-8")


def _survey(folder: Path) -> None:
    survey(random.Random(1), folder)


def _tables(folder: Path) -> None:
    """Opinions and predictions of the same questions, by sex."""
    from opinioncast import Question, predict
    from opinioncast.survey import OpinionTable, load_groups, opinion_row

    groups = load_groups("total", "SEX=Male", "SEX=Female")
    questions = [Question(f"q{i}", f"Is it {i}?", ("Yes", "No"), (1, 2)) for i in range(9)]
    rows = [
        opinion_row(q, group, [share := 0.1 + 0.05 * i + 0.03 * j, 1 - share], n=400)
        for i, q in enumerate(questions)
        for j, group in enumerate(groups)
    ]
    for name, part in (("ops", rows), ("some", rows[:6])):
        meta = {"redistribution": "group-level"}
        OpinionTable.from_rows(part, meta).write(folder / f"{name}.parquet")
    predict(questions, groups, method="uniform").table.write(folder / "preds.parquet")
    known: list[dict[str, Any]] = [
        {"id": f"q{i}", "question": q.text, "options": list(q.options)}
        for i, q in enumerate(questions)
    ]
    known[0]["known"] = {"TOTAL": {"Yes": 70, "No": 30}}
    (folder / "known.yaml").write_text(yaml.safe_dump(known), "utf-8")


def _training(folder: Path) -> None:
    """A language model of a few thousand weights, and a table to train on."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    _tables(folder)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    from tokenizers import decoders

    made.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=letters, special_tokens=["<bos>", "<eos>", "<pad>"]
    )
    made.train_from_iterator(["Question: Is it? Answer: A B"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    recipe: dict[str, Any] = {
        "name": "made",
        "model": "model",
        "table": "ops.parquet",
        "validation": {"fraction": 0.3},
        "optimizer": {"batch_rows": 9, "epochs": 2},
        "checks": {"every": "epoch"},
    }
    (folder / "one.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    recipe["sweep"] = {"learning_rate": [1e-3, 1e-2]}
    (folder / "train.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    texts = [f"Answer: A. Question {i}, I choose B." for i in range(40)]
    (folder / "corpus.txt").write_text("\n\n".join(texts), "utf-8")


def _asked_of_a_model(folder: Path) -> None:
    _questions(folder)
    _training(folder)


def _networks(folder: Path) -> None:
    """Tables to train on and to choose by, without a question in common."""
    from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row

    words = {"train": ("apples", "pears", "plums", "figs"), "held": ("wars", "taxes")}
    for name, asked in words.items():
        rows = [
            opinion_row(
                Question(w, f"Are {w} good?", ("Yes", "No"), (1, 2)), g, [share, 1 - share], n=400
            )
            for w, share in zip(asked, (0.7, 0.4, 0.5, 0.2), strict=False)
            for g in load_groups("total", "SEX=Female")
        ]
        OpinionTable.from_rows(rows, {"terms": "Made up."}).write(folder / f"{name}.parquet")


def _pilot(folder: Path) -> None:
    """A survey, and predictions of its question."""
    from opinioncast import Question, predict
    from opinioncast.survey import load_groups

    _survey(folder)
    asked = Question("q1", "Is it good, do you think?", ("Yes", "No", "Both"), (1, 2, 3))
    groups = load_groups("total", "SEX=Male", "SEX=Female")
    predict([asked], groups, method="uniform").table.write(folder / "preds.parquet")


def _reproduction(folder: Path) -> None:
    """A setting of the tiny model and its table, and a recipe that trains and compares."""
    _training(folder)
    table = {"title": "Made up", "questions": 9, "cells": 27, "file": ["ops.jsonl"]}
    tuned: dict[str, Any] = {"optimizer": {"learning_rate": 0.01, "batch_rows": 9}}
    tuned |= {"checks": {"every": 1}, "dtype": "float32", "device": "cpu"}
    model = {"label": "Tiny", "model": str(folder / "model"), "finetune": tuned}
    setting = {
        "name": "tiny",
        "title": "a tiny model on a made-up survey",
        "prompt": {"layout": "question-first", "orders": "given"},
        "seen": ["SEX=Male"],
        "models": {"m": model},
        "curations": {},
        "tables": {"ops": table},
        "trainings": {},
        "get": {"ops": "ask around"},
    }
    recipe = {
        "name": "by_method",
        "kind": "methods",
        "order": 1,
        "title": "By method",
        "models": ["m"],
        "tables": ["ops"],
        "methods": [
            {"name": "Zero-shot", "method": "zero-shot"},
            {"name": "Uniform", "method": "uniform"},
        ],
        "paper": {"where": "Table 0", "key": ["table", "method"]}
        | {"columns": ["table", "method", "Tiny"], "rows": [["ops", "Uniform", 0.1]]},
    }
    for name, content in (("tiny", setting), ("by_method", recipe)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), "utf-8")


@dataclass(frozen=True)
class Command:
    """A command line in a folder.

    Attributes:
        prepare: puts the inputs there.
        before: command lines that make further inputs.
        tables: of the output, equal in bytes whenever it was killed.
        out: folder of the output.
        refuses: what a second run says where the first one came to its end: files that a person may
            have edited since are not replaced.
    """

    arguments: Sequence[str]
    tables: Sequence[str]
    prepare: Callable[[Path], None] = _questions
    before: Sequence[Sequence[str]] = ()
    out: str = OUT
    refuses: str = ""


_UNIFORM = ("predict", "q.yaml", "--method", "uniform", "-o", OUT)
_THERE = "is there already"
_TABLES_ONLY = ("--write", "parquet", "--write", "csv")
COMMANDS: dict[str, Command] = {
    "predict": Command((*_UNIFORM, *_TABLES_ONLY), ["predictions.parquet", "predictions.csv"]),
    "predict with charts": Command(_UNIFORM, ["predictions.parquet"]),
    "merge": Command(
        ("merge", OUT, *_TABLES_ONLY),
        ["predictions.parquet"],
        before=[(*_UNIFORM, "--shard", f"{i}/2") for i in (1, 2)],
    ),
    "import": Command(
        ("import", "q.yaml", "-o", f"{OUT}/asked.yaml"), ["asked.yaml"], refuses=_THERE
    ),
    "curate": Command(("curate", "recipe.yaml", "-o", OUT), ["opinions.parquet"], _survey),
    "inspect": Command(("inspect", "s.csv", "-o", OUT), ["variables.csv"], _survey),
    "bounds": Command(
        ("bounds", "recipe.yaml", "--replicates", "20", "-o", f"{OUT}/bounds.csv"),
        ["bounds.csv"],
        _survey,
    ),
    "evaluate": Command(
        ("evaluate", "preds.parquet", "ops.parquet", "-o", OUT),
        ["scores.csv", "page.html", "summary.json"],
        _tables,
    ),
    "plan": Command(
        ("plan", "preds.parquet", "--sample", "900", "-o", OUT), ["groups.csv"], _tables
    ),
    "banner": Command(
        ("banner", "ops.parquet", "-o", OUT, "--write", "csv", "--write", "html"),
        ["banner.csv"],
        _tables,
    ),
    "synthesize": Command(
        ("synthesize", "preds.parquet", "-n", "200", "-o", OUT, "--write", "csv"),
        ["synthetic_survey_n200.csv"],
        _tables,
    ),
    "update": Command(
        ("update", "preds.parquet", "--known", "known.yaml", "-o", OUT),
        ["predictions.parquet"],
        _tables,
    ),
    "convert": Command(("convert", "ops.parquet", f"{OUT}/t.jsonl"), ["t.jsonl"], _tables),
    "split": Command(
        (
            *("split", "ops.parquet", "--part", "a:0.5", "--part", "b:0.5", "--no-meaning"),
            *("-o", OUT),
        ),
        ["a.parquet", "b.parquet"],
        _tables,
    ),
    "overlap": Command(
        ("overlap", "ops.parquet", "--against", "some.parquet", "-o", OUT),
        ["table.parquet", "overlap.csv"],
        _tables,
    ),
    "init": Command(("init", "s.csv", "-o", OUT), [], _survey, refuses=_THERE),
    "estimate": Command(
        ("estimate", "preds.parquet", "--recipe", "recipe.yaml", "-o", OUT),
        ["estimates.csv"],
        _pilot,
    ),
    "learn-prior": Command(("learn-prior", "recipe.yaml", "-o", f"{OUT}/prior.npz"), [], _survey),
    "library add": Command(
        ("library", "add", "ops.parquet", "--name", "ours"),
        ["opinions.parquet", "questions.parquet", "meanings.npz"],
        _tables,
        out="data/library/ours",
    ),
    "library show": Command(("library", "show", "ANES/V201114", "-o", OUT), ["ANES_V201114.csv"]),
    "predict by a model": Command(
        (
            *("predict", "q.yaml", "--model", "model", "-g", "total", "-g", "SEX=Female"),
            *("--dtype", "float32", "--no-library", "-o", OUT, *_TABLES_ONLY),
        ),
        ["predictions.parquet"],
        _asked_of_a_model,
    ),
    "input-use": Command(
        ("input-use", "ops.parquet", "--method", "zero-shot", "--model", "model", "-o", OUT),
        ["input_use.csv"],
        _training,
    ),
    "finetune": Command(("finetune", "train.yaml", "-o", OUT), ["sweep.csv"], _training),
    "train-network": Command(
        (
            *("train-network", "train.parquet", "--validation", "held.parquet"),
            *("--members", "2", "--epochs", "2", "-o", OUT),
        ),
        ["network.safetensors"],
        _networks,
    ),
    "train-network --kernel": Command(
        (
            *("train-network", "train.parquet", "--validation", "held.parquet", "--kernel"),
            *("-o", OUT),
        ),
        ["network.safetensors"],
        _networks,
    ),
    "train-community": Command(
        (
            *("train-community", "corpus.txt", "-o", OUT, "--model", "model"),
            *("--block-tokens", "32", "--epochs", "2", "--dtype", "float32"),
        ),
        ["adapter_model.safetensors"],
        _training,
    ),
    "export": Command(
        ("export", "a/adapter", "-o", OUT),
        ["model.safetensors", "config.json"],
        _training,
        before=[("finetune", "one.yaml", "-o", "a")],
    ),
    "reproduce": Command(
        ("reproduce", "by_method.yaml", "--setting", "tiny.yaml", "-o", OUT),
        ["by_method/by_method.csv"],
        _reproduction,
        before=[("convert", "ops.parquet", "ops.jsonl")],
    ),
}
"""What is killed: each runs to the same end whenever it was stopped."""
