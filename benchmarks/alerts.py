"""Alerts on the laptop: the latency from the POST of a price to the alert on a socket and at a webhook."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from queue import Queue
from statistics import median, quantiles
from threading import Thread

from websockets.sync.client import ClientConnection, connect

from benchmarks import laptop, measure
from benchmarks.measure import Figure, say
from local.cli.webhook_listener import Listener
from local.host.system import LOOPBACK

ALERTS = 60
TICKER = "ALERT"
RISE = Decimal("1.03")  # of each price over the one before it: the default rule alerts at 2 % within a minute
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 30


def figures(_: int) -> Iterator[Figure]:
    """Publish rising prices to a system of its own, beside its mock market, and wait for each alert at both ends."""
    with laptop.checkout() as folder, laptop.started(folder) as (_seconds, _system, port):
        url = f"http://{LOOPBACK}:{port}"
        heard: Queue[float] = Queue()
        listener = Listener(0, lambda _: heard.put(time.perf_counter()))
        Thread(target=listener.serve_forever, daemon=True).start()
        webhook = {"url": listener.url, "events": ["price.alerted.v1"], "ticker": TICKER}
        listener.secret = laptop.ask(url, "/api/webhooks", webhook)["secret"]
        with connect(laptop.ask(url, "/api/prices/ticket", {})["url"]) as client:
            client.send(json.dumps({"action": "subscribe", "tickers": [TICKER]}))
            say(f"  {ALERTS} alerts")
            latencies = _latencies(url, client, heard)
        listener.shutdown()
    for name, seconds in latencies.items():
        yield Figure(
            f"From the POST of a price to the alert {name}, p50 and p99",
            f"{1_000 * median(seconds):.0f} and {1_000 * quantiles(seconds, n=100)[98]:.0f} ms",
        )


def _latencies(url: str, client: ClientConnection, heard: "Queue[float]") -> Mapping[str, list[float]]:
    price = Decimal(100)
    on_socket, at_webhook = [], []
    for number in range(measure.rounds(ALERTS) + 1):
        sent = time.perf_counter()
        now = datetime.now(UTC).isoformat()
        tick = {"ticker": TICKER, "price": str(round(price, 2)), "timestamp": now}
        laptop.ask(url, "/api/prices", {"prices": [tick]})
        price *= RISE
        if number:  # the first price has nothing to rise from
            while not isinstance(message := json.loads(client.recv(PATIENCE_SECONDS)), dict) or (
                message["type"] != "alert"
            ):
                pass
            on_socket.append(time.perf_counter() - sent)
            at_webhook.append(heard.get(timeout=PATIENCE_SECONDS) - sent)
        time.sleep(PAUSE_SECONDS)
    return {"on a socket": on_socket, "at a webhook": at_webhook}
