"""What tests of the SAM CLI stand on: a build, Lambda's image, the laptop's services, and a way to call `sam`."""

import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.host import triggers
from local.host.system import DATABASE, LOOPBACK, RunningSystem, free_port, running
from local.host.template import ROOT
from trading.simulation import engine, history_files
from trading.simulation.engine import Strategy
from trading.simulation.results import RESULT, result_of

SAM = (str(ROOT / ".venv-sam" / "bin" / "python"), "-m", "samcli")
HISTORY = "history/MSFT.csv"
WEBHOOK = "0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d"
ARCHITECTURE = "x86_64" if platform.machine() == "x86_64" else "arm64"
# That of a new terminal, where the region comes from samconfig.toml; `sam local` hands variables on to the functions.
ENVIRONMENT = {
    "SAM_CLI_TELEMETRY": "0",
    **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))},
}


def run(*command: str | Path) -> str:
    """Run a program in the checkout and return its output; the test fails with all that it said if it does."""
    outcome = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{outcome.stdout}\n{outcome.stderr}")
    sys.stderr.write(outcome.stderr)  # what a function logged is shown where its answer is not the expected one
    return outcome.stdout


def containers() -> set[str]:
    """Return the containers of functions that there are."""
    return set(run("docker", "ps", "--all", "--quiet", "--filter", "label=sam.cli.container.type=lambda").split())


@contextmanager
def serving(command: str, options: list[str], log: Path) -> Iterator[int]:
    """Run `sam local start-…`, and yield the port at which it answers; it leaves nothing behind."""
    before = containers()
    port = free_port(0, [LOOPBACK])
    # EAGER starts containers from threads that race for the one list of them: now and then `sam` loses one of them.
    warm = "--warm-containers=LAZY"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*SAM, "local", command, f"--port={port}", warm, *options],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(server, port, log)
        yield port
    finally:
        server.terminate()
        server.wait(60)
    with pytest.raises(ProcessLookupError):
        os.killpg(server.pid, 0)
    assert containers() == before


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection((LOOPBACK, port)).close()
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"sam local does not answer:\n{log.read_text()}")
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sam build` filled for this machine."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    # A cached build would keep its parts in the checkout.
    overrides = f"Architecture={ARCHITECTURE}"
    run(*SAM, "build", "--no-cached", "--build-dir", folder, "--parameter-overrides", overrides)
    return folder


@pytest.fixture(scope="session")
def lambda_image() -> None:
    """The image in which functions run."""
    run(ROOT / ".ci" / "lambda-image")


@pytest.fixture(scope="session")
def laptop_folder() -> Iterator[Path]:
    """A folder for the laptop's services, within reach of the account that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="trading-sam-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def stand_still(*_: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture(scope="session")
def laptop(lambda_image: None, laptop_folder: Path) -> Iterator[RunningSystem]:
    """The laptop's services, its clock stopped: what is to be swept is left to the sweeper in the container."""
    del lambda_image
    started, stop = Future[RunningSystem](), Future[None]()

    async def serve() -> None:
        async with running(laptop_folder, port=0) as system:
            started.set_result(system)
            await asyncio.wrap_future(stop)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(max_workers=1) as thread:
        patch.setattr(triggers, "follow_clock", stand_still)
        serving = thread.submit(asyncio.run, serve())
        either: list[Future[Any]] = [started, serving]
        wait(either, return_when=FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield started.result()
        stop.set_result(None)
        serving.result()


@pytest.fixture(scope="session")
def options(build: Path, laptop: RunningSystem, laptop_folder: Path) -> list[str]:
    """The options that `sam local` needs to use this build and these services; samconfig.toml has the others."""
    del laptop
    return [
        f"--template={build / 'template.yaml'}",
        f"--config-file={ROOT / 'samconfig.toml'}",
        f"--env-vars={laptop_folder / 'sam-environment.json'}",
        f"--parameter-overrides=Architecture={ARCHITECTURE}",
        "--skip-pull-image",
    ]


class Database:
    """What the laptop keeps: PostgreSQL's rows, and who is connected."""

    def __init__(self, laptop: RunningSystem) -> None:
        self._url = laptop.postgres.url(DATABASE)
        self._laptop = laptop

    def connections(self) -> list[str]:
        """Return who is connected to the price socket."""
        table = self._laptop.environment["CONNECTIONS_TABLE"]
        items = self._laptop.aws.client("dynamodb").scan(TableName=table)["Items"]
        return [item["connection_id"]["S"] for item in items]

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, which is committed."""
        with closing(psycopg2.connect(self._url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()


def _events(name: str) -> list[Any]:
    """Return the events that the messages of a sample carry."""
    announced = json.loads((ROOT / "events" / "notification_publisher" / name).read_text())
    return [json.loads(record["body"]) for record in announced["Records"]]


def _insert(database: Database, trade: dict[str, Any]) -> None:
    database.rows(
        "insert into trades select * from json_populate_record(null::trades, %s) returning id", json.dumps(trade)
    )


@pytest.fixture
def database(laptop: RunningSystem) -> Database:
    """The database, with the trades of events/notification_publisher, not yet delivered, and one of everything else."""
    database = Database(laptop)
    database.rows(
        "truncate trades, trade_changes, splits, imports, import_rows, notifications, alerts, price_averages,"
        " price_windows, simulations;"
        " select 1"
    )
    database.rows(
        "insert into splits (id, ticker, effective_at, numerator, denominator, recorded_by) values"
        " (9001, 'NVDA', '2024-06-10T13:30Z', 4, 1, 'local') returning id"
    )
    database.rows("delete from alert_rules where id > 1 returning id")
    database.rows(
        "insert into alert_rules (id, ticker, kind, price, created_by) values"
        " (9001, 'AAPL', 'below', 180, 'local') returning id"
    )
    database.rows(
        "insert into price_averages values ('AAPL', '2025-06-03T12:05Z', 198.1, 2, 98, '2025-06-03T12:05Z', 100.1, 98,"
        " 100.1, '2025-06-03T12:06Z') returning ticker"
    )
    database.rows(
        "insert into alerts (id, ticker, price, timestamp, low_price, low_timestamp, rise_percent) values"
        " (gen_random_uuid(), 'AAPL', 100.1, '2025-06-03T12:06Z', 98, '2025-06-03T12:05:30Z', 2.14) returning id"
    )
    for event in _events("announced.json"):
        _insert(database, event["data"])
        database.rows(
            "insert into notifications (id, trade_id, due_at) values (%s, %s, now()) returning id",
            event["id"],
            event["data"]["id"],
        )
    # What is left of these trades is voided, and their notifications are never due: no other event finds them.
    corrected, voided = _events("announced_changes.json")
    _insert(database, corrected["data"]["voided"])
    _insert(database, corrected["data"]["recorded"])
    for event, trade, replacement in ((corrected, 9003, 9004), (voided, 9004, None)):
        database.rows(
            "with c as (insert into trade_changes (trade_id, reason, changed_by, replaced_by) values"
            " (%s, 'x', 'local', %s) returning id)"
            " insert into notifications (id, change_id, next_attempt_at, due_at)"
            " select %s, id, 'infinity', 'infinity' from c returning id",
            trade,
            replacement,
            event["id"],
        )
    database.rows(
        "with i as (insert into imports (id, digest, format, account, recorded_by, completed_at, rows_read, recorded)"
        " values (9001, 'x', 'schwab', 'main', 'local', now(), 1, 1) returning id)"
        " insert into import_rows (import_id, line, outcome, trade_id)"
        " select id, 2, 'recorded', 9001 from i returning line"
    )
    done = engine.simulate(history_files.read_csv((ROOT / "events" / HISTORY).read_bytes()), Strategy(20, 50))
    database.rows(
        "insert into simulations (id, inputs_hash, ticker, result) values (9001, %s, 'MSFT', %s) returning id",
        "0" * 64,
        RESULT.dump_json(result_of(done, "MSFT")).decode(),
    )
    _put_webhook(laptop)
    return database


def _put_webhook(laptop: RunningSystem) -> None:
    """Put a webhook into its table, which the receiver of this name never answers."""
    nothing = {name: {"NULL": True} for name in ("chat_id", "events", "ticker", "account", "rule_id")}
    item = {
        "webhook_id": WEBHOOK,
        "kind": "standard",
        "url": "https://hooks.invalid/",
        "secret": "whsec_bm90IGEgc2VjcmV0",
        "created_at": "2025-06-03T12:00:00+00:00",
        "created_by": "local",
    }
    laptop.aws.client("dynamodb").put_item(
        TableName=laptop.environment["WEBHOOKS_TABLE"],
        Item={**{name: {"S": value} for name, value in item.items()}, **nothing},
    )


@pytest.fixture(scope="session")
def sample(laptop: RunningSystem) -> None:
    """A history and a day's trades are in the bucket, and the laptop's own analyzer has analyzed the trades."""
    s3 = laptop.aws.client("s3")
    bucket = laptop.environment["DATA_BUCKET"]
    key = "2024/05/15/trades.csv"
    s3.upload_file(str(ROOT / "events" / HISTORY), bucket, HISTORY)
    s3.upload_file(str(ROOT / "events" / key), bucket, key)
    deadline = time.monotonic() + 30
    while s3.list_objects_v2(Bucket=bucket, Prefix="2024/05/15/")["KeyCount"] < 2:
        assert time.monotonic() < deadline, "nobody analyzed what was put"
        time.sleep(0.2)


@pytest.fixture
def client(laptop: RunningSystem) -> None:
    """The ticket of events/price_socket is issued, and its connection follows two tickers."""
    dynamodb, environment = laptop.aws.client("dynamodb"), laptop.environment
    connect = json.loads((ROOT / "events" / "price_socket" / "connect.json").read_text())
    expires_at = {"N": str(int(time.time()) + 60)}
    ticket = {"ticket": {"S": connect["queryStringParameters"]["ticket"]}, "expires_at": expires_at}
    dynamodb.put_item(TableName=environment["TICKETS_TABLE"], Item=ticket)
    connection_id = {"S": connect["requestContext"]["connectionId"]}
    connection = {"connection_id": connection_id, "followed": {"S": "AAPL MSFT"}, "expires_at": expires_at}
    dynamodb.put_item(TableName=environment["CONNECTIONS_TABLE"], Item=connection)
