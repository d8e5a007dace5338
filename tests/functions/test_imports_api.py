import itertools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.conftest import Answer, Call, Channels, Rows
from tests.trading.trades.imports.files import GENERIC, NAMES, options, rewritten, sample
from tests.trading.trades.imports.test_reading import OTHERS, TRADES
from trading.core import database, topics
from trading.core.database import DatabaseUnavailableError
from trading.notifications import events, outbox
from trading.trades.imports import importing, records, shortfalls
from trading.trades.imports.catalog import FORMATS

PATH = "/api/imports"
HEADER = "Date,Action,Symbol,Quantity,Price,Fees & Comm\n"
BUY, SELL = "03/04/2025,Buy,AAPL,10,230.50,0.65\n", "03/05/2025,Sell,AAPL,4,240,\n"
FILE = HEADER + SELL + BUY
COLUMNS = ",".join(f"{field}:{column}" for field, column in GENERIC.columns.items())
AS_GENERIC = {"format": "generic", "columns": COLUMNS, "date_format": GENERIC.date_format}

type Send = Callable[..., Answer]


@pytest.fixture
def send(call: Call) -> Send:
    """A function that sends a file to be imported."""

    def sent(file: str | bytes, **query: str) -> Answer:
        raw = file.encode() if isinstance(file, str) else file
        return call("POST", PATH, raw=raw, content_type="application/octet-stream", query=query)

    return sent


def counts(answer: Answer) -> tuple[int, ...]:
    """Return how many rows were recorded, were so before, were skipped and were rejected."""
    assert answer.status == 200, answer.body
    body = answer.body
    found = tuple(body[name] for name in records.OUTCOMES)
    assert body["rows_read"] == sum(found)
    return found


def told(trade: dict[str, Any]) -> str:
    parts = (trade["side"], trade["ticker"], trade["price"], trade["fee"], trade["currency"], trade["account"])
    return f"{datetime.fromisoformat(trade['timestamp']):%Y-%m-%d %H:%M:%S} {' '.join(parts)}"


# Recording


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_each_format_is_recorded_once_whoever_sends_it(
    call: Call, send: Send, channels: Channels, name: str
) -> None:
    query = AS_GENERIC if name == "generic" else {}
    answer = send(sample(name), **query)
    rejected = sum(" r " in each for each in OTHERS[name])
    assert counts(answer) == (len(TRADES[name]), 0, len(OTHERS[name]) - rejected, rejected)
    assert answer.body["format"] == name
    ledger = call("GET", "/api/trades").body[::-1]
    assert [told(trade) for trade in ledger] == [
        f"{at} {clock} {side} {ticker} {price} {fee} {rest}"
        for at, clock, side, _, ticker, price, fee, rest in (each.split(" ", 7) for each in TRADES[name])
    ]
    assert [trade["id"] for trade in ledger] == sorted(trade["id"] for trade in ledger)

    again = send(sample(name), **query)
    assert counts(again)[:2] == (0, len(TRADES[name]))
    assert all(row["reason"].startswith("is trade ") for row in again.body["rows"]["already_recorded"])
    by_another, _ = importing.run(sample(name), options(name), "desk-7")
    assert (by_another.recorded, by_another.already_recorded) == (0, len(TRADES[name]))
    assert len(call("GET", "/api/trades").body) == len(TRADES[name])
    assert [event["type"] for event in channels.announced()] == ["import.completed.v1"]


def test_a_file_that_overlaps_another_brings_its_new_trades_only(call: Call, send: Send) -> None:
    assert counts(send(HEADER + BUY)) == (1, 0, 0, 0)
    answer = send(FILE)
    assert counts(answer) == (1, 1, 0, 0)
    assert [row["line"] for row in answer.body["rows"]["recorded"]] == [2]
    assert len(call("GET", "/api/trades").body) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_each_file_tried_out_and_then_the_whole_is_the_whole(call: Call, send: Send, name: str) -> None:
    query = AS_GENERIC if name == "generic" else {}
    part = rewritten(name, lambda rows: rows[: -len(OTHERS[name]) - 1])
    before = send(part, **query).body["recorded"]
    tried = send(sample(name), dry_run="true", **query)
    assert tried.body["import_id"] is None
    assert len(call("GET", "/api/trades").body) == before
    assert len(call("GET", PATH).body) == 1
    answer = send(sample(name), **query)
    assert counts(answer)[:2] == (len(TRADES[name]) - before, before)
    assert without(answer.body) == without(tried.body)
    assert len(call("GET", "/api/trades").body) == len(TRADES[name])


def without(body: dict[str, Any]) -> Any:
    """Return a result without what only one that is recorded has."""
    text = json.dumps({**body, "import_id": None, "turns_short": []})
    return json.loads(text, object_hook=lambda value: {name: value[name] for name in value if name != "trade_id"})


def test_the_answer_has_each_row_with_its_line_and_trade(send: Send) -> None:
    answer = send(FILE)
    sell, buy = answer.body["rows"]["recorded"]
    assert (sell["line"], sell["outcome"], sell["reason"]) == (2, "recorded", None)
    assert buy["trade"] == {
        "account": "main",
        "ticker": "AAPL",
        "side": "BUY",
        "quantity": 10,
        "price": "230.50",
        "fee": "0.65",
        "currency": "USD",
        "timestamp": "2025-03-04T17:00:00Z",
    }
    assert buy["trade_id"] < sell["trade_id"]


def test_the_same_trade_with_another_fee_is_rejected(send: Send) -> None:
    trade_id = send(HEADER + BUY).body["rows"]["recorded"][0]["trade_id"]
    answer = send(HEADER + BUY.replace("0.65", "0.75"))
    assert counts(answer) == (0, 0, 0, 1)
    assert answer.body["rows"]["rejected"][0]["reason"] == f"differs from trade {trade_id}"


def test_trades_of_this_ledger_are_not_recorded_again_from_a_file_of_its_own(
    call: Call, send: Send, trade: dict[str, Any]
) -> None:
    first, voided = (call("POST", "/api/trades", trade).body["id"] for _ in range(2))
    call("POST", f"/api/trades/{voided}/void", {"reason": "Entered twice"})
    row = "MSFT,310.50,50,BUY,2025-06-03T12:00:00Z,{},main,0,USD\n"
    header = "ticker,price,quantity,side,timestamp,trade_id,account,fee,currency\n"
    file = (
        header
        + row.format(first)
        + row.format(voided)
        + row.format(99)
        + row.format(f"00{first}").replace("50,B", "51,B")
    )
    for options_, recorded in (({"dry_run": "true"}, 2), ({}, 2), ({}, 0)):
        answer = send(file, **options_)
        assert counts(answer) == (recorded, 4 - recorded, 0, 0)
    reasons = [each["reason"] for each in answer.body["rows"]["already_recorded"]]
    assert reasons[:2] == [f"is trade {first}", f"is trade {voided}, which is voided"]


def test_trades_of_another_account_are_others(send: Send) -> None:
    assert counts(send(FILE)) == (2, 0, 0, 0)
    assert counts(send(FILE, account="ira")) == (2, 0, 0, 0)


def test_a_file_may_be_sent_as_csv_text(call: Call) -> None:
    answer = call("POST", PATH, raw=b"\xef\xbb\xbf" + FILE.encode(), content_type="text/csv; charset=utf-8")
    assert counts(answer) == (2, 0, 0, 0)


def test_what_the_file_says_of_splits_and_isins_is_told(send: Send) -> None:
    answer = send(sample("schwab"), dry_run="true").body
    assert answer["splits"] == [{"line": 7, "ticker": "AVGO", "effective_at": "2025-01-15T17:00:00Z", "quantity": "9"}]
    assert send(sample("ibkr-flex"), dry_run="true").body["isins_without_ticker"] == ["CH0111762537"]
    assert counts(send(sample("ibkr-flex"), tickers="CH0111762537:ZGLD"))[3] == 0


def test_rounded_numbers_are_counted_and_listed(send: Send) -> None:
    answer = send(sample("ibkr-activity"))
    assert answer.body["adjusted"] == 2
    assert [row["reason"] for row in answer.body["rows"]["adjusted"]] == [
        "price 0.69375407 was rounded to 0.693754",
        "fee 28.377888689 was rounded to 28.377889",
    ]


# Trying it out


def test_a_dry_run_says_which_positions_would_be_short_and_offers_opening_lots(call: Call, send: Send) -> None:
    short = HEADER + "03/06/2025,Buy,AAPL,1,9,\n" + SELL + "03/04/2025,Buy,AAPL,1,10,\n"
    assert send(short, dry_run="true").body["turns_short"] == [
        {
            "account": "main",
            "ticker": "AAPL",
            "currency": "USD",
            "since": "2025-03-05T17:00:00Z",
            "quantity": "3",
            "before": "2025-03-04T17:00:00Z",
        }
    ]
    opening = {"ticker": "AAPL", "side": "BUY", "quantity": 3, "price": "9", "timestamp": "2025-03-04T16:59:59Z"}
    call("POST", "/api/trades", opening)
    assert send(short, dry_run="true").body["turns_short"] == []


def test_the_positions_of_a_long_file_are_looked_at_some_at_a_time(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortfalls, "_AT_ONCE", 2)
    sales = "".join(SELL.replace("AAPL", ticker) for ticker in ("MSFT", "AAPL", "MSFT", "MSFT", "TSLA"))
    short = send(HEADER + sales, dry_run="true").body["turns_short"]
    assert [(each["ticker"], each["quantity"]) for each in short] == [("AAPL", "4"), ("MSFT", "12"), ("TSLA", "4")]


def test_a_split_between_makes_of_few_shares_enough(call: Call, send: Send) -> None:
    file = HEADER + "03/10/2025,Sell,AAPL,30,9,\n" + BUY
    assert send(file, dry_run="true").body["turns_short"][0]["quantity"] == "20"
    call("POST", "/api/splits", {"ticker": "AAPL", "effective_at": "2025-03-08T00:00:00Z", "ratio": "2:1"})
    [short] = send(file, dry_run="true").body["turns_short"]
    assert (short["since"], short["quantity"]) == ("2025-03-10T16:00:00Z", "5")
    call("POST", "/api/splits", {"ticker": "AAPL", "effective_at": "2025-03-09T00:00:00Z", "ratio": "3:2"})
    assert send(file, dry_run="true").body["turns_short"] == []


# Comparing


def test_a_file_that_was_imported_agrees(send: Send) -> None:
    send(FILE)
    body = send(FILE, mode="compare").body
    assert [body[name] for name in ("agrees", "differs", "missing_here", "missing_there")] == [2, 0, 0, 0]


def test_trades_agree_that_were_recorded_otherwise_at_another_time_of_the_day(call: Call, send: Send) -> None:
    by_hand = {"ticker": "AAPL", "side": "BUY", "quantity": 10, "price": "230.5", "timestamp": "2025-03-04T15:00:00Z"}
    call("POST", "/api/trades", {**by_hand, "fee": "0.65"})
    assert send(HEADER + BUY, mode="compare").body["agrees"] == 1


def test_a_comparison_names_what_either_side_lacks_and_what_differs(call: Call, send: Send) -> None:
    other = {"ticker": "MSFT", "side": "BUY", "quantity": 1, "price": "400", "timestamp": "2025-03-04T15:00:00Z"}
    only_here = call("POST", "/api/trades", other).body["id"]
    differing = {"ticker": "AAPL", "side": "SELL", "quantity": 5, "price": "240", "timestamp": "2025-03-05T15:00:00Z"}
    known = call("POST", "/api/trades", differing).body["id"]
    call("POST", "/api/trades", {**other, "timestamp": "2025-03-07T15:00:00Z"})  # after the file's days
    call("POST", "/api/trades", {**other, "account": "ira"})
    answer = send(f"{FILE}03/04/2025,Dividend,AAPL,,,\n", mode="compare").body
    trades = answer.pop("trades")
    assert answer == {
        "format": "schwab",
        "rows_read": 3,
        "skipped": 1,
        "rejected": 0,
        "agrees": 0,
        "differs": 1,
        "missing_here": 1,
        "missing_there": 1,
    }
    [differs], [missing_here], [missing_there] = trades["differs"], trades["missing_here"], trades["missing_there"]
    assert (differs["line"], differs["trade_id"], differs["fields"]) == (2, known, ["quantity"])
    assert (differs["trade"]["quantity"], differs["recorded"]["quantity"]) == (4, 5)
    assert (missing_here["line"], missing_here["trade"]["ticker"]) == (3, "AAPL")
    assert (missing_there["trade_id"], missing_there["trade"]["ticker"]) == (only_here, "MSFT")
    assert call("GET", PATH).body == []


# Taking it back


def test_an_import_is_taken_back_as_a_whole_and_announced_once(
    call: Call, send: Send, channels: Channels, rows: Rows
) -> None:
    import_id = send(FILE).body["import_id"]
    channels.announced()
    answer = call("POST", f"{PATH}/{import_id}/void", {"reason": "Wrong account"})
    assert answer.status == 200
    assert (answer.body["recorded"], answer.body["voided_by"], answer.body["void_reason"]) == (
        2,
        "local",
        "Wrong account",
    )
    assert call("GET", "/api/trades").body == []
    assert {trade["status"] for trade in call("GET", "/api/trades", query={"status": "all"}).body} == {"voided"}
    [event] = channels.announced()
    assert (event["type"], event["data"]) == ("import.voided.v1", answer.body)
    assert call("POST", f"{PATH}/{import_id}/void", {"reason": "Again"}).body == answer.body
    assert channels.announced() == []
    assert rows("select count(*) from trade_changes") == [(2,)]


def test_what_was_taken_back_is_not_recorded_again(call: Call, send: Send) -> None:
    call("POST", f"{PATH}/{send(FILE).body['import_id']}/void", {"reason": "Wrong account"})
    answer = send(FILE)
    assert counts(answer) == (0, 2, 0, 0)
    assert answer.body["rows"]["already_recorded"][0]["reason"].endswith(", which is voided")


def test_a_trade_that_was_voided_before_stays_as_it_is(call: Call, send: Send) -> None:
    answer = send(FILE).body
    trade_id = answer["rows"]["recorded"][0]["trade_id"]
    call("POST", f"/api/trades/{trade_id}/void", {"reason": "Entered twice"})
    assert call("POST", f"{PATH}/{answer['import_id']}/void", {"reason": "All of it"}).status == 200
    assert call("GET", f"/api/trades/{trade_id}").body["void_reason"] == "Entered twice"


def test_an_import_that_there_is_not_is_not_found(call: Call) -> None:
    assert call("POST", f"{PATH}/7/void", {"reason": "x"}).status == 404
    assert call("GET", f"{PATH}/7/rows").status == 404


# Finding


def test_all_rows_of_an_import_are_found_in_pages(call: Call, send: Send) -> None:
    import_id = send(sample("schwab")).body["import_id"]
    found, path, query = [], f"{PATH}/{import_id}/rows", "limit=4"
    for _ in range(3):
        page = call("GET", path, query=query)
        found += page.body
        query = page.headers.get("link", "<?>").split("?")[1].split(">")[0]
    assert [row["line"] for row in found] == list(range(3, 12))
    rejected = call("GET", path, query={"outcome": "rejected"}).body
    assert [(row["line"], row["trade"]) for row in rejected] == [(10, None)]
    assert call("GET", path, query={"cursor": "x"}).names() == ["cursor"]


def test_imports_are_listed_the_newest_first(call: Call, send: Send) -> None:
    first, second = send(FILE).body["import_id"], send(FILE, account="ira").body["import_id"]
    assert [(each["id"], each["account"], each["recorded"]) for each in call("GET", PATH).body] == [
        (second, "ira", 2),
        (first, "main", 2),
    ]


def test_the_formats_are_listed_with_their_sources(call: Call) -> None:
    listed = call("GET", f"{PATH}/formats").body
    assert [each["name"] for each in listed] == list(FORMATS)
    assert listed[0]["sources"][0]["repository"] == "dickwolff/Export-To-Ghostfolio"


# Refusals


def test_a_parameter_that_means_nothing_is_named(send: Send) -> None:
    for query in (
        {"format": "etrade"},
        {"timezone": "Mars/Olympus"},
        {"account": "!"},
        {"currency": "dollars"},
        {"mode": "guess"},
        {"dry_run": "perhaps"},
        {"columns": "price:Price"},
        {"colour": "red"},
    ):
        answer = send(FILE, **query)
        assert (answer.status, answer.names()) == (400, list(query))


def test_an_unknown_file_is_told_what_was_seen_and_what_to_do(send: Send) -> None:
    for data in (b"When,What\n1,2\n", b"", b"PK\x03\x04\x00\x00", b"\xff\xfe", b"%PDF-1.7\n%\xe2\xe3"):
        answer = send(data)
        assert (answer.status, answer.names()) == (400, ["body"])
        assert "format=generic&columns=" in answer.body["detail"]


def test_a_file_that_is_too_large_is_refused(call: Call) -> None:
    assert call("POST", PATH, raw=b"x" * 4_000_001, content_type="application/octet-stream").status == 413


# Cut short


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of nine trades, of which two at a time are recorded."""
    monkeypatch.setattr(records, "BATCH", 2)
    return HEADER + "".join(f"03/{day:02}/2025,Buy,AAPL,{day},230.50,\n" for day in range(11, 20))


def test_what_takes_too_long_goes_on_with_the_same_file(
    call: Call, send: Send, channels: Channels, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(records, "IMPORT_SECONDS", -1)
        answer = send(many)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "same file again" in answer.body["detail"]
    assert channels.announced() == []
    answer = send(many)
    assert counts(answer) == (9, 0, 0, 0)
    assert answer.body["import_id"] == 1
    assert len(channels.announced()) == 1
    assert len(call("GET", PATH).body) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_at_any_transaction_the_same_file_completes_it(
    call: Call, send: Send, many: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    run = database.run

    def sent_and_cut(account: str, place: int) -> bool:
        """Send the file, cut at one of its transactions, and return whether it has so many."""
        begun = itertools.count()

        def cut(*arguments: Any, **more: Any) -> Any:
            is_here = next(begun) == place
            if is_here and when == "before":
                raise DatabaseUnavailableError("gone before it began")
            answer = run(*arguments, **more)
            if is_here:
                raise DatabaseUnavailableError("gone after the commit")
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(database, "run", cut)
            return send(many, account=account).status == 503

    for place in itertools.count():
        account = f"cut-{place}"
        if not sent_and_cut(account, place):
            break
        assert sum(counts(send(many, account=account))) == 9
        ledger = call("GET", "/api/trades", query={"account": account}).body
        assert [trade["quantity"] for trade in ledger] == list(range(19, 10, -1))
        imports = [each for each in call("GET", PATH).body if each["account"] == account and each["recorded"]]
        assert [(each["recorded"], bool(each["completed_at"])) for each in imports] == [(9, True)]
    assert place > 8  # it begins, looks what is done, records five times, completes, and finds its rows


def test_an_import_that_is_voided_meanwhile_ends(send: Send, many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record = records._record  # noqa: SLF001

    def voiding(*arguments: Any, **more: Any) -> None:
        record(*arguments, **more)
        monkeypatch.setattr(records, "_record", voided)

    def voided(*arguments: Any, **more: Any) -> None:
        arguments[0].execute("update imports set voided_at = now(), voided_by = 'x', void_reason = 'x'")
        record(*arguments, **more)

    monkeypatch.setattr(records, "_record", voiding)
    answer = send(many)
    assert (answer.status, answer.body["detail"]) == (409, "Import 1 is voided.")


# Notifications


def test_the_sweeper_announces_what_the_queue_has_lost(call: Call, send: Send, channels: Channels, rows: Rows) -> None:
    import_id = send(FILE).body["import_id"]
    call("POST", f"{PATH}/{import_id}/void", {"reason": "Wrong account"})
    first = channels.announced()
    assert outbox.sweep(5).announced == 0
    rows("update notifications set next_attempt_at = now() returning id")
    assert outbox.sweep(5).announced == 2
    assert sorted(event["id"] for event in channels.announced()) == sorted(event["id"] for event in first)
    assert rows("select attempts, next_attempt_at > now() + interval '1 minute' from notifications") == [(1, True)] * 2


def test_an_event_of_an_import_is_delivered_in_words_and_as_it_is(send: Send, channels: Channels) -> None:
    send(FILE)
    [told_event] = channels.announced()
    event = events.read(json.dumps(told_event))
    assert outbox.deliver(event)
    assert not outbox.deliver(event)
    assert "IMPORTED 2 trades into main" in topics.prose(event)
    assert "Of 2 rows, 0 were recorded before, 0 were skipped and 0 rejected." in topics.prose(event)
    [published] = channels.published()
    assert published["Subject"] == "IMPORTED 2 trades into main"


def test_the_sweeper_of_the_commit_before_never_takes_an_import(send: Send, rows: Rows) -> None:
    send(FILE)
    assert rows("select count(*) from notifications where due_at < 'infinity'") == [(0,)]
