"""Checkpoints: a cache of computed positions, so that the next read continues from there.

A checkpoint is valid until something is recorded that belongs before its end: a late trade, a change of a trade, or
other splits. Then the last mark before that is used instead.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import takewhile
from typing import Any, Literal

from trading.core import database
from trading.trades.fifo import Key, Profit, State
from trading.trades.snapshots import PositionKey, Shares, Snapshot, columns, day_of, instant_of, timestamp_of

type Method = Literal["fifo", "average"]

VERSION = 2  # of the stored format; checkpoints of other versions are ignored
TRADES_OF_A_MARK = 5_000  # the minimum between two marks


# Realized profit by the day of the closing trade.
type Days = dict[str, Profit]


@dataclass(slots=True)
class History:
    """What led to a state: its marks, which are the states at the ends of some days, and the profit of each day."""

    marks: list[State] = field(default_factory=list)
    days: Days = field(default_factory=dict)

    def before(self, key: Key) -> "History":
        """Return the history up to the last mark before a trade, or an empty one if there is no such mark."""
        marks = list(takewhile(lambda mark: mark.last < key, self.marks))
        last_day = day_of(marks[-1].last[0]) if marks else ""
        return History(marks, {day: profit for day, profit in self.days.items() if day <= last_day})

    def followed_by(self, marks: Sequence[State], days: Days) -> "History":
        """Return this history extended by later marks and days.

        If the later days include the day of the last mark, that mark is no longer the day's end and is dropped.
        """
        marks_left = takewhile(lambda mark: day_of(mark.last[0]) not in days, self.marks)
        longer = History(list(marks_left), {day: Profit(*astuple(profit)) for day, profit in self.days.items()})
        for mark in marks:
            if not longer.marks or mark.trade_count - longer.marks[-1].trade_count >= TRADES_OF_A_MARK:
                longer.marks.append(mark)
        for day, profit in days.items():
            longer.days.setdefault(day, Profit()).add(profit)
        return longer


@dataclass(frozen=True, slots=True)
class Start:
    """A state from which a position can be continued, and its history if that was read."""

    state: State
    history: History | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state to store, from which a later read can continue."""

    key: PositionKey
    method: Method
    splits: list[int]
    state: State
    history: History


_LOAD = """
select number, checkpoint.splits, checkpoint.state, broken.timestamp, broken.id
from unnest(%(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[])
with ordinality as wanted(account, ticker, currency, number)
join position_checkpoints as checkpoint on checkpoint.account = wanted.account and checkpoint.ticker = wanted.ticker
    and checkpoint.currency = wanted.currency and method = %(method)s and version = %(version)s
left join lateral (
    select * from (
        select timestamp, id from trades
        where account = wanted.account and ticker = wanted.ticker and currency = wanted.currency
        and recorded_at - timestamp > interval '1 minute' and recorded_at >= checkpoint.covered_before
        and (timestamp, id) <= (checkpoint.last_at, checkpoint.last_id)
        union all
        select traded_at, trade_id from trade_changes
        where account = wanted.account and ticker = wanted.ticker and currency = wanted.currency
        and changed_at >= checkpoint.covered_before
        and (traded_at, trade_id) <= (checkpoint.last_at, checkpoint.last_id)
    ) as since order by timestamp, id limit 1
) as broken on true
"""


def load(
    snapshot: Snapshot, keys: Sequence[PositionKey], method: Method, shares: Mapping[str, Shares]
) -> dict[PositionKey, Start]:
    """Return the start of each position that has a valid checkpoint, or a valid mark of one."""
    snapshot.cursor.execute(_LOAD, {**columns(keys), "method": method, "version": VERSION})
    starts, broken = {}, {}
    for number, splits, state, broken_at, broken_id in snapshot.cursor.fetchall():
        key = keys[number - 1]
        if splits != shares[key.ticker].splits:
            continue
        if broken_at is None:
            starts[key] = Start(_state(state), None)
        else:
            broken[key] = timestamp_of(broken_at), broken_id
    for key, history in histories(snapshot, list(broken), method).items():
        earlier = history.before(broken[key])
        if earlier.marks:
            starts[key] = Start(earlier.marks[-1], earlier)
    return starts


def histories(snapshot: Snapshot, keys: Sequence[PositionKey], method: Method) -> dict[PositionKey, History]:
    """Return the histories of the checkpoints of these positions, which must exist."""
    if not keys:
        return {}
    snapshot.cursor.execute(
        """
        select account, ticker, currency, marks, days from position_checkpoints
        where (account, ticker, currency) in (
            select * from unnest(%(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[])
        ) and method = %(method)s
        """,
        {**columns(keys), "method": method},
    )
    return {
        PositionKey(*key): History([_state(mark) for mark in marks], {day: Profit(*profit) for day, *profit in days})
        for *key, marks, days in snapshot.cursor.fetchall()
    }


_SAVE = """
insert into position_checkpoints as held (
    account, ticker, currency, method, version, covered_before, last_at, last_id, splits, state, marks, days
)
select account, ticker, currency, method, %(version)s, %(covered_before)s, last_at, last_id, splits, state, marks, days
from json_to_recordset(%(checkpoints)s) as reached(
    account text, ticker text, currency text, method text, last_at timestamptz, last_id bigint, splits bigint[],
    state json, marks json, days json
)
order by account, ticker, currency
on conflict (account, ticker, currency, method) do update set
    version = excluded.version, covered_before = excluded.covered_before, last_at = excluded.last_at,
    last_id = excluded.last_id, splits = excluded.splits, state = excluded.state, marks = excluded.marks,
    days = excluded.days
where held.covered_before < excluded.covered_before or held.version <> excluded.version
"""


def save(snapshot: Snapshot, reached: Sequence[Checkpoint]) -> None:
    """Store checkpoints of a snapshot, unless later ones are already stored.

    Raises:
        database.DatabaseUnavailableError: the database does not answer.
    """
    if not reached:
        return
    rows = [
        {
            **checkpoint.key._asdict(),
            "method": checkpoint.method,
            "last_at": str(instant_of(checkpoint.state.last[0])),
            "last_id": checkpoint.state.last[1],
            "splits": checkpoint.splits,
            "state": astuple(checkpoint.state),
            "marks": [astuple(mark) for mark in checkpoint.history.marks],
            "days": [(day, *astuple(profit)) for day, profit in checkpoint.history.days.items()],
        }
        for checkpoint in reached
    ]
    parameters = {"checkpoints": json.dumps(rows), "covered_before": snapshot.covered_before, "version": VERSION}
    database.run(lambda cursor: cursor.execute(_SAVE, parameters), repeatable=True)


def _state(values: Sequence[Any]) -> State:
    parts: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]  # JSON has no tuples
    return State(*parts)
