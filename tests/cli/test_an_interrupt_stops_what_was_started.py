"""Ctrl-C and a polite kill, while services run that the block started: none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.local.ports import free_ports
from tests.conftest import ROOT

# one real process in place of three: how it is stopped does not depend on what it serves
BLOCK = """
import sys, time
from pathlib import Path
from lakehouse.config import Config
from lakehouse.local import services
from lakehouse.local.services_process import Service

folder, port = Path(sys.argv[1]), sys.argv[2]
command = (sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "-d", str(folder))
sleeper = Service(
    name="scoring", ports=(int(port),), address=None, command=lambda: command, environment={},
    marker=str(folder), folder=folder, working_folder=folder, prepare=lambda: None,
    answers=lambda: True, patience_seconds=5,
)
services.services_of = lambda *_: [sleeper]
with services.running_services(Config.load("conf/local.yaml")) as running:
    print(running.services[0].pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_process_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", BLOCK, str(tmp_path), str(free_ports(1)[0])]
    environment = os.environ | {"LAKEHOUSE__LAKE__ROOT": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as block:
        assert block.stdout is not None
        service = int(block.stdout.readline())
        os.kill(service, 0)  # raises where there is no such process
        block.send_signal(number)
        assert block.wait(timeout=30) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(service, 0)
