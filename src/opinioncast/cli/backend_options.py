"""The options of ``opinioncast predict`` that choose and set up a backend."""

from __future__ import annotations

from typing import Annotated

import typer

from opinioncast.jobs.backends import BACKENDS

BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help=f"Where the language model runs: {', '.join(BACKENDS)} (default: torch).",
    ),
]
BaseUrl = Annotated[
    str | None, typer.Option(help="Address of an OpenAI-compatible service, usually with /v1.")
]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable with the API key (default: OPINIONCAST_API_KEY)."),
]
HowScored = Annotated[
    str | None,
    typer.Option(
        "--scoring", help="How label probabilities are read: auto (default), token-ids, echo, top."
    ),
]
UnlistedTolerance = Annotated[
    float | None,
    typer.Option(
        help="Refuse rows whose labels the service did not list could move a share by more "
        "(default: 0.01)."
    ),
]
RequestsPerMinute = Annotated[int | None, typer.Option(help="Rate limit of the service.")]
TokensPerMinute = Annotated[int | None, typer.Option(help="Rate limit of the service.")]
Concurrency = Annotated[int | None, typer.Option(help="Requests under way at once (default: 4).")]
MaxCost = Annotated[
    float | None, typer.Option(help="Stop before this run could spend more; needs both prices.")
]
PriceIn = Annotated[float | None, typer.Option(help="Per million tokens read.")]
PriceOut = Annotated[float | None, typer.Option(help="Per million tokens written.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds for one whole answer (default: 120).")]
ServedAs = Annotated[
    list[str] | None,
    typer.Option(help="Another name that the service's answers may give the model. Repeat."),
]
TensorParallel = Annotated[int | None, typer.Option(help="vLLM: GPUs a layer is split over.")]
GpuMemory = Annotated[
    float | None, typer.Option(help="vLLM: share of each GPU's memory it may take.")
]
ContextLength = Annotated[
    int | None, typer.Option(help="vLLM: longest prompt with its answer, in tokens.")
]
