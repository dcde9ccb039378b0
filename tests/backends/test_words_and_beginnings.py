"""Options in words read to their end, and prompts opened once, whatever the tokenizer.

The tokenizers are trained on the spot, of every kind and with random habits; what a plan reads is
held against the tokens of whole texts, and a chat text against transformers' own tokens of it.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from tokenizers import (  # noqa: E402
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from opinioncast.backends.labels import plan_words  # noqa: E402
from opinioncast.backends.prompt_tokens import TEMPLATE_DATE, PromptTokenizer  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402

WORDS = ("agree", "Agree", "strongly", "Not", "at", "all", "a", "lot", "no", "Somewhat", "so-so")
TEXT = [f"Question: is it so?\n\nAnswer: {' '.join(p)}\n" for p in pairwise(WORDS * 3)]
SPECIAL = ["<unk>", "<s>", "</s>", "<x>", "<y>", "<user>", "<model>"]
SPACES = ("kept", "one", "stripped", "lost")


@cache
def tokenizer(kind: str, breaks: str, size: int) -> Any:
    """A small tokenizer. ``breaks``: what it makes of a line break, in its own way."""
    model, trainer = {
        "bytes": (models.BPE(), trainers.BpeTrainer),
        "spaced": (models.BPE(unk_token="<unk>"), trainers.BpeTrainer),
        "unigram": (models.Unigram(), trainers.UnigramTrainer),
        "pieces": (models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer),
        "words": (models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer),
    }[kind]
    raw = Tokenizer(model)
    if breaks == "one":  # a line break is a space
        raw.normalizer = normalizers.Replace("\n", " ")
    elif breaks == "stripped":
        raw.normalizer = normalizers.Strip()
    elif breaks == "lost":
        raw.normalizer = normalizers.Replace("\n", "")
    if kind == "bytes":
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
    elif kind in ("spaced", "unigram"):
        raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    elif kind == "pieces":
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        raw.pre_tokenizer = pre_tokenizers.Whitespace()
    options: dict[str, Any] = {"special_tokens": SPECIAL, "show_progress": False}
    if kind == "bytes":
        options["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    if kind == "unigram":
        options["unk_token"] = "<unk>"
    raw.train_from_iterator(TEXT * 3, trainer(vocab_size=size, **options))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


KINDS = st.sampled_from(["bytes", "spaced", "unigram", "pieces", "words"])
OPTIONS = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
    min_size=2,
    max_size=5,
    unique=True,
)


@pytest.mark.slow
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(KINDS, st.sampled_from(SPACES), st.sampled_from([120, 300]), OPTIONS, st.integers(0, 99))
def test_options_in_words_are_read_to_their_end_or_refused(
    kind: str, breaks: str, size: int, options: list[str], seed: int
) -> None:
    built = tokenizer(kind, breaks, size)
    context = "Question: is it so?\n\nAnswer:"
    plan, refusal = None, None
    try:
        plan = plan_words(built, context, options)
    except ModelError as error:
        refusal = error
    if plan is None:
        bare = [built(f"Answer: {o}", add_special_tokens=False)["input_ids"] for o in options]
        begins = any(a != b and b[: len(a)] == a for a in bare for b in bare)
        same = len(set(map(tuple, bare))) < len(bare)
        unknown = any(built.unk_token_id in ids for ids in bare)
        assert begins or same or unknown, f"refused without need: {refusal}"
        assert same or unknown or (refusal is not None and refusal.hint)
        return
    # what is said somewhere is said once: shares add up to what the first fork holds
    draw = np.random.default_rng(seed)
    read = [np.log(draw.dirichlet(np.ones(len(wanted)))) for wanted in plan.wanted]
    assert np.exp(plan.log_probs(read)).sum() == pytest.approx(1)
    # and every end that is read is one: a space goes on with other words
    for option, path in zip(options, plan.paths, strict=True):
        longer = [o for o in options if o.startswith(f"{option} ")]
        if longer:
            whole = built(f"{context} {option}\n", add_special_tokens=False)["input_ids"]
            spaced = built(f"{context} {option} ", add_special_tokens=False)["input_ids"]
            assert whole != spaced
            continuation, at = path[0][-1]
            assert plan.wanted[continuation][at] in whole


def test_an_option_whose_end_has_no_token_is_refused_where_it_begins_another() -> None:
    for breaks in ("one", "stripped", "lost"):
        for kind in ("bytes", "spaced", "unigram"):
            built = tokenizer(kind, breaks, 300)
            with pytest.raises(ModelError, match="begins another") as caught:
                plan_words(built, "Answer:", ("Agree", "Agree strongly"))
            assert "letter" in str(caught.value.hint)
            assert plan_words(built, "Answer:", ("Agree", "Not at all")).forks
    for kind in ("pieces", "words"):  # to both, a line break is white space
        with pytest.raises(ModelError, match="begins another"):
            plan_words(tokenizer(kind, "kept", 300), "Answer:", ("Agree", "Agree strongly"))


def test_an_answer_in_a_chat_ends_with_the_models_turn() -> None:
    """A chat model puts no line break behind "Agree": its turn ends."""
    built = tokenizer("bytes", "kept", 300)
    built.chat_template = (
        "<s>{% for m in messages %}<{{ 'user' if m.role == 'user' else 'model' }}>{{ m.content }}"
        "{% if m.role != 'user' %}<x>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<model>{% endif %}"
    )
    try:
        prompts = PromptTokenizer(built)
        text = prompts.chat_text("Is it so?")
        plan = prompts.plan(text, ("Agree", "Agree strongly"), words=True)
        assert built.convert_tokens_to_ids("<x>") in plan.wanted[-1]
        plain = prompts.plan("Is it so?\nAnswer:", ("Agree", "Agree strongly"), words=True)
        assert built.convert_tokens_to_ids("<x>") not in plain.wanted[-1]
    finally:
        built.chat_template = None


TOKENS = st.lists(st.sampled_from(SPECIAL[1:]), max_size=3).map("".join)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(KINDS, TOKENS, TOKENS, TOKENS, st.sampled_from(["", "System: be brief.\n"]))
def test_a_chat_text_is_opened_as_its_template_opens_it(
    kind: str, opening: str, before: str, after: str, system: str
) -> None:
    """However many special tokens tokenizer and template write before a text."""
    raw = Tokenizer.from_str(tokenizer(kind, "kept", 300).backend_tokenizer.to_str())
    built = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="</s>", unk_token="<unk>"
    )
    if opening:
        parts = opening.replace("><", "> <").split()
        raw.post_processor = processors.TemplateProcessing(
            single=" ".join([*parts, "$A"]), special_tokens=[(p, raw.token_to_id(p)) for p in parts]
        )
        built = transformers.PreTrainedTokenizerFast(
            tokenizer_object=raw, eos_token="</s>", unk_token="<unk>"
        )
    body = "{% for m in messages %}{{ m.content }}{% endfor %}"
    built.chat_template = f"{{{{ '{system}' }}}}{before}{body}{after}"
    prompts = PromptTokenizer(built)
    text = prompts.chat_text("Is it so?")
    whole = built.apply_chat_template(
        [{"role": "user", "content": "Is it so?"}], add_generation_prompt=True, tokenize=True
    )
    ids = whole["input_ids"] if hasattr(whole, "keys") else whole
    if before or after or system:
        assert list(prompts.ids(text)) == list(ids)
    plain = built("agree")["input_ids"]
    assert list(prompts.ids("agree")) == list(plain)


def test_glms_two_special_tokens_come_once() -> None:
    raw = Tokenizer.from_str(tokenizer("bytes", "kept", 300).backend_tokenizer.to_str())
    raw.post_processor = processors.TemplateProcessing(
        single="<x> <y> $A", special_tokens=[(t, raw.token_to_id(t)) for t in ("<x>", "<y>")]
    )
    built = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>")
    built.chat_template = "<x><y>{% for m in messages %}<user>{{ m.content }}{% endfor %}<model>"
    prompts = PromptTokenizer(built)
    ids = prompts.ids(prompts.chat_text("agree"))
    x, y = (built.convert_tokens_to_ids(t) for t in ("<x>", "<y>"))
    assert ids[:2] == (x, y)
    assert ids.count(x) == ids.count(y) == 1
    assert prompts.ids("agree")[:2] == (x, y)


def test_a_template_that_writes_todays_date_writes_the_same_one_tomorrow() -> None:
    raw = Tokenizer.from_str(tokenizer("bytes", "kept", 300).backend_tokenizer.to_str())
    built = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>")
    body = "{% for m in messages %}<user>{{ m.content }}{% endfor %}<model>"
    built.chat_template = "<s>Today: {{ strftime_now('%d %b %Y') }}\n" + body
    prompts = PromptTokenizer(built)
    text = prompts.chat_text("agree")
    assert text.startswith(f"<s>Today: {TEMPLATE_DATE:%d %b %Y}\n")
    assert dt.datetime.now().strftime("%d %b %Y") not in text
    assert prompts.template_date == TEMPLATE_DATE.isoformat()
    built.chat_template = "<s>" + body
    assert PromptTokenizer(built).template_date is None


def test_a_template_that_fails_says_so() -> None:
    raw = Tokenizer.from_str(tokenizer("bytes", "kept", 300).backend_tokenizer.to_str())
    built = transformers.PreTrainedTokenizerFast(tokenizer_object=raw)
    built.chat_template = "{{ raise_exception('I want a system message') }}"
    with pytest.raises(ModelError, match="template fails") as caught:
        PromptTokenizer(built).chat_text("agree")
    assert "system message" in str(caught.value.found)
