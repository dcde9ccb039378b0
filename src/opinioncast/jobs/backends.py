"""Which backend runs the language model, and from its settings to the backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from opinioncast.backends.api_settings import Scoring
from opinioncast.backends.protocol import Backend, Generator
from opinioncast.errors import InputError, ModelError

if TYPE_CHECKING:
    from opinioncast.backends.api import ApiBackend
    from opinioncast.backends.torch_backend import TorchBackend
    from opinioncast.backends.vllm_backend import VllmBackend

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
class HasClose(Protocol):
    """A backend with connections or files to close."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Which backend, and what the ones other than torch need.

    Attributes:
        kind: ``torch`` (this process), ``api`` (an OpenAI-compatible service) or ``vllm``.
        base_url ... timeout: of the API (:class:`opinioncast.backends.api_settings.ApiSettings`).
        tensor_parallel ... context_length: of vLLM
            (:class:`opinioncast.backends.vllm_backend.VllmSettings`).
    """

    kind: Kind = "torch"
    base_url: str | None = None
    api_key_env: str | None = None
    scoring: Scoring = "auto"
    unlisted_tolerance: float = 0.01
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int = 4
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    timeout: float = 120.0
    tensor_parallel: int = 1
    gpu_memory: float | None = None
    context_length: int | None = None


def check_backend(kind: str, given: Collection[str]) -> Kind:
    """``kind`` as a backend that uses every option in ``given``.

    Raises:
        InputError: an unknown backend, or an option that it would ignore.
    """
    if kind not in BACKENDS:
        raise InputError(
            "Unknown backend", where="--backend", expected=", ".join(BACKENDS), found=kind
        )
    ignored = [name for name in given if kind not in BACKEND_OPTIONS.get(name, BACKENDS)]
    if ignored:
        options = ["--" + name.replace("_", "-") for name in ignored]
        raise InputError(
            f"The backend {kind} does not use what was given",
            expected=f"{options[0]} with --backend {' or '.join(BACKEND_OPTIONS[ignored[0]])}",
            found=", ".join(options),
            hint="name the backend with --backend, or leave the option out",
        )
    return kind


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
            and the spending cap.

    Raises:
        InputError: an option the backend has no use for, or one it lacks.
        ModelError: a package is not installed, or the model or adapter cannot be loaded.
        StorageError: the journal of answers cannot be opened.
    """
    given = {"adapter": adapter, "device": device, "dtype": dtype}
    check_backend(settings.kind, [name for name, value in given.items() if value is not None])
    if settings.kind == "api":
        return _api(model, settings, beside, chat=chat, use_cache=use_cache)
    if settings.kind == "vllm":
        return _vllm(model, settings, adapter=adapter, dtype=dtype)
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
    """What a manifest says about what backends did: requests, retries, tokens, cost; by name.

    The PyTorch backend says nothing here: methods count its tokens.
    """
    told = {m.name: dict(m.usage) for m in models if isinstance(m, HasUsage)}
    return {"backend_usage": told} if told else {}


def close(models: Collection[Backend]) -> None:
    """Close connections and journals of those that have any."""
    for model in models:
        if isinstance(model, HasClose):
            model.close()


def _api(
    model: str,
    settings: BackendSettings,
    beside: Collection[Backend],
    *,
    chat: bool,
    use_cache: bool,
) -> ApiBackend:
    if settings.base_url is None or model == EMBEDDED:
        raise InputError(
            "The API backend needs a service and a model",
            expected="--base-url (usually ending in /v1) and --model as the service calls it",
            found=f"--model {model}" if settings.base_url is None else settings.base_url,
        )
    try:
        from opinioncast.backends.api import ApiBackend
        from opinioncast.backends.api_journal import Journal
        from opinioncast.backends.api_settings import ApiSettings
    except ImportError as error:
        raise ModelError(
            "The API backend needs an HTTP client",
            expected="the package of the [api] extra",
            found=error,
            hint="pip install 'opinioncast[api]'",
        ) from error
    asked = ApiSettings(
        settings.base_url,
        model,
        api_key_env=settings.api_key_env,
        scoring=settings.scoring,
        unlisted_tolerance=settings.unlisted_tolerance,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        concurrency=settings.concurrency,
        max_cost=settings.max_cost,
        price_in=settings.price_in,
        price_out=settings.price_out,
        timeout=settings.timeout,
        chat=chat,
    )
    asked.api_key()  # a key that is not there is named before anything is opened
    shared = next((b.limits for b in beside if isinstance(b, ApiBackend)), None)
    return ApiBackend(asked, journal=Journal() if use_cache else None, limits=shared)


def _vllm(
    model: str, settings: BackendSettings, *, adapter: str | None, dtype: str | None
) -> VllmBackend:
    from opinioncast.backends.vllm_backend import VllmBackend, VllmSettings

    name = None
    if model == EMBEDDED:
        from opinioncast.backends import embedded

        model, name = str(embedded.embedded_model()), f"{embedded.NAME} (embedded)"
    return VllmBackend(
        VllmSettings(
            model,
            adapter=adapter,
            dtype=dtype or "auto",
            tensor_parallel=settings.tensor_parallel,
            gpu_memory=settings.gpu_memory,
            context_length=settings.context_length,
            name=name,
        )
    )
