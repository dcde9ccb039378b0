"""Train a community module: from a text corpus to an adapter folder for Modular Pluralism."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.catalogue import CATALOGUE, EMBEDDED, folder_of, label_of
from opinioncast.backends.torch_model import LoadedModel, load_model
from opinioncast.csv_files import write_csv
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.finetune.card import front_matter
from opinioncast.finetune.community import (
    CommunitySettings,
    CommunityTraining,
    Progress,
    forget_checkpoints,
    train_module,
)
from opinioncast.finetune.corpus import Corpus, read_corpus, token_blocks
from opinioncast.finetune.fingerprint import software
from opinioncast.finetune.model import DistributionModel, save_trained
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.output_folder import holds_folder

CARD = "README.md"
CURVE = "curve.csv"

LIMITS = """\
What this model writes is model output: nobody of the community wrote or approved it. It imitates
texts that somebody chose, which are not what the community thinks, and may repeat what is false,
hateful or private in them. It must not be used to speak for people or to target them."""


@dataclass(frozen=True)
class CommunityRun:
    """What :func:`train_community` made.

    Attributes:
        before, after: perplexity of the held-out documents, without and with the adapter.
        steps: updates.
        files: in ``folder``.
    """

    folder: Path
    before: float
    after: float
    steps: int
    files: tuple[Path, ...]


@holds_folder("train-community", apart=("checkpoints",))
def train_community(
    corpus: Path,
    out: Path,
    settings: CommunitySettings | None = None,
    *,
    model: str = EMBEDDED,
    device: str | None = None,
    dtype: str | None = None,
    terms: str = "not stated",
    progress: Progress | None = None,
) -> CommunityRun:
    """Train and write the adapter, its card, the loss curve and, last, the manifest to ``out``.

    A run that was killed goes on from ``out/checkpoints``, which is removed when all is written.
    A folder that holds the very run asked for is left as it is.

    Args:
        corpus: ``.txt``, ``.jsonl`` or a folder (:func:`read_corpus`).
        model: base: ``embedded``, a folder, or a hub name.
        terms: what may be done with the texts; the card repeats it.

    Raises:
        InputError: a corpus that cannot be read or is too small, a folder with another run.
        ModelError: the base cannot be loaded. StorageError: the folder cannot be written.
    """
    settings = settings or CommunitySettings()
    started = time.monotonic()
    texts = read_corpus(corpus)
    train_documents, held_documents = texts.split(settings.held_out, seed=settings.seed)
    loaded = load_model(
        folder_of(model),
        device=device,
        dtype=dtype,
        name=label_of(model),
    )
    fingerprint = {
        "corpus": texts.content_hash,
        "settings": hashlib.sha256(
            json.dumps(settings.record, sort_keys=True).encode()
        ).hexdigest(),
        "base model": loaded.weights_hash,
        "tokenizer": loaded.tokenizer_hash,
        "software": software(),
    }
    done = _finished(out, {"fingerprint": fingerprint, "terms": terms})
    if done is not None:
        return done
    train = _blocks(loaded, train_documents, settings, texts, "train on")
    held = _blocks(loaded, held_documents, settings, texts, "hold out")
    checkpoints = out / "checkpoints"
    training = train_module(
        loaded, train, held, settings, checkpoints, fingerprint, progress=progress
    )
    data = {
        "documents": len(texts.documents),
        "documents_held_out": len(held_documents),
        "documents_repeated": texts.repeated,
        "blocks": len(train),
        "blocks_held_out": len(held),
        "tokens": sum(map(len, train)),
        "corpus_sha256": texts.content_hash,
        "terms": terms,
    }
    card = _card(model, loaded, corpus.name, data, settings, training)
    files = _write(out, model, training, card)
    record = {
        "origin": "model trained on the texts of a community",
        "base_model": model,
        "corpus": corpus.name,
        **data,
        "settings": settings.record,
        "fingerprint": fingerprint,
        "steps": training.steps,
        "perplexity_before": training.before,
        "perplexity_after": training.after,
        "seconds": round(time.monotonic() - started, 1),
    }
    files.append(write_manifest(out, record, files))
    forget_checkpoints(checkpoints)
    return CommunityRun(out, training.before, training.after, training.steps, tuple(files))


def _blocks(
    loaded: LoadedModel,
    documents: Sequence[str],
    settings: CommunitySettings,
    corpus: Corpus,
    purpose: str,
) -> list[list[int]]:
    limit = getattr(loaded.causal.config.get_text_config(), "max_position_embeddings", None)
    if limit and settings.block_tokens > limit:
        raise InputError(
            "The blocks are longer than the model can read",
            where="--block-tokens",
            expected=f"{limit} at most",
            found=settings.block_tokens,
        )
    blocks = token_blocks(loaded.tokenizer, documents, settings.block_tokens, seed=settings.seed)
    if not blocks or max(map(len, blocks)) < 2:
        raise InputError(
            f"The corpus is too small to {purpose}",
            where=corpus.source,
            expected="two tokens or more",
            found=f"{sum(map(len, blocks))} tokens",
        )
    return blocks


def _finished(out: Path, asked: Mapping[str, Any]) -> CommunityRun | None:
    """The run that ``out`` holds whole already, if it is this one.

    Raises:
        InputError: it holds another run.
    """
    path = out / NAME
    try:
        manifest = read_document(path, "A manifest")
    except InputError:
        return None
    if not isinstance(manifest, dict):
        return None
    if any(manifest.get(key) != value for key, value in asked.items()):
        raise InputError(
            "The folder holds another run",
            where=str(path),
            expected="an empty folder, or the run of this corpus, settings, base model and terms",
            found=f"a module of {manifest.get('corpus', 'something else')}, "
            f"terms {manifest.get('terms')}",
            hint="give another folder with --out",
        )
    files = tuple(out / name for name in manifest["files"])
    if not all(file.is_file() for file in files):
        return None
    return CommunityRun(
        out,
        float(manifest["perplexity_before"]),
        float(manifest["perplexity_after"]),
        int(manifest["steps"]),
        (*files, path),
    )


def _write(out: Path, model: str, training: CommunityTraining, card: str) -> list[Path]:
    """Adapter, curve and card, one whole file after the other."""
    weights = {f"inner.{name}": tensor for name, tensor in training.weights.items()}
    files = save_trained(DistributionModel(training.model), weights, out, base=model)
    curve = pl.DataFrame(list(training.curve), infer_schema_length=None)
    files.append(write_csv(curve, out / CURVE, for_excel=False))
    files.append(out / CARD)
    with atomic_path(files[-1]) as temporary:
        temporary.write_text(card, "utf-8")
    return files


def _card(
    model: str,
    loaded: LoadedModel,
    corpus: str,
    data: dict[str, Any],
    settings: CommunitySettings,
    training: CommunityTraining,
) -> str:
    shipped = CATALOGUE.get(model)
    lora = settings.lora
    targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
    return front_matter(
        loaded.name, None if shipped is None else shipped.licence, adapter=True
    ) + "\n".join(
        [
            f"# Community module: {corpus}",
            "",
            "Continues text in the manner of one community's; a module of Modular Pluralism.",
            "",
            "```",
            "opinioncast predict QUESTIONNAIRE --method pluralism --modules FOLDER --modules OTHER",
            "```",
            "",
            f"* Base model: {loaded.name}. {'' if shipped is None else shipped.notice}".rstrip(),
            f"* Corpus: {corpus}, {data['documents']} documents ({data['documents_repeated']} "
            f"repeated ones left out), {data['tokens']} tokens trained on per epoch, SHA-256 "
            f"`{data['corpus_sha256']}`",
            f"* Terms of the texts: {data['terms']}",
            f"* Trained: LoRA rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g} on "
            f"{targets}; {settings.epochs} epochs, {training.steps} updates of "
            f"{settings.batch_blocks} blocks of {settings.block_tokens} tokens; AdamW, learning "
            f"rate {settings.learning_rate:g}",
            "",
            "## Held-out perplexity",
            "",
            f"{data['documents_held_out']} documents ({data['blocks_held_out']} blocks) that were "
            f"not trained on: {training.before:.2f} before, {training.after:.2f} after. It says "
            "how well the module continues such texts, not how well it predicts opinions.",
            "",
            "## Limits",
            "",
            LIMITS,
            "",
        ]
    )
