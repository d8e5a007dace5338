"""`python -m tests.torture.previous_code`: each migration, with the code of the commit before it and its own at work.

While a deployment lasts, functions of both serve on the new schema, and each finds what the other wrote. Here the
handlers of both are called in processes of their own, from folders that Git makes of their commits. It needs a clone
with its history.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from unittest import mock
from urllib.parse import quote

import psycopg2

from local.host import aws_services
from local.host.aws_services import CREDENTIALS, Aws
from local.host.gateway import http_event
from local.host.postgres import UNSAFE, Postgres
from local.host.system import LOOPBACK, free_port
from local.host.template import ROOT
from local.host.triggers import sqs_event
from trading.core import migrations

FIRST = "0004_ledger.sql"  # before it, functions had their rights from the migrator's code
ARN = "arn:aws:sqs:eu-west-1:123456789012:queue"
# Calls handlers, whatever commit's: reads the folder of a function and an event from each line, and answers with one.
CALLER = """
import importlib, json, os, sys

class Context:
    function_name, memory_limit_in_mb, aws_request_id = "function", 512, "00000000-0000-4000-8000-000000000000"
    invoked_function_arn, log_stream_name = "arn:aws:lambda:eu-west-1:123456789012:function:function", "stream"
    function_version, log_group_name = "1", "group"
    def get_remaining_time_in_millis(self):
        return 20_000

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, os.getcwd())
for line in sys.stdin:
    folder, event = json.loads(line)
    answer = importlib.import_module(f"functions.{folder}.app").handler(event, Context())
    print(json.dumps(answer), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Step:
    """Migrations that came with one commit."""

    names: tuple[str, ...]
    commit: str

    def __str__(self) -> str:
        return f"{self.names[0]}{f' to {self.names[-1]}' if len(self.names) > 1 else ''} ({self.commit[:9]})"


def has_history() -> bool:
    """Whether this is a clone, and a whole one."""
    shallow = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return shallow.stdout.strip() == "false"


def steps() -> list[Step]:
    """Return the migrations by the commits that brought them to this branch, from the first that grants rights."""
    commits: dict[str, list[str]] = {}
    for name in [each for each in sorted(migrations._migrations()) if each >= FIRST]:  # noqa: SLF001 - their names
        added = _git("log", "--first-parent", "-m", "--diff-filter=A", "--format=%H", "--", f"*migrations/{name}")
        if added:  # else it is not committed yet
            commits.setdefault(added.split()[-1], []).append(name)
    return [Step(tuple(names), commit) for commit, names in commits.items()]


def check(step: Step, postgres: Postgres, services: Aws) -> None:
    """Have the code before a step and the code after it work on the schema of the step, and on each other's rows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        database_at(step, postgres) as url,
        _environment(url, services) as environment,
    ):
        is_last = step == steps()[-1]
        after = Code(ROOT if is_last else tree(step.commit, Path(folder) / "after"), environment, services)
        before = Code(tree(f"{step.commit}^", Path(folder) / "before"), environment, services)
        with after, before:
            after.write("after")
            before.read("after")
            before.write("before")
            after.read("before")
            after.invoke("notification_sweeper", {})
            before.invoke("notification_sweeper", {})


class Code:
    """The functions of a commit, which work on a database and queues."""

    def __init__(self, folder: Path, environment: dict[str, str], services: Aws) -> None:
        self._folder = folder
        self._environment = {**environment, "PYTHONPATH": f"{folder / 'layers' / 'trading'}"}
        self._sqs = services.client("sqs")
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CALLER],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()

    def invoke(self, function: str, event: Any) -> Any:
        """Return what a handler answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([function, event]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{function} of {self._folder} raised for {event}"
        return json.loads(answer)

    def write(self, key: str) -> None:
        """Record a trade, and publish a price."""
        assert self._record(key)[0] == 201
        if self._has("prices_api"):
            prices = [{"ticker": "AAPL", "price": "100", "timestamp": datetime.now(UTC).isoformat()}]
            assert self._ask("prices_api", "POST", "/api/prices/", {"prices": prices})[0] == 202

    def read(self, key: str) -> None:
        """Find, repeat and deliver what the other code wrote."""
        status, again = self._record(key)
        assert (status, again["client_trade_id"]) == (200, key)
        status, page = self._ask("trades_api", "GET", "/api/trades/")
        assert (status, again["id"] in {trade["id"] for trade in page}) == (200, True)
        assert self._ask("trades_api", "GET", f"/api/trades/{again['id']}/")[0] == 200
        publisher = "notification_publisher" if self._has("notification_publisher") else "trade_notifier"
        assert self._take("NOTIFICATIONS_QUEUE_URL", publisher) == {"batchItemFailures": []}
        if self._has("price_processor"):
            assert self._take("PRICES_QUEUE_URL", "price_processor") in (None, {"batchItemFailures": []})
            assert self._ask("prices_api", "GET", "/api/alerts/")[0] == 200
            assert self._ask("prices_api", "GET", "/api/prices/AAPL/averages/")[0] == 200
        if self._has("positions_api"):
            status, positions = self._ask("positions_api", "GET", "/api/positions")
            assert (status, positions[0]["trade_count"]) == (200, len(page))

    def _has(self, function: str) -> bool:
        return (self._folder / "functions" / function).exists()

    def _record(self, key: str) -> tuple[int, Any]:
        trade = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "client_trade_id": key}
        return self._ask("trades_api", "POST", "/api/trades/", {**trade, "timestamp": "2025-06-03T12:00:00Z"})

    def _ask(self, function: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        event = http_event(method, path, headers=[("content-type", "application/json")], body=sent)
        answer = self.invoke(function, event)
        return answer["statusCode"], json.loads(answer["body"])

    def _take(self, queue: str, function: str) -> Any:
        url = self._environment[queue]
        received = self._sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MaxNumberOfMessages=10)["Messages"]
        answer = self.invoke(function, sqs_event(received, ARN))
        for message in received:
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return answer


def tree(commit: str, folder: Path) -> Path:
    """Write the functions of a commit into a folder."""
    archive = subprocess.run(
        ["git", "archive", commit, "functions", "layers"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


@contextmanager
def database_at(step: Step, postgres: Postgres) -> Iterator[str]:
    """Yield the address of a database with the schema of a step, for who has the rights of functions."""
    name = f"step_{uuid.uuid4().hex}"
    postgres.create_database(name)
    files = _git("ls-tree", "-r", "--name-only", step.commit, "layers").split()
    known = {
        Path(file).name: _git("show", f"{step.commit}:{file}")
        for file in files
        if "/migrations/" in file and file.endswith(".sql")
    }
    with closing(psycopg2.connect(postgres.url(name))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        with mock.patch.object(migrations, "_migrations", return_value=known):
            migrations.migrate(cursor)
        cursor.execute(f"create role {name} login password '{name}' in role trading_app")
        yield f"postgresql://{name}:{quote(name)}@{LOOPBACK}:{postgres.port}/{name}"
        cursor.execute(f"drop role {name}")


@contextmanager
def _environment(url: str, services: Aws) -> Iterator[dict[str, str]]:
    sqs, name = services.client("sqs"), uuid.uuid4().hex
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    yield {
        **CREDENTIALS,
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": services.endpoint,
        "DATABASE_URL": url,
        "NOTIFICATIONS_QUEUE_URL": sqs.create_queue(QueueName=f"notifications-{name}")["QueueUrl"],
        "NOTIFICATIONS_TOPIC_ARN": services.client("sns").create_topic(Name=name)["TopicArn"],
        "PRICES_QUEUE_URL": sqs.create_queue(QueueName=f"prices-{name}.fifo", Attributes=fifo)["QueueUrl"],
        "BROADCAST_QUEUE_URL": sqs.create_queue(QueueName=f"broadcast-{name}")["QueueUrl"],
        "POWERTOOLS_METRICS_NAMESPACE": "Trading",
        "AUTH_REQUIRED": "false",
    }


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main(chosen: Sequence[Step]) -> None:
    """Check each step."""
    with tempfile.TemporaryDirectory(prefix="trading-steps-") as folder:
        postgres = Postgres(Path(folder) / "postgres", free_port(0, [LOOPBACK]), settings=UNSAFE)
        postgres.start()
        try:
            with aws_services.running(free_port(0, [LOOPBACK])) as services:
                for step in chosen:
                    check(step, postgres, services)
                    print(f"{step}: the code before it and its own work side by side")
        finally:
            postgres.stop()
            postgres.erase()


if __name__ == "__main__":
    main(steps())
