"""A real HTTP server in the place of the inference API, as good or as bad as a test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Transactions = list[dict[str, Any]]
Answer = Callable[[Transactions], bytes | Iterator[bytes]]
"""The body of a response, or all of a response in parts: its head too."""


@dataclass
class InferenceApi:
    """What it was asked, and how it answers: status, headers and body of each request."""

    answer: Answer
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    asked: list[Transactions] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def asked_ids(self) -> list[str]:
        """All transaction ids, in the order asked."""
        return [each["transaction_id"] for batch in self.asked for each in batch]

    def hang(self, _: Transactions) -> bytes:
        """Answer nobody while the server runs."""
        self.closed.wait()
        return b""


def a_score_of(transaction: dict[str, Any], score: Any = 0.25) -> dict[str, Any]:
    """One good answer."""
    return {
        "transaction_id": transaction["transaction_id"],
        "fraud_score": score,
        "explanations": {"amount": 0.5},
    }


def body(scores: list[Any], model_version: Any = "api-1") -> bytes:
    """A response of the contract."""
    return json.dumps({"model_version": model_version, "scores": scores}).encode()


def good(transactions: Transactions) -> bytes:
    """Answer each transaction."""
    return body([a_score_of(each) for each in transactions])


@contextmanager
def running(answer: Answer = good, status: int = 200) -> Iterator[InferenceApi]:
    """Serve on a free loopback port."""
    api = InferenceApi(answer, status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            transactions = json.loads(content)["transactions"]
            api.asked.append(transactions)
            answered = api.answer(transactions)
            # whoever asked may be gone by now
            with suppress(ConnectionError):
                if isinstance(answered, bytes):
                    self.send_whole(answered)
                else:
                    self.wfile.writelines(answered)

        def send_whole(self, content: bytes) -> None:
            self.send_response(api.status)
            for name, value in api.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}/score"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield api
        finally:
            api.closed.set()
            server.shutdown()
            thread.join()
