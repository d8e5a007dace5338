"""Profit: realized profit by group, and the totals of the portfolio."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Literal

from trading.core.errors import FieldError, InvalidError
from trading.core.values import PRECISION, Amount
from trading.trades import standings
from trading.trades.fifo import Profit
from trading.trades.positions import prices_of, valued
from trading.trades.snapshots import money, timestamp_of
from trading.trades.standings import Reading, Standing

type Grouping = Literal["day", "month", "ticker", "account", "tag"]


@dataclass(frozen=True, slots=True)
class ProfitGroup:
    """The realized profit of one group and currency, and the number of its matches with a gain and a loss."""

    group: str
    currency: str
    profit: Amount
    fees: Amount
    wins: int
    losses: int
    matches: int


@dataclass(frozen=True, slots=True)
class ProfitFilter:
    """How to group profit, and its days (inclusive) and account."""

    by: Grouping
    start_date: date | None = None
    end_date: date | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class PortfolioCurrency:
    """The totals of all positions in one currency.

    `change_today` is the profit since midnight UTC: the change in market value, plus the proceeds and less the cost of
    today's trades.
    """

    currency: str
    cost_basis: Amount
    market_value: Amount
    unrealized_profit: Amount
    realized_profit: Amount
    change_today: Amount


def find(wanted: ProfitFilter) -> list[ProfitGroup]:
    """Return realized profit by group and currency; a match belongs to the group of its closing trade.

    Raises:
        InvalidError: start_date is after end_date.
        standings.StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    if wanted.start_date and wanted.end_date and wanted.start_date > wanted.end_date:
        raise InvalidError(FieldError("start_date", "must not be after end_date"))
    read = _of_tags if wanted.by == "tag" else _of_days

    return [
        ProfitGroup(group, currency, money(of.profit), money(of.fees), of.wins, of.losses, of.matches)
        for (group, currency), of in sorted(standings.read(lambda reading: read(reading, wanted)).items())
    ]


# By group and currency.
type _Groups = dict[tuple[str, str], Profit]


def _of_days(reading: Reading, wanted: ProfitFilter) -> _Groups:
    """Sum the profit that positions earned on each day."""
    first, last = map(str, _days(wanted))
    groups: _Groups = defaultdict(Profit)
    for keys in reading.pages(wanted.account):
        for key, day, profit in reading.days(reading.standings(keys)):
            if first <= day <= last:
                group = {"day": day, "month": day[:7], "ticker": key.ticker, "account": key.account}[wanted.by]
                groups[group, key.currency].add(profit)
    return groups


def _of_tags(reading: Reading, wanted: ProfitFilter) -> _Groups:
    """Sum the profit of matches closed by tagged trades; not stored by day, because tags may change at any time."""
    first_day, last_day = _days(wanted)
    first = timestamp_of(datetime.combine(first_day, time.min, UTC))
    last = timestamp_of(datetime.combine(last_day, time.max, UTC))
    groups: _Groups = defaultdict(Profit)
    for standing in reading.standings(reading.snapshot.tagged(wanted.account)):
        for begin, end in reading.stretches(standing):
            tags = reading.snapshot.tags(standing.key, begin.last, end.last)
            if not tags or end.last[0] < first or begin.last[0] > last:
                continue
            for match in reading.matches(standing, begin, end):
                closed_at, trade_id = match[1][:2]
                if first <= closed_at <= last:
                    for tag in tags.get(trade_id, ()):
                        groups[tag, standing.key.currency].add(Profit.of(match))
    return groups


def _days(wanted: ProfitFilter) -> tuple[date, date]:
    return wanted.start_date or date.min, wanted.end_date or date.max


def portfolio(account: str | None) -> list[PortfolioCurrency]:
    """Return the totals of all positions, of one account or all accounts, for each currency.

    Raises:
        standings.StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    totals = standings.read(lambda reading: _totals(reading, account))
    return [PortfolioCurrency(currency, *sums) for currency, sums in sorted(totals.items())]


def _totals(reading: Reading, account: str | None) -> dict[str, list[Decimal]]:
    totals: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 5)
    for keys in reading.pages(account):
        found = reading.standings(keys)
        changes = _changes_today(reading, found)
        with localcontext(prec=PRECISION):
            for position, change in zip(valued(reading, found), changes, strict=True):
                # Only a position without shares has no price.
                sums = (
                    position.cost_basis,
                    position.market_value or Decimal(0),
                    position.unrealized_profit or Decimal(0),
                    position.realized_profit,
                    (position.market_value or Decimal(0)) + change,
                )
                totals[position.currency] = [a + b for a, b in zip(totals[position.currency], sums, strict=True)]
    return totals


def _changes_today(reading: Reading, found: list[Standing]) -> list[Decimal]:
    """Return the net proceeds of today's trades less the market value at midnight UTC, for each position."""
    today = datetime.combine(reading.snapshot.now.astimezone(UTC), time.min, UTC)
    shares = {standing.key.ticker: standing.shares for standing in found}
    flows = reading.snapshot.flows_since(today, [standing.key for standing in found], shares)
    prices = prices_of(reading, found, today - timedelta(microseconds=1))
    changes = []
    with localcontext(prec=PRECISION):
        for standing in found:
            flow = flows[standing.key]
            held = standing.shares.quantity(standing.state.shares - flow.shares)
            price = prices[standing.key][0].price if standing.key in prices else Decimal(0)
            changes.append(money(flow.received) - held * price)
    return changes
