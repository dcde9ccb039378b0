"""Every setting of every method and backend that is declared, in turn: either what a run is known
by changes with it, or its numbers do not.

What a run is known by: the record of its settings (manifests, parts of a sharded run), the hash
that error bars belong to, and the keys of finished rows.
"""

from __future__ import annotations

import enum
import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fake_backend import FakeBackend
from tests.methods.fake_encoder import FakeEncoder

from opinioncast import PredictSettings
from opinioncast.backends.declaration import BackendKind, backend_kinds
from opinioncast.backends.protocol import LabelRequest, TextRequest
from opinioncast.errors import InputError
from opinioncast.methods.blend import BlendShares
from opinioncast.methods.declaration import MethodKind, method_kind, method_kinds
from opinioncast.methods.embedding.kernel_regression import fit_kernel
from opinioncast.methods.error_bars import settings_hash
from opinioncast.methods.prediction import Prediction
from opinioncast.methods.row_cache import RowCache
from opinioncast.options import Option, made
from opinioncast.prompts import Prompting
from opinioncast.prompts.prompting import over
from opinioncast.survey import Cells, OpinionTable, Question, load_groups, opinion_row

GROUPS = load_groups("TOTAL", "SEX=Female", "SEX=Male")
ASKED = (
    Question("rent", "Are rents too high?", ("Yes", "No", "Not sure"), (1, 2, -1), "F", "1"),
    Question("bus", "How good are buses?", ("Good", "Fair", "Poor", "Bad"), (1, 2, 3, 4), "F", "1"),
)
URL, OTHER_URL = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
NAMES = ("a", "b"), ("a", "c")


def candidates(known: Option) -> Iterator[Any]:
    """Values that an option of this type may have, whatever it is for."""
    either = typing.get_origin(known.type) in (typing.Union, types.UnionType)
    for hint in typing.get_args(known.type) if either else (known.type,):
        bare = typing.get_origin(hint) or hint
        if bare is type(None):
            continue
        if bare is bool:
            yield from (False, True)
        elif isinstance(hint, type) and issubclass(hint, enum.Enum):
            yield from hint
        elif bare is int:
            yield from (1, 3, 7)
        elif bare is float:
            yield from (0.05, 0.5, 3.0)
        elif bare is BlendShares:
            yield BlendShares(0.2, 0.2, 0.6)
        elif bare is tuple:
            yield from NAMES
        elif bare is Path:
            yield Path("other")
        elif bare is typing.Literal:
            yield from typing.get_args(hint)
        else:
            yield from ("3", "reversed", "given", "bfloat16", "cpu", "other", OTHER_URL)


def needed(kind: MethodKind) -> dict[str, Any]:
    return (
        {"train": Path("train")}
        if kind.name == "total"
        else {"modules": NAMES[0]}
        if kind.name == "pluralism"
        else {}
    )


def changes(
    settings: type, known: Mapping[str, Option], given: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """(Option, value) of every option and every value that it does not have; fails where there is
    none."""
    plain: Any = made(settings, given)
    for name, option in known.items():
        found = 0
        for value in candidates(option):
            try:
                changed: Any = made(settings, {**given, name: value})
            except InputError:
                continue
            if getattr(changed, name) != getattr(plain, name):
                found += 1
                yield name, value
        if not found:
            pytest.fail(f"no other value is known for {settings.__name__}.{name}: {option.type}")


@pytest.mark.parametrize("kind", method_kinds(), ids=lambda kind: kind.name)
def test_every_setting_of_a_method_is_in_the_record(kind: MethodKind) -> None:
    given = needed(kind)
    plain = PredictSettings(method=kind.name, **given).record()
    for name, value in changes(kind.settings, kind.options, given):
        changed = PredictSettings(method=kind.name, **{**given, name: value}).record()
        assert changed != plain, name
        assert changed["settings"][name] == (
            value if isinstance(value, int | float | bool) else str(value)
        )


@pytest.mark.parametrize("kind", backend_kinds(), ids=lambda kind: kind.name)
def test_every_setting_of_a_backend_is_in_the_record(kind: BackendKind) -> None:
    given = {"base_url": URL} if "base_url" in kind.options else {}
    beside: list[dict[str, Any]] = [
        {},
        {"engine": "vllm"},
        {"price_in": 1.0, "price_out": 1.0},
    ]  # what some go with

    def record(**more: Any) -> dict[str, Any] | None:
        try:
            settings = PredictSettings(
                method="zero-shot", model="m", backend=kind.name, **{**given, **more}
            )
        except InputError:
            return None
        return settings.record()

    for name, option in kind.options.items():
        tried = [
            (record(**more), record(**{**more, name: value}))
            for more in beside
            if set(more) <= set(kind.options)
            for value in candidates(option)
        ]
        assert any(b is not None is not a and a != b for a, b in tried), f"{name} is in no record"


def shares(*parts: object, count: int) -> list[float]:
    """Shares that any change of ``parts`` changes."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(digest[:8], "big")).dirichlet(np.ones(count))
    return [float(x) for x in drawn]


class Fakes:
    """What a method is built on: models whose answers hang on every letter of what they are asked,
    and on nothing else."""

    as_trained = False
    trained_questions = ""

    def __init__(self, settings: Any, folder: Path, cache: RowCache | None) -> None:
        self.prompting: Prompting = over(settings, None)
        self.cache = cache
        self._folder = folder

    def language_model(self) -> FakeBackend:
        return self.named("answerer")

    def named(self, name: str) -> FakeBackend:
        def score(request: LabelRequest) -> Sequence[float]:
            return shares(name, request.text, request.labels, count=len(request.labels))

        def write(request: TextRequest) -> str:
            if request.schema is None and "{" not in request.text:
                (share,) = shares(name, request.text, request.max_new_tokens, count=2)[:1]
                word = "".join("abcdefghij"[int(c)] for c in f"{share:.8f}"[2:])
                return f"{word}, so {1 + (share > 0.5)}"
            letters = "ABCDEFGH"[: (request.max_new_tokens - 64) // 16]  # few-shot's own measure
            said = shares(name, request.text, request.schema is None, count=len(letters))
            return json.dumps(dict(zip(letters, said, strict=True)))

        return FakeBackend(score, weights=name, write=write, name=name, supports_schema=True)

    module = named

    def sentence_model(self, name: str | None) -> FakeEncoder:
        return FakeEncoder() if name is None else FakeEncoder(name, name, 24)

    def table(self, path: Path) -> OpinionTable:
        return OpinionTable.read(self._folder / f"{path.name}.parquet")


def table(seed: int) -> OpinionTable:
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(9):
        options = ASKED[i % 2].options
        text = f"Is number {i} of the buses or rents {'high' if i % 3 else 'good'}?"
        question = Question(f"t{i}", text, options, ASKED[i % 2].ordinal, "T", "1")
        rows += [
            opinion_row(question, g, draw.dirichlet(np.ones(len(options))).tolist(), n=100)
            for g in GROUPS
        ]
    for question in ASKED:  # what the method total looks up
        rows += [
            opinion_row(question, g, draw.dirichlet(np.ones(len(question.options))).tolist(), n=9)
            for g in GROUPS
        ]
    return OpinionTable.from_rows(rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and networks, each by a name and another."""
    folder = tmp_path_factory.mktemp("settings")
    for seed, name in enumerate(("train", "other")):
        table(seed).write(folder / f"{name}.parquet")
    apart = table(2).frame
    for name, encoder in (("network", FakeEncoder()), ("other", FakeEncoder("other", "other", 24))):
        held = OpinionTable(apart, {})
        fit_kernel(table(len(name)), held, encoder).save(folder / name)
    fit_kernel(table(9), OpinionTable(apart, {}), FakeEncoder()).save(folder / "second")
    return folder


def given_for(kind: MethodKind, folder: Path) -> dict[str, Any]:
    """What the method needs here; option orders are several, for the seed to say something."""
    usual = {
        "train": Path("train"),
        "network": folder / "network",
        "modules": NAMES[0],
        "orders": "3",
        "neighbours": 2,
    }
    return {name: value for name, value in usual.items() if name in kind.options}


def other_for(name: str, value: Any, folder: Path, kind: MethodKind) -> dict[str, Any]:
    """The change of one option, as something that is there."""
    if name == "modules":
        return {name: NAMES[1]}
    if name == "network":
        return {name: folder / "second"}
    if name == "sentence_model":
        fitting = {"network": folder / "other"} if "network" in kind.options else {}
        return {name: "other", **fitting}
    if name == "neighbours":
        return {name: 3}
    return {name: value}


def run(
    kind: MethodKind, given: Mapping[str, Any], folder: Path, cache: RowCache | None
) -> Prediction:
    settings: Any = made(kind.settings, given)
    resources: Any = Fakes(settings, folder, cache)
    return kind.build(settings, resources).predict(Cells.cross(ASKED, GROUPS))


def numbers(made_of: Prediction) -> list[Any]:
    assert not [p for p in made_of.problems if p.missing]
    return made_of.table.frame.select("distribution", "refusal_rate").rows()


@pytest.mark.slow
@pytest.mark.parametrize("kind", method_kinds(), ids=lambda kind: kind.name)
def test_numbers_do_not_change_under_one_hash_nor_under_one_key(
    kind: MethodKind, place: Path, tmp_path: Path
) -> None:
    given = given_for(kind, place)
    with RowCache(tmp_path / "rows.sqlite") as cache:
        plain = run(kind, given, place, cache)
        known = settings_hash(plain.record)
        assert numbers(run(kind, given, place, cache)) == numbers(plain)
        turned = set()
        tried = [given]
        for name, value in changes(kind.settings, kind.options, given):
            more = {**given, **other_for(name, value, place, kind)}
            if more in tried:
                continue
            tried.append(more)
            kept, anew = run(kind, more, place, cache), run(kind, more, place, None)
            assert numbers(kept) == numbers(anew), f"{name}: finished rows of another run"
            if numbers(anew) != numbers(plain):
                turned.add(name)
                assert settings_hash(anew.record) != known, f"{name} is not in the hash"
        assert turned == set(kind.options)  # else the models here are deaf to one


def test_the_declared_keys_are_those_that_are_hashed() -> None:
    record = {"method": "m", "backend": {"weights": "w"}}
    for kind in method_kinds():
        for key in kind.shapes:
            assert settings_hash(record | {key: "another"}) != settings_hash(record), key
    assert method_kind("few-shot").shapes
