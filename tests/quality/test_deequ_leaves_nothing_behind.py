"""A process that used Deequ ends by itself: no thread, no child and no port stays."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, SHORT_LIFE

PATIENCE_SECONDS = 30.0


def test_a_process_that_measured_ends_with_all_it_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.quality.measuring_process"],
        cwd=ROOT, env=os.environ | SHORT_LIFE, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    said = json.loads(out.splitlines()[-1])
    assert said["values"] == [10.0, 1.0, 0.5]
    assert not said["has_callback_server"]
    # Java ends when its Python is gone
    assert gone(process.pid), "a process that it started is alive"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", said["java_port"]), timeout=5).close()


def gone(group: int) -> bool:
    """Whether no process of the group is alive, soon."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
