"""`python -m tests.torture.under_fire`, or `make torture`: a system whose parts are killed while clients use it.

Clients record, void and correct trades and read positions. Each repeats a request until it is answered with 200 or 201.
At the end all of that must be in the database once, each change must have been announced once or more, and positions
must be what the rows of the ledger come to.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from local.host import template
from local.host.aws_services import Aws
from local.host.fork_server import ForkServer
from local.host.functions import LocalFunction
from local.host.postgres import Postgres
from local.host.system import LOOPBACK, free_port
from local.host.template import REGION, ROOT
from tests.trading.trades.reckoning import reckoned

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

CLIENTS = 16
START_SECONDS = 60
DELIVERY_SECONDS = 240
STILL_SECONDS = 2
TRIES = 300  # of a request, five a second
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
POSTGRES, AWS, FUNCTION = "postgres -D", "local.host.aws_server", "runtime.py"


@dataclass(frozen=True)
class Fire:
    """How long clients post, and how often each part is killed meanwhile; the whole system is once, half way."""

    seconds: float
    postgres: int
    functions: int
    aws: int


@dataclass
class Answered:
    """What clients were told of the ledger."""

    trades: dict[str, int] = field(default_factory=dict)  # client_trade_id: id
    voids: set[int] = field(default_factory=set)
    corrections: dict[int, int] = field(default_factory=dict)  # id: that of the trade in its place

    def add(self, other: "Answered") -> None:
        """Add what another client was told."""
        self.trades |= other.trades
        self.voids |= other.voids
        self.corrections |= other.corrections

    def __len__(self) -> int:
        return len(self.trades) + len(self.voids) + len(self.corrections)


@dataclass
class Counts:
    """What became of what was answered."""

    answered: Answered = field(default_factory=Answered)
    statuses: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    unannounced: int = 0  # trades and changes that have not one notification each
    wrong_positions: int = 0
    undelivered: int = 0
    unheard: int = 0  # by a queue that listens to the topic
    heard_twice: int = 0

    def problems(self) -> list[str]:
        """Return what must not be."""
        bad = {status: count for status, count in self.statuses.items() if status not in EXPECTED}
        return [
            *(f"{count} answers were {status}" for status, count in bad.items()),
            *(f"{number} {what}" for what, number in self._faults().items() if number),
        ]

    def _faults(self) -> dict[str, int]:
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "unannounced": self.unannounced,
            "wrong positions": self.wrong_positions,
            "undelivered": self.undelivered,
            "unheard": self.unheard,
        }

    def __str__(self) -> str:
        facts = {
            "trades answered": len(self.answered.trades),
            "voids answered": len(self.answered.voids),
            "corrections answered": len(self.answered.corrections),
            **self._faults(),
            "heard twice": self.heard_twice,
        }
        return "\n".join(
            [
                *(f"{what}: {number:,}" for what, number in facts.items()),
                f"answers: {dict(self.statuses)}",
                f"killed: {dict(self.kills)}",
            ]
        )


EXPECTED = {"200", "201", "503 with Retry-After", "none"}


class System:
    """`python -m local` in a checkout of its own, which is started again when it is killed."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._console = checkout / "console.txt"
        self.port = free_port(0, [LOOPBACK])
        self.said = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local"],
                cwd=self._checkout,
                env={"PATH": "/usr/bin:/bin", "PORT": str(self.port), "PYTHONUNBUFFERED": "1"},
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while self.ask("GET", "/api/health")[0] != "200":
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not start: {self._console.read_text()}")
            time.sleep(0.1)

    def kill(self, part: str = "") -> bool:
        """Kill one process of a part, or the whole system, and return whether there was one."""
        assert self._process is not None
        victims = [self._process.pid] if not part else self._children(part)
        if not victims:
            return False
        os.kill(random.choice(victims), 9)  # noqa: S311 - any
        if not part:
            self._process.wait()
        return True

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(2)
        self._process.wait(START_SECONDS)
        self.said = self._console.read_text()

    def environment(self) -> dict[str, str]:
        """Return where its parts are."""
        lines = (self._checkout / ".local" / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[str, Any]:
        """Return the status of an answer, in a word or two, and its JSON; `none` where there is none."""
        with closing(HTTPConnection(LOOPBACK, self.port, timeout=30)) as connection, suppress(OSError, HTTPException):
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.load(response)
            status = str(response.status)
            return f"{status} with Retry-After" if response.headers["Retry-After"] else status, answer
        return "none", None

    def _children(self, part: str) -> list[int]:
        assert self._process is not None
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if part in " ".join(child.cmdline()):
                        found.append(child.pid)
        return found


class Client:
    """One who records, voids and corrects trades and reads positions, each time until there is an answer."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self._name = name
        self._random = random.Random(name)  # noqa: S311 - any
        self._active: list[int] = []
        self.answered = Answered()
        self.statuses: Counter[str] = Counter()

    def work(self, end: threading.Event) -> None:
        """Send one request after another."""
        while not end.is_set():
            what = self._random.choices([self._record, self._void, self._correct, self._read], [6, 1, 1, 1])[0]
            if self._active or what == self._record:
                what()

    def _record(self) -> None:
        key = f"{self._name}-{len(self.answered.trades)}"
        second = self._random.randrange(60)  # trades of several clients have the same
        trade = {
            "ticker": self._random.choice(["AAPL", "GOOG", "MSFT"]),
            "account": self._random.choice(["desk", "main"]),
            "side": self._random.choice(["BUY", "SELL"]),
            "timestamp": f"2025-06-03T12:00:{second:02}Z",
            "client_trade_id": key,
            **self._amounts(),
        }
        recorded = self._ask("POST", "/api/trades", trade)
        self.answered.trades[key] = recorded["id"]
        self._active.append(recorded["id"])

    def _void(self) -> None:
        trade_id = self._taken()
        self._ask("POST", f"/api/trades/{trade_id}/void", {"reason": "under fire"})
        self.answered.voids.add(trade_id)

    def _correct(self) -> None:
        trade_id = self._taken()
        corrected = self._ask("POST", f"/api/trades/{trade_id}/correct", {"reason": "under fire", **self._amounts()})
        self.answered.corrections[trade_id] = corrected["id"]
        self._active.append(corrected["id"])

    def _read(self) -> None:
        self._ask("GET", "/api/positions")

    def _amounts(self) -> dict[str, Any]:
        price, fee = (f"{self._random.randrange(100, 99_999) / 100:.2f}" for _ in range(2))
        return {"price": price, "fee": fee, "quantity": self._random.randrange(1, 50)}

    def _taken(self) -> int:
        return self._active.pop(self._random.randrange(len(self._active)))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(TRIES):
            status, answer = self._system.ask(method, path, body)
            self.statuses[status] += 1
            if status in {"200", "201"}:
                return answer
            time.sleep(0.2)
        raise AssertionError(f"{method} {path} {body} was not answered: {status} {answer}")


def under_fire(system: System, fire: Fire) -> Counts:
    """Run a system under fire, and count what became of what was answered."""
    counts, end = Counts(), threading.Event()
    system.start()
    with heard_ids(system) as heard, ThreadPoolExecutor(CLIENTS) as threads:
        clients = [Client(system, f"fire-{number}") for number in range(CLIENTS)]
        works = [threads.submit(client.work, end) for client in clients]
        shoot(system, fire, counts)
        end.set()
        for client, work in zip(clients, works, strict=True):
            work.result()
            counts.answered.add(client.answered)
            counts.statuses += client.statuses
        with closing(psycopg2.connect(system.environment()["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                check_ledger(system, counts, cursor)
                wait_for_deliveries(system, counts, heard, cursor)
    system.stop()
    return counts


def check_ledger(system: System, counts: Counts, cursor: "Cursor") -> None:
    """Count what is not in the ledger as it was answered, and the positions that are not what it comes to."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        cursor.execute(statement)
        return cursor.fetchall()

    answered = counts.answered
    stored = rows("select client_trade_id, id from trades where client_trade_id like 'fire-%'")
    changes = rows("select trade_id, replaced_by from trade_changes")
    told = [*dict.fromkeys(answered.voids, None).items(), *answered.corrections.items()]
    counts.lost = len(answered.trades.items() - dict(stored).items()) + len(set(told) - set(changes))
    counts.doubled = len(stored) - len(dict(stored)) + len(changes) - len(dict(changes))
    [(unannounced,)] = rows(
        """
        select abs((select count(*) from trades where id not in (
                select replaced_by from trade_changes where replaced_by is not null
            )) - (select count(*) from notifications where trade_id is not null))
            + abs((select count(*) from trade_changes)
            - (select count(distinct change_id) from notifications where change_id is not null))
        """
    )
    counts.unannounced = unannounced
    positions = {
        (each["account"], each["ticker"], each["currency"]): tuple(
            Fraction(each[name]) for name in ("quantity", "cost_basis", "realized_profit", "fees", "trade_count")
        )
        for each in system.ask("GET", "/api/positions")[1]
    }
    expected = {
        key: (each.quantity, each.cost_basis, each.realized_profit, each.fees, each.trade_count)
        for key, each in reckoned(rows).items()
    }
    counts.wrong_positions = len(dict(positions.items() ^ expected.items()))


def shoot(system: System, fire: Fire, counts: Counts) -> None:
    """Kill parts one after another, in any order, and the whole system half way."""
    targets = [POSTGRES] * fire.postgres + [FUNCTION] * fire.functions + [AWS] * fire.aws
    random.shuffle(targets)
    targets.insert(len(targets) // 2, "")
    for target in targets:
        time.sleep(fire.seconds / len(targets))
        while not system.kill(target):
            time.sleep(0.1)  # it is being started again
        counts.kills[target or "python -m local"] += 1
        if not target:
            system.start()


@contextmanager
def heard_ids(system: System) -> Iterator[Counter[str]]:
    """Listen to the topic of notifications, and yield how often which id was heard, as it grows."""
    environment = system.environment()
    services = Aws(environment["AWS_ENDPOINT_URL"])
    sqs, name = services.client("sqs"), "under-fire"
    sqs.create_queue(QueueName=name)
    services.client("sns").subscribe(
        TopicArn=environment["NOTIFICATIONS_TOPIC_ARN"],
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}",
    )
    heard: Counter[str] = Counter()
    end = threading.Event()

    def listen() -> None:
        seen: set[str] = set()
        while not end.is_set():
            with suppress(OSError, KeyError, BotoCoreError, ClientError):  # while AWS's part is away
                sqs = Aws(system.environment()["AWS_ENDPOINT_URL"]).client("sqs")
                url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
                while not end.is_set():
                    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
                        "Messages", []
                    ):
                        if message["MessageId"] not in seen:  # the queue may bring it again
                            seen.add(message["MessageId"])
                            heard.update(set(UUID.findall(message["Body"])))
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.2)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield heard
    finally:
        end.set()
        listener.join()


def wait_for_deliveries(system: System, counts: Counts, heard: Counter[str], cursor: "Cursor") -> None:
    """Wait until all notifications are delivered and heard, and count those that are not."""
    sweeper = Sweeper(system)
    deadline, before, moved_at = time.monotonic() + DELIVERY_SECONDS, -1, time.monotonic()
    while True:
        cursor.execute("select id::text, delivered_at is not null from notifications")
        delivered = dict(cursor.fetchall())
        counts.undelivered = list(delivered.values()).count(False)
        counts.unheard = len(delivered.keys() - heard.keys())
        counts.heard_twice = sum(heard[each] > 1 for each in delivered)
        if not counts.undelivered + counts.unheard or time.monotonic() > deadline:
            return
        if counts.undelivered != before:
            before, moved_at = counts.undelivered, time.monotonic()
        elif time.monotonic() - moved_at > STILL_SECONDS:
            # Nothing moves until time passes: the leases of the dead end, and what the queue lost is due.
            cursor.execute(
                "update notifications set attempts = 0, due_at = now(), sending_until = null where delivered_at is null"
            )
            sweeper.sweep()
            moved_at = time.monotonic()
        time.sleep(0.5)


class Sweeper:
    """The function that the system runs each minute."""

    def __init__(self, system: System) -> None:
        self._declared = template.read(template.transformed()).functions["NotificationSweeper"]
        self._environment = {**system.environment(), "POWERTOOLS_METRICS_NAMESPACE": "Trading"}

    def sweep(self) -> None:
        """Announce what is due again."""

        async def invoke() -> None:
            async with ForkServer(Path(os.devnull)) as forks:
                function = LocalFunction(self._declared, self._environment, Path(os.devnull), forks)
                await function.invoke({})
                await function.close()

        asyncio.run(invoke())


@contextmanager
def checkout() -> Iterator[Path]:
    """A copy of what a system needs of this checkout, to be removed with all that it leaves."""
    folder = Path(tempfile.mkdtemp(prefix="trading-fire-"))
    folder.chmod(0o755)
    for part in ("functions", "layers", "local", "docs"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "template.yaml", folder)
    try:
        yield folder
    finally:
        Postgres(folder / ".local" / "postgres", 0).erase()
        shutil.rmtree(folder)


def main() -> int:
    """Set a system on fire, and say what became of it."""
    parser = argparse.ArgumentParser(prog="make torture")
    for name, number in (("seconds", 60), ("postgres", 10), ("functions", 100), ("aws", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    with checkout() as folder:
        system = System(folder)
        counts = under_fire(system, Fire(**vars(parser.parse_args())))
    problems = counts.problems()
    said = "\n".join(problems) or "Nothing is lost, nothing doubled, positions are right, all delivered."
    print(f"{system.said}\n{counts}\n{said}")  # noqa: T201 - that is what it is for
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
