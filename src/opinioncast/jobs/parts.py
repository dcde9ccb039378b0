"""Parts of a run on backends of their own: ``api:MODEL@URL``, ``torch:MODEL``, ``vllm:MODEL``.

The modules and the chooser of Modular Pluralism may run elsewhere than the model that answers. A
name with a prefix says where; without one a part runs where the model that answers does, except
that a folder of ``opinioncast train-community`` (an adapter) runs in this process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.errors import InputError, ModelError
from opinioncast.jobs.backends import (
    BACKEND_OPTIONS,
    BackendSettings,
    Kind,
    backend_settings,
    check_backend,
)

ADAPTER_CONFIG = "adapter_config.json"
_PREFIX = re.compile(r"(torch|api|vllm):(.*)", re.DOTALL)
_AT = re.compile(r"(.*?)@(https?:.*)", re.DOTALL)  # some services have an @ in a model's name


@dataclass(frozen=True, slots=True)
class Part:
    """One module, or the chooser.

    Attributes:
        model: folder or name, as the backend knows it.
        kind: the backend that was named; None: as the model that answers.
        base_url: of the service; None: the run's.
    """

    model: str
    kind: Kind | None = None
    base_url: str | None = None

    @classmethod
    def read(cls, name: str) -> Part:
        """``name`` as it is given to ``--modules`` and ``--chooser``.

        Raises:
            InputError: a prefix with no model behind it.
        """
        prefixed = _PREFIX.fullmatch(name)
        if prefixed is None:
            return cls(name)
        kind: Kind = prefixed[1]  # type: ignore[assignment]
        placed = _AT.fullmatch(prefixed[2]) if kind == "api" else None
        model, base_url = (placed[1], placed[2]) if placed else (prefixed[2], None)
        if not model:
            raise InputError(
                "A part of the run names a backend and no model",
                where="--modules or --chooser",
                expected=f"{kind}:MODEL{'@URL' if kind == 'api' else ''}",
                found=f"{kind}:",
            )
        return cls(model, kind, base_url)

    @property
    def is_adapter(self) -> bool:
        """Whether the model is a folder that holds an adapter."""
        return self.kind != "api" and (Path(self.model) / ADAPTER_CONFIG).is_file()

    def runs_on(self, own: Kind) -> Kind:
        """The backend of the part, where ``own`` is that of the model that answers."""
        return self.kind or ("torch" if self.is_adapter else own)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the models of one run may be.

    Attributes:
        own: of the model that answers.
        others: of parts that name another backend; at most one of a kind. A service's address is
            that of parts that name none.
    """

    own: BackendSettings
    others: Sequence[ApiSettings | VllmSettings] = ()

    def of(self, part: Part) -> BackendSettings:
        """What is needed to open ``part``.

        Raises:
            InputError: a service without an address, or with one that cannot be used.
        """
        kind = part.runs_on(kind_of(self.own))
        if kind == "torch":
            return None
        given = (self.own, *self.others)
        if kind == "vllm":
            vllm = next((s for s in given if isinstance(s, VllmSettings)), VllmSettings())
            return replace(vllm, model="", adapter=None, name=None)
        api = next((s for s in given if isinstance(s, ApiSettings)), None)
        if api is None and part.base_url is None:
            raise no_address(part)
        if api is None:
            return ApiSettings(str(part.base_url))
        return replace(api, model="", base_url=part.base_url or api.base_url)


def run_settings(
    kind: str, run_with: Mapping[str, Any], given: Iterable[str], parts: Sequence[str]
) -> tuple[BackendSettings, tuple[ApiSettings | VllmSettings, ...]]:
    """Settings of the model that answers, and those of parts on other backends.

    Args:
        kind: of the model that answers.
        run_with: options of backends, by the names of
            :data:`opinioncast.jobs.backends.BACKEND_OPTIONS`. All services share them, a key and
            limits included; the address is of parts that name none.
        given: names of other options that some backends use.
        parts: names of the modules and the chooser.

    Raises:
        InputError: an unknown backend, a value it cannot use, an option that no model of the run
            uses, or a service without an address.
    """
    own = check_backend(kind, ())
    read = [Part.read(name) for name in parts]
    kinds = {own, *(part.runs_on(own) for part in read)}
    on_api = [part for part in read if part.runs_on(own) == "api"]
    lacking = [part for part in on_api if part.base_url is None]
    # an adapter is that of --model; an address is nobody's where every part has its own
    of_own = {"adapter"} | (set() if lacking else {"base_url"})
    check_backend(own, [n for n in (*run_with, *given) if n in of_own])
    check_backend(own, [n for n in (*run_with, *given) if n not in of_own], kinds)
    shares = {
        k: {name: v for name, v in run_with.items() if k in BACKEND_OPTIONS[name]} for k in kinds
    }
    beside: list[ApiSettings | VllmSettings] = []
    if "api" in kinds and own != "api":
        if lacking and "base_url" not in run_with:
            raise no_address(lacking[0])
        first = next((part.base_url for part in on_api if part.base_url), None)
        beside.append(ApiSettings(**{"base_url": first} | shares["api"]))
    if "vllm" in kinds and own != "vllm":
        beside.append(VllmSettings(**shares["vllm"]))
    return backend_settings(own, shares[own]), tuple(beside)


def kind_of(settings: BackendSettings) -> Kind:
    """The backend that ``settings`` are of."""
    if settings is None:
        return "torch"
    return "api" if isinstance(settings, ApiSettings) else "vllm"


def kinds_used(own: Kind, parts: Iterable[str]) -> set[Kind]:
    """The backends that a run with these parts needs."""
    return {own, *(Part.read(name).runs_on(own) for name in parts)}


def no_address(part: Part) -> InputError:
    """The error of a part behind a service that is nowhere."""
    return InputError(
        "A part of the run names no service",
        where="--modules or --chooser",
        expected=f"api:{part.model}@http://... , or --base-url",
        found=f"api:{part.model}",
    )


def base_name(adapter: Path) -> str:
    """What an adapter's configuration calls its base model: a folder, a hub name, or embedded.

    Raises:
        ModelError: it names none, or cannot be read.
    """
    path = adapter / ADAPTER_CONFIG
    try:
        name = json.loads(path.read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "An adapter does not name its base model",
            where=str(path),
            expected="base_model_name_or_path: a folder, a hub name, or embedded",
            found=error,
        ) from error
    return str(name)
