"""Start, stop and look at the real services of a laptop: Kafka, DynamoDB Local, the scoring API.

Their state is under `<lake root>/services/`: data that outlives a stop, logs, process records.
"""

from __future__ import annotations

import fcntl
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal
from urllib.parse import urlsplit

from lakehouse.config import ENV_PREFIX, Config
from lakehouse.errors import ConfigError, PortInUseError, ServiceError
from lakehouse.local.services_kinds import services_of
from lakehouse.local.services_process import Service, signals_later

_HOST = "127.0.0.1"
_HERE = ("127.0.0.1", "localhost", "::1")
_POLL_SECONDS = 0.1
_LETTING_GO_SECONDS = 1.0


@dataclass(frozen=True)
class ServiceStatus:
    """One service: `running` answers, `starting` is a process of ours that doesn't, `stopped`."""

    name: str
    state: Literal["running", "starting", "stopped"]
    port: int
    pid: int | None
    log: Path


@dataclass(frozen=True)
class Running:
    """All services while a block runs; its end stops those that it `started`, by name."""

    services: list[ServiceStatus]
    started: tuple[str, ...]


def start(config: Config) -> list[ServiceStatus]:
    """Start what does not run yet, side by side, and wait until everything answers.

    Raises:
        ConfigError: clients of this configuration would look elsewhere; nothing was started.
        PortInUseError: somebody else listens on a port; nothing was started.
        ServiceError: a service died or did not answer in time; what this call started is stopped.
    """
    services = _services(config)
    _start(services, config)
    return [_status(service) for service in services]


def stop(config: Config) -> list[ServiceStatus]:
    """Stop what was started for this lake, and nothing else; data stays."""
    services = _services(config)
    with _only_one_command(config):
        _stop(services)
    return [_status(service) for service in services]


def status(config: Config) -> list[ServiceStatus]:
    """Ask each service."""
    return [_status(service) for service in _services(config)]


@contextmanager
def running_services(config: Config) -> Iterator[Running]:
    """Have all services for a while; at the end stop those that were not running before.

    The end is also a failure, Ctrl-C, a closed terminal or a polite kill. Raises as `start`.
    """
    services = _services(config)
    with _signals_as_exit():
        started = _start(services, config)
        try:
            names = tuple(service.name for service in started)
            yield Running([_status(service) for service in services], names)
        finally:
            _stop(started)


def _services(config: Config) -> list[Service]:
    if config.services is None:
        raise ServiceError(
            "this configuration starts no services (services: null). "
            "Use one that does, such as conf/local.yaml."
        )
    return services_of(config, config.services, _folder(config))


def _folder(config: Config) -> Path:
    if "://" in config.lake.root:
        raise ServiceError(
            f"lake.root is {config.lake.root}: local services keep their state in a folder."
        )
    return Path(config.lake.root) / "services"


def _start(services: Sequence[Service], config: Config) -> list[Service]:
    """Return the services that this call started."""
    assert config.services is not None
    _require_known_addresses(services)
    started: list[Service] = []
    with _only_one_command(config):
        absent = [service for service in services if not _runs_as_configured(service)]
        for service in absent:
            _require_free_ports(service)
        try:
            # Kafka formats its storage first: let the others use that time
            for service in sorted(absent, key=lambda service: service.name == "kafka"):
                started.append(service)
                service.launch()
            _wait(services, config.services.startup_timeout_seconds)
        except BaseException:
            _stop(started)
            raise
    return started


def _require_known_addresses(services: Sequence[Service]) -> None:
    """Refuse a service that the same configuration would never find."""
    problems = [
        f"{service.address[0]} is {service.address[1]}, but {service.name} is to listen on "
        f"{_HOST}:{service.ports[0]}: set {' and '.join(_variables(service))} together"
        for service in services
        if service.address and not _names_port(service.address[1], service.ports[0])
    ]
    if problems:
        raise ConfigError("services", problems)


def _names_port(address: str, port: int) -> bool:
    """Whether an address, or a list of brokers, is this port of this machine."""
    for one in address.split(","):
        place = urlsplit(one.strip() if "://" in one else f"//{one.strip()}")
        try:
            if place.hostname in _HERE and place.port == port:
                return True
        except ValueError:
            continue
    return False


def _variables(service: Service) -> list[str]:
    """What to set for another port: where the service listens, and where clients look for it."""
    settings = [f"services.{service.name}.port", *(service.address or ())[:1]]
    return [ENV_PREFIX + setting.replace(".", "__").upper() for setting in settings]


def _runs_as_configured(service: Service) -> bool:
    process = service.running()
    if process is not None and process.ports != service.ports:
        raise ServiceError(
            f"{service.name} of this lake runs on port {process.ports[0]}, not {service.ports[0]}. "
            "Stop it first (`lakehouse services stop`), or use the port it has."
        )
    return process is not None


def _require_free_ports(service: Service) -> None:
    # a process that was just killed may take a moment to let go
    end = time.monotonic() + _LETTING_GO_SECONDS
    for port in service.ports:
        while not _is_free(port):
            if time.monotonic() > end:
                raise _port_error(service, port)
            time.sleep(_POLL_SECONDS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # a port whose old connections still time out is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _port_error(service: Service, port: int) -> ServiceError:
    if port == service.ports[0]:
        return PortInUseError(service.name, port, _variables(service))
    return ServiceError(
        f"{service.name}: its controller's port {port} is in use by another process. Stop it, or "
        "choose another port with LAKEHOUSE__SERVICES__KAFKA__CONTROLLER_PORT."
    )


def _wait(services: Sequence[Service], seconds: float) -> None:
    waiting = list(services)
    end = time.monotonic() + seconds
    while waiting:
        for service in list(waiting):
            if service.running() is None:
                raise service.failure("ended as soon as it started")
            if _listens(service.ports[0]) and service.answers():
                waiting.remove(service)
            elif time.monotonic() > end:
                raise service.failure(f"does not answer after {seconds:g} seconds")
        if waiting:
            time.sleep(_POLL_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((_HOST, port)) == 0


def _stop(services: Sequence[Service]) -> None:
    """Stop them all; who asks twice for an end waits for this one."""
    if not services:
        return
    # Kafka takes the longest: side by side
    faults: list[ServiceError] = []

    def stop_one(service: Service) -> None:
        try:
            service.stop()
        except ServiceError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=stop_one, args=(service,)) for service in services]
    with signals_later():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if faults:
        raise faults[0]


def _status(service: Service) -> ServiceStatus:
    process = service.running()
    if process is None:
        return ServiceStatus(service.name, "stopped", service.ports[0], None, service.log)
    answers = _listens(process.ports[0]) and service.answers()
    state: Literal["running", "starting"] = "running" if answers else "starting"
    return ServiceStatus(service.name, state, process.ports[0], process.pid, service.log)


@contextmanager
def _only_one_command(config: Config) -> Iterator[None]:
    """Let two commands at once start or stop one after the other."""
    folder = _folder(config)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Turn a polite kill and a closed terminal into an exit that runs `finally`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
