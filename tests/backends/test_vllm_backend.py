"""The vLLM backend against vLLM's recorded (or installed) signatures and a stand-in engine.

vLLM itself is run by ``test_vllm_engine.py``, where it is installed. The stand-in takes only what
vLLM 0.33 takes, reads token ids and sampling parameters as vLLM's documentation says, and answers
with a real small model, so what is tested is everything but vLLM's own arithmetic.
"""

from __future__ import annotations

import copy
import json
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.backends import vllm_signatures

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from safetensors.numpy import save_file  # noqa: E402

from opinioncast.backends import LabelRequest, TextRequest  # noqa: E402
from opinioncast.backends.declaration import HasClose, Opening  # noqa: E402
from opinioncast.backends.kinds.vllm import open_vllm  # noqa: E402
from opinioncast.backends.protocol import can_score, can_write  # noqa: E402
from opinioncast.backends.ray_settings import RaySettings  # noqa: E402
from opinioncast.backends.ray_worker import PlacedFile, RayWorker, WorkerTask  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.vllm_backend import VllmBackend, hash_files  # noqa: E402
from opinioncast.backends.vllm_settings import VllmSettings  # noqa: E402
from opinioncast.errors import InputError, ModelError  # noqa: E402
from opinioncast.methods.prediction import Prediction  # noqa: E402
from opinioncast.predictor import predict  # noqa: E402
from opinioncast.prompts import Layout  # noqa: E402
from opinioncast.survey import Question  # noqa: E402


def signatures() -> dict[str, list[str]]:
    """Of the installed vLLM, else of the recorded one."""
    found = find_spec("vllm") if "vllm" not in sys.modules else None
    if found is not None and found.submodule_search_locations:
        return vllm_signatures.read(Path(next(iter(found.submodule_search_locations))))
    recorded = json.loads(vllm_signatures.RECORDED.read_text("utf-8"))
    return dict(recorded["signatures"])


SIGNATURES = signatures()


@dataclass
class Call:
    """What the engine was asked for in one call."""

    prompts: list[dict[str, list[int]]]
    params: list[dict[str, Any]]
    lora: Any


def checked(name: str, given: Sequence[str], also: Sequence[str] = ()) -> None:
    """Every name in ``given`` is a parameter or field of vLLM's ``name``."""
    known = {n.lstrip("*") for n in (*SIGNATURES[name], *also)}
    assert set(given) <= known, f"{name} takes no {set(given) - known}"


class Engine:
    """``vllm`` as far as the backend uses it; adapters are PEFT's own, put on a copy of the base.

    Attributes:
        opened: what the engine opened last was given. openings: how many were opened.
    """

    def __init__(self, load_plain: Callable[[Path], tuple[Any, Any]]) -> None:
        self.calls: list[Call] = []
        self.opened: dict[str, Any] = {}
        self.openings = 0
        self.max_model_len = 512
        engine = self

        class Params(dict[str, Any]):
            def __init__(self, **given: Any) -> None:
                checked("SamplingParams", list(given))
                super().__init__(given)

        class Structured(dict[str, Any]):
            def __init__(self, **given: Any) -> None:
                checked("StructuredOutputsParams", list(given))
                super().__init__(given)

        class Lora:
            def __init__(self, *given: Any) -> None:
                self.fields = dict(zip(SIGNATURES["LoRARequest"], given, strict=False))

        class LLM:
            def __init__(self, model: str, **given: Any) -> None:
                assert SIGNATURES["LLM.__init__"][0] == "model"
                assert "**kwargs" in SIGNATURES["LLM.__init__"], "the rest goes to EngineArgs"
                checked("LLM.__init__", list(given), also=SIGNATURES["EngineArgs"])
                engine.opened = {"model": model} | given
                engine.openings += 1
                self.model, self.tokenizer = load_plain(Path(model))
                self.tuned: dict[int, Any] = {}
                assert "model_config" in SIGNATURES["LLM attributes"]
                self.model_config = SimpleNamespace(
                    dtype=torch.float32, max_model_len=engine.max_model_len, hf_config=None
                )

            def get_tokenizer(self) -> Any:
                assert SIGNATURES["LLM.get_tokenizer"] == []
                return self.tokenizer

            def generate(self, prompts: Any, params: Any, **given: Any) -> list[Any]:
                assert SIGNATURES["LLM.generate"][:2] == ["prompts", "sampling_params"]
                checked("LLM.generate", list(given))
                assert len(prompts) == len(params)
                assert given["use_tqdm"] is False
                for prompt in prompts:
                    checked("TokensPrompt", list(prompt))
                engine.calls.append(Call(prompts, params, given["lora_request"]))
                self.current = self.with_lora(given["lora_request"])
                return [self.one(p, s) for p, s in zip(prompts, params, strict=True)]

            def with_lora(self, lora: Lora | None) -> Any:
                """Told apart by number, as vLLM does: a number used twice brings back the first."""
                if lora is None:
                    return self.model
                number, path = lora.fields["lora_int_id"], Path(lora.fields["lora_path"])
                assert 1 <= number <= engine.opened["max_loras"]
                if not (path / "adapter_model.safetensors").exists():
                    return self.model
                if number not in self.tuned:
                    base = copy.deepcopy(self.model)
                    self.tuned[number] = peft.PeftModel.from_pretrained(base, str(path)).eval()
                return self.tuned[number]

            def one(self, prompt: dict[str, list[int]], params: dict[str, Any]) -> Any:
                assert params["temperature"] == 0.0
                ids = list(prompt["prompt_token_ids"])
                said: list[int] = []
                given = None
                for _ in range(params["max_tokens"]):
                    with torch.inference_mode():
                        logits = self.current(torch.tensor([ids + said])).logits[0, -1].float()
                    last = torch.log_softmax(logits, dim=-1)
                    said.append(int(last.argmax()))
                    if given is None and params.get("logprob_token_ids"):
                        wanted = {*params["logprob_token_ids"], said[0]}
                        given = [{i: SimpleNamespace(logprob=last[i].item()) for i in wanted}]
                output = SimpleNamespace(
                    token_ids=said, text=self.tokenizer.decode(said), logprobs=given
                )
                checked("CompletionOutput", list(vars(output)))
                checked("Logprob", ["logprob"])
                return SimpleNamespace(outputs=[output])

        self.modules = {
            "vllm": module("vllm", LLM=LLM, SamplingParams=Params, __version__="0.33.0"),
            "vllm.lora": module("vllm.lora"),
            "vllm.lora.request": module("vllm.lora.request", LoRARequest=Lora),
            "vllm.sampling_params": module(
                "vllm.sampling_params", SamplingParams=Params, StructuredOutputsParams=Structured
            ),
        }


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.fixture
def engine(
    load_plain: Callable[[Path], tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> Engine:
    made = Engine(load_plain)
    for name, content in made.modules.items():
        monkeypatch.setitem(sys.modules, name, content)
    return made


@pytest.mark.parametrize("tokenizer", ["merged bytes", "single bytes", "opened and closed"])
def test_the_same_numbers_as_the_torch_backend(
    tokenizer: str,
    engine: Engine,
    make_folder: Callable[..., Path],
    survey_requests: Callable[..., list[LabelRequest]],
) -> None:
    """Float32, within 1e-5; labels of one token and of several."""
    folder = make_folder("llama", tokenizer)
    requests = survey_requests(Layout.QUESTION_FIRST)
    here = dict(TorchBackend.load(folder, device="cpu", dtype="float32").score(requests))
    backend = VllmBackend(VllmSettings(str(folder), dtype="float32"))
    there = dict(backend.score(requests))
    assert sorted(there) == list(range(len(requests)))
    for i in there:
        assert np.exp(there[i].log_probs) == pytest.approx(np.exp(here[i].log_probs), abs=1e-5)
    assert backend.usage["tokens_in"] > 0


def write_adapter(folder: Path, config: dict[str, Any]) -> None:
    """An adapter's folder, its weights of no use."""
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({"lora_A.weight": np.zeros((1, 1), np.float32)}, folder / "adapter_model.safetensors")


def test_what_the_engine_is_told(engine: Engine, make_folder: Callable[..., Path]) -> None:
    folder = make_folder("llama")
    adapter = folder / "adapter"
    adapter.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 8, "rank_pattern": {"q_proj": 12}}
    write_adapter(adapter, config)
    settings = VllmSettings(
        str(folder),
        adapter=str(adapter),
        dtype="bfloat16",
        tensor_parallel=2,
        gpu_memory=0.8,
        context_length=400,
    )
    backend = VllmBackend(settings)
    assert can_score(backend)
    assert can_write(backend)
    assert engine.opened == {
        "model": str(folder),
        "dtype": "bfloat16",
        "tensor_parallel_size": 2,
        "enable_prefix_caching": True,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "seed": 0,
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": 16,  # the least vLLM has room for that holds 12
        "gpu_memory_utilization": 0.8,
        "max_model_len": 400,
    }
    list(backend.score([LabelRequest("Answer:", ("A", "B"))]))
    fields = engine.calls[0].lora.fields
    assert fields == {"lora_name": "adapter-1", "lora_int_id": 1, "lora_path": str(adapter)}
    assert backend.name.endswith(f" + {adapter.parent.name}/{adapter.name}")


def test_prompts_of_a_tree_follow_one_another(
    engine: Engine,
    make_folder: Callable[..., Path],
    survey_requests: Callable[..., list[LabelRequest]],
) -> None:
    requests = survey_requests(Layout.QUESTION_FIRST)
    mixed = requests[::2] + requests[1::2]
    backend = VllmBackend(VllmSettings(str(make_folder("llama"))))
    list(backend.score(mixed))
    (call,) = engine.calls
    trees = {backend.token_ids(r.text): r.tree for r in requests}
    order = [trees[tuple(p["prompt_token_ids"])] for p in call.prompts]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes == len(set(order)) - 1
    assert all(p["max_tokens"] == 1 for p in call.params)


def test_texts_and_schemas(engine: Engine, make_folder: Callable[..., Path]) -> None:
    backend = VllmBackend(VllmSettings(str(make_folder("llama"))))
    schema = {"type": "object", "properties": {"A": {"type": "number"}}}
    requests = [TextRequest("Answer: A", 4), TextRequest("Question:", 3, schema)]
    said = dict(backend.generate(requests))
    assert said[0].tokens_out == 4
    assert said[1].tokens_in == len(backend.token_ids("Question:"))
    (call,) = engine.calls
    assert sorted(p["max_tokens"] for p in call.params) == [3, 4]
    held = [p["structured_outputs"] for p in call.params if "structured_outputs" in p]
    assert held == [{"json": schema}]
    here = TorchBackend.load(make_folder("llama"), device="cpu", dtype="float32")
    alone = dict(here.generate(requests[:1]))
    assert said[0].text == alone[0].text


def test_a_left_out_log_probability_is_named(
    engine: Engine, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = VllmBackend(VllmSettings(str(make_folder("llama"))))
    assert backend.engine is not None
    llm = backend.engine.llm
    full = llm.one

    def poor(prompt: Any, params: Any) -> Any:
        output = full(prompt, params)
        output.outputs[0].logprobs[0].popitem()
        return output

    monkeypatch.setattr(llm, "one", poor)
    with pytest.raises(ModelError, match="left out"):
        list(backend.score([LabelRequest("Answer:", tuple("ABCDE"))]))


def test_closed_it_lets_the_engine_go(engine: Engine, make_folder: Callable[..., Path]) -> None:
    """vLLM ends its processes when nothing holds the engine any more."""
    backend = VllmBackend(VllmSettings(str(make_folder("llama"))))
    assert backend.engine is not None
    held = weakref.ref(backend.engine.llm)
    other = VllmBackend(VllmSettings(str(make_folder("llama"))), engine=backend.engine)
    assert isinstance(backend, HasClose)
    backend.close()
    assert held() is not None, "another model of the run still holds it"
    other.close()
    assert held() is None


@pytest.mark.slow
def test_on_a_worker_of_a_cluster(
    engine: Engine,
    make_folder: Callable[..., Path],
    survey_requests: Callable[..., list[LabelRequest]],
    adapters: list[Path],
) -> None:
    """What a Ray worker answers is what this process would, base and adapter on one engine."""
    folder = str(make_folder("llama"))
    requests = survey_requests(Layout.QUESTION_FIRST)
    adapter = PlacedFile.of(str(adapters[0]))
    told = RaySettings(engine="vllm", dtype="float32", context_length=400)
    task = WorkerTask("vllm", PlacedFile.of(folder), told.of_engine, (adapter,))
    worker = RayWorker(task)
    for placed in (None, adapter):
        reply = worker.answer("score", placed, requests)
        settings = VllmSettings(
            folder,
            adapter=None if placed is None else placed.path,
            other_adapters=(str(adapters[0]),),
            dtype="float32",
            context_length=400,
        )
        here = VllmBackend(settings)
        assert reply.refused is None
        assert reply.described is not None
        assert reply.described.fingerprint == here.fingerprint
        expected = dict(here.score(requests))
        assert sorted(i for i, _ in reply.found) == list(range(len(requests)))
        for i, scores in reply.found:
            assert scores.log_probs == pytest.approx(expected[i].log_probs, abs=1e-6)
    assert engine.opened["max_model_len"] == 400
    assert engine.openings == 3, "the worker's one, for both; and one each here"
    long = worker.answer("generate", None, [TextRequest("Answer: " * 200, 4)])
    assert isinstance(long.refused, ModelError)
    assert not long.found


def test_a_prompt_too_long(engine: Engine, make_folder: Callable[..., Path]) -> None:
    engine.max_model_len = 16
    backend = VllmBackend(VllmSettings(str(make_folder("llama"))))
    with pytest.raises(ModelError, match="longer than the model can read"):
        list(backend.score([LabelRequest("Answer: " * 40, ("A", "B"))]))


def test_the_fingerprint_hangs_on_weights_and_adapter(
    engine: Engine, make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    first = VllmBackend(VllmSettings(str(make_folder("llama"))))
    one = first.fingerprint
    assert first.fingerprint is one, "70 billion weights are hashed once"
    other = VllmBackend(VllmSettings(str(make_folder("qwen2")))).fingerprint
    assert one["weights"] != other["weights"]
    assert one["vllm"] == "0.33.0"
    config = {"peft_type": "LORA", "r": 4}
    write_adapter(tmp_path, config)
    tuned = VllmSettings(str(make_folder("llama")), adapter=str(tmp_path))
    assert VllmBackend(tuned).fingerprint["adapter"] is not None


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.gguf", "model.pth", "a.npz"])
def test_weights_of_every_kind_shape_the_fingerprint(name: str, tmp_path: Path) -> None:
    """Else rows of the weights before would come from the cache."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"one")
    before = hash_files(tmp_path)
    (tmp_path / "README.md").write_text("about the model")
    assert hash_files(tmp_path) == before
    (tmp_path / name).write_bytes(b"two")
    after = hash_files(tmp_path)
    assert after != before
    (tmp_path / name).rename(tmp_path / f"other {name}")
    assert hash_files(tmp_path) != after
    alone = tmp_path / f"other {name}"  # a model may be one file
    first = hash_files(alone)
    alone.write_bytes(b"three")
    assert hash_files(alone) != first


@pytest.fixture
def adapters(
    make_folder: Callable[..., Path],
    load_plain: Callable[[Path], tuple[Any, Any]],
    tmp_path: Path,
) -> list[Path]:
    """Two random adapters of different ranks on one base."""
    base, found = make_folder("llama"), []
    for rank in (4, 12):
        torch.manual_seed(rank)
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=4 * rank,
            target_modules=["q_proj", "v_proj"],
            init_lora_weights=False,
            base_model_name_or_path=str(base),
            task_type="CAUSAL_LM",
        )
        found.append(tmp_path / f"adapter {rank}")
        peft.get_peft_model(load_plain(base)[0], config).save_pretrained(found[-1])
        path = found[-1] / "adapter_config.json"
        named = json.loads(path.read_text()) | {"base_model_name_or_path": str(base)}
        path.write_text(json.dumps(named))
    return found


@pytest.mark.slow
def test_adapters_on_one_base_share_an_engine(
    engine: Engine,
    adapters: list[Path],
    make_folder: Callable[..., Path],
    survey_requests: Callable[..., list[LabelRequest]],
) -> None:
    """Each is asked by its own number, and gives PyTorch's numbers of that adapter; so does the
    base beside them."""
    folder = str(make_folder("llama"))
    room = VllmSettings(dtype="float32", other_adapters=tuple(map(str, adapters)))
    opened: list[VllmBackend] = []
    for adapter in (str(adapters[1]), None, str(adapters[0])):
        wanted = Opening(folder, replace(room, adapter=adapter), beside=opened)
        backend = open_vllm(wanted)
        assert isinstance(backend, VllmBackend)
        opened.append(backend)
    assert engine.openings == 1
    assert (engine.opened["max_loras"], engine.opened["max_lora_rank"]) == (2, 16)
    requests = survey_requests(Layout.QUESTION_FIRST)[:3]
    by_adapter = {}
    for backend, adapter in zip(opened, (adapters[1], None, adapters[0]), strict=True):  # type: ignore[assignment]
        here = TorchBackend.load(folder, adapter=adapter, device="cpu", dtype="float32")
        expected, found = dict(here.score(requests)), dict(backend.score(requests))
        for i in range(3):
            assert np.exp(found[i].log_probs) == pytest.approx(
                np.exp(expected[i].log_probs), abs=1e-5
            )
        by_adapter[adapter] = found[0].log_probs
    assert len({tuple(p.round(4)) for p in by_adapter.values()}) == 3, "the adapters differ"
    assert len({json.dumps(dict(b.fingerprint)) for b in opened}) == 3
    other = open_vllm(Opening(folder, VllmSettings(dtype="bfloat16"), beside=opened))
    assert isinstance(other, VllmBackend)
    assert engine.openings == 2, "another dtype is another engine"


@pytest.mark.slow
def test_modules_of_pluralism_share_the_engine_of_the_model_that_answers(
    engine: Engine, adapters: list[Path], make_folder: Callable[..., Path]
) -> None:
    engine.max_model_len = 2048
    questions = [Question("q", "Yes or no?", ("Yes", "No"), (1, 2), "S", "1")]

    def run(prefix: str, **more: Any) -> Prediction:
        modules = tuple(f"{prefix}:{a}" for a in adapters)
        return predict(
            questions,
            "SEX=Female",
            method="pluralism",
            modules=modules,
            comment_tokens=6,
            model=str(make_folder("llama")),
            dtype="float32",
            use_cache=False,
            **more,
        )

    def usage(prediction: Prediction) -> list[dict[str, int]]:
        return list(prediction.record["backend_usage"].values())

    there = run("vllm", backend="vllm")
    assert engine.openings == 1
    asked = [call.lora and call.lora.fields["lora_path"] for call in engine.calls]
    assert asked[:2] == [str(a) for a in adapters], "each module is asked once, with its adapter"
    assert set(asked[2:]) <= {None}, "chooser and answers: the base by itself"
    assert (there.record["retries"], there.record["parse_failures"]) == (0, 0)
    # a label of several tokens is asked for in several prompts, which the engine reads anew
    assert 0 < there.record["tokens_in"] <= sum(u["tokens_in"] for u in usage(there))
    here = run("torch", device="cpu")
    assert engine.openings == 1
    comments = [[c["comment"] for c in p.details[0]["comments"]] for p in (there, here)]
    assert comments[0] == comments[1]
    assert comments[0][0] != comments[0][1]
    # the modules may also run in vLLM beside a model that answers in this process
    run("vllm", device="cpu", context_length=1024)
    assert engine.opened["max_model_len"] == 1024
    assert engine.openings == 2
    assert len(engine.calls) == len(asked) + 2


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"peft_type": "LORA", "r": 600}, "does not take this adapter"),
        ({"peft_type": "IA3", "r": 8}, "does not take this adapter"),
        ({}, "holds no PEFT adapter"),
    ],
)
def test_adapters_vllm_does_not_take(
    config: dict[str, Any],
    says: str,
    engine: Engine,
    make_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    write_adapter(tmp_path, config)
    with pytest.raises(ModelError, match=says):
        VllmBackend(VllmSettings(str(make_folder("llama")), adapter=str(tmp_path)))


@pytest.mark.parametrize(
    "changed", [{"tensor_parallel": 0}, {"gpu_memory": 1.5}, {"context_length": 0}]
)
def test_settings_out_of_range(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="out of range"):
        VllmSettings("m", **changed)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_it_says_what_to_install() -> None:
    with pytest.raises(ModelError, match=r"needs vLLM") as caught:
        VllmBackend(VllmSettings("m"))
    assert "opinioncast[vllm]" in str(caught.value)
