"""Real HTTP services on loopback for tests: one with made-up answers, one with a real model.

Both count every request. The model is run one prompt at a time, by its own forward pass: nothing of
the PyTorch backend is used, so equal numbers mean something.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import numpy as np

Answer = tuple[int, Mapping[str, str], Any]
"""Status, headers, and a body: JSON values, or bytes as they are."""
Body = dict[str, Any]

DROP = "drop"
"""In place of an answer: the connection is closed without a word."""


class Service:
    """Answers POSTs with ``answer(path, payload)`` on 127.0.0.1; use it in a ``with``.

    Attributes:
        faults: taken one a request before ``answer`` is asked; None lets a request through.
        asked: (path, payload) of every request, in the order they came.
    """

    def __init__(self, answer: Callable[[str, Body], Answer]) -> None:
        self.faults: deque[Answer | str | None] = deque()
        self.asked: list[tuple[str, Body]] = []
        self.headers: list[dict[str, str]] = []
        self.answered = 0
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one packet: two would wait for each other

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                payload = json.loads(self.rfile.read(size))
                with service._lock:
                    service.asked.append((self.path, payload))
                    service.headers.append(dict(self.headers))
                    fault = service.faults.popleft() if service.faults else None
                if fault == DROP:
                    self.close_connection = True
                    self.connection.close()
                    return
                found = answer(self.path, payload) if fault is None else fault
                assert not isinstance(found, str), found
                status, headers, body = found
                sent = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                try:
                    self.wfile.write(sent)
                    self.wfile.flush()
                    with service._lock:
                        service.answered += fault is None
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the run was killed

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a run that was killed closes its connections

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def prompts(self) -> Counter[str]:
        """How often each prompt was asked (what the backend asks of itself to begin with left
        out)."""
        return Counter(
            text
            for path, payload in self.asked
            if path.endswith("/completions") and not is_probe(text := prompt_of(payload))
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def prompt_of(payload: Body) -> str:
    turns = payload.get("messages")
    return str(turns[0]["content"] if turns else payload.get("prompt", ""))


def is_probe(text: str) -> bool:
    return text.startswith("Question: Is this a test?\nA. Yes\nB. No\n\nAnswer:")


def completion(payload: Body, listed: dict[str, float], text: str = " A") -> Body:
    """An answer of ``/completions`` with these tokens and log-probabilities at its one place."""
    return {
        "object": "text_completion",
        "choices": [
            {
                "index": 0,
                "text": text,
                "finish_reason": "length",
                "logprobs": {
                    "tokens": [text],
                    "token_logprobs": [listed.get(text)],
                    "top_logprobs": [listed],
                },
            }
        ],
        "usage": {"prompt_tokens": len(payload.get("prompt", "")) // 4, "completion_tokens": 1},
    }


def chat_answer(payload: Body, listed: dict[str, float] | None, text: str = "A") -> Body:
    """An answer of ``/chat/completions``."""
    place = [
        {
            "token": text,
            "logprob": (listed or {}).get(text),
            "top_logprobs": [{"token": t, "logprob": p} for t, p in (listed or {}).items()],
        }
    ]
    return {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": {"content": place} if listed else None,
            }
        ],
        "usage": {"prompt_tokens": len(prompt_of(payload)) // 4, "completion_tokens": 1},
    }


def made_up(path: str, payload: Body, *, longest: int = 20) -> Answer:
    """A service that lists up to ``longest`` tokens; its probabilities hang on the prompt alone."""
    if path != "/v1/completions" or payload.get("echo"):
        return 404, {}, {"error": {"message": "no such thing"}}
    if (payload.get("logprobs") or 0) > longest:
        return 400, {}, {"error": {"message": f"logprobs above {longest}"}}
    return 200, {}, completion(payload, made_up_list(payload["prompt"]))


def made_up_list(prompt: str) -> dict[str, float]:
    """20 tokens: " A" to " J" share 0.98 about evenly, so that no share hangs on the order of the
    options (it would be a problem). The rest are too unlikely to matter."""
    seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
    shares = 0.98 * np.random.default_rng(seed).dirichlet([40.0] * 10)
    listed = {f" {chr(65 + i)}": float(np.log(s)) for i, s in enumerate(shares)}
    return listed | {f"word{i}": float(np.log(1e-5)) for i in range(10)}


class ModelService(Service):
    """A causal model behind the API, as one of several kinds of server.

    Args:
        kind: ``vllm`` (token ids, echo, lists of 20), ``llama.cpp`` (lists of any length in its own
            shape), ``echo`` (no more than OpenAI's first API had: lists of 5, echo), ``openai``
            (lists of 5 only).
    """

    def __init__(self, model: Any, tokenizer: Any, kind: str) -> None:
        super().__init__(self._answer)
        self.model, self.tokenizer, self.kind = model, tokenizer, kind
        self._running = threading.Lock()

    def _answer(self, path: str, payload: Body) -> Answer:
        if path == "/tokenize" and self.kind == "vllm":
            ids = self.tokenizer(payload["prompt"], add_special_tokens=False)["input_ids"]
            return 200, {}, {"count": len(ids), "max_model_len": 4096, "tokens": ids}
        listed = payload.get("logprobs") or 0
        most = {"vllm": 20, "llama.cpp": 100_000, "echo": 5, "openai": 5}[self.kind]
        if path != "/v1/completions":
            return 404, {}, {"error": {"message": "no such address"}}
        if listed > most or (payload.get("echo") and self.kind not in ("vllm", "echo")):
            return 400, {}, {"error": {"message": "not supported"}}
        return 200, {}, self._complete(payload, listed)

    def _complete(self, payload: Body, listed: int) -> Body:
        import torch

        ids = self.tokenizer(payload["prompt"])["input_ids"]
        if ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        with self._running, torch.inference_mode():
            logits = self.model(torch.tensor([ids])).logits[0].float()
        all_places = torch.log_softmax(logits, dim=-1)
        last = all_places[-1]
        drawn = int(last.argmax())
        if payload.get("echo"):
            tokens = [self.tokenizer.decode([i]) for i in (*ids, drawn)]
            log_probs = [None] + [all_places[i, t].item() for i, t in enumerate(ids[1:])]
            found: Body = {
                "tokens": tokens,
                "token_logprobs": [*log_probs, last[drawn].item()],
                "top_logprobs": None,
            }
        elif payload.get("logprob_token_ids") and self.kind == "vllm":
            assert payload["return_tokens_as_token_ids"]
            wanted = {f"token_id:{i}": last[i].item() for i in payload["logprob_token_ids"]}
            found = {"tokens": [f"token_id:{drawn}"], "top_logprobs": [wanted]}
        elif self.kind == "llama.cpp":
            values, tops = last.topk(min(listed, len(last)))
            pairs = zip(tops.tolist(), values.tolist(), strict=True)
            top = [{"id": i, "token": self.tokenizer.decode([i]), "logprob": p} for i, p in pairs]
            found = {"content": [{"token": self.tokenizer.decode([drawn]), "top_logprobs": top}]}
        else:
            values, tops = last.topk(min(listed, len(last)))
            pairs = zip(tops.tolist(), values.tolist(), strict=True)
            top_list = {self.tokenizer.decode([i]): p for i, p in pairs}
            found = {"tokens": [self.tokenizer.decode([drawn])], "top_logprobs": [top_list]}
        return {
            "choices": [{"text": self.tokenizer.decode([drawn]), "logprobs": found}],
            "usage": {"prompt_tokens": len(ids), "completion_tokens": 1},
        }
