"""Simulation reports: a result as a self-contained, responsive HTML page."""

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import Path

import numpy as np

from trading.core.values import format_decimal
from trading.simulation import svg
from trading.simulation.bars import At
from trading.simulation.engine import Strategy
from trading.simulation.metrics import Metrics
from trading.simulation.results import SimulationResult
from trading.simulation.svg import Cell, Line, Mark
from trading.simulation.sweep import Sweep

MEDIA_TYPE = "text/html; charset=utf-8"
# The page loads nothing and runs no scripts; the content security policy enforces that.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
TRADES_SHOWN = 1_000  # limits the page to some hundred kilobytes

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

SYMBOLS = """<svg aria-hidden="true" style="position:absolute;width:0;height:0"><defs>
<path id="buy" d="M0 2 6 13H-6Z"/><path id="sell" d="M0-2 6-13H-6Z"/></defs></svg>"""


def render(result: SimulationResult) -> str:
    """Return the HTML page of a result."""
    title = f"{result.name}: {result.strategy.fast}/{result.strategy.slow} moving-average crossover"
    first, last = when(result.bars[0].at), when(result.bars[-1].at)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>{SYMBOLS}
<header><h1>{escape(title)}</h1><p class="quiet">{first} to {last}, {bars_of(result)}</p></header>
{_cards(result.metrics)}
{_charts(result)}
{_sweep(result.sweep) if result.sweep else ""}
<h2>Figures</h2>{_pairs(figures(result.metrics))}
<h2>Assumptions</h2>{_pairs(assumptions(result.strategy))}
<h2>Trades</h2>{_trades(result)}
<p class="quiet">A simulation says what would have been, under these assumptions. It is no forecast and no advice.</p>
</body></html>
"""


def bars_of(result: SimulationResult) -> str:
    """Return the number of bars, their length, and whether their prices are adjusted, as text."""
    length = f" of {result.frequency}" if result.frequency else ""
    adjusted = ", adjusted for dividends and splits" if result.notes and result.notes.adjusted else ""
    return f"{len(result.bars):,} {'bar' if len(result.bars) == 1 else 'bars'}{length}{adjusted}"


def figures(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the figures of a simulation as names and texts, in display order."""
    return [
        ("Final equity", money(metrics.final_equity)),
        ("Return", percent(metrics.total_return)),
        ("Buy and hold", percent(metrics.buy_and_hold_return)),
        ("CAGR", percent(metrics.cagr)),
        ("Volatility", percent(metrics.volatility)),
        ("Sharpe ratio", ratio(metrics.sharpe)),
        ("Sortino ratio", ratio(metrics.sortino)),
        ("Calmar ratio", ratio(metrics.calmar)),
        ("Maximum drawdown", percent(metrics.max_drawdown)),
        ("Its length", f"{metrics.max_drawdown_bars:,} bars"),
        ("Exposure", percent(metrics.exposure)),
        ("Closed trades", f"{metrics.trade_count:,}"),
        ("Win rate", percent(metrics.win_rate)),
        ("Profit factor", ratio(metrics.profit_factor)),
        ("Expectancy", money(metrics.expectancy)),
        ("Best trade", money(metrics.best_trade)),
        ("Worst trade", money(metrics.worst_trade)),
        ("Fees", money(metrics.fees)),
    ]


def assumptions(strategy: Strategy) -> list[tuple[str, str]]:
    """Return the parameters of a simulated strategy as names and texts."""
    return [
        ("Fast average", f"{strategy.fast} bars"),
        ("Slow average", f"{strategy.slow} bars"),
        ("Cash", money(strategy.cash)),
        ("Filled at", "the next bar's open" if strategy.fill == "open" else "the close of the signal's bar"),
        ("Shares", "fractional" if strategy.fractional else "whole"),
        ("Commission per trade", format_decimal(strategy.commission_per_trade)),
        ("Commission per share", format_decimal(strategy.commission_per_share)),
        ("Commission", f"{format_decimal(strategy.commission_basis_points)} basis points"),
        ("Slippage", f"{format_decimal(strategy.slippage_basis_points)} basis points"),
    ]


def best_of(sweep: Sweep) -> str:
    """Return the best pair of a sweep, in words."""
    best, simulated = sweep.best(), sweep.simulated()
    if best is None:
        return f"it is not defined for any, so none is the best; {simulated.fast}/{simulated.slow} is simulated"
    return f"the best is {best.fast}/{best.slow}"


def percent(share: float | None) -> str:
    """Return a fraction in percent, or a dash if it is undefined."""
    return "–" if share is None else f"{share:,.2%}"  # noqa: RUF001 - a dash


def ratio(value: float | None) -> str:
    """Return a ratio with two decimals, or a dash if it is undefined."""
    if value is None:
        return "–"  # noqa: RUF001
    return "∞" if math.isinf(value) else f"{value:,.2f}"


def money(amount: Decimal | float | None) -> str:
    """Return an amount rounded to cents for display; the JSON result has all digits."""
    return "–" if amount is None else f"{amount:,.2f}"  # noqa: RUF001


def when(at: At) -> str:
    """Return a day, or an instant to the minute."""
    return f"{at:%Y-%m-%d %H:%M}" if isinstance(at, datetime) else f"{at}"


def _cards(metrics: Metrics) -> str:
    cards = [
        ("Return", percent(metrics.total_return), metrics.total_return),
        ("Buy and hold", percent(metrics.buy_and_hold_return), None),
        ("CAGR", percent(metrics.cagr), metrics.cagr),
        ("Sharpe ratio", ratio(metrics.sharpe), metrics.sharpe),
        ("Maximum drawdown", percent(metrics.max_drawdown), None),
        ("Closed trades", f"{metrics.trade_count:,}", None),
    ]
    return f'<dl class="cards">{"".join(_card(*card) for card in cards)}</dl>'


def _card(name: str, text: str, judged: float | None) -> str:
    return f'<div><dt>{name}</dt><dd class="{_judgement(judged)}">{text}</dd></div>'


def _judgement(value: float | Decimal | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def _charts(result: SimulationResult) -> str:
    labels = [when(bar.at) for bar in result.bars]
    closes = np.array([float(bar.close) for bar in result.bars])
    equity = np.array([float(bar.equity) for bar in result.bars])
    cash = float(result.strategy.cash)
    prices = [
        Line("close", "close", closes.tolist()),
        Line("fast", f"average of {result.strategy.fast}", _average(closes, result.strategy.fast)),
        Line("slow", f"average of {result.strategy.slow}", _average(closes, result.strategy.slow)),
    ]
    money_lines = [
        Line("held", "buy and hold", (cash * closes / closes[0]).tolist()),
        Line("equity", "equity", equity.tolist()),
    ]
    fall = Line(
        "drawdown", "below the peak, %", (100 * (equity / np.maximum.accumulate(equity) - 1)).tolist(), filled=True
    )
    return (
        svg.line_chart(_marked(len(result.trades)), labels, prices, _marks(result))
        + svg.line_chart("Equity", labels, money_lines)
        + f'<div class="shorter">{svg.line_chart("Drawdown", labels, [fall])}</div>'
    )


def _average(closes: "np.ndarray[tuple[int], np.dtype[np.float64]]", window: int) -> list[float | None]:
    """Return a simple moving average as floats, for display; None until there are enough closes."""
    sums = np.concatenate(([0], np.cumsum(closes)))
    known: list[float] = ((sums[window:] - sums[:-window]) / window).tolist()
    return [*[None] * (len(closes) - len(known)), *known]


def _marked(trades: int) -> str:
    return "Price" if trades <= TRADES_SHOWN else f"Price, and {TRADES_SHOWN:,} of {trades:,} trades"


def _marks(result: SimulationResult) -> list[Mark]:
    """Return marks for the entries and exits of trades; of very many trades, an even sample."""
    positions = {bar.at: position for position, bar in enumerate(result.bars)}
    marks = []
    for trade in (result.trades[number] for number in svg.some(len(result.trades), TRADES_SHOWN)):
        text = f"{when(trade.entry_at)}: bought {format_decimal(trade.shares)} at {format_decimal(trade.entry_price)}"
        marks.append(Mark("buy", positions[trade.entry_at], float(trade.entry_price), text))
        if trade.exit_at is not None and trade.exit_price is not None:
            text = f"{when(trade.exit_at)}: sold at {format_decimal(trade.exit_price)}, profit {money(trade.profit)}"
            marks.append(Mark("sell", positions[trade.exit_at], float(trade.exit_price), text))
    return marks


def _sweep(sweep: Sweep) -> str:
    fasts, slows = (sorted({getattr(pair, name) for pair in sweep.pairs}) for name in ("fast", "slow"))
    best = sweep.best()
    metric = sweep.metric.replace("_", " ")
    cells = [
        Cell(
            fasts.index(pair.fast),
            slows.index(pair.slow),
            pair.value,
            f"{pair.fast}/{pair.slow}: {metric} {ratio(pair.value)}",
            is_best=pair == best,
        )
        for pair in sweep.pairs
    ]
    title = f"{metric.capitalize()} of {len(sweep.pairs):,} pairs; {best_of(sweep)}"
    heat = svg.heat_map(title, ("fast", list(map(str, fasts))), ("slow", list(map(str, slows))), cells)
    return f'<h2>Sweep</h2><p class="warning">{escape(sweep.warning)}</p>{heat}'


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs)
    return f'<dl class="pairs">{rows}</dl>'


def _trades(result: SimulationResult) -> str:
    trades = result.trades
    if not trades:
        return f"<p>There was none. {escape(result.no_trades_reason or '')}</p>"
    head = "".join(
        f'<th class="{css}">{name}</th>'
        for name, css in (
            ("bought", ""), ("price", "number"), ("shares", "number"), ("sold", ""), ("price", "number"),
            ("fees", "number"), ("profit", "number"),
        )
    )  # fmt: skip
    rows = "".join(
        f'<tr><td>{when(trade.entry_at)}</td><td class="number">{money(trade.entry_price)}</td>'
        f'<td class="number">{trade.shares:,}</td><td>{when(trade.exit_at) if trade.exit_at else "still open"}</td>'
        f'<td class="number">{money(trade.exit_price)}</td><td class="number">{money(trade.fees)}</td>'
        f'<td class="number {_judgement(trade.profit)}">{money(trade.profit)}</td></tr>'
        for trade in trades[-TRADES_SHOWN:]
    )
    left_out = len(trades) - TRADES_SHOWN
    note = f"<p>The latest {TRADES_SHOWN:,} of {len(trades):,}; the result as JSON has all.</p>" if left_out > 0 else ""
    return f'{note}<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
