"""A real HTTP server in front of DynamoDB Local, as unreliable as a test wants it."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from lakehouse.config import DynamoDbSettings


class Fault(StrEnum):
    """What becomes of one request to write an item."""

    NONE = "NONE"
    THROTTLED = "ProvisionedThroughputExceededException"
    SLOWED_DOWN = "ThrottlingException"
    SERVER_ERROR = "InternalServerError"
    DENIED = "AccessDeniedException"  # to insert; to update is another right
    REPLY_LOST = "REPLY_LOST"  # the item is written, and nobody says so


Plan = Callable[[str, int], Fault]
"""The fault of the n-th request (from 0) for a transaction."""


_OF_THE_REQUEST = ("host", "connection", "content-length", "accept-encoding", "expect")
_OF_A_STATEMENT = {
    Fault.THROTTLED: "ProvisionedThroughputExceeded",
    Fault.SLOWED_DOWN: "ThrottlingError",
    Fault.SERVER_ERROR: "InternalServerError",
    Fault.DENIED: "AccessDenied",
}


@dataclass
class FaultyDynamoDb:
    """How it answers, and what it did: faults in their order, and writes that were forwarded."""

    plan: Plan
    done: list[tuple[str, Fault]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)  # by operation

    def next_fault(self, transaction_id: str) -> Fault:
        """What becomes of the next request for this transaction."""
        with self.lock:
            fault = self.plan(transaction_id, self.asked[transaction_id])
            self.asked[transaction_id] += 1
            self.done.append((transaction_id, fault))
        return fault


@contextmanager
def in_front_of(
    settings: DynamoDbSettings, plan: Plan
) -> Iterator[tuple[DynamoDbSettings, FaultyDynamoDb]]:
    """Give settings that reach the same table through faults; all but writing an item passes."""
    faulty = FaultyDynamoDb(plan)
    behind = urlsplit(settings.endpoint_url or "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            fault = Fault.NONE
            faulty.requests[self.headers["X-Amz-Target"].partition(".")[2]] += 1
            if self.headers["X-Amz-Target"].endswith(".UpdateItem"):
                fault = faulty.next_fault(json.loads(content)["Key"]["transaction_id"]["S"])
            if self.headers["X-Amz-Target"].endswith(".BatchExecuteStatement"):
                status, answer, fault = self._each_statement(json.loads(content))
            elif fault in (Fault.NONE, Fault.REPLY_LOST):
                status, answer = self._forward(content)
            else:
                status = 500 if fault == Fault.SERVER_ERROR else 400
                kind = f"com.amazonaws.dynamodb.v20120810#{fault}"
                answer = json.dumps({"__type": kind, "message": "as planned"}).encode()
            if fault == Fault.REPLY_LOST:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _each_statement(self, request: Any) -> tuple[int, bytes, Fault]:
            """A lost reply is that of the whole request; other faults are of one statement."""
            statements = request["Statements"]
            faults = [faulty.next_fault(each["Parameters"][0]["S"]) for each in statements]
            told = [
                {"Error": {"Code": code, "Message": "as planned"}} if code else None
                for code in map(_OF_A_STATEMENT.get, faults)
            ]
            passed = [each for each, error in zip(statements, told, strict=True) if not error]
            status, answer = 200, b'{"Responses": []}'
            if passed:
                status, answer = self._forward(json.dumps({"Statements": passed}).encode())
            forwarded = iter(json.loads(answer).get("Responses", []))
            if status != 200:
                return status, answer, Fault.NONE
            responses = [error or next(forwarded) for error in told]
            lost = Fault.REPLY_LOST if Fault.REPLY_LOST in faults else Fault.NONE
            return status, json.dumps({"Responses": responses}).encode(), lost

        def _forward(self, content: bytes) -> tuple[int, bytes]:
            connection = HTTPConnection(behind.hostname or "", behind.port, timeout=10)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _OF_THE_REQUEST
            }
            connection.request("POST", "/", content, headers)
            reply = connection.getresponse()
            answer = reply.read()
            connection.close()
            return reply.status, answer

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield settings.model_copy(update={"endpoint_url": url}), faulty
        finally:
            server.shutdown()
            thread.join()
