"""Tiny random models and tokenizers, and a plain computation to hold the backend against.

The reference knows nothing of trees, packs or plans: one prompt at a time, the model's own full
vocabulary, and label ids taken by writing the label behind the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from opinioncast.backends import LabelRequest  # noqa: E402
from opinioncast.prompts import Answers, Format, Layout, Prompting, build_prompt  # noqa: E402
from opinioncast.survey.groups import load_groups  # noqa: E402
from opinioncast.survey.question import Question  # noqa: E402

CORPUS = [
    "Question: Is this a test?\nA. Yes\nB. No\nC. Refused\nAnswer as a choice between A.,B.,C.\n",
    "Asked of: region: South\nAnswer: A\nAnswer: B\nAnswer: C\nAnswer: D\nAnswer: E",
    "Which part of the United States do you currently live in?\nAnswer: A. Northeast",
] * 5
GROUPS = load_groups(
    *("CREGION=South", "RELIG=Nothing in particular", "SEX=Female & RACE=Black", "total")
)
QUESTIONS = (
    Question("afterlife", "Is there a life after death?", ("Yes", "No")),
    Question("trust", "Can people be trusted?", ("Always", "Mostly", "Sometimes", "Never")),
)


def wrap(raw: Any, **special: str) -> Any:
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **special)


def byte_tokenizer(merged: int) -> Any:
    """Byte-level BPE. With merges " A" is one token; without, it is two."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    raw.train_from_iterator(
        CORPUS,
        tokenizers.trainers.BpeTrainer(
            vocab_size=258 + merged,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<s>", "</s>"],
            show_progress=False,
        ),
    )
    return wrap(raw, bos_token="<s>", eos_token="</s>")


def opened_tokenizer() -> Any:
    """As Llama's and Gemma's do, it opens a text with <s>; as some do, it also closes it."""
    tokenizer = byte_tokenizer(120)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<s>", "</s>")}
    tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=list(ids.items())
    )
    return tokenizer


def spaced_tokenizer() -> Any:
    """Like SentencePiece: a space is put before every text and is part of its first token."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always")
    raw.decoder = tokenizers.decoders.Metaspace(prepend_scheme="always")
    raw.train_from_iterator(
        CORPUS,
        tokenizers.trainers.BpeTrainer(
            vocab_size=200,
            initial_alphabet=[chr(i) for i in range(33, 127)] + ["\n", "▁"],
            special_tokens=["<unk>", "<s>"],
            show_progress=False,
        ),
    )
    tokenizer = wrap(raw, bos_token="<s>", unk_token="<unk>")
    tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.convert_tokens_to_ids("<s>"))]
    )
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "merged bytes": lambda: byte_tokenizer(120),
    "single bytes": lambda: byte_tokenizer(0),
    "opened and closed": opened_tokenizer,
    "spaced": spaced_tokenizer,
}

_SMALL = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "initializer_range": 0.35,
    "pad_token_id": 0,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _SMALL),
    "mistral, window 12": ("MistralConfig", _SMALL | {"sliding_window": 12}),
    "mistral, window 200": ("MistralConfig", _SMALL | {"sliding_window": 200}),
    "qwen2": ("Qwen2Config", _SMALL),
    "qwen3": ("Qwen3Config", _SMALL | {"head_dim": 8}),
    "gemma3, mixed": (
        "Gemma3TextConfig",
        _SMALL
        | {
            "head_dim": 8,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "gemma2, eager": (
        "Gemma2Config",
        _SMALL | {"head_dim": 8, "sliding_window": 12, "attn_implementation": "eager"},
    ),
    "gpt2": (
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.35},
    ),
    "mamba": (
        "MambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.35},
    ),
    "mpt": ("MptConfig", {"d_model": 32, "n_heads": 4, "n_layers": 2, "initializer_range": 0.35}),
    "bloom": (
        "BloomConfig",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.35},
    ),
}


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save a tiny model and its tokenizer to a folder; each combination is made once."""
    made: dict[tuple[Any, ...], Path] = {}

    def make(model: str, tokenizer: str = "merged bytes", **changed: Any) -> Path:
        key = (model, tokenizer, *sorted(changed.items()))
        if key not in made:
            built = TOKENIZERS[tokenizer]()
            kind, settings = CONFIGS[model]
            config = getattr(transformers, kind)(vocab_size=len(built), **(settings | changed))
            torch.manual_seed(7)
            folder = tmp_path_factory.mktemp("model")
            transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            built.save_pretrained(folder)
            made[key] = folder
        return made[key]

    return make


@pytest.fixture(scope="session")
def survey_requests() -> Callable[..., list[LabelRequest]]:
    """Prompts of two questions and four groups, of unequal lengths, in one style."""

    def make(
        layout: Layout, format: Format = Format.QA, answers: Answers = Answers.LETTERS
    ) -> list[LabelRequest]:
        style = Prompting(layout, format, answers=answers)
        prompts = [
            build_prompt(question, group, GROUPS, style)
            for question in QUESTIONS
            for group in GROUPS
        ]
        return [LabelRequest(p.text, p.labels, p.tree, p.words) for p in prompts]

    return make


@pytest.fixture(scope="session")
def reference() -> Callable[..., list[np.ndarray[Any, Any]]]:
    """Label probabilities of each request, one prompt at a time with full-vocabulary softmax."""

    def label_probabilities(
        model: Any, tokenizer: Any, requests: Sequence[LabelRequest]
    ) -> list[np.ndarray[Any, Any]]:
        opening = (
            [tokenizer.bos_token_id]
            if tokenizer("A")["input_ids"][0] == (tokenizer.bos_token_id)
            else []
        )
        found = []
        for request in requests:
            bare = tokenizer(request.text, add_special_tokens=False)["input_ids"]
            row = []
            for label in request.labels:
                spellings = set()
                for said in (label, " " + label):
                    whole = tokenizer(request.text + said, add_special_tokens=False)["input_ids"]
                    assert whole[: len(bare)] == bare, "the tests' texts are not merged across"
                    spellings.add(tuple(whole[len(bare) :]))
                total = 0.0
                for spelling in spellings:
                    ids = torch.tensor([opening + bare + list(spelling)])
                    with torch.no_grad():
                        probabilities = model(ids).logits[0].double().softmax(-1)
                    at = len(opening) + len(bare) - 1
                    chain = [probabilities[at + i, t].item() for i, t in enumerate(spelling)]
                    total += float(np.prod(chain))
                row.append(total)
            found.append(np.array(row))
        return found

    return label_probabilities


@pytest.fixture(scope="session")
def word_reference() -> Callable[..., list[np.ndarray[Any, Any]]]:
    """Option probabilities of requests in words, one whole prompt with one option at a time.

    Where options part for the first time, the probability counts as the model gives it; where they
    part again, among the tokens that an option can go on with.
    """

    def option_probabilities(
        model: Any, tokenizer: Any, requests: Sequence[LabelRequest]
    ) -> list[np.ndarray[Any, Any]]:
        found = []
        for request in requests:
            bare = tokenizer(request.text, add_special_tokens=False)["input_ids"]
            said = []
            for label in request.labels:
                whole = tokenizer(f"{request.text} {label}\n", add_special_tokens=False)[
                    "input_ids"
                ]
                assert whole[: len(bare)] == bare, "the tests' texts are not merged across"
                said.append(whole[len(bare) :])
            row = []
            for tokens in said:
                with torch.no_grad():
                    logits = model(torch.tensor([bare + tokens])).logits[0].double()
                share, parted = 1.0, False
                for i, token in enumerate(tokens):
                    can = {o[i] for o in said if o[:i] == tokens[:i] and len(o) > i}
                    if len(can) == 1:
                        continue
                    here = logits[len(bare) - 1 + i].softmax(-1)
                    share *= here[token].item()
                    if parted:
                        share /= sum(here[c].item() for c in can)
                    parted = True
                row.append(share)
            found.append(np.array(row))
        return found

    return option_probabilities


@pytest.fixture(scope="session")
def load_plain() -> Callable[[Path], tuple[Any, Any]]:
    """Model and tokenizer of a folder the ordinary way, in float32."""

    def load(folder: Path) -> tuple[Any, Any]:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)

    return load
