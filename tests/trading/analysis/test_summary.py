import csv
import gzip
import io
import itertools
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.analysis import csv_files
from trading.analysis import summary as trade_summary
from trading.analysis.csv_files import BadHeaderError, CutShortError, Reject
from trading.analysis.summary import Summary, TickerSummary
from trading.core.values import format_decimal

HEADER = "ticker,price,quantity,side,timestamp\n"
SAMPLE = (
    HEADER
    + """AAPL,170.50,100,BUY,2024-05-15T10:00:00Z
GOOG,2795.00,20,BUY,2024-05-15T10:01:00Z
MSFT,305.20,75,SELL,2024-05-15T10:02:00Z
AAPL,170.80,50,SELL,2024-05-15T10:03:00Z
GOOG,2800.75,10,SELL,2024-05-15T10:04:00Z
AAPL,171.00,30,BUY,2024-05-15T10:05:00Z
"""
)


def summarize(text: str | bytes, chunk: int = 1 << 20) -> tuple[Summary, list[Reject]]:
    data = text if isinstance(text, bytes) else text.encode()
    rejects: list[Reject] = []
    summary = trade_summary.summarize((data[i : i + chunk] for i in range(0, len(data), chunk)), rejects.extend)
    return summary, rejects


def only(text: str | bytes) -> TickerSummary:
    summary, rejects = summarize(text)
    assert rejects == []
    [ticker] = summary.tickers
    return ticker


# An oracle: the same rules, line by line, in plain Python.


@dataclass
class Tally:
    trades: list[tuple[datetime, int, Decimal, Decimal, str]] = field(default_factory=list)


def oracle(data: bytes) -> tuple[dict[tuple[str, str | None], Tally], list[tuple[int, str]]]:
    tallies: dict[tuple[str, str | None], Tally] = {}
    rejects = []
    names = [name.strip().lower() for name in data.split(b"\n", 1)[0].decode("utf-8-sig").strip().split(",")]
    for number, raw in enumerate(data.split(b"\n")[1:], start=2):
        line = raw.removesuffix(b"\r")
        if not line:
            continue
        reason = None
        try:
            fields = fields_of(line.decode())
            if set("\0\r\x1e\x1f\N{REPLACEMENT CHARACTER}") & set(line.decode()):
                reason = "not UTF-8 text, or too long"
        except UnicodeDecodeError:
            reason = "not UTF-8 text, or too long"
        if reason is None:
            reason = reason_against(fields, names)
        if reason:
            rejects.append((number, reason))
            continue
        row = dict(zip(names, fields or [], strict=True))
        trade = (instant(row["timestamp"]), number, Decimal(row["price"]), Decimal(row["quantity"]), row["side"])
        tallies.setdefault((row["ticker"], row.get("currency")), Tally()).trades.append(trade)
    return tallies, rejects


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("z", "Z"))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def fields_of(line: str) -> list[str] | None:
    """Return the fields of a line, or nothing where a quote is astray."""
    fields, rest = [], line
    while True:
        if rest.startswith('"'):
            match = re.match(r'"((?:[^"]|"")*)"(,|$)', rest, re.DOTALL)
            if not match:
                return None
            fields.append(match[1].replace('""', '"'))
        else:
            match = re.match(r'([^",]*)(,|\Z)', rest, re.DOTALL)
            if not match:
                return None
            fields.append(match[1])
        rest = rest[match.end() :]
        if match[2] != ",":
            return fields


def reason_against(fields: list[str] | None, names: list[str]) -> str | None:  # noqa: PLR0911 - one for each reason
    if fields is None:
        return "stray quote"
    if len(fields) != len(names):
        return "missing field" if len(fields) < len(names) else "too many fields"
    row = dict(zip(names, fields, strict=True))
    if not re.fullmatch(r"[A-Z]{1,5}([.-][A-Z]{1,4})?", row["ticker"]):
        return "bad ticker"
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", row["price"], re.ASCII):
        return "bad price"
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,10})?", row["quantity"], re.ASCII):
        return "bad quantity"
    if row["side"] not in {"BUY", "SELL"}:
        return "bad side"
    pattern = (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
        r"([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])?"
    )
    try:
        instant(row["timestamp"])
    except (ValueError, OverflowError):
        return "bad timestamp"
    if not re.fullmatch(pattern, row["timestamp"], re.ASCII):
        return "bad timestamp"
    return None if re.fullmatch("[A-Z]{3}", row.get("currency", "USD")) else "bad currency"


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def agree(data: bytes, chunk: int = 1 << 20) -> None:
    summary, rejects = summarize(data, chunk)
    tallies, expected_rejects = oracle(data)
    assert [(reject.line, reject.reason) for reject in rejects] == expected_rejects
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    for reject in rejects:
        if reject.reason != "not UTF-8 text, or too long":
            assert reject.row.encode() == lines[reject.line - 1]
    assert [(each.ticker, each.currency) for each in summary.tickers] == sorted(tallies)
    for each in summary.tickers:
        trades = tallies[each.ticker, each.currency].trades
        volume = sum(quantity for _, _, _, quantity, _ in trades)
        notional = sum((price * quantity for _, _, price, quantity, _ in trades), Decimal(0))
        prices = [price for _, _, price, _, _ in trades]
        assert each.trade_count == len(trades)
        assert each.total_volume == volume
        assert each.notional == notional
        assert each.average_price == (rounded(notional / volume) if volume else 0)
        assert each.mean_price == rounded(sum(prices, Decimal(0)) / len(prices))
        assert (each.high, each.low) == (max(prices), min(prices))
        assert each.open == min(trades)[2]
        assert each.close == max(trades)[2]
        assert each.buy_volume == sum(quantity for *_, quantity, side in trades if side == "BUY")
        assert each.sell_volume == sum(quantity for *_, quantity, side in trades if side == "SELL")
    assert summary.rows_read == len(expected_rejects) + sum(len(tally.trades) for tally in tallies.values())
    assert summary.rows_rejected == len(expected_rejects)


good_lines = st.builds(
    "{},{}.{:02d},{},{},2024-05-15T10:{:02d}:{:02d}Z".format,
    st.sampled_from(["AAPL", "GOOG", "BRK.B", "T", "SPYL.DE", "BTC-USD"]),
    st.integers(0, 10**5),
    st.integers(0, 99),
    st.one_of(st.integers(0, 10**6).map(str), st.sampled_from(["0.5", "1.63453043", "999999999.9999999999"])),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(0, 59),
    st.integers(0, 59),
)
pieces = st.sampled_from(
    ["AAPL", '"AAPL"', "aapl", "", "1", "-1", "1e3", "0.0000001", "1234567890123", " 1", '"1"', '"1', '1"', '"a""b"',
     "BUY", "HOLD", "2024-05-15T10:00:00Z", "2024-05-15 10:00:00", "2024-05-15T10:00:00.5+02:00",
     "2024-02-30T10:00:00Z", "2024-05-15", "\0", "é", "x\ry", "USD", "EUR", '"CHF"', "usd", "0.0000000001"]
)  # fmt: skip
odd_lines = st.lists(pieces, max_size=7).map(",".join)


# A file costs much more than a line of it: so a few files of many lines.
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(good_lines, good_lines, odd_lines), min_size=10, max_size=60),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n"]),
)
def test_it_agrees_with_plain_python_on_clean_and_dirty_files(lines: list[str], newline: str, end: str) -> None:
    agree((newline.join([HEADER.strip(), *lines]) + end).encode())


currency_lines = st.builds("{},{}".format, good_lines, st.sampled_from(["USD", "EUR", '"EUR"', "eur", "", "EURO"]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(currency_lines, currency_lines, good_lines, odd_lines), min_size=10, max_size=60))
def test_it_agrees_on_files_with_currencies(lines: list[str]) -> None:
    agree("\n".join([f"{HEADER.strip()},currency", *lines]).encode())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(good_lines, good_lines, good_lines, odd_lines), min_size=1, max_size=60),
    st.integers(1, 200),
)
def test_it_agrees_wherever_the_stream_and_its_blocks_are_cut(lines: list[str], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "BLOCK_BYTES", 100)
        agree((HEADER + "\n".join(lines)).encode(), chunk)


spelled_lines = st.builds(
    "{},{},{},{},{}".format,
    st.sampled_from(["AAPL", "BRK.B", "BTC-USDT"]),
    st.sampled_from(["170.50", "0.00", "170.5", "99999.999999"]),
    st.sampled_from(["100", "0", "0.5", "99999.9999999999"]),
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(
        ["2024-05-15T10:00:00Z", "2024-05-15T10:00:00.123456Z", "2024-05-15 10:00:00.5", "1969-12-31T23:59:59+00:00"]
    ),
)

years = st.one_of(st.integers(1890, 2110), st.sampled_from([0, 1, 1600, 1700, 9999])).map("{:04d}".format)
two_digits = st.one_of(st.integers(0, 12), st.integers(20, 31), st.sampled_from([58, 59, 60])).map("{:02d}".format)
timestamps = st.builds(
    "{}-{}-{}{}{}:{}{}{}".format,
    years,
    two_digits,
    two_digits,
    st.sampled_from("T T t_"),
    two_digits,
    two_digits,
    st.one_of(st.sampled_from(["", ":00", ":59", ":60", ":5", ":00."]), st.from_regex(r"\A:0[0-9]\.[0-9]{1,9}\Z")),
    st.one_of(st.sampled_from(["", "Z", "z", "+00", "Z0"]), st.from_regex(r"\A[+-][012][0-9]:?[0-6][0-9]\Z")),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(timestamps, min_size=40, max_size=200))
def test_each_spelling_of_an_instant_is_read_as_the_contract_says(texts: list[str]) -> None:
    agree((HEADER + "".join(f"T,{number},1,BUY,{text}\n" for number, text in enumerate(texts))).encode())


@st.composite
def changed_lines(draw: st.DrawFn) -> str:
    line, at, width = draw(spelled_lines), draw(st.integers(0, 60)), draw(st.integers(0, 1))
    return line[:at] + draw(st.sampled_from("0159.,-+ :TZ_eE\"a'Bé")) + line[at + width :]


@settings(max_examples=15, deadline=None)
@given(st.lists(changed_lines(), min_size=5, max_size=30))
def test_one_character_more_or_another_is_judged_alike_by_whoever_reads_the_line(lines: list[str]) -> None:
    agree((SAMPLE + "\n".join(lines)).encode())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30).filter(lambda b: b"\n" not in b), good_lines.map(str.encode)),
        min_size=5,
        max_size=40,
    )
)
def test_any_bytes_cost_their_own_line_alone(lines: list[bytes]) -> None:
    agree(HEADER.encode() + b"\n".join(lines))


# The contract, by example


class InterruptedThreads(ThreadPoolExecutor):
    """Threads of which the first to be given work is interrupted right after that."""

    def submit(self, *arguments: Any, **named: Any) -> Any:
        super().submit(*arguments, **named)
        raise KeyboardInterrupt


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "name", "interrupted"),
    [(Path, "open", interrupt), (trade_summary, "ThreadPoolExecutor", InterruptedThreads)],
)
def test_ctrl_c_before_the_pipes_are_open_ends_what_waits_for_them(
    owner: object, name: str, interrupted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_interrupted() -> None:
        with suppress(KeyboardInterrupt):
            summarize(SAMPLE)

    monkeypatch.setattr(owner, name, interrupted)
    thread = threading.Thread(target=be_interrupted, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_the_sample_of_the_original_has_its_numbers() -> None:
    summary, rejects = summarize(SAMPLE)
    assert rejects == []
    assert [
        (t.ticker, format_decimal(t.total_volume), str(t.average_price), str(t.mean_price), format_decimal(t.notional))
        for t in summary.tickers
    ] == [
        ("AAPL", "180", "170.666667", "170.766667", "30720"),
        ("GOOG", "30", "2796.916667", "2797.875000", "83907.5"),
        ("MSFT", "75", "305.200000", "305.200000", "22890"),
    ]


def test_a_sum_that_floats_get_wrong_is_exact() -> None:
    assert 0.1 * 3 + 0.2 * 3 != 0.9
    lines = "T,0.1,3,BUY,2024-05-15T10:00:00Z\nT,0.2,3,BUY,2024-05-15T10:00:01Z\n"
    assert only(HEADER + lines).notional == Decimal("0.9")


def test_zero_volume_has_the_average_zero() -> None:
    assert only(HEADER + "T,5,0,BUY,2024-05-15T10:00:00Z\n").average_price == 0


def test_of_equal_timestamps_the_first_line_opens_and_the_last_closes() -> None:
    lines = "".join(f"T,{price},1,BUY,2024-05-15T10:00:00Z\n" for price in (3, 1, 2))
    ticker = only(HEADER + lines)
    assert (ticker.open, ticker.close) == (Decimal(3), Decimal(2))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SAMPLE,
        SAMPLE.replace("\n", "\r\n"),
        SAMPLE.rstrip("\n"),
        SAMPLE.upper(),
        re.sub(r"[^,\n]+", r'"\g<0>"', SAMPLE),
        SAMPLE.replace("\n", ',"a, ""note"""\n').replace(',"a, ""note"""', ",note", 1),
        SAMPLE + "\n\n",
        SAMPLE.replace("\n", "\n\n"),
    ],
)
def test_spellings_of_the_same_file_come_to_the_same(text: str) -> None:
    summary, rejects = summarize(text)
    assert rejects == []
    assert [(t.ticker, t.notional, t.open, t.close) for t in summary.tickers] == [
        (t.ticker, t.notional, t.open, t.close) for t in summarize(SAMPLE)[0].tickers
    ]


def test_columns_may_stand_in_another_order_among_others() -> None:
    rows = list(csv.DictReader(io.StringIO(SAMPLE)))
    shuffled = io.StringIO()
    writer = csv.DictWriter(shuffled, ["note", "timestamp", "side", "price", "ticker", "quantity"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "note": "x"} for row in rows)
    assert summarize(shuffled.getvalue()) == summarize(SAMPLE)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ('no"te', "stray quote"),
        ("\ufffd", "not UTF-8 text, or too long"),
        ("a,b", "too many fields"),
        (None, "missing field"),
    ],
)
def test_a_column_that_is_not_needed_is_no_place_to_hide_in(note: str | None, reason: str) -> None:
    lines = [f"{line},note" for line in SAMPLE.splitlines()]
    lines[3] = SAMPLE.splitlines()[3] + ("" if note is None else f",{note}")
    summary, rejects = summarize("\n".join(lines))
    assert [(reject.line, reject.reason, reject.row) for reject in rejects] == [(4, reason, lines[3])]
    assert summary.rows_read == 6


def test_of_equal_timestamps_in_different_blocks_too_the_first_line_opens_and_the_last_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 50)  # each line is a block
    lines = "".join(f"T,{price},1,BUY,2024-05-15T10:00:00{zone}\nx\n" for price, zone in ((3, "Z"), (1, ""), (2, "z")))
    summary, rejects = summarize(HEADER + lines, chunk=20)
    assert [(ticker.open, ticker.close) for ticker in summary.tickers] == [(Decimal(3), Decimal(2))]
    assert [reject.line for reject in rejects] == [3, 5, 7]


NINE = "ticker,price,quantity,side,timestamp,trade_id,account,fee,currency"


def test_a_ticker_with_several_currencies_has_a_summary_for_each() -> None:
    lines = "".join(
        f"{ticker},1.50,{quantity},BUY,2024-05-15T10:00:00Z,1,main,0,{currency}\n"
        for ticker, quantity, currency in (
            ("T", 1, "USD"),
            ("T", 2, "EUR"),
            ("A", 3, "USD"),
            ("T", 4, "USD"),
            ("T", 8, "eur"),
        )
    )
    summary, rejects = summarize(f"{NINE}\n{lines}")
    assert summary.has_currency
    assert [(each.ticker, each.currency, format_decimal(each.total_volume)) for each in summary.tickers] == [
        ("A", "USD", "3"), ("T", "EUR", "2"), ("T", "USD", "5")
    ]  # fmt: skip
    assert [(reject.line, reject.reason) for reject in rejects] == [(6, "bad currency")]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (HEADER.strip(), "AAPL,170.50,100,BUY,2024-05-15T10:00:00Z"),
        (HEADER.strip(), "BTC-USD,170.5,1.6345304300,SELL,2024-02-29 10:00:00.123456+05:30"),
        (HEADER.strip(), '"SPYL.DE","170","0","BUY","2000-02-29T23:59:59"'),
        (NINE, "AAPL,170.50,100,BUY,2024-05-15T10:00:00Z,1,my account,0.35,USD"),
        (f"note,{HEADER.strip()}", '"é, ""so""",AAPL,170.50,100,BUY,2024-05-15T10:00:00Z'),
    ],
)
def test_trades_in_their_usual_spelling_are_not_looked_at_one_by_one(
    header: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(csv_files._Lines, "_usual_spelling")  # noqa: SLF001 - what is slow is not to be reached
    for end in ("\n", "\r\n"):
        assert only(f"{header}{end}{line}{end}" + f"{line}{end}").trade_count == 2


def test_gzip_is_unpacked_in_several_members_too() -> None:
    assert summarize(gzip.compress(SAMPLE.encode())) == summarize(SAMPLE)
    half = SAMPLE.index("MSFT")
    parts = gzip.compress(SAMPLE[:half].encode()) + gzip.compress(SAMPLE[half:].encode())
    assert summarize(parts, chunk=7) == summarize(SAMPLE)


def test_gzip_that_is_cut_short_is_an_error_and_no_result() -> None:
    with pytest.raises(CutShortError):
        summarize(gzip.compress(SAMPLE.encode())[:-10])


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", HEADER, HEADER.strip()])
def test_an_empty_file_and_a_header_alone_come_to_nothing(text: str) -> None:
    assert summarize(text) == (Summary([], 0, 0), [])


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("ticker,price,quantity,side", "timestamp"),
        ("a;b", "ticker, price"),
        (HEADER.strip() + ",Price", "price"),
        (HEADER.strip() + ",currency,Currency", "currency"),
        ("", "ticker, price"),
        (HEADER.strip() + ",note" * 1_000, "1005 columns"),
    ],
)
def test_a_header_that_lacks_or_repeats_a_column_is_an_error_that_names_it(header: str, named: str) -> None:
    with pytest.raises(BadHeaderError, match=named):
        summarize(header + "\n" + SAMPLE)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("T,abc,1,BUY,2024-05-15T10:00:00Z", "bad price"),
        ("T,-1,1,BUY,2024-05-15T10:00:00Z", "bad price"),
        ("T,-1.00,1,BUY,2024-05-15T10:00:00Z", "bad price"),
        ("T,1,-1,BUY,2024-05-15T10:00:00Z", "bad quantity"),
        ("T,0.1234567,1,BUY,2024-05-15T10:00:00Z", "bad price"),
        ("T,1,1000000000,BUY,2024-05-15T10:00:00Z", "bad quantity"),
        ("T,1,0.12345678901,BUY,2024-05-15T10:00:00Z", "bad quantity"),
        ("T,1,1,HOLD,2024-05-15T10:00:00Z", "bad side"),
        ("t,1,1,BUY,2024-05-15T10:00:00Z", "bad ticker"),
        ("T,1,1,BUY,2024-02-30T10:00:00Z", "bad timestamp"),
        ("T,1,1,BUY,2024-05-15T24:00:00Z", "bad timestamp"),
        ("T,1,1,BUY,2024-05-15T10:00:0.Z", "bad timestamp"),
        ("T,1,1,BUY,-999-05-15T10:00:00Z", "bad timestamp"),
        ("T,1,1,BUY,2024-05-15T 0:00:00Z", "bad timestamp"),
        ("T,1,1,BUY,2024-05-15T10:00:00+99:99", "bad timestamp"),
        ("T,1,1,BUY,2024-05-15T10:00:00+10:60", "bad timestamp"),
        ("T,1,1,BUY,1900-02-29T10:00:00Z", "bad timestamp"),
        ("T,1,1,BUY,0001-01-01T00:00:00+00:01", "bad timestamp"),
        ("BRK.TOOBIG,1,1,BUY,2024-05-15T10:00:00Z", "bad ticker"),
        ("\ufeffT,1,1,BUY,2024-05-15T10:00:00Z", "bad ticker"),
        ("T,1,1,BUY", "missing field"),
        (',"1",1,BUY,2024-05-15T10:00:00Z', "bad ticker"),
        (',"",,,', "bad ticker"),
        ("T,1,000,1,BUY,2024-05-15T10:00:00Z", "too many fields"),
        ("T,1,1,BUY,2024-05-15T10:00:00Z,,,", "too many fields"),
        ('T,1,1,BUY,"2024-05-15T10:00:00Z', "stray quote"),
        ('T,1,1,B"UY,2024-05-15T10:00:00Z', "stray quote"),
        ("T,1,1,BUY," + "x" * 100_000, "not UTF-8 text, or too long"),
    ],
)
def test_a_bad_line_is_rejected_once_with_its_number_and_its_neighbours_count(line: str, reason: str) -> None:
    lines = SAMPLE.splitlines()
    summary, rejects = summarize("\n".join([*lines[:3], line, *lines[3:]]))
    assert [(reject.line, reject.reason) for reject in rejects] == [(4, reason)]
    assert line.startswith(rejects[0].row.rstrip("\N{REPLACEMENT CHARACTER}"))
    assert (summary.rows_read, summary.rows_rejected) == (7, 1)


def test_a_line_that_never_ends_costs_no_memory_and_no_neighbour() -> None:
    def chunks() -> Iterable[bytes]:
        yield SAMPLE.encode()
        for _ in range(40):
            yield b"x" * (1 << 20)
        yield b"\n" + SAMPLE.split("\n", 1)[1].encode()

    rejects: list[Reject] = []
    summary = trade_summary.summarize(chunks(), rejects.extend)
    assert [reject.line for reject in rejects] == [8]
    assert len(rejects[0].row) < 2_000
    assert summary.rows_read == 13


def test_the_largest_trades_are_summed_exactly_however_many_they_are() -> None:
    price, quantity, count = Decimal("999999999999.999999"), Decimal("999999999.9999999999"), 10_000_000
    line = f"T,{price},{quantity},BUY,2024-05-15T10:00:00Z\n".encode()
    chunks = itertools.chain([HEADER.encode()], itertools.repeat(line * 10_000, count // 10_000))
    [ticker] = trade_summary.summarize(chunks, lambda rejects: pytest.fail(f"{rejects}")).tickers
    with localcontext(prec=80):
        assert ticker.notional == price * quantity * count
        assert ticker.total_volume == ticker.buy_volume == quantity * count
    assert (ticker.trade_count, ticker.average_price, ticker.mean_price) == (count, price, price)


def test_a_statement_that_fails_before_it_reads_is_an_error_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = set(threading.enumerate())
    monkeypatch.setattr(trade_summary, "_TYPES", {"price": "VARCHAR[]"})
    for text in (SAMPLE, SAMPLE * 10_000):
        with pytest.raises(duckdb.BinderException):
            summarize(text)
    assert set(threading.enumerate()) <= others


@pytest.mark.parametrize(
    ("line", "reason"), [("\ufeffT,1,1,BUY,2024-05-15T10:00:00Z", "bad ticker"), ("\ufeff", "missing field")]
)
def test_a_byte_order_mark_on_the_first_line_of_data_is_not_swallowed(line: str, reason: str) -> None:
    assert summarize(HEADER + line + "\n")[1] == [Reject(2, reason, line)]


def test_a_file_of_bad_lines_alone_is_rejected_in_bounded_pieces() -> None:
    counts: list[int] = []
    text = (HEADER + "x\n" * 200_000).encode()
    summary = trade_summary.summarize([text], lambda rejects: counts.append(len(rejects)))
    assert (summary.rows_read, summary.rows_rejected) == (200_000, 200_000)
    assert max(counts) <= csv_files.BLOCK_BYTES / len("x\n")


def test_a_well_packed_file_is_unpacked_in_pieces() -> None:
    unpacked = (HEADER + "T,1,1,BUY,2024-05-15T10:00:00Z\n" * 600_000).encode()
    chunks = list(csv_files._unpacked([gzip.compress(unpacked)]))  # noqa: SLF001 - what one reads is not to be seen outside
    assert max(map(len, chunks)) <= csv_files.BLOCK_BYTES
    assert b"".join(chunks) == unpacked


@pytest.mark.parametrize("data", [b"\x1f\x8bnonsense", gzip.compress(SAMPLE.encode()) + b"garbage"])
def test_damaged_gzip_is_an_error_and_no_result(data: bytes) -> None:
    with pytest.raises(CutShortError):
        summarize(data)


def test_a_header_with_a_lone_carriage_return_is_an_error_of_the_header() -> None:
    with pytest.raises(BadHeaderError):
        summarize(SAMPLE.replace("\n", "\r"))


def test_open_and_close_do_not_depend_on_where_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    ticker = only(HEADER + "T,1,1,BUY,2024-05-15T10:00:00\nT,2,1,BUY,2024-05-15T11:00:00Z\n")
    assert (ticker.open, ticker.close) == (Decimal(1), Decimal(2))


def test_more_tickers_than_any_market_has_are_an_error_and_not_the_end_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trade_summary, "TICKER_LIMIT", 2)
    with pytest.raises(trade_summary.TooManyTickersError, match="more than 2 tickers"):
        summarize(SAMPLE)


def test_tickers_that_fill_the_memory_are_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_summary, "MEMORY_LIMIT", "40MB")
    monkeypatch.setattr(trade_summary, "BUFFER_BYTES", 1024 * 1024)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tickers = map("".join, itertools.product("AB", letters, letters, letters, "ABCD"))
    text = HEADER + "".join(f"{ticker},1.50,2,BUY,2024-05-15T10:00:00Z\n" for ticker in tickers)
    with pytest.raises(trade_summary.TooManyTickersError, match="more than 50,000 tickers"):
        summarize(text)
