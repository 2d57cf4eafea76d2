"""The serving store as its writers meet it: each attribute group goes only forwards.

`live` and `gold` are each written by their own job only, and only over a smaller version of
itself, so an item never goes backwards, whatever is replayed and in whatever order. The key of the
index by user is the live group's user and time, and Gold's as long as there is no live group: a
function of the two groups, so it goes backwards no more than they do. An item that is said to be
new is inserted, many in one request; where it stands already, it is updated as all others are. Who
makes items from a part of what there is says which days were read: where an item stands that more
went into, it is left, and reported; where one of the same version stands, it is written over by all
that there is of its days, which may be more. What an item is, and how it is read, is in
`lakehouse.serving_item` and `lakehouse.serving`.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial, reduce
from itertools import chain, islice
from operator import add
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.config import DynamoDbSettings
from lakehouse.errors import DynamoDbError
from lakehouse.serving import client, combined, lookup
from lakehouse.serving_item import (
    AS_OF,
    EXPIRY,
    FIRST_DAY,
    GROUP_BYTES,
    INDEX_KEY,
    KEY,
    OUTLIVED,
    READ_FROM,
    READ_TO,
    STORED_NAMES,
    Group,
    day_number,
    day_of,
    instant_of,
    micros_of,
    size_of_value,
    stored,
)
from lakehouse.serving_table import ensure_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

__all__ = [
    "Met", "PushReport", "Way", "client", "combined", "ensure_table", "lookup", "push",
    "ways_of_expiry",
]  # fmt: skip

T = TypeVar("T")

# one width and UTC always, so that instants compare as text
_INSTANTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_WINDOW = 1_000  # items of one partition in memory
_STATEMENTS = 25  # of one BatchExecuteStatement, by DynamoDB's limit
NEW = "is_new"
"""The column that says which items are likely not there yet."""
_NO_ATTRIBUTES = (KEY, "version", EXPIRY, NEW, OUTLIVED, READ_FROM, READ_TO)
# codes of a statement, of many in one request
_STANDS, _UNSURE = "DuplicateItem", "InternalServerError"
_BUSY = (
    "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded",
    "TransactionConflict",
)  # fmt: skip
# codes of a whole request
_THROTTLES = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
)  # fmt: skip
_PAUSE_SECONDS = 0.1  # for each throttled item of a request, at most
_SERVICE_FAULT = re.compile(r"An error occurred \((\w+)\)")


@dataclass(frozen=True)
class Met:
    """An item that was left as it stands, because days are behind it that nobody read.

    Between `first_day` and `last_day` lies all that is behind it, and behind the pushed one.
    """

    transaction_id: str
    first_day: date
    last_day: date


@dataclass(frozen=True)
class PushReport:
    """What became of the pushed items; `written + refused + len(met)` is their number.

    An item counts as refused where an equal or newer version stood already (where it is said which
    days were read, a newer one). A task that Spark
    repeats meets its own writes, so `refused` may then count items that this push wrote; a request
    that the client repeats, because no answer came, counts as written. `oversized` of all items
    have a group that is heavier than its share of 1 KB: they are written, at the price of two.
    `turned_down` counts inserts by the code of a fault that no repetition mends (a missing right,
    say): what was to be inserted was then written as all other items are, each at a higher price.
    `throttled` counts what DynamoDB asked to send again: requests, and items of inserts.
    """

    written: int
    refused: int
    oversized: int = 0
    turned_down: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    met: tuple[Met, ...] = ()

    def __add__(self, other: PushReport) -> PushReport:
        """What became of the items of two pushes."""
        return PushReport(
            self.written + other.written,
            self.refused + other.refused,
            self.oversized + other.oversized,
            self.turned_down + other.turned_down,
            self.throttled + other.throttled,
            self.met + other.met,
        )


def push(items: DataFrame, group: Group, settings: DynamoDbSettings) -> PushReport:
    """Write one attribute group of many items, from the executors; all of them, or it raises.

    `items` has one row per transaction: `transaction_id`, `version` (long, greater wins),
    `expires_at` (epoch seconds; null leaves the item's own; an expiry never moves nearer), and
    the attributes of the group. Numbers stay numbers, instants become microseconds since 1970,
    null attributes are left out. Each item costs one write unit, and one more for the index where
    its user or time changes. Items of which the optional column `is_new` is true go 25 to a
    request; one of these that stands already costs a write unit more. So does an item whose expiry
    is not, beside the one that stands, as the optional column `is_outlived` says: without it,
    one whose other group is kept longer. Between the optional columns `read_from` and `read_to`
    (days, both included) all there is went into an item: where the group stands with something of
    before or after them, it is left, and told in `met`; else it is written over in an equal
    version, too, for one version may have been read for several days.

    Raises:
        DynamoDbError: an item could not be written in `push_attempts`, or in fewer where most
            requests fail (the client then gives up early). Others may have been; the same push
            again completes it.
    """
    attributes = [name for name in items.columns if name not in _NO_ATTRIBUTES]
    if unknown := sorted(set(attributes) - set(STORED_NAMES)):
        raise ValueError(f"no name to store {unknown} under: see lakehouse/serving_item.py")
    bodies = items.select(
        KEY,
        "version",
        EXPIRY,
        *[F.col(name) if name in items.columns else F.lit(False) for name in (NEW, OUTLIVED)],
        *[
            F.col(name) if name in items.columns else F.lit(None).cast("date")
            for name in (READ_FROM, READ_TO)
        ],
        F.to_json(F.struct(*attributes), _INSTANTS).alias("body"),
    )
    write = partial(_write_partition, group=group, settings=settings)
    try:
        reports = bodies.rdd.mapPartitions(write).collect()
    except (Py4JJavaError, PySparkException) as fault:
        code = _SERVICE_FAULT.search(str(fault))
        told = "not every item was written" + (f" ({code[1]})" if code else "")
        raise DynamoDbError(settings.table, told) from fault
    return reduce(add, reports, PushReport(0, 0))


def _write_partition(
    items: Iterable[tuple[str, int, int | None, bool, bool, date | None, date | None, str]],
    group: Group,
    settings: DynamoDbSettings,
) -> Iterator[PushReport]:
    """Write the items of one partition, `writers` at a time: a report per window."""
    store = client(settings, settings.push_attempts)
    with (
        _heard_throttles(store) as throttles,
        ThreadPoolExecutor(settings.writers, thread_name_prefix="push") as pool,
    ):
        # a bounded window: a partition may be larger than memory
        for window in _windows(items, _WINDOW):
            pushed = [_Pushed(*row[:-1], _attributes_of(row[-1])) for row in window]
            insert = partial(_insert, store, settings.table, group)
            new = [each for each in pushed if each.is_new]
            inserted = list(pool.map(insert, _windows(new, _STATEMENTS)))
            left = list(chain.from_iterable(each.left for each in inserted))
            others = [each for each in pushed if not each.is_new] + left
            written = len(new) - len(left)
            done = list(pool.map(partial(_write, store, settings.table, group), others))
            written += done.count(True)
            met = tuple(each for each in done if isinstance(each, Met))
            heavy = [each for each in pushed if size_of_value(each.attributes) > GROUP_BYTES[group]]
            turned_down = sum((each.turned_down for each in inserted), Counter[str]())
            throttled = len(throttles) + sum(each.busy for each in inserted)
            throttles.clear()
            refused = len(pushed) - written - len(met)
            yield PushReport(written, refused, len(heavy), turned_down, throttled, met)


@contextmanager
def _heard_throttles(store: DynamoDBClient) -> Iterator[list[str]]:
    """Codes of throttled requests, as they come in the block: the client repeats them in silence.

    The client is that of the process, which outlives this push.
    """
    heard: list[str] = []

    def hear(response: Any = None, **_: Any) -> None:
        code = response[1].get("Error", {}).get("Code", "") if response else ""
        if code in _THROTTLES:
            heard.append(code)

    store.meta.events.register("needs-retry.dynamodb", hear)
    try:
        yield heard
    finally:
        store.meta.events.unregister("needs-retry.dynamodb", hear)


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while window := list(islice(rest, size)):
        yield window


@dataclass(frozen=True)
class _Pushed:
    """One group of one item, as it is to be stored."""

    transaction_id: str
    version: int
    expires_at: int | None
    is_new: bool
    is_outlived: bool
    read_from: date | None
    read_to: date | None
    attributes: Mapping[str, Any]
    was_repeated: bool = False  # sent before, and no answer came


@dataclass(frozen=True)
class _Inserted:
    """Which items of a request were left, and how many for a fault that stays, or a throttle."""

    left: Sequence[_Pushed]
    turned_down: Counter[str]
    busy: int


@dataclass(frozen=True)
class _Refusal:
    """Why nothing was changed: the version that stands, and whether the client had sent it twice.

    A request whose answer was lost is sent again, and then meets what it wrote itself. `days` are
    the first and the last one of what is behind the group that stands, where it says so.
    """

    standing: int
    was_repeated: bool
    days: tuple[date, date] | None


def _attributes_of(body: str) -> Mapping[str, Any]:
    return stored(json.loads(body, parse_float=Decimal))


def _insert(store: DynamoDBClient, table: str, group: Group, items: Sequence[_Pushed]) -> _Inserted:
    """Insert up to 25 items at once; some may be left, for whatever reason, to be written singly.

    Items that are throttled one by one come in an answer that counts as a success: the client does
    not slow down for it, so the writer waits.
    """
    answer = store.batch_execute_statement(
        Statements=[_statement(table, _item_of(group, item)) for item in items]
    )
    was_repeated = answer["ResponseMetadata"]["RetryAttempts"] > 0
    told = [(item, each["Error"].get("Code", "")) for item, each in
            zip(items, answer["Responses"], strict=True) if "Error" in each]  # fmt: skip
    codes = Counter[str](code for _, code in told)
    busy = sum(codes[code] for code in _BUSY)
    if busy:
        sleep(random.uniform(0, busy * _PAUSE_SECONDS))
    return _Inserted(
        # what failed within the store may be there nevertheless
        [replace(item, was_repeated=was_repeated or code == _UNSURE) for item, code in told],
        Counter({code: n for code, n in codes.items() if code not in {_STANDS, _UNSURE, *_BUSY}}),
        busy,
    )


def _item_of(group: Group, item: _Pushed) -> Mapping[str, Any]:
    """A whole item, as the writer of one group makes it where there is none."""
    index = {key: item.attributes.get(STORED_NAMES[name]) for key, name in INDEX_KEY.items()}
    whole = {
        KEY: item.transaction_id,
        group: item.attributes,
        f"{group}_version": item.version,
        EXPIRY: item.expires_at,
        **index,
    }
    # an index takes no null, and an expiry may come from the other group
    return {name: value for name, value in whole.items() if value is not None and value != ""}


def _statement(table: str, item: Mapping[str, Any]) -> BatchStatementRequestTypeDef:
    """PartiQL that refuses an item whose key stands. All names are this project's own."""
    writer = TypeSerializer()
    names = ", ".join(f"'{name}': ?" for name in item)
    return {
        "Statement": f'INSERT INTO "{table}" VALUE {{{names}}}',
        "Parameters": [writer.serialize(value) for value in item.values()],
    }


def _write(store: DynamoDBClient, table: str, group: Group, item: _Pushed) -> bool | Met:
    """Write one group over a smaller version of itself; False if an equal or newer one stands.

    Nor over one that has something behind it of days which the pushed one does not know: if it does
    know them, of an equal version it has as much, or more.
    """
    names = {"#group": group, "#version": f"{group}_version"}
    values = {":group": item.attributes, ":version": item.version}
    assignments = ["#group = :group", "#version = :version"]
    for key, attribute in INDEX_KEY.items():
        short = STORED_NAMES[attribute]
        if value := item.attributes.get(short):
            names |= {f"#{key}": key}
            values |= {f":{key}": value}
            assignments.append(f"#{key} = {_index_value(group, key, short)}")
            if group == "gold":
                names |= {"#live": "live", f"#{short}": short}
    read = _within_what_was_read(item)
    # the least version that is not written over
    least_refused = item.version + bool(read.condition)
    refusal = None
    for way in ways_of_expiry(item.expires_at, item.is_outlived):
        refusal = _update(
            store,
            table,
            group,
            item,
            [*assignments, *way.assignments],
            {**names, **read.names, **way.names},
            {**values, ":least_refused": least_refused, **read.values, **way.values},
            and_only_if=[read.condition, way.condition],
        )
        if refusal is None or refusal.standing >= least_refused:
            break
        if (met := _met(item, refusal.days)) is not None:
            return met
        # of a version that gives way and was read, only the expiry can be in the way
    was_repeated = item.was_repeated or (refusal is not None and refusal.was_repeated)
    return refusal is None or (was_repeated and refusal.standing == item.version)


@dataclass(frozen=True)
class Way:
    """What one request does about one aspect of an item, and when it may."""

    assignments: Sequence[str] = ()
    condition: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


def _within_what_was_read(item: _Pushed) -> Way:
    """Only where nothing stands, or nothing that is behind it is of another day."""
    if item.read_from is None or item.read_to is None:
        return Way()
    newest, first = f"#group.#{AS_OF}", f"#group.#{FIRST_DAY}"
    midnight = datetime.combine(item.read_from, time(), UTC)
    behind = datetime.combine(item.read_to, time(), UTC) + timedelta(days=1)
    # an item of before does not say where it begins
    is_read = (
        f"{newest} >= :read_from AND {newest} < :read_to"
        f" AND (attribute_not_exists({first}) OR {first} >= :first_read)"
    )
    return Way(
        condition=f"(attribute_not_exists({newest}) OR ({is_read}))",
        names={f"#{name}": STORED_NAMES[name] for name in (AS_OF, FIRST_DAY)},
        values={
            ":read_from": micros_of(midnight),
            ":read_to": micros_of(behind),
            ":first_read": day_number(item.read_from),
        },
    )


def _met(item: _Pushed, standing: tuple[date, date] | None) -> Met | None:
    """What stands, if days are behind it that were not read for the pushed item."""
    if standing is None or item.read_from is None or item.read_to is None:
        return None
    first, last = standing
    if item.read_from <= first and last <= item.read_to:
        return None
    own = _days_of(item.attributes) or standing
    return Met(item.transaction_id, min(first, own[0]), max(last, own[1]))


def _days_of(group: Mapping[str, Any]) -> tuple[date, date] | None:
    """The first and the last day of what is behind a stored group; None if it does not say."""
    newest = group.get(STORED_NAMES[AS_OF])
    if newest is None:
        return None
    last = datetime.fromisoformat(instant_of(int(newest))).date()
    first = group.get(STORED_NAMES[FIRST_DAY])
    return (last if first is None else day_of(int(first))), last


def ways_of_expiry(expires_at: int | None, is_outlived: bool = False) -> Sequence[Way]:
    """What to try in turn, the likeliest first: an expiry moves away, or a later one stays.

    An update expression knows no greater of two. The last way is free of conditions.
    """
    if expires_at is None:
        return [Way()]
    names, values = {"#expiry": EXPIRY}, {":expiry": expires_at}
    is_none = "attribute_not_exists(#expiry)"
    moved = Way(["#expiry = :expiry"], f"({is_none} OR #expiry <= :expiry)", names, values)
    kept = Way(
        ["#expiry = if_not_exists(#expiry, :expiry)"],
        f"({is_none} OR #expiry >= :expiry)",
        names,
        values,
    )
    # where both are refused, the other group was written between them: its expiry is later
    return [*([kept, moved] if is_outlived else [moved]), Way()]


def _index_value(group: Group, key: str, short: str) -> str:
    """What the index knows an item by: live's own, whichever group is written last."""
    return f":{key}" if group == "live" else f"if_not_exists(#live.#{short}, :{key})"


def _update(
    store: DynamoDBClient,
    table: str,
    group: Group,
    item: _Pushed,
    assignments: Iterable[str],
    names: Mapping[str, str],
    values: Mapping[str, Any],
    and_only_if: Sequence[str],
) -> _Refusal | None:
    """Update an item whose version gives way; else change nothing and say what stands."""
    condition = "(attribute_not_exists(#version) OR #version < :least_refused)"
    writer = TypeSerializer()
    try:
        store.update_item(
            TableName=table,
            Key={KEY: {"S": item.transaction_id}},
            UpdateExpression=f"SET {', '.join(assignments)}",
            ConditionExpression=" AND ".join(filter(None, (condition, *and_only_if))),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                name: writer.serialize(value) for name, value in values.items()
            },
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except store.exceptions.ConditionalCheckFailedException as fault:
        # mypy_boto3 knows no `Item` in an error's response
        response: Mapping[str, Any] = fault.response
        item_as_it_stands = response.get("Item", {})
        standing = item_as_it_stands.get(f"{group}_version", {"N": "-1"})
        attempts = response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        reader = TypeDeserializer()
        stands = reader.deserialize(item_as_it_stands.get(group, {"M": {}}))
        return _Refusal(int(standing["N"]), attempts > 0, _days_of(stands))
    return None
