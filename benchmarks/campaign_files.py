"""Files that other programs write, for `campaign.py`: instruments, survey files, CSV, YAML, tables.

Each kind starts from a small whole file of every format and damages it: bytes, one value, its
columns, its structure. What must hold of whatever is read is checked.
"""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from campaign_inputs import HOSTILE, OUT, SilentLossError, Try, damaged, survey, swapped

_QSF: Any = {
    "SurveyEntry": {"SurveyName": "Zoo", "SurveyLanguage": "EN"},
    "SurveyElements": [
        {
            "Element": "BL",
            "Payload": [
                {
                    "Type": "Default",
                    "ID": "B1",
                    "Description": "Main",
                    "BlockElements": [{"Type": "Question", "QuestionID": f"QID{i}"}],
                }
                for i in (1, 2)
            ],
        },
        *(
            {
                "Element": "SQ",
                "PrimaryAttribute": f"QID{i}",
                "Payload": {
                    "QuestionText": f"<p>Do you {verb}?</p>",
                    "DataExportTag": f"Q{i}",
                    "QuestionType": "MC",
                    "Selector": "SAVR",
                    "Choices": {"1": {"Display": "Yes"}, "2": {"Display": "No"}},
                    "ChoiceOrder": [1, 2],
                },
            }
            for i, verb in ((1, "vote"), (2, "drive"))
        ),
    ],
}
_FORSTA: Any = {
    "defaultConfirmitLanguageId": 9,
    "root": {
        "variables": [
            {
                "name": f"q{i}",
                "variableType": "singleChoice",
                "texts": [{"languageId": 9, "text": f"Is it {i}?"}],
                "options": [
                    {"code": str(c), "texts": [{"languageId": 9, "text": t}]}
                    for c, t in enumerate(("Yes", "No"), 1)
                ],
            }
            for i in (1, 2)
        ],
        "children": [],
    },
}
_SURVEYMONKEY: Any = {
    "title": "Zoo",
    "language": "en",
    "pages": [
        {
            "title": "Main",
            "position": 1,
            "questions": [
                {
                    "id": str(i),
                    "family": "single_choice",
                    "subtype": "vertical",
                    "position": i,
                    "headings": [{"heading": f"Is it {i}?"}],
                    "answers": {
                        "choices": [
                            {"id": f"{i}{c}", "position": c, "text": t, "visible": True}
                            for c, t in enumerate(("Yes", "No"), 1)
                        ]
                    },
                }
                for i in (1, 2)
            ],
        }
    ],
}
_TRIPLE_S = (
    '<?xml version="1.0"?><sss version="2.0"><survey><name>Z</name><record ident="V">'
    '<variable ident="1" type="single"><name>Q1</name><label>Is it good?</label><values>'
    '<value code="1" score="1">Yes</value><value code="2">No</value></values></variable>'
    '<variable ident="2" type="multiple"><name>Q2</name><label>Which?</label>'
    '<spread subfields="2"/><values><range from="1" to="3"/><value code="9">None</value>'
    "</values></variable></record></survey></sss>"
)
_DECIPHER = (
    '<survey alt="Zoo"><block label="b1"><radio label="q1"><title>Like it?</title>'
    '<row label="r1">Yes</row><row label="r2">No</row></radio><radio label="q2">'
    '<title>Trust?</title><row label="r1">Army</row><col label="c1">A lot</col>'
    '<col label="c2">None</col></radio></block></survey>'
)
_DDI = (
    '<codeBook xmlns="ddi:codebook:2_5"><stdyDscr><citation><titlStmt><titl>Z</titl></titlStmt>'
    '</citation></stdyDscr><dataDscr><var ID="V1" name="rent"><qstn><qstnLit>Too high?</qstnLit>'
    '</qstn><catgry><catValu>1</catValu><labl>Yes</labl><catStat type="freq">60</catStat></catgry>'
    '<catgry><catValu>2</catValu><labl>No</labl><catStat type="freq">40</catStat></catgry>'
    "</var></dataDscr></codeBook>"
)
_LSS = (
    "<document><LimeSurveyDocType>Survey</LimeSurveyDocType><questions><fields/><rows><row>"
    "<qid>1</qid><parent_qid>0</parent_qid><gid>9</gid><type>L</type><title>q1</title>"
    "<question>Like it?</question><language>en</language></row></rows></questions><answers>"
    "<fields/><rows><row><qid>1</qid><code>1</code><answer>Yes</answer><sortorder>1</sortorder>"
    "<language>en</language></row><row><qid>1</qid><code>2</code><answer>No</answer>"
    "<sortorder>2</sortorder><language>en</language></row></rows></answers></document>"
)
_TSV = (
    "class\ttype/scale\tname\trelevance\ttext\tlanguage\tother\nS\t\tlanguage\t\ten\t\t\n"
    "G\t1\tMain\t1\t\ten\t\nQ\tL\tq1\t1\tLike it?\ten\tY\nA\t0\tA1\t\tYes\ten\t\nA\t0\tA2\t\tNo"
    "\ten\t\n"
)
_TEXT = (
    "1. Do you favor or oppose a limit on rents?\n   a) Favor\n   b) Oppose\n\n2. How much do you "
    "trust each?\n   - The army\n   - The police\n   ( ) A lot  ( ) Some  ( ) Not at all\n"
)
_FORM = [["type", "name", "label"], ["select_one yn", "q1", "Like it?"], ["text", "q2", "Why?"]]
_LISTS = [["list_name", "name", "label"], ["yn", "y", "Yes"], ["yn", "n", "No"]]
_ROWS = [["id", "question", "options"], ["q1", "Like it?", "Yes|No"], ["q2", "And?", "A|B|C"]]
_ATTACKS = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">'
    '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">]>',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
)


def _book(**sheets: Sequence[Sequence[str]]) -> bytes:
    import xlsxwriter

    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return buffer.getvalue()


def _word() -> bytes:
    paragraphs = "".join(
        f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in _TEXT.splitlines() if line
    )
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    related = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    whole = f'<w:document xmlns:w="{name}"><w:body>{paragraphs}</w:body></w:document>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
        f'"{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{related}"><Relationship Id="r1" Type="{office}" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": whole,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for path, text in parts.items():
            packed.writestr(path, text)
    return buffer.getvalue()


def _repacked(chance: random.Random, content: bytes) -> bytes:
    """One member of a ZIP damaged within, the rest as it was."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    victim = chance.choice(sorted(members))
    members[victim] = _marked(chance, members[victim])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def _marked(chance: random.Random, content: bytes) -> bytes:
    """XML with an element repeated, removed or nested deep, a text made hostile, or entities."""
    text = content.decode("utf-8", "replace")
    act = chance.randrange(5)
    elements = list(re.finditer(r"<(\w[\w:]*)[^<>]*>[^<>]*</\1>", text))
    if act == 0 or not elements:
        return damaged(chance, content)
    if act == 1:
        root = text.find("<", text.find("?>") + 1 if text.startswith("<?xml") else 0)
        return (text[:root] + chance.choice(_ATTACKS) + text[root:]).encode()
    found = chance.choice(elements)
    if act == 2:
        piece = found[0] * chance.choice((0, 2, 2000))
    elif act == 3:
        deep = chance.choice((10, 300, 50_000))
        piece = f"<{found[1]}>" * deep + f"</{found[1]}>" * deep
    else:
        odd = chance.choice(HOSTILE).replace("&", "&amp;").replace("<", "&lt;")
        piece = re.sub(r">[^<>]*<", lambda _: f">{odd}<", found[0])
    return (text[: found.start()] + piece + text[found.end() :]).encode("utf-8", "surrogatepass")


def instrument(chance: random.Random, folder: Path) -> Try:
    """A questionnaire of another program, damaged: refused, or imported and read again."""
    name = chance.choice(
        (
            *("qsf", "forsta.json", "monkey.json", "sss", "decipher.xml", "ddi.xml", "lss", "tsv"),
            *("txt", "form.xlsx", "rows.xlsx", "docx"),
        )
    )
    in_json = {"qsf": _QSF, "forsta.json": _FORSTA, "monkey.json": _SURVEYMONKEY}
    in_xml = {"sss": _TRIPLE_S, "decipher.xml": _DECIPHER, "ddi.xml": _DDI, "lss": _LSS}
    act = chance.randrange(4)
    if name in in_json:
        content = in_json[name]
        content = swapped(chance, content) if act else content
        raw = json.dumps(content).encode("utf-8", "surrogatepass")
        raw = damaged(chance, raw) if act == 3 else raw
    elif name in in_xml:
        raw = _marked(chance, in_xml[name].encode()) if act else in_xml[name].encode()
    elif name.endswith(("xlsx", "docx")):
        whole = _word()
        if name.startswith("form"):
            whole = _book(survey=_FORM, choices=_LISTS)
        elif name.startswith("rows"):
            cells = [
                [chance.choice(HOSTILE) if chance.random() < 0.2 else c for c in r] for r in _ROWS
            ]
            whole = _book(Sheet1=cells)
        raw = (_repacked if act > 1 else damaged)(chance, whole) if act else whole
    else:
        text = _TSV if name == "tsv" else _TEXT
        lines = text.splitlines(keepends=True)
        if act == 1:
            lines[chance.randrange(len(lines))] = chance.choice(HOSTILE) + "\n"
        raw = "".join(lines).encode("utf-8", "surrogatepass")
        raw = damaged(chance, raw) if act > 1 else raw
    path = folder / (f"i.{name}" if "." not in name else name)
    path.write_bytes(raw)

    def check(said: str) -> None:
        from opinioncast.questionnaires import read_questionnaire
        from opinioncast.survey import load_groups

        again = read_questionnaire(folder / OUT / "asked.yaml", load_groups("total"))
        if not again.questions:
            raise SilentLossError("no question")

    arguments = ("import", path.name, "-o", f"{OUT}/asked.yaml")
    return Try("instruments", folder, arguments, check)


_DOCUMENTS = {
    "q.yaml": ("predict", "q.yaml", "--method", "uniform", "-g", "total", "--write", "csv"),
    "g.yaml": ("predict", "ok.yaml", "--method", "uniform", "-g", "g.yaml", "--write", "csv"),
    "recipe.yaml": ("curate", "recipe.yaml"),
    "book.yaml": ("curate", "recipe.yaml"),
    "train.yaml": ("finetune", "train.yaml"),
    "known.yaml": ("update", "p.parquet", "--known", "known.yaml"),
}


def _odd_yaml(chance: random.Random) -> str:
    """A value, or lines, that YAML knows and no questionnaire should hold."""
    return chance.choice(
        (
            "[" * (depth := chance.choice((20, 200, 50_000))) + "]" * depth,
            "{a: " * (depth := chance.choice((20, 200, 20_000))) + "1" + "}" * depth,
            "&a [*a]",
            "[&a [x,x,x,x], &b [*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b], [*c,*c,*c,*c,*c]]",
            "!!python/object/apply:os.system ['touch pwned']",
            "!!binary AAAA",
            "!!set {a, b}",
            "!!omap [a: 1]",
            "!!timestamp 2020-01-01",
            "!unknown x",
            "{<<: {id: x}, a: b}",
            "9" * chance.choice((20, 5000)),
            "0o777",
            "0x" + "f" * 300,
            "1_000",
            "12:30:45",
            "-.inf",
            ".nan",
            "~",
            "no",
            "2020-02-30",
            '"\\ud800"',
            '"\\x00"',
            "'a\n\n b'",
            "|\n    folded",
            "{a: 1, a: 2}",
            "? [x]\n: y",
            "%TAG ! x",
            "---\na: b",
            "\t- tab",
        )
    )


def document(chance: random.Random, folder: Path) -> Try:
    """YAML that is odd in itself, in each place that reads YAML."""
    survey(chance, folder)
    fine = "- {id: q, question: Is it good?, options: [Yes, No]}\n"
    (folder / "ok.yaml").write_text(fine, "utf-8")
    name = chance.choice(sorted(_DOCUMENTS))
    group = "attributes: {SEX: {label: Sex, groups: [Male, Female]}}\ngroups: {SEX: all}\n"
    train = "name: a\nmodel: m\ntable: t.parquet\nvalidation: {fraction: 0.2}\n"
    known = (
        "- {id: q, question: Is it good?, options: [Yes, No], known: {TOTAL: {Yes: 60, No: 40}}}\n"
    )
    starts = {"q.yaml": fine, "g.yaml": group, "train.yaml": train, "known.yaml": known}
    text = starts.get(name) or (folder / name).read_text("utf-8")
    if name == "known.yaml":
        from opinioncast import Question, predict

        asked = Question("q", "Is it good?", ("Yes", "No"))
        predict([asked], "total", method="uniform").table.write(folder / "p.parquet")
    odd = _odd_yaml(chance)
    values = list(re.finditer(r"(?<=: )[^\[\]{},\n]+", text))
    act = chance.randrange(4)
    if act == 0 and values:
        found = chance.choice(values)
        text = text[: found.start()] + odd + text[found.end() :]
    elif act == 1:
        text += odd + "\n"
    elif act == 2:
        text = odd + "\n" + text
    encoding = chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"))
    text = text.replace("\n", "\r\n") if chance.random() < 0.2 else text
    (folder / name).write_bytes(text.encode(encoding, "replace"))

    def check(said: str) -> None:
        assert not (folder / "pwned").exists(), "a tag was obeyed"
        if act == 3 and encoding.startswith("utf-8") and name == "q.yaml":
            from opinioncast.survey import PredictionTable

            table = PredictionTable.read(folder / OUT / "predictions.parquet")
            assert table.frame["options"].to_list() == [["Yes", "No"]]

    more = ("--write", "parquet") if _DOCUMENTS[name][0] == "predict" else ()
    return Try("documents", folder, (*_DOCUMENTS[name], *more, "-o", OUT), check)


def delimited(chance: random.Random, folder: Path) -> Try:
    """CSV microdata as other programs write it: what is counted is what is there, or it is said."""
    columns = survey(chance, folder)
    rows = [list(map(str, row)) for row in zip(*columns.values(), strict=True)]
    head = list(columns)
    act = chance.randrange(9)
    mark = chance.choice((",", ",", ";", "\t", "|"))
    encoding = chance.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252"))
    if act == 1:
        rows[chance.randrange(len(rows))].append("extra")
    elif act == 2:
        rows[chance.randrange(len(rows))].pop()
    elif act == 3:
        rows[chance.randrange(len(rows))][1] = '"'
    elif act == 4:
        head[1] = head[0]
    elif act == 5:
        rows[chance.randrange(len(rows))][1] = chance.choice(
            (*HOSTILE, "3.5", "-1", "1e400", "nan")
        )
    elif act == 6:
        rows[chance.randrange(len(rows))][2] = chance.choice(("", "-1", "nan", "inf", "x", "1,5"))
    elif act == 7:
        rows.insert(chance.randrange(len(rows)), [])
    elif act == 8:
        head = [chance.choice(HOSTILE) or "x" for _ in head]
    ending = chance.choice(("\n", "\r\n", "\r"))
    text = ending.join(mark.join(row) for row in (head, *rows)) + chance.choice(("", ending))
    (folder / "s.csv").write_bytes(text.encode(encoding, "replace"))

    def check(said: str) -> None:
        frame = pl.read_parquet(folder / OUT / "opinions.parquet")
        assert ((frame["distribution"].list.sum() - 1).abs() < 1e-9).all()
        if act == 0:
            everyone = frame.filter(pl.col("group") == "All adults")
            wanted = np.bincount(columns["q1"], columns["w"], 4)[1:] / columns["w"].sum()
            (found,) = everyone["distribution"].to_list()
            assert np.allclose(found, wanted, atol=1e-9), (found, wanted)
            assert everyone["n"].to_list() == [len(rows)], everyone["n"]

    if chance.random() < 0.3:
        return Try("microdata", folder, ("inspect", "s.csv", "-o", OUT))
    return Try("microdata", folder, ("curate", "recipe.yaml", "-o", OUT), check)


def system_file(chance: random.Random, folder: Path) -> Try:
    """SPSS, Stata and portable files with bytes changed, and labels that are odd."""
    import pyreadstat

    made = np.random.default_rng(chance.randrange(2**32))
    frame = pl.DataFrame(
        {
            "q1": made.integers(1, 4, 60).astype(float),
            "w": made.uniform(0.5, 2, 60),
            "t": [chance.choice(("a", "b", "\u00e9")) for _ in range(60)],
        }
    )
    odd = chance.choice(HOSTILE).replace("\x00", "").replace("\ud800", "")[:20] or "x"
    labels = {"q1": {1.0: "Yes", 2.0: odd, 3.0: "Both"}}
    name = chance.choice(("s.sav", "s.zsav", "s.por", "s.dta"))
    path = folder / name
    told = {"column_labels": ["Is it good?", "weight", odd]}
    if name == "s.dta":
        whole = {k: {int(c): t for c, t in v.items()} for k, v in labels.items()}
        pyreadstat.write_dta(frame, str(path), variable_value_labels=whole, **told)
    elif name == "s.por":
        pyreadstat.write_por(frame.drop("t"), str(path))
    else:
        pyreadstat.write_sav(
            frame, str(path), compress=name == "s.zsav", variable_value_labels=labels, **told
        )
    if chance.random() < 0.8:
        path.write_bytes(damaged(chance, path.read_bytes()))
    return Try("microdata", folder, ("inspect", name, "-o", OUT))


_READERS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "p.parquet", "o.parquet"),
    "banner": ("banner", "o.parquet", "--write", "csv"),
    "plan": ("plan", "p.parquet", "--sample", "900"),
    "synthesize": ("synthesize", "p.parquet", "-n", "50", "--write", "csv"),
    "update": ("update", "p.parquet", "--known", "known.yaml"),
    "convert": ("convert", "o.parquet"),
    "split": ("split", "o.parquet", "--part", "a:0.5", "--part", "b:0.5", "--no-meaning"),
}


def frame(chance: random.Random, folder: Path) -> Try:
    """Tables whose columns have other types, numbers that cannot be, rows twice or none."""
    from opinioncast import Question, predict
    from opinioncast.survey import OpinionTable, load_groups, opinion_row

    asked = [Question(f"q{i}", f"Is it {i}?", ("Yes", "No"), (1, 2)) for i in range(3)]
    groups = load_groups("total", "SEX=Male", "SEX=Female")
    rows = [opinion_row(q, g, [0.4, 0.6], n=200) for q in asked for g in groups]
    OpinionTable.from_rows(rows, {"redistribution": "group-level"}).write(folder / "o.parquet")
    predict(asked, groups, method="uniform").table.write(folder / "p.parquet")
    known = (
        "- {id: q0, question: Is it 0?, options: [Yes, No], known: {TOTAL: {Yes: 60, No: 40}}}\n"
    )
    (folder / "known.yaml").write_text(known, "utf-8")
    victim = folder / chance.choice(("o.parquet", "p.parquet"))
    table = pl.read_parquet(victim)
    column = chance.choice(table.columns)
    act = chance.randrange(6)
    if act == 0:
        kind = chance.choice(
            (pl.String, pl.Int8, pl.Boolean, pl.Float32, pl.Categorical, pl.Binary, pl.Null)
        )
        try:
            table = table.with_columns(pl.col(column).cast(kind, strict=False))
        except pl.exceptions.PolarsError:
            table = table.with_columns(pl.lit(None).alias(column))
    elif act == 1:
        table = table.drop(column)
    elif act == 2:
        table = pl.concat([table, table.head(chance.choice((1, 9)))])
    elif act == 3:
        table = table.head(0)
    elif act == 4:
        odd: Any = chance.choice(
            ([0.5, 0.6], [float("nan"), 1.0], [-0.5, 1.5], [1.0], [], [None, 1.0], [1e-320, 1.0])
        )
        lists = pl.Series("distribution", [odd] * table.height, dtype=pl.List(pl.Float64))
        table = table.with_columns(lists)
    else:
        odd = chance.choice((-1.0, float("nan"), float("inf"), 1e300, 0.0, None))
        numbers = [c for c, t in table.schema.items() if t.is_numeric()]
        if numbers:
            table = table.with_columns(pl.lit(odd).alias(chance.choice(numbers)))
    table.write_parquet(victim)
    name = chance.choice(sorted(_READERS))
    place = f"{OUT}/t.jsonl" if name == "convert" else OUT
    arguments = (*_READERS[name], place) if name == "convert" else (*_READERS[name], "-o", place)

    def check(said: str) -> None:
        for path in (folder / OUT).rglob("*.parquet"):
            found = pl.read_parquet(path)
            if "distribution" in found.columns:
                sums = found["distribution"].list.sum()
                assert ((sums - 1).abs() < 1e-6).all(), sums

    return Try("tables", folder, arguments, check)


FILE_KINDS: tuple[Callable[[random.Random, Path], Try], ...] = (
    *(instrument, document, delimited, system_file, frame),
)
