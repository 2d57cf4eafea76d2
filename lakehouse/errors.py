"""Every error that a person may meet, in one tree.

LakehouseError                      anything below; the command line prints it in one line
├── ConfigError                     a config file or an environment override is wrong (exit code 2)
├── SetupError                      the environment, a jar or Java is not as locked
│   └── JarHashError                a downloaded jar is not the one that was locked
├── ServiceError                    a local service did not start, or answers wrongly
│   ├── PortInUseError              another process listens on the port a service needs
│   ├── BrokerUnreachableError      no Kafka broker answers at the configured address
│   ├── DynamoDbError               DynamoDB does not answer, refuses, or did not take every item
│   ├── AlertStoreError             the table of alerts does not answer, or refuses
│   ├── ChannelError                a channel of alerts did not take a message; it is sent later
│   ├── FiguresError                the place of metrics does not answer, or refuses
│   │   └── FiguresLeftError        it took some figures perhaps, and these are left
│   ├── IndexNotFoundError          DynamoDB answers, but has no such table yet
│   └── UserIndexNotFoundError      the table is there, but not its index by user
├── TableNotFoundError              a table was asked for that no job has created yet
├── UnknownTableError               a name that no `Table` declares
├── UnknownJobError                 a name that no entry point declares
├── SchemaDriftError                a stored table has not the columns its declaration says
├── ContractError                   a data file under conf/ (precedence, rules) contradicts the code
├── LeaseError                      the single-writer lease
│   ├── LeaseHeldError              another run of this job is alive
│   ├── LeaseLostError              this run lost its lease and must not commit
│   └── OvertakenError              another run has committed since this one read the table
├── TransactionNotFoundError        no layer knows the transaction id
├── UserNotFoundError               no payment of that user is known
├── BeyondKnownHistoryError         an as-of question later than the follower has read
├── VersionNotFoundError            a table has not come to such a version
├── VersionGoneError                a version is beyond its table's time travel
├── BeforeFirstVersionError         an as-of question about a time before anything was known
├── FutureTimeError                 an as-of question about a time that has not come
├── FollowerAheadError              a follower of Gold has read versions that Gold does not have
├── FollowerBehindError             a follower has still to read what is too old to be kept
├── RetentionTooShortError          VACUUM was asked to keep less than the audit horizon
├── TablesNotMaintainedError        some tables were left as they are; the others are done
├── HeadNotKeptError                the signed head of the chain could not be stored or read
├── HeadContradictsError            the chain is not the one whose head was signed
├── HistoryBrokenError              the chain, its heads, the files or the history contradict
├── DecisionsDifferError            a recorded decision does not follow from its evidence
├── DecisionsNotToldError           nobody can tell any more what was known then (exit code 3)
├── NotDecidedError                 nothing had been decided of a transaction by then
├── LineageBrokenError              a link between the records of one transaction is missing
├── PathsDifferError                live and batch differ on payments, and no cause explains it
├── PolicyIntervalsError            versions of a policy overlap, or leave a gap between them
├── RecordsLostError                a topic let go of records before they landed
├── TopicReplacedError              a topic was deleted and created again while its job ran
├── WrongRangeError                 `--accept-loss` names other offsets than those that are lost
├── OffsetsDifferError              a topic's records are not in Bronze exactly once
├── GoldNotDerivedError             rows of Gold are doubled, or not what their contributions say
├── NotInQuarantineError            no refused record of a topic has these coordinates
├── CorrectionRefusedError          a corrected record still may not go on, or not in this place
├── LandingNotListedError           the storage does not say which files were delivered
├── DropNotHeldError                no delivered file is held under this path
├── DropNotReleasableError          a held file that nobody can let load as it is
├── BatchNotJudgedError             no delivered batch of this name came to the gates
├── BatchNotHeldError               no delivered batch of this name is held
├── BatchStillHeldError             a delivered batch was released, and is held all the same
├── CountsDoNotCloseError           a step of the flow delivered more or less than is accounted for
├── NotAccountedForError            records or money differ between two steps, unexplained
├── NotSyncedError                  the serving store cannot be compared with any version of Gold
├── ServingDriftError               items of the serving store are not what Gold says
├── CatalogError                    the catalog does not answer, refuses, or cannot be registered to
│   ├── CatalogNameTakenError       something else has the name of a table or view in the catalog
│   └── CatalogDiffersError         the catalog is not what is declared
└── QueryError                      the SQL of `lakehouse query` cannot be run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

USAGE_EXIT_CODE = 2
FAILURE_EXIT_CODE = 1
UNTOLD_EXIT_CODE = 3
_MOST_TOLD = 5


class LakehouseError(Exception):
    """Says what is wrong, where, and what to do; never carries a payload or a user id."""

    exit_code = FAILURE_EXIT_CODE


class ConfigError(LakehouseError):
    """A setting is unknown, missing or of the wrong kind: nothing was started."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, source: Path | str, problems: Sequence[str]) -> None:
        self.source, self.problems = source, tuple(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class SetupError(LakehouseError):
    """The environment is not what the lock files say."""


class JarHashError(SetupError):
    """The bytes of a jar differ from the locked SHA-256: it was removed, nothing uses it."""

    def __init__(self, coordinate: str, expected: str, actual: str) -> None:
        self.coordinate, self.expected, self.actual = coordinate, expected, actual
        super().__init__(
            f"{coordinate}: SHA-256 is {actual}, requirements/jars.lock says {expected}. "
            "The file was removed. Run `make setup` again; if it repeats, the registry or a proxy "
            "serves another file than the one that was locked."
        )


class ServiceError(LakehouseError):
    """A service on this machine did not start, died, or does not answer."""


class PortInUseError(ServiceError):
    """The port belongs to a process that this project did not start.

    `variables` are all that another port takes: what the service listens on, and what names it.
    """

    def __init__(self, service: str, port: int, variables: Sequence[str]) -> None:
        self.service, self.port = service, port
        super().__init__(
            f"{service}: port {port} is in use by another process. Stop it, or choose another "
            f"port in {' and '.join(variables)}."
        )


class BrokerUnreachableError(ServiceError):
    """Kafka does not answer."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        super().__init__(
            f"no Kafka broker answers at {servers}. Start one (`lakehouse services start`), or "
            "set kafka.bootstrap_servers."
        )


class DynamoDbError(ServiceError):
    """The serving store failed; whatever was being pushed can be pushed again."""

    def __init__(self, table: str, fault: str) -> None:
        self.table, self.fault = table, fault
        super().__init__(
            f"DynamoDB table {table}: {fault}. Start the service (`lakehouse services start`) or "
            "correct dynamodb.* in the config; the next run pushes what is missing."
        )


class AlertStoreError(ServiceError):
    """Episodes cannot be read or written; the next check begins again from what is stored."""

    def __init__(self, table: str, why: str) -> None:
        self.table, self.why = table, why
        super().__init__(
            f"the table of alerts {table}: {why}. See alerts.table and dynamodb.* in the config; "
            "deploy/storage.yaml creates it."
        )


class ChannelError(ServiceError):
    """An alert stays queued: the next check sends it. `is_refusal`: another one may still go."""

    def __init__(self, channel: str, why: str, is_refusal: bool = False) -> None:
        self.channel, self.why, self.is_refusal = channel, why, is_refusal
        super().__init__(
            f"the channel {channel} did not take an alert: {why}. It is queued, and sent by "
            "the next `lakehouse alerts check`; see alerts.channels in the config."
        )


class FiguresError(ServiceError):
    """Metrics cannot be read or written; no job fails by it."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(
            f"metrics: {place} does not answer: {why}. See metrics.to in the config; on AWS the "
            "role needs cloudwatch:PutMetricData, ListMetrics and GetMetricData."
        )


class FiguresLeftError(FiguresError):
    """Of several requests some may have been taken: points that are `left` to be sent.

    `lost` counts points among the others that were refused for good.
    """

    def __init__(self, place: str, why: str, left: Sequence[Any], lost: int) -> None:
        self.left, self.lost = left, lost
        super().__init__(place, why)


class IndexNotFoundError(ServiceError):
    """DynamoDB answers, but no job has created the serving table yet."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"DynamoDB has no table {table} yet. Run `lakehouse run enrich_live` or "
            "`lakehouse run sync_dynamodb`: each creates it; or correct dynamodb.table."
        )


class UserIndexNotFoundError(ServiceError):
    """The table was made without the index by user, or DynamoDB is still building it."""

    def __init__(self, table: str, index: str) -> None:
        self.table, self.index = table, index
        super().__init__(
            f"DynamoDB table {table} has no index {index}, or is still building it. Run "
            "`lakehouse run enrich_live` or `lakehouse run sync_dynamodb`: each adds it; then ask "
            "again."
        )


class TableNotFoundError(LakehouseError):
    """The table is declared, but nothing has been written to it."""

    def __init__(self, table: str, written_by: str) -> None:
        self.table = table
        super().__init__(f"{table} does not exist yet. Run `lakehouse run {written_by}` first.")


class UnknownTableError(LakehouseError):
    """No table or view has this name."""

    def __init__(self, table: str, known: Sequence[str]) -> None:
        self.table = table
        super().__init__(f"there is no table {table!r}. Tables and views: {', '.join(known)}.")


class UnknownJobError(LakehouseError):
    """No job has this name."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, job: str, known: Sequence[str]) -> None:
        self.job = job
        super().__init__(f"there is no job {job!r}. Jobs: {', '.join(known)}.")


class SchemaDriftError(LakehouseError):
    """A stored table and its declaration differ; a job does not guess which is right."""

    def __init__(self, table: str, missing: Sequence[str], unexpected: Sequence[str]) -> None:
        self.table, self.missing, self.unexpected = (
            table,
            tuple(missing),
            tuple(unexpected),
        )
        super().__init__(
            f"{table}: the stored table lacks {list(missing)} and has unexpected "
            f"{list(unexpected)}. Migrate it, or (laptop) `make clean` and start again."
        )


class ContractError(LakehouseError):
    """A data file under conf/ names something that the code does not know."""

    exit_code = USAGE_EXIT_CODE


class LeaseError(LakehouseError):
    """Two writers of one table must not run at once."""


class LeaseHeldError(LeaseError):
    """Another live run holds the lease."""

    def __init__(self, name: str, owner: str) -> None:
        self.name, self.owner = name, owner
        super().__init__(
            f"{name} is already running ({owner}). One table has one writer: wait for it or stop "
            "it; after a crash its lease ends by itself."
        )


class LeaseLostError(LeaseError):
    """The lease ended or passed to another run: this one stops before it commits anything more."""

    def __init__(self, name: str, token: int) -> None:
        self.name, self.token = name, token
        super().__init__(
            f"{name} lost its lease (token {token}) and stopped: it could not renew it in time, or "
            "another run has it. Nothing is lost: the next run goes on from the last commit."
        )


class OvertakenError(LeaseError):
    """Another run committed to a table after this one had read it: nothing was written."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"{table} was changed by another run after this one had read it, so this one wrote "
            "nothing and stopped. Nothing is lost: the next run reads the same again."
        )


class TransactionNotFoundError(LakehouseError):
    """No item and no row carries the transaction id."""

    def __init__(self, transaction_id: str, where: str) -> None:
        self.transaction_id = transaction_id
        super().__init__(
            f"no transaction {transaction_id!r} in {where}. Check the id, and with "
            "`lakehouse status` whether the jobs have come as far as its record."
        )


class UserNotFoundError(LakehouseError):
    """No item is of this user; who it was is not repeated."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"no payment of this user (since then) in {where}. Check the id, and with `lakehouse "
            "status` whether the jobs have come as far."
        )


class BeyondKnownHistoryError(LakehouseError):
    """History answers only up to the Gold version its follower has read completely."""

    def __init__(self, asked: str, complete_through: str) -> None:
        self.asked = asked
        super().__init__(
            f"history is complete through {complete_through}; {asked} is later. "
            "Run `lakehouse run record_history`."
        )


class VersionNotFoundError(LakehouseError):
    """The version is not written yet."""

    def __init__(self, table: str, version: int, newest: int) -> None:
        self.table, self.version, self.newest = table, version, newest
        super().__init__(
            f"{table} has no version {version}: the newest is {newest}. Ask for an earlier one."
        )


class VersionGoneError(LakehouseError):
    """The version was there, and its log or files are kept no longer."""

    def __init__(self, table: str, version: int, instead: str) -> None:
        self.table, self.version = table, version
        super().__init__(
            f"version {version} of {table} is beyond its time travel (audit.* in the config): "
            f"{instead}."
        )


class BeforeFirstVersionError(LakehouseError):
    """Nothing was known yet, or nobody can tell any more what was."""

    def __init__(self, table: str, asked: str, first: int | None, committed_at: str | None) -> None:
        self.table, self.asked, self.first = table, asked, first
        if first is None:
            told = f"{table} has no version yet. Run `lakehouse run consolidate` first"
        elif first == 0:
            told = f"{table} was created at {committed_at}: before that nothing was known"
        else:
            told = (
                f"the oldest version of {table} that its log and gold.history_chain tell of is "
                f"{first}, of {committed_at}: what was before is not recorded"
            )
        super().__init__(f"nothing is known as of {asked}: {told}.")


class FutureTimeError(LakehouseError):
    """Nobody knows yet what will have been known by then."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, asked: str, now: str) -> None:
        self.asked, self.now = asked, now
        super().__init__(
            f"{asked} has not come: it is {now} now. Ask about a time up to now, or leave the time "
            "out for what is known now."
        )


class FollowerAheadError(LakehouseError):
    """Gold was replaced by an older or a new table behind the follower's back."""

    def __init__(self, table: str, followed_through: int, newest: int) -> None:
        self.table, self.followed_through, self.newest = table, followed_through, newest
        super().__init__(
            f"{table} stands at version {newest}, but a follower has read it through "
            f"{followed_through}: the table was replaced. Restore it, or start its followers anew."
        )


class FollowerBehindError(LakehouseError):
    """Versions that somebody has still to read are older than what a table keeps."""

    def __init__(self, table: str, follower: str, read_through: int, needed: int) -> None:
        self.table, self.follower = table, follower
        self.read_through, self.needed = read_through, needed
        super().__init__(
            f"{table}: {follower} has read it through version {read_through}, and version {needed} "
            "is older than what the table keeps. Nothing that it needs was deleted. Run `lakehouse "
            f"run {follower}`, then maintain again."
        )


class RetentionTooShortError(LakehouseError):
    """A shorter retention than the horizon would end time travel that the audit relies on."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, table: str, asked_days: float, required_days: float) -> None:
        self.table, self.asked_days, self.required_days = table, asked_days, required_days
        super().__init__(
            f"{table}: to keep {asked_days:g} days is less than the {required_days:g} that audit.* "
            "of the config and the table itself promise. Nothing was deleted. Leave --retain-days "
            "out, or name at least so many."
        )


class TablesNotMaintainedError(LakehouseError):
    """What could not be maintained now, by table; nothing of it is lost, only late."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        named = "; ".join(f"{table}: {reason}" for table, reason in reasons.items())
        super().__init__(f"not maintained: {named}")


class HeadNotKeptError(LakehouseError):
    """The place of heads does not answer or refuses; nothing was added to the chain."""

    def __init__(self, place: str, fault: str) -> None:
        self.place, self.fault = place, fault
        super().__init__(
            f"signed heads at {place}: {fault}. Nothing was added to the chain; correct "
            "history.heads in the config, and the next run goes on from the last head."
        )


class HeadContradictsError(LakehouseError):
    """What was signed of a version is not what the tables say of it now."""

    def __init__(self, version: int, why: str) -> None:
        self.version = version
        super().__init__(
            f"gold.history_chain, version {version}: {why}. Nothing was added. `lakehouse prove "
            "history` names every break; a Gold that was built anew needs another place in "
            "history.heads."
        )


class HistoryBrokenError(LakehouseError):
    """What was recorded of Gold and what is there contradict; the report was shown before."""

    def __init__(self, breaks: Sequence[str]) -> None:
        self.breaks = tuple(breaks)
        more = len(breaks) - 3
        named = "; ".join(breaks[:3]) + (f"; and {more} more" if more > 0 else "")
        super().__init__(f"the history of Gold does not hold: {named}")


class DecisionsDifferError(LakehouseError):
    """The audit recomputed decisions from their recorded evidence, and some came out otherwise."""

    def __init__(self, checked: int, different: int) -> None:
        self.checked, self.different = checked, different
        super().__init__(
            f"{different} of {checked} decisions do not follow from their recorded evidence, or "
            "from what was known then, or are not what Gold says; the report above names each "
            "field."
        )


class DecisionsNotToldError(LakehouseError):
    """Nothing differs that can be told; the rest of what was known is beyond time travel."""

    exit_code = UNTOLD_EXIT_CODE

    def __init__(self, checked: int, untold: int) -> None:
        self.checked, self.untold = checked, untold
        super().__init__(
            f"of {untold} of {checked} decisions it cannot be told whether they follow from what "
            "was known then; the report above says why, and names each field."
        )


class NotDecidedError(LakehouseError):
    """The gateway had been told nothing of the transaction by then."""

    def __init__(self, transaction_id: str, asked: str, first_decided_at: str) -> None:
        self.transaction_id, self.asked = transaction_id, asked
        super().__init__(
            f"nothing had been decided of {transaction_id} as of {asked}: its first decision was "
            f"taken at {first_decided_at}. Ask about a later time."
        )


class LineageBrokenError(LakehouseError):
    """Some record should be there by what others say, and is not; the lineage was shown before."""

    def __init__(self, transaction_id: str, missing: Sequence[str]) -> None:
        self.transaction_id, self.missing = transaction_id, tuple(missing)
        more = len(missing) - 3
        named = "; ".join(missing[:3]) + (f"; and {more} more" if more > 0 else "")
        super().__init__(f"the lineage of {transaction_id} has missing links: {named}.")


class PathsDifferError(LakehouseError):
    """Live and batch say different things of payments, from equal or unsound evidence."""

    def __init__(self, payments: int, examples: Sequence[str]) -> None:
        self.payments, self.examples = payments, tuple(examples)
        super().__init__(
            f"live and batch differ on {payments} payments without a cause, first "
            f"{', '.join(examples)}. silver.parity names the columns (`unexplained`), `lakehouse "
            "explain ID` shows both rows; this fails until their next comparison explains them."
        )


class PolicyIntervalsError(LakehouseError):
    """Which version of a policy is in force would not be one answer: nothing is published."""

    def __init__(self, policies: Sequence[str]) -> None:
        self.policies = tuple(policies)
        super().__init__(
            f"silver.policies: versions of {', '.join(policies)} overlap or leave a gap. The "
            "policies of before stay in force; look at their rows in bronze.drops_policies, and "
            "report it: delivered rows alone cannot cause it."
        )


class RecordsLostError(LakehouseError):
    """The topic no longer has the records that come next; nothing goes on over a gap."""

    def __init__(self, job: str, topic: str, ranges: Sequence[str], why: str) -> None:
        self.topic, self.ranges = topic, tuple(ranges)
        options = " ".join(f"--accept-loss {each}" for each in ranges)
        super().__init__(
            f"Kafka topic {topic} {why}: lost before they landed are {', '.join(ranges)} "
            f"(PARTITION:FIRST-LAST). It is recorded. Send them again under their own event ids if "
            f"you can; to go on without them, add to this run of {job}: {options}"
        )


class TopicReplacedError(LakehouseError):
    """The offsets of the running stream are not this topic's."""

    def __init__(self, job: str, topic: str) -> None:
        self.topic = topic
        super().__init__(
            f"Kafka topic {topic} was deleted and created again while {job} was running. Start the "
            "job again: it names what is lost."
        )


class WrongRangeError(LakehouseError):
    """An operator may accept exactly what is lost, no more and no less."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, accepted: Sequence[str], lost: Sequence[str]) -> None:
        self.accepted, self.lost = tuple(accepted), tuple(lost)
        found = f"lost is {', '.join(lost)}" if lost else "nothing is lost"
        super().__init__(
            f"--accept-loss names {', '.join(accepted)}, but {found}. Name exactly that, each "
            "range as PARTITION:FIRST-LAST."
        )


class OffsetsDifferError(LakehouseError):
    """Offsets of a topic are missing in Bronze, there twice, or not the topic's."""

    def __init__(self, partitions: Sequence[str]) -> None:
        self.partitions = tuple(partitions)
        super().__init__(
            f"Bronze is not what Kafka delivers: {'; '.join(partitions)}. Send what is missing or "
            "lost again under its own event ids, which Silver takes once; what is doubled Silver "
            "drops; what is unknown was changed in the topic or in Bronze."
        )


class GoldNotDerivedError(LakehouseError):
    """A transaction has several rows of Gold, or one that its contributions do not give."""

    def __init__(self, version: int, faults: Sequence[str]) -> None:
        self.version, self.faults = version, tuple(faults)
        super().__init__(
            f"gold.transactions at version {version} does not follow from its contributions: "
            f"{'; '.join(faults)}. `lakehouse prove gold --heal` unites doubles and derives wrong "
            "rows again; ask first what wrote them, for only consolidate may."
        )


class NotInQuarantineError(LakehouseError):
    """Nothing to correct: `lakehouse quarantine` names what there is."""

    def __init__(self, coordinates: str) -> None:
        self.coordinates = coordinates
        super().__init__(
            f"no record of a topic is in quarantine under {coordinates!r}. "
            "`lakehouse quarantine show` names the coordinates; a row of a delivered file is "
            "corrected by delivering the file again."
        )


class CorrectionRefusedError(LakehouseError):
    """Nothing was written: the corrected record would be refused again, or doubled."""

    def __init__(self, coordinates: str, problems: Sequence[str]) -> None:
        self.coordinates, self.problems = coordinates, tuple(problems)
        super().__init__(f"{coordinates} is not corrected: {'; '.join(self.problems)}.")


class LandingNotListedError(LakehouseError):
    """Nothing was loaded: of files that nobody can list, none is known to be there or gone."""

    def __init__(self, location: str, fault: str) -> None:
        self.location = location
        super().__init__(
            f"{location} cannot be listed: {fault}. Nothing was loaded. Let this user read all "
            "folders below it, or correct lake.landing in the config, then run load_drops again."
        )


class DropNotHeldError(LakehouseError):
    """Nothing to release: `lakehouse drops list` names what there is."""

    def __init__(self, path: str, verdict: str | None) -> None:
        self.path = path
        found = f"{path} is {verdict}" if verdict else f"no file was delivered at {path!r}"
        super().__init__(
            f"{found}: only a held file can be released. `lakehouse drops list --verdict HELD` "
            "names them, as KIND/date=YYYY-MM-DD/FILE."
        )


class DropNotReleasableError(LakehouseError):
    """The file stays held: it cannot be read, or is not the one that was held."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be released: {why}. Nothing was loaded; what is delivered under this "
            "name again is judged anew by the next run of load_drops."
        )


class BatchNotJudgedError(LakehouseError):
    """Nothing to show: the name is wrong, or no build has seen it."""

    def __init__(self, batch: str) -> None:
        self.batch = batch
        super().__init__(
            f"no delivered batch {batch!r} was judged. `lakehouse quality show` names those that "
            "were; a new file needs `lakehouse run load_drops` and `lakehouse run build_batch`."
        )


class BatchNotHeldError(LakehouseError):
    """Nothing to release: the name is wrong, or the batch went through meanwhile."""

    def __init__(self, batch: str, held: Sequence[str]) -> None:
        self.batch, self.held = batch, tuple(held)
        now = f"held are {', '.join(held)}" if held else "none is held"
        super().__init__(
            f"no delivered batch {batch!r} is held; {now}. `lakehouse quality show` says why."
        )


class BatchStillHeldError(LakehouseError):
    """A batch was released, and is held all the same: by what came since."""

    def __init__(self, batch: str, verdict: str, reason: str | None) -> None:
        self.batch, self.verdict = batch, verdict
        super().__init__(
            f"{batch} was released as it was, and is {verdict} now: {reason or 'nobody said why'}. "
            "A release is of the files that were held then; what came since is judged for itself. "
            f"`lakehouse quality show {batch}` says how."
        )


class CountsDoNotCloseError(LakehouseError):
    """Records are missing, or counted twice: delivered is not what became of them in all."""

    def __init__(self, unexplained: Mapping[str, int]) -> None:
        self.unexplained = dict(unexplained)
        steps = ", ".join(f"{step} ({count:+d})" for step, count in self.unexplained.items())
        super().__init__(
            f"the counts do not close, unexplained: {steps}. `lakehouse prove money` names each "
            "difference, `lakehouse explain` follows one transaction."
        )


class NotAccountedForError(LakehouseError):
    """The account is published; what differs in it is named there."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        named = "; ".join(self.differences[:_MOST_TOLD])
        more = len(self.differences) - _MOST_TOLD
        rest = f"; and {more} more" if more > 0 else ""
        super().__init__(
            f"not every record and every cent is accounted for: {named}{rest}. The newest run in "
            "gold.reconciliation has them all; `lakehouse explain ID` follows one transaction."
        )


class NotSyncedError(LakehouseError):
    """Nothing to compare with: no version of Gold was pushed wholly, or it is not kept."""

    def __init__(self, table: str, why: str) -> None:
        self.table = table
        super().__init__(
            f"DynamoDB table {table} cannot be compared with Gold: {why}. "
            "Run `lakehouse run sync_dynamodb`."
        )


class ServingDriftError(LakehouseError):
    """A reader of the serving store is told something else than a reader of Gold."""

    def __init__(
        self, table: str, drift: Mapping[str, int], named: Mapping[str, Sequence[str]]
    ) -> None:
        self.drift, self.named = dict(drift), dict(named)
        told = "; ".join(
            f"{count} {kind} ({', '.join(named.get(kind, ())[:3])})"
            for kind, count in drift.items()
            if count
        )
        going_back = (
            " What is backwards has a version that Gold has not: Gold was restored. Delete the "
            "table, and the checkpoint of sync_dynamodb, and push anew."
            if drift.get("backwards")
            else ""
        )
        super().__init__(
            f"DynamoDB table {table} is not what Gold says: {told}. "
            f"`lakehouse prove serving --all --repair` writes it anew.{going_back}"
        )


class CatalogError(LakehouseError):
    """Glue or Athena does not answer, or refuses; what was registered before the fault stands."""

    def __init__(self, place: str, fault: str) -> None:
        self.place = place
        super().__init__(
            f"{place}: {fault}. Correct catalog.* in the config, or what the role may do; then run "
            "`lakehouse catalog register` again: it goes on with what is missing."
        )


class CatalogNameTakenError(CatalogError):
    """Others registered tables or views of these names: none is touched."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        LakehouseError.__init__(
            self,
            f"the catalog has {', '.join(names)} from somebody else. Nothing was changed. Remove "
            "them there, or choose another catalog.database_prefix.",
        )


class CatalogDiffersError(CatalogError):
    """Some tables or views are missing in the catalog, or are otherwise than declared."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        LakehouseError.__init__(
            self,
            f"the catalog is not what is declared: {', '.join(names)}. Run `lakehouse catalog "
            "register` (`--prune` removes what is left over).",
        )


class QueryError(LakehouseError):
    """The SQL does not parse, or names what does not exist."""
