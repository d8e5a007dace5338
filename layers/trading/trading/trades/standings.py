"""Standings: the state of positions in one snapshot, each computed from its checkpoint."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from trading.core import database
from trading.core.errors import UnavailableError
from trading.trades import checkpoints
from trading.trades.average_cost import AverageCost
from trading.trades.checkpoints import Checkpoint, Days, History, Method, Start
from trading.trades.fifo import Entry, Fifo, Key, Match, Profit, State
from trading.trades.snapshots import Chunk, PositionKey, Shares, Snapshot, day_of

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

FIRST_TRADES = 200  # per position, read for many positions at once
FIRST_LOTS = 20
CHUNK = 10_000  # trades of one position
DAY = timedelta(days=1) // timedelta(microseconds=1)
POSITIONS_AT_ONCE = 200
WORTH_KEEPING = 50  # trades that a checkpoint must save the next read
READING_SECONDS = 20.0  # API Gateway waits for 30


class StillReadingError(UnavailableError):
    """There are more new trades than one request can read in time; the next request continues from there."""


class Standing:
    """The state of a position, and its marks and days since the state it was continued from."""

    def __init__(self, key: PositionKey, method: Method, shares: Shares, start: Start, first_unsettled: Key) -> None:
        self.key = key
        self.method = method
        self.shares = shares
        self.start = start
        self.state = replace(start.state)
        self.marks: list[State] = []  # at the ends of days
        self.days: Days = {}
        self._first_unsettled = first_unsettled
        # What a checkpoint may cover: a state, the number of marks before it, and the days until then.
        self._covered: tuple[State, int, Days] = start.state, 0, {}
        self._is_covered = True  # whether a checkpoint may cover all trades so far

    def add(self, engine: Fifo | AverageCost, entries: Sequence[Entry]) -> None:
        """Apply further trades."""
        if self._is_covered:
            settled = bisect_left(entries, self._first_unsettled)
            self._match(engine, entries[:settled])
            entries = entries[settled:]
            if entries:
                self.end_cover()
        self._match(engine, entries)

    def end_cover(self) -> None:
        """Let a checkpoint cover the trades so far, and none that follow."""
        if self._is_covered:
            self._covered = replace(self.state), len(self.marks), deepcopy(self.days)
            self._is_covered = False

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a checkpoint would save the next read enough trades."""
        return self._covered[0].trade_count - self.start.state.trade_count >= WORTH_KEEPING

    def checkpoint(self, history: History) -> Checkpoint:
        """Return a checkpoint for the next read; `history` is that of the start."""
        state, marks, days = self._covered
        history = history.followed_by(self.marks[:marks], days)
        return Checkpoint(self.key, self.method, self.shares.splits, state, history)

    def _match(self, engine: Fifo | AverageCost, entries: Sequence[Entry]) -> None:
        """Apply trades day by day, and mark where the last day begins."""
        end = 0
        while end < len(entries):
            begin = end
            day = entries[begin][0] // DAY
            end = bisect_left(entries, ((day + 1) * DAY,), begin)
            if end == len(entries) and self.state.trade_count and self.state.last[0] // DAY != day:
                self.marks.append(replace(self.state))
            earned = engine.match(entries[begin:end])
            if earned.matches:
                self.days.setdefault(day_of(entries[begin][0]), Profit()).add(earned)


class Reading:
    """A snapshot of the ledger and the positions computed from it."""

    def __init__(self, cursor: "Cursor", as_of: datetime | None, end: float, reader: ThreadPoolExecutor) -> None:
        self.snapshot = Snapshot(cursor, as_of)
        self._reader = reader  # one thread: a connection answers one statement at a time
        self._end = end
        self._reached: list[Checkpoint] = []

    def pages(
        self, account: str | None, after: PositionKey | None = None, at_once: int = POSITIONS_AT_ONCE
    ) -> Iterator[list[PositionKey]]:
        """Yield the keys of all positions in order, `at_once` at a time."""
        while keys := self.snapshot.keys(account, after, at_once):
            yield keys
            after = keys[-1]

    def standings(self, keys: Sequence[PositionKey], method: Method = "fifo") -> list[Standing]:
        """Return the standings of these positions; those without trades are omitted.

        Raises:
            StillReadingError: time ran out; the progress is saved.
        """
        if not keys:
            return []
        shares = self.snapshot.shares({key.ticker for key in keys})
        starts = {} if self.snapshot.as_of else checkpoints.load(self.snapshot, keys, method, shares)
        beginning = Start(State(), History())
        unsettled = self.snapshot.first_unsettled(keys)
        standings = [
            Standing(key, method, shares[key.ticker], starts.get(key, beginning), unsettled[key]) for key in keys
        ]
        try:
            self._carry_on(standings, shares)
        except StillReadingError:
            for standing in standings:
                standing.end_cover()
            self._keep(standings)
            raise
        self._keep(standings)
        return [standing for standing in standings if standing.state.trade_count]

    def days(self, standings: Sequence[Standing]) -> Iterator[tuple[PositionKey, str, Profit]]:
        """Yield the profit of each standing by day; a day may occur twice."""
        before = self._histories_of_starts(standings)
        for standing in standings:
            for days in (before[standing.key].days, standing.days):
                for day, profit in days.items():
                    yield standing.key, day, profit

    def stretches(self, standing: Standing) -> list[tuple[State, State]]:
        """Return consecutive pairs of states that span a standing's matches, some thousand trades each, in order."""
        before = self._histories_of_starts([standing])[standing.key]
        states = [State(), *before.marks, *standing.marks, standing.state]
        return [(begin, end) for begin, end in pairwise(states) if begin.matches < end.matches]

    def matches(self, standing: Standing, begin: State, end: State) -> list[Match]:
        """Return a position's FIFO matches from one state to another.

        Raises:
            StillReadingError: time ran out.
        """
        engine = self._fifo(standing, replace(begin))
        found: list[Match] = []
        while left := end.trade_count - engine.state.trade_count:
            self._check_time()
            engine.match(self._entries(standing, engine.state.last, min(left, CHUNK)).entries, found)
        return found

    def lots(self, standing: Standing, after: Key, limit: int) -> list[Entry]:
        """Return the first `limit` trades after a key on the open side of a position."""
        return self._entries(standing, after, limit, bought=standing.state.shares > 0).entries

    def save(self) -> None:
        """Store checkpoints of the computed positions, after the snapshot's transaction has ended.

        Raises:
            database.DatabaseUnavailableError: the database does not answer.
        """
        checkpoints.save(self.snapshot, self._reached)

    def _carry_on(self, standings: Sequence[Standing], shares: Mapping[str, Shares]) -> None:
        chunks = self.snapshot.entries({each.key: each.state.last for each in standings}, shares, FIRST_TRADES)
        lots = self._first_lots([each for each in standings if _closes(each.state, chunks[each.key])], shares)
        for standing in standings:
            engine = (
                self._fifo(standing, standing.state, lots.get(standing.key, []))
                if standing.method == "fifo"
                else AverageCost(standing.state)
            )
            for chunk in self._chunks(standing, chunks[standing.key]):
                standing.add(engine, chunk.entries)
            standing.end_cover()

    def _first_lots(
        self, standings: Sequence[Standing], shares: Mapping[str, Shares]
    ) -> dict[PositionKey, list[Entry]]:
        """Return the first open lots of the standings that have any, read in one statement."""
        states = {each.key: each.state for each in standings if each.state.lots}
        if not states:
            return {}
        after = {key: state.closed for key, state in states.items()}
        bought = {key: state.shares > 0 for key, state in states.items()}
        found = self.snapshot.entries(after, shares, FIRST_LOTS, bought)
        return {key: chunk.entries[: states[key].lots] for key, chunk in found.items()}

    def _fifo(self, standing: Standing, state: State, first_lots: Sequence[Entry] = ()) -> Fifo:
        def read_lots(bought: bool, after: Key, limit: int) -> list[Entry]:  # noqa: FBT001 - a LotReader
            return self._entries(standing, after, limit, bought=bought).entries

        return Fifo(state, read_lots, first_lots)

    def _chunks(self, standing: Standing, first: Chunk) -> Iterator[Chunk]:
        """Yield a chunk of a position's trades and all later chunks."""
        chunk = first
        while chunk.is_full:
            following = self._reader.submit(self._read, standing, chunk.entries[-1][:2], CHUNK)
            yield chunk  # meanwhile PostgreSQL reads the next one
            chunk = following.result()
            self._check_time()
        yield chunk

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise StillReadingError("there are more new trades than one request has time for")

    def _entries(self, standing: Standing, after: Key, limit: int, *, bought: bool | None = None) -> Chunk:
        return self._reader.submit(self._read, standing, after, limit, bought=bought).result()

    def _read(self, standing: Standing, after: Key, limit: int, *, bought: bool | None = None) -> Chunk:
        key = standing.key
        side = None if bought is None else {key: bought}
        return self.snapshot.entries({key: after}, {key.ticker: standing.shares}, limit, side)[key]

    def _keep(self, standings: Sequence[Standing]) -> None:
        if self.snapshot.as_of is None:
            reached = [standing for standing in standings if standing.is_worth_keeping]
            before = self._histories_of_starts(reached)
            self._reached += [standing.checkpoint(before[standing.key]) for standing in reached]

    def _histories_of_starts(self, standings: Sequence[Standing]) -> dict[PositionKey, History]:
        known = {each.key: each.start.history for each in standings if each.start.history is not None}
        unknown = [each for each in standings if each.start.history is None]
        if unknown:
            known |= checkpoints.histories(self.snapshot, [each.key for each in unknown], unknown[0].method)
        return known


def _closes(state: State, chunk: Chunk) -> bool:
    """Whether any trade in a chunk closes part of a position."""
    return any(entry[2] * state.shares < 0 for entry in chunk.entries)


def read[Result](work: Callable[[Reading], Result], as_of: datetime | None = None) -> Result:
    """Call `work` with the ledger, now or `as_of` an instant, and return its result.

    Raises:
        StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    end = time.monotonic() + READING_SECONDS
    readings: list[Reading] = []

    def begin(cursor: "Cursor") -> Result:
        with ThreadPoolExecutor(max_workers=1) as reader:
            readings.append(Reading(cursor, as_of, end, reader))
            return work(readings[-1])

    try:
        result = database.run(begin, repeatable=True, snapshot=True)
    except StillReadingError:
        readings[-1].save()
        raise
    readings[-1].save()
    return result
