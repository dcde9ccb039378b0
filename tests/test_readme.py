"""The README keeps its word: its tree is the code's, its commands and examples work.

``python tests/test_readme.py`` writes the tree of rooms anew, and docs/tree.md with every module,
from their own first lines.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TREE = ROOT / "docs" / "tree.md"
START, END = "<!-- tree: python tests/test_readme.py -->", "<!-- end of tree -->"
TOP = {
    "tests/": "mirrors the package; test_architecture.py holds the direction of imports",
    "benchmarks/": "each takes --quick and ends with one line of JSON",
    "docs/": "guides",
    "constraints.txt": "exact versions that make installs",
    "Makefile": "demo, test, lint, bench",
    "src/opinioncast/": "the package",
}
FOLDERS = ("benchmarks", "docs")
DATA = {
    "survey/schemes": "group schemes: the paper's 22 groups, its unseen groups, all attributes",
    "recipes/curate": "one file per opinion table: GSS, ANES, ATP, SubPOP, OpinionQA, the demo's",
    "recipes/groups": "which answers put a respondent in which group, per survey",
    "recipes/finetune": "one file per training run",
    "recipes/reproduce": "one file per table or figure of the paper, with the paper's figures",
    "recipes/settings": "what those recipes run on: the embedded model, or the paper's",
    "report/templates": "the HTML page, and the document of the reproduction",
}


def first_line(file: Path) -> str:
    """What a module or page says of itself, in its first sentence's line."""
    text = file.read_text("utf-8")
    if file.suffix == ".md":
        return text.split("\n", 1)[0].lstrip("# ").strip()
    doc = ast.get_docstring(ast.parse(text)) or ""
    return doc.split("\n", 1)[0].rstrip(".")


def rooms() -> str:
    """The annotated tree of the package's rooms, and what lies beside it."""
    package = ROOT / "src" / "opinioncast"
    lines = [f"{path:<26}{note}" for path, note in TOP.items()]
    for folder in sorted(p for p in package.iterdir() if (p / "__init__.py").exists()):
        lines.append(f"  {folder.name + '/':<24}{first_line(folder / '__init__.py')}")
    return "\n".join(lines)


def tree() -> str:
    """The annotated tree of what git holds, folder by folder."""
    lines = [f"{path:<26}{note}" for path, note in TOP.items()]
    package = ROOT / "src" / "opinioncast"
    for file in sorted(package.glob("*.py")):
        if file.name not in ("__init__.py", "__main__.py"):
            lines.append(f"  {file.name:<24}{first_line(file)}")
    for folder in sorted(p for p in package.iterdir() if (p / "__init__.py").exists()):
        note = first_line(folder / "__init__.py")
        lines += ["", f"src/opinioncast/{folder.name}/ ".ljust(26) + note]
        for file in sorted(folder.glob("*.py")):
            if file.name != "__init__.py":
                lines.append(f"  {file.name:<24}{first_line(file)}")
        for inner in sorted(p for p in folder.iterdir() if (p / "__init__.py").exists()):
            lines.append(f"  {inner.name + '/':<24}{first_line(inner / '__init__.py')}")
            for file in sorted(inner.glob("*.py")):
                if file.name != "__init__.py":
                    lines.append(f"    {file.name:<22}{first_line(file)}")
        for data, what in DATA.items():
            if data.startswith(f"{folder.name}/") and (package / data).is_dir():
                lines.append(f"  {data.split('/')[1] + '/':<24}{what}")
    for name in FOLDERS:
        lines += ["", f"{name}/"]
        for file in sorted((ROOT / name).glob("*.*")):
            if file.suffix in (".py", ".md"):
                lines.append(f"  {file.name:<24}{first_line(file)}")
    return "\n".join(line.rstrip() for line in lines)


def written(text: str) -> str:
    """``text`` with the tree between its two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n```\n{rooms()}\n```\n{END}{after}"


def whole_tree() -> str:
    """The page with every module."""
    return f"# Where every module is\n\n```\n{tree()}\n```\n"


def test_the_tree_is_the_codes() -> None:
    text = README.read_text("utf-8")
    assert START in text
    assert text == written(text), "run: python tests/test_readme.py"


@pytest.mark.slow
def test_the_tree_of_every_module_is_the_codes() -> None:
    assert TREE.read_text("utf-8") == whole_tree(), "run: python tests/test_readme.py"


@pytest.mark.slow
def test_every_module_says_what_it_is() -> None:
    for file in sorted((ROOT / "src").rglob("*.py")):
        assert first_line(file), f"{file.relative_to(ROOT)} has no docstring"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("opinioncast ")]


@pytest.mark.parametrize("command", sorted({c.split()[1] for c in commands()}))
def test_commands_exist(command: str) -> None:
    from opinioncast.cli.main import COMMANDS

    assert command in COMMANDS


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^make (\w+)", README.read_text("utf-8"), re.M))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_questionnaire_and_the_group_file_can_be_read(tmp_path: Path) -> None:
    from opinioncast import load_groups, read_questionnaire

    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.S)
    questionnaire = next(b for b in blocks if "questions:" in b)
    groups = next(b for b in blocks if "attributes:" in b)
    (tmp_path / "questionnaire.yaml").write_text(questionnaire, "utf-8")
    (tmp_path / "my_groups.yaml").write_text(groups, "utf-8")
    assert len(read_questionnaire(tmp_path / "questionnaire.yaml").questions) == 2
    assert len(load_groups(tmp_path / "my_groups.yaml")) == 4


@pytest.mark.slow
def test_the_python_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["frame"].height == 22  # type: ignore[attr-defined]


def test_no_paths_of_a_machine_are_committed() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.md", "*.yaml", "*.json", "*.toml", "*.R"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"(?<![\w.])/(?:root|home)/\w", text), name


@pytest.mark.slow
def test_yaml_in_the_package_is_yaml() -> None:
    for file in (ROOT / "src").rglob("*.yaml"):
        assert yaml.safe_load(file.read_text("utf-8")), file


if __name__ == "__main__":
    TREE.touch()
    TREE.write_text(whole_tree(), "utf-8")
    README.write_text(written(README.read_text("utf-8")), "utf-8")
