"""Average cost: every share of a position costs the same, and closing some takes their part off the cost.

The numbers are whole, as `trading.trades.fifo` has them.
"""

from collections.abc import Iterable

from trading.trades.fifo import Entry, Match, State, rounded


class AverageCost:
    """Carries a position on from a state, trade by trade."""

    def __init__(self, state: State) -> None:
        self.state = state

    def match(self, entries: Iterable[Entry]) -> tuple[Match, ...]:
        """Count some entries, which come in the order of their keys, after all before. No trade closes another here."""
        state = self.state
        for at, id_, signed, amount, fee in entries:
            state.last = at, id_
            state.trade_count += 1
            state.fees += fee
            received = amount - fee if signed < 0 else -amount - fee
            if state.shares * signed < 0:
                size, held = abs(signed), abs(state.shares)
                closed = min(size, held)
                amount_closed, fee_closed = rounded(amount * closed, size), rounded(fee * closed, size)
                received_for_closed = amount_closed - fee_closed if signed < 0 else -amount_closed - fee_closed
                cost = rounded(state.cost_basis * closed, held)
                state.cost_basis -= cost
                state.realized_profit += received_for_closed - cost
                received -= received_for_closed
            state.shares += signed
            state.cost_basis -= received
        return ()
