"""Shortfalls: positions that a file's trades would turn short because its history begins too late."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal, localcontext
from itertools import pairwise
from typing import TYPE_CHECKING

from trading.core.values import PRECISION, QUANTITY_FRACTION_DIGITS, Amount
from trading.trades.imports.rows import FileTrade
from trading.trades.snapshots import Shares, Split

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

_AT_ONCE = 5_000  # trades per statement, unless one position has more
_LAST_DIGIT = Decimal(1).scaleb(-QUANTITY_FRACTION_DIGITS)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A position that would be short from `since`.

    An opening lot prevents that: `quantity` shares bought before `before`. Their cost basis is not in the file.
    """

    account: str
    ticker: str
    currency: str
    since: datetime
    quantity: Amount
    before: datetime


# Shares are multiplied by the numerators of the splits after a trade and the denominators of those before it. These
# factors are integers, so that the signs of the sums are exact.
_SHORT = """
with entries as materialized (
    select * from json_to_recordset(%(trades)s)
    as entry(position integer, account text, ticker text, side text, quantity numeric, currency text,
        timestamp timestamptz)
), moves as (
    select account, ticker, currency, timestamp, position + 9e18::bigint as place, side, quantity, true as is_new
    from entries
    union all
    select trades.account, trades.ticker, trades.currency, trades.timestamp, trades.id, side, quantity, false
    from trades
    join (select distinct account, ticker, currency from entries) as position using (account, ticker, currency)
    where not exists (select from trade_changes where trade_id = trades.id)
), scaled as (
    select moves.*, case side when 'BUY' then quantity else -quantity end * coalesce(factor, 1) as shares,
        coalesce(factor, 1) as factor,
        min(timestamp) filter (where is_new) over (partition by account, moves.ticker, currency) as first_new
    from moves left join json_to_recordset(%(factors)s)
        as factors(ticker text, since timestamptz, until timestamptz, factor numeric)
        on factors.ticker = moves.ticker and moves.timestamp >= since and moves.timestamp < until
), held as (
    select *, sum(shares) over (partition by account, ticker, currency order by timestamp, place) as balance
    from scaled
)
select account, ticker, currency, min(timestamp) filter (where balance < 0), -min(balance),
    min(timestamp), (array_agg(factor order by timestamp, place))[1]
from held
group by account, ticker, currency
having bool_or(balance < 0 and timestamp >= first_new)
"""


def find(cursor: "Cursor", trades: Iterable[FileTrade]) -> list[Shortfall]:
    """Return, in order, the positions that would be short at some time if these trades were recorded."""
    positions: defaultdict[tuple[str, str, str], list[FileTrade]] = defaultdict(list)
    for trade in trades:
        positions[trade.account, trade.ticker, trade.currency].append(trade)
    found: list[Shortfall] = []
    some: list[FileTrade] = []
    for of_position in positions.values():
        if some and len(some) + len(of_position) > _AT_ONCE:
            found += _find(cursor, some)
            some = []
        some += of_position
    if some:
        found += _find(cursor, some)
    return sorted(found, key=lambda each: (each.account, each.ticker, each.currency))


def _find(cursor: "Cursor", trades: Sequence[FileTrade]) -> list[Shortfall]:
    """Return the shortfalls of the positions of these trades."""
    tickers = sorted({trade.ticker for trade in trades})
    # Serialized one by one, so that no second list of all trades is needed.
    entries = ",".join(_entry(position, trade) for position, trade in enumerate(trades))
    cursor.execute(_SHORT, {"trades": f"[{entries}]", "factors": json.dumps(_factors(cursor, tickers))})
    found = []
    for account, ticker, currency, since, missing, before, factor in cursor.fetchall():
        with localcontext(prec=PRECISION):
            quantity = (missing / factor).quantize(_LAST_DIGIT, ROUND_UP)
        found.append(Shortfall(account, ticker, currency, since, quantity, before))
    return found


def _entry(position: int, trade: FileTrade) -> str:
    return json.dumps(
        {
            "position": position,
            "account": trade.account,
            "ticker": trade.ticker,
            "side": trade.side,
            "quantity": str(trade.quantity),
            "currency": trade.currency,
            "timestamp": trade.timestamp.isoformat(),
        }
    )


def _factors(cursor: "Cursor", tickers: Sequence[str]) -> list[dict[str, object]]:
    """Return the factors of each ticker's quantities between consecutive splits."""
    cursor.execute(
        "select ticker, id, effective_at, numerator, denominator from splits"
        " where voided_at is null and ticker = any(%(tickers)s) order by ticker, effective_at",
        {"tickers": list(tickers)},
    )
    by_ticker: dict[str, list[Split]] = {}
    for ticker, *split in cursor.fetchall():
        by_ticker.setdefault(ticker, []).append(Split(*split))
    factors: list[dict[str, object]] = []
    for ticker, splits in by_ticker.items():
        instants = ["-infinity", *(split.effective_at.isoformat() for split in splits), "infinity"]
        for (since, until), factor in zip(pairwise(instants), Shares(splits).factors, strict=True):
            factors.append({"ticker": ticker, "since": since, "until": until, "factor": str(factor)})
    return factors
