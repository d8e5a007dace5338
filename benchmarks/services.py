"""What the measured handlers need around them, on 127.0.0.1 for the time of one run."""

import asyncio
import json
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psycopg2

from benchmarks.measure import say
from local.host import aws_services
from local.host.postgres import Postgres
from trading.core import migrations

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

CONNECTIONS = 1_000  # of the price socket

# Durable as PostgreSQL is by default. The log of a load is kept whole, so that no checkpoint is forced in between.
SETTINGS = ("max_wal_size=8GB",)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server in a temporary folder; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root the server runs as nobody, who has to get through
        server = Postgres(folder / "postgres", _free_port(), settings=SETTINGS)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)  # elsewhere than asked for, if nobody cannot get there


def new_database(server: Postgres, name: str) -> str:
    """Create a database with the system's schema and return its address."""
    server.create_database(name)
    with cursor_of(server.url(name)) as cursor:
        migrations.migrate(cursor)
    return server.url(name)


@contextmanager
def cursor_of(url: str) -> Iterator["Cursor"]:
    """Yield a cursor of a connection of its own, whose statements are committed one by one."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def loaded(server: Postgres, name: str, statement: str, **parameters: object) -> str:
    """Return the address of a new database whose trades a statement has inserted."""
    database = new_database(server, name)
    with cursor_of(database) as cursor:
        cursor.execute("set maintenance_work_mem = '512MB'")
        cursor.execute(
            "select indexname, indexdef from pg_indexes"
            " where tablename = 'trades' and indexdef not like 'CREATE UNIQUE%'"
        )
        indexes = cursor.fetchall()
        for index, _ in indexes:  # made anew afterwards, which is quicker than keeping them up to date
            cursor.execute(f"drop index {index}")
        cursor.execute(statement, parameters)
        for index, definition in indexes:
            say(f"  indexing {index}")
            cursor.execute(definition)
        cursor.execute("vacuum (analyze) trades")
        cursor.execute("checkpoint")
    return database


def environment(database: str, endpoint: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Return what a function of ours is told: its database and the address of AWS (without one, of nobody)."""
    return {
        "DATABASE_URL": database,
        "AUTH_REQUIRED": "false",
        "NOTIFICATIONS_QUEUE_URL": f"{endpoint}/123456789012/notifications",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "POWERTOOLS_METRICS_NAMESPACE": "trading",
        "POWERTOOLS_SERVICE_NAME": "trades_api",
    }


def sqs() -> AbstractContextManager[str]:
    """Run an HTTP server that answers every call as SQS answers SendMessageBatch, and yield its address."""
    return _served(_Sqs)


def s3() -> AbstractContextManager[str]:
    """Run an HTTP server that takes uploads as S3 does, keeps nothing of them, and yield its address."""
    return _served(_S3)


@contextmanager
def sockets() -> Iterator[str]:
    """Run an HTTP server that knows of a thousand connections, as DynamoDB, and takes what is posted to them.

    Yields its address.
    """
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(_Sockets, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server, with an empty bucket called trades, and yield its address."""
    with aws_services.running(_free_port()) as services:
        place = {"LocationConstraint": "eu-west-1"}
        services.client("s3").create_bucket(Bucket="trades", CreateBucketConfiguration=place)
        yield services.endpoint


@contextmanager
def _served(calls: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), calls)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Calls(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer: the kernel holds back a second one for up to 40 ms

    def handle_expect_100(self) -> bool:
        """Ask for the body, at once."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


class _Sqs(_Calls):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"Successful":[],"Failed":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Sockets(asyncio.Protocol):
    """The connections of the price socket, quicker than who posts to them: a thread for each would not be."""

    _scan = json.dumps(
        {
            "Items": [{"connection_id": {"S": f"{number}="}, "followed": {"S": "*"}} for number in range(CONNECTIONS)],
            "Count": CONNECTIONS,
        }
    ).encode()
    _length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = self._length.search(head)
        if end and length and len(body) == int(length[1]):  # nobody sends the next before the answer
            self._received = b""
            answer = self._scan if b".Scan" in head else b""
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )


class _S3(_Calls):
    def do_HEAD(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        self._take()
        name = "InitiateMultipartUploadResult" if self.path.endswith("?uploads") else "CompleteMultipartUploadResult"
        self._answer(200, f"<{name}><UploadId>1</UploadId><ETag>1</ETag></{name}>".encode())

    def do_PUT(self) -> None:
        self._take()
        self._answer(200)

    def _take(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 1024 * 1024)))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port
