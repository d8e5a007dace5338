"""Comparing a broker's file with the ledger: which trades both have, and which only one of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from trading.core import database
from trading.core.errors import FieldError, InvalidError
from trading.trades.imports import reading
from trading.trades.imports.options import Options
from trading.trades.imports.records import RowTrade
from trading.trades.imports.rows import FileTrade

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

FIRST = 100  # of each list that an answer has
LEDGER_LIMIT = 200_000  # trades of the days of a file: more take longer than a request may


@dataclass(frozen=True, slots=True)
class ComparedTrade:
    """A trade of the file, of the ledger, or of both, and in what they differ.

    `line` is None where the file has no such trade, `trade_id` where the ledger has none. `trade` is the file's if it
    has one, and `recorded` the ledger's where the two differ.
    """

    line: int | None
    trade_id: int | None
    trade: RowTrade
    recorded: RowTrade | None
    fields: list[str]


@dataclass(frozen=True, slots=True)
class ComparedTrades:
    """The first trades of each kind."""

    agrees: list[ComparedTrade]
    differs: list[ComparedTrade]
    missing_here: list[ComparedTrade]
    missing_there: list[ComparedTrade]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a file and the ledger agree about the days from the file's first trade to its last.

    `missing_here` are trades that the ledger lacks, `missing_there` those that the file lacks.
    """

    format: str
    rows_read: int
    skipped: int
    rejected: int
    agrees: int
    differs: int
    missing_here: int
    missing_there: int
    trades: ComparedTrades


@dataclass(frozen=True, slots=True)
class _Recorded:
    id: int
    key: bytes | None
    trade: RowTrade


def compare(data: bytes, options: Options) -> Comparison:
    """Compare a file's trades with those of the ledger, of the same accounts and days, that are not voided.

    Trades are the same if they have the same key; else those of the same day, ticker, side, quantity and price, of
    whatever time of day and however recorded; else those of the same day, ticker and side, which then differ.

    Raises:
        InvalidError: the file is of no known format, or its days have too many trades.
        database.DatabaseUnavailableError: the database does not answer.
    """
    file = reading.read(data, options)
    zone = file.zone
    ledger = _recorded(file.trades, zone)
    pairs, here, there = _paired(file.trades, ledger, zone)
    pairs.sort(key=lambda pair: pair[0].line)
    agrees = [pair for pair in pairs if not _differences(*pair, zone)]
    differs = [pair for pair in pairs if _differences(*pair, zone)]
    outcomes = Counter(each.outcome for each in file.left_out)
    return Comparison(
        file.format,
        file.rows_read,
        outcomes["skipped"],
        outcomes["rejected"],
        len(agrees),
        len(differs),
        len(here),
        len(there),
        ComparedTrades(
            [ComparedTrade(trade.line, known.id, RowTrade.of(trade), None, []) for trade, known in agrees[:FIRST]],
            [
                ComparedTrade(trade.line, known.id, RowTrade.of(trade), known.trade, _differences(trade, known, zone))
                for trade, known in differs[:FIRST]
            ],
            [ComparedTrade(trade.line, None, RowTrade.of(trade), None, []) for trade in here[:FIRST]],
            [ComparedTrade(None, known.id, known.trade, None, []) for known in there[:FIRST]],
        ),
    )


_RECORDED = """
select id, import_key, account, ticker, side, quantity, price, fee, currency, timestamp
from trades
where account = any(%(accounts)s) and timestamp >= %(since)s and timestamp < %(until)s
    and not exists (select from trade_changes where trade_id = trades.id)
order by timestamp, id
limit %(limit)s
"""


def _recorded(trades: Sequence[FileTrade], zone: ZoneInfo) -> list[_Recorded]:
    """Return the ledger's trades of the file's accounts and days."""
    if not trades:
        return []
    first, last = trades[0].timestamp.astimezone(zone), trades[-1].timestamp.astimezone(zone)
    wanted = {
        "accounts": sorted({trade.account for trade in trades}),
        "since": first.replace(hour=0, minute=0, second=0, microsecond=0),
        "until": _midnight_after(last),
        "limit": LEDGER_LIMIT + 1,
    }

    def select(cursor: "Cursor") -> list[_Recorded]:
        cursor.execute(_RECORDED, wanted)
        # One by one, with one text for equal names, so that a long ledger takes little memory.
        return [
            _Recorded(id_, key and bytes(key), RowTrade(intern(account), intern(ticker), *rest))
            for id_, key, account, ticker, *rest in cursor
        ]

    ledger = database.run(select, repeatable=True)
    if len(ledger) > LEDGER_LIMIT:
        message = f"the ledger has more than {LEDGER_LIMIT:,} trades of the file's days: compare fewer days at once"
        raise InvalidError(FieldError("body", message))
    return ledger


def _midnight_after(instant: datetime) -> datetime:
    day = instant.date().toordinal() + 1
    return datetime.combine(instant.fromordinal(day), datetime.min.time(), instant.tzinfo)


def _paired(
    trades: Iterable[FileTrade], ledger: Iterable[_Recorded], zone: ZoneInfo
) -> tuple[list[tuple[FileTrade, _Recorded]], list[FileTrade], list[_Recorded]]:
    """Return the pairs of trades that are the same, and what is left of both, in their orders."""
    pairs: list[tuple[FileTrade, _Recorded]] = []
    here, there = list(trades), list(ledger)

    def day(trade: FileTrade | RowTrade) -> tuple[object, ...]:
        return trade.account, trade.timestamp.astimezone(zone).date(), trade.ticker, trade.side

    def content(trade: FileTrade | RowTrade) -> tuple[object, ...]:
        return *day(trade), trade.quantity, trade.price

    ways: list[tuple[Callable[[FileTrade], Hashable], Callable[[_Recorded], Hashable]]] = [
        (lambda trade: trade.key, lambda recorded: recorded.key),
        (content, lambda recorded: content(recorded.trade)),
        (day, lambda recorded: day(recorded.trade)),
    ]
    for of_file, of_ledger in ways:
        waiting: defaultdict[Hashable, list[_Recorded]] = defaultdict(list)
        for recorded in reversed(there):  # so that the earliest is the first to be taken
            waiting[of_ledger(recorded)].append(recorded)
        left: list[FileTrade] = []
        found: set[int] = set()
        for trade in here:
            if candidates := waiting.get(of_file(trade)):
                recorded = candidates.pop()
                pairs.append((trade, recorded))
                found.add(recorded.id)
            else:
                left.append(trade)
        here, there = left, [recorded for recorded in there if recorded.id not in found]
    return pairs, here, there


def _differences(told: FileTrade, recorded: _Recorded, zone: ZoneInfo) -> list[str]:
    """Return the fields in which two trades differ; the time of day is not compared."""
    names = ("ticker", "side", "quantity", "price", "fee", "currency")
    differing = [name for name in names if getattr(told, name) != getattr(recorded.trade, name)]
    days = {trade.timestamp.astimezone(zone).date() for trade in (told, recorded.trade)}
    return differing if len(days) == 1 else [*differing, "timestamp"]
