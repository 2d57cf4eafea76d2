"""One service as a process of its own group, and the record by which a later command finds it.

A process id alone proves nothing: the number may belong to somebody else by now. A record also
keeps the time the process started and a word of its command line, and only a process that fits
all three is ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lakehouse.errors import ServiceError

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command politely."""

_POLL_SECONDS = 0.05
_LOG_LINES = 12
# places in /proc/<pid>/stat, counted after the ")" of the name
_STATE, _THREADS, _START_TIME = 0, 17, 19


@dataclass(frozen=True)
class ServiceProcess:
    """A recorded process: `started` is the system's own start time, `marker` is in its command."""

    pid: int
    started: str
    marker: str
    ports: tuple[int, ...]

    def alive(self) -> bool:
        """Say whether this very process still runs."""
        with suppress(ChildProcessError):
            # collect it if it is our own child: a dead child keeps its number until then
            os.waitpid(self.pid, os.WNOHANG)
        facts = _facts(self.pid)
        if facts is None or facts[0] != self.started:
            return False
        # a process that is ending shows no command any more, but may still hold its ports
        return self.marker in facts[1] or not facts[1]

    def stop(self, patience_seconds: float) -> None:
        """End its process group: politely, then not. Does nothing when it isn't ours any more."""
        for demand, seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with suppress(ProcessLookupError):
                os.killpg(self.pid, demand)
            end = time.monotonic() + seconds
            while self.alive() and time.monotonic() < end:
                time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class Service:
    """What to start, on which ports, and how to know that it answers.

    `address` is where clients of the same configuration look for it: the setting and its value.
    `command` and `prepare` are called before a start only: to stop a service or to ask for it
    takes neither Java nor jars. `marker` is a word of the command line that no foreign process
    has; `answers` raises nothing.
    """

    name: str
    ports: tuple[int, ...]
    address: tuple[str, str] | None
    command: Callable[[], tuple[str, ...]]
    environment: dict[str, str]
    marker: str
    folder: Path
    working_folder: Path
    prepare: Callable[[], None]
    answers: Callable[[], bool]
    patience_seconds: float

    @property
    def log(self) -> Path:
        """What the service wrote since its last start."""
        return self.folder / "service.log"

    @property
    def _record(self) -> Path:
        return self.folder / "process.json"

    def running(self) -> ServiceProcess | None:
        """Return our process of this service, or None; a stale record is removed."""
        try:
            facts = json.loads(self._record.read_text(encoding="utf-8"))
            process = ServiceProcess(**(facts | {"ports": tuple(facts["ports"])}))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if process.alive():
            return process
        self._record.unlink(missing_ok=True)
        return None

    def launch(self) -> ServiceProcess:
        """Start the process; it may not answer yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        self.prepare()
        # whoever interrupts here would leave a process that no record names
        with signals_later(), self.log.open("wb") as log:
            # a session of its own: a Ctrl-C in the terminal reaches the command, not the service
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.working_folder,
                env=self.environment,
                start_new_session=True,
            )
            # its end is seen by `alive`, in whichever process asks
            child.returncode = 0
            facts = _facts(child.pid)
            process = ServiceProcess(child.pid, facts[0] if facts else "", self.marker, self.ports)
            partial = self._record.with_suffix(".partial")
            partial.write_text(json.dumps(asdict(process)), encoding="utf-8")
            partial.replace(self._record)
        return process

    def stop(self) -> bool:
        """Stop our process if there is one; True when there was."""
        process = self.running()
        if process is None:
            return False
        process.stop(self.patience_seconds)
        if process.alive():
            raise ServiceError(f"{self.name}: process {process.pid} does not end. See {self.log}.")
        self._record.unlink(missing_ok=True)
        return True

    def failure(self, fault: str) -> ServiceError:
        """Describe a failed start with the end of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        tail = "\n  ".join(lines[-_LOG_LINES:]) or "(nothing)"
        return ServiceError(f"{self.name} {fault}. The end of {self.log}:\n  {tail}")


@contextmanager
def signals_later() -> Iterator[None]:
    """Let a Ctrl-C, a polite kill or a closed terminal wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        # Python runs handlers in the main thread only
        yield
        return
    arrived: list[int] = []
    # a handler, not a mask: the child would inherit a mask and never hear a polite stop
    before = {n: signal.signal(n, lambda number, _: arrived.append(number)) for n in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _facts(pid: int) -> tuple[str, str] | None:
    """Return (start time, command line) of a live process, else None."""
    if not sys.platform.startswith("linux"):
        return _facts_by_ps(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    # the first thread can be gone while others still close what the process had open
    if fields[_STATE] in "ZX" and int(fields[_THREADS]) <= 1:
        return None
    return fields[_START_TIME], command.replace(b"\0", b" ").decode(errors="replace")


def _facts_by_ps(pid: int) -> tuple[str, str] | None:
    shown = subprocess.run(
        ["ps", "-ww", "-o", "state=,lstart=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not shown or shown[0].startswith("Z"):
        return None
    return " ".join(shown[1:6]), " ".join(shown[6:])
