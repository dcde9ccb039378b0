"""What the commands print, all through here: words of users are words, whatever is in them.

No markup is read in any text, control and direction marks are signs
(:func:`opinioncast.texts.visible`), a terminal of another encoding gets what it can show, and a
standard output that is closed, full or no longer read makes no run fail: the files decide the
status.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from opinioncast.texts import visible

_ROWS, _WIDTH = 24, 80
"""Of the terminal that an error must fit."""


class Screen(Console):
    """Standard output, or standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """A paragraph; line ends before and after it are empty lines, those within are spaces."""
        self.print(_paragraph(text))

    def line(self, count: str | int = 1) -> None:
        """One line that is not broken: a path can be copied. A number: of rich, empty lines."""
        if isinstance(count, int):
            super().line(count)
        else:
            self.print(_paragraph(count), soft_wrap=True)

    def heading(self, text: str, rest: str = "", *, before: str = "") -> None:
        """A paragraph with some of it bold."""
        self.print(Text.assemble(visible(before), (visible(text), "bold"), _paragraph(rest)))

    def wrote(self, files: Iterable[object]) -> None:
        """A line for each file."""
        for file in files:
            self.line(f"wrote {file}")

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Of rich: whatever is printed passes here last."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(visible(text, lines=True), style)

    def render_str(self, text: str, **how: Any) -> Text:
        """Of rich: a cell is as wide as what is shown."""
        return super().render_str(visible(text, lines=True), **how)


def _paragraph(text: str) -> str:
    inside = text.strip("\n")
    before, after = text.split(inside, 1) if inside else (text, "")
    return f"{before}{visible(inside)}{after}"


def one_screen(message: str) -> str:
    """A message of several lines, control marks visible, cut to what a terminal shows at once.

    Long lines lose their middle first: what is wrong stands at the beginning, a place at the end.
    """
    lines = visible(message, lines=True).split("\n")
    most = _WIDTH * _ROWS
    while sum(map(_rows, lines)) > _ROWS and most > _WIDTH:
        most -= _WIDTH
        lines = [_without_middle(line, most) for line in lines]
    if len(lines) > _ROWS:
        more = f"  ... {len(lines) - _ROWS + 1} more lines (--traceback shows all)"
        lines = [*lines[: _ROWS - 1], more]
    return "\n".join(lines)


def _rows(line: str) -> int:
    return max(1, -(-cell_len(line) // _WIDTH))


def _without_middle(line: str, most: int) -> str:
    """``line`` in at most ``most`` columns of a terminal."""
    if cell_len(line) <= most:
        return line
    wide = most * len(line) // cell_len(line) - 3  # of wide letters fewer fit
    return f"{line[: 2 * wide // 3]} \N{HORIZONTAL ELLIPSIS} {line[-(wide - 2 * wide // 3) :]}"


class _Forgiving:
    """A text stream that shows what its encoding has and goes quiet where it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        if self.failure is None:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            shown = text.encode(encoding, "backslashreplace").decode(encoding)
            try:
                self._stream.write(shown)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                self._quiet(error)
        return len(text)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._quiet(error)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _quiet(self, error: OSError | ValueError) -> None:
        """Let Python's own flush at the end find a place that takes everything."""
        self.failure = error
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):  # no file of the system's behind it
            pass


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Standard output and error that no command fails by, for as long as it runs.

    A full standard output is told once, on standard error; a reader that went away (``| head``) is
    not worth a word.
    """
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    out, error = (s if s is None else _Forgiving(s) for s in before)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, error)
    try:
        yield
    finally:
        for stream in (out, error):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
        failure = None if out is None else out.failure
        if failure is not None and not isinstance(failure, BrokenPipeError) and error is not None:
            error.write(
                f"opinioncast: standard output could not be written ({failure}); what was to be "
                "seen there is lost, the files are not\n"
            )
            error.flush()


def _open_closed_ones() -> None:
    """Give the numbers of closed standard streams to nobody else: what a library prints would
    land in the middle of a table."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
