"""Events: the messages about trades, imports and alerts, with attribute names from CloudEvents."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from trading.analysis.announcements import AnalysisCompleted
from trading.core import values
from trading.prices.alert_rules import Alert
from trading.trades.changes import Correction, VoidedTrade
from trading.trades.imports.records import Import
from trading.trades.ledger import RecordedTrade, Trade


@dataclass(frozen=True, slots=True)
class TradeRecorded:
    """A trade was recorded. The id is that of its notification, so it is the same for every copy."""

    id: str
    type: Literal["trade.recorded.v1"]
    time: datetime
    data: Trade

    @classmethod
    def of(cls, trade: Trade, notification_id: str) -> "TradeRecorded":
        """Return the event of a trade."""
        return cls(notification_id, "trade.recorded.v1", trade.recorded_at, trade)

    @classmethod
    def of_new(cls, recorded: Iterable[RecordedTrade]) -> "list[TradeRecorded]":
        """Return an event for each newly recorded trade."""
        events = {
            entry.notification_id: cls.of(entry.trade, entry.notification_id)
            for entry in recorded
            if entry.notification_id
        }
        return list(events.values())

    def headline(self) -> str:
        """Return what happened in one line, such as `BUY 50 MSFT at 310.50`."""
        return _trade_line(self.data)

    def details(self) -> str:
        """Return which trade it is, its time, and who recorded it."""
        return f"{_trade_details(self.data)}, recorded by {self.data.recorded_by}."

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"ticker": self.data.ticker, "side": self.data.side}


@dataclass(frozen=True, slots=True)
class TradeVoided:
    """A trade was voided. The id is that of its notification."""

    id: str
    type: Literal["trade.voided.v1"]
    time: datetime
    data: VoidedTrade

    @classmethod
    def of(cls, voided: VoidedTrade, notification_id: str) -> "TradeVoided":
        """Return the event of a void."""
        return cls(notification_id, "trade.voided.v1", voided.voided_at, voided)

    def headline(self) -> str:
        """Return what happened in one line, such as `VOIDED BUY 50 MSFT at 310.50`."""
        return f"VOIDED {_trade_line(self.data)}"

    def details(self) -> str:
        """Return which trade it was, who voided it, and why."""
        return f"{_trade_details(self.data)}, voided by {self.data.voided_by}: {self.data.void_reason}"

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"ticker": self.data.ticker, "side": self.data.side}


@dataclass(frozen=True, slots=True)
class TradeCorrected:
    """A trade was voided and replaced by another. The id is that of its notification."""

    id: str
    type: Literal["trade.corrected.v1"]
    time: datetime
    data: Correction

    @classmethod
    def of(cls, correction: Correction, notification_id: str) -> "TradeCorrected":
        """Return the event of a correction."""
        return cls(notification_id, "trade.corrected.v1", correction.voided.voided_at, correction)

    def headline(self) -> str:
        """Return what happened in one line, such as `CORRECTED to BUY 50 MSFT at 311.50`."""
        return f"CORRECTED to {_trade_line(self.data.recorded)}"

    def details(self) -> str:
        """Return the old and the new trade, who corrected it, and why."""
        old, new = self.data.voided, self.data.recorded
        return (
            f"It was {_trade_line(old)}: {_trade_details(old)}. {_trade_details(new)} replaces it,"
            f" corrected by {old.voided_by}: {old.void_reason}"
        )

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use: those of the replacement."""
        return {"ticker": self.data.recorded.ticker, "side": self.data.recorded.side}


@dataclass(frozen=True, slots=True)
class ImportCompleted:
    """A broker file was imported. The id is that of its notification."""

    id: str
    type: Literal["import.completed.v1"]
    time: datetime
    data: Import

    @classmethod
    def of(cls, imported: Import, notification_id: str) -> "ImportCompleted":
        """Return the event of a completed import."""
        return cls(notification_id, "import.completed.v1", imported.completed_at or imported.recorded_at, imported)

    def headline(self) -> str:
        """Return what happened in one line, such as `IMPORTED 120 trades into main`."""
        return f"IMPORTED {self.data.recorded:,} trades into {self.data.account}"

    def details(self) -> str:
        """Return what was imported by whom, and the outcomes of the other rows."""
        data = self.data
        return (
            f"Import {data.id}, a file of the format {data.format}, recorded by {data.recorded_by}."
            f" Of {data.rows_read:,} rows, {data.already_recorded:,} were recorded before,"
            f" {data.skipped:,} were skipped and {data.rejected:,} rejected."
        )

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"account": self.data.account}


@dataclass(frozen=True, slots=True)
class ImportVoided:
    """An import and all its trades were voided. The id is that of its notification."""

    id: str
    type: Literal["import.voided.v1"]
    time: datetime
    data: Import

    @classmethod
    def of(cls, imported: Import, notification_id: str) -> "ImportVoided":
        """Return the event of a voided import."""
        return cls(notification_id, "import.voided.v1", imported.voided_at or imported.recorded_at, imported)

    def headline(self) -> str:
        """Return what happened in one line, such as `VOIDED an import of 120 trades into main`."""
        return f"VOIDED an import of {self.data.recorded:,} trades into {self.data.account}"

    def details(self) -> str:
        """Return which import it was, who voided it, and why."""
        return f"Import {self.data.id}, voided by {self.data.voided_by}: {self.data.void_reason}"

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"account": self.data.account}


@dataclass(frozen=True, slots=True)
class PriceAlerted:
    """A price met an alert rule. The id is that of its notification."""

    id: str
    type: Literal["price.alerted.v1"]
    time: datetime
    data: Alert

    @classmethod
    def of(cls, alert: Alert, notification_id: str) -> "PriceAlerted":
        """Return the event of an alert."""
        return cls(notification_id, "price.alerted.v1", alert.timestamp, alert)

    def headline(self) -> str:
        """Return what happened in one line, such as `ALERT AAPL +2.14 % in 41 s`."""
        return self.data.headline()

    def details(self) -> str:
        """Return the prices with their times, and the rule."""
        alert = self.data
        origin = alert.origin()
        begin = f"From {origin[0]:f} at {origin[1]:%H:%M:%S} to {alert.price:f}" if origin else f"{alert.price:f}"
        return f"{begin} at {alert.timestamp:%H:%M:%S} on {alert.timestamp:%Y-%m-%d}, UTC. Rule: {alert.rule}."

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"ticker": self.data.ticker}


# All of them are published to the topic; those written in the database through the outbox.
type Event = (
    TradeRecorded | TradeVoided | TradeCorrected | ImportCompleted | ImportVoided | PriceAlerted | AnalysisCompleted
)

KINDS: dict[str, type[Event]] = {get_args(kind.__annotations__["type"])[0]: kind for kind in get_args(Event.__value__)}


def read(text: str) -> Event:
    """Parse the event in a message; unknown members are ignored.

    Raises:
        ValueError: the text is not an event of this system (pydantic's ValidationError is a ValueError).
    """
    message = values.read_json(text)
    kind = str(message.get("type")) if isinstance(message, dict) else ""
    if kind not in KINDS:
        raise ValueError("this is not an event of this system")
    return values.adapter(KINDS[kind]).validate_python(message)


def write(event: Event) -> str:
    """Return an event as the JSON of a message."""
    return values.adapter(KINDS[event.type]).dump_json(event).decode()


def _trade_line(trade: Trade) -> str:
    return f"{trade.side} {trade.quantity:f} {trade.ticker} at {trade.price:f}"


def _trade_details(trade: Trade) -> str:
    return f"Trade {trade.id} of {trade.timestamp:%Y-%m-%d %H:%M:%S} UTC"
