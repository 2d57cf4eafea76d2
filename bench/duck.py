"""The Batch Index as one query of DuckDB: the same file, rates, policies and scores; same answers.

What it leaves out: refused rows and their reasons, warnings, gates, evidence, revisions.
"""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.decision import load_regions, minor_digits
from lakehouse.records.codes import PolicyFlag

_THREADS = 2  # as Spark has in conf/local.yaml


class Answer(NamedTuple):
    """What both engines must agree on before their times are compared."""

    rows: int
    amount_base: Decimal  # whole smallest units of the base currency
    fraud_score: Decimal  # the sum of the best ones
    flags: dict[str, int]  # rows by policy_flag


_LOG = """
CREATE VIEW log AS SELECT * FROM read_csv('{log}', header = true, columns = {{
    transaction_id: 'VARCHAR', user_id: 'VARCHAR', timestamp: 'TIMESTAMPTZ',
    amount: 'DECIMAL(15,2)', currency: 'VARCHAR', country: 'VARCHAR', merchant_id: 'VARCHAR',
    payment_token: 'VARCHAR', transaction_status: 'VARCHAR', sequence: 'BIGINT'}});
CREATE VIEW rates AS SELECT rate_date, currency, rate,
    (rate::DECIMAL(38,8) * 100000000)::HUGEINT AS parts
    FROM read_csv('{rates}', header = true, columns = {{
        rate_date: 'DATE', base: 'VARCHAR', currency: 'VARCHAR', rate: 'DECIMAL(18,8)'}});
CREATE VIEW policies AS SELECT policy_id, policy_data, effective_date
    FROM read_csv('{policies}', header = true, columns = {{
        policy_id: 'VARCHAR', policy_name: 'VARCHAR', policy_data: 'JSON',
        effective_date: 'TIMESTAMPTZ'}});
CREATE VIEW scores AS SELECT transaction_id, fraud_score, explanations, model_version,
    inference_time FROM read_parquet('{scores}', hive_partitioning = false);
"""

_INDEX = """
WITH payments AS (
    SELECT * FROM log QUALIFY row_number() OVER (
        PARTITION BY transaction_id ORDER BY sequence DESC, timestamp DESC) = 1
),
best AS (
    SELECT transaction_id, arg_max(
        {fraud_score: fraud_score, explanations: explanations, model_version: model_version},
        (inference_time, model_version)) AS score
    FROM scores GROUP BY transaction_id
),
counted AS (
    SELECT *, count(*) FILTER (transaction_status <> 'DECLINED') OVER (
            PARTITION BY user_id ORDER BY timestamp
            RANGE BETWEEN INTERVAL 3600 SECONDS PRECEDING AND CURRENT ROW)
        - (transaction_status <> 'DECLINED')::INT + 1 AS velocity
    FROM payments
),
valued AS (
    SELECT p.*, r.rate AS fx_rate, r.rate_date AS fx_rate_date,
        CASE WHEN p.currency = 'EUR' THEN amount::HUGEINT
             WHEN date_diff('day', r.rate_date, p.timestamp::DATE) <= 7
             THEN amount::HUGEINT * 100000000 * 100 END AS dividend,
        CASE WHEN p.currency = 'EUR' THEN 1::HUGEINT ELSE r.parts * u.units END AS divisor
    FROM counted p
    LEFT JOIN units u ON u.currency = p.currency
    ASOF LEFT JOIN rates r ON r.currency = p.currency AND p.timestamp::DATE >= r.rate_date
)
SELECT v.* EXCLUDE (dividend, divisor), score.fraud_score, score.explanations,
    score.model_version,
    (dividend // divisor + CASE
        WHEN dividend % divisor * 2 > divisor THEN 1
        WHEN dividend % divisor * 2 = divisor THEN (dividend // divisor) % 2
        ELSE 0 END)::DECIMAL(18,0) AS amount_base,
    CASE {flags} ELSE 'NONE' END AS policy_flag,
    v.timestamp::DATE AS event_date, coalesce(g.region, '{default}') AS region
FROM valued v
LEFT JOIN best ON best.transaction_id = v.transaction_id
LEFT JOIN regions g ON g.country = v.country
ASOF LEFT JOIN (FROM policies WHERE policy_id = 'pol-velocity') p_velocity
    ON v.timestamp >= p_velocity.effective_date
ASOF LEFT JOIN (FROM policies WHERE policy_id = 'pol-geo') p_geo
    ON v.timestamp >= p_geo.effective_date
ASOF LEFT JOIN (FROM policies WHERE policy_id = 'pol-amount') p_amount
    ON v.timestamp >= p_amount.effective_date
ASOF LEFT JOIN (FROM policies WHERE policy_id = 'pol-merchant') p_merchant
    ON v.timestamp >= p_merchant.effective_date
"""

_FIRES = {
    PolicyFlag.VELOCITY_LIMIT: "v.velocity > (p_velocity.policy_data->>'max_count')::INT",
    PolicyFlag.GEO_BLOCK: "list_contains((p_geo.policy_data->'countries')::VARCHAR[], v.country)",
    PolicyFlag.AMOUNT_LIMIT: "v.currency = p_amount.policy_data->>'currency' "
    "AND v.amount > (p_amount.policy_data->>'max_amount')::BIGINT",
    PolicyFlag.MERCHANT_BLOCK: "list_contains("
    "(p_merchant.policy_data->'merchants')::VARCHAR[], v.merchant_id)",
}


def index_by_duckdb(landing: Path, log: Path, scores: Path, regions: Path | str, to: Path) -> None:
    """Write the index of one log to a folder of Parquet files, by day and region.

    `scores` are the files of silver.offline_scores: both engines find them read already.
    """
    shutil.rmtree(to, ignore_errors=True)
    with duckdb.connect() as db:
        db.execute(f"SET threads = {_THREADS}; SET TimeZone = 'UTC'")
        places = {
            "log": log,
            "rates": next(landing.glob("fx_rates/*/ecb.csv")),
            "policies": next(landing.glob("policies/*/policies.csv")),
            "scores": scores / "**" / "*.parquet",
        }
        db.execute(_LOG.format(**places))
        _constants(db, "units(currency VARCHAR, units HUGEINT)",
                   [(code, 10**digits) for code, digits in minor_digits().items()])  # fmt: skip
        listed = load_regions(regions)
        _constants(
            db,
            "regions(country VARCHAR, region VARCHAR)",
            [(country, name) for name, own in listed.regions.items() for country in own],
        )
        severest_first = [flag for flag in reversed(PolicyFlag) if flag in _FIRES]
        flags = " ".join(f"WHEN {_FIRES[flag]} THEN '{flag}'" for flag in severest_first)
        index = _INDEX.replace("{flags}", flags).replace("{default}", listed.default)
        db.execute(f"COPY ({index}) TO '{to}' (FORMAT parquet, PARTITION_BY (event_date, region))")


def answer_of_duckdb(written: Path) -> Answer:
    """Add up what was written."""
    with duckdb.connect() as db:
        found = db.execute(
            "SELECT policy_flag, count(*), sum(amount_base), sum(fraud_score) "
            f"FROM read_parquet('{written}/**/*.parquet') GROUP BY policy_flag"
        ).fetchall()
    return _summed(found)


def answer_of_spark(index: DataFrame) -> Answer:
    """Add up rows of the view silver.batch_index."""
    found = index.groupBy("policy_flag").agg(
        F.count(F.lit(1)), F.sum("amount_base"), F.sum("fraud_score")
    )
    return _summed([tuple(row) for row in found.collect()])


def _summed(groups: list[tuple[str, int, Decimal | None, Decimal | None]]) -> Answer:
    return Answer(
        sum(rows for _, rows, _, _ in groups),
        sum((Decimal(amount or 0) for _, _, amount, _ in groups), Decimal(0)),
        sum((Decimal(score or 0) for _, _, _, score in groups), Decimal(0)),
        {flag: rows for flag, rows, _, _ in sorted(groups)},
    )


def _constants(db: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[str, object]]) -> None:
    name = table.partition("(")[0]
    db.execute(f"CREATE TABLE {table}")
    db.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
