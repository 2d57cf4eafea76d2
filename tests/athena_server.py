"""A server that answers as Glue, Athena and S3 do, and makes views as Athena does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlglot
from moto.athena.models import AthenaBackend
from moto.glue.models import glue_backends
from moto.server import ThreadedMotoServer
from pytest import MonkeyPatch
from sqlglot import exp

REGION = "eu-central-1"


@contextmanager
def athena_server() -> Iterator[str]:
    """Its address. moto takes any statement and runs none: those that make views run here."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with MonkeyPatch.context() as patch:
        patch.setattr(AthenaBackend, "_process_ddl", _make_view)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        server.start()
        _, port = server.get_host_and_port()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()


def _make_view(backend: Any, query: str, _context: Any) -> None:
    """Put into Glue what Athena puts there: its own rendering of the SQL, in base64."""
    statement = sqlglot.parse_one(query, read="athena")
    if not isinstance(statement, exp.Create) or statement.kind != "VIEW":
        return
    name = statement.find(exp.Table)
    assert name is not None
    rendered = {"originalSql": statement.expression.sql(dialect="athena", pretty=True)}
    text = base64.b64encode(json.dumps(rendered).encode()).decode()
    tables = glue_backends[backend.account_id][backend.region_name]
    database = tables.get_database(name.db)
    database.tables.pop(name.name, None)
    view = {
        "Name": name.name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true"},
        "ViewOriginalText": f"/* Presto View: {text} */",
        "ViewExpandedText": "/* Presto View */",
    }
    tables.create_table(name.db, name.name, view)
