import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve

from local.cli import alerter as price_alerter
from local.cli import backoff, main
from local.cli.alerter import Alerter, RefusedError
from local.cli.display import JsonLines, Lines, LiveTable, headline
from local.cli.feed import Options
from local.cli.feed_server import serving
from local.cli.publisher import Publisher
from trading.prices.alert_rules import Alert, AlertRule
from trading.prices.ticks import Tick, frame
from trading.streaming.protocol import alerted

START = datetime(2025, 6, 3, 12, 0, 3, tzinfo=UTC)
RISE = [(0, "98.00"), (20, "99.00"), (41, "100.10")]
HEADLINE = "ALERT AAPL +2.14 % in 41 s: 98.00 at 12:00:03 → 100.10 at 12:00:44"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(price_alerter, "CLOSE_SECONDS", 0.1)


def arrays(ticker: str = "AAPL", prices: Iterable[tuple[int, str]] = RISE) -> list[str]:
    return [frame([Tick(ticker, Decimal(price), START + timedelta(seconds=second))]) for second, price in prices]


def counted(seq: int, second: int, price: str = "98.00") -> str:
    stamp = (START + timedelta(seconds=second)).isoformat()
    return f'[{{"ticker":"AAPL","price":{price},"timestamp":"{stamp}","seq":{seq}}}]'


class Server:
    """A feed that sends each client what is next in its script, and keeps what clients say."""

    def __init__(self, *script: Sequence[str] | Sequence[str | bytes], ends: bool = True) -> None:
        self.port = 0
        self.said: list[Any] = []
        self._script = [list(messages) for messages in script]
        self._ends = ends

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def attend(self, connection: ServerConnection) -> None:
        messages = self._script.pop(0) if self._script else []
        listening = asyncio.create_task(self._listen(connection))
        for message in messages:
            await connection.send(message)
        await asyncio.sleep(0.02)
        if not self._script and not (self._ends and messages):
            await connection.wait_closed()
        listening.cancel()

    async def _listen(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.said.append(json.loads(message))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with serve(self.attend, "127.0.0.1", self.port) as server:
            self.port = port_of(server)
            yield


def port_of(server: WebSocketServer) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def address(server: WebSocketServer) -> str:
    return f"ws://127.0.0.1:{port_of(server)}"


class Log(list[str]):
    """Lines that are written, and can be waited for."""

    async def has(self, text: str) -> None:
        async with asyncio.timeout(5):
            while not any(text in line for line in self):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.005)

    def alerts(self) -> list[str]:
        return [line for line in self if line.startswith("ALERT")]


@asynccontextmanager
async def following(url: str, log: Log, **options: Any) -> AsyncIterator[Alerter]:
    alerter = Alerter(url, Lines(log.append), **options)
    running = asyncio.create_task(alerter.run())
    try:
        yield alerter
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def watch(server: Server, until: str, **options: Any) -> tuple[Log, str]:
    """Follow a server until a line has some text; return all lines and the summary."""

    async def follow() -> tuple[Log, str]:
        log = Log()
        async with server.running(), following(server.url, log, **options) as alerter:
            await log.has(until)
            return log, alerter.summary()

    return asyncio.run(follow())


def test_a_rise_is_told_in_this_very_line() -> None:
    log, summary = watch(Server(arrays(), ends=False), "ALERT")
    assert log[1:] == ["12:00:03  AAPL 98.00", "12:00:23  AAPL 99.00", "12:00:44  AAPL 100.10", HEADLINE]
    assert summary.endswith("tickers 1, prices 3, alerts 1.")


def test_the_originals_server_is_understood() -> None:
    stamps = ["2025-06-03T12:00:03.123456", "2025-06-03T12:00:05.123456"]
    rows = [
        json.dumps(
            [{"ticker": "MOCKSTOCK_A", "price": price, "timestamp": stamp}, {"ticker": "MOCKSTOCK_B", "price": 7}]
        )
        for price, stamp in zip([100.0, 102.5], stamps, strict=True)
    ]
    server = Server(rows, ends=False)
    log, _ = watch(server, "ALERT")
    assert log.alerts() == ["ALERT MOCKSTOCK_A +2.50 % in 2 s: 100.0 at 12:00:03 → 102.5 at 12:00:05"]
    assert server.said == []  # it may not listen


def test_only_the_tickers_that_are_wanted_are_asked_for_and_shown() -> None:
    both = [text[:-1] + "," + other[1:] for text, other in zip(arrays(), arrays("MSFT"), strict=True)]
    server = Server(both, ends=False)
    log, _ = watch(server, "ALERT", tickers=["msft"])
    assert server.said == [{"action": "subscribe", "tickers": ["MSFT"]}]
    assert "AAPL" not in "".join(log)


def test_after_a_lost_connection_it_goes_on_where_it_was() -> None:
    subscribed = '{"type":"subscribed","tickers":["*"]}'
    # What the feed sends before it has read the request is sent again after its answer.
    server = Server(
        [counted(17, 0)], [counted(20, 41, "100.10"), subscribed, counted(18, 1), counted(19, 2)], ends=False
    )
    log, _ = watch(server, "12:00:05")
    assert server.said == [{"action": "subscribe", "tickers": ["*"], "since": {"AAPL": 17}}]
    assert [line[:8] for line in log if line.startswith("12:")] == ["12:00:03", "12:00:04", "12:00:05"]
    assert any(re.search(r"No prices from ws://127.0.0.1:\d+ \(it closed the connection: 1000\)", line) for line in log)


def test_a_feed_that_does_not_answer_where_it_goes_on_is_heard_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_alerter, "RESUME_SECONDS", 0.0)
    watch(Server([counted(17, 0)], [counted(18, 1)], ends=False), "12:00:04")


def test_a_feed_that_refuses_the_request_is_heard_all_the_same() -> None:
    error = '{"type":"error","code":"unknown_ticker","message":"there is no ZZZ here\\u001b[2J"}'
    server = Server([counted(17, 0)], [error, counted(18, 1)], ends=False)
    log, _ = watch(server, "12:00:04")
    assert "The feed says unknown_ticker: there is no ZZZ here\\x1b[2J." in log


def test_prices_that_the_feed_no_longer_has_are_said_to_be_lost() -> None:
    gaps = [json.dumps({"type": "gap", "ticker": ticker, "since": 1, "next": 5}) for ticker in ("AAPL", "MSFT")]
    log, _ = watch(Server([*gaps, *arrays()], ends=False), "ALERT")
    assert log[1] == "Some prices are lost, the feed no longer has them: AAPL, MSFT."


def test_a_server_that_stops_and_restarts_is_found_again() -> None:
    async def follow() -> tuple[Log, list[str]]:
        log, server = Log(), Server(arrays(prices=RISE[:1]), arrays(prices=RISE[1:]), ends=False)
        async with server.running():
            pass
        async with following(server.url, log):
            await log.has("Next try")
            async with server.running():
                await log.has("12:00:03")
            await log.has("1001")
            async with server.running():
                await log.has("ALERT")
        return log, log.alerts()

    log, alerts = asyncio.run(follow())
    assert alerts == [HEADLINE]  # the minute before the restart counts
    assert "Connect call failed" in log[0]


def test_the_real_feed_is_resumed_after_a_restart_with_a_word_on_the_gap() -> None:
    async def follow() -> Log:
        log, options = Log(), Options(("AAPL", "MSFT"), 0.03, "seed")
        async with serving(options, 0) as feed:
            port = feed.port
            async with following(f"ws://127.0.0.1:{port}", log):
                await log.has("MSFT")
                for connection in list(feed._followed):  # noqa: SLF001 - a network that fails cannot be ordered
                    connection.transport.abort()
                await asyncio.sleep(0.1)
                log.clear()
                await log.has("MSFT")
                assert not any("lost, the feed" in line for line in log)
                await feed.stop()
        async with following(f"ws://127.0.0.1:{port}", log) as alerter:
            alerter._seqs = {"AAPL": 1, "MSFT": 1}  # noqa: SLF001 - those of a run before
            async with serving(options, port):
                await log.has("lost, the feed")
                log.clear()
                await log.has("MSFT")
        return log

    asyncio.run(follow())


def test_garbage_is_said_once_counted_and_survived() -> None:
    garbage: list[str | bytes] = [
        "garbage\u001b[2J",
        b"\xff",
        "{}",
        '[{"ticker":"AAPL"}]',
        "7",
        '{"type":"alert","ticker":7}',
    ]
    log, summary = watch(Server([*garbage, *arrays()], ends=False), "ALERT")
    assert [line for line in log if "nreadable" in line] == [
        "An unreadable message, not JSON: Expecting value: line 1 column 1 (char 0). Others are only counted."
    ]
    assert summary.endswith("unreadable messages 6.")


def test_a_feed_that_is_silent_is_said_to_be_and_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_alerter, "SILENCE_SECONDS", 0.3)

    async def follow() -> Log:
        async def attend(connection: ServerConnection) -> None:
            await connection.send(arrays()[0])
            await asyncio.sleep(0.6)
            for text in arrays()[1:]:
                await connection.send(text)
            await connection.wait_closed()

        log = Log()
        async with serve(attend, "127.0.0.1", 0) as server, following(address(server), log):
            await log.has("ALERT")
        return log

    log = asyncio.run(follow())
    assert log[2:5] == ["The feed is silent: no prices for 0 s.", "12:00:23  AAPL 99.00", "Prices again, after 1 s."]
    assert log[-1] == HEADLINE


def test_a_server_that_closes_at_once_is_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = 0

    async def follow() -> None:
        async def attend(_: ServerConnection) -> None:
            nonlocal connections
            connections += 1

        async with serve(attend, "127.0.0.1", 0) as server, following(address(server), Log()):
            await asyncio.sleep(0.35)

    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.05)
    asyncio.run(follow())
    assert 1 <= connections <= 5


@pytest.mark.parametrize(("status", "is_final"), [(403, True), (401, True), (429, False), (502, False)])
def test_a_refusal_is_final_unless_it_may_pass(status: int, is_final: bool) -> None:  # noqa: FBT001 - a parameter
    async def follow() -> Log:
        def refuse(connection: ServerConnection, _: object) -> Any:
            return connection.respond(HTTPStatus(status), "no")

        async def attend(_: ServerConnection) -> None:
            raise AssertionError

        log = Log()
        async with serve(attend, "127.0.0.1", 0, process_request=refuse) as server:
            alerter = Alerter(f"{address(server)}/?ticket=secret", Lines(log.append))
            with pytest.raises(RefusedError if is_final else TimeoutError):
                await asyncio.wait_for(alerter.run(), 0.2)
        return log

    log = asyncio.run(follow())
    assert "secret" not in "".join(log)
    assert any(f"(HTTP {status})" in line for line in log) is not is_final


def test_a_trading_systems_own_address_is_followed_with_a_ticket_and_a_fresh_token_for_each_connection() -> None:
    async def follow() -> tuple[Log, list[str], list[str]]:
        paths, tokens = list[str](), list[str]()
        fresh = iter(["first", "second"])

        async def issue(request: web.Request) -> web.Response:
            tokens.append(request.headers["Authorization"])
            return web.json_response({"url": f"{server.url}?ticket={len(paths)}"}, status=201)

        async def attend(connection: ServerConnection) -> None:
            assert connection.request
            paths.append(connection.request.path)
            await server.attend(connection)

        log, server = Log(), Server(arrays()[:1], arrays()[1:], ends=False)
        app = web.Application()
        app.router.add_post("/api/prices/ticket/", issue)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with serve(attend, "127.0.0.1", 0) as sockets:
            server.port = port_of(sockets)
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with following(url, log, token=lambda: next(fresh)):
                await log.has("ALERT")
        await runner.cleanup()
        return log, paths, tokens

    log, paths, tokens = asyncio.run(follow())
    assert tokens == ["Bearer first", "Bearer second"]
    assert paths == ["/?ticket=0", "/?ticket=1"]
    assert log.alerts() == [HEADLINE]
    assert "ticket" not in "".join(log)


def test_a_price_of_tomorrow_is_said_once_and_left_out_and_the_ticker_still_alerts() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    future = frame([Tick("AAPL", Decimal(100), tomorrow)])
    log, summary = watch(Server([future, *arrays()[:2], future, *arrays()[2:]], ends=False), "ALERT")
    assert [line for line in log if "ahead" in line] == [
        f"Prices dated ahead of this machine's clock, up to {tomorrow:%Y-%m-%d %H:%M:%S} UTC, are left out: AAPL."
    ]
    assert log.alerts() == [HEADLINE]
    assert summary.endswith("prices 3, alerts 1, prices ahead of the clock 2.")


def test_a_feed_that_begins_anew_is_followed_and_its_alerts_are_shown_again() -> None:
    recording = arrays(prices=[(0, "98.00"), (20, "99.00"), (41, "100.10"), (50, "100.10")])
    log, _ = watch(Server([*recording, *recording, *arrays("MSFT")], ends=False), "ALERT MSFT")
    assert log.alerts() == [HEADLINE, HEADLINE, HEADLINE.replace("AAPL", "MSFT")]
    said = "The feed restarted at an earlier time: AAPL."
    assert [line for line in log if line == HEADLINE or "restarted" in line] == [HEADLINE, said, HEADLINE]


def test_tickers_of_which_no_price_comes_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_alerter, "SILENCE_SECONDS", 0.1)

    async def follow() -> Log:
        async def attend(connection: ServerConnection) -> None:
            for _ in range(20):
                await connection.send(arrays()[0])
                await asyncio.sleep(0.02)
            await connection.send(arrays()[1])
            await connection.wait_closed()

        log = Log()
        async with serve(attend, "127.0.0.1", 0) as server, following(address(server), log, tickers=["zzz", "AAPL"]):
            await log.has("99.00")
        return log

    log = asyncio.run(follow())
    assert [line for line in log if "ZZZ" in line] == ["No price of ZZZ in 0 s. Does the feed have such a ticker?"]


def test_a_silent_feed_is_asked_for_its_tickers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_alerter, "SILENCE_SECONDS", 0.05)
    subscribed = '{"type":"subscribed","tickers":["ZZZ"]}'
    log, _ = watch(Server([subscribed], ends=False), "such a ticker", tickers=["ZZZ"])
    assert log[1] == "The feed is silent: no prices for 0 s."


def test_an_alert_of_the_servers_is_shown_and_ours_of_the_same_tick_is_not_shown_again() -> None:
    low, high = Decimal("98.00"), Decimal("100.10")
    alert = Alert("1", "AAPL", high, START + timedelta(seconds=41), low, START, Decimal("2.14"))
    other = Alert("2", "MSFT", high, START + timedelta(seconds=41), low, START, Decimal("2.14"))
    log, _ = watch(Server([alerted(alert), *arrays(), alerted(alert), alerted(other)], ends=False), "ALERT MSFT")
    assert log.alerts() == [HEADLINE, HEADLINE.replace("AAPL", "MSFT")]


def test_two_rules_that_one_price_met_are_shown_each() -> None:
    low, high = Decimal("98.00"), Decimal("100.10")
    rise = Alert("1", "MSFT", high, START + timedelta(seconds=41), low, START, Decimal("2.14"))
    above = Alert("2", "MSFT", high, rise.timestamp, rule=AlertRule(2, "MSFT", "above", price=Decimal(100)))
    log, _ = watch(Server([alerted(rise), alerted(above), alerted(rise)], ends=False), "above 100")
    assert len(log.alerts()) == 2


def test_what_is_counted_is_published_once() -> None:
    class Recorder(Publisher):
        def __init__(self) -> None:
            self.offered: list[str] = []

        def offer(self, ticks: Iterable[Tick]) -> None:
            self.offered += [f"{tick.price}" for tick in ticks]

        def summary(self) -> str:
            return "published 3"

    publisher = Recorder()
    _, summary = watch(
        Server([*arrays(), *arrays()[2:]], arrays(prices=[(42, "98")]), ends=False), "45  AAPL 98", publisher=publisher
    )
    assert publisher.offered == ["98.00", "99.00", "100.10", "98"]
    assert summary.endswith(". To the trading system: published 3.")


def test_json_lines_are_what_a_socket_says() -> None:
    lines: list[str] = []
    display = JsonLines(lines.append)
    tick = Tick("AAPL", Decimal("100.10"), START)
    alert = Alert("1", "AAPL", tick.price, START, Decimal("98.00"), START, Decimal("2.14"))
    display.prices([tick])
    display.alert(alert)
    display.say("Connected.")
    assert lines[0] == '[{"ticker":"AAPL","price":100.10,"timestamp":"2025-06-03T12:00:03Z"}]'
    assert lines[1] == alerted(alert)
    assert json.loads(lines[2]) == {"type": "status", "message": "Connected."}


def test_the_table_has_the_latest_price_of_each_ticker_and_alerts_stand_above_it() -> None:
    console = Console(force_terminal=True, width=80, record=True, no_color=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with LiveTable(console) as table:
        table.prices([Tick("AAPL", Decimal("98.00"), START), Tick("MSFT", Decimal("1421.80"), START)])
        table.prices([Tick("AAPL", Decimal("100.10"), START + timedelta(seconds=41))])
        table.alert(
            Alert(
                "1", "AAPL", Decimal("100.10"), START + timedelta(seconds=41), Decimal("98.00"), START, Decimal("2.14")
            )
        )
    console.file.close()
    lines = [line.split() for line in console.export_text().splitlines()]
    assert HEADLINE.split() in lines
    assert lines[-3:-1] == [
        ["AAPL", "100.10", "+2.14", "%", "12:00:44"],
        ["MSFT", "1,421.80", "+0.00", "%", "12:00:03"],
    ]


def test_a_headline_has_plain_digits() -> None:
    alert = Alert("1", "A", Decimal("1E+2"), START, Decimal(98), START, Decimal("2.04"))
    assert headline(alert) == "ALERT A +2.04 % in 0 s: 98 at 12:00:03 → 100 at 12:00:03"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:8000", "localhost:8765", "ws://", "http://"])
def test_an_address_that_is_none_is_refused_in_a_sentence(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["watch", "--url", url]) == 2
    assert "is not the address of a feed, such as ws://localhost:8765" in " ".join(capsys.readouterr().err.split())


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "local.cli", "watch", *arguments]


def test_as_a_program_it_leaves_at_ctrl_c_with_a_summary() -> None:
    async def follow() -> tuple[int | None, str]:
        server = Server(arrays(), ends=False)
        async with server.running():
            watching = await asyncio.create_subprocess_exec(*program("--url", server.url), stdout=subprocess.PIPE)
            assert watching.stdout is not None
            async with asyncio.timeout(10):
                lines = [await watching.stdout.readline() for _ in range(5)]
                watching.send_signal(signal.SIGINT)
                rest, _ = await watching.communicate()
            return watching.returncode, b"".join([*lines, rest]).decode()

    code, out = asyncio.run(follow())
    assert code == 0
    assert out.splitlines()[4] == HEADLINE
    assert re.fullmatch(r"\d s: tickers 1, prices 3, alerts 1\.", out.splitlines()[-1])


def test_on_a_terminal_it_shows_a_table() -> None:
    async def follow() -> tuple[int, str]:
        server = Server(arrays(), ends=False)
        leader, follower = pty.openpty()
        async with server.running():
            watching = await asyncio.create_subprocess_exec(
                *program("--url", server.url), stdout=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "90"}
            )
            os.close(follower)
            shown = ""
            async with asyncio.timeout(10):
                while "ALERT" not in shown:
                    shown += (await asyncio.to_thread(os.read, leader, 4_096)).decode()
                watching.send_signal(signal.SIGINT)
                await watching.wait()
            with suppress(OSError):
                shown += os.read(leader, 65_536).decode()
            os.close(leader)
            return watching.returncode or 0, shown

    code, shown = asyncio.run(follow())
    assert code == 0
    assert HEADLINE in shown
    assert "since the start" in shown


def test_a_server_that_has_forgotten_the_connection_is_connected_to_anew() -> None:
    forgotten = '{"type": "error", "code": "not_connected", "message": "connect again"}'
    log, _ = watch(Server([forgotten], arrays()), HEADLINE, tickers=["AAPL"])
    assert any("no longer knows this connection" in line for line in log)


def test_more_numbers_than_a_message_holds_are_left_away_and_the_feed_goes_on_from_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_alerter, "SINCE_LIMIT", 10)
    server = Server([counted(1, 0)], arrays(), ends=True)
    watch(server, HEADLINE)
    assert [message for message in server.said if "since" in message] == []
