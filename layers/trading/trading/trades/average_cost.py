"""Average cost: every share of a position costs the same, and closing some takes their part off the cost.

The numbers are whole, as `trading.trades.fifo` has them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from trading.trades.fifo import START, Entry, Key, rounded


@dataclass(slots=True)
class AverageState:
    """What a position has come to with the trade `last`."""

    last: Key = START
    trade_count: int = 0
    shares: int = 0
    cost_basis: int = 0
    realized_profit: int = 0
    fees: int = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Carry the position on by some entries, which come in the order of their keys, after all before."""
        for at, id_, signed, amount, fee in entries:
            self.last = at, id_
            self.trade_count += 1
            self.fees += fee
            received = amount - fee if signed < 0 else -amount - fee
            if self.shares * signed < 0:
                size, held = abs(signed), abs(self.shares)
                closed = min(size, held)
                part, part_fee = rounded(amount * closed, size), rounded(fee * closed, size)
                received_for_closed = part - part_fee if signed < 0 else -part - part_fee
                cost = rounded(self.cost_basis * closed, held)
                self.cost_basis -= cost
                self.realized_profit += received_for_closed - cost
                received -= received_for_closed
            self.shares += signed
            self.cost_basis -= received
