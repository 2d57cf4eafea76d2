"""`make package`: all that an account runs, in one folder to be copied to its artifacts bucket.

    dist/lakehouse-VERSION-py3-none-any.whl   the code, and conf/ as share/lakehouse/conf
    dist/environment.tar.gz                   Python and its locked packages, for spark.archives
    dist/jars/                                the locked jars of Spark, and MSK's sign-in
    dist/run_job.py                           what spark-submit is given

The environment is for the system that it is made on: `--environment` makes it and the wheel alone,
with nothing but requirements/build.txt, in a container of the cluster's system (docs/deploy.md). It
has no Spark: the cluster's own is used.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

from lakehouse.local.jars import files_for

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "requirements" / "runtime.txt"
OF_THE_CLUSTER = ("pyspark", "py4j")
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def build_wheel(target: Path) -> Path:
    """Make the wheel of this checkout; what builds it is installed already, and locked."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", target, ROOT],
        check=True,
    )
    (wheel,) = sorted(target.glob("lakehouse-*.whl"), key=lambda one: one.stat().st_mtime)[-1:]
    return wheel


def make_environment(folder: Path, wheel: Path) -> None:
    """A Python of its own that may be moved: interpreter, standard library, packages, wheel."""
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    locked = folder / "locked.txt"
    locked.write_text(without(RUNTIME.read_text(), OF_THE_CLUSTER))
    install: list[str | Path] = [*_PIP, "--python", python, "install", "--no-deps"]
    subprocess.run([*install, "--require-hashes", "--only-binary=:all:", "-r", locked], check=True)
    subprocess.run([*install, "--no-index", wheel], check=True)
    locked.unlink()
    make_movable(folder)


def make_movable(folder: Path) -> None:
    """Give it what a virtual environment looks for where it was made: library and interpreter."""
    library = Path(sysconfig.get_path("stdlib"))
    # what builds other interpreters, and windows: half of it
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__",
                                      "config-*", "ensurepip", "idlelib", "tkinter")  # fmt: skip
    shutil.copytree(
        library, folder / "lib" / library.name, ignore=left_out, dirs_exist_ok=True, symlinks=False
    )
    (folder / "pyvenv.cfg").unlink()
    commands = folder / "bin"
    shutil.rmtree(commands / "__pycache__", ignore_errors=True)
    for command in commands.iterdir():
        # scripts name the interpreter by the place that they were made at
        if not command.name.startswith("python"):
            command.unlink()
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        _carry_interpreter(folder)
    _script(commands / "lakehouse", 'exec "$here/python" -m lakehouse.cli "$@"')


def _carry_interpreter(folder: Path) -> None:
    """Take along the library that the interpreter is, as most systems build it; have it found."""
    shared = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
    shutil.copy2(shared, folder / "lib" / shared.name)
    found = 'export LD_LIBRARY_PATH="$here/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n'
    for name in ("python", "python3"):
        command = folder / "bin" / name
        command.unlink()
        _script(command, f'{found}exec "$here/{library_name()}" "$@"')


def library_name() -> str:
    """python3.11: of the interpreter, and of the folder of its library."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _script(path: Path, text: str) -> None:
    """A command that finds what lies beside it, wherever that is."""
    path.write_text(f'#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n{text}\n')
    path.chmod(0o755)


def without(requirements: str, names: tuple[str, ...]) -> str:
    """A lock file without these packages and their hashes."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", requirements)
    return "".join(
        entry for entry in entries if not entry.startswith(tuple(f"{n}==" for n in names))
    )


def archive_environment(target: Path, wheel: Path) -> Path:
    """Make the environment, and of it the archive that spark.archives unpacks."""
    environment = target / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    make_environment(environment, wheel)
    archive = target / "environment.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=6) as packed:
        packed.add(environment, arcname=".")
    shutil.rmtree(environment)
    return archive


def main() -> int:
    """Make the folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", type=Path, default=ROOT / "dist")
    arguments.add_argument("--environment", action="store_true", help="no jars: only these two")
    chosen = arguments.parse_args()
    target: Path = chosen.to
    archive_environment(target, build_wheel(target))
    if not chosen.environment:
        (target / "jars").mkdir(exist_ok=True)
        for jar in (*files_for("spark"), *files_for("msk")):
            shutil.copy2(jar, target / "jars" / jar.name)
        shutil.copy2(ROOT / "deploy" / "run_job.py", target / "run_job.py")
    print(f"{target}: {', '.join(sorted(each.name for each in target.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
