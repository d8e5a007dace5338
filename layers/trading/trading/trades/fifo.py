"""FIFO: which trades closed which lots, at what profit, and which lots are open. Exact, and in one pass.

The n-th share bought is matched with the n-th share sold, whichever came first. Shares are counted in a unit so small
that every quantity of a position is an integer, and money in units of 10^-16. So all numbers here are integers, and
rounding is half-even to one such unit.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# The maximum number of open lots in memory; the others are read again when they are reached.
LOTS_HELD = 20_000

# The sort key of a trade in the ledger: its timestamp in microseconds, and its id.
type Key = tuple[int, int]
# A trade as integers: timestamp, id, shares (negative for a sale), price, factor, fee. The amount of n shares is
# n x price / factor; the factor is 1 unless there are splits. A plain tuple, because a pass over a million trades
# creates a million of them.
type Entry = tuple[int, int, int, int, int, int]
# Closed shares: the opening and the closing entry, the number of shares, the cost of the buy with its fee, the
# proceeds of the sale without its fee, and both fees.
type Match = tuple[Entry, Entry, int, int, int, int]
# Returns the next n bought (True) or sold (False) entries after a key, without those of zero shares.
type LotReader = Callable[[bool, Key, int], list[Entry]]

START: Key = (-(2**63), 0)  # before every trade: PostgreSQL's -infinity


@dataclass(slots=True)
class State:
    """A position after the trade `last`; with average cost it has neither matches nor lots.

    `lots` is the number of open lots: the next ones of their side after the key `closed`. `taken` shares of the first
    lot are closed.
    """

    last: Key = START
    trade_count: int = 0
    shares: int = 0
    cost_basis: int = 0
    realized_profit: int = 0
    fees: int = 0
    matches: int = 0
    lots: int = 0
    closed: Key = START
    taken: int = 0


@dataclass(slots=True)
class Profit:
    """The realized profit of some matches: money as integers, the number of gains and losses, and of all matches."""

    profit: int = 0
    fees: int = 0
    wins: int = 0
    losses: int = 0
    matches: int = 0

    @classmethod
    def of(cls, match: Match) -> "Profit":
        """Return the profit of one match."""
        _, _, _, cost, proceeds, fees = match
        return cls(proceeds - cost, fees, proceeds > cost, proceeds < cost, 1)

    def add(self, other: "Profit") -> None:
        """Add the profit of other matches."""
        self.profit += other.profit
        self.fees += other.fees
        self.wins += other.wins
        self.losses += other.losses
        self.matches += other.matches


class Fifo:
    """Updates a position from a saved state, trade by trade; `first_lots` are open lots that are already read."""

    def __init__(self, state: State, read_lots: LotReader, first_lots: Iterable[Entry] = ()) -> None:
        self.state = state
        self._read_lots = read_lots
        self._held = deque(first_lots)  # the first of the open lots

    # One loop on local variables, because this is the hot path of a pass over a million trades.
    def match(self, entries: Iterable[Entry], found: list[Match] | None = None) -> Profit:  # noqa: C901, PLR0912, PLR0915 - see above
        """Apply further entries, in key order, and return the profit of their matches.

        The matches are appended to `found` if it is given.
        """
        state, held = self.state, self._held
        (at, id_), lots, closed, taken = state.last, state.lots, state.closed, state.taken
        shares, cost_basis = state.shares, state.cost_basis
        count = all_fees = 0
        profit = fees = wins = losses = matches = 0
        lot: Entry | None = None  # the first one
        lot_size = lot_price = lot_factor = lot_fee = lot_fee_left = 0
        for entry in entries:
            at, id_, signed, price, factor, fee = entry
            count += 1
            all_fees += fee
            size = left = -signed if signed < 0 else signed
            fee_left = fee
            if lots and (shares < 0) != (signed < 0):
                while left and lots:
                    if lot is None:
                        if not held:
                            held.extend(self._read_lots(signed < 0, closed, min(lots, LOTS_HELD)))
                        lot = held[0]
                        _, _, lot_size, lot_price, lot_factor, lot_fee = lot
                        if lot_size < 0:
                            lot_size = -lot_size
                        lot_fee_left = rest(lot_fee, lot_size, taken) if taken else lot_fee
                    opening, begin, opened_fee, received_fee = lot, taken, lot_fee_left, fee_left
                    met = lot_size - taken
                    if met > left:
                        met = left
                        taken += met
                        if lot_fee:
                            lot_fee_left = rest(lot_fee, lot_size, taken)
                            opened_fee -= lot_fee_left
                    else:
                        closed, taken, lot = lot[:2], 0, None
                        held.popleft()
                        lots -= 1
                    left -= met
                    if left and fee:
                        fee_left = rest(fee, size, size - left)
                        received_fee -= fee_left
                    opened, received = lot_price * met, price * met
                    if lot_factor != 1:
                        opened = part(lot_price, lot_factor, begin, begin + met)
                    if factor != 1:
                        received = part(price, factor, size - left - met, size - left)
                    if signed < 0:
                        cost, proceeds = opened + opened_fee, received - received_fee
                        cost_basis -= cost
                    else:
                        cost, proceeds = received + received_fee, opened - opened_fee
                        cost_basis += proceeds
                    gain = proceeds - cost
                    profit += gain
                    fees += opened_fee + received_fee
                    matches += 1
                    if gain > 0:
                        wins += 1
                    elif gain < 0:
                        losses += 1
                    if found is not None:
                        found.append((opening, entry, met, cost, proceeds, opened_fee + received_fee))
            shares += signed
            if left:
                if not lots:
                    closed, taken = (at, id_ - 1), size - left
                if len(held) == lots < LOTS_HELD:
                    held.append(entry)
                lots += 1
                amount = price * left if factor == 1 else part(price, factor, size - left, size)
                cost_basis += amount + fee_left if signed > 0 else fee_left - amount
        state.last, state.lots, state.closed, state.taken = (at, id_), lots, closed, taken
        state.shares, state.cost_basis = shares, cost_basis
        state.trade_count += count
        state.matches += matches
        state.fees += all_fees
        state.realized_profit += profit
        return Profit(profit, fees, wins, losses, matches)


def part(price: int, factor: int, begin: int, end: int) -> int:
    """Return the amount of the shares (begin, end] of an entry."""
    return rounded(price * end, factor) - rounded(price * begin, factor)


def rest(fee: int, size: int, taken: int) -> int:
    """Return the part of a fee that remains when `taken` of `size` shares are closed."""
    return fee - rounded(fee * taken, size) if fee and taken else fee


def rounded(dividend: int, divisor: int) -> int:
    """Return a quotient rounded half-even to an integer."""
    quotient, remainder = divmod(dividend, divisor)
    remainder += remainder
    return quotient + 1 if remainder > divisor or (remainder == divisor and quotient & 1) else quotient
