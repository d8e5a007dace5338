"""FIFO: which shares closed which, what that earned, and what is left open. Exact, and in one pass.

The n-th share bought meets the n-th share sold, whichever came first. Shares are counted in a unit so small that every
quantity of a position is whole, and money in units of 10^-16: so all numbers here are integers, and what must be
rounded is rounded to such a unit, half-even.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# A pass holds so many open lots at most, and reads the others again when it comes to them.
LOTS_HELD = 20_000

# Where a trade stands in the order of its ledger: its timestamp, as text that sorts as time does, and its id.
type Key = tuple[str, int]
# A trade in whole numbers: timestamp, id, shares (negative where they were sold), amount, fee. Plain tuples, because a
# pass over a million trades makes a million of them, and as many matches.
type Entry = tuple[str, int, int, int, int]
# Shares that were closed: the entries that opened and closed them, how many, what the buy cost with its fee, what the
# sell brought without its fee, and both fees.
type Match = tuple[Entry, Entry, int, int, int, int]
# Returns the next so many entries after a key that were bought (True) or sold; those of no shares are left out.
type LotReader = Callable[[bool, Key, int], list[Entry]]

START: Key = ("-infinity", 0)  # before every trade


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


class Fifo:
    """Carries a position on from a state, trade by trade; some of its first open lots may be at hand already."""

    def __init__(self, state: State, read_lots: LotReader, first_lots: Iterable[Entry] = ()) -> None:
        self.state = state
        self._read_lots = read_lots
        self._held = deque(first_lots)  # the first of the open lots

    # One loop on local names: this is where a pass over a million trades spends its time.
    def match(self, entries: Iterable[Entry]) -> Iterator[Match]:  # noqa: C901, PLR0912, PLR0915 - see above
        """Yield what each of some entries closes; they come in the order of their keys, after all before.

        The state counts them when the last match is taken.
        """
        state, held = self.state, self._held
        last, lots, closed, taken = state.last, state.lots, state.closed, state.taken
        shares, cost_basis = state.shares, state.cost_basis
        count = matches = fees = profit = 0
        lot: Entry | None = None  # the first one, and what is open of it
        lot_left = lot_amount = lot_fee = 0
        for entry in entries:
            at, id_, signed, amount, fee = entry
            last = at, id_
            count += 1
            fees += fee
            left = -signed if signed < 0 else signed  # of the entry; so are amount and fee
            if lots and (shares < 0) != (signed < 0):
                while left and lots:
                    if lot is None:
                        if not held:
                            held.extend(self._read_lots(shares > 0, closed, min(lots, LOTS_HELD)))
                        lot = held[0]
                        lot_left = abs(lot[2]) - taken
                        lot_amount, lot_fee = rest(lot, lot_left) if taken else lot[3:]
                    opening, opened, opened_fee, met = lot, lot_amount, lot_fee, lot_left
                    received, received_fee = amount, fee
                    if lot_left > left:
                        met = left
                        lot_left -= met
                        taken += met
                        lot_amount, lot_fee = rest(lot, lot_left)
                        opened -= lot_amount
                        opened_fee -= lot_fee
                    else:
                        closed, taken, lot = lot[:2], 0, None
                        held.popleft()
                        lots -= 1
                    left -= met
                    if left:
                        amount, fee = rest(entry, left)
                        received -= amount
                        received_fee -= fee
                    if signed < 0:
                        cost, proceeds = opened + opened_fee, received - received_fee
                        shares -= met
                        cost_basis -= cost
                    else:
                        cost, proceeds = received + received_fee, opened - opened_fee
                        shares += met
                        cost_basis += proceeds
                    profit += proceeds - cost
                    matches += 1
                    yield opening, entry, met, cost, proceeds, opened_fee + received_fee
            if left:
                if not lots:
                    closed, taken = (at, id_ - 1), abs(signed) - left
                if len(held) == lots < LOTS_HELD:
                    held.append(entry)
                lots += 1
                shares += left if signed > 0 else -left
                cost_basis += amount + fee if signed > 0 else fee - amount
        state.last, state.lots, state.closed, state.taken = last, lots, closed, taken
        state.shares, state.cost_basis = shares, cost_basis
        state.trade_count += count
        state.matches += matches
        state.fees += fees
        state.realized_profit += profit


def rest(entry: Entry, left: int) -> tuple[int, int]:
    """Return the amount and the fee of an entry's last `left` shares: its own without what is rounded of the others."""
    _, _, shares, amount, fee = entry
    size = abs(shares)
    taken = size - left
    return amount - rounded(amount * taken, size), fee - rounded(fee * taken, size) if fee else 0


def rounded(dividend: int, divisor: int) -> int:
    """Return a quotient to the nearest integer, half-even."""
    quotient, remainder = divmod(dividend, divisor)
    remainder += remainder
    return quotient + 1 if remainder > divisor or (remainder == divisor and quotient & 1) else quotient
