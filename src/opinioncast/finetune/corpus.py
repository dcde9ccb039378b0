"""A community's text: documents from files, held-out ones apart, cut into blocks of tokens."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.survey.sameness import wording_key

FIELD = "text"


@dataclass(frozen=True)
class Corpus:
    """Documents of one community.

    Attributes:
        documents: in the order of the files, each once.
        repeated: documents left out because they were there already, in whatever spelling.
        source: file or folder they were read from.
    """

    documents: tuple[str, ...]
    repeated: int
    source: str

    @property
    def content_hash(self) -> str:
        """SHA-256 over the documents in their order."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(hashlib.sha256(document.encode()).digest())
        return digest.hexdigest()

    def split(self, held_out: float, *, seed: int) -> tuple[list[str], list[str]]:
        """Documents to train on and, drawn with the seed, a share (one at least) that is held out.

        Raises:
            InputError: there is only one document.
        """
        if len(self.documents) < 2:
            raise InputError(
                "The corpus has only one document, so none can be held out",
                where=self.source,
                expected="two documents or more: paragraphs with an empty line between them, lines "
                "of .jsonl, or files of a folder",
                found=f"{len(self.documents)}",
            )
        numbers = list(range(len(self.documents)))
        random.Random(seed).shuffle(numbers)
        count = min(max(1, round(held_out * len(numbers))), len(numbers) - 1)
        held = set(numbers[:count])
        train = [d for i, d in enumerate(self.documents) if i not in held]
        return train, [d for i, d in enumerate(self.documents) if i in held]


def read_corpus(path: Path) -> Corpus:
    """Read a ``.txt`` file (documents are separated by empty lines), a ``.jsonl`` file (field
    ``text``) or a folder of ``.txt`` files (each is a document).

    Raises:
        InputError: no such file, another kind of file, not UTF-8, a line that is no JSON or has no
            text, or no text at all.
    """
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        if not files:
            raise InputError(
                "The folder holds no text files",
                where=str(path),
                expected="files that end in .txt",
                found=sorted(f.name for f in path.iterdir())[:5] or "an empty folder",
            )
        texts = [_read(file) for file in files]
    elif not path.is_file():
        raise InputError(
            "The corpus was not found",
            where=str(path),
            expected="a .txt or .jsonl file, or a folder of .txt files",
            found="no such file",
        )
    elif path.suffix == ".txt":
        texts = _paragraphs(_read(path))
    elif path.suffix == ".jsonl":
        texts = list(_json_lines(path))
    else:
        raise InputError(
            "A corpus of this kind cannot be read",
            where=str(path),
            expected="a .txt or .jsonl file, or a folder of .txt files",
            found=path.suffix or "no file ending",
        )
    documents = [text.strip() for text in texts if text.strip()]
    if not documents:
        raise InputError(
            "The corpus is empty", where=str(path), expected="some text", found="only white space"
        )
    # by letters and digits: one text in two spellings would be trained on and held out
    different: dict[str, str] = {}
    for text in documents:
        different.setdefault(wording_key(text) or text, text)
    kept = tuple(different.values())
    return Corpus(kept, len(documents) - len(kept), str(path))


def token_blocks(
    tokenizer: Any, documents: Sequence[str], block_tokens: int, *, seed: int
) -> list[list[int]]:
    """Documents in an order drawn with the seed, an end token behind each, cut into equal blocks.

    Each block opens as the tokenizer opens a text. What is left at the end and fills no block is
    dropped, unless there would be no block at all.
    """
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    prompts = PromptTokenizer(tokenizer)
    opening = list(prompts.ids(""))
    end = tokenizer.eos_token_id
    ids: list[int] = []
    for i in order:
        ids += prompts.bare(documents[i])
        ids += [] if end is None else [end]
    step = block_tokens - len(opening)
    parts = [ids[i : i + step] for i in range(0, len(ids), step)]
    if len(parts) > 1 and len(parts[-1]) < step:
        parts = parts[:-1]
    return [opening + part for part in parts]


def _paragraphs(text: str) -> list[str]:
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            parts[-1].append(line)
        elif parts[-1]:
            parts.append([])
    return ["\n".join(part) for part in parts]


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line, where=f"{path}, line {number}", what="A line of the corpus")
        except InputError as error:
            raise InputError(
                "A line of the corpus is no JSON",
                where=f"{path}, line {number}",
                expected=f'an object with the field "{FIELD}"',
                found=error,
            ) from error
        if not isinstance(entry, dict) or not isinstance(entry.get(FIELD), str):
            raise InputError(
                "A line of the corpus has no text",
                where=f"{path}, line {number}",
                expected=f'an object with the field "{FIELD}"',
                found=line,
            )
        yield entry[FIELD]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "A text file cannot be read", where=str(path), expected="UTF-8 text", found=error
        ) from error
