"""Positions: a page of positions in a small and a large ledger, and a ticker with a million trades."""

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks import services
from benchmarks.measure import PEERS, Figure, Handler, megabytes, say, take_turns
from benchmarks.trades import FLOOR, SMALL, TRADE, _statement
from local.host.postgres import Postgres

PAGE = "benchmarks.handlers.positions_page.handler"
LOOP = "benchmarks.peers.decimal_fifo.handler"
PANDAS = "benchmarks.peers.pandas_fifo.handler"

TICKERS = 1_000
PAGE_SIZE = 100
BUSY, BUSY_TRADES = "BUSY", 1_000_000
MILLISECONDS = 50

# A year of trades of a thousand tickers in time order, recorded immediately: aperiodic buys and sells of up to 500
# shares, every other with a fee. And one ticker with a million trades.
_LOAD = """
insert into trades (ticker, price, quantity, side, timestamp, recorded_by, recorded_at, fee)
select
    ticker,
    (100 + n %% 9973 * 0.01)::numeric(18, 2),
    1 + n::bigint * 7919 %% 500,
    case when n::bigint * 2654435761 %% 1009 < 510 then 'BUY' else 'SELL' end,
    at,
    'local',
    at,
    n %% 2 * 0.35
from (
    select 'T' || chr(65 + n %% 1000 / 100) || chr(65 + n %% 100 / 10) || chr(65 + n %% 10) as ticker, n / 1000 as n,
        timestamptz '2025-01-01 00:00Z' + n * (interval '365 days' / %(rows)s) as at
    from generate_series(1, %(rows)s) as n
    union all
    select %(busy)s, n, timestamptz '2025-01-01 00:00Z' + n * (interval '365 days' / %(busy_trades)s)
    from generate_series(1, %(busy_trades)s) as n
) as trade
"""


def figures(rows: int) -> Iterator[Figure]:
    """Measure positions; the large ledger has `rows` trades of a thousand tickers, and a busy ticker."""
    with services.postgres() as server:
        small = _loaded(server, "positions_small", SMALL, 1)
        large = _loaded(server, "positions_large", rows, BUSY_TRADES)
        yield from _pages(small, large, rows)
        yield from _busy_ticker(large)
        yield from _posts(server)


def _loaded(server: Postgres, name: str, rows: int, busy_trades: int) -> str:
    say(f"  loading {rows + busy_trades:,} trades")
    return services.loaded(server, name, _LOAD, rows=rows, busy=BUSY, busy_trades=busy_trades)


def _pages(small: str, large: str, rows: int) -> Iterator[Figure]:
    say("  pages")
    # From the second page on, so that the busy ticker is on none of them.
    wanted = {"limit": PAGE_SIZE, "account": "main", "after": ["main", "TAA", "USD"]}
    with (
        Handler(PAGE, services.environment(small)) as of_small,
        Handler(PAGE, services.environment(large)) as of_large,
    ):
        [first] = of_large.call(wanted, 1, 200)
        of_small.call(wanted, 1, 200)
        yield Figure(f"Page of {PAGE_SIZE} for the first time, {rows // TICKERS:,} trades each", f"{first:.2f} s")
        for method in ("fifo", "average"):
            event = {**wanted, "method": method}
            of_large.call(event, 1, 200)
            rounds = take_turns(
                21,
                large=partial(of_large.call, event, 5, 200),
                small=partial(of_small.call, event, 5, 200),
            )
            name = f"Page of {PAGE_SIZE} at {rows:,} trades, against {SMALL:,} ({method})"
            yield rounds.at_most(name, 1.5, "large", "small")
            yield _at_most_milliseconds("- in itself", median(rounds.seconds["large"]))


def _busy_ticker(large: str) -> Iterator[Figure]:
    say(f"  a ticker of {BUSY_TRADES:,} trades")
    event = {"limit": 1, "ticker": BUSY}
    environment = services.environment(large)

    def from_scratch() -> list[float]:
        with services.cursor_of(large) as cursor:
            cursor.execute("truncate position_checkpoints")
        return ours.call(event, 1, 200)

    with (
        Handler(PAGE, environment) as ours,
        Handler(LOOP, environment) as loop,
        Handler(PANDAS, environment, PEERS) as pandas,
        services.cursor_of(large) as cursor,
    ):
        for each in (ours, loop, pandas):
            each.call(event, 1, 200)
        rounds = take_turns(
            5,
            ours=from_scratch,
            loop=partial(loop.call, event, 1, 200),
            pandas=partial(pandas.call, event, 1, 200),
        )
        seconds, peak = median(rounds.seconds["ours"]), ours.peak_bytes()
        yield Figure(f"{BUSY_TRADES:,} trades from scratch", f"{seconds:.2f} s", "<= 3 s", seconds <= 3)
        yield Figure("- peak memory", megabytes(peak), "<= 200 MB", peak <= 200e6)
        yield rounds.times_as_fast("- against a loop in Decimal", None, "ours", "loop")
        yield rounds.times_as_fast("- against pandas in floats", None, "ours", "pandas")
        yield Figure(
            "- memory of the loop and of pandas", f"{megabytes(loop.peak_bytes())}, {megabytes(pandas.peak_bytes())}"
        )

        after_one_more = []
        for _ in range(20):
            cursor.execute(
                "insert into trades (ticker, price, quantity, side, timestamp, recorded_by)"
                " values (%s, 110, 7, 'SELL', now(), 'local')",
                (BUSY,),
            )
            after_one_more += ours.call(event, 1, 200)
        yield _at_most_milliseconds("- after one more trade", median(after_one_more))


def _posts(server: Postgres) -> Iterator[Figure]:
    say("  a trade with and without the indexes of positions")
    whole = services.environment(services.new_database(server, "positions_whole"))
    bare = services.environment(services.new_database(server, "positions_bare"))
    with services.cursor_of(bare["DATABASE_URL"]) as cursor:
        cursor.execute("drop index trades_by_position, trades_recorded_late")
    statement = _statement([TRADE])
    with Handler(FLOOR, whole) as with_them, Handler(FLOOR, bare) as without:
        rounds = take_turns(
            21,
            whole=partial(with_them.call, statement, 200, 201),
            bare=partial(without.call, statement, 200, 201),
        )
    yield rounds.at_most("A trade's statement, against one without the indexes of positions", 1.1, "whole", "bare")


def _at_most_milliseconds(name: str, seconds: float) -> Figure:
    taken = 1_000 * seconds
    return Figure(name, f"{taken:.1f} ms", f"<= {MILLISECONDS} ms", taken <= MILLISECONDS)
