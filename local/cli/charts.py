"""Bar charts of the volume and the average price of each ticker in a trade file."""

from collections.abc import Sequence
from heapq import nlargest
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, StrMethodFormatter

from trading.analysis.summary import Summary, TickerSummary

SHOWN = 40
SIDE_BY_SIDE = 12  # tickers whose names fit horizontally
VOLUME, PRICE = "#2f6f9f", "#c9772b"
PALE, DARK = "#d9dde1", "#30363c"


def draw(summary: Summary, title: str, file: Path) -> None:
    """Write the chart of a summary, in the format of the file's suffix.

    With more than 40 tickers it shows only the 40 with the largest volume, and says so.

    Raises:
        OSError: the file cannot be written.
    """
    largest = nlargest(SHOWN, summary.tickers, key=lambda each: each.total_volume)
    tickers = sorted(largest, key=lambda each: each.ticker)
    # Keep text as text, and make the output deterministic.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "trades", "text.color": DARK}):
        figure = Figure(
            figsize=(max(6.4, 1.6 + 0.3 * len(tickers)), 6.4), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
        )
        volumes, prices = figure.subplots(2, sharex=True)
        figure.suptitle(title, fontsize=14, fontweight="bold", parse_math=False)  # a $ is not math markup
        _bars(volumes, tickers, "Volume", [float(each.total_volume) for each in tickers], VOLUME)
        _bars(prices, tickers, "Average price", [float(each.average_price) for each in tickers], PRICE)
        volumes.yaxis.set_major_formatter(EngFormatter(sep=""))
        prices.yaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
        if len(tickers) < len(summary.tickers):
            figure.supxlabel(f"The {SHOWN} of {len(summary.tickers):,} tickers with the largest volume", fontsize=10)
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)


def _bars(axes: Axes, tickers: Sequence[TickerSummary], name: str, heights: Sequence[float], colour: str) -> None:
    axes.set_title(name, loc="left", fontsize=11)
    axes.bar(range(len(tickers)), heights, width=0.7, color=colour, zorder=2)
    axes.set_xticks(
        range(len(tickers)), [each.ticker for each in tickers], rotation=90 if len(tickers) > SIDE_BY_SIDE else 0
    )
    beside = max(0.75, 2.5 - len(tickers) / 2)  # margins that keep a few bars narrow and centered
    axes.set_xlim(-beside, len(tickers) - 1 + beside)
    axes.tick_params(length=0, labelsize=9, colors=DARK, labelbottom=True)
    axes.grid(axis="y", color=PALE, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(PALE)
