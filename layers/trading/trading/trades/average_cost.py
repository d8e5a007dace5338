"""Average cost: all shares of a position cost the same, and closing some reduces the cost in proportion.

Shares and money are integers in the units of `trading.trades.fifo`.
"""

from collections.abc import Iterable

from trading.trades.fifo import Entry, Profit, State, part, rest, rounded


class AverageCost:
    """Updates a position from a saved state, trade by trade."""

    def __init__(self, state: State) -> None:
        self.state = state

    def match(self, entries: Iterable[Entry]) -> Profit:
        """Apply further entries, in key order, and return their profit. This method has no matches."""
        state = self.state
        for at, id_, signed, price, factor, fee in entries:
            state.last = at, id_
            state.trade_count += 1
            state.fees += fee
            size, held = abs(signed), abs(state.shares)
            closed = min(size, held) if state.shares * signed < 0 else 0
            fee_left = rest(fee, size, closed)
            if closed:
                amount, fee_of_closed = part(price, factor, 0, closed), fee - fee_left
                cost = rounded(state.cost_basis * closed, held)
                state.cost_basis -= cost
                state.realized_profit += (amount if signed < 0 else -amount) - fee_of_closed - cost
            amount = part(price, factor, closed, size)
            state.shares += signed
            state.cost_basis += (amount if signed > 0 else -amount) + fee_left
        return Profit()
