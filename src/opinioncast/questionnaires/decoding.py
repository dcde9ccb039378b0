"""Text of a questionnaire file: UTF-8, or what Excel writes."""

from __future__ import annotations

from pathlib import Path

from opinioncast.errors import InputError


def decoded(path: Path, content: bytes) -> str:
    """Decode UTF-8 (with or without a byte order mark) or Excel's UTF-16."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        bad = content[max(error.start - 20, 0) : error.start + 20]
        raise InputError(
            "A questionnaire is in the wrong encoding",
            where=f"{path}, line {line}",
            expected="UTF-8",
            found=f"byte 0x{content[error.start]:02x} in {bad.decode('latin-1')!r}",
            hint='save it as "CSV UTF-8" (Excel) or convert it: '
            f"iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ) from None
