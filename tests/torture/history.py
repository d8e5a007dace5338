"""The history of a system under fire, and what it shows to be wrong.

A history holds each request with its answer and both times, what the topic's subscriber heard, and the ledger at the
end. `problems` is a function of it alone: `python -m tests.torture.history FILE` judges a history that was kept.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter

from tests.trading.trades.reckoning import Key, Row, positions_of

EXPECTED = {"200", "201", "503 with Retry-After", "none"}
GOOD = {"200", "201"}
TRADES = "/api/trades"
FACTS = ("id", "ticker", "side", "client_trade_id", "account", "currency")


@dataclass(frozen=True)
class Call:
    """A request of a client's, when it was sent and answered, in seconds, and its answer; its status may be `none`."""

    client: str
    method: str
    path: str
    body: Any
    asked_at: float
    answered_at: float
    status: str
    answer: Any = None
    next_path: str | None = None  # of the page after this one

    @property
    def is_good(self) -> bool:
        """Whether it was done."""
        return self.status in GOOD


@dataclass(frozen=True)
class Heard:
    """A message that the subscriber of the topic got."""

    at: float
    event: Any


@dataclass(frozen=True)
class Kill:
    """A process that was killed."""

    at: float
    part: str


@dataclass
class History:
    """What happened; times are one clock's."""

    seed: int
    calls: list[Call] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # why clients gave up
    kills: list[Kill] = field(default_factory=list)
    calm_from: float = 0  # nothing was killed from then on, and everything answered
    heard: list[Heard] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)  # of the ledger, at the end
    changes: dict[int, int | None] = field(
        default_factory=dict
    )  # of the ledger: id of a voided trade: its replacement's

    def write(self, file: Path) -> None:
        """Keep it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_HISTORY.dump_json(self))

    @classmethod
    def read(cls, file: Path) -> "History":
        """Read one that was kept."""
        return _HISTORY.validate_json(file.read_bytes())


_HISTORY = TypeAdapter(History)

type Facts = tuple[Any, ...]


def facts(trade: Mapping[str, Any]) -> Facts:
    """Return what never changes of a trade, however it is spelled."""
    numbers = (Fraction(str(trade[name])) for name in ("price", "quantity", "fee"))
    return (*(trade[name] for name in FACTS), datetime.fromisoformat(trade["timestamp"]), *numbers)


@dataclass
class Known:
    """What clients know of a trade: since when it may be there, since when it must, and the same of its void."""

    trade: Mapping[str, Any]
    facts: Facts
    asked_at: float
    answered_at: float
    void_asked_at: float = float("inf")
    void_answered_at: float = float("inf")
    replaced_by: int | None = None


class Story:
    """A history, and what follows from it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.known: dict[int, Known] = {}
        self.contradictions: list[str] = []
        self._first_asked: dict[tuple[str, str], float] = {}
        for call in sorted(history.calls, key=lambda call: call.asked_at):
            if call.method == "POST":
                self._first_asked.setdefault(self._work(call), call.asked_at)
        for call in sorted(history.calls, key=lambda call: call.answered_at):
            if call.method == "POST" and call.is_good:
                self._learn(call)

    @cached_property
    def ledger(self) -> dict[int, Facts]:
        """The trades of the ledger at the end."""
        return {trade["id"]: facts(trade) for trade in self.history.trades}

    @cached_property
    def written_by(self) -> float:
        """When the last change was answered."""
        return max((call.answered_at for call in self.history.calls if call.method == "POST"), default=0)

    def _work(self, call: Call) -> tuple[str, str]:
        return call.path, (call.body or {}).get("client_trade_id", "")

    def _learn(self, call: Call) -> None:
        asked_at, told = self._first_asked[self._work(call)], facts(call.answer)
        if call.path.endswith("/void"):
            self._void(int(call.path.split("/")[-2]), asked_at, call.answered_at, None)
            return
        if call.path.endswith("/correct"):
            self._void(int(call.path.split("/")[-2]), asked_at, call.answered_at, call.answer["id"])
        known = self.known.setdefault(call.answer["id"], Known(call.answer, told, asked_at, call.answered_at))
        if known.facts != told:
            self.contradictions.append(f"trade {call.answer['id']} was answered as {known.facts} and as {told}")

    def _void(self, trade_id: int, asked_at: float, answered_at: float, replaced_by: int | None) -> None:
        known = self.known[trade_id]
        if known.void_answered_at < answered_at and known.replaced_by != replaced_by:
            self.contradictions.append(f"trade {trade_id} was replaced by {known.replaced_by} and by {replaced_by}")
        known.void_asked_at = min(known.void_asked_at, asked_at)
        known.void_answered_at = min(known.void_answered_at, answered_at)
        known.replaced_by = replaced_by


def problems(history: History) -> list[str]:
    """Return what must not be, a sentence for each: nothing where all is well."""
    story = Story(history)
    return [
        *history.failures,
        *story.contradictions,
        *_of_answers(history),
        *_of_the_ledger(story),
        *(problem for reading in readings(history.calls) for problem in _of_a_reading(story, reading)),
        *_of_positions(story),
        *_of_announcements(story),
    ]


def _of_answers(history: History) -> Iterator[str]:
    for status, count in Counter(call.status for call in history.calls).items():
        if status not in EXPECTED:
            yield f"{count} answers were {status}"
    created: dict[str, set[int]] = defaultdict(set)
    answers: Counter[str] = Counter()
    for call in history.calls:
        if call.path == TRADES and call.method == "POST" and call.is_good:
            created[call.body["client_trade_id"]].add(call.answer["id"])
            answers[call.body["client_trade_id"]] += call.status == "201"
    for key, ids in created.items():
        if len(ids) > 1 or answers[key] > 1:
            yield f"{key} was recorded {answers[key]} times, as {sorted(ids)}"


def _of_the_ledger(story: Story) -> Iterator[str]:
    history = story.history
    for trade_id, known in story.known.items():
        if trade_id not in story.ledger:
            yield f"trade {trade_id} is lost"
        elif story.ledger[trade_id] != known.facts:
            yield f"trade {trade_id} was answered as {known.facts} and is {story.ledger[trade_id]}"
        if known.void_answered_at < float("inf") and trade_id not in history.changes:
            yield f"the void of trade {trade_id} is lost"
        elif history.changes.get(trade_id) != known.replaced_by:
            yield f"trade {trade_id} was replaced by {known.replaced_by} and is by {history.changes[trade_id]}"
    for trade_id in story.ledger.keys() - story.known.keys():
        yield f"trade {trade_id} is in the ledger, and nobody was told of it"
    for trade_id in history.changes:
        if trade_id in story.known and story.known[trade_id].void_asked_at == float("inf"):
            yield f"trade {trade_id} is voided, and nobody asked for it"


def readings(calls: Iterable[Call]) -> list[list[Call]]:
    """Return the pages of trades that clients read, from each first one to its last."""
    found: list[list[Call]] = []
    current: dict[str, list[Call]] = {}
    for call in calls:
        if call.method == "GET" and urlsplit(call.path).path == TRADES and call.is_good:
            if "cursor" not in parse_qs(urlsplit(call.path).query):
                current[call.client] = []
            current[call.client].append(call)
            if call.next_path is None:
                found.append(current.pop(call.client))
    return found


def _of_a_reading(story: Story, pages: Sequence[Call]) -> Iterator[str]:
    query = {name: values[0] for name, values in parse_qs(urlsplit(pages[0].path).query).items()}
    read = [trade for page in pages for trade in page.answer]
    found = [
        *_of_the_order(read),
        *_of_each_page(story, pages, query),
        *_of_what_is_due(story, pages, query),
        *(
            f"trade {trade['id']} as {facts(trade)}, which is {story.ledger.get(trade['id'])}"
            for trade in read
            if story.ledger.get(trade["id"]) != facts(trade)
        ),
    ]
    yield from (f"{pages[0].client} read {pages[0].path}: {problem}" for problem in found)


def _of_the_order(read: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = [(datetime.fromisoformat(trade["timestamp"]), trade["id"]) for trade in read]
    if any(later >= earlier for earlier, later in pairwise(keys)):
        yield "not the newest first, each once"


def _of_each_page(story: Story, pages: Sequence[Call], query: Mapping[str, str]) -> Iterator[str]:
    for page in pages:
        size, limit = len(page.answer), int(query["limit"])
        if size > limit or (page.next_path and size < limit):
            yield f"a page of {size}"
        ids = {trade["id"] for trade in page.answer}
        if query["status"] == "active" and (both := {story.history.changes.get(each) for each in ids} & ids):
            yield f"{both} beside what they replace"


def _of_what_is_due(story: Story, pages: Sequence[Call], query: Mapping[str, str]) -> Iterator[str]:
    began, ended, is_active = pages[0].asked_at, pages[-1].answered_at, query["status"] == "active"
    ids = {trade["id"] for page in pages for trade in page.answer}
    for trade_id, known in story.known.items():
        if any(known.trade[name] != value for name, value in query.items() if name in FACTS):
            continue
        is_due = known.answered_at < began and not (is_active and known.void_asked_at < ended)
        if is_due and trade_id not in ids:
            yield f"trade {trade_id} is skipped, which was answered before"
        if is_active and known.void_answered_at < began and trade_id in ids:
            yield f"trade {trade_id}, whose void was answered before"


def _of_positions(story: Story) -> Iterator[str]:
    expected, are_read = _expected_positions(story), False
    for call in story.history.calls:
        if call.method != "GET" or call.path != "/api/positions" or not call.is_good:
            continue
        counts = {_key(position): position["trade_count"] for position in call.answer}
        for key, (least, most) in _counts(story, call).items():
            if not least <= counts.get(key, 0) <= most:
                yield f"{call.client} read {counts.get(key, 0)} trades of {key}, of which there were {least} to {most}"
        if call.asked_at > story.written_by:
            are_read = True
            names = ("quantity", "cost_basis", "realized_profit", "fees", "trade_count")
            found = {_key(each): tuple(Fraction(each[name]) for name in names) for each in call.answer}
            for key in {key for key, _ in found.items() ^ expected.items()}:
                yield f"the position {key} is {found.get(key)}, and its trades come to {expected.get(key)}"
    if not are_read:
        yield "nobody read the positions at the end"


def _key(trade: Mapping[str, Any]) -> Key:
    return trade["account"], trade["ticker"], trade["currency"]


def _counts(story: Story, call: Call) -> dict[Key, tuple[int, int]]:
    """Return how many active trades of each position there were at least, and at most, while positions were read."""
    bounds: dict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for known in story.known.values():
        key = _key(known.trade)
        least, most = bounds[key]
        certain = known.answered_at < call.asked_at and known.void_asked_at > call.answered_at
        possible = known.asked_at < call.answered_at and known.void_answered_at > call.asked_at
        bounds[key] = least + certain, most + possible
    return bounds


def _expected_positions(story: Story) -> dict[Key, tuple[Fraction, ...]]:
    rows = [
        Row(
            _key(trade),
            trade["id"],
            datetime.fromisoformat(trade["timestamp"]),
            trade["side"],
            Fraction(trade["quantity"]),
            Fraction(trade["price"]) * Fraction(trade["quantity"]),
            Fraction(trade["fee"]),
            (),
        )
        for trade in story.history.trades
        if trade["id"] not in story.history.changes
    ]
    return {
        key: (each.quantity, each.cost_basis, each.realized_profit, each.fees, Fraction(each.trade_count))
        for key, each in positions_of(rows).items()
    }


def _of_announcements(story: Story) -> Iterator[str]:
    told = _told(story.history.heard)
    expected = dict(_due_announcements(story))
    for (type_, trade_id), asked_at in expected.items():
        name, events = f"{type_} of trade {trade_id}", told.get((type_, trade_id), {})
        if len(events) != 1:
            yield f"{name} has the ids {sorted(events)}" if events else f"{name} was not heard"
        for messages in events.values():
            if len(messages) > 1 and asked_at > story.history.calm_from:
                yield f"{name} was heard {len(messages)} times, and nothing was killed"
            for data in messages:
                for trade in data.values() if "voided" in data else [data]:
                    if facts(trade) != story.ledger.get(trade["id"]):
                        yield f"{name} tells of {facts(trade)}"
    for type_, trade_id in told.keys() - expected.keys():
        yield f"{type_} of trade {trade_id} was heard, and did not happen"


def _told(heard: Iterable[Heard]) -> dict[tuple[str, int], dict[str, list[Any]]]:
    """Return the data of events by their type and trade, and their ids."""
    told: dict[tuple[str, int], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for each in heard:
        data = each.event["data"]
        if each.event["type"] != "price.alerted.v1":  # of the feed that runs beside
            told[each.event["type"], data.get("voided", data)["id"]][each.event["id"]].append(data)
    return told


def _due_announcements(story: Story) -> Iterator[tuple[tuple[str, int], float]]:
    """Yield what must be announced, and since when it may be."""
    replacements = set(story.history.changes.values())
    for trade_id in story.ledger.keys() - replacements:
        yield ("trade.recorded.v1", trade_id), story.known[trade_id].asked_at if trade_id in story.known else 0
    for trade_id, replaced_by in story.history.changes.items():
        type_ = "trade.corrected.v1" if replaced_by else "trade.voided.v1"
        yield (type_, trade_id), story.known[trade_id].void_asked_at if trade_id in story.known else 0


def main(file: str) -> int:
    """Say what is wrong in a history that was kept."""
    found = problems(History.read(Path(file)))
    print("\n".join(found) or "Nothing is wrong.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
