"""Fine-tuning on two hosts: torchrun in two network namespaces, killed on one of them and resumed.

Each host is a network namespace of Linux with an address of its own, joined by a virtual cable; all
they share is the file system. A small random Llama is trained on some of the demo's questions, by
DDP and by FSDP (version 2), over gloo on this machine's processors: once unbroken; once with the
process on the second host killed (kill -9) in mid-run and the same commands given again. Both are
compared with one process on one host.

    python benchmarks/two_hosts.py [--quick] [--loopback]

``--quick`` leaves FSDP out. Where namespaces are not permitted (they need root), the hosts are two
addresses of the loopback device, and the last line says so; ``--loopback`` asks for that. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
STOP = 3  # the update behind which a process is killed; checkpoints are made at every second
TOLERANCE = {"rtol": 1e-3, "atol": 2e-5}  # sums in another order, over all updates


@dataclass(frozen=True)
class Host:
    """One of the two.

    Attributes:
        prefix: what runs a command there. device: its network device.
    """

    address: str
    prefix: tuple[str, ...]
    device: str


@contextmanager
def namespaces() -> Iterator[tuple[Host, Host]]:
    """Two hosts joined by a cable; taken down behind the run."""
    mine = f"oc{os.getpid()}"
    names = (f"{mine}a", f"{mine}b")

    def ip(*given: str) -> None:
        subprocess.run(["ip", *given], check=True, capture_output=True)

    made: list[str] = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
        hosts = []
        for number, name in enumerate(names, 1):
            address = f"10.203.0.{number}"
            ip("link", "set", name, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
            for device in ("lo", name):
                ip("-n", name, "link", "set", device, "up")
            hosts.append(Host(address, ("ip", "netns", "exec", name), name))
        yield hosts[0], hosts[1]
    finally:
        for name in made:  # the cable goes with them
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def loopback() -> Iterator[tuple[Host, Host]]:
    yield Host("127.0.0.1", (), "lo"), Host("127.0.0.2", (), "lo")


def permitted() -> bool:
    """Whether namespaces can be made here."""
    if not shutil.which("ip"):
        return False
    name = f"oc{os.getpid()}t"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        return False
    return not subprocess.run(["ip", "netns", "del", name], capture_output=True).returncode


def material(folder: Path) -> dict[str, Any]:
    """A small model, two tables, and the recipe."""
    import torch
    import transformers

    from opinioncast.backends.embedded import embedded_model
    from opinioncast.jobs.demo import demo_table
    from opinioncast.survey import OpinionTable

    tokenizer = transformers.AutoTokenizer.from_pretrained(embedded_model())
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.35,
    )
    torch.manual_seed(7)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    table = demo_table()
    asked = list(dict.fromkeys(table.frame["question_id"].to_list()))[:6]
    for name, keys in {"train": asked[:4], "valid": asked[4:]}.items():
        few = table.frame["attribute"].is_in(["SEX", "RACE"])
        kept = table.frame.filter(table.frame["question_id"].is_in(keys) & few)
        OpinionTable(kept, dict(table.meta)).write(folder / f"{name}.parquet")
    return {
        "name": "two_hosts",
        "model": str(folder / "model"),
        "table": str(folder / "train.parquet"),
        "validation": str(folder / "valid.parquet"),
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.1, "targets": "all-linear"},
        "optimizer": {"learning_rate": 0.005, "batch_rows": 8, "epochs": 2},
        "checks": {"every": 2},
        "pack_tokens": 600,
        "dtype": "float32",
        "device": "cpu",
    }


def launch(
    hosts: Sequence[Host], recipe: Path, out: Path, way: str, stop: int = 0
) -> tuple[list[int], float]:
    """The same command on each host, as torchrun is given it; exit statuses and seconds."""
    begun = time.monotonic()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank, host in enumerate(hosts):
        environment = {"GLOO_SOCKET_IFNAME": host.device, "OMP_NUM_THREADS": "1"}
        torchrun = (
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
            *("--nproc-per-node", "1", "--node-rank", str(rank)),
            *("--master-addr", hosts[0].address, "--master-port", port),
        )
        train = (__file__, "--train", str(recipe), "--out", str(out), "--stop", str(stop))
        with (out.parent / f"{out.name}-host{rank}.log").open("ab") as said:
            processes.append(
                subprocess.Popen(
                    [*host.prefix, *torchrun, *train],
                    env=os.environ | environment | (FSDP if way == "fsdp" else {}),
                    stdout=said,
                    stderr=said,
                )
            )
    try:
        statuses = [p.wait(300) for p in processes]
    finally:
        for process in processes:
            process.kill()
    return statuses, time.monotonic() - begun


def train(recipe: Path, out: Path, stop: int) -> None:
    """What torchrun starts: `opinioncast finetune`, the second host's killed behind an update."""
    import accelerate.state

    from opinioncast.finetune.recipe import parse_finetune
    from opinioncast.jobs.finetune import finetune_to_folder

    if "ACCELERATE_USE_FSDP" in os.environ:
        # accelerate shards over the kinds of device on a list of its own; PyTorch does over
        # processors (gloo) too
        known: dict[str, Any] = {kind.name: kind for kind in accelerate.state.DistributedType}
        known["MULTI_NEURON"] = accelerate.state.DistributedType.MULTI_CPU
        accelerate.state.DistributedType = types.SimpleNamespace(**known)

    marker = out.with_name(f"{out.name}.stop")

    def mark(moment: Any) -> None:
        """The first host's process alone is told of updates."""
        if moment.step >= stop:
            marker.touch()

    def die() -> None:
        while not marker.exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)

    if stop and os.environ["RANK"] == "1":
        threading.Thread(target=die, daemon=True).start()
    settings = parse_finetune(json.loads(recipe.read_text("utf-8")), str(recipe))
    finetune_to_folder(settings, out, progress=mark if stop else None)


def measure(hosts: Sequence[Host], ways: Sequence[str], folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file
    from torch.testing import assert_close

    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps(material(folder)), "utf-8")

    def alike(one: Path, other: Path, *, rtol: float = 0.0, atol: float = 0.0) -> bool:
        a, b = (load_file(f / "adapter" / "adapter_model.safetensors") for f in (one, other))
        try:
            assert_close(a, b, rtol=rtol, atol=atol)
        except AssertionError:
            return False
        return True

    begun = time.monotonic()
    alone = [sys.executable, __file__, "--train", str(recipe), "--out", str(folder / "one")]
    subprocess.run(alone, check=True, capture_output=True, env=os.environ | {"RANK": "0"})
    figures: dict[str, Any] = {"one_process_s": round(time.monotonic() - begun, 1)}
    for way in ways:
        whole, cut = folder / way, folder / f"{way}-cut"
        statuses, seconds = launch(hosts, recipe, whole, way)
        killed, until = launch(hosts, recipe, cut, way, stop=STOP)
        unfinished = not (cut / "adapter").exists()
        again, resumed = launch(hosts, recipe, cut, way)
        if any(statuses) or any(again):
            logs = "".join(f.read_text("utf-8", "replace")[-2000:] for f in folder.glob("*.log"))
            raise SystemExit(f"{way}: statuses {statuses}, then {again}\n{logs}")
        manifest = json.loads((cut / "adapter" / "manifest.json").read_text("utf-8"))
        figures[way] = {
            "parallel": manifest["parallel"],
            "processes": manifest["processes"],
            "seconds": round(seconds, 1),
            "killed_statuses": killed,
            "killed_after_s": round(until, 1),
            "unfinished_when_killed": unfinished,
            "resumed_s": round(resumed, 1),
            "equals_one_process": alike(folder / "one", whole, **TOLERANCE),
            "resumed_equals_unbroken": alike(whole, cut),
        }
        print(way, figures[way], flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="without FSDP")
    parser.add_argument("--loopback", action="store_true", help="without namespaces")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stop", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        train(options.train, options.out, options.stop)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # hosts are taken down then too
    apart = not options.loopback and permitted()
    hosted = namespaces if apart else loopback
    with tempfile.TemporaryDirectory() as folder, hosted() as hosts:
        figures = measure(hosts, ("ddp",) if options.quick else ("ddp", "fsdp"), Path(folder))
    hosts_were = "network namespaces" if apart else "two addresses of the loopback device"
    print(json.dumps({"hosts": hosts_were} | figures))


if __name__ == "__main__":
    main()
