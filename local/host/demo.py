"""`python -m local.host.demo`, or `make demo`: a tour of the system on a temporary instance.

With AUTH=on the instance requires a token, and the tour uses one.
"""

import signal

if __name__ == "__main__":  # so that Ctrl-C shows no traceback during the imports, which take a second
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import json
import logging
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from websockets.asyncio.client import connect

from local.cli import console, live_prices
from local.cli.feed import Options
from local.host import authorizer, system, template
from local.host.authorizer import Authorizer
from local.host.system import RunningSystem

DELIVERY_SECONDS = 20
ALERT_SECONDS = 60
TRADE = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": "2025-06-03T12:00:00Z"}


class Tour:
    """Announces, sends and prints the requests of the tour."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def show(self, what: str, method: str, path: str, body: Any = None, *, expected: int) -> Any:
        """Send a request, print it and the response, and return the response body.

        Raises:
            SystemExit: the response does not have the expected status.
        """
        print(f"\n{what}\n  {method} {path}" + (f"  {json.dumps(body)}" if body else ""))
        async with self._session.request(method, path, json=body) as response:
            answer = await response.json(content_type=None)
            print(f"  -> {response.status} {json.dumps(answer)}")
            if "next" in response.links:
                print(f"     the next page: {response.links['next']['url']}")
        if response.status != expected:
            raise SystemExit(f"The tour expected {expected} here.")
        return answer

    async def wait_for_delivery(self, trade_id: int) -> None:
        """Wait until a trade's notification is delivered, and print the delay.

        Raises:
            SystemExit: it was not delivered in time.
        """
        async with asyncio.timeout(DELIVERY_SECONDS):
            while True:
                async with self._session.get(f"/api/trades/{trade_id}/") as response:
                    trade = await response.json()
                if trade["notified_at"]:
                    break
                await asyncio.sleep(0.1)
        recorded, notified = (
            datetime.fromisoformat(trade[name]).astimezone(UTC) for name in ("recorded_at", "notified_at")
        )
        print(f"  delivered {(notified - recorded).total_seconds():.2f} s after it was recorded")


async def tour(tour: Tour) -> None:
    """Run the tour."""
    path = "/api/trades/"
    await tour.show("Does the database answer?", "GET", "/api/health", expected=200)
    trade = await tour.show("Record a trade:", "POST", path, TRADE, expected=201)
    print("\nIts notification goes through SQS and a Lambda to SNS, whose subscriber here is this console:")
    await tour.wait_for_delivery(trade["id"])
    order = {**TRADE, "ticker": "AAPL", "price": "170.60", "client_trade_id": "order-1001"}
    await tour.show("Record one that may be sent again:", "POST", path, order, expected=201)
    await tour.show("Send it again: nothing new is recorded.", "POST", path, order, expected=200)
    await tour.show("Another trade under that id:", "POST", path, {**order, "side": "SELL"}, expected=409)
    await tour.show("A trade that cannot be:", "POST", path, {**TRADE, "ticker": "msft", "price": -1}, expected=400)
    batch = {"trades": [TRADE, {**TRADE, "side": "SELL", "quantity": 0.5}]}
    await tour.show("Record a batch, all or none:", "POST", f"{path}batch/", batch, expected=201)
    query = "?ticker=MSFT&start_date=2025-06-01&end_date=2025-06-03&limit=2"
    await tour.show("Find trades, newest first, two to a page:", "GET", path + query, expected=200)


async def show_daily_numbers(running: RunningSystem) -> None:
    """Export the day's trades, and show the analysis that the exported file triggers.

    Raises:
        botocore.exceptions.WaiterError: the analysis did not appear in time.
    """
    s3, bucket, key = (
        running.aws.client("s3"),
        running.environment["DATA_BUCKET"],
        "2025/06/03/analysis_2025-06-03.csv",
    )
    print("\nExport the trades of a day, as happens every night; the new file in the bucket triggers the analyzer:")
    print(f"  -> {await running.functions['TradeExporter'].invoke({'date': '2025-06-03'})}")
    waiter = s3.get_waiter("object_exists")
    patience = {"Delay": 1, "MaxAttempts": DELIVERY_SECONDS}
    await asyncio.to_thread(waiter.wait, Bucket=bucket, Key=key, WaiterConfig=patience)
    body = (await asyncio.to_thread(s3.get_object, Bucket=bucket, Key=key))["Body"].read().decode()
    print(f"  {key}:")
    print("".join(f"    {line}\n" for line in body.splitlines()), end="")


async def show_prices(running: RunningSystem, tour: Tour, door: Authorizer | None) -> None:
    """Publish the prices of a mock market with a fast clock until there is an alert, and show the results."""
    print("\nA mock market with a clock sixty times as fast is followed over its WebSocket and published:")
    token = partial(door.token, "market", ["prices:publish"]) if door else lambda: None
    async with live_prices.published(running.url, Options(speed=60), 0, _indented, token):
        ticket = await tour.show("A ticket opens the system's own socket:", "POST", "/api/prices/ticket/", expected=201)
        async with connect(ticket["url"]) as socket, asyncio.timeout(ALERT_SECONDS):
            print(f"  the first frame on it: {(await socket.recv(decode=True))[:150]}…")
            while (message := json.loads(await socket.recv())) and isinstance(message, list):
                pass
            print(f"  an alert on it: {json.dumps(message)}")
    ticker = message["ticker"]
    await tour.show("Alerts are kept:", "GET", f"/api/alerts/?ticker={ticker}&limit=1", expected=200)
    path = f"/api/prices/{ticker}/averages/?limit=2"
    await tour.show("And so are the averages of each five minutes:", "GET", path, expected=200)


def _signed_in(door: Authorizer) -> dict[str, str]:
    scopes = template.read(template.kept()).scopes
    return {"Authorization": f"Bearer {door.token('tourist', scopes)}"}


def _indented(text: str) -> None:
    print(f"  {text}")


async def main() -> None:
    """Start a temporary system, run the tour, and stop it."""
    console.show_all()
    logging.getLogger("local.host.gateway").setLevel(logging.WARNING)  # the tour prints its requests itself
    folder = Path(tempfile.mkdtemp(prefix="trading-demo-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - as root, PostgreSQL's account needs access
    try:
        print("Starting a system for this tour…")
        door = authorizer.chosen(folder)
        headers = _signed_in(door) if door else {}
        async with (
            system.running(folder, 0, door) as running,
            ClientSession(running.url, headers=headers) as session,
        ):
            print(f"It is served at {running.url}; `make start` serves one for you.")
            await tour(Tour(session))
            await show_daily_numbers(running)
            await show_prices(running, Tour(session), door)
    finally:
        shutil.rmtree(folder)
    print("\nThat was the tour. `make start` keeps a system running, and README.md has the rest.")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(main())
    except KeyboardInterrupt:  # everything has been stopped
        sys.exit(130)
