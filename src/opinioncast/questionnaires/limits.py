"""What a questionnaire file may be: size, what a zip unpacks to, and XML that reaches for nothing.

Every file of a questionnaire comes in here, so each limit stands once.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError

MAX_BYTES = 32 * 2**20
"""A questionnaire of 200 questions is under 1 MB; with logos and show cards some are 10."""
MAX_UNPACKED = 256 * 2**20
"""All a Word or Excel file may hold when unpacked."""
MAX_MEMBERS = 5_000

_OTHER_KINDS = {
    b"{\\rtf": "a Rich Text file (.rtf)",
    b"%pdf": "a PDF",
    b"<html": "a web page",
    b"<!doctype html": "a web page",
}
"""What files begin with that are often only named .docx or .xlsx."""
_TOO_LARGE_HINT = "remove pictures and show cards, or save only the questionnaire in a file"


def read_bytes(path: Path) -> bytes:
    """A questionnaire file's content.

    Raises:
        InputError: it is larger than :data:`MAX_BYTES` or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                "A questionnaire is too large",
                where=str(path),
                expected=f"a file of at most {MAX_BYTES // 2**20} MB",
                found=f"{size / 2**20:.0f} MB",
                hint=_TOO_LARGE_HINT,
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "A questionnaire cannot be read",
            where=str(path),
            expected="a file you may read",
            found=error,
        ) from None


def check_zip(path: Path, content: bytes, what: str, needed: str) -> None:
    """Refuse a zip that is none, damaged, or unpacks to more than a questionnaire can be.

    Args:
        what: the kind of file in words ("a Word document (.docx)").
        needed: a member that every such file has.

    Raises:
        InputError: as said.
    """

    def refused(expected: str, found: object, hint: str | None = None) -> InputError:
        return InputError(
            "A questionnaire cannot be opened",
            where=str(path),
            expected=expected,
            found=found,
            hint=hint,
        )

    again = f"open it in its program and save it again as {what}"
    for start, kind in _OTHER_KINDS.items():
        if content[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(start):
            raise refused(what, kind, again)
    if content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise refused(
            what,
            "a file of Office 97 to 2003, or one with a password",
            f"open it and save it as {what}, without a password",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise refused(f"at most {MAX_MEMBERS:,} parts", f"{len(members):,} parts")
            unpacked = sum(m.file_size for m in members)
            if unpacked > MAX_UNPACKED:
                raise refused(
                    f"a file that unpacks to at most {MAX_UNPACKED // 2**20} MB",
                    f"{len(content) / 2**20:.1f} MB that unpack to {unpacked / 2**20:,.0f} MB",
                    "it is no questionnaire as programs write them; " + _TOO_LARGE_HINT,
                )
            if needed not in archive.namelist():
                raise refused(what, _kind_of_zip(archive, needed), again)
            damaged = archive.testzip()  # reads all: sizes that lie are found here
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise refused(what, error, again) from None
    except Exception as error:  # zlib.error and other damage below zipfile
        if isinstance(error, InputError):
            raise
        raise refused(what, error, again) from None
    if damaged is not None:
        raise refused(what, f"the part {damaged} is damaged", "save it again in its program")


def _kind_of_zip(archive: zipfile.ZipFile, needed: str) -> str:
    """What a zip is that is not what was wanted."""
    names = set(archive.namelist())
    known = {
        "word/document.xml": "a Word document",
        "xl/workbook.xml": "an Excel workbook",
        "ppt/presentation.xml": "a PowerPoint presentation",
        "Index/Document.iwa": "a document of Pages, Numbers or Keynote",
        "content.xml": "an OpenDocument file (of LibreOffice)",
    }
    return next((k for name, k in known.items() if name in names), f"a zip without {needed}")


def xml_root(path: Path, content: bytes, what: str) -> tuple[Any, tuple[str, ...]]:
    """The root element of an XML file, and what was mended, in words.

    No entity is resolved, no DTD read, nothing fetched. Prefixes that no one declared (Decipher
    writes such) are let pass and named.

    Args:
        what: the kind of file in words ("a Triple-S file").

    Raises:
        InputError: no well-formed XML, or one that defines entities.
    """
    from lxml import etree

    def parser(recover: bool) -> Any:
        return etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            recover=recover,
        )

    def refused(expected: str, found: object, line: int | None, hint: str = "") -> InputError:
        return InputError(
            "An XML questionnaire cannot be read",
            where=f"{path}, line {line}" if line else str(path),
            expected=expected,
            found=found,
            hint=hint or None,
        )

    mended: tuple[str, ...] = ()
    try:
        root = etree.fromstring(content, parser(False))
    except etree.XMLSyntaxError:
        lenient = parser(True)
        try:
            root = etree.fromstring(content, lenient)
        except etree.XMLSyntaxError as error:  # nothing to recover
            raise refused(f"{what}: XML", error, None) from None
        bad = [e for e in lenient.error_log if e.domain_name != "NAMESPACE"]
        if bad or root is None:
            first = bad[0] if bad else None
            raise refused(
                f"{what}: XML that is whole and well-formed",
                first.message if first else "no XML element",
                first.line if first else None,
                "export it again; a text with < or & has to write &lt; or &amp;",
            ) from None
        prefixes = sorted(
            set(re.findall(r"prefix (\S+)", " ".join(e.message for e in lenient.error_log)))
        )
        mended = (f"prefixes that the file does not declare: {', '.join(prefixes)}",)
    except (ValueError, LookupError) as error:
        raise refused(f"{what} in a known encoding", error, None) from None
    declared = root.getroottree().docinfo.internalDTD
    entities = [e.name for e in declared.iterentities()] if declared is not None else []
    if entities:
        raise refused(
            f"{what} without entities of its own",
            f"<!ENTITY {entities[0]} ...>"
            + (f" and {len(entities) - 1} more" * (len(entities) > 1)),
            None,
            "delete the <!ENTITY ...> lines at its top; they can read other files or grow without "
            "end, and no survey program writes them",
        )
    return root, mended


def root_name(content: bytes) -> str:
    """The name of an XML file's first element in lower case, without prefix; "" where none is."""
    head = content[:20_000]
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16" if utf16 else "latin-1", errors="ignore")
    text = re.sub(r"<!--.*?-->|<\?.*?\?>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!DOCTYPE[^\[>]*(?:\[.*?\])?\s*>", "", text, flags=re.DOTALL)
    found = re.search(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]", text)
    return found[1].casefold() if found else ""
