"""`lakehouse prove`: what the platform promises, checked against what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import note, say, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import (
    GoldNotDerivedError,
    NotAccountedForError,
    OffsetsDifferError,
    ServingDriftError,
)

if TYPE_CHECKING:
    from lakehouse.cli.gold_proof import FoundFault, GoldProof
    from lakehouse.cli.offsets import PartitionProof
    from lakehouse.intervals import Interval

app = typer.Typer(help="Check what the platform promises.", no_args_is_help=True)

_COUNTS = ("topic", "partition", "delivered", "landed", "missing", "doubled", "unknown", "lost",
           "gaps", "waiting")  # fmt: skip
_MOST_NAMED = 20
_AMOUNTS = ("delivered", "accepted", "duplicates", "quarantined", "held", "unexplained")


@app.callback()
def prove() -> None:
    """Check what the platform promises; exit code 1 where it does not hold."""


@app.command()
def offsets(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Compare what Kafka delivers with what is in Bronze: each offset once, or named as a gap."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.offsets import prove_offsets
    from lakehouse.intervals import size
    from lakehouse.session import open_session

    with step("reading both topics and Bronze"):
        proofs = prove_offsets(open_session(settings, "prove-offsets"), settings)
    if as_json:
        show_json([asdict(proof) | {"holds": proof.holds} for proof in proofs])
    else:
        show_grid("records of Kafka in Bronze", _COUNTS, [
            [p.topic, p.partition, p.delivered, p.landed, size(p.missing), size(p.doubled),
             size(p.unknown), size(p.lost), size(p.gaps), p.waiting]
            for p in proofs
        ])  # fmt: skip
        for proof in proofs:
            if proof.gaps:
                note(f"{proof.topic}/{proof.partition}: no record at {_named(proof.gaps)}")
    if broken := [_broken(proof) for proof in proofs if not proof.holds]:
        raise OffsetsDifferError(broken)


@app.command()
def money(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Account for every record and every cent, from the senders' totals to Gold: runs reconcile."""
    settings = Config.load(config)
    from lakehouse.cli.counts import by_step
    from lakehouse.cli.money import (
        DIFFERENCES,
        MONEY,
        by_currency,
        difference_cells,
        document,
        title,
    )
    from lakehouse.job import execute, job_named

    with step("reconcile"):
        lines = execute(job_named("reconcile"), settings, trigger="once", only_report=True)
    if as_json:
        show_json(document(lines))
    else:
        columns = ("step", *_AMOUNTS)
        show_grid(f"records ({title(lines)})", columns, [
            [getattr(counts, name) for name in columns] for counts in by_step(lines)
        ])  # fmt: skip
        show_grid("money, in smallest units", MONEY, [m.cells() for m in by_currency(lines)])
        if differences := difference_cells(lines):
            show_grid("differences", DIFFERENCES, differences)
    if told := [each for line in lines for each in line.told]:
        raise NotAccountedForError(told)


@app.command()
def serving(
    everything: Annotated[
        bool, typer.Option("--all", help="Compare every item, not a sample.")
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="About so many payments.")] = 10_000,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what drifts, by conditional writes.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Compare DynamoDB with Gold, as far as it was pushed: runs compare_serving."""
    settings = Config.load(config)
    from lakehouse.job import execute, job_named

    with step("compare_serving"):
        report = execute(
            job_named("compare_serving"),
            settings,
            trigger="once",
            sample=None if everything else sample,
            repair=repair,
            only_report=True,
        )
    if as_json:
        show_json(asdict(report) | {"holds": not report.drifting})
    else:
        columns = ("version", "payments", "hot", "compared", "ahead", *report.drift, "repaired")
        show_grid(
            "items of DynamoDB beside Gold",
            columns,
            [[report.version, report.payments, report.hot, report.compared, report.ahead,
              *report.drift.values(), report.repaired]],
        )  # fmt: skip
        for kind, names in report.named.items():
            note(f"{kind}: {', '.join(names)}")
    if report.drifting:
        raise ServingDriftError(settings.dynamodb.table, report.drift, report.named)


@app.command()
def history(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Verify the hash chain of Gold, its signed heads, Gold's files, and the history rows."""
    _run("prove_history", config, as_json)


def _run(job: str, config: ConfigPath, as_json: bool) -> None:
    """A proof that is a job: found by its entry point, since no layer is imported here."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.job import execute, job_named

    with step(job):
        execute(job_named(job), settings, trigger="once", as_json=as_json)


@app.command()
def gold(
    config: ConfigPath = DEFAULT_CONFIG,
    heal: Annotated[
        bool,
        typer.Option("--heal", help="Unite doubles and derive wrong rows again, then prove again."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Derive all of Gold again: one row per transaction, each as its contributions say."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.gold_proof import prove_gold
    from lakehouse.session import open_session

    with step("deriving every row of gold.transactions again"):
        proofs = [prove_gold(open_session(settings, "prove-gold"), settings)]
    if heal and not proofs[0].holds:
        _heal(settings)
        with step("proving what was healed"):
            proofs.append(prove_gold(open_session(settings, "prove-gold"), settings))
    if as_json:
        show_json([asdict(proof) | {"holds": proof.holds} for proof in proofs])
    else:
        for proof in proofs:
            _show_gold(proof)
    if not proofs[-1].holds:
        raise GoldNotDerivedError(proofs[-1].version, _told(proofs[-1]))


def _heal(settings: Config) -> None:
    from lakehouse.job import execute, job_named

    with step("consolidate --heal"):
        # only the job writes its table, under its own lease
        execute(job_named("consolidate"), settings, trigger="once", heal=True)


def _show_gold(proof: GoldProof) -> None:
    title = f"gold.transactions at version {proof.version}: {proof.rows} rows"
    if proof.holds:
        say(f"{title}, one per transaction, each as its contributions say")
        return
    show_grid(
        title,
        ("fault", "transactions", "columns", "first transactions"),
        [[f.fault, f.transactions, ", ".join(f.columns) or None, ", ".join(f.first)]
         for f in proof.faults],
    )  # fmt: skip


def _told(proof: GoldProof) -> list[str]:
    return [f"{f.fault} {f.transactions} ({_first_of(f)})" for f in proof.faults]


def _first_of(found: FoundFault) -> str:
    return found.first[0] + (", ..." if found.transactions > 1 else "")


def _broken(proof: PartitionProof) -> str:
    kinds = {name: getattr(proof, name) for name in ("missing", "doubled", "unknown", "lost")}
    parts = [f"{kind} {_named(offsets)}" for kind, offsets in kinds.items() if offsets]
    return f"{proof.topic}/{proof.partition}: {', '.join(parts)}"


def _named(intervals: Sequence[Interval]) -> str:
    named = ", ".join(str(interval) for interval in intervals[:_MOST_NAMED])
    more = len(intervals) - _MOST_NAMED
    return f"{named} and {more} ranges more" if more > 0 else named
