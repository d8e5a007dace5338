"""The sample of each format, and what is in it."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from trading.trades.imports import reading
from trading.trades.imports.catalog import FORMATS
from trading.trades.imports.options import Options
from trading.trades.imports.reading import FileReading
from trading.trades.imports.rows import FileTrade

FOLDER = Path(__file__).parent / "samples"
GENERIC = Options(
    format="generic",
    columns={
        "ticker": "Symbol",
        "timestamp": "Day",
        "time": "Clock",
        "quantity": "Shares",
        "price": "Unit cost",
        "fee": "Broker fee",
        "currency": "Ccy",
    },
    date_format="%d.%m.%Y %H:%M",
)
NAMES = [*FORMATS, "generic"]


def options(name: str) -> Options:
    return GENERIC if name == "generic" else Options()


def sample(name: str) -> bytes:
    return (FOLDER / f"{name}.csv").read_bytes()


def read(name: str, data: bytes | None = None) -> FileReading:
    return reading.read(sample(name) if data is None else data, options(name))


def told(trade: FileTrade) -> str:
    """Return what a trade is, without where it stood."""
    parts = (trade.side, trade.quantity, trade.ticker, trade.price, trade.fee, trade.currency, trade.account)
    return f"{trade.timestamp:%Y-%m-%d %H:%M:%S} {' '.join(map(str, parts))}"


def delimiter(name: str) -> str:
    return ";" if name in {"swissquote", "generic"} else ","


def rewritten(name: str, change: Callable[[list[list[str]]], list[list[str]]]) -> bytes:
    """Return a sample whose rows were changed."""
    mark = delimiter(name)
    rows = list(csv.reader(io.StringIO(sample(name).decode(), newline=""), delimiter=mark, skipinitialspace=True))
    text = io.StringIO()
    csv.writer(text, delimiter=mark, lineterminator="\n").writerows(change(rows))
    return text.getvalue().encode()


def header_of(name: str, rows: list[list[str]]) -> int:
    """Return the position of a sample's header among its rows."""
    wanted = set(GENERIC.columns.values()) if name == "generic" else set(FORMATS[name].header)
    return next(position for position, row in enumerate(rows) if wanted <= set(row))
