"""What the commands print: words are words, and no terminal makes a run fail."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from opinioncast.cli import screen
from opinioncast.cli.screen import Screen, forgiving_streams, one_screen

COMMANDS = Path(screen.__file__).parent
PROGRAM = (sys.executable, "-m", "opinioncast")
HOSTILE = {
    "markup": "[not sure] [/b] [bold]x[/bold] :smile:",
    "escape": "\x1b]52;c;Y2FsYw==\x07\x1b[2J",
    "bidi": "abc\u202edef\u2066",
    "c1": "\x9b31m",
    "line": "one\ntwo\rthree",
}
QUESTIONS = """\
- id: q
  question: "Which [red]?[/b]"
  options: ["[not sure]", "[/b]", "a\\u001b]52;c;YQ==\\u0007b", "fine \\u00a3 \\u2019 \\u202e"]
"""


def printed(say: str, *texts: str) -> str:
    shown = Screen()
    shown.file = io.StringIO()
    getattr(shown, say)(*texts)
    return str(shown.file.getvalue())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("say", ["say", "line", "heading"])
def test_words_are_shown_and_not_obeyed(say: str, text: str) -> None:
    shown = printed(say, text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert shown.count("\n") == 1
    if "[" in text:
        assert text.replace("\x1b", r"\u001b").replace("\x07", r"\u0007") in shown


def test_cells_and_ready_made_texts_too() -> None:
    grid = Table(box=None)
    grid.add_column("[/b]")
    for text in HOSTILE.values():
        grid.add_row(text)
        grid.add_row(Text(text))
    shown = Screen(stderr=False)
    shown.file = out = io.StringIO()
    shown.print(grid)
    said = out.getvalue()
    assert said.count("[not sure] [/b] [bold]x[/bold] :smile:") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)


def test_empty_lines_around_a_paragraph_stay() -> None:
    assert printed("say", "\na\n") == "\na\n\n"
    assert printed("heading", "a", " b\n") == "a b\n\n"


def test_no_command_prints_in_another_way() -> None:
    for path in COMMANDS.glob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "screen.py":
            assert "rich.console import Console" not in text, path.name
            assert not re.search(r"\[/?bold\]", text), path.name


@given(st.lists(st.text(max_size=900), min_size=1, max_size=60))
def test_an_error_fits_a_screen(lines: list[str]) -> None:
    shown = one_screen("\n".join(lines)).split("\n")
    assert sum(max(1, -(-cell_len(line) // 80)) for line in shown) <= 25
    assert shown[0][:20] == one_screen(lines[0][:20]).split("\n")[0][:20]


def test_a_short_error_is_whole() -> None:
    message = "opinioncast: No\n  where:      a/b.yaml, line 3\n  found:      x"
    assert one_screen(message) == message


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_streams_of_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    with forgiving_streams():
        print("£ ’ 日本 \udcff")
    text = raw.getvalue().decode(encoding)
    assert (
        text
        == {
            "ascii": "\\xa3 \\u2019 \\u65e5\\u672c \\udcff\n",
            "cp1252": "£ ’ \\u65e5\\u672c \\udcff\n",
            "utf-8": "£ ’ 日本 \\udcff\n",
        }[encoding]
    )


def run(
    folder: Path, *arguments: str, encoding: str = "utf-8", **how: object
) -> subprocess.CompletedProcess[bytes]:
    settings = {"PYTHONIOENCODING": encoding, "OPINIONCAST_CACHE": str(folder / "cache")}
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        **{"capture_output": True, **how},  # type: ignore[call-overload]
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ascii", "cp1252", "full", "closed", "pipe"])
def test_files_decide_the_status(tmp_path: Path, kind: str) -> None:
    (tmp_path / "q.yaml").write_text(QUESTIONS, "utf-8")
    asked = (
        *("predict", "q.yaml", "--method", "uniform", "-g", "total", "-o", "o"),
        *("--write", "parquet", "--write", "csv"),
    )
    if kind == "full":
        with Path("/dev/full").open("wb") as full:
            done = run(tmp_path, *asked, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert b"standard output could not be written" in done.stderr
    elif kind == "closed":
        shell = " ".join((*PROGRAM, *asked, ">&-"))
        done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, capture_output=True)
    elif kind == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
        done = run(tmp_path, *asked, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert done.stderr == b""
    else:
        done = run(tmp_path, *asked, encoding=kind)
        assert b"\x1b" not in done.stdout
        assert b"[not sure]" in done.stdout
        assert b"[/b]" in done.stdout
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "manifest.json").is_file()
    assert (tmp_path / "o" / "predictions.parquet").is_file()


@pytest.mark.slow
def test_an_error_shows_what_is_in_a_name(tmp_path: Path) -> None:
    done = run(tmp_path, "predict", "q\x1b[2J\u202e.yaml", "--method", "uniform")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert rb"\u001b[2J\u202e.yaml" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["\x1b]52;c;eA==\x07"],
        ["predict", "q.yaml", "--no-such\x1b[2J\u202e"],
        ["predict", "q.yaml", "--method", "\x1b[31mred"],
        ["predict", "q.yaml", "--batch\x1b", "x"],
        ["evaluate", "p", "o", "\x9b31m" + "x" * 9000],
        ["bounds", "r", "--replicates", "[bold]\x1b"],
        ["predict", "q\udcff.yaml"],
    ],
)
def test_a_wrong_command_line_is_quoted_as_text(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    from opinioncast.cli.main import main

    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    said = capfd.readouterr().err
    assert said
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", said)
    assert len(said) < 24 * 80 + 400
