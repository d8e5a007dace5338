"""What tests stand on: a real PostgreSQL, AWS's services over HTTP, and a caller of handlers."""

import importlib
import json
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psycopg2
import pytest
from hypothesis import settings
from xdist.scheduler.loadscope import LoadScopeScheduling

from local.host import aws_services as local_aws
from local.host.aws_services import CREDENTIALS, Aws
from local.host.gateway import Gateway, http_event
from local.host.postgres import UNSAFE, Postgres
from local.host.runtime import Context
from local.host.system import free_port
from local.host.template import REGION, kept, read
from trading.core import aws, bus, database, migrations

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes small

TEMPLATE_DATABASE = "migrated"

SYSTEM = read(kept())
GATEWAY = Gateway(SYSTEM.routes, {})

# A gate judges a change, and so with the same examples each time; who runs the tests by hand explores new ones.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

# A shell has what it runs in the background ignore Ctrl-C, and so the programs that tests start, which must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Handlers are imported as Lambda imports them: with their environment.
os.environ.update(
    CREDENTIALS, POWERTOOLS_METRICS_NAMESPACE="Trading", POWERTOOLS_SERVICE_NAME="tests", AUTH_REQUIRED="false"
)


# Tests that start whole systems, which look for the same ports.
SYSTEMS = {
    *(
        f"tests/local/host/test_{name}.py"
        for name in ("break_menu", "documented_commands", "page", "system", "websocket_gateway")
    ),
    "tests/torture/test_under_fire.py",
}


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # comes without types
    """Hands out tests to processes one by one, but those that start systems all to one."""

    def _split_scope(self, nodeid: str) -> str:
        return "systems" if nodeid.partition("::")[0] in SYSTEMS else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    """Return what hands out tests where they run in several processes."""
    return Scheduler(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server with a migrated database to copy."""
    folder = Path(tempfile.mkdtemp(prefix="trading-tests-"))
    server = Postgres(folder, free_port(0, ["127.0.0.1"]), settings=(*UNSAFE, "autovacuum=off"))
    server.start()
    server.create_database(TEMPLATE_DATABASE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", server.url(TEMPLATE_DATABASE))
        database.run(migrations.migrate, repeatable=False)
        database.release()
    yield server
    server.kill()
    shutil.rmtree(folder)


# What a test may have changed besides rows: tables, columns, constraints, and how large the files are, in 16 MB.
_SHAPE = """
select (select count(*) from pg_class), (select count(*) from pg_attribute), (select count(*) from pg_constraint),
    pg_database_size(current_database()) >> 24
"""
# Transactions that a test left open hold locks; a connection that is idle does not disturb.
_END_OTHERS = """
select pg_terminate_backend(pid, 1000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
"""
_TABLES = """
select oid::regclass::text from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> 'schema_migrations'
"""
_SEQUENCES = """
select seqrelid, coalesce(pg_sequence_last_value(seqrelid), seqstart),
    pg_sequence_last_value(seqrelid) is not null
from pg_sequence
"""


class Copy:
    """A copy of the migrated database, for one test after another: emptying is much cheaper than making one."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.url, self._emptying = "", ""
        self._shape: list[tuple[Any, ...]] = []
        self._connection: Connection | None = None

    def make(self) -> None:
        """Make it."""
        self.close()
        name = f"test_{uuid.uuid4().hex}"
        self._server.create_database(name, TEMPLATE_DATABASE)
        self.url = self._server.url(name)
        self._connection = psycopg2.connect(self.url)
        self._connection.autocommit = True
        self._shape = self._rows(_SHAPE)
        tables = [table for (table,) in self._rows(_TABLES)]
        statements = ["set session_replication_role = replica"]  # no trigger, no foreign key
        statements += [f"delete from {table}" for table in tables]  # noqa: S608 - PostgreSQL quoted them
        for table in tables:  # what migrations wrote
            insert = f"insert into {table} overriding system value select (%s::{table}).*"
            with self._connection.cursor() as cursor:
                for row in self._rows(f"select each::text from {table} as each"):  # noqa: S608 - likewise
                    statements.append(cursor.mogrify(insert, row).decode())
        statements += [
            f"select setval({sequence}, {value}, {called})" for sequence, value, called in self._rows(_SEQUENCES)
        ]
        self._emptying = ";".join(statements)

    def empty(self) -> None:
        """Put back what the migrations left, and make another where a test changed more than rows."""
        self._rows(_END_OTHERS)
        if self._rows(_SHAPE) != self._shape:
            self.make()
        else:
            self._rows(self._emptying)

    def close(self) -> None:
        """Close the connection that empties it."""
        if self._connection:
            self._connection.close()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        assert self._connection is not None
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


@pytest.fixture(scope="session")
def database_copy(postgres: Postgres) -> Iterator[Copy]:
    """A copy of the migrated database."""
    copy = Copy(postgres)
    copy.make()
    yield copy
    copy.close()


@pytest.fixture
def database_url(database_copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty, migrated database, which `trading.core.database` uses.

    Its connection is kept from test to test, as Lambda keeps it from event to event.
    """
    url = database_copy.url
    monkeypatch.setenv("DATABASE_URL", url)
    yield url
    database_copy.empty()
    if database_copy.url != url:
        database.release()


Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def rows(database_url: str) -> Rows:
    """A function that returns the rows of a statement."""
    del database_url

    def query(statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        return database.query(statement, parameters, repeatable=True)

    return query


@pytest.fixture(scope="session")
def aws_services() -> Iterator[Aws]:
    """AWS's services, served on a port of this machine."""
    with local_aws.running(free_port(0, ["127.0.0.1"])) as services:
        yield services


@pytest.fixture
def aws_environment(aws_services: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of functions that find AWS's services here; clients are kept from test to test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_services.endpoint)
    yield monkeypatch
    if os.environ["AWS_ENDPOINT_URL"] != aws_services.endpoint:  # the test had its clients look elsewhere
        for client in (aws.sqs, aws.sns, aws.s3, aws.events, aws.dynamodb):
            client.cache_clear()


@dataclass(frozen=True)
class Channels:
    """The queue and the topic of notifications, and a queue that hears the topic."""

    sqs: Any
    queue_url: str
    topic_arn: str
    heard_url: str

    def environment(self) -> dict[str, str]:
        """Return the variables that name them."""
        return {"NOTIFICATIONS_QUEUE_URL": self.queue_url, "NOTIFICATIONS_TOPIC_ARN": self.topic_arn}

    def announced(self) -> list[dict[str, Any]]:
        """Take the events that are on the notifications' queue."""
        return [json.loads(body) for body in self._take(self.queue_url)]

    def published(self) -> list[dict[str, Any]]:
        """Take what was published to the topic, as SNS hands it to a queue."""
        return [json.loads(body) for body in self._take(self.heard_url)]

    def _take(self, url: str) -> list[str]:
        bodies: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return bodies


def _channels(services: Aws) -> Channels:
    sqs, sns, name = services.client("sqs"), services.client("sns"), uuid.uuid4().hex
    queue_url = sqs.create_queue(QueueName=f"queue-{name}")["QueueUrl"]
    heard_url = sqs.create_queue(QueueName=f"heard-{name}")["QueueUrl"]
    topic_arn = sns.create_topic(Name=f"topic-{name}")["TopicArn"]
    heard_arn = sqs.get_queue_attributes(QueueUrl=heard_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=heard_arn)
    return Channels(sqs, queue_url, topic_arn, heard_url)


@pytest.fixture
def channels(aws_services: Aws, aws_environment: pytest.MonkeyPatch) -> Channels:
    """A queue and a topic of this test's own, which the functions' environment names."""
    channels = _channels(aws_services)
    _set(aws_environment, channels.environment())
    return channels


def _set(environment: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


@dataclass(frozen=True)
class Bucket:
    """A bucket for the trades of days."""

    s3: Any
    name: str

    def environment(self) -> dict[str, str]:
        """Return the variable that names it."""
        return {"DATA_BUCKET": self.name}

    def put(self, key: str, body: str | bytes) -> None:
        """Write an object."""
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> str:
        """Return the text of an object."""
        return str(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read().decode())

    def keys(self) -> list[str]:
        """Return what is there, in order."""
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])]


def _bucket(services: Aws) -> Bucket:
    s3, name = services.client("s3"), f"bucket-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return Bucket(s3, name)


@pytest.fixture
def bucket(aws_services: Aws, aws_environment: pytest.MonkeyPatch) -> Bucket:
    """A bucket of this test's own, which the functions' environment names."""
    bucket = _bucket(aws_services)
    _set(aws_environment, bucket.environment())
    return bucket


@pytest.fixture
def requested(aws_services: Aws, bucket: Bucket) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A function that takes the events with which one function asks another to work on something."""
    del bucket
    events, sqs, name = aws_services.client("events"), aws_services.client("sqs"), uuid.uuid4().hex
    queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [bus.SOURCE]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def take() -> list[dict[str, Any]]:
        taken = []
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            taken += [json.loads(message["Body"]) for message in messages]
        return taken

    yield take
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)


@dataclass(frozen=True)
class PriceServices:
    """The queues and tables of prices."""

    sqs: Any
    dynamodb: Any
    prices_url: str
    broadcast_url: str
    tickets: str
    connected: str

    def environment(self) -> dict[str, str]:
        """Return the variables that name them."""
        return {
            "PRICES_QUEUE_URL": self.prices_url,
            "BROADCAST_QUEUE_URL": self.broadcast_url,
            "TICKETS_TABLE": self.tickets,
            "CONNECTIONS_TABLE": self.connected,
            "SOCKETS_URL": "http://127.0.0.1:9",
        }

    def published(self) -> list[dict[str, Any]]:
        """Take what is on the queue of prices, as Lambda hands it to a function."""
        return [
            {"messageId": message["MessageId"], "body": message["Body"], "attributes": message["Attributes"]}
            for message in self._take(self.prices_url)
        ]

    def broadcast(self) -> list[dict[str, Any]]:
        """Take what is on its way to the sockets."""
        return [json.loads(message["Body"]) for message in self._take(self.broadcast_url)]

    def connections(self) -> set[str]:
        """Return who is connected."""
        items = self.dynamodb.scan(TableName=self.connected)["Items"]
        return {item["connection_id"]["S"] for item in items}

    def _take(self, url: str) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get(
            "Messages"
        ):
            for message in messages:  # until it is deleted, it keeps those of its group back
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken


def _price_services(services: Aws) -> PriceServices:
    sqs, dynamodb, name = services.client("sqs"), services.client("dynamodb"), uuid.uuid4().hex
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    prices_url = sqs.create_queue(QueueName=f"prices-{name}.fifo", Attributes=fifo)["QueueUrl"]
    broadcast_url = sqs.create_queue(QueueName=f"broadcast-{name}")["QueueUrl"]
    for table, key in (("tickets", "ticket"), ("connections", "connection_id")):
        dynamodb.create_table(
            TableName=f"{table}-{name}",
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return PriceServices(sqs, dynamodb, prices_url, broadcast_url, f"tickets-{name}", f"connections-{name}")


@pytest.fixture
def price_services(aws_services: Aws, aws_environment: pytest.MonkeyPatch) -> PriceServices:
    """Queues and tables of this test's own, which the functions' environment names."""
    price_services = _price_services(aws_services)
    _set(aws_environment, price_services.environment())
    return price_services


def _webhook_tables(services: Aws) -> dict[str, str]:
    dynamodb, name, variables = services.client("dynamodb"), uuid.uuid4().hex, {}
    settings_of = {"KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode"}
    for variable, resource in (
        ("WEBHOOKS_TABLE", "WebhooksTable"),
        ("WEBHOOK_DELIVERIES_TABLE", "WebhookDeliveriesTable"),
    ):
        declared = SYSTEM.services[resource]["Properties"]
        dynamodb.create_table(
            TableName=f"{resource}-{name}", **{key: declared[key] for key in settings_of & declared.keys()}
        )
        variables[variable] = f"{resource}-{name}"
    return {**variables, "WEBHOOKS_TO_LOOPBACK": "true"}


@pytest.fixture
def webhook_tables(aws_services: Aws, aws_environment: pytest.MonkeyPatch) -> None:
    """The tables of webhooks, as the template declares them and this test's own, which the environment names."""
    _set(aws_environment, _webhook_tables(aws_services))


@pytest.fixture(scope="module")  # moto counts all messages of a queue at each call: so not for all tests
def shared_services(aws_services: Aws) -> dict[str, str]:
    """The variables of queues, tables and a bucket for tests that do not look at what is in them."""
    return {
        **_channels(aws_services).environment(),
        **_bucket(aws_services).environment(),
        **_price_services(aws_services).environment(),
        **_webhook_tables(aws_services),
    }


@pytest.fixture
def shared_environment(shared_services: Mapping[str, str], aws_environment: pytest.MonkeyPatch) -> None:
    """The environment of functions: what a test has no fixture of its own for is shared."""
    _set(aws_environment, {name: value for name, value in shared_services.items() if name not in os.environ})


def context(seconds: float = 30) -> Any:
    """Return what Lambda would tell a handler that may run for so long."""
    return Context("test", 512, str(uuid.uuid4()), time.time() + seconds)


@dataclass(frozen=True)
class Answer:
    """What an API answered."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def names(self) -> list[str]:
        """Return the fields that a problem names."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        return [error["field"] for error in self.body["errors"]]


Call = Callable[..., Answer]


def api_answer(event: dict[str, Any]) -> dict[str, Any]:
    """Return what the function answers whose route the template has for an API Gateway event."""
    http = event["requestContext"]["http"]
    found = GATEWAY.find(http["method"], http["path"])
    assert found is not None
    folder = SYSTEM.functions[found[0].function].code.name
    answer: dict[str, Any] = importlib.import_module(f"functions.{folder}.app").handler(event, context())
    return answer


@pytest.fixture
def call(database_url: str, shared_environment: None) -> Call:
    """A function that sends the API a request, as API Gateway hands it over, and returns the answer.

    A test that looks into a queue, a table or the bucket names that fixture too, and has one of its own.
    """
    del database_url, shared_environment

    def send(  # noqa: PLR0913 - a request has these parts
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        query: Mapping[str, str] | str = "",
        content_type: str = "application/json",
        accept: str = "*/*",
    ) -> Answer:
        sent = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        event = http_event(
            method,
            path,
            query=query if isinstance(query, str) else urlencode(query),
            headers=[("content-type", content_type), ("accept", accept), ("host", "localhost")],
            body=sent,
        )
        result = api_answer(event)
        headers = {name.lower(): value for name, value in result["headers"].items()}
        is_json = "json" in headers["content-type"] and method != "HEAD"
        return Answer(result["statusCode"], headers, json.loads(result["body"]) if is_json else result["body"])

    return send


@pytest.fixture
def trade() -> dict[str, Any]:
    """The trade of the README."""
    return {
        "ticker": "MSFT",
        "price": "310.50",
        "quantity": 50,
        "side": "BUY",
        "timestamp": "2025-06-03T12:00:00Z",
    }
