"""A dump of the database, restored elsewhere: what an operator has after a loss."""

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from local.host.postgres import Postgres
from local.host.triggers import sqs_event
from tests.conftest import Bucket, Call, Channels, Rows, context
from trading.core import database

ASKED = (
    "/api/trades?status=all", "/api/trades?status=voided", "/api/positions", "/api/profit?by=ticker", "/api/portfolio",
    "/api/splits", "/api/alert-rules", "/api/analyses",
)  # fmt: skip


def test_a_dump_that_is_restored_has_the_same_trades_positions_analyses_and_announcements(  # noqa: PLR0913, PLR0917
    call: Call,
    channels: Channels,
    bucket: Bucket,
    trade: dict[str, Any],
    rows: Rows,
    postgres: Postgres,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from functions.notification_publisher.app import handler as publish  # noqa: PLC0415 - its environment is set
    from functions.notification_sweeper.app import handler as sweep  # noqa: PLC0415
    from functions.trade_analyzer.app import handler as analyze  # noqa: PLC0415
    from functions.trade_exporter.app import handler as export  # noqa: PLC0415

    ids = [
        call("POST", "/api/trades", {**trade, "client_trade_id": f"order-{number}"}).body["id"] for number in range(4)
    ]
    call("POST", f"/api/trades/{ids[1]}/void", {"reason": "Entered twice"})
    call("POST", f"/api/trades/{ids[2]}/correct", {"price": "300", "reason": "Wrong price"})
    call("POST", "/api/trades", {**trade, "side": "SELL", "quantity": 20})
    call("POST", "/api/splits", {"ticker": "MSFT", "effective_at": "2025-06-04", "ratio": "2:1"})
    export({"date": "2025-06-03"}, context())
    analyze({"date": "2025-06-03"}, context())
    first, *_ = channels.sqs.receive_message(QueueUrl=channels.queue_url)["Messages"]
    publish(sqs_event([first], "arn:aws:sqs:eu-west-1:123456789012:queue"), context())

    def answers() -> list[Any]:
        return [call("GET", path.partition("?")[0], query=path.partition("?")[2]).body for path in ASKED]

    before = answers()
    outbox = "select id::text, delivered_at from notifications order by id"
    announced = rows(outbox)
    assert [delivered for _, delivered in announced].count(None) == len(announced) - 1

    name, file = f"restored_{uuid.uuid4().hex}", tmp_path / "dump"
    programs = postgres.programs / "bin"
    subprocess.run([programs / "pg_dump", "--format=custom", f"--file={file}", database_url], check=True)
    postgres.create_database(name)
    subprocess.run([programs / "pg_restore", f"--dbname={postgres.url(name)}", file], check=True)
    monkeypatch.setenv("DATABASE_URL", postgres.url(name))
    database.release()

    assert answers() == before
    assert rows(outbox) == announced
    assert call("POST", "/api/trades", {**trade, "client_trade_id": "order-0"}).status == 200
    assert call("POST", "/api/trades", trade).body["id"] > max(each["id"] for each in before[0])
    channels.announced()
    rows("update notifications set due_at = now() where due_at <> 'infinity' returning id")
    sweep({}, context())
    undelivered = {id_ for id_, delivered in announced if delivered is None}
    assert undelivered <= {each["id"] for each in channels.announced()}
    del bucket
