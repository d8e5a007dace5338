"""`python -m tests.torture.under_fire`, or `make torture`: a system whose parts are killed while clients use it.

Clients record, void and correct trades, repeat requests, and read pages of trades and positions; each request is
repeated until it is answered with 200 or 201. Then, in calm, two publishers work on a queue that brings each message
twice. `history.problems` judges what was seen; a history with problems is kept in a file.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError
from psycopg2.extras import RealDictCursor

from local.host import template, triggers
from local.host.aws_services import Aws
from local.host.fork_server import ForkServer
from local.host.functions import LocalFunction
from local.host.template import REGION, ROOT
from tests.torture.history import EXPECTED, TRADES, Call, Heard, History, Kill, problems, readings
from tests.torture.system import START_SECONDS, System, installed

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes small

KEPT = ROOT / ".build" / "histories"
DELIVERY_SECONDS = 240
STILL_SECONDS = 2
TRIES = 300  # of a request, five a second
PAGE = 40  # trades
ACCOUNT = "123456789012"
POSTGRES, AWS, FUNCTION, ALL = "postgres -D", "local.host.aws_server", "runtime.py", "python -m local"
QUEUE, PUBLISHER, SWEEPER = "NotificationsQueue", "NotificationPublisher", "NotificationSweeper"


@dataclass(frozen=True)
class Fire:
    """How long clients work while parts are killed, how often each is, and how long they work on in calm.

    `system` is how often the whole is killed, and started again. Clients wait `pause` seconds between their requests.
    """

    seed: int
    seconds: float
    postgres: int
    functions: int
    aws: int
    system: int = 1
    calm: float = 2
    clients: int = 16
    pause: float = 0.0


class Client:
    """One who asks until there is an answer, and writes down all of it."""

    def __init__(self, system: System, name: str, seed: int) -> None:
        self._system = system
        self._name = name
        self._random = random.Random(f"{seed} {name}")  # noqa: S311 - any
        self._texts: dict[str, Any] = {}
        self._recorded: list[Any] = []
        self._active: list[int] = []
        self.calls: list[Call] = []

    def write(self, end: threading.Event, pause: float) -> None:
        """Send one request after another."""
        works = [self._record, self._repeat, self._void, self._correct, self.read_positions]
        while not end.wait(pause):
            [work] = self._random.choices(works, [12, 1, 2, 2, 1])
            if self._active or work == self._record:
                work()

    def read(self, end: threading.Event) -> None:
        """Read pages of trades, from the first to the last, again and again."""
        while not end.wait(0.3):
            self.read_trades(
                status=self._random.choice(["active", "all"]),
                ticker=self._random.choice(["AAPL", "GOOG", "MSFT"]),
                limit=PAGE,
            )

    def read_trades(self, **query: Any) -> None:
        """Read pages of trades."""
        path: str | None = f"{TRADES}?{urlencode(query)}"
        while path:
            path = self._ask("GET", path).next_path

    def read_page(self) -> None:
        """Read the newest trades."""
        self._ask("GET", f"{TRADES}?limit={PAGE}")

    def read_positions(self) -> None:
        """Read all positions."""
        self._ask("GET", "/api/positions")

    def _record(self) -> None:
        trade = {
            "ticker": self._random.choice(["AAPL", "GOOG", "MSFT"]),
            "account": self._random.choice(["desk", "main"]),
            "side": self._random.choice(["BUY", "SELL"]),
            # Trades of several clients have the same.
            "timestamp": f"2025-06-03T12:00:{self._random.randrange(60):02}Z",
            "client_trade_id": f"{self._name}-{len(self._recorded)}",
            **self._amounts(),
        }
        self._active.append(self._ask("POST", TRADES, trade).answer["id"])
        self._recorded.append(trade)

    def _repeat(self) -> None:
        self._ask("POST", TRADES, self._random.choice(self._recorded))

    def _void(self) -> None:
        self._ask("POST", f"{TRADES}/{self._taken()}/void", {"reason": "under fire"})

    def _correct(self) -> None:
        body = {"reason": "under fire", **self._amounts()}
        self._active.append(self._ask("POST", f"{TRADES}/{self._taken()}/correct", body).answer["id"])

    def _amounts(self) -> dict[str, Any]:
        price, fee = (f"{self._random.randrange(100, 99_999) / 100:.2f}" for _ in range(2))
        return {"price": price, "fee": fee, "quantity": self._random.randrange(1, 50)}

    def _taken(self) -> int:
        return self._active.pop(self._random.randrange(len(self._active)))

    def _ask(self, method: str, path: str, body: Any = None) -> Call:
        for _ in range(TRIES):
            asked_at = time.monotonic()
            status, answer, next_path = self._system.ask(method, path, body)
            if isinstance(answer, list):  # most are read again and again
                answer = [self._texts.setdefault(json.dumps(each), each) for each in answer]
            call = Call(self._name, method, path, body, asked_at, time.monotonic(), status, answer, next_path)
            self.calls.append(call)
            if call.is_good:
                return call
            if status not in EXPECTED:
                break
            time.sleep(0.2)
        raise AssertionError(f"{method} {path} {body} was not answered: {status} {answer}")


def under_fire(system: System, fire: Fire) -> History:
    """Run a system under fire, and return what was seen."""
    history, end = History(fire.seed), threading.Event()
    writers = [Client(system, f"fire-{number}", fire.seed) for number in range(fire.clients)]
    readers = [Client(system, f"reader-{number}", fire.seed) for number in range(2)]
    auditor = Client(system, "auditor", fire.seed)
    system.start()
    with heard_events(system) as history.heard, ThreadPoolExecutor(fire.clients + len(readers)) as threads:
        works = [threads.submit(client.write, end, fire.pause) for client in writers]
        works += [threads.submit(client.read, end) for client in readers]
        try:
            shoot(system, fire, history)
            wait_until_up(system)
            with closing(psycopg2.connect(system.environment()["DATABASE_URL"])) as connection, twice(system):
                connection.autocommit = True
                [(calm_from,)] = rows_of(connection, "select now()")
                history.calm_from = time.monotonic()
                time.sleep(fire.calm)
                end.set()
                history.failures = [str(error) for work in works if (error := work.exception())]
                deliver_all(system, connection, calm_from, history.heard)
                note_ledger(connection, history)
        finally:
            end.set()
        for status in ("all", "active"):
            auditor.read_trades(status=status, limit=PAGE)
        auditor.read_positions()
    history.calls = [call for client in (*writers, *readers, auditor) for call in client.calls]
    return history


def shoot(system: System, fire: Fire, history: History) -> None:
    """Kill parts one after another, in any order."""
    chance = random.Random(fire.seed)  # noqa: S311 - any
    targets = [POSTGRES] * fire.postgres + [FUNCTION] * fire.functions + [AWS] * fire.aws + [ALL] * fire.system
    chance.shuffle(targets)
    for target in targets:
        time.sleep(fire.seconds / len(targets))
        while not system.kill(target if target != ALL else "", chance):
            time.sleep(0.1)  # it is being started again
        history.kills.append(Kill(time.monotonic(), target))
        if target == ALL:
            system.start()


def wait_until_up(system: System) -> None:
    """Wait until what was killed last has been started again."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            Aws(system.environment()["AWS_ENDPOINT_URL"]).client("sqs").get_queue_url(QueueName=QUEUE)
            if system.ask("GET", "/api/positions")[0] == "200":
                return
        time.sleep(0.1)
    raise AssertionError("it does not come back")


@contextmanager
def heard_events(system: System) -> Iterator[list[Heard]]:
    """Listen to the topic of notifications, and yield what is heard, as it grows."""
    environment = system.environment()
    services = Aws(environment["AWS_ENDPOINT_URL"])
    sqs, name = services.client("sqs"), "under-fire"
    sqs.create_queue(QueueName=name)
    services.client("sns").subscribe(
        TopicArn=environment["NOTIFICATIONS_TOPIC_ARN"], Protocol="sqs", Endpoint=_arn(name)
    )
    heard: list[Heard] = []
    end = threading.Event()

    def listen() -> None:
        seen: set[str] = set()
        while not end.wait(0.2):
            with suppress(OSError, KeyError, BotoCoreError, ClientError):  # while AWS's part is away
                sqs = Aws(system.environment()["AWS_ENDPOINT_URL"]).client("sqs")
                url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
                while not end.is_set():
                    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
                    for message in answer.get("Messages", []):
                        if message["MessageId"] not in seen:  # the queue may bring it again
                            seen.add(message["MessageId"])
                            heard.append(Heard(time.monotonic(), json.loads(json.loads(message["Body"])["Message"])))
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield heard
    finally:
        end.set()
        listener.join()


@contextmanager
def twice(system: System) -> Iterator[None]:
    """Take messages of the queue of notifications, and give each to two publishers at once, as SQS may."""
    environment = system.environment()
    sqs = Aws(environment["AWS_ENDPOINT_URL"]).client("sqs")
    end = threading.Event()

    async def publish() -> None:
        url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        async with local_function(PUBLISHER, environment) as function:
            while not end.is_set():
                answer = await asyncio.to_thread(
                    sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                if messages := answer.get("Messages"):
                    event = triggers.sqs_event(messages, _arn(QUEUE))
                    answers = await asyncio.gather(function.invoke(event), function.invoke(event))
                    failed = [{item["itemIdentifier"] for item in each["batchItemFailures"]} for each in answers]
                    for message in messages:
                        if message["MessageId"] not in failed[0] & failed[1]:
                            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(asyncio.run, publish())
        try:
            yield
        finally:
            end.set()
    work.result()


def deliver_all(system: System, connection: "Connection", calm_from: datetime, heard: Sequence[Heard]) -> None:
    """Wait until all notifications are delivered and heard, or nothing more comes."""
    hasten(system, connection, calm_from)
    deadline, left_before, moved_at = time.monotonic() + DELIVERY_SECONDS, -1, time.monotonic()
    while time.monotonic() < deadline:
        delivered = dict(rows_of(connection, "select id::text, delivered_at is not null from notifications"))
        left = list(delivered.values()).count(False) + len(delivered.keys() - {each.event["id"] for each in heard})
        if not left:
            return
        if left != left_before:
            left_before, moved_at = left, time.monotonic()
        elif time.monotonic() - moved_at > STILL_SECONDS:
            hasten(system, connection, calm_from)
            moved_at = time.monotonic()
        time.sleep(0.2)


def hasten(system: System, connection: "Connection", calm_from: datetime) -> None:
    """Let time pass: the leases of the dead end, and what the queue lost is due."""
    rows_of(
        connection,
        "update notifications set attempts = 0, due_at = now(), sending_until = case"
        " when sending_until > %(calm_from)s + interval '60 s' then sending_until end"
        " where delivered_at is null returning id",
        calm_from=calm_from,
    )
    asyncio.run(sweep(system))


async def sweep(system: System) -> None:
    """Announce what is due again: the system does that each minute."""
    async with local_function(SWEEPER, system.environment()) as function:
        await function.invoke({})


@asynccontextmanager
async def local_function(name: str, environment: dict[str, str]) -> AsyncIterator[LocalFunction]:
    """Run a function of the template's, beside those that the system runs."""
    log = Path(os.devnull)
    async with ForkServer(log) as forks:
        function = LocalFunction(
            _template().functions[name], {**environment, "POWERTOOLS_METRICS_NAMESPACE": "Trading"}, log, forks
        )
        yield function
        await function.close()


@cache
def _template() -> template.System:
    return template.read(template.kept())


def note_ledger(connection: "Connection", history: History) -> None:
    """Write down what the database holds."""
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(
            "select id, ticker, price::text, quantity::text, side, client_trade_id, account, fee::text, currency,"
            " timestamp from trades order by id"
        )
        history.trades = [{**row, "timestamp": row["timestamp"].isoformat()} for row in cursor.fetchall()]
    history.changes = dict(rows_of(connection, "select trade_id, replaced_by from trade_changes"))


def rows_of(connection: "Connection", statement: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def counts(history: History) -> dict[str, Any]:
    """Return how much was done."""
    written = Counter(call.path.rpartition("/")[2] for call in history.calls if call.method == "POST" and call.is_good)
    return {
        "trades recorded or repeated": written["trades"],
        "voided": written["void"],
        "corrected": written["correct"],
        "readings of all pages": len(readings(history.calls)),
        "events heard": len(history.heard),
        "of these again": len(history.heard) - len({each.event["id"] for each in history.heard}),
        "answers": dict(Counter(call.status for call in history.calls)),
        "killed": dict(Counter(kill.part for kill in history.kills)),
        "seed": history.seed,
    }


def judged(history: History) -> list[str]:
    """Return what is wrong in a history, which is then kept in a file."""
    found = problems(history)
    if found:
        file = KEPT / f"fire-{history.seed}-{time.strftime('%H%M%S')}.json"
        history.write(file)
        found.append(f"python -m tests.torture.history {file}")
    return found


def main() -> int:
    """Set a system on fire, and say what became of it."""
    parser = argparse.ArgumentParser(prog="make torture")
    seed = random.randrange(1_000_000)  # noqa: S311 - any
    for name, number in (
        ("seed", seed),
        ("seconds", 60),
        ("postgres", 10),
        ("functions", 100),
        ("aws", 3),
        ("system", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--calm", type=float, default=5)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between the requests of a client")
    fire = Fire(**vars(parser.parse_args()))
    with installed() as system:
        history = under_fire(system, fire)
    found = judged(history)
    said = "\n".join(found) or "Nothing is lost, doubled, altered or skipped; positions are right; all is announced."
    did = "\n".join(f"{what}: {number}" for what, number in counts(history).items())
    print(f"{system.said}\n{did}\n{said}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
