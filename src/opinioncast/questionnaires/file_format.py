"""Which format a file is in: by its ending and, where several share one, by its content."""

from __future__ import annotations

from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import InstrumentFormat, instrument_formats
from opinioncast.questionnaires.limits import read_bytes


def format_of(path: Path, name: str = "") -> InstrumentFormat:
    """The format of a file.

    Args:
        name: of the format, to say it instead.

    Raises:
        InputError: no such file or format, an ending that is not known, or a content that none of
            the formats with that ending has.
    """
    formats = instrument_formats()
    endings = list(dict.fromkeys(e for kind in formats for e in kind.endings))
    if not path.is_file():
        raise InputError(
            "Questionnaire not found",
            where=str(path),
            expected=f"a file ending in {', '.join(endings)}",
            found="a folder" if path.is_dir() else "no such file",
        )
    if name:
        named = [kind for kind in formats if kind.name == name]
        if not named:
            raise InputError(
                "There is no such format of questionnaires",
                expected=", ".join(kind.name for kind in formats),
                found=name,
            )
        return named[0]
    ending = path.suffix.casefold()
    fitting = [kind for kind in formats if ending in kind.endings]
    if not fitting:
        raise InputError(
            "A questionnaire of this kind cannot be read",
            where=str(path),
            expected=", ".join(endings),
            found=path.suffix or "no file ending",
            hint="save it as CSV (UTF-8) or XLSX",
        )
    if len(fitting) == 1:
        return fitting[0]
    content = read_bytes(path)
    for kind in fitting:
        if kind.recognises is not None and kind.recognises(content):
            return kind
    rest = [kind for kind in fitting if kind.recognises is None]
    if rest:
        return rest[0]
    raise InputError(
        f"What this {ending} file holds is no questionnaire that can be read",
        where=str(path),
        expected="; ".join(kind.help.rstrip(".") for kind in fitting),
        found=" ".join(content[:150].decode("utf-8", errors="replace").split()) or "an empty file",
        hint="export it again in one of these formats",
    )
