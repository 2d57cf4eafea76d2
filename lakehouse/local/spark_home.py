"""Make the virtual environment's Spark one that has Delta and Kafka, as the cloud's has.

Afterwards a plain `.venv/bin/spark-submit job.py` needs nothing from the environment: Spark's own
`conf/` names the Java and the Python, and `jars/` links to the cache.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.local.java import Java

_ON_CLASS_PATH = "empty"
_COMMANDS = ("spark-submit", "spark-sql", "spark-shell", "pyspark", "spark-class")

_LOGGING = """\
# Written by set-up: warnings to stderr, without those that mean nothing on one machine.
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr

appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
"""

# logger -> the message that is noise
_NOISE = {
    "org.apache.spark.util.Utils": "the host name resolves to loopback",
    "org.apache.hadoop.util.NativeCodeLoader": "no native Hadoop",
    "org.apache.spark.sql.catalyst.util.SparkStringUtils": "a long plan was shortened in a log",
    "org.apache.kafka.clients.admin.AdminClientConfig": "a setting is for another client",
    "org.apache.kafka.clients.consumer.ConsumerConfig": "a setting is for another client",
    "org.apache.spark.sql.kafka010.KafkaDataConsumer": "a thread is not uninterruptible",
    "org.apache.spark.sql.execution.streaming.ResolveWriteToStream": "no adaptive streaming",
}


def spark_home() -> Path:
    """Return the folder of the installed PySpark.

    Raises:
        SetupError: PySpark is not installed here.
    """
    found = importlib.util.find_spec("pyspark")
    if not found or not found.origin:
        raise SetupError("PySpark is not installed. Run `make setup`.")
    return Path(found.origin).parent


def prepare(
    home: Path, java: Java, jars: Sequence[Path], commands: Path, class_archive: Path
) -> bool:
    """Write Spark's conf, link its jars, and point the commands at it; True when it changed.

    `commands` is the folder of spark-submit: the one pip put there looks for PySpark with
    whichever `python3` comes first on PATH. `class_archive` is used where it exists.
    """
    conf = home / "conf"
    (conf / _ON_CLASS_PATH).mkdir(parents=True, exist_ok=True)
    (conf / "spark-defaults.conf").unlink(missing_ok=True)  # of an earlier set-up
    changed = [
        _write(
            conf / "spark-env.sh", _environment(conf, java, Path(sys.executable), class_archive)
        ),
        _write(conf / "log4j2.properties", _LOGGING + _quiet()),
        *(_write(commands / name, _command(home, name), mode=0o755) for name in _COMMANDS),
        _link(home / "jars", jars),
    ]
    return any(changed)


_LATE_OPTIMISATION = (
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)


def _environment(conf: Path, java: Java, python: Path, class_archive: Path) -> str:
    options = " ".join(
        [
            f"-Dlog4j2.configurationFile={(conf / 'log4j2.properties').as_uri()}",
            "-Dspark.ui.showConsoleProgress=false",
            # two cores and a small heap: other collectors' own threads cost more than they save
            "-XX:+UseSerialGC",
            # the optimising compiler takes a core while Spark warms up: ask for it later
            *_LATE_OPTIMISATION,
            # in quotes: the path of a checkout may have a space
            f'"-XX:SharedArchiveFile={class_archive}"',
            # an archive that does not fit is passed over in silence
            "-Xlog:cds=off",
            "-Xlog:cds+dynamic=off",
        ]
    )
    return (
        "# Written by set-up. Holds for every Spark process of this virtual environment.\n"
        "# What decides results is in lakehouse/session.py, not here.\n"
        f"JAVA_HOME={shlex.quote(str(java.home))}\n"
        f"PYSPARK_PYTHON={shlex.quote(str(python))}\n"
        f"PYSPARK_DRIVER_PYTHON={shlex.quote(str(python))}\n"
        'SPARK_LOCAL_IP="${SPARK_LOCAL_IP:-127.0.0.1}"\n'
        'SPARK_DRIVER_MEMORY="${SPARK_DRIVER_MEMORY:-2g}"\n'
        "# Spark puts this folder on the class path: unless empty, Java would not use the archive\n"
        f"SPARK_CONF_DIR={shlex.quote(str(conf / _ON_CLASS_PATH))}\n"
        f'SPARK_SUBMIT_OPTS={shlex.quote(options)}" ${{SPARK_SUBMIT_OPTS:-}}"\n'
    )


def _command(home: Path, name: str) -> str:
    place = shlex.quote(str(home))
    return f'#!/usr/bin/env bash\nexport SPARK_HOME={place}\nexec "$SPARK_HOME/bin/{name}" "$@"\n'


def _quiet() -> str:
    lines = []
    for number, (logger, noise) in enumerate(_NOISE.items()):
        lines += [
            "",
            f"# {noise}",
            f"logger.noise{number}.name = {logger}",
            f"logger.noise{number}.level = error",
        ]
    return "\n".join(lines) + "\n"


def _link(folder: Path, jars: Sequence[Path]) -> bool:
    changed = False
    wanted = {folder / jar.name: jar for jar in jars}
    # links of an earlier lock would put two versions on the class path
    for link in folder.iterdir():
        if link.is_symlink() and link not in wanted:
            link.unlink()
            changed = True
    for link, jar in wanted.items():
        if link.is_symlink() and link.readlink() == jar:
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(jar)
        changed = True
    return changed


def _write(file: Path, text: str, mode: int = 0o644) -> bool:
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return False
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return True
