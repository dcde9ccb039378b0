"""A community's text: what counts as a document, what is held out, how blocks are cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.backends.conftest import TOKENIZERS

from opinioncast.errors import InputError
from opinioncast.finetune.corpus import read_corpus, token_blocks


def test_three_kinds_of_corpora_say_the_same(tmp_path: Path) -> None:
    documents = ("First line\nsecond line", "Another, naïve one")
    (tmp_path / "c.txt").write_text(f"\n{documents[0]}\n \n\n{documents[1]}\n", "utf-8")
    lines = [json.dumps({"text": d, "by": "x"}) for d in (*documents, documents[0])]
    (tmp_path / "c.jsonl").write_text("\n".join(lines) + "\n\n", "utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, document in enumerate(documents):
        (folder / f"{i}.txt").write_text(document, "utf-8-sig")
    found = [read_corpus(tmp_path / name) for name in ("c.txt", "c.jsonl", "folder")]
    assert {c.documents for c in found} == {documents}
    assert [c.repeated for c in found] == [0, 1, 0]
    assert len({c.content_hash for c in found}) == 1


def test_a_text_in_another_spelling_is_not_held_out_beside_itself(tmp_path: Path) -> None:
    texts = ("We stay.", "they go", "“WE  stay”", "!?", "we  <b>stay</b>", "They go!", "...")
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts), "utf-8")
    found = read_corpus(tmp_path / "c.jsonl")
    assert found.documents == ("We stay.", "they go", "!?", "...")
    assert found.repeated == 3


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("absent.txt", None, "was not found"),
        ("c.txt", b" \n\t\n", "is empty"),
        ("c.txt", b"\xff\xfe\x00", "cannot be read"),
        ("c.pdf", b"text", "of this kind"),
        ("c.jsonl", b'{"text": "a"}\n{"text": ', "no JSON"),
        ("c.jsonl", b'{"text": "a"}\n{"body": "b"}', "has no text"),
        ("c.jsonl", b'{"text": 3}', "has no text"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, title: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=title) as caught:
        read_corpus(tmp_path / name)
    assert name in str(caught.value)


def test_a_folder_without_text_and_a_corpus_of_one_document(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("x", "utf-8")
    with pytest.raises(InputError, match="no text files"):
        read_corpus(tmp_path)
    (tmp_path / "c.txt").write_text("One paragraph\nonly", "utf-8")
    with pytest.raises(InputError, match="only one document"):
        read_corpus(tmp_path / "c.txt").split(0.1, seed=0)


def test_the_split_keeps_every_document_once(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("\n\n".join(f"text {i}" for i in range(40)), "utf-8")
    corpus = read_corpus(tmp_path / "c.txt")
    train, held = corpus.split(0.1, seed=1)
    assert len(held) == 4
    assert sorted([*train, *held]) == sorted(corpus.documents)
    assert corpus.split(0.1, seed=1) == (train, held)
    assert corpus.split(0.1, seed=2)[1] != held
    assert len(corpus.split(0.001, seed=0)[1]) == 1


def test_blocks_hold_every_token_in_order_and_open_as_texts_do() -> None:
    tokenizer = TOKENIZERS["opened and closed"]()
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    blocks = token_blocks(tokenizer, ["abc def ghi jkl mno pqr stu"], 9, seed=0)
    assert all(b[0] == begin and len(b) == 9 for b in blocks)
    bare = tokenizer("abc def ghi jkl mno pqr stu", add_special_tokens=False)["input_ids"]
    said = [token for block in blocks for token in block[1:]]
    assert said == [*bare, end][: len(said)]
    assert len(bare) + 1 - len(said) < 8  # what fills no block
    (short,) = token_blocks(tokenizer, ["a"], 64, seed=0)
    assert short == [begin, *tokenizer("a", add_special_tokens=False)["input_ids"], end]
