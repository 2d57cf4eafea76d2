"""The three services: real ones, started once; and the faults a person meets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.config import Config
from lakehouse.errors import ConfigError, PortInUseError, ServiceError
from lakehouse.local import services
from lakehouse.local.ports import free_ports
from lakehouse.local.services_process import Service, ServiceProcess, signals_later

LOCAL = Path(__file__).parents[2] / "conf" / "local.yaml"
SLEEPER = "import signal, time; time.sleep(60)  # {marker}"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The local configuration over a lake and ports of this test alone."""
    kafka, controller, dynamodb, scoring = free_ports(4)
    for key, value in {
        "LAKE__ROOT": tmp_path / "lake",
        "SERVICES__KAFKA__PORT": kafka,
        "SERVICES__KAFKA__CONTROLLER_PORT": controller,
        "SERVICES__DYNAMODB__PORT": dynamodb,
        "SERVICES__SCORING__PORT": scoring,
        "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "DYNAMODB__ENDPOINT_URL": f"http://127.0.0.1:{dynamodb}",
        "SCORING__URL": f"http://127.0.0.1:{scoring}/score",
    }.items():
        monkeypatch.setenv(f"LAKEHOUSE__{key}", str(value))
    return Config.load(LOCAL)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that this project did not start."""
    command = [sys.executable, "-c", SLEEPER.format(marker="somebody-else")]
    process = subprocess.Popen(command, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def a_service(folder: Path, code: str, ports: tuple[int, ...] = ()) -> Service:
    return Service(
        name="scoring",
        ports=ports,
        address=None,
        command=lambda: (sys.executable, "-c", f"{code}  # {folder}"),
        environment=dict(os.environ),
        marker=str(folder),
        folder=folder,
        working_folder=folder,
        prepare=lambda: None,
        answers=lambda: True,
        patience_seconds=5,
    )


def test_the_services_start_once_survive_a_kill_and_stop(alone: Config) -> None:
    with services.running_services(alone) as running:
        started = running.services
        assert {status.state for status in started} == {"running"}
        assert set(running.started) == {"kafka", "dynamodb", "scoring"}
        assert services.start(alone) == started, "starting again finds them"
        with services.running_services(alone) as again:
            assert again.started == ()
        assert services.status(alone) == started, "who did not start them does not stop them"

        killed = next(status for status in started if status.name == "kafka")
        assert killed.pid is not None
        os.killpg(killed.pid, signal.SIGKILL)
        wait_until_gone(alone, "kafka")
        restarted = {status.name: status for status in services.start(alone)}
        assert restarted["kafka"].state == "running"
        assert restarted["kafka"].pid != killed.pid
    assert {status.state for status in services.status(alone)} == {"stopped"}


def wait_until_gone(config: Config, name: str) -> None:
    end = time.monotonic() + 10
    while any(s.name == name and s.state != "stopped" for s in services.status(config)):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_port_in_use_names_the_service_the_port_and_the_setting(alone: Config) -> None:
    assert alone.services is not None
    port = alone.services.dynamodb.port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortInUseError) as refused:
        services.start(alone)
    for fact in (
        "dynamodb",
        str(port),
        "LAKEHOUSE__SERVICES__DYNAMODB__PORT",
        "LAKEHOUSE__DYNAMODB__ENDPOINT_URL",
    ):
        assert fact in str(refused.value)
    assert {status.state for status in services.status(alone)} == {"stopped"}


@pytest.mark.parametrize(
    "variable, setting",
    [
        ("LAKEHOUSE__SERVICES__KAFKA__PORT", "kafka.bootstrap_servers"),
        ("LAKEHOUSE__SERVICES__DYNAMODB__PORT", "dynamodb.endpoint_url"),
        ("LAKEHOUSE__SERVICES__SCORING__PORT", "scoring.url"),
    ],
)
def test_a_service_that_no_client_would_find_is_not_started(
    alone: Config, monkeypatch: pytest.MonkeyPatch, variable: str, setting: str
) -> None:
    monkeypatch.setenv(variable, str(free_ports(1)[0]))
    with pytest.raises(ConfigError, match=setting) as refused:
        services.start(Config.load(LOCAL))
    assert variable in str(refused.value)


def test_an_interrupt_waits_until_a_new_process_is_on_record(tmp_path: Path) -> None:
    service = a_service(tmp_path, "import time; time.sleep(60)")

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), signals_later():
        interrupted()
        process = service.launch()
    assert service.running() == process
    assert service.stop()


def test_the_number_of_a_dead_process_kills_nobody(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    service = a_service(tmp_path, "pass")
    stale = {"pid": sleeper.pid, "started": "1", "marker": str(tmp_path), "ports": []}
    record = tmp_path / "process.json"
    record.write_text(json.dumps(stale))
    assert not service.stop()
    assert sleeper.poll() is None
    assert not record.exists()


def test_a_process_with_another_command_is_not_ours(sleeper: subprocess.Popen[bytes]) -> None:
    started = Path(f"/proc/{sleeper.pid}/stat")
    if not started.exists():
        pytest.skip("reads the start time from /proc")
    ticks = started.read_text().rpartition(")")[2].split()[19]
    assert ServiceProcess(sleeper.pid, ticks, "somebody-else", ()).alive()
    assert not ServiceProcess(sleeper.pid, ticks, "our-service", ()).alive()


def test_a_service_that_ignores_a_polite_stop_is_ended(tmp_path: Path) -> None:
    deaf = (
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "pathlib.Path('deaf').touch(); time.sleep(60)"
    )
    process = a_service(tmp_path, deaf).launch()
    while not (tmp_path / "deaf").exists():
        time.sleep(0.02)
    process.stop(patience_seconds=0.2)
    assert not process.alive()


def test_a_service_that_dies_shows_the_end_of_its_log(tmp_path: Path) -> None:
    service = a_service(tmp_path, "raise SystemExit('no model here')")
    process = service.launch()
    while process.alive():
        time.sleep(0.02)
    error = service.failure("ended as soon as it started")
    assert isinstance(error, ServiceError)
    assert "no model here" in str(error)
