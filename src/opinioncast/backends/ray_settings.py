"""What the Ray backend is told: which engine its workers run, on which cluster, and how many."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from opinioncast.backends.declaration import BackendKind, backend_kind
from opinioncast.errors import InputError
from opinioncast.options import check_types, made, option


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Of the backend ray; what the engine is told has the names that its own backend gives it.

    Attributes:
        engine: the backend that each worker runs.
        ray_address: of a cluster's head; None: that of the environment variable ``RAY_ADDRESS``,
            else processes of this machine.
        workers: processes that hold the model; None: one a GPU (or ``tensor_parallel`` GPUs), on a
            cluster without GPUs one a machine.
        adapter, device, dtype, tensor_parallel, gpu_memory, context_length: of the engine.
    """

    engine: Literal["torch", "vllm"] = option("torch", "Ray: what each worker runs.")
    ray_address: str | None = option(
        None, "Ray: address of the cluster; else RAY_ADDRESS, else this machine."
    )
    workers: int | None = option(
        None, "Ray: processes that hold the model; else one a GPU, or one a machine."
    )
    adapter: str | None = option(None, "Folder of a PEFT adapter; or shipped.")
    device: str | None = option(None, "cpu, cuda, mps; else chosen.")
    dtype: str | None = option(None, "float32, bfloat16, float16; else by device.")
    tensor_parallel: int = option(1, "vLLM: GPUs a layer is split over.")
    gpu_memory: float | None = option(None, "vLLM: share of each GPU's memory it may take.")
    context_length: int | None = option(None, "vLLM: longest prompt with its answer, in tokens.")

    def __post_init__(self) -> None:
        check_types(self)
        if self.workers is not None and self.workers < 1:
            raise InputError(
                "A setting of Ray is out of range",
                where="--workers",
                expected="1 or more",
                found=self.workers,
            )
        ignored = [name for name in self._told if name not in self.engine_kind.options]
        if ignored:
            flags = ", ".join("--" + name.replace("_", "-") for name in ignored)
            raise InputError(
                f"The engine {self.engine} does not use what was given",
                expected=f"no {flags} with --engine {self.engine}",
                found=flags,
                hint="name the other engine with --engine, or leave the option out",
            )
        made(self.engine_kind.settings, self._told)  # refuses here what a worker would refuse

    @property
    def engine_kind(self) -> BackendKind:
        """The declaration of the engine."""
        return backend_kind(self.engine)

    @property
    def _told(self) -> dict[str, Any]:
        """What differs from the defaults, of the engine's settings."""
        own = ("engine", "ray_address", "workers")
        named = ((f, getattr(self, f.name)) for f in fields(self) if f.name not in own)
        return {f.name: value for f, value in named if value != f.default}

    @property
    def of_engine(self) -> dict[str, Any]:
        """Settings of the engine, by name, without its adapter: a worker may put on several."""
        return {name: value for name, value in self._told.items() if name != "adapter"}
