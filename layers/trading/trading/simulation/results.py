"""Simulation results: the complete result, as returned by the API, stored and rendered."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields

from pydantic import TypeAdapter

from trading.core.values import Amount, Side, format_decimal
from trading.simulation.bars import At, ReadingNotes
from trading.simulation.engine import Simulation, Strategy
from trading.simulation.metrics import Metrics, SimulatedTrade
from trading.simulation.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Cross:
    """The averages crossed at the close of a bar."""

    at: At
    side: Side


@dataclass(frozen=True, slots=True)
class EquityBar:
    """A bar of the history, and cash + shares x close at it."""

    at: At
    close: Amount
    equity: Amount


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """A strategy, the prices, its signals and trades, and the metrics.

    With a sweep, the strategy is that of the best pair, or of the shortest windows if the metric is null for all pairs.
    `frequency` is the usual interval between bars, such as "1 day".
    """

    name: str
    strategy: Strategy
    metrics: Metrics
    trades: Sequence[SimulatedTrade]
    signals: Sequence[Cross]
    bars: Sequence[EquityBar]
    sweep: Sweep | None
    # With defaults, because results that were stored earlier do not have these fields.
    frequency: str | None = None
    notes: ReadingNotes | None = None
    no_trades_reason: str | None = None


RESULT = TypeAdapter(SimulationResult)
TRADE_COLUMNS = tuple(field.name for field in fields(SimulatedTrade))


def result_of(simulation: Simulation, name: str, sweep: Sweep | None = None) -> SimulationResult:
    """Return the result of a simulation; `name` is that of the history, such as a ticker. Raises as `equity` does."""
    bars = simulation.history.bars
    return SimulationResult(
        name=name,
        strategy=simulation.strategy,
        metrics=simulation.metrics,
        trades=simulation.trades,
        signals=[Cross(bars[signal.bar].at, signal.side) for signal in simulation.signals],
        bars=[EquityBar(bar.at, bar.close, equity) for bar, equity in zip(bars, simulation.equity(), strict=True)],
        sweep=sweep,
        frequency=simulation.history.frequency,
        notes=simulation.history.notes,
        no_trades_reason=simulation.no_trades_reason(),
    )


def trades_csv(trades: Sequence[SimulatedTrade]) -> str:
    """Return trades as CSV: a header and a row for each; the exit of an open trade is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TRADE_COLUMNS)
    for trade in trades:
        writer.writerow(
            (
                trade.entry_at,
                format_decimal(trade.entry_price),
                format_decimal(trade.shares),
                trade.exit_at,
                None if trade.exit_price is None else format_decimal(trade.exit_price),
                format_decimal(trade.fees),
                format_decimal(trade.profit),
            )
        )
    return text.getvalue()
