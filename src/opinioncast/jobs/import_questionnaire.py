"""Importing an instrument: a file of any format -> YAML that a person edits, and its check list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.files import atomic_path, checksum
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import output_file
from opinioncast.questionnaires import Questionnaire
from opinioncast.questionnaires.check_list import CheckList
from opinioncast.questionnaires.file_format import format_of
from opinioncast.questionnaires.limits import read_bytes
from opinioncast.questionnaires.questionnaire import questionnaire
from opinioncast.questionnaires.yaml_file import written
from opinioncast.survey import GroupScheme

CHECK_LIST_ENDING = ".check.md"


@dataclass(frozen=True)
class Imported:
    """What an import gave.

    Attributes:
        questionnaire: as ``predict`` would read the file.
        check_list: what was understood and left out.
        files: the YAML file, the check list, and the manifest by which the next import knows them.
    """

    questionnaire: Questionnaire
    check_list: CheckList
    files: tuple[Path, ...]


def import_questionnaire(
    file: str | Path,
    out: str | Path,
    *,
    format_name: str = "",
    overwrite: bool = False,
    groups: GroupScheme | None = None,
) -> Imported:
    """Read an instrument and write what was understood.

    Args:
        out: the YAML file; the check list is written beside it, ending in ``.check.md``.
        format_name: of the file, where its ending and content do not tell.
        overwrite: whether ``out`` may take the place of a file (an edited one is kept beside it).
        groups: scheme that knows the groups of observed shares in the file.

    Raises:
        InputError: the file cannot be read or has no closed question, or ``out`` exists.
        StorageError: ``out`` cannot be written.
    """
    path, out = Path(file), Path(out).expanduser()
    if out.suffix.casefold() not in (".yaml", ".yml"):
        raise InputError(
            "An import is written as YAML",
            where=str(out),
            expected="a file name ending in .yaml",
            found=out.suffix or "no ending",
        )
    kind = format_of(path, format_name)
    with output_file(out, "import") as owner:
        if not overwrite and not owner.may_make(out):
            raise InputError(
                "A questionnaire of this name is there already",
                where=str(out),
                expected="a new file: what was edited in the old one would be lost",
                found="a file",
                hint="choose another name with -o, or say --overwrite",
            )
        content = read_bytes(path)
        instrument = kind.read(path, content)
        asked = questionnaire(instrument, path, content, groups)
        check_list = instrument.check_list or CheckList(kind.help)
        checks = out.with_name(out.stem + CHECK_LIST_ENDING)
        comment = f"Imported from {path.name}; {checks.name} says what was left out and why."
        with atomic_path(out) as temporary:
            temporary.write_text(written(instrument, comment), encoding="utf-8")
        with atomic_path(checks) as temporary:
            temporary.write_text(check_list.markdown(path.name), encoding="utf-8")
        record = write_manifest(
            out.parent, {"source": path.name, "sha256": checksum(path)}, [out, checks]
        )
    return Imported(asked, check_list, (out, checks, record))
