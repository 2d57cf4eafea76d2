"""The locked jars: read the lock, fetch what is missing with PySpark's own Ivy, check every byte.

One line of `requirements/jars.lock` is one file: `group:artifact:version[:classifier][@ext]` and
its SHA-256, under the `[use]` it serves.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import JarHashError, SetupError
from lakehouse.local.java import Java

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "jars.lock"
CACHE = ROOT / ".cache" / "jars"

Report = Callable[[int, int], None]

_LINE = re.compile(
    r"(?P<group>[^:\s]+):(?P<artifact>[^:\s]+):(?P<version>[^:@\s]+)(?::(?P<classifier>[^:@\s]+))?"
    r"(?:@(?P<extension>\w+))?\s+sha256:(?P<sha256>[0-9a-f]{64})"
)
_SETTINGS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{cache}" artifactPattern="{pattern}" checkUpToDate="false"/>
  <resolvers>
    <ibiblio name="central" m2compatible="true" usepoms="false" checksums=""/>
  </resolvers>
</ivysettings>
"""
_MODULE = """\
<ivy-module version="2.0" xmlns:m="maven">
  <info organisation="lakehouse" module="jars"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
{dependencies}
    <conflict manager="all"/>
  </dependencies>
</ivy-module>
"""
_PATTERN = "files/[organisation]/[artifact]-[revision](-[classifier]).[ext]"


@dataclass(frozen=True)
class Jar:
    """One locked file; `use` is what needs it: spark, msk, kafka, dynamodb or s3."""

    use: str
    group: str
    artifact: str
    version: str
    extension: str
    sha256: str
    classifier: str = ""

    @property
    def coordinate(self) -> str:
        """The name in the lock."""
        classifier = f":{self.classifier}" if self.classifier else ""
        extension = f"@{self.extension}" if self.extension != "jar" else ""
        return f"{self.group}:{self.artifact}:{self.version}{classifier}{extension}"

    @property
    def path(self) -> Path:
        """The place below the cache folder."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return Path(self.group) / f"{self.artifact}-{self.version}{classifier}.{self.extension}"


def parse_lock(text: str) -> list[Jar]:
    """Read the lines of a lock.

    Raises:
        SetupError: a line is neither a use, a comment, nor a coordinate with its hash.
    """
    locked, use = [], ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if section := re.fullmatch(r"\[(\w+)\]", line.strip()):
            use = section[1]
        elif (found := _LINE.fullmatch(line.strip())) and use:
            parts = {"extension": found["extension"] or "jar",
                     "classifier": found["classifier"] or ""}  # fmt: skip
            locked.append(Jar(use, **(found.groupdict() | parts)))
        else:
            raise SetupError(
                f"requirements/jars.lock, line {number}: expected "
                "group:artifact:version[:classifier] and "
                f"sha256:<64 hex digits> under a [use], got {line.strip()!r}. "
                "Restore the file, or write it anew with `make lock`."
            )
    return locked


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """Read the lock file.

    Raises:
        SetupError: the file is absent or wrong.
    """
    try:
        return parse_lock(lock.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SetupError("requirements/jars.lock is missing. Restore it from git.") from None


def check(jar: Jar, file: Path) -> None:
    """Compare a file with the lock, byte for byte; a wrong one is removed.

    Raises:
        JarHashError: the hashes differ.
    """
    actual = sha256_of(file)
    if actual != jar.sha256:
        file.unlink()
        raise JarHashError(jar.coordinate, jar.sha256, actual)


def sha256_of(file: Path) -> str:
    """Hash a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def files_for(use: str, cache: Path = CACHE) -> list[Path]:
    """Return the cached files of one use, in the order of the lock.

    Raises:
        SetupError: one is not there.
    """
    files = [cache / jar.path for jar in read_lock() if jar.use == use]
    if absent := [file.name for file in files if not file.is_file()]:
        raise SetupError(f"jars are missing ({absent[0]}, ...). Run `make setup`.")
    return files


class JarCache:
    """The folder of locked files; what is in it was checked against the lock."""

    def __init__(self, folder: Path = CACHE) -> None:
        self.folder = folder
        self._record = folder / "verified.json"
        self._fetching = folder / ".fetch"

    def missing(self, locked: Sequence[Jar]) -> list[Jar]:
        """Return the locked files that are not here.

        A file is hashed when its size or time is not the recorded one, so this is fast.

        Raises:
            JarHashError: a file here has changed since it was checked; it was removed.
        """
        recorded = self._recorded()
        seen: dict[str, list[str | int]] = {}
        absent: dict[Path, Jar] = {}
        try:
            for jar in locked:
                file = self.folder / jar.path
                if not file.is_file():
                    absent[jar.path] = jar
                    continue
                facts = file.stat()
                known: list[str | int] = [jar.sha256, facts.st_size, facts.st_mtime_ns]
                if recorded.get(str(jar.path)) != known:
                    check(jar, file)
                seen[str(jar.path)] = known
        finally:
            if seen != recorded and self.folder.is_dir():
                self._record.write_text(json.dumps(seen), encoding="utf-8")
        return list(absent.values())

    def fetch(self, wanted: Sequence[Jar], java: Java, report: Report) -> None:
        """Download, check, and only then put into the cache; `report(done, total)` as it goes.

        An interrupted download goes on where it stopped.

        Raises:
            JarHashError: a file is not the locked one; it is kept nowhere.
            SetupError: Ivy could not download a file.
        """
        remaining = self._adopt(wanted)
        if remaining:
            self._download(
                remaining,
                java,
                lambda done: report(len(wanted) - len(remaining) + done, len(wanted)),
            )
            remaining = self._adopt(remaining)
        if remaining:
            raise SetupError(
                f"{len(remaining)} jars did not arrive, the first is {remaining[0].coordinate}. "
                "Run `make setup` again: what arrived is kept."
            )
        shutil.rmtree(self._fetching, ignore_errors=True)

    def _recorded(self) -> dict[str, list[str | int]]:
        try:
            recorded: dict[str, list[str | int]] = json.loads(self._record.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return recorded

    def _adopt(self, wanted: Sequence[Jar]) -> list[Jar]:
        """Check and move what lies in the download folder; return what does not."""
        absent = []
        for jar in wanted:
            arrived = self._fetching / "files" / jar.path
            if not arrived.is_file():
                absent.append(jar)
                continue
            check(jar, arrived)
            (self.folder / jar.path).parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(self.folder / jar.path)
        return absent

    def _download(self, wanted: Sequence[Jar], java: Java, arrived: Callable[[int], None]) -> None:
        self._fetching.mkdir(parents=True, exist_ok=True)
        settings, module = self._fetching / "settings.xml", self._fetching / "jars.xml"
        settings.write_text(
            _SETTINGS.format(cache=self._fetching, pattern=_PATTERN), encoding="utf-8"
        )
        module.write_text(_module_of(wanted), encoding="utf-8")
        run_ivy(java, settings, module, self._fetching, arrived)


def run_ivy(
    java: Java, settings: Path | None, module: Path, home: Path, arrived: Callable[[int], None],
    *options: str,
) -> None:  # fmt: skip
    """Run the Ivy that PySpark carries; `arrived` hears the count of files so far.

    Raises:
        SetupError: Ivy failed; its last lines are in the message.
    """
    command = [str(java.executable), *java.download_options(), "-Xmx256m"]
    command += ["-XX:TieredStopAtLevel=1", f"-Divy.default.ivy.user.dir={home}"]
    command += ["-jar", str(_ivy_jar()), "-ivy", str(module), "-cache", str(home)]
    command += ["-settings", str(settings)] if settings else []
    said: deque[str] = deque(maxlen=200)
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as ivy:
        assert ivy.stdout is not None
        done = 0
        try:
            for line in ivy.stdout:
                said.append(line.rstrip())
                if "[SUCCESSFUL ]" in line:
                    done += 1
                    arrived(done)
        except BaseException:
            ivy.kill()
            raise
    if ivy.returncode != 0:
        faults = [line for line in said if re.search(r"FAILED|not found|Exception|ERROR", line)]
        detail = "\n  ".join((faults or list(said))[:8])
        raise SetupError(
            "the jars could not be fetched; is the network (or its proxy) reachable? "
            f"Run `make setup` again: what arrived is kept. Ivy said:\n  {detail}"
        )


def _module_of(wanted: Sequence[Jar]) -> str:
    dependencies = []
    for jar in wanted:
        classifier = f' m:classifier="{jar.classifier}"' if jar.classifier else ""
        dependencies.append(
            f'    <dependency org="{jar.group}" name="{jar.artifact}" rev="{jar.version}" '
            f'transitive="false" conf="default->default"><artifact name="{jar.artifact}" '
            f'type="{jar.extension}" ext="{jar.extension}"{classifier}/></dependency>'
        )
    return _MODULE.format(dependencies="\n".join(dependencies))


def _ivy_jar() -> Path:
    pyspark = importlib.util.find_spec("pyspark")
    found = (
        sorted(Path(pyspark.origin).parent.glob("jars/ivy-*.jar"))
        if pyspark and pyspark.origin
        else []
    )
    if not found:
        raise SetupError("PySpark is not installed, or carries no Ivy. Run `make setup`.")
    return found[-1]
