import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import psycopg2
import pytest
from standardwebhooks import Webhook

import local.__main__
from local.cli import console
from local.host import system
from local.host.aws_services import Aws, AwsServer
from local.host.system import RunningSystem, free_port
from local.host.template import ROOT
from local.tools.checkout import copied
from tests.local.conftest import Invoke
from tests.trading.notifications.webhooks.receivers import listening


def ask(url: str, body: object = None, token: str = "") -> tuple[int, Any]:
    """Return the status and the JSON of a request's answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urlopen(Request(url, data, headers), timeout=30) as response:  # noqa: S310
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, and return whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


def test_a_trade_over_http_is_recorded_found_and_its_notification_delivered(
    running: RunningSystem, trade: dict[str, Any]
) -> None:
    status, recorded = ask(f"{running.url}/api/trades/", trade)
    assert status == 201
    one = f"{running.url}/api/trades/{recorded['id']}/"
    assert until(lambda: ask(one)[1]["notified_at"] is not None, seconds=10)

    query = "ticker=MSFT&start_date=2025-06-01T00:00:00Z&end_date=2025-06-03T23:59:59Z"
    status, found = ask(f"{running.url}/api/trades/?{query}")
    assert status == 200
    assert {name: found[0][name] for name in trade} == trade


def test_a_trade_reaches_a_webhook_on_this_machine(running: RunningSystem, trade: dict[str, Any]) -> None:
    with listening() as receiver:
        status, webhook = ask(f"{running.url}/api/webhooks", {"url": receiver.url, "ticker": "HOOK"})
        assert status == 201
        _, recorded = ask(f"{running.url}/api/trades", {**trade, "ticker": "HOOK"})
        ask(f"{running.url}/api/trades", trade)
        assert until(lambda: bool(receiver.requests), seconds=20)
        [request] = receiver.requests
        event = Webhook(webhook["secret"]).verify(request.body.decode(), request.headers)
        assert (event["type"], event["data"]["id"]) == ("trade.recorded.v1", recorded["id"])
        deliveries = f"{running.url}/api/webhooks/{webhook['id']}/deliveries"
        assert until(lambda: [each["status"] for each in ask(deliveries)[1]] == ["delivered"], seconds=5)
    running.aws.client("dynamodb").delete_item(
        TableName=running.environment["WEBHOOKS_TABLE"], Key={"webhook_id": {"S": webhook["id"]}}
    )


def test_a_file_that_is_put_into_the_bucket_wakes_the_analyzer_and_its_result_does_not(running: RunningSystem) -> None:
    s3, bucket = running.aws.client("s3"), running.environment["DATA_BUCKET"]
    key, result = "2024/05/15/trades.csv", "2024/05/15/analysis_2024-05-15.csv"
    s3.upload_file(str(ROOT / "events" / key), bucket, key)

    def keys() -> list[str]:
        return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="2024/05/15/")["Contents"]]

    assert until(lambda: keys() == [result, "2024/05/15/analysis_run_2024-05-15.json", key], seconds=10)
    body = s3.get_object(Bucket=bucket, Key=result)["Body"].read().decode()
    assert body.splitlines()[1].startswith("AAPL,180,170.666667,170.766667,3,30720.00")


def test_an_export_closes_the_loop(running: RunningSystem, invoke: Invoke, trade: dict[str, Any]) -> None:
    s3, bucket = running.aws.client("s3"), running.environment["DATA_BUCKET"]
    ask(f"{running.url}/api/trades/", {**trade, "timestamp": "2025-01-31T12:00:00Z"})
    assert invoke("TradeExporter", {"date": "2025-01-31"}) == {
        "output_file": "2025/01/31/trades.csv",
        "records_exported": 1,
    }
    prefix = "2025/01/31/analysis_"
    assert until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 1, seconds=10)


def test_a_history_is_stored_and_simulated_and_its_report_is_a_page(running: RunningSystem) -> None:
    history = (ROOT / "events" / "history" / "MSFT.csv").read_bytes()
    address = f"{running.url}/api/histories/MSFT"
    with urlopen(Request(address, history, {"Content-Type": "text/csv"}, method="PUT"), timeout=30) as response:  # noqa: S310
        assert json.load(response)["bars"] == 750
    status, recorded = ask(f"{running.url}/api/simulations/", {"ticker": "MSFT", "fast": 10, "slow": 30})
    assert (status, len(recorded["result"]["bars"])) == (201, 750)
    with urlopen(f"{running.url}/api/simulations/{recorded['id']}/report/", timeout=30) as response:  # noqa: S310
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.read().startswith(b"<!doctype html>")


def test_sixteen_at_once_with_one_client_trade_id_are_one_trade(running: RunningSystem, trade: dict[str, Any]) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(lambda _: ask(f"{running.url}/api/trades/", {**trade, "client_trade_id": "race"}), range(16))
        )
    assert sorted(status for status, _ in answers) == [200] * 15 + [201]
    assert len({body["id"] for _, body in answers}) == 1


def test_what_the_gateway_itself_refuses_is_in_api_gateways_words(running: RunningSystem) -> None:
    assert ask(f"{running.url}/api/trades/", {"x": "y" * 11_000_000}) == (413, {"message": "Request Entity Too Large"})


def test_a_body_that_says_it_is_packed_is_handed_over_as_it_came(running: RunningSystem) -> None:
    request = Request(  # noqa: S310
        f"{running.url}/api/trades/", b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    )
    with pytest.raises(HTTPError) as refusal:
        urlopen(request, timeout=30)  # noqa: S310
    assert refusal.value.code == 400
    refusal.value.close()


def test_unknown_paths_are_answered_by_the_api_as_problems(running: RunningSystem) -> None:
    status, problem = ask(f"{running.url}/nowhere")
    assert (status, problem["status"]) == (404, 404)


def test_the_description_and_its_page_are_served(running: RunningSystem) -> None:
    assert ask(f"{running.url}/docs/openapi.json")[1]["openapi"].startswith("3.1")
    with urlopen(f"{running.url}/docs", timeout=5) as page:  # noqa: S310
        assert b"SwaggerUIBundle" in page.read()
    with urlopen(f"{running.url}/docs/asyncapi.yaml", timeout=5) as text:  # noqa: S310
        assert text.headers["Content-Type"].startswith("text/plain")
        assert text.read().startswith(b"asyncapi: 3")
    for asset in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"):
        with urlopen(f"{running.url}/docs/assets/{asset}", timeout=5) as file:  # noqa: S310
            assert file.status == 200


def test_other_programs_are_told_where_everything_is(running: RunningSystem) -> None:
    with psycopg2.connect(running.environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) >= 0 from trades")
        assert cursor.fetchall() == [(True,)]
    connection.close()
    assert running.environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


# `make start`, as its user has it: a process in a checkout


@contextmanager
def started(checkout: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        assert process.stdout
        process.stdout.close()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read a process's output until a line that has `text`; return all that was read."""
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"it ended before it said {text!r}: {seen}")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the checkout, in a folder with a space in its name that only its owner may enter."""
    folder = tmp_path_factory.mktemp("private") / "my trading system"
    with copied(folder):
        yield folder


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def reset(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.host.reset"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_start_serves_heals_and_stops_cleanly(checkout: Path, trade: dict[str, Any]) -> None:
    port = str(free_port(0, ["127.0.0.1"]))
    url = f"http://127.0.0.1:{port}/api/trades/"
    with started(checkout, PORT=port) as process:
        said = wait_for(process, "Ctrl-C stops everything")
        assert f"curl -i {url}" in said
        assert ask(url, trade)[0] == 201
        assert "NOTIFICATION  BUY 50 MSFT at 310.50" in wait_for(process, "NOTIFICATION")
        environment = (checkout / ".local" / "environment").read_text()
        assert "DATABASE_URL=postgresql://" in environment
        assert f"TRADING_URL=http://127.0.0.1:{port}\n" in environment

        with started(checkout, PORT=str(free_port(0, ["127.0.0.1"]))) as second:
            assert "is already running from this folder" in wait_for(second, "Cannot start")
            assert second.wait(10) == 1
        refused = reset(checkout)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("Nothing was deleted: the system is already running from this folder")

        for name, command in (("PostgreSQL", "postgres -D"), ("AWS's services", "aws_server")):
            [part] = [child for child in psutil.Process(process.pid).children() if command in " ".join(child.cmdline())]
            part.kill()
            assert f"{name}: its process was ended by signal 9 and is restarted" in wait_for(process, name)
            wait_for(process, f"{name}: back after")
        assert until(lambda: ask(url, trade)[0] == 201, seconds=10)
        wait_for(process, "NOTIFICATION")

        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        wait_for(process, "Stopped")
        assert process.wait(20) == 0
    assert living(children) == []
    assert not (checkout / ".local" / "environment").exists()


def test_what_a_killed_run_left_behind_is_stopped_and_what_it_answered_is_there(
    checkout: Path, trade: dict[str, Any]
) -> None:
    port = str(free_port(0, ["127.0.0.1"]))
    url = f"http://127.0.0.1:{port}/api/trades/"
    with started(checkout, PORT=port) as process:
        wait_for(process, "Ctrl-C stops everything")
        assert ask(url, trade)[0] == 201
        stored = ask(url)[1]
        lines = (checkout / ".local" / "environment").read_text().splitlines()
        sqs = Aws(dict(line.split("=", 1) for line in lines)["AWS_ENDPOINT_URL"]).client("sqs")
        mine = sqs.create_queue(QueueName="mine")["QueueUrl"]
        sqs.send_message(QueueUrl=mine, MessageBody="kept")
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    with started(checkout, PORT=port) as process:
        wait_for(process, "Ctrl-C stops everything")
        assert ask(url)[1] == stored
        assert until(lambda: not living(children), seconds=5)
        lines = (checkout / ".local" / "environment").read_text().splitlines()
        sqs = Aws(dict(line.split("=", 1) for line in lines)["AWS_ENDPOINT_URL"]).client("sqs")
        assert sqs.receive_message(QueueUrl=mine)["Messages"][0]["Body"] == "kept"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGHUP)  # the terminal is closed
        assert process.wait(20) == 0
    assert living(children) == []
    assert not (checkout / ".local" / "environment").exists()


def test_after_a_reset_there_is_nothing_and_with_auth_on_a_token_is_wanted(
    checkout: Path, trade: dict[str, Any]
) -> None:
    done = reset(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "Deleted the database",
        "Deleted the queues, buckets and tables",
    ]
    port = str(free_port(0, ["127.0.0.1"]))
    url = f"http://127.0.0.1:{port}"
    with started(checkout, PORT=port, AUTH="on") as process:
        assert "./trading token" in wait_for(process, "Ctrl-C stops everything")
        scopes = ["trades:read", "trades:write"]
        command = [sys.executable, "-m", "local.cli", "token", *scopes, "--subject", "desk-7"]
        token = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
        command = [sys.executable, "-m", "local.cli", "token", "trades:read", "--subject", "desk-8"]
        reading = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
        assert ask(f"{url}/api/trades/", trade) == (401, {"message": "Unauthorized"})
        assert ask(f"{url}/api/health/")[0] == 200
        assert ask(f"{url}/api/trades/", token=token) == (200, [])
        status, recorded = ask(f"{url}/api/trades/", trade, token)
        assert (status, recorded["recorded_by"]) == (201, "desk-7")
        assert ask(f"{url}/api/trades/", trade, reading)[0] == 403
        assert ask(f"{url}/nowhere", token=token)[0] == 404


def test_a_port_that_is_taken_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "show_all", lambda: None)
    monkeypatch.setattr(local.__main__, "FOLDER", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert local.__main__.main() == 1
    said = capsys.readouterr().err
    assert said.startswith(f"Cannot start: port {port} is taken")
    assert f"PORT={port + 1} make start" in said


def test_a_part_whose_port_was_taken_since_it_was_found_free_starts_at_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = AwsServer(tmp_path, taken.getsockname()[1])
        system._start(server, ["127.0.0.1"])  # noqa: SLF001 - a race that no caller can arrange
        assert server.port != taken.getsockname()[1]
        assert server.services.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    server.stop()


@pytest.mark.parametrize("port", ["abc", "0", "-1", "65536", "8000.0"])
def test_what_is_no_port_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setattr(console, "show_all", lambda: None)
    monkeypatch.setenv("PORT", port)
    assert local.__main__.main() == 1
    assert capsys.readouterr().err == f"Cannot start: PORT={port} is not a port number from 1 to 65535.\n"
