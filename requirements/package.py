"""`make package`: all that an account runs, in one folder to be copied to its artifacts bucket.

    dist/lakehouse-VERSION-py3-none-any.whl   the code, and conf/ as share/lakehouse/conf
    dist/environment.tar.gz                   Python and its locked packages, for spark.archives
    dist/jars/                                the locked jars of Spark
    dist/run_job.py                           what spark-submit is given

The environment is for the system that it is made on: make it in the image of the EMR release
(docs/deploy.md). It has no Spark: the cluster's own is used.
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
    """Give it the standard library: a virtual environment looks for that where it was made."""
    library = Path(sysconfig.get_path("stdlib"))
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__")
    shutil.copytree(
        library, folder / "lib" / library.name, ignore=left_out, dirs_exist_ok=True, symlinks=False
    )
    (folder / "pyvenv.cfg").unlink()


def without(requirements: str, names: tuple[str, ...]) -> str:
    """A lock file without these packages and their hashes."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", requirements)
    return "".join(
        entry for entry in entries if not entry.startswith(tuple(f"{n}==" for n in names))
    )


def main() -> int:
    """Make the folder."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("--to", type=Path, default=ROOT / "dist")
    target: Path = arguments.parse_args().to
    wheel = build_wheel(target)
    environment = target / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    make_environment(environment, wheel)
    with tarfile.open(target / "environment.tar.gz", "w:gz") as archive:
        archive.add(environment, arcname=".")
    shutil.rmtree(environment)
    (target / "jars").mkdir(exist_ok=True)
    for jar in files_for("spark"):
        shutil.copy2(jar, target / "jars" / jar.name)
    shutil.copy2(ROOT / "deploy" / "run_job.py", target / "run_job.py")
    print(f"{target}: {', '.join(sorted(each.name for each in target.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
