"""`python -m tests.torture.menu`, or `make break`: a menu of failures for the system that `make start` runs here.

While something is broken, trades are recorded in the account `break`. Then it is said what became of them, and after
how many seconds all was well again. Numbers as arguments are done without asking.
"""

import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable  # noqa: TC003 - a dataclass beside it reads annotations
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg2

from local.cli.client import Client, ProblemError, environment
from local.host.aws_services import Aws
from local.host.template import ROOT
from tests.torture.system import children

PAUSE_SECONDS = 1
HEAL_SECONDS = 150  # the sweeper comes each minute, and leaves a lease of a minute its time
TRADE = {"ticker": "MSFT", "price": "310.50", "quantity": 1, "side": "BUY", "account": "break"}
FULL = """
create function pg_temp.no_room() returns trigger language plpgsql
    as $$ begin raise exception 'no room' using errcode = 'disk_full'; end $$;
create trigger no_room before insert on trades execute function pg_temp.no_room()
"""


@dataclass
class Outcome:
    """What became of the trades that were sent meanwhile."""

    answered: dict[str, int] = field(default_factory=dict)  # client_trade_id: id
    refused: int = 0  # answers that said to try again, or none: each trade was sent until it was recorded
    slowest: float = 0
    lost: int = 0
    doubled: int = 0
    waiting: int = 0  # for their notifications
    seconds: float = 0

    def __str__(self) -> str:
        is_well = f"All announced after {self.seconds:.0f} s."
        return (
            f"{len(self.answered)} trades were recorded meanwhile; {self.refused} requests failed and were repeated;"
            f" the slowest trade took {self.slowest:.1f} s.\n"
            f"Lost: {self.lost}. Recorded twice: {self.doubled}. "
            + (f"Not announced yet: {self.waiting}." if self.waiting else is_well)
        )


class Breaker:
    """Breaks parts of a system: the children of a process, at the places that its environment names."""

    def __init__(self, host: psutil.Process, settings: dict[str, str]) -> None:
        self._host = host
        self._settings = settings
        self._client = Client(settings.get("TRADING_URL"), "trades:read", "trades:write", "prices:publish")
        self.menu: dict[str, Callable[[], None]] = {
            "kill the database": lambda: self._signal("postgres -D", signal.SIGKILL),
            "kill every function": lambda: self._signal("runtime.py", signal.SIGKILL),
            "kill the queues, topics, buckets and tables": lambda: self._signal(
                "local.host.aws_server", signal.SIGKILL
            ),
            "let them not answer for four seconds": self._slow,
            "bring a message twice": self._double,
            "send junk, to the API and to the queue": self._junk,
            "publish prices by a clock that is an hour wrong": self._jump,
            "fill the database's disk for four seconds (trades are refused as if it were full)": self._fill,
        }

    def do(self, name: str, pause: float = PAUSE_SECONDS) -> Outcome:
        """Break something while trades are recorded, and return what became of them."""
        outcome, end = Outcome(), threading.Event()
        recorder = threading.Thread(target=self._record, args=[outcome, end])
        recorder.start()
        time.sleep(pause)
        broken = time.monotonic()
        self.menu[name]()
        time.sleep(pause)
        end.set()
        recorder.join()
        self._wait(outcome, broken)
        return outcome

    def _record(self, outcome: Outcome, end: threading.Event) -> None:
        run, number = uuid.uuid4().hex[:8], 0
        while not (number and end.wait(0.2)):
            number += 1
            key = f"break-{run}-{number}"
            trade = {**TRADE, "timestamp": datetime.now(UTC).isoformat(), "client_trade_id": key}
            began = time.monotonic()
            while key not in outcome.answered:
                try:
                    outcome.answered[key] = self._client.post("/api/trades", trade)["id"]
                except ProblemError:
                    outcome.refused += 1
                    time.sleep(0.2)
            outcome.slowest = max(outcome.slowest, time.monotonic() - began)

    def _wait(self, outcome: Outcome, broken: float) -> None:
        while True:
            with suppress(ProblemError):
                found = {key: self._client.get(f"/api/trades/{id_}") for key, id_ in outcome.answered.items()}
                outcome.waiting = sum(trade["notified_at"] is None for trade in found.values())
                outcome.seconds = time.monotonic() - broken
                if not outcome.waiting or outcome.seconds > HEAL_SECONDS:
                    break
            time.sleep(0.5)
        keys = [trade["client_trade_id"] for trade in self._client.pages("/api/trades", account=TRADE["account"])]
        outcome.lost = sum(keys.count(key) == 0 for key in outcome.answered)
        outcome.doubled = sum(keys.count(key) > 1 for key in outcome.answered)

    def _signal(self, part: str, number: signal.Signals) -> None:
        for child in children(self._host, part):
            with suppress(psutil.Error):
                child.send_signal(number)

    def _slow(self) -> None:
        self._signal("local.host.aws_server", signal.SIGSTOP)
        time.sleep(4)
        self._signal("local.host.aws_server", signal.SIGCONT)

    def _double(self) -> None:
        with closing(psycopg2.connect(self._settings["DATABASE_URL"])) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select notifications.id::text, to_json(trades)::text from notifications"
                " join trades on trades.id = trade_id where account = 'break' order by trades.id desc limit 1"
            )
            [(event_id, trade)] = cursor.fetchall()
        data = {
            "id": event_id,
            "type": "trade.recorded.v1",
            "time": datetime.now(UTC).isoformat(),
            "data": json.loads(trade),
        }
        self._send(json.dumps(data), json.dumps(data))

    def _junk(self) -> None:
        self._send("no JSON", '{"id": "1", "type": "trade.eaten.v1", "data": {}}')
        for junk in ({"ticker": "?", "price": "-1"}, ["no", "trade"], "x" * 100_000):
            with suppress(ProblemError):
                self._client.post("/api/trades", junk)

    def _jump(self) -> None:
        for hours in (-1, 1):
            timestamp = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
            with suppress(ProblemError):  # what lies ahead is refused
                self._client.post(
                    "/api/prices", {"prices": [{"ticker": "MSFT", "price": "999", "timestamp": timestamp}]}
                )

    def _fill(self) -> None:
        with closing(psycopg2.connect(self._settings["DATABASE_URL"])) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(FULL)
            time.sleep(4)
            cursor.execute("drop trigger no_room on trades")

    def _send(self, *bodies: str) -> None:
        sqs = Aws(self._settings["AWS_ENDPOINT_URL"]).client("sqs")
        for body in bodies:
            sqs.send_message(QueueUrl=self._settings["NOTIFICATIONS_QUEUE_URL"], MessageBody=body)


def running_host() -> psutil.Process | None:
    """Return the process of `make start` in this checkout."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(ROOT) and process.cmdline()[-2:] == ["-m", "local"] and process.pid != os.getpid():
                return process
    return None


def main(*numbers: str) -> int:
    """Do what is chosen from the menu, until nothing is."""
    host, chosen = running_host(), list(numbers)
    if host is None:
        print("Nothing runs here: start the system with `make start`, and open its page.")
        return 1
    breaker = Breaker(host, environment())
    names = list(breaker.menu)
    lost = 0
    while True:
        if not numbers:
            print("\n" + "\n".join(f"{number} {name}" for number, name in enumerate(names, 1)))
        number = chosen.pop(0) if chosen else "" if numbers else input("What shall break? (Return ends) ").strip()
        if not number:
            return 1 if lost else 0
        if not number.isdecimal() or not 1 <= int(number) <= len(names):
            print(f"{number!r} is not on the menu.")
            continue
        print(f"\n{names[int(number) - 1]} …", flush=True)
        outcome: Any = breaker.do(names[int(number) - 1])
        lost += outcome.lost + outcome.doubled
        print(outcome)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
