"""Comparing a broker file with the ledger: trades that both have, and trades that only one of them has."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
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
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

FIRST = 100  # items of each list in a response
LEDGER_LIMIT = 200_000  # ledger trades on the file's days; more would exceed the time limit of a request


@dataclass(frozen=True, slots=True)
class ComparedTrade:
    """A trade of the file, the ledger or both, and the fields in which they differ.

    `line` is null if the file does not have the trade, `trade_id` if the ledger does not. `trade` is the file's trade
    if there is one; `recorded` is the ledger's if the two differ.
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
    """How a file and the ledger differ, from the day of the file's first trade to that of its last.

    `missing_here` are trades missing in the ledger, `missing_there` are trades missing in the file.
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


@dataclass(frozen=True, slots=True)
class _Pair:
    """A trade that both have. If they agree, the ledger's is not kept, to save memory."""

    told: FileTrade
    trade_id: int
    recorded: RowTrade | None
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Matched:
    """The result of matching; `here` are the trades only in the file, `there` those only in the ledger."""

    pairs: list[_Pair]
    here: list[FileTrade]
    there: list[_Recorded]


def compare(data: bytes, options: Options) -> Comparison:
    """Compare a file's trades with the ledger's active trades of the same accounts and days.

    Trades match if they have the same key; otherwise if they have the same day, ticker, side, quantity and price;
    otherwise if they have the same day, ticker and side, and then they differ.

    Raises:
        InvalidError: the file's format is unknown, or its days have too many trades.
        database.DatabaseUnavailableError: the database does not answer.
    """
    file = reading.read(data, options)
    matched = _matched(file.trades, file.zone) if file.trades else _Matched([], [], [])
    pairs = sorted(matched.pairs, key=lambda pair: pair.told.line)
    agrees, differs = ([pair for pair in pairs if bool(pair.fields) == different] for different in (False, True))
    outcomes = Counter(each.outcome for each in file.left_out)
    return Comparison(
        file.format,
        file.rows_read,
        outcomes["skipped"],
        outcomes["rejected"],
        len(agrees),
        len(differs),
        len(matched.here),
        len(matched.there),
        ComparedTrades(
            [_of_both(pair) for pair in agrees[:FIRST]],
            [_of_both(pair) for pair in differs[:FIRST]],
            [ComparedTrade(trade.line, None, RowTrade.of(trade), None, []) for trade in matched.here[:FIRST]],
            [ComparedTrade(None, known.id, known.trade, None, []) for known in matched.there[:FIRST]],
        ),
    )


def _of_both(pair: _Pair) -> ComparedTrade:
    return ComparedTrade(pair.told.line, pair.trade_id, RowTrade.of(pair.told), pair.recorded, list(pair.fields))


_RECORDED = """
select id, import_key, account, ticker, side, quantity, price, fee, currency, timestamp
from trades
where account = any(%(accounts)s) and timestamp >= %(since)s and timestamp < %(until)s
    and not exists (select from trade_changes where trade_id = trades.id)
order by timestamp, id
limit %(limit)s
"""


def _matched(trades: Sequence[FileTrade], zone: ZoneInfo) -> _Matched:
    """Match the trades of a file with the ledger's trades of the same accounts and days."""
    first, last = trades[0].timestamp.astimezone(zone), trades[-1].timestamp.astimezone(zone)
    wanted = {
        "accounts": sorted({trade.account for trade in trades}),
        "since": first.replace(hour=0, minute=0, second=0, microsecond=0),
        "until": _midnight_after(last),
        "limit": LEDGER_LIMIT + 1,
    }

    def select(cursor: "Cursor") -> _Matched:
        cursor.execute(_RECORDED, wanted)
        if cursor.rowcount > LEDGER_LIMIT:
            message = f"the ledger has more than {LEDGER_LIMIT:,} trades of the file's days: compare fewer days at once"
            raise InvalidError(FieldError("body", message))
        return _by_key(trades, _ledger(cursor), zone)

    by_key = database.run(select, repeatable=True)
    return _by_day(by_key, zone)


def _ledger(cursor: "Cursor") -> Iterator[_Recorded]:
    """Yield the ledger's trades one by one; equal strings are shared to save memory."""
    for id_, key, account, ticker, *rest in cursor:
        yield _Recorded(id_, key and bytes(key), RowTrade(intern(account), intern(ticker), *rest))


def _midnight_after(instant: datetime) -> datetime:
    day = instant.date().toordinal() + 1
    return datetime.combine(instant.fromordinal(day), datetime.min.time(), instant.tzinfo)


def _by_key(trades: Iterable[FileTrade], ledger: Iterable[_Recorded], zone: ZoneInfo) -> _Matched:
    """Match the trades that have the same key."""
    waiting = {trade.key: trade for trade in trades}
    pairs: list[_Pair] = []
    there: list[_Recorded] = []
    for recorded in ledger:
        told = waiting.pop(recorded.key, None) if recorded.key else None
        if told:
            pairs.append(_pair(told, recorded, zone))
        else:
            there.append(recorded)
    return _Matched(pairs, list(waiting.values()), there)


def _by_day(matched: _Matched, zone: ZoneInfo) -> _Matched:
    """Match the remaining trades by content and day, then the rest by day alone."""

    def day(trade: FileTrade | RowTrade) -> tuple[object, ...]:
        return trade.account, trade.timestamp.astimezone(zone).date(), trade.ticker, trade.side

    def content(trade: FileTrade | RowTrade) -> tuple[object, ...]:
        return *day(trade), trade.quantity, trade.price

    for what in (content, day):
        matched = _by(what, matched, zone)
    return matched


def _by(what: Callable[[FileTrade | RowTrade], Hashable], matched: _Matched, zone: ZoneInfo) -> _Matched:
    waiting: defaultdict[Hashable, list[_Recorded]] = defaultdict(list)
    for recorded in reversed(matched.there):  # so that the earliest is taken first
        waiting[what(recorded.trade)].append(recorded)
    pairs, here, found = matched.pairs, [], set()
    for told in matched.here:
        if candidates := waiting.get(what(told)):
            recorded = candidates.pop()
            found.add(recorded.id)
            pairs.append(_pair(told, recorded, zone))
        else:
            here.append(told)
    return _Matched(pairs, here, [recorded for recorded in matched.there if recorded.id not in found])


def _pair(told: FileTrade, recorded: _Recorded, zone: ZoneInfo) -> _Pair:
    fields = _differences(told, recorded.trade, zone)
    return _Pair(told, recorded.id, recorded.trade if fields else None, fields)


def _differences(told: FileTrade, recorded: RowTrade, zone: ZoneInfo) -> Sequence[str]:
    """Return the fields in which two trades differ; the time of day is not compared."""
    names = ("ticker", "side", "quantity", "price", "fee", "currency")
    differing = tuple(name for name in names if getattr(told, name) != getattr(recorded, name))
    days = {trade.timestamp.astimezone(zone).date() for trade in (told, recorded)}
    return differing if len(days) == 1 else (*differing, "timestamp")
