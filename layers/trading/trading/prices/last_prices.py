"""Last prices: the most recently published price of each ticker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small


@dataclass(frozen=True, slots=True)
class LastPrice:
    """A price and its time."""

    price: Decimal
    at: datetime


def find(cursor: "Cursor", tickers: Sequence[str], at: datetime | None = None) -> dict[str, LastPrice]:
    """Return the newest tick of each ticker that has any; with `at`, the last five-minute close up to then."""
    until = "and closed_at <= %(at)s" if at else ""
    cursor.execute(
        f"""
        select wanted.ticker, newest.close, newest.closed_at
        from unnest(%(tickers)s::text[]) as wanted(ticker) cross join lateral (
            select close, closed_at from price_averages
            where ticker = wanted.ticker {until}
            order by bucket_start desc limit 1
        ) as newest
        """,  # noqa: S608 - one of two constants
        {"tickers": list(tickers), "at": at},
    )
    return {ticker: LastPrice(price, closed_at) for ticker, price, closed_at in cursor.fetchall()}
