"""Write the lock files anew (`make lock`), or check that they fit their inputs (`--check`).

Freshness is a hash of the inputs, written into each lock: a newer release upstream changes
nothing, and the check needs no network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pyspark

from lakehouse.errors import SetupError
from lakehouse.local.jars import ROOT, Jar, parse_lock, run_ivy, sha256_of
from lakehouse.local.java import Java, find

HERE = Path(__file__).resolve().parent
PYTHON_LOCKS = {"build": ["build"], "runtime": [], "dev": ["local", "dev"]}
JARS_LOCK = HERE / "jars.lock"
_PREFIX = "# made by `make lock` from inputs with sha256:"
_IVY_PATTERN = "{folder}/[organisation]__[artifact]__[revision]__([classifier]).[ext]"


def python_inputs() -> str:
    """Return the hash of what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    keys = ("requires-python", "dependencies", "optional-dependencies")
    asked = {key: project[key] for key in keys}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def jar_inputs() -> str:
    """Return the hash of the roots, and of the PySpark whose own jars are left out."""
    roots = tomllib.loads((HERE / "jars.toml").read_text("utf-8"))
    asked = {"roots": roots, "pyspark": pyspark.__version__}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def stale_locks() -> list[str]:
    """Name the locks whose inputs changed, or that were changed by hand beyond reading."""
    wanted = {HERE / f"{name}.txt": python_inputs() for name in PYTHON_LOCKS}
    wanted[JARS_LOCK] = jar_inputs()
    stale = []
    for lock, inputs in wanted.items():
        text = lock.read_text("utf-8") if lock.is_file() else ""
        if text.partition("\n")[0] != _PREFIX + inputs:
            stale.append(lock.name)
    parse_lock(JARS_LOCK.read_text("utf-8"))
    return stale


def lock_python() -> None:
    """Resolve all extras together, then each lock as a subset of that one resolution."""
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder) / "all.txt"
        _compile(["--all-extras", "--upgrade"], everything)
        for name, extras in PYTHON_LOCKS.items():
            compiled = Path(folder) / f"{name}.txt"
            chosen = [word for extra in extras for word in ("--extra", extra)]
            if name == "build":
                asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
                source = Path(folder) / "build.in"
                needs = asked["project"]["optional-dependencies"]["build"]
                source.write_text("\n".join(needs), "utf-8")
                _compile(["--constraint", str(everything)], compiled, source)
            else:
                _compile([*chosen, "--constraint", str(everything)], compiled)
            header = f"{_PREFIX}{python_inputs()}\n"
            (HERE / f"{name}.txt").write_text(header + compiled.read_text("utf-8"), "utf-8")
            print(f"requirements/{name}.txt written")


def lock_jars(java: Java) -> None:
    """Resolve every group with its transitive jars and write their hashes."""
    carried = {
        file.name.rpartition("-")[0] for file in Path(pyspark.__file__).parent.glob("jars/*.jar")
        if not file.is_symlink()
    }  # fmt: skip
    lines = [_PREFIX + jar_inputs()]
    for use, wanted in tomllib.loads((HERE / "jars.toml").read_text("utf-8")).items():
        skipped = set(wanted["exclude"]) | (carried if use == "spark" else set())
        found = [jar for jar in _resolved(use, wanted, java) if jar.artifact not in skipped]
        lines += ["", f"[{use}]"]
        lines += [f"{jar.coordinate} sha256:{jar.sha256}" for jar in found]
        print(f"requirements/jars.lock: {len(found)} for {use}")
    JARS_LOCK.write_text("\n".join(lines) + "\n", "utf-8")


def _compile(options: list[str], target: Path, source: Path = ROOT / "pyproject.toml") -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", str(source), *options]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11"]
    subprocess.run([*command, "--output-file", str(target)], check=True, stdout=subprocess.DEVNULL)


def _resolved(use: str, wanted: dict[str, list[str]], java: Java) -> list[Jar]:
    dependencies = "".join(_dependency(root) for root in wanted["roots"])
    # not even looked for: one that the registry lacks would fail the resolution
    dependencies += "".join(f'<exclude module="{name}"/>' for name in wanted["exclude"])
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ivy.xml"
        module.write_text(
            '<ivy-module version="2.0" xmlns:m="maven">'
            f'<info organisation="lakehouse" module="{use}"/>'
            '<configurations><conf name="default"/></configurations>'
            f"<dependencies>{dependencies}</dependencies></ivy-module>",
            "utf-8",
        )
        out = Path(folder) / "out"
        retrieve = ["-retrieve", _IVY_PATTERN.format(folder=out)]
        run_ivy(java, None, module, Path(folder), lambda _: None, *retrieve)
        return sorted(
            (_jar_of(use, file) for file in out.iterdir()), key=lambda jar: jar.coordinate
        )


def _dependency(root: str) -> str:
    """A root for Ivy; one with a classifier is taken alone, as a whole that needs nothing."""
    group, artifact, version, *classifier = root.split(":")
    begin = f'<dependency org="{group}" name="{artifact}" rev="{version}" conf="default->default"'
    if not classifier:
        return f"{begin}/>"
    return (
        f'{begin} transitive="false"><artifact name="{artifact}" type="jar" ext="jar" '
        f'm:classifier="{classifier[0]}"/></dependency>'
    )


def _jar_of(use: str, file: Path) -> Jar:
    group, artifact, version, rest = file.name.split("__")
    classifier, _, extension = rest.rpartition(".")
    return Jar(use, group, artifact, version, extension, sha256_of(file), classifier)


def main() -> int:
    """Lock, or check."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="only say whether locks are fresh")
    arguments.add_argument("--only", choices=["python", "jars"], help="write only these locks")
    chosen = arguments.parse_args()
    try:
        if chosen.check:
            if stale := stale_locks():
                print(f"stale: {', '.join(stale)}. Run `make lock`.", file=sys.stderr)
                return 1
            print("lock files are fresh")
            return 0
        if chosen.only != "jars":
            lock_python()
        if chosen.only != "python":
            lock_jars(find(os.environ, ROOT / ".cache"))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
