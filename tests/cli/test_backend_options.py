"""``opinioncast predict --backend``: options, a run over HTTP, and a run that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.backends.service import Answer, Service, chat_answer, completion, made_up
from tests.fake_backend import FakeBackend

pytest.importorskip("httpx")


from opinioncast.backends.declaration import backend_kinds
from opinioncast.backends.kinds import torch as kinds_torch
from opinioncast.backends.reference import ModelReference
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.cli.main import main
from opinioncast.errors import InputError
from opinioncast.predictor import PredictSettings

QUESTIONS = "".join(
    f"- id: q{i}\n  question: Is number {i} a good one?\n  options: [Yes, No, Not sure]\n"
    for i in range(5)
)
REACH = ["--backend", "api", "--base-url", "http://127.0.0.1:1/v1"]
PROMPTS = 5 * 22 * 2  # questions x groups x option orders


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPINIONCAST_API_KEY", "sk-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.yaml").write_text(QUESTIONS, "utf-8")
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def over(service: Service, *more: str) -> list[str]:
    reach = ["--backend", "api", "--base-url", service.base_url, "--model", "m"]
    return ["predict", "q.yaml", *reach, *more]


def manifest(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "manifest.json").read_text("utf-8")))


@pytest.mark.slow
def test_every_option_is_refused_by_the_backends_that_would_ignore_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"base_url": "http://127.0.0.1:1/v1", "scoring": "top", "unlisted_tolerance": "0.1"}
    kinds = backend_kinds()
    for name in {name for kind in kinds for name in kind.options}:
        option = "--" + name.replace("_", "-")
        users = [kind.name for kind in kinds if name in kind.options]
        for backend in {kind.name for kind in kinds} - set(users):
            value = values.get(name, "1")
            assert run("predict", "q.yaml", "--backend", backend, option, value) == 2
            error = capsys.readouterr().err
            assert "does not use what was given" in error
            assert f"{option} with --backend {users[0]}" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--backend", "cloud"], "Unknown backend"),
        (["--backend", "api", "--model", "m"], "--base-url"),
        (REACH, "--model"),
        (["--backend", "api", "--method", "uniform"], "uses no language model"),
        (["--max-cost", "1"], "with --backend api"),
        (["--max-cost", "1", "--method", "blend"], "--max-cost with --backend api"),
        (["--backend", "api", "--model", "m", "--base-url", "http://[::1/v1"], "http://[::1/v1"),
        (["--backend", "api", "--model", "m", "--base-url", "http://a\tb/v1"], r"http://a\tb/v1"),
        (
            [*REACH, "--model", "m", "--api-key-env", "NO_SUCH_KEY"],
            "NO_SUCH_KEY",
        ),
    ],
)
def test_what_a_backend_lacks_is_named(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "q.yaml", *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_key_that_cannot_be_sent_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPINIONCAST_API_KEY", "sk-schlüssel")
    assert run("predict", "q.yaml", *REACH, "--model", "m") == 2
    error = capsys.readouterr().err
    assert "cannot be sent" in error
    assert "OPINIONCAST_API_KEY" in error
    assert "sk-" not in error


@pytest.mark.slow
def test_a_run_over_http_and_its_manifest(folder: Path) -> None:
    prices = ("--price-in", "1", "--price-out", "2", "--max-cost", "5")
    with Service(made_up) as service:
        assert run(*over(service, *prices)) == 0
        assert service.prompts.total() == PROMPTS
        assert run(*over(service, *prices)) == 0
        assert service.prompts.total() == PROMPTS, "a repeated run asks nothing"
    found = manifest(folder / "opinioncast-out")
    assert found["rows"] == 110
    assert found["label_mass_min"] > 0
    assert found["tokens_out"] == PROMPTS
    assert (
        found["tokens_in"] == found["backend_usage"]["m at " + service.base_url]["tokens_in_before"]
    )
    (usage,) = found["backend_usage"].values()
    assert (usage["requests"], usage["from_journal"]) == (0, PROMPTS)
    assert (found["retries"], found["parse_failures"]) == (0, 0)
    assert found["cost"] == 0
    assert found["cost_before"] == pytest.approx(
        (usage["tokens_in_before"] + 2 * usage["tokens_out_before"]) / 1e6, abs=1e-6
    )
    assert usage["tokens_out_before"] == PROMPTS
    assert found["cost_cap"] == 5
    assert usage["service"]["scoring /completions"] == {
        "scoring": "top",
        "listed": 20,
        "why_not": 'status 400: {"error": {"message": "logprobs above 20"}}',
    }
    for file in folder.rglob("*"):
        assert not file.is_file() or b"sk-secret" not in file.read_bytes(), file


@pytest.mark.slow
def test_the_cap_ends_the_command_with_a_status_and_a_way_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = ("--price-in", "1000", "--price-out", "1000", "--max-cost", "0.4", "-g", "SEX=Female")
    with Service(made_up) as service:
        assert run(*over(service, *prices)) == 3
        error = capsys.readouterr().err
        assert "The spending cap is reached" in error
        assert "goes on from here" in error
        asked = service.prompts.total()
        assert 0 < asked < 10
        assert not (folder / "opinioncast-out" / "manifest.json").exists()
        for _ in range(10):
            if run(*over(service, *prices)) == 0:
                break
        assert service.prompts.total() == 10
        assert set(service.prompts.values()) == {1}


@pytest.mark.slow
def test_rows_refused_for_unlisted_labels_say_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service(_cut) as service:
        assert run(*over(service, "-g", "SEX=Female", "-g", "SEX=Male")) == 3
    assert "could move a share by" in capsys.readouterr().err
    found = manifest(folder / "opinioncast-out")
    (usage,) = found["backend_usage"].values()
    assert usage["prompts_refused_for_unlisted_labels"] > 0
    assert found["rows_missing"] > 0


def _cut(path: str, payload: dict[str, Any]) -> Answer:
    """A service that lists no more than two tokens."""
    status, headers, body = made_up(path, payload)
    if status == 200:
        place = body["choices"][0]["logprobs"]
        top = sorted(place["top_logprobs"][0].items(), key=lambda pair: -pair[1])[:2]
        place["top_logprobs"] = [dict(top)]
    return status, headers, body


@pytest.mark.slow
def test_a_service_without_log_probabilities_writes_its_distributions(folder: Path) -> None:
    """It only chats and lists no tokens: the model's own words are read (few-shot, no examples)."""

    def chats(path: str, payload: dict[str, Any]) -> Answer:
        if path != "/v1/chat/completions":
            return 404, {}, {"error": {"message": "no such address"}}
        if "response_format" in payload:
            return 400, {}, {"error": {"message": "response_format is not supported"}}
        said = "Here it is: {'A': 20%, 'B': 50%, 'C': 25%, 'D': 5%}"
        return 200, {}, chat_answer(payload, None, said)

    with Service(chats) as service:
        few = ["--method", "few-shot", "-k", "0", "--chat", "-g", "SEX=Female"]
        assert run(*over(service, *few)) == 0
        asked = service.prompts.total()
        assert run(*over(service, *few)) == 0
        assert service.prompts.total() == asked == 5
    frame = pl.read_parquet(folder / "opinioncast-out" / "predictions.parquet")
    first = frame["distribution"][0].to_list()
    assert first == pytest.approx([20 / 95, 50 / 95, 25 / 95])
    found = manifest(folder / "opinioncast-out")
    assert found["structured"] is False
    (usage,) = found["backend_usage"].values()
    assert usage["from_journal"] == 5


@pytest.mark.slow
def test_a_chooser_without_log_probabilities_writes_its_pick(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def mixed(path: str, payload: dict[str, Any]) -> Answer:
        """The model called mute lists nothing and writes a number."""
        status, headers, body = made_up(path, payload)
        if status == 200 and payload["model"] == "mute":
            body["choices"][0] |= {"text": " 2", "logprobs": None}
        return status, headers, body

    pluralism = ["--method", "pluralism", "--modules", "one", "--modules", "two", "-g", "SEX=Male"]
    with Service(mixed) as service:
        assert run(*over(service, *pluralism, "--chooser", "mute")) == 2
        assert "--chooser-reads text" in capsys.readouterr().err
        assert service.prompts.total() == 0, "nothing was paid for"
        assert run(*over(service, *pluralism, "--chooser", "mute", "--chooser-reads", "text")) == 0
        found = manifest(folder / "opinioncast-out")
        assert run(*over(service, *pluralism, "--model", "mute")) == 2  # the last --model counts
        assert "few-shot -k 0" in capsys.readouterr().err
    assert (found["chooser_reads"], found["rows"]) == ("text", 5)
    assert found["picked"] == [0, 5]


PLURALISM = ["--method", "pluralism", "-g", "SEX=Male"]
URL = "http://127.0.0.1:1/v1"


def two(module: str) -> list[str]:
    return ["--modules", module] * 2


def with_chooser(path: str, payload: dict[str, Any]) -> Answer:
    """The model called picks takes the second comment."""
    if payload.get("model") != "picks" or path != "/v1/completions":
        return made_up(path, payload)
    listed = {" 2": -0.3, " 1": -1.6} | {f"word{i}": -12.0 for i in range(18)}
    return 200, {}, completion(payload, listed, " 2")


@pytest.mark.slow
def test_cost_and_retries_of_several_models_are_told_once(folder: Path) -> None:
    prices = ["--price-in", "1000", "--price-out", "2000", "--scoring", "top"]
    modules = ["--modules", "one", "--modules", "two", "--chooser", "picks"]
    with Service(with_chooser) as service:
        service.faults.extend([(503, {"Retry-After": "0"}, {}), (429, {"Retry-After": "0"}, {})])
        assert run(*over(service, *PLURALISM, *modules, *prices)) == 0
    found = manifest(folder / "opinioncast-out")
    usage = found["backend_usage"]
    assert len(usage) == 4
    assert not any("cost" in name for counts in usage.values() for name in counts)
    tokens = [sum(counts[f"tokens_{way}"] for counts in usage.values()) for way in ("in", "out")]
    assert found["cost"] == pytest.approx((1000 * tokens[0] + 2000 * tokens[1]) / 1e6, abs=1e-5)
    assert found["cost"] > 0
    assert found["retries"] == sum(counts["retries"] for counts in usage.values()) == 2


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is opened in this process, in place of PyTorch: a model that picks the first comment."""
    opened: list[tuple[str, dict[str, Any]]] = []

    def open_here(model: str, *, name: str | None = None, **more: Any) -> FakeBackend:
        model = "embedded" if name else model
        opened.append((model, more))
        return FakeBackend(
            lambda request: [0.9] + [0.05] * (len(request.labels) - 1),
            write=lambda request: f"{model} agrees",
            name=model,
        )

    monkeypatch.setattr(TorchBackend, "load", open_here)
    monkeypatch.setattr(kinds_torch, "folder_of", lambda model: model)
    return opened


@pytest.mark.slow
def test_each_part_of_pluralism_may_be_behind_a_service_of_its_own(
    folder: Path, here: list[tuple[str, dict[str, Any]]]
) -> None:
    """The answers from one service, one module and the chooser from another, one module from this
    process; each is asked what is its to say, and all share the prices and the cap."""
    with Service(made_up) as answers, Service(with_chooser) as others:
        parts = ["--modules", f"api:one@{others.base_url}", "--modules", "torch:embedded"]
        parts += ["--chooser", f"api:picks@{others.base_url}", "--device", "cpu"]
        prices = ["--price-in", "1", "--price-out", "1", "--max-cost", "1"]
        assert run(*over(answers, *PLURALISM, *parts, *prices)) == 0
        asked = {
            (i, payload["model"])
            for i, service in enumerate((answers, others))
            for _, payload in service.asked
        }
    assert asked == {(0, "m"), (1, "one"), (1, "picks")}
    assert [model for model, _ in here] == ["embedded"]
    assert here[0][1]["device"] == "cpu"
    found = manifest(folder / "opinioncast-out")
    assert [m["name"] for m in found["modules"]] == [f"one at {others.base_url}", "embedded"]
    assert found["chooser"]["base_url"] == others.base_url
    assert found["backend"]["base_url"] == answers.base_url
    assert sorted(found["backend_usage"]) == sorted(
        [f"m at {answers.base_url}", f"one at {others.base_url}", f"picks at {others.base_url}"]
    )
    assert found["picked"] == [0, 5]
    assert found["cost_cap"] == 1
    assert found["cost"] > 0


@pytest.mark.slow
def test_services_may_comment_for_a_model_in_this_process(
    folder: Path, here: list[tuple[str, dict[str, Any]]]
) -> None:
    """No --backend: the options of services are those of the parts."""
    with Service(made_up) as service:
        parts = ["--modules", "api:one", "--modules", f"api:two@{service.base_url}"]
        options = ["--base-url", service.base_url, "--scoring", "top", "--device", "cpu"]
        command = ["predict", "q.yaml", *PLURALISM, *parts, *options, "--model", "mine"]
        assert run(*command) == 0
        assert {payload["model"] for _, payload in service.asked} == {"one", "two"}
        assert set(service.prompts.values()) == {2}, "each of two models, once"
    assert [model for model, _ in here] == ["mine"]
    assert sum(manifest(folder / "opinioncast-out")["picked"]) == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*REACH, "--model", "m", "--modules", "embedded", "--modules", "n"], "torch:embedded"),
        (["--modules", "api:one", "--modules", "api:two"], "api:one@http://"),
        (["--modules", "api:@http://127.0.0.1:1/v1", "--modules", "two"], "api:MODEL@URL"),
        (["--modules", "api:a@http://[::1/v1", "--modules", "two"], "cannot be used"),
        (
            [
                "--base-url",
                "http://127.0.0.1:1/v1",
                *("--modules", "api:a@http://127.0.0.1:1/v1") * 2,
            ],
            "--base-url with --backend api",
        ),
        (
            [*REACH, "--model", "m", *two("torch:a"), "--adapter", "b"],
            "--adapter with",
        ),
        (
            [*REACH, "--model", "m", *two("vllm:a"), "--device", "cpu"],
            "--device with",
        ),
    ],
)
def test_parts_that_cannot_run_where_they_are_put(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "q.yaml", *PLURALISM, *arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "model", "kind", "base_url"),
    [
        ("folder/a", "folder/a", None, None),
        ("org/model@main", "org/model@main", None, None),
        ("torch:org/model", "org/model", "torch", None),
        ("api:m", "m", "api", None),
        ("api:claude@2024@https://host/v1", "claude@2024", "api", "https://host/v1"),
        ("api:org/m:free@http://[::1]:80/v1", "org/m:free", "api", "http://[::1]:80/v1"),
        ("vllm:C:/models/a", "C:/models/a", "vllm", None),
        ("C:/models/a", "C:/models/a", None, None),
    ],
)
def test_names_of_parts(name: str, model: str, kind: str | None, base_url: str | None) -> None:
    part = ModelReference.read(name)
    assert (part.model, part.kind, part.base_url) == (model, kind, base_url)


def test_settings_of_a_backend_are_refused_by_another() -> None:
    with pytest.raises(InputError, match="does not use"):
        PredictSettings(method="zero-shot", base_url="http://127.0.0.1:1/v1")
    address: dict[str, Any] = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    with pytest.raises(InputError, match="does not use"):
        PredictSettings(backend="api", gpu_memory=0.5, **address)
    with pytest.raises(InputError, match="out of range"):
        PredictSettings(model="vllm:m", gpu_memory=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_with_nothing_lost_or_asked_twice(folder: Path, how: int) -> None:
    """Ended in mid-run. What was under way at that moment may be asked again: nobody waits for a
    slow service after Ctrl-C."""
    concurrency = 4
    gate = threading.Semaphore(0)

    def slowly(path: str, payload: dict[str, Any]) -> Answer:
        gate.acquire(timeout=0.01)
        return made_up(path, payload)

    with Service(slowly) as service:
        command = [sys.executable, "-m", "opinioncast", *over(service)]
        command += ["--concurrency", str(concurrency)]
        killed = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while service.prompts.total() < PROMPTS // 3 and time.monotonic() < deadline:
            assert killed.poll() is None, "it ended by itself"
            time.sleep(0.02)
        killed.send_signal(how)
        killed.wait(timeout=60)
        assert killed.returncode == (130 if how == signal.SIGINT else -how)
        first = service.prompts.total()
        assert 0 < first < PROMPTS
        again = subprocess.run(
            command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=120
        )
        assert again.returncode == 0, again.stderr
        counts = service.prompts
    twice = [text for text, times in counts.items() if times > 1]
    assert len(counts) == PROMPTS, "nothing is lost"
    assert max(counts.values()) <= 2
    (usage,) = manifest(folder / "opinioncast-out")["backend_usage"].values()
    assert len(twice) <= usage["asked_again_after_kill"] <= concurrency  # one may not have left
    assert usage["from_journal"] + usage["requests"] >= PROMPTS
    resumed = pl.read_parquet(folder / "opinioncast-out" / "predictions.parquet")
    assert resumed.height == 110
    with Service(made_up) as elsewhere:  # another address, so nothing comes from the journal
        assert run(*over(elsewhere, "--out", "whole")) == 0
    whole = pl.read_parquet(folder / "whole" / "predictions.parquet")
    assert whole["distribution"].to_list() == resumed["distribution"].to_list()
