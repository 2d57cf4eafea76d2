"""Ctrl-C in the middle of a demo: its jobs end, its services stop, its leases are free."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from lakehouse.config import Config
from lakehouse.lease import held_lease
from lakehouse.local import services
from tests.cli.processes import LAKEHOUSE
from tests.conftest import LOCAL, ROOT, SHORT_LIFE, in_folder, on_free_ports, override


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    """An empty lake on services that nobody has started."""
    return {**in_folder(tmp_path), **on_free_ports()}


@pytest.mark.parametrize("moment", ["ingest_transactions", "enrich_live"])
def test_ctrl_c_stops_all_that_the_demo_started(
    settings: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    override(monkeypatch, settings)
    config = Config.load(LOCAL)
    told: list[str] = []
    with subprocess.Popen(
        [LAKEHOUSE, "demo", "--transactions", "20"], cwd=ROOT, env=os.environ | SHORT_LIFE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        try:
            for line in process.stderr:
                told.append(line)
                if f"- {moment}" in line:
                    # as a terminal does: to the whole group
                    os.killpg(process.pid, signal.SIGINT)
                    break
            _, rest = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    told.append(rest)
    assert process.returncode == 130, "".join(told)
    assert rest.endswith("interrupted\n") and "Traceback" not in rest, rest
    assert {service.state for service in services.status(config)} == {"stopped"}
    with held_lease(config, moment):
        pass
