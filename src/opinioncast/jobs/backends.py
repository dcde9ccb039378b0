"""Which backend runs the language model, and from its settings to the backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.protocol import Backend, Generator
from opinioncast.backends.vllm_backend import VllmBackend
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.errors import InputError, ModelError

if TYPE_CHECKING:
    from opinioncast.backends.api import ApiBackend
    from opinioncast.backends.torch_backend import TorchBackend

Kind = Literal["torch", "api", "vllm"]
BACKENDS: tuple[Kind, ...] = get_args(Kind)
EMBEDDED = "embedded"

BACKEND_OPTIONS: dict[str, tuple[Kind, ...]] = {
    "device": ("torch",),
    "dtype": ("torch", "vllm"),
    "adapter": ("torch", "vllm"),
    "base_url": ("api",),
    "api_key_env": ("api",),
    "scoring": ("api",),
    "unlisted_tolerance": ("api",),
    "requests_per_minute": ("api",),
    "tokens_per_minute": ("api",),
    "concurrency": ("api",),
    "max_cost": ("api",),
    "price_in": ("api",),
    "price_out": ("api",),
    "timeout": ("api",),
    "served_as": ("api",),
    "tensor_parallel": ("vllm",),
    "gpu_memory": ("vllm",),
    "context_length": ("vllm",),
}
"""Which backends use a setting that the command has an option for."""


class LanguageModel(Backend, Generator, Protocol):
    """A backend that scores labels and writes texts, as all of them do."""


@runtime_checkable
class HasUsage(Protocol):
    """A backend that counts what it did."""

    @property
    def usage(self) -> Mapping[str, Any]: ...


@runtime_checkable
class HasCost(Protocol):
    """A backend that is paid for; models of one run share one budget, so each tells the whole."""

    @property
    def cost(self) -> Mapping[str, Any]: ...


@runtime_checkable
class HasClose(Protocol):
    """A backend with connections, files or processes to close."""

    def close(self) -> None: ...


BackendSettings = ApiSettings | VllmSettings | None
"""Where the language model runs: a service, vLLM, or with None PyTorch, in this process. ``model``,
``chat``, ``adapter``, ``dtype`` and ``name`` are filled in by :func:`open_model`."""


def check_backend(kind: str, given: Collection[str], beside: Collection[Kind] = ()) -> Kind:
    """``kind`` as a backend that uses every option in ``given``, or leaves it to one of those that
    other parts of the run use.

    Raises:
        InputError: an unknown backend, or an option that all would ignore.
    """
    if kind not in BACKENDS:
        raise InputError(
            "Unknown backend", where="--backend", expected=", ".join(BACKENDS), found=kind
        )
    kinds = {kind, *beside}
    ignored = [name for name in given if kinds.isdisjoint(BACKEND_OPTIONS.get(name, BACKENDS))]
    if ignored:
        options = ["--" + name.replace("_", "-") for name in ignored]
        raise InputError(
            f"The backend {kind} does not use what was given",
            expected=f"{options[0]} with --backend {' or '.join(BACKEND_OPTIONS[ignored[0]])}",
            found=f"{', '.join(options)} with --backend {kind}",
            hint=f"name the backend with --backend (left out: {BACKENDS[0]}), or leave the option "
            "out",
        )
    return kind


def backend_settings(kind: str, given: Mapping[str, Any]) -> BackendSettings:
    """Settings of the backend ``kind`` from what was given, by the names of
    :data:`BACKEND_OPTIONS`; ``device``, ``dtype`` and ``adapter`` are :func:`open_model`'s.

    Raises:
        InputError: what :func:`check_backend` raises, or a value that the backend cannot use.
    """
    checked = check_backend(kind, given)
    if checked == "torch":
        return None
    if checked == "vllm":
        return VllmSettings(**given)
    if given.get("base_url") is None:
        raise _no_service("no --base-url")
    return ApiSettings(**given)


def open_model(
    model: str,
    settings: BackendSettings,
    *,
    adapter: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    chat: bool = False,
    use_cache: bool = True,
    beside: Collection[Backend] = (),
) -> LanguageModel:
    """Load ``model``, or reach the service that has it.

    Args:
        chat: whether prompts go through a chat template.
        use_cache: keep and reuse a service's answers (torch and vLLM rows are cached elsewhere).
        beside: models of the same run that are open already; with the API they share the rate limit
            and the spending cap, with vLLM the engine of one base model.

    Raises:
        InputError: an option the backend has no use for, or one it lacks.
        ModelError: a package is not installed, or the model or adapter cannot be loaded.
        StorageError: the journal of answers cannot be opened.
    """
    given = {"adapter": adapter, "device": device, "dtype": dtype}
    asked = [name for name, value in given.items() if value is not None]
    if settings is not None and settings.model not in ("", model):
        raise InputError(
            "The settings of the backend name another model",
            expected=f"{model}, or none: it is filled in",
            found=settings.model,
        )
    if isinstance(settings, ApiSettings):
        check_backend("api", asked)
        return _api(
            model, replace(settings, chat=chat or settings.chat), beside, use_cache=use_cache
        )
    if isinstance(settings, VllmSettings):
        check_backend("vllm", asked)
        return _vllm(model, settings, beside, adapter=adapter, dtype=dtype)
    return open_torch(model, adapter=adapter, device=device, dtype=dtype)


def open_torch(
    model: str,
    *,
    adapter: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> TorchBackend:
    """Load ``model`` with PyTorch in this process.

    Raises:
        ModelError: PyTorch is not installed, or the model or adapter cannot be loaded.
    """
    try:
        from opinioncast.backends import embedded
        from opinioncast.backends.torch_backend import TorchBackend
    except ImportError as error:
        raise ModelError(
            "Prediction needs PyTorch",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]' (with the embedded model) or "
            "'opinioncast[torch]'",
        ) from error
    default = model == EMBEDDED
    return TorchBackend.load(
        embedded.embedded_model() if default else model,
        adapter=adapter,
        device=device,
        dtype=dtype,
        name=f"{embedded.NAME} (embedded)" if default else None,
    )


def usage_record(models: Collection[Backend]) -> dict[str, Any]:
    """What a manifest says about what backends did: requests, retries, tokens, by name; beside
    them the retries of all, and what all cost together where services were asked.

    The PyTorch backend says nothing here: methods count its tokens, and nothing is sent again.
    """
    told = {m.name: dict(m.usage) for m in models if isinstance(m, HasUsage)}
    if not told:
        return {}
    paid = [m.cost for m in models if isinstance(m, HasCost)][:1]  # they share one budget
    retries = sum(usage.get("retries", 0) for usage in told.values())
    return {"backend_usage": told, "retries": retries, **dict(*paid)}


def close(models: Collection[Backend]) -> None:
    """Close connections and journals of those that have any."""
    for model in models:
        if isinstance(model, HasClose):
            model.close()


def _api(
    model: str, settings: ApiSettings, beside: Collection[Backend], *, use_cache: bool
) -> ApiBackend:
    if model == EMBEDDED:
        raise _no_service(
            f"{settings.base_url}, model {model}",
            f"a part of pluralism runs in this process as torch:{model}",
        )
    try:
        from opinioncast.backends.api import ApiBackend
        from opinioncast.backends.api_journal import Journal
    except ImportError as error:
        raise ModelError(
            "The API backend needs an HTTP client",
            expected="the package of the [api] extra",
            found=error,
            hint="pip install 'opinioncast[api]'",
        ) from error
    settings.api_key()  # a key that is not there is named before anything is opened
    shared = next((b.limits for b in beside if isinstance(b, ApiBackend)), None)
    journal = Journal() if use_cache else None
    return ApiBackend(replace(settings, model=model), journal=journal, limits=shared)


def _no_service(found: str, hint: str | None = None) -> InputError:
    return InputError(
        "The API backend needs a service and a model",
        expected="--base-url (usually ending in /v1) and --model as the service calls it",
        found=found,
        hint=hint,
    )


def _vllm(
    model: str,
    settings: VllmSettings,
    beside: Collection[Backend],
    *,
    adapter: str | None,
    dtype: str | None,
) -> VllmBackend:
    name = None
    if model == EMBEDDED:
        from opinioncast.backends import embedded

        model, name = str(embedded.embedded_model()), f"{embedded.NAME} (embedded)"
    wanted = replace(
        settings,
        model=model,
        adapter=adapter or settings.adapter,
        dtype=dtype or settings.dtype,
        name=name or settings.name,
    )
    engines = [b.engine for b in beside if isinstance(b, VllmBackend) and b.engine is not None]
    return VllmBackend(wanted, engine=next((e for e in engines if e.serves(wanted)), None))
