"""Who is predicted: attributes, subpopulations, intersections, and group schemes from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from opinioncast.documents import parse_yaml, read_document, texts_of
from opinioncast.errors import InputError

TOTAL_ATTRIBUTE = "TOTAL"
TOTAL_GROUP = "All adults"
_AND = " & "


@dataclass(frozen=True, slots=True)
class Attribute:
    """A trait that divides the population, with the words that steer a model to one of its groups.

    Attributes:
        name: key as in the public data (``CREGION``, ``POLIDEOLOGY``).
        label: what a person calls it ("region"); used by the question-first layout and in tables.
        question: the steering question of the QA format (paper, Figure 14).
        groups: all its groups in the order the steering question lists them.
        bio: first-person sentence with ``{}`` for the group (section 4.1, BIO).
        portray: clause after "as if you", with ``{}`` for the group (section 4.1, PORTRAY).
        phrases: how a group is said inside ``bio`` and ``portray`` where its name does not fit.
        answers: how the QA format words a group's option where it differs from its name.
    """

    name: str
    label: str
    question: str
    groups: tuple[str, ...]
    bio: str
    portray: str
    phrases: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)

    def phrase(self, group: str) -> str:
        return self.phrases.get(group, group)

    def answer(self, group: str) -> str:
        return self.answers.get(group, group)


@dataclass(frozen=True, slots=True, order=True)
class Subpopulation:
    """A group of people: no condition (everyone), one (``SEX=Female``), or several that all hold.

    >>> from opinioncast import Subpopulation
    >>> str(Subpopulation((("SEX", "Female"), ("RACE", "Black"))))
    'SEX=Female & RACE=Black'

    ``attribute`` and ``group`` are the two key columns of every table; an intersection joins them
    with `` & `` ("SEX & RACE", "Female & Black").
    """

    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def attribute(self) -> str:
        return _AND.join(a for a, _ in self.conditions) or TOTAL_ATTRIBUTE

    @property
    def group(self) -> str:
        return _AND.join(g for _, g in self.conditions) or TOTAL_GROUP

    @property
    def key(self) -> tuple[str, str]:
        return self.attribute, self.group

    def __str__(self) -> str:
        return _AND.join(f"{a}={g}" for a, g in self.conditions) or TOTAL_ATTRIBUTE

    @classmethod
    def from_key(cls, attribute: str, group: str) -> Subpopulation:
        """The subpopulation behind the two key columns of a table."""
        if attribute == TOTAL_ATTRIBUTE:
            return cls()
        names, values = attribute.split(_AND), group.split(_AND)
        if len(names) != len(values):
            raise InputError(
                "An intersection does not name one group per attribute",
                where=f'attribute "{attribute}"',
                expected=f"{len(names)} groups joined with ' & '",
                found=group,
            )
        return cls(tuple(zip(names, values, strict=True)))


@dataclass(frozen=True)
class GroupScheme:
    """A list of subpopulations together with the attributes they are made of.

    >>> from opinioncast import load_groups
    >>> scheme = load_groups("paper22")
    >>> len(scheme), scheme.parse("sex=female & race=black").key
    (22, ('SEX & RACE', 'Female & Black'))

    Attributes:
        name: file stem or the name given in the file.
        attributes: every attribute known, by name; a scheme may select none of its groups.
        subpopulations: what is to be predicted, in order.
        source: where the scheme was read from.
    """

    name: str
    attributes: Mapping[str, Attribute]
    subpopulations: tuple[Subpopulation, ...]
    source: str = "built in"

    @classmethod
    def of_standard(cls, subpopulations: Iterable[Subpopulation], source: str) -> GroupScheme:
        """A scheme of subpopulations that the standard attributes describe, as a table has them.

        Raises:
            InputError: an attribute or group they do not know.
        """
        known = cls(source, standard_attributes(), (), source)
        return known.with_subpopulations(subpopulations)

    def __iter__(self) -> Iterator[Subpopulation]:
        return iter(self.subpopulations)

    def __len__(self) -> int:
        return len(self.subpopulations)

    def check(self, subpopulation: Subpopulation) -> Subpopulation:
        """Return ``subpopulation`` if this scheme knows all its attributes and groups."""
        for attribute, group in subpopulation.conditions:
            known = self.attributes.get(attribute)
            if known is None:
                raise InputError(
                    "Unknown attribute",
                    where=self.source,
                    expected=f"one of {', '.join(sorted(self.attributes))}",
                    found=attribute,
                    hint="add it to a group file of your own (see --groups) or correct the name",
                )
            if group not in known.groups:
                raise InputError(
                    f"Unknown group of {attribute}",
                    where=self.source,
                    expected=f"one of {'; '.join(known.groups)}",
                    found=group,
                )
        names = [a for a, _ in subpopulation.conditions]
        if len(set(names)) != len(names):
            raise InputError(
                "An intersection names one attribute twice",
                expected="different attributes",
                found=str(subpopulation),
            )
        return subpopulation

    def parse(self, expression: str) -> Subpopulation:
        """Read ``SEX=Female``, ``SEX=Female & RACE=Black``, or ``TOTAL``."""
        text = expression.strip()
        if text.casefold() in {"total", TOTAL_GROUP.casefold()}:
            return Subpopulation()
        conditions = []
        for part in text.split("&"):
            attribute, eq, group = part.partition("=")
            if not eq or not group.strip():
                raise InputError(
                    "A group expression cannot be read",
                    expected="ATTRIBUTE=Group, joined with & for an intersection, or TOTAL",
                    found=expression,
                    hint="for example: --groups 'SEX=Female & RACE=Black'",
                )
            name = self._attribute_name(attribute.strip())
            conditions.append((name, self._group_name(name, group.strip())))
        return self.check(Subpopulation(tuple(conditions)))

    def _attribute_name(self, text: str) -> str:
        for name, attribute in self.attributes.items():
            if text.casefold() in {name.casefold(), attribute.label.casefold()}:
                return name
        return text

    def _group_name(self, attribute: str, text: str) -> str:
        known = self.attributes.get(attribute)
        for group in known.groups if known else ():
            if group.casefold() == text.casefold():
                return group
        return text

    def select(self, *expressions: str) -> GroupScheme:
        """A scheme of the same attributes with just these subpopulations."""
        return self.with_subpopulations(self.parse(e) for e in expressions)

    def with_subpopulations(self, subpopulations: Iterable[Subpopulation]) -> GroupScheme:
        chosen = tuple(dict.fromkeys(self.check(s) for s in subpopulations))
        if not chosen:
            raise InputError(
                "No group was chosen",
                where=self.source,
                expected="at least one group, or TOTAL",
            )
        return GroupScheme(self.name, self.attributes, chosen, self.source)


def builtin_schemes() -> list[str]:
    """Names of the schemes that come with the package."""
    folder = resources.files("opinioncast.survey") / "schemes"
    stems = (Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))
    return sorted(s for s in stems if s != "attributes")


@cache
def standard_attributes() -> Mapping[str, Attribute]:
    """The 12 attributes of OpinionQA and SubPOP (paper, Table 3, Table 7 and Figure 14)."""
    file = resources.files("opinioncast.survey") / "schemes" / "attributes.yaml"
    text = file.read_text(encoding="utf-8")
    raw = parse_yaml(text, where="attributes.yaml", what="The attributes")
    return _read_attributes(raw["attributes"], "attributes.yaml")


def load_groups(*names: str | Path) -> GroupScheme:
    """Make one scheme of scheme names, group files and group expressions, in the order given.

    >>> from opinioncast import load_groups
    >>> [str(group) for group in load_groups("SEX=Female & RACE=Black", "total")]
    ['SEX=Female & RACE=Black', 'TOTAL']

    Args:
        names: ``paper22``, ``unseen``, ``all``, ``total``, the path of a YAML file, or an
            expression such as ``SEX=Female & RACE=Black``.

    Raises:
        InputError: a name that is none of these, a file that cannot be read, an unknown group.
    """
    attributes: dict[str, Attribute] = dict(standard_attributes())
    parts: list[GroupScheme | str] = []
    for given in names:
        name = str(given)
        if name in builtin_schemes():
            file = resources.files("opinioncast.survey") / "schemes" / f"{name}.yaml"
            text = file.read_text(encoding="utf-8")
            raw = parse_yaml(text, where=f"scheme {name}", what="A group scheme")
            scheme = _scheme(raw, f"scheme {name}", name)
        elif name.endswith((".yaml", ".yml", ".json")):
            path = Path(name)
            scheme = _scheme(read_document(path, "A group file"), name, path.stem)
        elif "=" in name or name.casefold() in {"total", TOTAL_GROUP.casefold()}:
            parts.append(name)
            continue
        else:
            raise InputError(
                "Unknown group scheme",
                expected=f"one of {', '.join(builtin_schemes())}, total, a .yaml file, or "
                "ATTRIBUTE=Group",
                found=name,
            )
        attributes.update(scheme.attributes)
        parts.append(scheme)
    name = "+".join(p if isinstance(p, str) else p.name for p in parts)
    whole = GroupScheme(name, attributes, (), "--groups")
    chosen: list[Subpopulation] = []
    for part in parts:  # expressions are read last, so that they may use any file's attributes
        chosen.extend([whole.parse(part)] if isinstance(part, str) else part)
    return whole.with_subpopulations(chosen)


def _scheme(raw: Any, source: str, stem: str) -> GroupScheme:
    if not isinstance(raw, dict) or not raw.get("groups"):
        raise InputError(
            "A group file names no groups",
            where=source,
            expected="a mapping with `groups:` (and `attributes:` for new ones)",
            found=type(raw).__name__ if not isinstance(raw, dict) else list(raw),
        )
    attributes = dict(standard_attributes())
    attributes.update(_read_attributes(raw.get("attributes") or {}, source))
    base = GroupScheme(str(raw.get("name", stem)), attributes, (), source)
    return base.with_subpopulations(_read_groups(raw["groups"], base))


def _read_groups(raw: Any, scheme: GroupScheme) -> Iterator[Subpopulation]:
    """Groups as ``ATTRIBUTE: [names] | all``, or as a list of expressions."""
    if isinstance(raw, Mapping):
        for attribute, names in raw.items():
            if names == "all":
                known = scheme.attributes.get(str(attribute))
                names = known.groups if known else [""]
            if not isinstance(names, Sequence) or isinstance(names, str):
                names = [names]
            for name in names:
                yield scheme.check(Subpopulation(((str(attribute), str(name)),)))
        return
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise InputError(
            "`groups` cannot be read",
            where=scheme.source,
            expected="a mapping ATTRIBUTE: [groups] or a list of expressions",
            found=raw,
        )
    for expression in raw:
        yield scheme.parse(str(expression))


_ATTRIBUTE_FIELDS = {"label", "question", "groups", "bio", "portray", "phrases", "answers"}


def _check_clause(clause: Any, name: str, where: str) -> None:
    try:
        holds_group = "\0" in str(clause).format("\0")
    except (IndexError, KeyError, ValueError):
        holds_group = False
    if not holds_group:
        raise InputError(
            f"`{name}` does not say where the group goes",
            where=where,
            expected="a sentence with {} in the group's place",
            found=clause,
        )


def _read_attributes(raw: Any, source: str) -> dict[str, Attribute]:
    if not isinstance(raw, Mapping):
        raise InputError(
            "`attributes` cannot be read",
            where=source,
            expected="a mapping of attribute name to its wording",
            found=raw,
        )
    found: dict[str, Attribute] = {}
    for name, entry in raw.items():
        where = f"{source}, attribute {name}"
        if not isinstance(entry, Mapping) or not entry.get("groups") or not entry.get("question"):
            raise InputError(
                "An attribute lacks its wording",
                where=where,
                expected="`question` and `groups` (and, optionally, label, bio, portray)",
                found=entry,
            )
        unknown = set(entry) - _ATTRIBUTE_FIELDS
        if unknown:
            raise InputError(
                "An attribute has a field that is not known",
                where=where,
                expected=", ".join(sorted(_ATTRIBUTE_FIELDS)),
                found=", ".join(sorted(map(str, unknown))),
            )
        label = str(entry.get("label", name)).strip()
        listed = entry["groups"]
        if not isinstance(listed, list) or not listed:
            raise InputError(
                "An attribute's groups cannot be read",
                where=where,
                expected="a list of names",
                found=listed,
            )
        groups = texts_of(listed, where)
        reserved = [n for n in (str(name), *groups) if "&" in n or not n.strip()]
        if reserved or "=" in str(name):
            raise InputError(
                "A name of an attribute or group cannot be used",
                where=where,
                expected="names that are not empty, without & (it joins intersections) and, for "
                "attributes, without =",
                found="; ".join(reserved or [str(name)]),
                hint='write "and"; `phrases` and `answers` may say it otherwise in prompts',
            )
        for clause in ("bio", "portray"):
            _check_clause(entry.get(clause, "{}"), clause, where)
        if len(set(groups)) != len(groups) or len(groups) > 26:
            raise InputError(
                "An attribute's groups must differ and be 26 at most",
                where=where,
                expected="up to 26 different group names",
                found=list(groups),
            )
        for table in ("phrases", "answers"):
            strange = set(entry.get(table) or {}) - set(groups)
            if strange:
                raise InputError(
                    f"`{table}` names a group the attribute does not have",
                    where=where,
                    expected="; ".join(groups),
                    found="; ".join(sorted(map(str, strange))),
                )
        found[str(name)] = Attribute(
            name=str(name),
            label=label,
            question=str(entry["question"]).strip(),
            groups=groups,
            bio=str(entry.get("bio", f"My {label} is {{}}.")),
            portray=str(entry.get("portray", f"belonged to this group: {label}, {{}}")),
            phrases=dict(entry.get("phrases") or {}),
            answers=dict(entry.get("answers") or {}),
        )
    return found
