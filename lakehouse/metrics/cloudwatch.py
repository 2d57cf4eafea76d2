"""Figures in CloudWatch: values with their counts, so that its statistics are of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.config import FiguresInCloudWatch
from lakehouse.errors import FiguresError, FiguresLeftError
from lakehouse.metrics.points import HIGH, UNITS, Metric, Point, Stat

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

_SUBJECT = "Subject"
_MOST_DATA = 1000  # of one request, by CloudWatch's limit
_MOST_VALUES = 150  # of one datum, by the same
# what lies outside of these is refused, and the whole request with it
_OLDEST = timedelta(days=14)
_FURTHEST_AHEAD = timedelta(hours=2)  # a sender's clock is wrong, and scores go by its time
_REFUSALS = frozenset(
    {
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "MissingParameter",
        "RequestEntityTooLarge",
        "ValidationError",
    }
)
"""Faults of what a request carries: sent again it would be refused again."""
_TIMEOUT_SECONDS = 5
_STATISTICS = {
    "count": "SampleCount",
    "total": "Sum",
    "high": f"p{HIGH:.0%}"[:-1],
    "most": "Maximum",
}


class CloudWatchFigures:
    """One namespace; each metric has the configured dimensions and `Subject`."""

    def __init__(self, settings: FiguresInCloudWatch) -> None:
        self._namespace = settings.namespace
        self._common: list[Any] = [
            {"Name": k, "Value": v} for k, v in sorted(settings.dimensions.items())
        ]
        self._client = boto3.client(
            "cloudwatch",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            config=ClientConfig(
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retries={"total_max_attempts": 2},
            ),
        )

    def send(self, points: Sequence[Point]) -> int:
        """Put points, many to a request; how many were left out for good.

        Those are older or further ahead than CloudWatch takes, or it refuses them by themselves.

        Raises:
            FiguresLeftError: CloudWatch does not answer, or refuses whoever asks; what is left. A
                request that got no answer is among that: it may count twice.
        """
        now = datetime.now(UTC)
        taken = [each for each in points if now - _OLDEST < each.at < now + _FURTHEST_AHEAD]
        lost = len(points) - len(taken)
        parts = [part for each in taken for part in _parts(each)]
        # requests still to be sent, the next one last
        waiting = [parts[at : at + _MOST_DATA] for at in reversed(range(0, len(parts), _MOST_DATA))]
        while waiting:
            request = waiting.pop()
            try:
                with self._named():
                    is_refused = not self._put(request)
            except FiguresError as fault:
                left = [*request, *(part for later in reversed(waiting) for part in later)]
                raise FiguresLeftError(fault.place, fault.why, left, lost) from fault
            half = len(request) // 2
            if is_refused and half:
                # halved until what is refused stands alone
                waiting += [request[half:], request[:half]]
            elif is_refused:
                lost += 1
        return lost

    def subjects(self, metric: Metric) -> list[str]:
        """Of which subjects it has had values in the last two weeks."""
        found = set()
        with self._named():
            pages = self._client.get_paginator("list_metrics").paginate(
                Namespace=self._namespace, MetricName=str(metric), Dimensions=self._common
            )
            for page in pages:
                for each in page["Metrics"]:
                    found |= {d["Value"] for d in each["Dimensions"] if d["Name"] == _SUBJECT}
        return sorted(found)

    def stats(
        self, metric: Metric, subject: str, since: datetime, until: datetime, each: timedelta
    ) -> list[Stat]:
        """Per span of `each` from `since` on, to `until` (exclusive); spans without values lack.

        A span is a multiple of a minute. CloudWatch keeps minutes for 15 days, spans of five
        minutes for 63, hours for 455.
        """
        told: dict[str, dict[datetime, float]] = {name: {} for name in _STATISTICS}
        with self._named():
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=[
                    {
                        "Id": name,
                        "MetricStat": {
                            "Metric": self._metric(metric, subject),
                            "Period": int(each.total_seconds()),
                            "Stat": statistic,
                        },
                    }
                    for name, statistic in _STATISTICS.items()
                ],
                StartTime=since,
                EndTime=until,
                ScanBy="TimestampAscending",
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    told[result["Id"]].update(
                        zip(result["Timestamps"], result["Values"], strict=True)
                    )
        return [
            Stat(
                at.astimezone(UTC),
                int(count),
                told["total"].get(at, 0.0),
                told["high"].get(at, 0.0),
                told["most"].get(at, 0.0),
            )
            for at, count in sorted(told["count"].items())
            if count
        ]

    def _put(self, points: Sequence[Point]) -> bool:
        """Put points in one request; whether it was taken, or refused for what it carries."""
        data = [self._datum(each) for each in points]
        try:
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
        except ClientError as fault:
            # newer models of the service name faults with this ending
            if fault.response["Error"]["Code"].removesuffix("Exception") not in _REFUSALS:
                raise
            return False
        return True

    def _datum(self, point: Point) -> MetricDatumTypeDef:
        unit: Any = UNITS.get(point.metric, "Count")
        return {
            "MetricName": str(point.metric),
            "Dimensions": self._dimensions(point.subject),
            "Timestamp": point.at,
            "Values": [*point.values],
            "Counts": [float(times) for times in point.values.values()],
            "Unit": unit,
        }

    def _metric(self, metric: Metric, subject: str) -> Any:
        return {
            "Namespace": self._namespace,
            "MetricName": str(metric),
            "Dimensions": self._dimensions(subject),
        }

    def _dimensions(self, subject: str) -> list[Any]:
        return [*self._common, {"Name": _SUBJECT, "Value": subject}]

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as fault:
            raise FiguresError(f"CloudWatch ({self._namespace})", type(fault).__name__) from fault


def _parts(point: Point) -> Iterator[Point]:
    """The same values, as few to a point as one datum takes."""
    values = sorted(point.values.items())
    for at in range(0, len(values), _MOST_VALUES):
        yield replace(point, values=dict(values[at : at + _MOST_VALUES]))
