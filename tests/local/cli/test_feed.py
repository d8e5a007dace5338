import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from local.cli import feed as price_feed
from local.cli import feed_connection, feed_server, main
from local.cli.feed import Clock, Feed, Options
from local.cli.feed_server import serving
from local.cli.market import STARTING_PRICES

INTERVAL = 0.03
MASKED_PING = b"\x81\x91\0\0\0\0" + b'{"action":"ping"}'
Talk = Callable[[Feed], Awaitable[None]]


def run(talk: Talk, options: Options | None = None) -> None:
    """Serve a quick market of two tickers, or another, and talk to it."""

    async def serve() -> None:
        async with asyncio.timeout(20), serving(options or Options(("AAPL", "MSFT"), INTERVAL, "seed"), 0) as feed:
            await talk(feed)

    asyncio.run(serve())


async def heard(client: ClientConnection) -> Any:
    return json.loads(await client.recv(), parse_float=Decimal)


async def prices(client: ClientConnection) -> Any:
    """Return the next array."""
    while not isinstance(message := await heard(client), list):
        pass
    return message


async def answer(client: ClientConnection) -> Any:
    """Return the next object."""
    while not isinstance(message := await heard(client), dict):
        pass
    return message


async def ask(client: ClientConnection, action: str, *tickers: str, **members: Any) -> Any:
    await client.send(json.dumps({"action": action, **({"tickers": tickers} if tickers else {}), **members}))
    return await answer(client)


def names(message: Any) -> list[str]:
    return [each["ticker"] for each in message]


def test_a_client_that_only_reads_gets_arrays_of_every_ticker_in_the_originals_shape() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            first, second = await prices(client), await prices(client)
        assert names(first) == list(STARTING_PRICES)
        for before, after in zip(first, second, strict=True):
            assert list(after) == ["ticker", "price", "timestamp", "seq"]
            assert after["price"].as_tuple().exponent == -2
            assert after["timestamp"].endswith("Z")
            assert before["timestamp"] < after["timestamp"]
            assert before["seq"] + 1 == after["seq"]

    run(talk, Options(interval=INTERVAL))


def test_it_is_there_at_both_of_this_machines_addresses_and_nowhere_else() -> None:
    async def talk(feed: Feed) -> None:
        for host in ("127.0.0.1", "localhost", *(["[::1]"] if has_ipv6() else [])):
            async with connect(f"ws://{host}:{feed.port}") as client:
                assert await prices(client)
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.2", feed.port)

    run(talk)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_clients_follow_what_they_name_each_for_itself() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as one, connect(feed.url) as other:
            assert await ask(one, "subscribe", "aapl") == {"type": "subscribed", "tickers": ["AAPL"]}
            assert names(await prices(one)) == ["AAPL"]
            assert names(await prices(other)) == ["AAPL", "MSFT"]
            assert await ask(one, "subscribe", "MSFT") == {"type": "subscribed", "tickers": ["AAPL", "MSFT"]}
            assert await ask(one, "unsubscribe", "AAPL") == {"type": "subscribed", "tickers": ["MSFT"]}
            assert names(await prices(one)) == ["MSFT"]
            assert await ask(one, "list") == {"type": "subscribed", "tickers": ["MSFT"]}
            assert await ask(other, "list") == {"type": "subscribed", "tickers": ["*"]}
            assert await ask(one, "subscribe", "*") == {"type": "subscribed", "tickers": ["*"]}
            assert names(await prices(one)) == ["AAPL", "MSFT"]

    run(talk)


def test_a_client_that_follows_nothing_hears_nothing() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            assert await ask(client, "unsubscribe", "*") == {"type": "subscribed", "tickers": []}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recv(), INTERVAL * 5)
            assert await ask(client, "ping") == {"type": "pong"}

    run(talk)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "bad_json"),
        ("", "bad_json"),
        (b'{"action":"ping"}', "bad_json"),
        (b"\xff\xfe", "bad_json"),
        ("[" * 9_000, "bad_json"),
        ("null", "bad_message"),
        ("{}", "unknown_action"),
        ('{"action":"buy"}', "unknown_action"),
        ('{"action":"subscribe"}', "bad_message"),
        ('{"action":"subscribe","tickers":"AAPL"}', "bad_message"),
        ('{"action":"subscribe","tickers":["AAPL"],"since":{"AAPL":"1"}}', "bad_message"),
        ('{"action":"subscribe","tickers":["AAPL"],"since":[1]}', "bad_message"),
        ('{"action":"subscribe","tickers":["AAPL","ZZZ"]}', "unknown_ticker"),
        ('{"action":"unsubscribe","tickers":["AAPL"]}', "follows_all"),
    ],
)
def test_a_bad_message_is_answered_with_an_error_and_changes_nothing(message: str | bytes, code: str) -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            await client.send(message)
            error = await answer(client)
            assert (error["type"], error["code"]) == ("error", code)
            assert error["message"]
            assert await ask(client, "list") == {"type": "subscribed", "tickers": ["*"]}
            assert names(await prices(client)) == ["AAPL", "MSFT"]

    run(talk)


def test_a_message_that_is_too_large_ends_its_connection_alone() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as large, connect(feed.url) as other:
            await large.send("x" * (feed_connection.MESSAGE_LIMIT + 1))
            assert (await closing(large))[0] == 1009
            assert await prices(other)

    run(talk)


async def closing(client: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the connection is closed, and return why it was."""
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


def test_a_flood_of_garbage_ends_its_connection_alone() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as flood, connect(feed.url) as other:
            for _ in range(feed_connection.MESSAGES_PER_SECOND):
                await flood.send("garbage")
            errors = [await answer(flood) for _ in range(feed_connection.MESSAGES_PER_SECOND)]
            assert {error["code"] for error in errors} == {"bad_json"}
            await flood.send("garbage")
            assert (await answer(flood))["code"] == "too_many_messages"
            assert await closing(flood) == (1008, "more than 20 messages in a second")
            assert await prices(other)

    run(talk)


PING = b"\x89\x80\0\0\0\0"
FRAGMENT = b"\0\x80\0\0\0\0"
PONG = b"\x8a\0"


@pytest.mark.parametrize("frame", [PING, FRAGMENT, MASKED_PING])
def test_a_flood_of_frames_is_not_read_to_its_end(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_connection, "CLOSE_SECONDS", 0.3)

    async def talk(feed: Feed) -> None:
        reader, writer = await raw_client(feed.port)
        async with connect(feed.url) as other:
            writer.write(b"\x01\x80\0\0\0\0" * (frame == FRAGMENT) + frame * 50_000)
            answers = await reader.read()
            assert b"too_many_messages" in answers
            assert b"more than 20 messages in a second" in answers.rpartition(b"\x88")[2]
            # What was read at once before the limit was noticed, and no more, was answered.
            assert answers.count(PONG) <= feed_connection.PIECE_BYTES / len(PING)
            seqs = [(await prices(other))[0]["seq"] for _ in range(5)]
            assert seqs == list(range(seqs[0], seqs[0] + 5))
        writer.close()

    run(talk)


def test_a_clients_pings_count_as_its_messages_do() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            for _ in range(feed_connection.MESSAGES_PER_SECOND):
                await client.ping()
            assert await ask(client, "ping") == {
                "type": "error",
                "code": "too_many_messages",
                "message": "more than 20 messages in a second",
            }
            assert (await closing(client))[0] == 1008

    run(talk)


def test_a_flood_before_the_handshake_is_answered_is_not_read_to_its_end_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_connection, "CLOSE_SECONDS", 0.3)

    async def talk(feed: Feed) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", feed.port)
        writer.write(handshake(f"localhost:{feed.port}") + PING * 50_000)
        pongs = 0
        with suppress(ConnectionError):
            while answers := await reader.read(65_536):
                pongs += answers.count(PONG)
        assert pongs <= 2 * feed_connection.PIECE_BYTES / len(PING)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        async with connect(feed.url) as other:
            assert await prices(other)

    run(talk)


@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost.example.com", "null"])
def test_a_page_of_another_site_is_refused(origin: str) -> None:
    async def talk(feed: Feed) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(feed.url, origin=Origin(origin))
        assert refused.value.response.status_code == 403

    run(talk)


@pytest.mark.parametrize("origin", ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_a_page_of_this_machine_is_let_in(origin: str) -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url, origin=Origin(origin)) as client:
            assert await prices(client)

    run(talk)


@pytest.mark.parametrize(
    "host", ["example.com:{port}", "localhost:1", "localhost", "localhost:{port}\r\nHost: example.com"]
)
def test_a_request_for_another_host_is_refused(host: str) -> None:
    async def talk(feed: Feed) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", feed.port)
        writer.write(handshake(host.format(port=feed.port)))
        assert (await reader.read()).startswith(b"HTTP/1.1 421 ")
        writer.close()

    run(talk)


def test_as_many_messages_as_are_allowed_can_be_sent_in_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_connection, "MESSAGES_PER_SECOND", 2)

    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            for pause in (0, 1.05, 0):
                assert await ask(client, "ping") == {"type": "pong"}
                await asyncio.sleep(pause)
            assert await ask(client, "ping") == {"type": "pong"}

    run(talk)


def test_who_comes_back_gets_exactly_what_it_missed() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as witness:
            async with connect(feed.url) as client:
                last = (await prices(client))[0]["seq"]
            all_prices = [(await prices(witness))[0] for _ in range(6)]
            async with connect(feed.url) as client:
                assert await ask(client, "subscribe", "AAPL", since={"AAPL": last, "MSFT": 1}) == {
                    "type": "subscribed",
                    "tickers": ["AAPL"],
                }
                resumed = [await heard(client) for _ in range(8)]
        assert [[each["seq"] for each in array] for array in resumed] == [[last + 1 + n] for n in range(8)]
        known = {each["seq"]: each for each in all_prices}
        assert [array[0] for array in resumed if array[0]["seq"] in known] == [
            known[seq] for seq in sorted(known) if last < seq <= last + 8
        ]

    run(talk)


def test_what_is_missing_begins_after_the_last_number_that_was_received() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            await ask(client, "subscribe", "AAPL", since={"AAPL": 1})
            gap, only = await heard(client), await heard(client)
            assert gap == {"type": "gap", "ticker": "AAPL", "since": 1, "next": only[0]["seq"]}
            await ask(client, "subscribe", "AAPL", since={"AAPL": gap["next"] - 1})
            assert await heard(client) == only
            await ask(client, "subscribe", "AAPL", since={"AAPL": gap["next"]})
            await client.send('{"action":"ping"}')
            assert await heard(client) == {"type": "pong"}

    run(talk, Options(("AAPL", "MSFT"), 60, "seed"))


def test_what_is_no_longer_held_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_feed, "REPLAY_TICKS", 6)  # three rounds of two

    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client:
            first = (await prices(client))[0]["seq"]
            for _ in range(5):
                newest = (await prices(client))[0]["seq"]
            await ask(client, "subscribe", "*", since={"AAPL": first, "MSFT": newest - 1})
            gap = await heard(client)
            assert gap == {"type": "gap", "ticker": "AAPL", "since": first, "next": gap["next"]}
            arrays = [await heard(client) for _ in range(4)]
        seqs = {ticker: [e["seq"] for a in arrays for e in a if e["ticker"] == ticker] for ticker in ("AAPL", "MSFT")}
        assert seqs["AAPL"] == list(range(gap["next"], gap["next"] + 4))
        assert seqs["MSFT"] == list(range(newest, gap["next"] + 4))

    run(talk)


def test_a_number_of_another_run_is_a_gap_whether_it_is_ahead_or_behind() -> None:
    options = Options(("AAPL",), 0.01, "seed")

    async def talk() -> None:
        async with serving(options, 0) as feed, connect(feed.url) as client:
            for _ in range(3):
                before = (await prices(client))[0]["seq"]
        async with serving(options, 0) as feed, connect(feed.url, close_timeout=0.1) as client:
            for _ in range(12):  # by far more than the run before it had
                newest = (await prices(client))[0]["seq"]
            for number in (before, newest + 1_000):
                await ask(client, "subscribe", "AAPL", since={"AAPL": number})
                gap = await answer(client)
                assert (gap["type"], gap["since"]) == ("gap", number)
                assert (await prices(client))[0]["seq"] == gap["next"]

    asyncio.run(asyncio.wait_for(talk(), 10))


def test_a_client_that_does_not_read_is_dropped_and_nobody_else_notices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(price_feed, "WAITING_LIMIT", 80_000)
    monkeypatch.setattr(feed_connection, "CLOSE_SECONDS", 0.5)
    monkeypatch.setattr(feed_server, "SYSTEM_BUFFER", 4_096)
    tickers = tuple(f"T{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(100))

    async def talk(feed: Feed) -> None:
        reader, writer = await stalling_client(feed.port)
        async with connect(feed.url) as other:
            seqs = []
            while not caplog.records:
                seqs.append((await prices(other))[0]["seq"])
                writer.write(MASKED_PING)  # whose answers it does not read either
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert await ask(other, "ping") == {"type": "pong"}
        # It wakes up: all that waited for it is there, and why that is the end.
        assert b"too slow" in await reader.read()
        writer.close()

    run(talk, Options(tickers, INTERVAL, "seed"))
    assert [record.getMessage() for record in caplog.records] == [
        "A client was disconnected: it does not read the messages that it requested"
    ]


async def stalling_client(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a client that has connected, and reads no further until it is asked to."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.setblocking(False)  # noqa: FBT003 - as the loop wants it
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=1_024)
    writer.write(handshake(f"localhost:{port}"))
    assert b"101" in await reader.readline()
    return reader, writer


async def raw_client(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a client that is connected, and may send what no library would."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake(f"localhost:{port}"))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def handshake(host: str) -> bytes:
    return (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def test_a_client_that_never_reads_again_does_not_keep_the_feed_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_server, "SYSTEM_BUFFER", 4_096)
    monkeypatch.setattr(feed_connection, "CLOSE_SECONDS", 0.2)

    async def serve() -> None:
        async with serving(Options(interval=0.01), 0) as feed:
            _, writer = await stalling_client(feed.port)
            while True:
                await asyncio.sleep(INTERVAL)
                if any(each.transport.get_write_buffer_size() > 40_000 for each in feed._followed):  # noqa: SLF001
                    break
        writer.close()

    asyncio.run(asyncio.wait_for(serve(), 10))


def test_a_client_that_is_killed_in_the_middle_of_everything_is_forgotten() -> None:
    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as other:
            victims = [await connect(feed.url) for _ in range(20)]
            await prices(other)
            for victim in victims:
                victim.transport.abort()
            seqs = [(await prices(other))[0]["seq"] for _ in range(10)]
            assert seqs == list(range(seqs[0], seqs[0] + 10))
            while len(feed._followed) > 1:  # noqa: SLF001 - nothing else says who is remembered
                await prices(other)

    run(talk)


def test_something_that_is_no_websocket_client_is_no_trouble() -> None:
    async def talk(feed: Feed) -> None:
        for greeting in (b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G"):
            reader, writer = await asyncio.open_connection("127.0.0.1", feed.port)
            writer.write(greeting)
            writer.write_eof()
            await reader.read()
            writer.close()
        async with connect(feed.url) as client:
            assert await prices(client)

    run(talk)


def test_the_feed_says_goodbye() -> None:
    async def talk() -> None:
        async with serving(Options(interval=INTERVAL), 0) as feed:
            client = await connect(feed.url)
        assert await closing(client) == (1001, "the feed stops")

    asyncio.run(talk())


def test_a_failure_in_the_feed_ends_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("on purpose")

    async def talk(feed: Feed) -> None:
        async with connect(feed.url) as client, connect(feed.url) as other:
            await client.send('{"action":"ping"}')
            assert await closing(client) == (1011, "the feed failed")
            assert await prices(other)

    monkeypatch.setattr("trading.streaming.protocol.read_message", fail)
    with caplog.at_level(logging.ERROR):
        run(talk)
    assert "on purpose" in caplog.text


def test_a_faster_clock_runs_in_the_past_and_stops_hurrying_at_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2025, 6, 3, 12, tzinfo=UTC)

    class Watch(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # a datetime is all that is needed
            del tz
            return now

    monkeypatch.setattr(price_feed, "datetime", Watch)
    clock, opening = Clock(60.0), now - price_feed.LEAD
    assert clock.read() == opening
    assert clock.seconds_of(2) == 2 / 60
    now += timedelta(seconds=10)
    assert clock.read() == opening + timedelta(seconds=600)
    now += timedelta(days=1)
    assert clock.read() == now
    assert clock.seconds_of(2) == 2
    now -= timedelta(hours=1)  # as when a clock is set
    assert clock.read() > now + timedelta(hours=1)


def test_a_clock_of_ordinary_speed_shows_the_present() -> None:
    assert abs(Clock(1.0).read() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "65536"], "'--port': 65536 is not in the range"),
        (["--tickers", "AAPL,mock_a"], "'--tickers': 'mock_a' is not a valid ticker"),
        (["--tickers", ""], "'--tickers': '' is not a valid ticker"),
        (["--interval", "0"], "--interval: must be 0.01 seconds or more"),
        (["--interval", "nan"], "--interval: must be 0.01 seconds or more"),
        (["--interval", "1", "--speed", "200"], "--interval: must be 0.01 seconds or more"),
        (["--speed", "0.5"], "--speed: must be 1 or more"),
        (["--calm", "--volatile"], "--calm and --volatile exclude each other"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["feed", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_an_error_in_a_sentence(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    if address == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as taken:
        port = taken.getsockname()[1]
        assert main.main(["feed", "--port", str(port)]) == 1
    assert f"Port {port} is taken by another program. Choose another with --port." in capsys.readouterr().err


def test_as_a_program_it_can_say_where_it_is_in_json() -> None:
    command = [sys.executable, "-m", "local.cli", "feed", "--port", "0", "--seed", "7", "--tickers", "AAPL", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = json.loads(program.stdout.readline())
        program.terminate()
        assert program.stdout.read() == ""
    assert said.pop("url").startswith("ws://localhost:")
    assert said == {"tickers": ["AAPL"], "interval": 2.0, "seed": "7"}


def test_as_a_program_it_says_where_it_is_and_stops_at_ctrl_c() -> None:
    command = [sys.executable, "-m", "local.cli", "feed", "--port", "0", "--seed", "7", "--interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line.startswith("10 tickers every 0.1 s on ws://localhost:")
        assert line.endswith(", seed 7. Ctrl-C stops.\n")
        os.kill(program.pid, signal.SIGINT)
        assert program.stdout.read() == "Stopped.\n"
        assert program.wait(10) == 0
