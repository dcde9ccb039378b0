"""The signatures of vLLM that our calls rely on, read from its source without importing it.

``python tests/backends/vllm_signatures.py FOLDER VERSION`` records those of a vLLM folder (the one
that holds ``sampling_params.py``) in ``vllm_signatures.json``. Nothing is run: a wheel unpacked on
a machine without a GPU will do.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

RECORDED = Path(__file__).with_suffix(".json")
FUNCTIONS = {
    "LLM.__init__": "entrypoints/llm.py",
    "LLM.generate": "entrypoints/llm.py",
    "LLM.get_tokenizer": "entrypoints/llm.py",
}
CLASSES = {
    "SamplingParams": "sampling_params.py",
    "StructuredOutputsParams": "sampling_params.py",
    "LoRARequest": "lora/request.py",
    "EngineArgs": "engine/arg_utils.py",
    "Logprob": "logprobs.py",
    "CompletionOutput": "outputs.py",
    "TokensPrompt": "inputs/llm.py",
}


def read(folder: Path) -> dict[str, list[str]]:
    """Parameter names of each function and field names of each class, in order.

    A parameter that is keyword-only is written ``*name``; ``**kwargs`` stays ``**kwargs``.
    """
    found: dict[str, list[str]] = {}
    for name, file in FUNCTIONS.items():
        owner, method = name.split(".")
        for node in of_class(folder / file, owner).body:
            if isinstance(node, ast.FunctionDef) and node.name == method:
                a = node.args
                found[name] = [p.arg for p in (*a.posonlyargs, *a.args) if p.arg != "self"]
                found[name] += [f"*{p.arg}" for p in a.kwonlyargs]
                found[name] += [f"**{a.kwarg.arg}"] if a.kwarg else []
    for name, file in CLASSES.items():
        found[name] = [
            node.target.id
            for node in of_class(folder / file, name).body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
    source = (folder / "entrypoints/llm.py").read_text("utf-8")
    found["LLM attributes"] = [a for a in ("model_config",) if f"self.{a} =" in source]
    return found


def of_class(file: Path, name: str) -> ast.ClassDef:
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise LookupError(f"{file.name} has no class {name}")


if __name__ == "__main__":
    given, version = Path(sys.argv[1]), sys.argv[2]
    text = json.dumps({"version": version, "signatures": read(given)}, indent=1)
    RECORDED.write_text(text + "\n", "utf-8")
