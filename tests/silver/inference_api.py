"""A real HTTP server in the place of the inference API, as good or as bad as a test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Transactions = list[dict[str, Any]]
Answer = Callable[[Transactions], bytes]


@dataclass
class InferenceApi:
    """What it was asked, and how it answers: status and body of each request."""

    answer: Answer
    status: int = 200
    url: str = ""
    asked: list[Transactions] = field(default_factory=list)

    @property
    def asked_ids(self) -> list[str]:
        """All transaction ids, in the order asked."""
        return [each["transaction_id"] for batch in self.asked for each in batch]


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
            api.asked.append(json.loads(content)["transactions"])
            answered = api.answer(api.asked[-1])
            self.send_response(api.status)
            self.send_header("Content-Length", str(len(answered)))
            self.end_headers()
            self.wfile.write(answered)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}/score"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
