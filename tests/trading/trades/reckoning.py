"""Positions reckoned from the rows of the ledger, with fractions and by ranges of shares: slow, and plain to see."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from math import prod

from tests.conftest import Rows

CENT = Fraction(1, 10**16)  # what money is rounded to

type Key = tuple[str, str, str]


@dataclass(frozen=True)
class Row:
    """A trade of the ledger; its shares are those after all splits."""

    key: Key
    id: int
    timestamp: datetime
    side: str
    shares: Fraction
    amount: Fraction
    fee: Fraction
    tags: tuple[str, ...]

    @property
    def order(self) -> tuple[datetime, int]:
        """Where it stands among the trades of its position."""
        return self.timestamp, self.id

    def part(self, begin: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        """Return the amount and the fee of the shares (begin, end]."""
        amount = rounded(self.amount * end / self.shares) - rounded(self.amount * begin / self.shares)
        fee = rounded(self.fee * end / self.shares) - rounded(self.fee * begin / self.shares)
        return amount, fee


@dataclass(frozen=True)
class Matched:
    """Shares that one trade opened and another closed."""

    opening: Row
    closing: Row
    shares: Fraction
    cost: Fraction
    proceeds: Fraction
    fees: Fraction


@dataclass
class Reckoned:
    """What the trades of a position come to."""

    trade_count: int = 0
    quantity: Fraction = Fraction(0)
    cost_basis: Fraction = Fraction(0)
    realized_profit: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    average_cost_basis: Fraction = Fraction(0)
    average_realized_profit: Fraction = Fraction(0)
    matches: list[Matched] = field(default_factory=list)
    lots: list[tuple[int, Fraction, Fraction, Fraction]] = field(default_factory=list)  # id, shares, fee, cost


def rounded(amount: Fraction) -> Fraction:
    """Round money half-even."""
    return round(amount / CENT) * CENT


def reckoned(rows: Rows, as_of: datetime | None = None) -> dict[Key, Reckoned]:
    """Return every position of the ledger, as it stands now or stood as of an instant."""
    return positions_of(_trades(rows, as_of))


def positions_of(trades: Iterable[Row]) -> dict[Key, Reckoned]:
    """Return what trades come to."""
    by_key: dict[Key, list[Row]] = defaultdict(list)
    for row in sorted(trades, key=lambda row: row.order):
        by_key[row.key].append(row)
    return {key: _position(of_key) for key, of_key in by_key.items()}


def _trades(rows: Rows, as_of: datetime | None) -> list[Row]:
    then = as_of or datetime.max.replace(tzinfo=UTC)
    splits = [
        (ticker, effective_at, Fraction(numerator, denominator))
        for ticker, effective_at, numerator, denominator, recorded_at, voided_at, now in rows(
            "select ticker, effective_at, numerator, denominator, recorded_at, voided_at, now() from splits"
        )
        if recorded_at <= then and (voided_at is None or voided_at > then) and effective_at <= (as_of or now)
    ]
    voided = {
        trade_id
        for trade_id, changed_at in rows("select trade_id, changed_at from trade_changes")
        if changed_at <= then
    }
    found = []
    for account, ticker, currency, trade_id, at, side, quantity, price, fee, tags, recorded_at in rows(
        "select account, ticker, currency, id, timestamp, side, quantity, price, fee, tags, recorded_at from trades"
    ):
        if trade_id not in voided and recorded_at <= then:
            ratio = prod(
                (ratio for of, effective_at, ratio in splits if of == ticker and at < effective_at), start=Fraction(1)
            )
            shares, amount = Fraction(quantity) * ratio, Fraction(price) * Fraction(quantity)
            found.append(
                Row((account, ticker, currency), trade_id, at, side, shares, amount, Fraction(fee), tuple(tags))
            )
    return found


def _position(trades: Sequence[Row]) -> Reckoned:
    position = Reckoned(len(trades), fees=sum((row.fee for row in trades), Fraction(0)))
    bought, sold = _ranges(trades, "BUY"), _ranges(trades, "SELL")
    for buy, buy_begin, buy_end in bought:
        for sell, sell_begin, sell_end in sold:
            begin, end = max(buy_begin, sell_begin), min(buy_end, sell_end)
            if begin < end:
                paid, buy_fee = buy.part(begin - buy_begin, end - buy_begin)
                received, sell_fee = sell.part(begin - sell_begin, end - sell_begin)
                opening, closing = sorted((buy, sell), key=lambda row: row.order)
                match = Matched(opening, closing, end - begin, paid + buy_fee, received - sell_fee, buy_fee + sell_fee)
                position.matches.append(match)
    position.realized_profit = sum((match.proceeds - match.cost for match in position.matches), Fraction(0))

    met = sum((match.shares for match in position.matches), Fraction(0))
    for side, sign in ((bought, 1), (sold, -1)):
        for row, begin, end in side:
            if end > met:
                taken = max(met - begin, Fraction(0))
                amount, fee = row.part(taken, row.shares)
                position.lots.append((row.id, sign * (row.shares - taken), fee, sign * amount + fee))
    position.quantity = sum((shares for _, shares, _, _ in position.lots), Fraction(0))
    position.cost_basis = sum((cost for *_, cost in position.lots), Fraction(0))
    _average(position, trades)
    return position


def _ranges(trades: Sequence[Row], side: str) -> list[tuple[Row, Fraction, Fraction]]:
    found, end = [], Fraction(0)
    for row in trades:
        if row.side == side and row.shares:
            found.append((row, end, end + row.shares))
            end += row.shares
    return found


def _average(position: Reckoned, trades: Sequence[Row]) -> None:
    held = cost = realized = Fraction(0)
    for row in trades:
        sign = 1 if row.side == "BUY" else -1
        closed = min(row.shares, abs(held)) if held * sign < 0 else Fraction(0)
        if closed:
            amount, fee = row.part(Fraction(0), closed)
            taken = cost if closed == abs(held) else rounded(cost * closed / abs(held))
            realized += -sign * amount - fee - taken
            cost -= taken
            held += sign * closed
        if closed < row.shares:
            amount, fee = row.part(closed, row.shares)
            cost += sign * amount + fee
            held += sign * (row.shares - closed)
    position.average_cost_basis, position.average_realized_profit = cost, realized
