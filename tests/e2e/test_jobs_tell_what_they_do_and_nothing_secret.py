"""What a week's jobs said: every figure and line that is promised, and no user, token, card or key.

The week itself is the canary: each user id, payment token and card number that was delivered, and
the keys of this lake, are looked for in all that the jobs left beside the tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.local.generator.mess import CARD_TEXTS
from lakehouse.metrics.places import figures_of
from lakehouse.metrics.points import Metric
from lakehouse.secret_stores import secret
from lakehouse.tables import BRONZE_TRANSACTIONS, TABLES
from tests.conftest import LOCAL
from tests.e2e.platform import TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)

Line = Mapping[str, Any]

_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){12,18}")  # as it was delivered, spaces and dashes too


def lines_of(platform: Platform, job: str) -> list[Line]:
    """The JSON lines that the submitted run of a job logged."""
    told = _said_by(platform, job).splitlines()
    return [json.loads(line) for line in told if line.startswith("{")]


def _said_by(platform: Platform, job: str) -> str:
    """All that a submitted run wrote: spark-submit puts it all on its own output."""
    process = platform.submitted[job].process
    return process.stdout + process.stderr


def shown(*words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--config", str(LOCAL), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def canaries(platform: Platform) -> set[str]:
    """What must not be told. All of it was delivered, or signs and keys what was."""
    values = [bytes(row["value"]) for row in platform.rows(BRONZE_TRANSACTIONS, "value")
              if row["value"]]  # fmt: skip
    read = [found for value in values if isinstance(found := _json(value), dict)]
    # a user id of digits alone could be any count
    users = {each["user_id"] for each in read if str(each.get("user_id")).startswith("u-")}
    tokens = {str(each["payment_token"]) for each in read if each.get("payment_token")}
    assert users and tokens
    written = {found[0] for text in CARD_TEXTS for found in [_CARD.search(text)] if found}
    assert len(written) == len(CARD_TEXTS)
    delivered = {each for each in users | tokens | written if len(each) >= 6}
    # what nobody delivered would be found nowhere
    sent = b"\n".join(each.value for each in platform.world.transactions).decode("latin-1")
    assert {each for each in delivered if each not in sent} == set()
    digits = {re.sub("[ -]", "", each) for each in written}
    keys = {secret(platform.config.cards.token_key), secret(platform.config.history.signing_key)}
    return delivered | digits | keys


def _json(value: bytes) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def alerts(platform: Platform) -> Any:
    """What is told of the week, once it is judged."""
    assert platform.submitted
    return [shown("alerts", "check"), shown("alerts", "list")]


def _left_by(platform: Platform, alerts: Any) -> Iterator[tuple[str, str]]:
    """All that jobs leave outside of tables, with its place."""
    for job in platform.submitted:
        yield f"log of {job}", _said_by(platform, job)
        yield f"command line of {job}", str(platform.submitted[job].process.args)
    config = platform.config
    for folder in (config.lake.operations, config.lake.checkpoints, config.lease.location):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                yield str(path), path.name + path.read_bytes().decode("latin-1")
    yield "alerts", json.dumps(alerts)
    # a job's own Spark is gone. Its settings come from its config, which is this one, and from its
    # command line; what `open_session` and the JVM add is shown by the session of this process
    yield "Spark's settings in the config", str(config.spark.settings)
    yield "Spark's configuration here", str(platform.spark.sparkContext.getConf().getAll())


def test_no_user_token_card_or_key_is_in_what_jobs_leave_beside_tables(
    platform: Platform, canaries: set[str], alerts: Any
) -> None:
    places = [*_left_by(platform, alerts)]
    assert any("metrics.sqlite" in place for place, _ in places)
    assert any("/checkpoints/" in place for place, _ in places)
    found = {place: [c for c in canaries if c in text] for place, text in places}
    # only where, and how many: a test's report is a log, too
    assert {place: len(some) for place, some in found.items() if some} == {}


def test_every_line_of_a_job_names_its_run_and_those_of_a_micro_batch_the_batch(
    platform: Platform,
) -> None:
    for job in ("ingest_transactions", "enrich_live", "consolidate", "sync_dynamodb"):
        said = lines_of(platform, job)
        events = [line["event"] for line in said]
        assert (events[0], events[-1]) == ("started", "finished")
        assert {(line["job"], line["run_id"]) for line in said} == {(job, said[0]["run_id"])}
        assert all("seconds" in line for line in said if line["event"] != "committed")
    enriched = [line for line in lines_of(platform, "enrich_live") if line["event"] == "enriched"]
    assert [line["batch"] for line in enriched] == [*range(len(enriched))]
    committed = {
        (line["table"], line["version"])
        for line in lines_of(platform, "consolidate")
        if line["event"] == "committed"
    }
    assert {table for table, _ in committed} == {"gold.transactions"}


def test_the_run_table_says_what_was_read_and_written(platform: Platform) -> None:
    # a test may have run a job again since
    submitted = {job: lines_of(platform, job)[0]["run_id"] for job in platform.submitted}
    runs = {run["job"]: run for run in shown("runs") if run["run_id"] == submitted[run["job"]]}
    assert runs.keys() == submitted.keys()
    topic = platform.config.kafka.topics.transactions
    assert set(runs["ingest_transactions"]["inputs"]) >= {f"topic {topic}"}
    assert set(runs["enrich_live"]["inputs"]) >= {
        "bronze.transactions", "bronze.fraud_scores", "silver.policies",
    }  # fmt: skip
    assert set(runs["sync_dynamodb"]["inputs"]) == {"gold.transactions"}
    for job, run in platform.submitted.items():
        # these two keep the tables of others
        wrote = run.grown if job in ("create_tables", "maintain") else run.wrote
        assert set(runs[job]["outputs"]) == wrote, job
    assert set(runs["create_tables"]["outputs"]) == set(TABLES)
    assert set(runs["consolidate"]["outputs"]) == {"gold.transactions"}
    assert all(run["outcome"] == "finished" for run in runs.values())


def test_the_week_left_the_figures_that_its_jobs_promise(platform: Platform) -> None:
    config: Config = platform.config
    figures = figures_of(config)
    # what is of the last hour, or of the last days, says nothing of a week in March
    elsewhere = {
        Metric.FRESHNESS_SECONDS, Metric.FRAUD_SCORE, Metric.SUSPICIOUS_SCORES,
        Metric.DROPPED_POINTS, Metric.BATCHES_RELEASED, Metric.BATCHES_UNUSUAL,
        Metric.PATH_DIFFERENCES, Metric.ROWS_PER_SECOND,
        Metric.VERSIONS_BEHIND,  # of jobs that run on and on
        Metric.ALERTS_CHECKED,  # of no job
    }  # fmt: skip
    lacking = {metric for metric in set(Metric) - elsewhere if not figures.subjects(metric)}
    assert lacking == set()
