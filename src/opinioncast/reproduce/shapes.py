"""What shapes the numbers of each step: whatever is here and changes, the step is done anew.

A step's key is a hash of its shape. Names of things (a model's label, a table's title) are not in
it; what they stand for is, by content: the rows of tables and their order, weights, wordings of
groups, the versions of the packages that compute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opinioncast.backends.catalogue import CATALOGUE, EMBEDDED_SENTENCES
from opinioncast.curate.asked_groups import OWN
from opinioncast.curate.group_recipe import builtin_recipes, load_group_recipe
from opinioncast.curate.recipe import CurationRecipe
from opinioncast.curate.sources import find_file
from opinioncast.finetune.recipe import FinetuneRecipe, SplitValidation
from opinioncast.methods.declaration import MethodKind, method_kind
from opinioncast.models import SHIPPED, SHIPPED_ADAPTER, SHIPPED_NETWORK, SHIPPED_TRAINING
from opinioncast.readers.spss_stata import catalog_of
from opinioncast.reproduce.models import adapter_identity, identity
from opinioncast.reproduce.prompting import used_prompting
from opinioncast.reproduce.recipe import MethodRow
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.store import file_hash
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    Subpopulation,
    load_groups,
    standard_attributes,
)
from opinioncast.survey.tables import KEY

TRAINING_PACKAGES = ("torch", "transformers", "peft", "accelerate")
_ANSWERING_PACKAGES = ("torch", "transformers", "peft")
_SENTENCE_PACKAGES = ("torch", "transformers", "sentence-transformers")
INPUT_USE = "questions, with all their waves; the cells that all four ways have"
"""How input use is measured: its step holds intervals, and those of an earlier way must not be
taken for these."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Package -> version installed; those that are not are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def row_order(table: OpinionTable) -> str:
    """Hash of the order of a table's rows, which its content hash leaves open."""
    keys = table.frame.select(KEY).rows()
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]


def wording(groups: Iterable[Subpopulation] | GroupScheme) -> str:
    """Hash of how groups are said to a model: every word of their attributes.

    Args:
        groups: a scheme, with the words of its own files; or groups in the standard words.
    """
    known = groups.attributes if isinstance(groups, GroupScheme) else standard_attributes()
    listed = list(groups)
    names = sorted({name for g in listed for name, _ in g.conditions})
    said = [asdict(known[name]) for name in names if name in known]
    text = json.dumps([said, [str(g) for g in listed]], default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def table_shape(table: OpinionTable) -> dict[str, str]:
    """A table: its content and the order of its rows."""
    return {"content": table.content_hash, "order": row_order(table)}


def training_shape(
    recipe: FinetuneRecipe,
    groups: tuple[str, ...] | None,
    table: OpinionTable,
    held: OpinionTable | None,
    model: str,
) -> dict[str, Any]:
    """A training.

    Args:
        groups: the recipe's that the table has; None: all of the table's.
        model: as the setting names it.
    """
    shape = {
        "recipe": recipe.model_dump(mode="json", exclude={"name"}),
        "groups": groups,
        "wording": wording(load_groups(*groups) if groups else table.subpopulations()),
        "table": table_shape(table),
        "validation": None if held is None else table_shape(held),
        "model": identity(model),
        "versions": versions(TRAINING_PACKAGES),
    }
    compares = isinstance(recipe.validation, SplitValidation) or recipe.same_questions == "remove"
    if compares:  # which questions mean the same is the sentence model's word
        shape["sentence_model"] = _embedded_sentences()
    return shape


def method_shape(
    setting: Setting,
    row: MethodRow,
    model: str,
    *,
    adapter: Path | None,
    observed: OpinionTable,
    train: OpinionTable | None,
    modules: Iterable[Path | str],
) -> dict[str, Any]:
    """A method's answers to a table.

    Args:
        model: the model asked, as the setting's key.
        train: what the method takes its examples from, where the row names it.
        modules: folders of community models, or names of models that ship.
    """
    kind = method_kind(str(row.method))
    shape: dict[str, Any] = {
        "table": table_shape(observed),
        "wording": wording(observed.subpopulations()),
        "method": row.method,
        "adapter": None if adapter is None else adapter_identity(adapter),
        "train": None if train is None else table_shape(train),
        "modules": [
            CATALOGUE[str(m)].sha256 if str(m) in CATALOGUE else file_hash(Path(m)) for m in modules
        ],
        "ships": shipped_parts(kind, row),
    }
    packages: list[str] = []
    if kind.language_model:
        named = setting.models[model]
        shape |= {
            "model": identity(named.model),
            "backend": named.backend,
            "prompting": used_prompting(setting, row, model, adapter).record(),
        }
        packages += [*_ANSWERING_PACKAGES, *(["vllm"] if named.backend == "vllm" else [])]
    if "sentence_model" in kind.options:
        packages += _SENTENCE_PACKAGES
    return shape | {"versions": versions(dict.fromkeys(packages))}


def shipped_parts(kind: MethodKind, row: MethodRow) -> dict[str, str]:
    """What ships with the package and takes part in a method's answers, by content."""
    parts = {}
    if "sentence_model" in kind.options:
        parts["sentence model"] = str(_embedded_sentences())
    if "network" in kind.options:
        parts["network"] = file_hash(SHIPPED_NETWORK)
    if "train" in kind.options and row.train is None:
        parts["training table"] = file_hash(SHIPPED_TRAINING)
    if kind.own_adapter == SHIPPED and row.training is None:
        parts["adapter"] = adapter_identity(SHIPPED_ADAPTER)
    return parts


def curation_shape(
    recipe: CurationRecipe, folders: list[Path], apart: Mapping[str, OpinionTable]
) -> dict[str, Any]:
    """A curation: the recipe, every file it reads, how it forms groups, what it keeps apart."""
    names = [tuple(n) for w in recipe.waves for n in w.files]
    if recipe.overlap is not None:
        names += [(n,) for n in recipe.overlap.against if n not in apart]
    found = {" ".join(n): find_file(n, folders) for n in dict.fromkeys(names)}
    read = {n: p for n, p in found.items() if p is not None}
    catalogs = {f"catalog of {n}": catalog_of(p) for n, p in read.items() if p.is_file()}
    read |= {n: p for n, p in catalogs.items() if p is not None}
    shape: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "files": {n: file_hash(p) for n, p in read.items()},
        "groups": {w.groups: _group_recipe(w.groups, folders) for w in recipe.waves},
        "asked": {n: _asked_groups(n, folders) for n in recipe.groups if _is_scheme(n)},
        "apart": {name: table_shape(table) for name, table in apart.items()},
    }
    if recipe.overlap is not None:
        own = recipe.overlap.model
        shape["sentence_model"] = _embedded_sentences() if own is None else identity(own)
        shape["versions"] = versions(_SENTENCE_PACKAGES)
    return shape


def _is_scheme(name: str) -> bool:
    """Whether a curation's ``groups`` names a scheme or a file of groups: an expression says all
    itself, and the groups' own are the group recipe's."""
    return "=" not in name and name.casefold() != OWN


def _asked_groups(name: str, folders: list[Path]) -> str:
    """Hash of the groups of a scheme, or of a file wherever it lies."""
    return wording(load_groups(find_file(name, folders) or name))


def _group_recipe(name: str, folders: list[Path]) -> str:
    """Hash of how groups are formed, whatever file says it."""
    path = None if name in builtin_recipes() else find_file((name,), folders)
    return hashlib.sha256(repr(load_group_recipe(path or name)).encode()).hexdigest()[:16]


def _embedded_sentences() -> str | None:
    entry = CATALOGUE[EMBEDDED_SENTENCES]
    return entry.sha256 if entry.installed else None
