"""YAML and JSON as they come in: one reading, limits, nothing twice."""

from __future__ import annotations

import ast
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.documents import (
    MAX_DEPTH,
    Entries,
    Items,
    parse_json,
    parse_yaml,
    read_document,
    text_of,
    texts_of,
)
from opinioncast.errors import DataError, InputError
from opinioncast.readers.codebook import load_codebook

PACKAGE = Path(__file__).parents[1] / "src" / "opinioncast"


def of_yaml(text: str, **more: Any) -> Any:
    return parse_yaml(text, where="f.yaml", what="A file", **more)


def of_json(text: str) -> Any:
    return parse_json(text, where="f.json", what="A file")


@pytest.mark.parametrize("text", ["no", "Yes", "On", "off", "y", "True", "FALSE", "1e3", "0x1F"])
def test_what_a_person_means_as_text_stays_text(text: str) -> None:
    assert of_yaml(f"[{text}]") == [text]


@pytest.mark.parametrize("text", ["2020-11-03", "12:30:00", "0012", "1_000", ".inf", ".nan", "+1"])
def test_dates_times_and_odd_numbers_stay_text(text: str) -> None:
    assert of_yaml(f"[{text}]") == [text]


def test_numbers_keep_what_was_written() -> None:
    found = of_yaml("[1.50, 2, -1.0, 1.0e-4]")
    assert found == [1.5, 2, -1.0, 1e-4]
    assert texts_of(found, "f") == ("1.50", "2", "-1.0", "1.0e-4")
    assert json.dumps(found) == "[1.5, 2, -1.0, 0.0001]"


def test_only_texts_leaves_numbers_and_nulls_as_written() -> None:
    assert of_yaml("{a: 01, b: null, c: [true, 1.0]}", only_texts=True) == {
        "a": "01",
        "b": "null",
        "c": ["true", "1.0"],
    }


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Male: 1\nFemale: 2\nMale: 3\n", "lines 1 and 3"),
        ("a:\n  1: x\n  '1': y\n", "lines 2 and 3"),
        ("'1': x\n1.0: y\n", "lines 1 and 2"),
        ("1.0: x\n1.00: y\n", "lines 1 and 2"),
        ("null: x\nnull: y\n", "lines 1 and 2"),
        ("{a: 1, a: 2}", "line 1"),
    ],
)
def test_a_key_that_stands_twice_names_both_lines(text: str, lines: str) -> None:
    with pytest.raises(InputError, match="says something twice") as caught:
        of_yaml(text)
    assert caught.value.where == f"f.yaml, {lines}"


def test_a_key_twice_in_json_names_both_lines() -> None:
    text = '{"a": 1,\n "b": {"a": "a\\": 1, \\n"},\n "c": [{"x": 1},\n {"y": 1, "x": 2, "y": 3}]}'
    with pytest.raises(InputError, match="twice") as caught:
        of_json(text)
    assert (caught.value.where, caught.value.found) == ("f.json, line 4", "y two times")
    with pytest.raises(InputError) as caught:
        of_json('{"a": 1,\n"b": 2,\n"a": 3}')
    assert caught.value.where == "f.json, lines 1 and 3"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &x [*x]", "in itself"),
        ("a: *x", "undefined alias|\\*x"),
        ("? [a]\n: 1", "as a key"),
        ("!!binary aGVsbG8=", "binary"),
        ("!!python/object/apply:os.system [ls]", "python"),
        ("!!set {a}", "set"),
        ("- " + "9" * 5000, "999"),
        ("a: 1\n---\nb: 2", "second"),
        ("[" * 50_000, "nesting"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nesting"),
        ('"\\ud800"', "."),
        ('"\\0"', "NUL"),
        ("- 1." + "0" * 20 + "e999", "."),
    ],
)
def test_yaml_that_is_refused(text: str, found: str) -> None:
    with pytest.raises(InputError) as caught:
        of_yaml(text)
    assert caught.value.where is not None
    assert "line" in caught.value.where
    assert re.search(found, caught.value.found or "")


def test_aliases_that_unfold_without_end_are_refused_at_once() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]")
    with pytest.raises(InputError) as caught:
        of_yaml("\n".join(lines))
    assert "aliases" in (caught.value.expected or "")


@pytest.mark.parametrize(
    "text",
    [
        "[NaN]",
        "[-Infinity]",
        "[1e999]",
        "[" + "1" * 5000 + "]",
        '["\\ud800"]',
        '{"\\udfff": 1}',
        '["\\u0000"]',
        "[" * 50_000,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a"',
        "",
    ],
)
def test_json_that_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        of_json(text)


def test_json_pairs_of_surrogates_are_one_character() -> None:
    assert of_json('["\\ud83d\\ude00"]') == ["😀"]


@pytest.mark.parametrize("value", [None, True, {"a": 1}, ["a"]])
def test_where_text_is_expected_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="text was expected"):
        text_of(value, "f")


def test_an_option_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "codebook.yaml"
    path.write_text("- variable: q\n  codes: [1, 2]\n  options:\n  - Yes\n  - true\n", "utf-8")
    with pytest.raises(DataError, match="text was expected") as caught:
        load_codebook(path)
    assert "line 5" in (caught.value.where or "")
    path.write_text("- variable: q\n  codes: [1, 2]\n  options: [Yes, No]\n", "utf-8")
    assert load_codebook(path)["q"].options == ("Yes", "No")


def test_merge_keys_do_not_overwrite() -> None:
    assert of_yaml("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n")["own"] == {"x": 1, "y": 3}


def test_lines_are_kept_and_do_not_travel() -> None:
    found = of_yaml("a: 1\nb:\n- x\n- y\n")
    assert isinstance(found, Entries)
    assert found.lines == {"a": 1, "b": 2}
    assert isinstance(found["b"], Items)
    assert found["b"].lines == [3, 4]
    assert type(pickle.loads(pickle.dumps(found))) is dict


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes("a: 1\nb: Völkisch\n".encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_document(path, "A file")
    assert (caught.value.where or "").endswith("f.yaml, line 2")
    path.write_bytes("a: Völkisch".encode("utf-16"))
    assert read_document(path, "A file") == {"a": "Völkisch"}
    with pytest.raises(DataError):
        read_document(tmp_path, "A file", error=DataError)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
)
_DOCUMENTS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(_DOCUMENTS)
def test_json_reads_what_the_standard_library_wrote(value: Any) -> None:
    assert of_json(json.dumps(value)) == value
    assert of_json(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text("abn 1.o-'\":#")),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text("abxyz", min_size=1), inner)
        ),
        max_leaves=10,
    )
)
def test_yaml_reads_what_pyyaml_wrote(value: Any) -> None:
    assert of_yaml(yaml.safe_dump(value, allow_unicode=True)) == value


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (of_yaml, of_json):
        try:
            parse(text)
        except InputError:
            continue  # anything else fails the test


@pytest.mark.slow
def test_every_file_of_the_package_reads_as_pyyaml_reads_it() -> None:
    files = sorted(PACKAGE.rglob("*.yaml"))
    assert len(files) > 40
    for path in files:
        assert read_document(path, "A file") == yaml.safe_load(path.read_text("utf-8")), path


def test_nobody_reads_yaml_or_json_past_this_module() -> None:
    """What machines wrote for themselves (journals, checkpoints, receipts) may; it is listed."""
    own = {
        "backends/api_journal.py": "its own journal, in SQLite",
        "backends/api_exchange.py": "an answer of a service, no file",
        "backends/api_service.py": "an answer of a service, no file",
        "backends/labels.py": "the rules of a tokenizer, written by its library",
        "backends/model_identity.py": "PEFT's configuration of an adapter",
        "backends/peft_adapters.py": "PEFT's configuration of an adapter",
        "backends/reference.py": "PEFT's configuration of an adapter",
        "backends/embedded.py": "its own receipt of unpacked weights",
        "backends/vllm_engine.py": "PEFT's configuration of an adapter",
        "evidence/calibration.py": "what it wrote itself, checked",
        "evidence/frame.py": "the card beside its own file",
        "evidence/past.py": "what it wrote itself, checked",
        "evidence/prior.py": "the card in its own file",
        "evidence/store.py": "its own pieces, checked by hash",
        "finetune/checkpoint.py": "its own state; the folder is checked by hash",
        "finetune/community.py": "its own state and the Trainer's, which may hold NaN",
        "jobs/train_community.py": "its own manifest",
        "methods/row_cache.py": "its own sealed entries",
        "methods/verbalised.py": "a model's answer, no file",
        "output_records.py": "its own notes of what it wrote, line by line",
        "readers/subpop.py": "a cell of a CSV, as pandas writes lists",
        "reproduce/crew.py": "messages between its own processes",
        "reproduce/lock.py": "its own lock",
        "reproduce/store.py": "its own record",
        "yaml_values.py": "the reader itself",
        "documents.py": "the reader itself",
    }
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(
            call in path.read_text("utf-8") for call in ("yaml.safe_load", "yaml.load", "json.load")
        )
    }
    assert found <= set(own)


def test_what_a_program_says_is_taken_as_it_stands() -> None:
    found = parse_json(
        b'{"a": NaN, "b": -Infinity, "c": "\\u0000\\ud800"}', where="x", what="x", lenient=True
    )
    assert math.isnan(found["a"])
    assert (found["b"], found["c"]) == (-math.inf, "\0\ud800")
    for bad in ("[" * 100, '{"a": 1, "a": 2}', "9" * 50, b"\xff", "{"):
        with pytest.raises(InputError):
            parse_json(bad, where="x", what="x", lenient=True)
    said = '{"a": 1, "a": {"b": 2}}'
    assert parse_json(said, where="x", what="x", pairs=True) == [("a", 1), ("a", [("b", 2)])]


def test_nobody_else_reads_yaml_or_json() -> None:
    """One reader, with limits: also for what this program, a service or a library wrote."""
    package = Path(__file__).parents[1] / "src" / "opinioncast"
    readers = {
        *(("json", n) for n in ("load", "loads", "JSONDecoder")),
        *(("yaml", n) for n in ("load", "safe_load", "load_all", "safe_load_all", "full_load")),
    }
    met = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if (node.value.id, node.attr) in readers:
                    met.add(path.relative_to(package).as_posix())
            elif isinstance(node, ast.ImportFrom) and node.module in ("json", "yaml"):
                met |= {str(path) for a in node.names if (node.module, a.name) in readers}
    assert met == {"documents.py"}
