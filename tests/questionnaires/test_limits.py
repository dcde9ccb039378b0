"""Files that are too large, damaged, or reach for others: refused in words."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

import pytest

from opinioncast.errors import InputError
from opinioncast.questionnaires import limits, read_questionnaire
from opinioncast.questionnaires.file_format import format_of

PATH = Path("made_up.xml")


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


def refusal(content: bytes, needed: str = "word") -> str:
    with pytest.raises(InputError) as refused:
        limits.check_zip(Path("made_up.docx"), content, "a Word document (.docx)", needed)
    assert "made_up.docx" in str(refused.value)
    return str(refused.value)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UNPACKED", 2**20)
    assert "unpack to 8 MB" in refusal(archive(word=bytes(2**23)))


def test_a_zip_whose_sizes_lie_is_damaged() -> None:
    honest = archive(word=b"x" * 50_000)
    lying = honest.replace((50_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    assert "damaged" in refusal(lying) or "save it again" in refusal(lying)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip", "not a zip file"),
        (b"", "not a zip file"),
        (b"{\\rtf1 Q1. Own?}", "a Rich Text file"),
        (b"%PDF-1.7", "a PDF"),
        (b"\n<!DOCTYPE html><p>", "a web page"),
        (archive(**{"content.xml": b"1"}), "an OpenDocument file"),
        (archive(**{"xl/workbook.xml": b"1"}), "an Excel workbook"),
        (archive(other=b"1"), "a zip without word"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 100, "Office 97 to 2003"),
        (archive(word=b"x" * 1000)[:-40], "zip file"),
    ],
    ids=["text", "empty", "rtf", "pdf", "html", "odt", "xlsx", "another zip", "Office 97", "cut"],
)
def test_no_word_file(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_too_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MEMBERS", 1)
    assert "2 parts" in refusal(archive(word=b"", more=b""))


@pytest.mark.parametrize("ending", [".docx", ".yaml", ".csv", ".xml"])
def test_a_large_file_is_refused_unread(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 2**20)
    file = tmp_path / f"large{ending}"
    with file.open("wb") as handle:
        handle.truncate(50 * 2**20)
    with pytest.raises(InputError, match="too large") as refused:
        read_questionnaire(file)
    assert "50 MB" in str(refused.value)
    assert "remove pictures" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><survey>&x;</survey>',
            "<!ENTITY x ...>",
        ),
        (
            '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><survey>&b;</survey>',
            "<!ENTITY a ...> and 1 more",
        ),
        ("<survey><radio></survey>", "line 1"),
        ("<survey>a & b</survey>", "line 1"),
        ("<survey>&nbsp;</survey>", "nbsp"),
        ("", "XML"),
        ("<a>" * 300 + "</a>" * 300, "whole and well-formed"),
        ('<?xml version="1.0" encoding="UTF-42"?><survey/>', "UTF-42"),
    ],
)
def test_xml_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        limits.xml_root(PATH, text.encode(), "a survey")
    assert said in str(refused.value)


def test_a_dtd_elsewhere_is_not_fetched() -> None:
    text = '<!DOCTYPE sss PUBLIC "x" "http://127.0.0.1:9/no.dtd"><sss><a>b</a></sss>'
    root, mended = limits.xml_root(PATH, text.encode(), "a survey")
    assert (root.tag, mended) == ("sss", ())


def test_prefixes_that_no_one_declared_are_named() -> None:
    text = '<survey ss:x="1"><html:p>a</html:p></survey>'
    root, mended = limits.xml_root(PATH, text.encode(), "a survey")
    assert root.tag == "survey"
    assert mended == ("prefixes that the file does not declare: html, ss",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('<?xml?>\n<!-- <no/> --><!DOCTYPE sss [<!ENTITY a "<x>">]>\n<sss v="1">', "sss"),
        ("<ddi:codeBook xmlns:ddi='x'>", "codebook"),
        ("<survey/>", "survey"),
        ("no xml", ""),
    ],
)  # fmt: skip
def test_the_first_elements_name(text: str, name: str) -> None:
    assert limits.root_name(text.encode()) == name
    assert limits.root_name(text.encode("utf-16")) == name


def test_a_format_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    assert format_of(file, "qualtrics").name == "qualtrics"
    with pytest.raises(InputError, match="no such format"):
        format_of(file, "quantum")


NUMBERS = {
    "zoo.sss": '<sss version="2.0"><survey><record ident="V"><variable ident="1" type="single">'
    '<name>Q1</name><label>Good?</label><values><range from="0" to="{}"/><value code="{}">Yes'
    '</value><value code="2">{}</value></values></variable></record></survey></sss>',
    "zoo.xml": '<survey><number label="q1" uses="slidernumber.1" verify="range(0,{})"><title>Warm, '
    'from 0 to {}?</title></number><radio label="q2"><title>Is it?</title><row label="r1">{}</row>'
    '<row label="r2">1</row><row label="r3">2</row></radio></survey>',
    "zoo.json": '{{"title": "Z", "pages": [{{"questions": [{{"id": "1", "family": "open_ended", '
    '"subtype": "numerical", "headings": [{{"heading": "Warm?"}}], "display_options": '
    '{{"display_type": "slider"}}, "validation": {{"min": "0", "max": "{}"}}}}]}}]}}',
    "zoo.txt": "1. Is it?\n  {}) Yes\n  2) No\n\n2. Rate it from 0 to {}\n  0 {}\n  10 hot\n",
}


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 15, "1e400", "-1", "\u00b2", "\u0663"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_any_length_are_no_fault(tmp_path: Path, name: str, digits: str) -> None:
    (tmp_path / name).write_text(NUMBERS[name].format(*[digits] * 3), "utf-8")
    with contextlib.suppress(InputError):
        read_questionnaire(tmp_path / name)
