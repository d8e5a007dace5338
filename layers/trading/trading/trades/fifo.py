"""FIFO: which shares closed which, what that earned, and what is left open. Exact, and in one pass.

The n-th share bought meets the n-th share sold, whichever came first. Shares are counted in a unit so small that every
quantity of a position is whole, and money in units of 10^-16: so all numbers here are integers, and what must be
rounded is rounded to such a unit, half-even.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# A pass holds so many open lots at most, and reads the others again when it comes to them.
LOTS_HELD = 20_000

# Where a trade stands in the order of its ledger: its timestamp, in microseconds, and its id.
type Key = tuple[int, int]
# A trade in whole numbers: timestamp, id, shares (negative where they were sold), price, factor, fee. The amount of n
# shares is n x price / factor, and the factor is 1 unless there are splits. Plain tuples, because a pass over a million
# trades makes a million of them.
type Entry = tuple[int, int, int, int, int, int]
# Shares that were closed: the entries that opened and closed them, how many, what the buy cost with its fee, what the
# sell brought without its fee, and both fees.
type Match = tuple[Entry, Entry, int, int, int, int]
# Returns the next so many entries after a key that were bought (True) or sold; those of no shares are left out.
type LotReader = Callable[[bool, Key, int], list[Entry]]

START: Key = (-(2**63), 0)  # before every trade: -infinity, as PostgreSQL has it


@dataclass(slots=True)
class State:
    """What a position has come to with the trade `last`; by average cost it has neither matches nor lots.

    So many `lots` are open: the next of their side after the key `closed`. Of the first, `taken` shares are closed.
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
    """What some matches have earned: money in whole numbers, how many gained, how many lost, and how many there are."""

    profit: int = 0
    fees: int = 0
    wins: int = 0
    losses: int = 0
    matches: int = 0

    @classmethod
    def of(cls, match: Match) -> "Profit":
        """Return what one match has earned."""
        _, _, _, cost, proceeds, fees = match
        return cls(proceeds - cost, fees, proceeds > cost, proceeds < cost, 1)

    def add(self, other: "Profit") -> None:
        """Add what other matches have earned."""
        self.profit += other.profit
        self.fees += other.fees
        self.wins += other.wins
        self.losses += other.losses
        self.matches += other.matches


class Fifo:
    """Carries a position on from a state, trade by trade; some of its first open lots may be at hand already."""

    def __init__(self, state: State, read_lots: LotReader, first_lots: Iterable[Entry] = ()) -> None:
        self.state = state
        self._read_lots = read_lots
        self._held = deque(first_lots)  # the first of the open lots

    # One loop on local names: this is where a pass over a million trades spends its time.
    def match(self, entries: Iterable[Entry], found: list[Match] | None = None) -> Profit:  # noqa: C901, PLR0912, PLR0915 - see above
        """Count some entries, which come in the order of their keys, after all before.

        Returns what their matches have earned; adds these to `found` if it is given.
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
    """Return what is left of the fee of so many shares when some of them are taken."""
    return fee - rounded(fee * taken, size) if fee and taken else fee


def rounded(dividend: int, divisor: int) -> int:
    """Return a quotient to the nearest integer, half-even."""
    quotient, remainder = divmod(dividend, divisor)
    remainder += remainder
    return quotient + 1 if remainder > divisor or (remainder == divisor and quotient & 1) else quotient
