"""`lakehouse alerts check|list`: what is not as it should be, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import say, show_grid, show_json
from lakehouse.config import Config
from lakehouse.errors import LeaseLostError

if TYPE_CHECKING:
    from lakehouse.alerts.checking import Checked
    from lakehouse.alerts.evaluating import Judged
    from lakehouse.alerts.rules import AlertRules

app = typer.Typer(help="Alerts: what is not as it should be.", no_args_is_help=True)


@app.command("check")
def check_now(
    every: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Again and again, until Ctrl-C.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Judge figures and runs by conf/alerts.yaml; open, update, resolve alerts; tell channels.

    What does not answer ends no round of many: what can be judged is told of. One round alone
    fails then, behind that.
    """
    # clients of the cloud take a quarter of a second to import
    from lakehouse.alerts.checking import CHECKER, again_and_again
    from lakehouse.alerts.rules import load_alert_rules
    from lakehouse.lease import held_lease

    settings = Config.load(config)
    rules = load_alert_rules(settings.rules.alerts)

    def check_once() -> Judged:
        return _checked(settings, rules, lambda checked: _show(checked, as_json))

    while every is not None:
        # a lost one is taken again, unless another one checks now: then that is said
        with suppress(LeaseLostError), held_lease(settings, CHECKER) as lease:
            again_and_again(check_once, lease.check, time.sleep, every)
    with held_lease(settings, CHECKER):
        for fault in check_once().faults:
            raise fault


@app.command("list")
def list_alerts(
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 50,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show alerts, the newest first, with the section of the runbook for each."""
    from lakehouse.alerts.channels import link_of
    from lakehouse.alerts.store import store_of

    settings = Config.load(config)
    records = store_of(settings).newest(limit)
    if as_json:
        show_json([record.model_dump(mode="json") for record in records])
        return
    columns = ("rule", "subject", "severity", "opened (UTC)", "resolved (UTC)", "detail", "see")
    show_grid("alerts", columns, [
        [e.rule, e.subject, str(e.severity), e.opened_at, e.resolved_at, e.detail,
         link_of(e.rule, settings.alerts.runbook)]
        for e in (record.episode for record in records)
    ])  # fmt: skip


def _checked(config: Config, rules: AlertRules, show: Callable[[Checked], None]) -> Judged:
    from lakehouse.alerts.channels import channels_of
    from lakehouse.alerts.checking import check, judge, say_checked
    from lakehouse.alerts.store import store_of
    from lakehouse.metrics.places import figures_of
    from lakehouse.runs import run_store_of

    now, figures = datetime.now(UTC), figures_of(config)
    judged = judge(rules, figures, run_store_of(config), now, config.alerts.scheduled)
    channels = channels_of(config.alerts.channels, config.alerts.runbook)
    show(check(judged, store_of(config), channels, config.alerts, now))
    say_checked(judged, figures, now)
    return judged


def _show(checked: Checked, as_json: bool) -> None:
    if as_json:
        show_json({
            "changes": [change.model_dump(mode="json") for change in checked.changes],
            "unsent": checked.unsent,
        })  # fmt: skip
        return
    told = ", ".join(f"{c.episode.rule} ({c.episode.subject}) {c.event}"
                     for c in checked.changes if c.is_told)  # fmt: skip
    unsent = ", ".join(f"{count} to {name}" for name, count in checked.unsent.items() if count)
    say((told or "nothing new") + (f"; unsent: {unsent}" if unsent else ""))
