"""Label probabilities of the PyTorch backend against a plain computation of another make."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from opinioncast.backends import LabelRequest, LabelScores  # noqa: E402
from opinioncast.backends.protocol import can_score  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.trees import Pack  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402
from opinioncast.prompts import Answers, Format, Layout  # noqa: E402

TOLERANCE = 1e-4

Make = Callable[..., Path]
Requests = Callable[..., list[LabelRequest]]
Reference = Callable[..., list[np.ndarray[Any, Any]]]
LoadPlain = Callable[[Path], tuple[Any, Any]]


def load(folder: Path, **settings: Any) -> TorchBackend:
    return TorchBackend.load(folder, device="cpu", dtype="float32", **settings)


def score(backend: TorchBackend, requests: Sequence[LabelRequest]) -> list[LabelScores]:
    pairs = list(backend.score(requests))
    assert sorted(i for i, _ in pairs) == list(range(len(requests)))
    return [scores for _, scores in sorted(pairs, key=lambda pair: pair[0])]


def furthest(scores: Sequence[LabelScores], wanted: Sequence[np.ndarray[Any, Any]]) -> float:
    """Largest difference of any label's probability, or of any label's share."""
    return max(
        max(
            float(np.abs(np.exp(s.log_probs) - w).max()),
            float(np.abs(s.shares - w / w.sum()).max()),
            abs(s.mass - w.sum()),
        )
        for s, w in zip(scores, wanted, strict=True)
    )


PACKED = [
    *("llama", "mistral, window 12", "mistral, window 200", "qwen2", "qwen3"),
    *("gemma3, mixed", "gemma2, eager", "gpt2"),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", PACKED)
@pytest.mark.parametrize("layout", list(Layout))
def test_trees_equal_one_prompt_at_a_time(
    model: str,
    layout: Layout,
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
) -> None:
    folder = make_folder(model)
    requests = survey_requests(layout)
    wanted = reference(*load_plain(folder), requests)
    assert max(w.max() - w.min() for w in wanted) > 0.001  # the models have opinions
    for pack_tokens in (64, 700, 10_000):
        backend = load(folder, pack_tokens=pack_tokens)
        assert backend.shared_prefix
        assert furthest(score(backend, requests), wanted) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["single bytes", "opened and closed", "spaced"])
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("shared", [True, False])
def test_every_kind_of_tokenizer(
    tokenizer: str,
    layout: Layout,
    shared: bool,
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
) -> None:
    folder = make_folder("mistral, window 12", tokenizer)
    requests = survey_requests(layout)
    wanted = reference(*load_plain(folder), requests)
    assert furthest(score(load(folder, shared_prefix=shared), requests), wanted) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.BIO, Format.PORTRAY])
def test_every_format(
    format: Format,
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
) -> None:
    folder = make_folder("gemma3, mixed", "opened and closed")
    for layout in Layout:
        requests = survey_requests(layout, format)
        wanted = reference(*load_plain(folder), requests)
        assert furthest(score(load(folder), requests), wanted) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mamba", "mpt", "bloom"])
def test_families_that_cannot_be_packed_go_the_plain_way(
    model: str,
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
) -> None:
    folder = make_folder(model)
    backend = load(folder, pack_tokens=500)
    assert not backend.shared_prefix
    assert backend.probe_difference is not None
    assert backend.probe_difference > 0.01
    requests = survey_requests(Layout.QUESTION_FIRST)
    wanted = reference(*load_plain(folder), requests)
    assert furthest(score(backend, requests), wanted) < TOLERANCE
    with pytest.raises(ModelError, match="results change when prompts share"):
        load(folder, shared_prefix=True)


@pytest.mark.slow
def test_the_comparison_notices_a_forgotten_window(
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_folder("mistral, window 12")
    requests = survey_requests(Layout.PAPER)
    wanted = reference(*load_plain(folder), requests)
    whole = Pack.mask
    monkeypatch.setattr(Pack, "mask", lambda self, window=None: whole(self))
    assert not load(folder).shared_prefix
    backend = load(folder, shared_prefix=False)
    backend.shared_prefix = True
    assert furthest(score(backend, requests), wanted) > 100 * TOLERANCE


def test_the_probe_notices_branches_that_see_one_another(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Pack.mask

    def leaky(self: Pack, window: int | None = None) -> Any:
        return whole(replace(self, shared=torch.full_like(self.shared, 10_000)), window)

    monkeypatch.setattr(Pack, "mask", leaky)
    backend = load(make_folder("llama"))
    assert not backend.shared_prefix


@pytest.mark.slow
def test_prompts_past_a_long_window_are_probed_before_they_are_packed(
    make_folder: Make,
    survey_requests: Requests,
    reference: Reference,
    load_plain: LoadPlain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_folder("mistral, window 200", "single bytes")
    requests = survey_requests(Layout.PAPER)
    assert max(len(r.text) for r in requests) > 220
    wanted = reference(*load_plain(folder), requests)
    probes: list[int] = []
    probe = TorchBackend._probe

    def count(self: TorchBackend, length: int) -> float:
        probes.append(length)
        return probe(self, length)

    monkeypatch.setattr(TorchBackend, "_probe", count)
    backend = load(folder)
    assert furthest(score(backend, requests), wanted) < TOLERANCE
    assert furthest(score(backend, requests), wanted) < TOLERANCE
    assert probes == [128, 216]

    whole = Pack.mask
    monkeypatch.setattr(Pack, "mask", lambda self, window=None: whole(self))
    backend = load(folder)  # the short probe cannot notice that the window is forgotten
    assert backend.shared_prefix
    assert furthest(score(backend, requests), wanted) < TOLERANCE


@pytest.mark.slow
def test_probabilities_do_not_depend_on_batch_size_or_row_order(
    make_folder: Make, survey_requests: Requests
) -> None:
    folder = make_folder("gemma3, mixed", "opened and closed")
    requests = survey_requests(Layout.QUESTION_FIRST) + survey_requests(Layout.PAPER)
    first = score(load(folder), requests)
    for seed, pack_tokens in enumerate((1, 50, 400, 5_000)):
        order = list(range(len(requests)))
        random.Random(seed).shuffle(order)
        shuffled = score(load(folder, pack_tokens=pack_tokens), [requests[i] for i in order])
        for place, i in enumerate(order):
            assert shuffled[place].log_probs == pytest.approx(first[i].log_probs, abs=1e-5)


def test_a_request_alone_equals_itself_among_others(
    make_folder: Make, survey_requests: Requests
) -> None:
    backend = load(make_folder("qwen3"))
    requests = survey_requests(Layout.QUESTION_FIRST)
    together = score(backend, requests)
    for request, among in zip(requests, together, strict=True):
        (alone,) = score(backend, [replace(request, tree="")])
        assert alone.log_probs == pytest.approx(among.log_probs, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["merged bytes", "single bytes"])
@pytest.mark.parametrize("model", ["llama", "gemma3, mixed"])
@pytest.mark.parametrize("layout", list(Layout))
def test_answers_in_words(
    model: str,
    tokenizer: str,
    layout: Layout,
    make_folder: Make,
    survey_requests: Requests,
    word_reference: Reference,
    load_plain: LoadPlain,
) -> None:
    folder = make_folder(model, tokenizer)
    requests = survey_requests(layout, answers=Answers.WORDS)
    requests.append(LabelRequest("Is it so? Answer:", ("Agree", "Agree a lot", "No"), words=True))
    wanted = word_reference(*load_plain(folder), requests)
    assert max(w.max() - w.min() for w in wanted) > 0.001
    for shared in (True, False):
        scores = score(load(folder, shared_prefix=shared), requests)
        assert furthest(scores, wanted) < TOLERANCE


@pytest.mark.parametrize("shared", [True, False])
def test_labels_of_several_tokens_are_scored_as_sequences(
    shared: bool, make_folder: Make, reference: Reference, load_plain: LoadPlain
) -> None:
    folder = make_folder("qwen2", "single bytes")
    requests = [
        LabelRequest("Is it so? Answer:", ("Yes", "No", "Maybe"), "t"),
        LabelRequest("Is it not so? Answer:", ("Yes", "Yea"), "t"),
    ]
    wanted = reference(*load_plain(folder), requests)
    backend = load(folder, shared_prefix=shared)
    for scores, probabilities in zip(score(backend, requests), wanted, strict=True):
        assert scores.log_probs == pytest.approx(np.log(probabilities), abs=1e-3)


def test_every_label_mass_lies_between_none_and_all(
    make_folder: Make, survey_requests: Requests
) -> None:
    for scores in score(load(make_folder("llama")), survey_requests(Layout.PAPER)):
        assert 0 < scores.mass < 1
        assert scores.shares.sum() == pytest.approx(1)


def test_all_tokens_wanted_sum_to_one(make_folder: Make) -> None:
    backend = load(make_folder("llama", "single bytes"))
    hidden = torch.randn(3, 32)
    with torch.no_grad():
        rows = backend._project(hidden, [tuple(range(258))] * 3)
    assert [np.exp(row).sum() for row in rows] == pytest.approx([1, 1, 1])
    logits = backend._causal.lm_head(hidden).double().log_softmax(-1).detach().numpy()
    assert np.array(rows) == pytest.approx(logits, abs=1e-4)


def test_the_caller_stays_out_of_inference_mode(
    make_folder: Make, survey_requests: Requests
) -> None:
    for _ in load(make_folder("llama")).score(survey_requests(Layout.PAPER)):
        assert not torch.is_inference_mode_enabled()


def test_it_is_a_backend(make_folder: Make) -> None:
    backend = load(make_folder("llama"), name="tiny")
    assert can_score(backend)
    assert backend.name == "tiny"
    assert backend.fingerprint["dtype"] == "float32"
    assert list(backend.score([])) == []


def test_a_prompt_longer_than_the_model_can_read(make_folder: Make) -> None:
    backend = load(make_folder("llama", "single bytes", max_position_embeddings=160))
    (fits,) = score(backend, [LabelRequest("x" * 159, ("A", "B"))])
    assert fits.mass > 0
    with pytest.raises(ModelError, match="longer than the model can read") as caught:
        list(backend.score([LabelRequest("x" * 160, ("A", "B"))]))
    assert caught.value.expected == "160 tokens at most, with what is to follow"
    assert caught.value.found == "161 tokens"  # " A" puts one more behind the prompt
    assert caught.value.hint


def test_chat_needs_a_template(make_folder: Make) -> None:
    backend = load(make_folder("llama"))
    assert not backend.has_chat_template
    with pytest.raises(ModelError, match="no chat template"):
        backend.chat_text("Hello")


def test_a_chat_template_that_opens_the_text_is_not_opened_twice(make_folder: Make) -> None:
    backend = load(make_folder("llama", "opened and closed"))
    backend.loaded.tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}[model]{% endif %}"
    )
    text = backend.chat_text("Hello")
    assert text == "<s>[user]Hello[model]"
    begin, end = (backend.loaded.tokenizer.convert_tokens_to_ids(t) for t in ("<s>", "</s>"))
    assert backend.token_ids(text).count(begin) == 1
    assert backend.token_ids("Hello")[0] == begin
    assert end not in backend.token_ids("Hello")
