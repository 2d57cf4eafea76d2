"""Tables and views are registered in Glue and Athena, once, and again only where they changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
import sqlglot
import yaml
from typer.testing import CliRunner

from lakehouse import catalog as catalogs
from lakehouse.catalog import Catalog, open_catalog, planned, register
from lakehouse.catalog_entry import Standing, create_view, table_input
from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.errors import (
    CatalogDiffersError,
    CatalogError,
    CatalogNameTakenError,
    ConfigError,
)
from lakehouse.tables import GOLD_TRANSACTIONS, TABLES
from lakehouse.views import View, load_views, views_read
from tests.athena_server import REGION, athena_server
from tests.conftest import LOCAL, ROOT
from tests.deployment.policies import resources
from tests.s3_server import local_without_files

VIEWS = load_views(ROOT / "conf" / "athena")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with athena_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of this test alone, and databases that begin with its name."""
    name = f"lake{uuid4().hex[:8]}"
    s3: Any = boto3.client("s3", endpoint_url=endpoint, region_name=REGION)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    settings = {
        "region": REGION, "endpoint_url": endpoint, "database_prefix": f"{name}_",
        "workgroup": "primary", "results": f"s3://{name}/results", "view_seconds": 20,
    }  # fmt: skip
    monkeypatch.setenv("LAKEHOUSE__CATALOG", json.dumps(settings))
    monkeypatch.setenv("LAKEHOUSE__LAKE__ROOT", f"s3a://{name}/lake")
    return name


@pytest.fixture
def on_s3(bucket: str, endpoint: str, tmp_path: Path) -> Path:
    """A config of a lake in that bucket."""
    file = tmp_path / "s3.yaml"
    file.write_text(yaml.safe_dump(local_without_files(endpoint)))
    return file


@pytest.fixture
def catalog(on_s3: Path) -> Catalog:
    return open_catalog(Config.load(on_s3))


def _write(catalog: Catalog, *names: str) -> None:
    """Begin the log of these tables, of all where none is named."""
    bucket, _, prefix = catalog.root.removeprefix("s3://").partition("/")
    for name in names or TABLES:
        log = f"{prefix}/{name.replace('.', '/')}/_delta_log/00000000000000000000.json"
        catalog.s3.put_object(Bucket=bucket, Key=log, Body=b"{}")


def _standings(catalog: Catalog) -> dict[str, Standing]:
    return {entry.name: entry.standing for entry in planned(catalog)}


def _held(catalog: Catalog, name: str) -> dict[str, Any]:
    layer, _, short = name.partition(".")
    database = f"{catalog.settings.database_prefix}{layer}"
    return dict(catalog.glue.get_table(DatabaseName=database, Name=short)["Table"])


def test_every_table_and_view_is_registered_once(catalog: Catalog, bucket: str) -> None:
    _write(catalog)
    done = register(catalog, planned(catalog))
    assert done == dict.fromkeys([*TABLES, *VIEWS], "created")
    gold = _held(catalog, "gold.transactions")
    assert (gold["TableType"], gold["Parameters"]["table_type"]) == ("EXTERNAL_TABLE", "DELTA")
    assert gold["Parameters"]["spark.sql.sources.provider"] == "delta"
    storage = gold["StorageDescriptor"]
    # Athena knows no s3a, and engines of the Trino family look at the path
    assert storage["Location"] == f"s3://{bucket}/lake/tables/gold/transactions"
    assert storage["SerdeInfo"]["Parameters"]["path"] == storage["Location"]
    assert [column["Name"] for column in storage["Columns"]] == GOLD_TRANSACTIONS.columns
    assert {"Name": "amount", "Type": "decimal(15,2)"} in storage["Columns"]

    assert set(_standings(catalog).values()) == {Standing.REGISTERED}
    queries = catalog.athena.list_query_executions()["QueryExecutionIds"]
    assert register(catalog, planned(catalog)) == {}
    assert catalog.athena.list_query_executions()["QueryExecutionIds"] == queries


def test_databases_that_a_template_has_made_are_filled(catalog: Catalog) -> None:
    for each in resources("storage.yaml", "AWS::Glue::Database").values():
        name = each["DatabaseInput"]["Name"].replace("payments_", catalog.settings.database_prefix)
        theirs: Any = {"Parameters": {"owner": "risk"}}
        catalog.glue.create_database(DatabaseInput=each["DatabaseInput"] | theirs | {"Name": name})
    _write(catalog)
    assert set(register(catalog, planned(catalog)).values()) == {"created"}
    assert set(_standings(catalog).values()) == {Standing.REGISTERED}
    held = catalog.glue.get_database(Name=f"{catalog.settings.database_prefix}gold")["Database"]
    about = resources("storage.yaml", "AWS::Glue::Database")["GoldDatabase"]["DatabaseInput"]
    assert held["Description"] == about["Description"]
    assert held["Parameters"]["owner"] == "risk" and len(held["Parameters"]) > 1


def test_a_template_says_of_a_database_what_registration_would_say(catalog: Catalog) -> None:
    _write(catalog)
    register(catalog, planned(catalog))
    prefix = catalog.settings.database_prefix
    for each in resources("storage.yaml", "AWS::Glue::Database").values():
        told = each["DatabaseInput"]
        name = told["Name"].replace("payments_", prefix)
        made = catalog.glue.get_database(Name=name)["Database"]
        assert told == {"Name": told["Name"], "Description": made["Description"]}


def test_a_view_is_made_behind_those_that_it_reads(catalog: Catalog, bucket: str) -> None:
    _write(catalog)
    done = [name for name in register(catalog, planned(catalog)) if name in VIEWS]
    assert done == list(VIEWS)
    last = catalog.athena.list_query_executions()["QueryExecutionIds"]
    made = [catalog.athena.get_query_execution(QueryExecutionId=one) for one in last]
    (outcomes,) = [
        one["QueryExecution"]
        for one in made
        if one["QueryExecution"]["Query"].startswith(
            f'CREATE OR REPLACE VIEW "{bucket}_gold"."outcomes"'
        )
    ]
    assert f'"{bucket}_gold".current_transactions' in outcomes["Query"]
    assert outcomes["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{bucket}/results")


def test_what_nobody_wrote_yet_waits(catalog: Catalog) -> None:
    _write(catalog, "gold.transactions")
    done = register(catalog, planned(catalog))
    assert {"gold.transactions", "gold.disputes", "gold.fraud_by_day"} <= set(done)
    standings = _standings(catalog)
    assert standings["gold.transaction_history"] == Standing.NOT_WRITTEN
    assert standings["gold.known_transactions"] == Standing.NOT_WRITTEN
    _write(catalog)
    register(catalog, planned(catalog))
    assert set(_standings(catalog).values()) == {Standing.REGISTERED}


def test_a_changed_table_is_updated_with_the_views_over_it(catalog: Catalog) -> None:
    _write(catalog)
    register(catalog, planned(catalog))
    with pytest.MonkeyPatch.context() as patch:
        # as it was declared before a column came
        older = replace(TABLES["silver.offline_scores"], record=TABLES["silver.fx_rates"].record)
        patch.setitem(TABLES, "silver.offline_scores", older)
        changed = {name for name, one in _standings(catalog).items() if one == Standing.DIFFERS}
        # silver.scores reads it
        assert changed == {"silver.offline_scores", "silver.scores"}
        assert set(register(catalog, planned(catalog)).values()) == {"updated"}
        columns = _held(catalog, "silver.offline_scores")["StorageDescriptor"]["Columns"]
        assert [column["Name"] for column in columns] == older.columns
        assert set(_standings(catalog).values()) == {Standing.REGISTERED}


def test_a_changed_view_is_made_anew_with_the_views_over_it(catalog: Catalog) -> None:
    _write(catalog)
    register(catalog, planned(catalog))
    below = catalog.views["gold.current_transactions"]
    wider = replace(
        below, athena=below.athena.replace("event_date\nFROM", "event_date, 1 AS one\nFROM")
    )
    assert wider != below
    changed = replace(catalog, views={**VIEWS, wider.name: wider})
    # two views lie between the last and the one that changed
    over = {name for name in VIEWS if wider.name in {v.name for v in views_read([name], VIEWS)}}
    assert {"gold.current_transactions", "gold.outcomes", "gold.fraud_by_day"} <= over < set(VIEWS)
    assert register(changed, planned(changed)) == dict.fromkeys(
        [name for name in VIEWS if name in over], "updated"
    )
    assert set(_standings(changed).values()) == {Standing.REGISTERED}


def test_what_others_added_to_a_table_stays(catalog: Catalog) -> None:
    _write(catalog)
    register(catalog, planned(catalog))
    database = f"{catalog.settings.database_prefix}gold"
    theirs: Any = table_input(GOLD_TRANSACTIONS, catalog.root)
    theirs["Parameters"] |= {"owner": "risk"}
    catalog.glue.update_table(DatabaseName=database, TableInput=theirs)
    assert _standings(catalog)["gold.transactions"] == Standing.REGISTERED
    theirs["Description"] = "mine"
    catalog.glue.update_table(DatabaseName=database, TableInput=theirs)
    assert register(catalog, planned(catalog)) == {"gold.transactions": "updated"}
    held = _held(catalog, "gold.transactions")
    assert held["Parameters"]["owner"] == "risk" and held["Description"] != "mine"


def test_a_view_that_somebody_made_anew_is_put_right(catalog: Catalog) -> None:
    _write(catalog)
    register(catalog, planned(catalog))
    database = f"{catalog.settings.database_prefix}gold"
    catalog.athena.start_query_execution(
        QueryString=f'CREATE OR REPLACE VIEW "{database}"."disputes" AS SELECT 1 AS one',
        WorkGroup="primary",
    )
    assert register(catalog, planned(catalog)) == {"gold.disputes": "updated"}
    assert _standings(catalog)["gold.disputes"] == Standing.REGISTERED


def test_what_is_no_longer_declared_goes_when_asked(catalog: Catalog) -> None:
    _write(catalog)
    once = View("gold.gone", "One row: nothing.", "SELECT 1 AS one FROM gold.transactions",
                ("gold.transactions",))  # fmt: skip
    register(replaced := replace(catalog, views={**VIEWS, once.name: once}), planned(replaced))
    database = f"{catalog.settings.database_prefix}gold"
    table: Any = table_input(replace(GOLD_TRANSACTIONS, name="gold.old"), catalog.root)
    catalog.glue.create_table(DatabaseName=database, TableInput=table)
    left = {name for name, one in _standings(catalog).items() if one == Standing.LEFT_OVER}
    assert left == {"gold.gone", "gold.old"}
    assert register(catalog, planned(catalog)) == {}
    assert register(catalog, planned(catalog), prune=True) == dict.fromkeys(left, "removed")
    assert set(_standings(catalog).values()) == {Standing.REGISTERED}


def test_a_name_that_somebody_else_has_stops_all(catalog: Catalog) -> None:
    _write(catalog)
    database = f"{catalog.settings.database_prefix}gold"
    catalog.glue.create_database(DatabaseInput={"Name": database})
    theirs: Any = {"Name": "disputes", "TableType": "VIRTUAL_VIEW", "Parameters": {}}
    catalog.glue.create_table(DatabaseName=database, TableInput=theirs)
    with pytest.raises(CatalogNameTakenError, match=r"gold\.disputes"):
        register(catalog, planned(catalog))
    assert _standings(catalog)["gold.transactions"] == Standing.MISSING


def test_a_run_that_died_is_completed_by_the_next(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(catalog)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # the statement was sent, and nobody waited for its end
        patch.setattr(catalogs, "_await", dies)
        with pytest.raises(KeyboardInterrupt):
            register(catalog, planned(catalog))
    register(catalog, planned(catalog))
    assert set(_standings(catalog).values()) == {Standing.REGISTERED}


def test_the_command_registers_and_checks(on_s3: Path, catalog: Catalog) -> None:
    _write(catalog)
    asked = ["--config", str(on_s3), "--json"]
    before = CliRunner().invoke(app, ["catalog", "check", *asked])
    assert isinstance(before.exception, CatalogDiffersError)
    told = CliRunner().invoke(app, ["catalog", "register", *asked])
    assert told.exit_code == 0, told.output
    rows = {row["name"]: row for row in json.loads(told.stdout)}
    assert rows["gold.disputes"] == {
        "name": "gold.disputes", "kind": "view", "standing": "MISSING", "done": "created",
    }  # fmt: skip
    after = CliRunner().invoke(app, ["catalog", "check", *asked])
    assert after.exit_code == 0
    assert {row["standing"] for row in json.loads(after.stdout)} == {"REGISTERED"}


def test_a_laptop_and_a_folder_are_told_so(
    monkeypatch: pytest.MonkeyPatch, bucket: str, config: Config
) -> None:
    with pytest.raises(ConfigError, match="lakehouse query"):
        open_catalog(config.model_copy(update={"catalog": None}))
    with pytest.raises(ConfigError, match=r"lake\.root.*S3 only"):
        open_catalog(Config.load(LOCAL))


def test_a_service_that_refuses_is_named(catalog: Catalog) -> None:
    nowhere = replace(catalog, root="s3://no-such-bucket/lake")
    with pytest.raises(CatalogError, match=r"s3://no-such-bucket.*NoSuchBucket.*register"):
        planned(nowhere)
    _write(catalog, "gold.transactions")
    settings = catalog.settings.model_copy(update={"workgroup": "none-such"})
    with pytest.raises(CatalogError, match="Athena view"):
        register(replace(catalog, settings=settings), planned(catalog))


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_a_prefix_changes_names_and_nothing_else(view: View) -> None:
    (as_written,) = sqlglot.parse(view.athena, read="athena")
    (plain,) = sqlglot.parse(create_view(view, ""), read="athena")
    (named,) = sqlglot.parse(create_view(view, "acme_"), read="athena")
    assert plain and named and as_written
    assert plain.expression == as_written
    back = named.expression.sql(dialect="athena").replace("acme_", "")
    assert back.replace('"gold"', "gold").replace('"silver"', "silver") == as_written.sql(
        dialect="athena", comments=False
    )
