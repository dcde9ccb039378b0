"""The API backend: label probabilities over HTTP are the model's own, or bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.backends.service import ModelService, Service, made_up

pytest.importorskip("httpx")
torch = pytest.importorskip("torch")

from opinioncast.backends import LabelRequest  # noqa: E402
from opinioncast.backends.api import ApiBackend  # noqa: E402
from opinioncast.backends.api_answers import scores_from_list  # noqa: E402
from opinioncast.backends.api_journal import Journal  # noqa: E402
from opinioncast.backends.api_settings import ApiSettings  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.errors import ModelError, ServiceError  # noqa: E402
from opinioncast.prompts import Layout  # noqa: E402

LABELS = ("A", "B", "C")


def log(**chances: float) -> list[tuple[str, float]]:
    listed = [(name.replace("_", " "), math.log(p)) for name, p in chances.items()]
    return sorted(listed, key=lambda pair: -pair[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "scoring", "takes"),
    [
        ("vllm", "auto", "token-ids"),
        ("vllm", "echo", "echo"),
        ("llama.cpp", "auto", "top"),
        ("echo", "auto", "echo"),
    ],
)
@pytest.mark.parametrize("tokenizer", ["merged bytes", "opened and closed"])
def test_the_same_numbers_as_in_this_process(
    kind: str,
    scoring: Any,
    takes: str,
    tokenizer: str,
    make_folder: Callable[..., Path],
    load_plain: Callable[[Path], tuple[Any, Any]],
    survey_requests: Callable[..., list[LabelRequest]],
) -> None:
    """Probabilities within 1e-4 (both float32; the lists of llama.cpp's kind are whole here)."""
    folder = make_folder("llama", tokenizer)
    requests = survey_requests(Layout.QUESTION_FIRST)
    here = dict(TorchBackend.load(folder, device="cpu", dtype="float32").score(requests))
    with ModelService(*load_plain(folder), kind) as service:
        ready = ApiBackend(ApiSettings(service.base_url, "m", scoring=scoring))
        there = dict(ready.score(requests))
    assert ready.usage["service"]["scoring /completions"]["scoring"] == takes
    for i in range(len(requests)):
        assert there[i].unlisted < 1e-6
        assert np.exp(there[i].log_probs) == pytest.approx(np.exp(here[i].log_probs), abs=1e-4)


def test_answers_in_words_are_not_asked_of_a_service() -> None:
    """It says the probability of tokens that follow a text, not of the walk through the options."""
    with Service(made_up) as service:
        backend = ApiBackend(ApiSettings(service.base_url, "m"))
        with pytest.raises(ModelError, match="letters only"):
            list(backend.score([LabelRequest("Answer:", ("Yes", "No"), words=True)]))


@pytest.mark.slow
def test_a_short_list_is_refused_where_it_leaves_too_much_open(
    make_folder: Callable[..., Path],
    load_plain: Callable[[Path], tuple[Any, Any]],
    survey_requests: Callable[..., list[LabelRequest]],
) -> None:
    """Five tokens of a random model say little: no row comes out as if the rest were zero."""
    folder = make_folder("llama")
    requests = survey_requests(Layout.QUESTION_FIRST)
    here = dict(TorchBackend.load(folder, device="cpu", dtype="float32").score(requests))
    with ModelService(*load_plain(folder), "openai") as service:
        strict = ApiBackend(ApiSettings(service.base_url, "m"))
        found = dict(strict.score(requests))
        assert all(
            np.isnan(s.log_probs).all() and "could move" in s.why_not for s in found.values()
        )
        assert strict.usage["prompts_refused_for_unlisted_labels"] == len(requests)
        loose = ApiBackend(ApiSettings(service.base_url, "m", unlisted_tolerance=1.0))
        allowed = dict(loose.score(requests))
    told = [i for i, s in allowed.items() if not s.why_not]
    for i in told:  # and where a row is wanted all the same, its bound holds
        assert np.abs(allowed[i].shares - here[i].shares).max() <= allowed[i].unlisted


def test_what_is_listed_is_added_up_over_spellings() -> None:
    scores = scores_from_list(
        log(A=0.2, _A=0.3, B=0.1, _B=0.1, C=0.05, _C=0.05, other=0.2), LABELS, tolerance=0.0
    )
    assert np.exp(scores.log_probs) == pytest.approx([0.5, 0.2, 0.1])
    assert scores.unlisted == 0


def test_sentence_piece_and_byte_spellings_count() -> None:
    listed = [("▁A", math.log(0.5)), ("ĠB", math.log(0.3)), ("C", math.log(0.2))]
    scores = scores_from_list(listed, LABELS, tolerance=1.0)
    assert np.exp(scores.log_probs) == pytest.approx([0.5, 0.3, 0.2])


def test_a_label_that_is_not_listed_is_put_at_its_bound() -> None:
    # C is not listed: two spellings of at most 0.001 each. A and B lack one spelling each.
    scores = scores_from_list(log(_A=0.5, _B=0.4, x=0.001), LABELS, tolerance=0.01)
    assert np.exp(scores.log_probs) == pytest.approx([0.5, 0.4, 0.002])
    assert scores.unlisted == pytest.approx(0.004 / 0.904)


def test_the_leftover_is_a_bound_too() -> None:
    scores = scores_from_list(log(_A=0.5, _B=0.4, x=0.0995), LABELS, tolerance=0.01)
    assert np.exp(scores.log_probs[2]) == pytest.approx(0.0005)
    assert scores.unlisted == pytest.approx(0.0005 / 0.9005)


def test_a_drawn_token_beyond_the_list_is_no_bound() -> None:
    listed = log(_A=0.5, _B=0.3, x=0.01, odd=0.0001)
    careful = scores_from_list(listed, LABELS, tolerance=1.0, drawn="odd")
    careless = scores_from_list(listed, LABELS, tolerance=1.0)
    assert careful.unlisted > 50 * careless.unlisted


def test_a_lone_space_may_begin_a_label() -> None:
    listed = [(" ", math.log(0.2)), ("A", math.log(0.5)), ("B", math.log(0.2)), ("C", -3.0)]
    assert scores_from_list(listed, LABELS, tolerance=1.0).unlisted >= 0.2 / 1.2
    known = [*listed, (" B", math.log(0.02))]  # this tokenizer has a token for it
    assert scores_from_list(known, LABELS, tolerance=1.0).unlisted < 0.1


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_holds_whatever_was_not_listed(seed: int) -> None:
    """Cut a full distribution at k tokens: true shares are within the bound of what comes out."""
    rng = np.random.default_rng(seed)
    names = [f"{s}{label}" for label in LABELS for s in ("", " ")] + [f"w{i}" for i in range(60)]
    chances = rng.dirichlet([0.2] * len(names))
    true = np.array([chances[2 * i] + chances[2 * i + 1] for i in range(3)])
    order = np.argsort(-chances)
    for k in (3, 10, 30, 66):
        listed = [(names[i], float(np.log(chances[i]))) for i in order[:k]]
        scores = scores_from_list(listed, LABELS, tolerance=1.0)
        if scores.why_not:
            continue
        assert np.abs(scores.shares - true / true.sum()).max() <= scores.unlisted + 1e-9


def test_nothing_listed_is_refused_at_any_tolerance() -> None:
    scores = scores_from_list(log(x=0.9, y=0.05), LABELS, tolerance=1.0)
    assert np.isnan(scores.log_probs).all()
    assert "A, B, C" in scores.why_not


def test_a_wrong_model_name_is_told(tmp_path: Path) -> None:
    def answer(path: str, payload: dict[str, Any]) -> Any:
        return 404, {}, {"error": {"message": f"The model `{payload['model']}` does not exist"}}

    with Service(answer) as service, pytest.raises(ServiceError, match="does not exist") as caught:
        list(ApiBackend(ApiSettings(service.base_url, "tpyo")).score([LabelRequest("x", LABELS)]))
    assert "The model `tpyo` does not exist" in str(caught.value)
    assert "check --model" in str(caught.value)


@pytest.mark.slow
def test_a_service_set_up_anew_is_asked_anew(tmp_path: Path) -> None:
    """It listed 20 tokens, now it lists 5: the first run fails and says so, the next one knows."""
    longest = [20]
    requests = [LabelRequest(f"Prompt {i}", LABELS) for i in range(3)]
    with Service(lambda path, payload: made_up(path, payload, longest=longest[0])) as service:

        def run(part: slice) -> ApiBackend:
            journal = Journal(tmp_path / "answers.sqlite")
            ready = ApiBackend(ApiSettings(service.base_url, "m"), journal=journal)
            try:
                list(ready.score(requests[part]))
            finally:
                ready.close()
            return ready

        assert run(slice(0, 1)).usage["service"]["scoring /completions"]["listed"] == 20
        longest[0] = 5
        with pytest.raises(ServiceError, match="400"):
            run(slice(1, 2))
        asked = len(service.asked)
        assert run(slice(0, 3)).usage["service"]["scoring /completions"]["listed"] >= 5
        assert len(service.asked) > asked
    assert service.prompts["Prompt 0"] == 2, "a list cut elsewhere is another question"


@pytest.mark.slow
def test_the_embedded_model_over_http(
    embedded_folder: Path, embedded_float32: TorchBackend
) -> None:
    """The embedded model in float32: shares within 1e-3, label probabilities within 1e-4."""
    import transformers
    from tests.backends.conftest import GROUPS, QUESTIONS

    from opinioncast.prompts import Prompting, build_prompt

    prompts = [build_prompt(q, g, GROUPS, Prompting()) for q in QUESTIONS for g in GROUPS]
    requests = [LabelRequest(p.text, p.labels, p.tree) for p in prompts]
    here = dict(embedded_float32.score(requests))
    model = transformers.AutoModelForCausalLM.from_pretrained(embedded_folder, dtype=torch.float32)
    tokenizer = embedded_float32.loaded.tokenizer
    for kind in ("vllm", "llama.cpp"):
        with ModelService(model.eval(), tokenizer, kind) as service:
            ready = ApiBackend(ApiSettings(service.base_url, "m"))
            there = dict(ready.score(requests))
        for i, scores in there.items():
            assert scores.unlisted < 0.01
            assert scores.shares == pytest.approx(here[i].shares, abs=1e-3 + scores.unlisted)
            if kind == "vllm":
                assert scores.shares == pytest.approx(here[i].shares, abs=1e-3)
                assert np.exp(scores.log_probs) == pytest.approx(
                    np.exp(here[i].log_probs), abs=1e-4
                )
