"""Inputs of `campaign.py`: each kind makes a folder, a command, and what is right to come of it.

A try is drawn from a random generator alone: the same seed gives the same folder. What is known to
be right is checked: :attr:`Try.check` raises AssertionError where a number is wrong,
SilentLossError where something vanished without a word. Where bytes were damaged at random, only
what must hold of every result is checked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

OUT = "o"
HOSTILE = (
    *("[not sure]", "[/b]", "a\x1b]52;c;Y2FsYw==\x07b", "pay\u202egpj.exe", "=cmd|' /C calc'!A0"),
    *("+1", "-1", "- none", "@SUM(A1)", "\t=1", "a|b", "x\ny", "$30,000-$50,000", "<script>", ""),
    *("' OR 1=1", "a/b", "..", "con", "A" * 3000, "\u00e9 \u2019", "\u65e5\u672c", "\U0001f468"),
    *("\ufeffx", "%s", "{0}", "null", "true", "1e999", "2020-01-01", "\x00", "\x9b31m", "a\\b"),
    *("9" * 5000, "99999999999", "0", "10", "\u0663", "\u00b2"),
)
_JUNK: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "x", [], {}, [None]),
    *({"a": 1}, "\ud800", [[[]]], {"": ""}, "9" * 5000),
)


class SilentLossError(AssertionError):
    """Something of the input is in no result, and nothing was said."""


@dataclass(frozen=True)
class Try:
    """A command, run in ``folder``.

    Attributes:
        arguments: of the command line; or a callable, run in a process of its own.
        check: of a run that ended well; what it said is its argument.
        answer: bytes that a service answers with, where the arguments name ``{port}``.
    """

    kind: str
    folder: Path
    arguments: Sequence[str] | Callable[[], None]
    check: Callable[[str], None] = lambda said: None
    answer: bytes | None = None


def damaged(chance: random.Random, content: bytes) -> bytes:
    """Some bytes changed, cut, repeated or put in."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not data:
            break
        at = chance.randrange(len(data))
        act = chance.randrange(5)
        if act == 0:
            data[at] = chance.randrange(256)
        elif act == 1:
            del data[at:]
        elif act == 2:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 64))))
        elif act == 3:
            del data[at : at + chance.choice((1, 4, 64))]
        else:
            data[at:at] = data[at : at + 100] * chance.choice((1, 3))
    return bytes(data)


def swapped(chance: random.Random, value: Any) -> Any:
    """One value somewhere within JSON replaced by something odd, removed, or nested deep."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        inside: Any = ()
        if isinstance(node, dict):
            inside = node.items()
        elif isinstance(node, list):
            inside = enumerate(node)
        for key, child in list(inside):
            places.append((node, key))
            walk(child)

    value = json.loads(json.dumps(value))
    walk(value)
    if places:
        node, key = chance.choice(places)
        act = chance.randrange(6)
        if act == 0:
            del node[key]
        elif act == 1:
            deep: Any = node[key]
            for _ in range(chance.choice((3, 90, 900))):
                deep = [deep]
            node[key] = deep
        else:
            node[key] = chance.choice((*_JUNK, *HOSTILE))
    return value


def _text(chance: random.Random) -> str:
    return chance.choice(HOSTILE) if chance.random() < 0.5 else f"word{chance.randrange(99)}"


def questionnaire(chance: random.Random, folder: Path) -> Try:
    """Hostile words, odd values, or damaged bytes, in YAML, JSON or CSV."""
    options = list(dict.fromkeys(_text(chance) for _ in range(chance.randrange(1, 6))))
    asked: Any = [
        {"id": f"q{i}", "question": f"Which {_text(chance)}?", "options": options}
        for i in range(chance.choice((1, 2, 7)))
    ]
    act = chance.randrange(4)
    if act == 1:
        asked = swapped(chance, asked)
    suffix = chance.choice(("yaml", "json", "csv"))
    if suffix == "csv":
        rows = asked if isinstance(asked, list) else [asked]
        lines = ["id,question,options"]
        for row in rows:
            row = row if isinstance(row, dict) else {"id": row}
            cells = [str(row.get("id")), str(row.get("question"))]
            given = row.get("options")
            cells.append("|".join(map(str, given)) if isinstance(given, list) else str(given))
            lines.append(",".join('"' + c.replace('"', '""') + '"' for c in cells))
        raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    else:
        as_text = json.dumps if suffix == "json" or act == 1 else _yaml
        raw = as_text(asked).encode("utf-8", "surrogatepass")
    if act == 2:
        raw = damaged(chance, raw)
    (folder / f"q.{suffix}").write_bytes(raw)

    def check(said: str) -> None:
        frame = _predictions(folder)
        if act in (0, 3) and suffix != "csv":
            known = [[" ".join(o.split()) for o in options]] * len(asked)
            kept = [[" ".join(o.split()) for o in row] for row in frame["options"].to_list()]
            if len(kept) < len(known) and "items" not in said:
                raise SilentLossError(f"{len(kept)} of {len(known)} questions")
            if "items" not in said and "left out" not in said:
                assert all(row in known for row in kept), (kept, known)

    arguments = ("predict", f"q.{suffix}", "--method", "uniform", "-g", "total", "-o", OUT)
    formats: tuple[str, ...] = ("--write", "parquet", "--write", "csv")
    formats += ("--write", "chart") if chance.random() < 0.05 else ()
    return Try("questionnaires", folder, (*arguments, *formats), check)


def _yaml(content: Any) -> str:
    return str(yaml.safe_dump(content, allow_unicode=False))


def _predictions(folder: Path) -> pl.DataFrame:
    from opinioncast.csv_files import read_csv
    from opinioncast.survey import PredictionTable

    table = PredictionTable.read(folder / OUT / "predictions.parquet")
    sums = table.frame["distribution"].list.sum()
    assert ((sums - 1).abs() < 1e-9).all(), sums
    raw = (folder / OUT / "predictions.csv").read_text("utf-8-sig")
    for line in raw.split("\n"):
        assert not line.startswith(("=", "@")), line
    again = read_csv(folder / OUT / "predictions.csv", infer_schema=False)
    given = table.frame.explode("options")["options"].to_list()
    assert again["option"].fill_null("").to_list() == given
    return table.frame


def groups(chance: random.Random, folder: Path) -> Try:
    """Group files and expressions."""
    names = [_text(chance), _text(chance), f"g{chance.randrange(9)}"]
    content: Any = {
        "attributes": {
            "HOME": {
                "label": _text(chance),
                "question": "Do you own your home?",
                "groups": list(dict.fromkeys(names)),
                "bio": "I live in {}.",
                "portray": "in {}",
            }
        },
        "groups": {"HOME": "all"},
    }
    act = chance.randrange(3)
    if act == 1:
        content = swapped(chance, content)
    raw = json.dumps(content).encode()
    (folder / "g.yaml").write_bytes(damaged(chance, raw) if act == 2 else raw)
    asked = "- {id: q, question: Which one?, options: [Yes, No]}\n"
    (folder / "q.yaml").write_text(asked, "utf-8")
    given = "g.yaml" if chance.random() < 0.8 else f"HOME={_text(chance)} & {_text(chance)}"

    def check(said: str) -> None:
        shown = _predictions(folder)["group"].to_list()
        if act == 0 and given == "g.yaml":
            assert len(set(shown)) == len(set(names)), (shown, names)

    given = given.replace("\x00", " ")  # no argument of a process can hold one
    arguments = ("predict", "q.yaml", "--method", "uniform", "-g", given, "-o", OUT)
    return Try("groups", folder, (*arguments, "--write", "parquet", "--write", "csv"), check)


def survey(chance: random.Random, folder: Path, people: int = 120) -> Mapping[str, np.ndarray]:
    """A survey, its codebook, groups and recipe in ``folder``; its columns."""
    from opinioncast.csv_files import write_csv

    made = np.random.default_rng(chance.randrange(2**32))
    columns = {
        "sex": made.integers(1, 3, people),
        "q1": made.integers(1, 4, people),
        "w": np.round(made.uniform(0.5, 2.0, people), 3),
    }
    write_csv(pl.DataFrame(columns), folder / "s.csv", for_excel=False)
    book = [
        {"variable": "q1", "question": "Is it good, do you think?", "codes": [1, 2, 3]}
        | {"options": ["Yes", "No", "Both"]},
        {"variable": "sex", "question": "Sex", "codes": [1, 2], "options": ["Male", "Female"]},
    ]
    group = {"attributes": {"SEX": {"variable": "sex", "groups": {"Male": [1], "Female": [2]}}}}
    wave = {"family": "MADE", "wave": "1", "file": "s.csv", "codebook": "book.yaml"}
    recipe = {
        "name": "made",
        "citation": "Nobody",
        "terms": "Made up.",
        "redistribution": "group-level",
        "groups": ["total", "SEX=Male", "SEX=Female"],
        "select": {"min_n": 1, "min_group_n": 1, "max_association": 1.0},
        "waves": [wave | {"groups": "groups.yaml", "weight": "w"}],
    }
    for name, content in (("book", book), ("groups", group), ("recipe", recipe)):
        (folder / f"{name}.yaml").write_text(_yaml(content), "utf-8")
    return columns


def curation(chance: random.Random, folder: Path) -> Try:
    """One of recipe, codebook, groups and microdata odd; else shares against NumPy's."""
    columns = survey(chance, folder, chance.choice((12, 120)))
    which = chance.choice(("recipe", "book", "groups", "s", "none"))
    kinds = {"recipe": "recipes", "book": "codebooks", "groups": "groups"}
    path = folder / ("s.csv" if which == "s" else f"{which}.yaml")
    if which == "s":
        path.write_bytes(damaged(chance, path.read_bytes()))
    elif which != "none":
        content = yaml.safe_load(path.read_text("utf-8"))
        raw = json.dumps(swapped(chance, content)).encode()
        path.write_bytes(damaged(chance, raw) if chance.random() < 0.3 else raw)

    def check(said: str) -> None:
        frame = pl.read_parquet(folder / OUT / "opinions.parquet")
        assert ((frame["distribution"].list.sum() - 1).abs() < 1e-9).all()
        assert (frame["n"] <= len(columns["w"]) + (200 if which == "s" else 0)).all()
        if which != "none":
            return
        for group, code in (("Male", 1), ("Female", 2), ("All adults", None)):
            inside = np.ones(len(columns["w"]), bool) if code is None else columns["sex"] == code
            rows = frame.filter(pl.col("group") == group)
            small = (columns["sex"] == 1).sum(), (columns["sex"] == 2).sum()
            if code is not None and min(small) < 10:
                assert rows.is_empty(), "a small group, or what gives it away"
                continue
            answers, weights = columns["q1"][inside], columns["w"][inside]
            wanted = np.bincount(answers, weights, 4)[1:] / weights.sum()
            (found,) = rows["distribution"].to_list()
            assert np.allclose(found, wanted, atol=1e-9), (group, found, wanted)

    arguments = ("curate", "recipe.yaml", "-o", OUT)
    return Try(
        kinds.get(which, "groups" if which == "groups" else "microdata"), folder, arguments, check
    )


def table(chance: random.Random, folder: Path) -> Try:
    """Predictions or opinions for `evaluate`, damaged or with odd numbers."""
    from opinioncast import Question, predict
    from opinioncast.survey import OpinionTable, Subpopulation, opinion_row

    question = Question("q", "Is it good?", ("Yes", "No"), (1, 2))
    shares = round(chance.random(), 3)
    rows = [opinion_row(question, Subpopulation(), [shares, 1 - shares], n=200)]
    OpinionTable.from_rows(rows, {"redistribution": "group-level"}).write(folder / "o.parquet")
    predict([question], "total", method="uniform").table.write(folder / "p.parquet")
    act = chance.randrange(3)
    victim = folder / chance.choice(("o.parquet", "p.parquet", "o.parquet.json", "p.parquet.json"))
    if act == 1:
        victim.write_bytes(damaged(chance, victim.read_bytes()))
    elif act == 2:
        frame = pl.read_parquet(victim := victim.with_name(victim.name.removesuffix(".json")))
        odd = chance.choice(([0.5, 0.6], [float("nan"), 1.0], [-0.5, 1.5], [1.0], None))
        odd_list = pl.Series("distribution", [odd], dtype=pl.List(pl.Float64))
        frame.with_columns(odd_list).write_parquet(victim)

    def check(said: str) -> None:
        if act == 0:
            summary = json.loads((folder / OUT / "summary.json").read_text("utf-8"))
            assert abs(summary["mean"]["wd"] - abs(0.5 - shares)) < 1e-6, summary["mean"]

    return Try("tables", folder, ("evaluate", "p.parquet", "o.parquet", "-o", OUT), check)


def cache(chance: random.Random, folder: Path) -> Try:
    """The cache of rows with bytes changed: a row comes back as it was put, or not at all."""

    def use() -> None:
        from opinioncast.backends.protocol import LabelRequest, LabelScores
        from opinioncast.methods.row_cache import RowCache

        requests = [LabelRequest(f"prompt {i}", ("A", "B")) for i in range(20)]
        values = [np.log(np.array([0.1 + i / 40, 0.9 - i / 40])) for i in range(20)]
        with RowCache(folder / "rows.sqlite") as rows:
            keys = rows.keys(requests, {"m": 1})
            rows.put((k, LabelScores(v)) for k, v in zip(keys, values, strict=True))
        for path in folder.glob("rows.sqlite*"):
            path.write_bytes(damaged(chance, path.read_bytes()))
        with RowCache(folder / "rows.sqlite") as rows:
            found = rows.get(keys)
            for key, value in zip(keys, values, strict=True):
                if key in found:
                    assert np.array_equal(found[key].log_probs, value), "another value"
            rows.put((k, LabelScores(v)) for k, v in zip(keys, values, strict=True))

    return Try("caches", folder, use)


def service(chance: random.Random, folder: Path) -> Try:
    """A service whose answers are odd, through the command."""
    good: Any = {
        "model": "m",
        "choices": [
            {
                "index": 0,
                "text": " A",
                "logprobs": {
                    "tokens": [" A"],
                    "token_logprobs": [-0.1],
                    "top_logprobs": [{" A": -0.1, " B": -3.0}],
                },
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
    }
    act = chance.randrange(4)
    if act == 0:
        answer = b"[" * chance.choice((100, 200_000))
    elif act == 1:
        answer = damaged(chance, json.dumps(good).encode())
    else:
        answer = json.dumps(swapped(chance, good)).encode("utf-8", "surrogatepass")
    asked = "- {id: q, question: Which one?, options: [Yes, No]}\n"
    (folder / "q.yaml").write_text(asked, "utf-8")
    arguments = (
        *("predict", "q.yaml", "-g", "total", "-o", OUT, "--model"),
        *("api:m@http://127.0.0.1:{port}/v1", "--timeout", "2", "--no-cache"),
        *("--write", "parquet", "--write", "csv"),
    )

    def check(said: str) -> None:
        _predictions(folder)

    return Try("services", folder, arguments, check, answer)


def owner(chance: random.Random, folder: Path) -> Try:
    """Files of the user's in the output folder: there afterwards, as they were."""
    out = folder / OUT
    out.mkdir()
    theirs = chance.sample(
        ("chart-budget.png", "written.jsonl", "predictions.csv", "notes.md", "manifest.json"), 3
    )
    for name in theirs:
        (out / name).write_text(f"my {name}", "utf-8")
    (folder / "q.yaml").write_text("- {id: q, question: Which?, options: [Yes, No]}\n", "utf-8")

    def check(said: str) -> None:
        kept = [p.read_bytes() for p in folder.rglob("*") if p.is_file()]
        for name in theirs:
            if f"my {name}".encode() not in kept:
                raise SilentLossError(f"{name} of the user's is gone")

    arguments = ("predict", "q.yaml", "--method", "uniform", "-g", "total", "-o", OUT)
    return Try("folders", folder, (*arguments, "--write", "parquet", "--write", "csv"), check)


KINDS: tuple[Callable[[random.Random, Path], Try], ...] = (
    *(questionnaire, groups, curation, table, cache, service, owner),
)
