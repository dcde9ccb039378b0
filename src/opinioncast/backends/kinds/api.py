"""The API backend: any OpenAI-compatible service over HTTP."""

from __future__ import annotations

from dataclasses import replace

from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.catalogue import CATALOGUE
from opinioncast.backends.declaration import BackendKind, LanguageModel, Opening
from opinioncast.errors import InputError, ModelError


def open_api(opening: Opening) -> LanguageModel:
    """Reach the service that has the model.

    Raises:
        InputError: an embedded model, which no service has; a key that is not there.
        ModelError: no HTTP client is installed. StorageError: the journal cannot be opened.
    """
    settings: ApiSettings = opening.settings
    if opening.model in CATALOGUE:
        raise InputError(
            "The API backend needs a service and a model",
            expected="--model as the service calls it, or api:MODEL@URL",
            found=f"{settings.base_url}, model {opening.model}",
            hint=f"the embedded model runs in this process: torch:{opening.model}",
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
    shared = next((b.limits for b in opening.beside if isinstance(b, ApiBackend)), None)
    journal = Journal() if opening.use_cache else None
    wanted = replace(settings, model=opening.model, chat=opening.chat or settings.chat)
    return ApiBackend(wanted, journal=journal, limits=shared)


BACKEND = BackendKind(
    name="api",
    help="An OpenAI-compatible service over HTTP.",
    settings=ApiSettings,
    open=open_api,
    order=20,
)
