"""Functions whose networks to PostgreSQL, SQS, SNS and S3 are bad: what clients see, and that nothing is lost."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.host.triggers import sqs_event
from tests.bad_network import BadNetwork, Faults
from tests.conftest import Bucket, Call, Channels, Rows, context
from trading.core import aws, database, signed_http
from trading.trades import ledger
from trading.trades.ledger import NewTrade

FAULTS = [
    pytest.param(Faults(latency=0.0002, jitter=0.002, piece=64), id="late, and a few bytes at a time"),
    pytest.param(Faults(ends="closed", after=1_000), id="closed after some bytes"),
    pytest.param(Faults(ends="reset", after=1_000), id="reset after some bytes"),
]
SILENT = pytest.param(Faults(ends="silent", after=100), id="half open")
CLIENTS: list[Any] = [aws.sqs, aws.sns, aws.s3]


@pytest.fixture
def to_database(database_url: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadNetwork]:
    """The network between functions and PostgreSQL."""
    del call
    address = urlsplit(database_url)
    assert address.port
    with BadNetwork(address.port, seed=19).running() as network:
        monkeypatch.setenv("DATABASE_URL", database_url.replace(str(address.port), str(network.port)))
        database.release()
        yield network
        database.release()


@pytest.fixture
def to_aws(channels: Channels, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadNetwork]:
    """The network between functions and AWS's services."""
    del bucket
    server = urlsplit(channels.sqs.meta.endpoint_url).port
    assert server
    with BadNetwork(server, seed=19).running() as network:
        # The server refuses requests whose Host is not its own. Through a proxy of HTTP they keep it; signed calls know
        # no proxies, and are connected to the network instead.
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{network.port}")
        monkeypatch.setenv("NO_PROXY", "")
        connect = partial(_connect_instead, network.port)
        monkeypatch.setattr(signed_http, "socket", SimpleNamespace(**{**vars(socket), "create_connection": connect}))
        _forget_clients()
        yield network
    _forget_clients()


def _connect_instead(port: int, _: tuple[str, int], seconds: float) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def _forget_clients() -> None:
    for client in CLIENTS:
        client.cache_clear()


@pytest.mark.parametrize("faults", FAULTS)
def test_on_a_bad_network_to_the_database_each_trade_is_recorded_once_or_asked_for_again(
    to_database: BadNetwork, call: Call, trade: dict[str, Any], rows: Rows, faults: Faults
) -> None:
    to_database.faults = replace(faults, after=3 * faults.after)  # to sign in takes many bytes
    database.release()
    statuses = set()
    for number in range(8):
        for _ in range(100):
            answer = call("POST", "/api/trades", {**trade, "client_trade_id": f"order-{number}"})
            statuses.add(answer.status)
            if answer.status in {200, 201}:
                break
            assert answer.headers["retry-after"] == "5"
            database.release()
    assert statuses <= {200, 201, 503}
    assert (503 in statuses) == (to_database.broken > 0) == (faults.ends != "never")
    to_database.faults = Faults()
    database.release()
    assert rows("select count(*), count(distinct client_trade_id) from trades") == [(8, 8)]
    assert rows("select count(*), count(distinct trade_id) from notifications") == [(8, 8)]


@pytest.mark.parametrize("faults", [*FAULTS, SILENT])
def test_on_a_bad_network_to_sqs_clients_notice_nothing_and_what_is_not_announced_is_swept(  # noqa: PLR0913, PLR0917
    to_aws: BadNetwork, call: Call, trade: dict[str, Any], channels: Channels, rows: Rows, faults: Faults
) -> None:
    from functions.notification_sweeper.app import handler as sweep  # noqa: PLC0415 - its environment is set

    to_aws.faults = faults
    posted = 0
    while posted < 2 or (faults.ends != "never" and not to_aws.broken and posted < 50):
        assert call("POST", "/api/trades", trade).status == 201
        posted += 1
    assert (to_aws.broken > 0) == (faults.ends != "never")
    to_aws.faults = Faults()
    _forget_clients()
    rows("update notifications set due_at = now() returning id")
    assert sweep({}, context())["announced"] == posted
    assert {each["id"] for each in channels.announced()} == {
        str(id_) for (id_,) in rows("select id from notifications")
    }


@pytest.mark.parametrize("faults", FAULTS)
def test_on_a_bad_network_to_sns_a_notification_is_delivered_at_least_once(
    to_aws: BadNetwork, trade: dict[str, Any], channels: Channels, rows: Rows, faults: Faults
) -> None:
    from functions.notification_publisher.app import handler as publish  # noqa: PLC0415 - its environment is set
    from trading.notifications import outbox  # noqa: PLC0415
    from trading.notifications.events import TradeRecorded  # noqa: PLC0415

    outbox.announce(TradeRecorded.of_new(ledger.record([NewTrade.model_validate(trade)] * 3, "local")))
    messages = channels.sqs.receive_message(QueueUrl=channels.queue_url, MaxNumberOfMessages=10)["Messages"]
    to_aws.faults = faults
    for attempt in range(20):
        _forget_clients()
        if attempt == 15:
            to_aws.faults = Faults()
        if not publish(sqs_event(messages, "arn:aws:sqs:eu-west-1:123456789012:queue"), context())["batchItemFailures"]:
            break
        rows("update notifications set sending_until = now() where delivered_at is null returning id")  # a minute later
    heard = [each["MessageAttributes"]["event_id"]["Value"] for each in channels.published()]
    ids = {str(id_) for (id_,) in rows("select id from notifications where delivered_at is not null")}
    assert (len(ids), set(heard)) == (3, ids)
    assert (to_aws.broken > 0) == (faults.ends != "never")
    if faults.ends == "never":
        assert len(heard) == 3


@pytest.mark.parametrize("faults", FAULTS)
def test_on_a_bad_network_to_s3_a_file_is_whole_or_not_there(
    to_aws: BadNetwork, bucket: Bucket, call: Call, trade: dict[str, Any], faults: Faults
) -> None:
    from functions.trade_exporter.app import handler as export  # noqa: PLC0415 - its environment is set

    trades = [{**trade, "client_trade_id": f"order-{number}"} for number in range(100)]
    assert call("POST", "/api/trades/batch", {"trades": trades}).status == 201
    to_aws.faults = faults
    for _ in range(50):
        _forget_clients()
        try:
            outcome = export({"date": "2025-06-03"}, context())
        except Exception:  # noqa: BLE001 - AWS repeats the invocation
            if bucket.keys():
                assert len(bucket.get("2025/06/03/trades.csv").splitlines()) == 101
            continue
        assert outcome["records_exported"] == 100
        if to_aws.broken or faults.ends == "never":
            break
    assert (to_aws.broken > 0) == (faults.ends != "never")
    assert len(bucket.get("2025/06/03/trades.csv").splitlines()) == 101
