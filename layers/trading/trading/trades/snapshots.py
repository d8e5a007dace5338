"""Snapshots: a consistent view of the ledger for computing positions, with trades as integers."""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, Inexact, localcontext
from itertools import accumulate
from math import prod
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple

from trading.core.values import PRECISION, SETTLED
from trading.prices.last_prices import LastPrice
from trading.trades.fifo import START, Entry, Key

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

MONEY_DECIMALS = 16  # decimals of the unit of money: as many as price x quantity can have
PRICE_DECIMALS = 6
QUANTITY_DECIMALS = MONEY_DECIMALS - PRICE_DECIMALS
_FEE_UNIT = 10 ** (MONEY_DECIMALS - PRICE_DECIMALS)

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's, because keys use its timestamps
_MICROSECOND = timedelta(microseconds=1)


def timestamp_of(instant: datetime) -> int:
    """Return an instant as a key's timestamp."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(timestamp: int) -> datetime:
    """Return the instant of a key's timestamp, in UTC."""
    return _EPOCH + timestamp * _MICROSECOND


def day_of(timestamp: int) -> str:
    """Return the day of a key's timestamp in UTC, such as `2025-06-03`."""
    return str(instant_of(timestamp).date())


def _parameter(timestamp: int) -> datetime | str:
    return "-infinity" if timestamp == START[0] else instant_of(timestamp)


class PositionKey(NamedTuple):
    """The account, ticker and currency that all trades of a position have."""

    account: str
    ticker: str
    currency: str


@dataclass(frozen=True, slots=True)
class Split:
    """A split of a ticker."""

    id: int
    effective_at: datetime
    numerator: int
    denominator: int


class Shares:
    """The unit in which a ticker's shares are counted, so that every quantity is an integer after all splits."""

    def __init__(self, splits: Sequence[Split] = ()) -> None:
        self.splits = [split.id for split in splits]
        self._timestamps = [timestamp_of(split.effective_at) for split in splits]
        denominators = prod(split.denominator for split in splits)
        self.unit = 10**QUANTITY_DECIMALS * denominators  # units per share
        # The factor of a quantity, apart from the power of ten, after n splits: it applies the remaining ones.
        self.factors = [
            denominators * numerator // denominator
            for numerator, denominator in zip(
                _products_of_what_follows([split.numerator for split in splits]),
                _products_of_what_follows([split.denominator for split in splits]),
                strict=True,
            )
        ]

    def price_now(self, price: Decimal, at: datetime) -> Decimal:
        """Return a past price adjusted for the splits since."""
        if not self.splits:
            return price
        return quotient(price * self.factors[-1], self._factor(timestamp_of(at)))

    def quantity(self, shares: int) -> Decimal:
        """Return a number of units as a number of shares."""
        return quotient(shares, self.unit)

    def price(self, entry: Entry) -> Decimal:
        """Return the price per share of an entry."""
        _, _, _, price, factor, _ = entry
        return quotient(price * self.unit, factor * 10**MONEY_DECIMALS)

    def entries(self, packed: bytes) -> list[Entry]:
        """Return the trades in a value packed by `_PACKED`."""
        trades = _TRADE.iter_unpack(packed)
        if not self.splits:
            return [
                (at, id_, quantity + _LESS if is_buy else -_LESS - quantity, price, 1, fee * _FEE_UNIT)
                for at, id_, is_buy, quantity, price, fee in trades
            ]
        entries = []
        for at, id_, is_buy, quantity, price, fee in trades:
            factor = self._factor(at)
            shares = (quantity + _LESS) * factor
            entries.append((at, id_, shares if is_buy else -shares, price, factor, fee * _FEE_UNIT))
        return entries

    def _factor(self, timestamp: int) -> int:
        return self.factors[bisect_right(self._timestamps, timestamp)]


def money(amount: int) -> Decimal:
    """Return an integer amount as money."""
    return Decimal(f"{amount}E-{MONEY_DECIMALS}")


def quotient(dividend: Decimal | int, divisor: int) -> Decimal:
    """Return a quotient: exact if it is a finite decimal, otherwise rounded half-even to 16 decimals."""
    with localcontext(prec=PRECISION) as context:
        exact = Decimal(dividend) / divisor
        return exact if not context.flags[Inexact] else exact.quantize(Decimal(f"1E-{MONEY_DECIMALS}"), ROUND_HALF_EVEN)


def _products_of_what_follows(numbers: Sequence[int]) -> list[int]:
    return [*accumulate(reversed(numbers), mul, initial=1)][::-1]


class Flow(NamedTuple):
    """The totals of trades: shares bought less shares sold, and money received less money paid."""

    shares: int
    received: int


class Chunk(NamedTuple):
    """Some trades of a position in order, and whether there may be more."""

    entries: list[Entry]
    is_full: bool


# PostgreSQL packs the trades of a position into one value, which is read twice as fast as rows. A quantity can have 19
# digits, which may overflow a bigint, so half of its range is subtracted.
_LESS = 10 ** (9 + QUANTITY_DECIMALS) // 2
_PACKED = f"""
timestamptz_send(timestamp) || int8send(id) || boolsend(side = 'BUY')
|| int8send((quantity * 1e{QUANTITY_DECIMALS} - {_LESS})::bigint)
|| int8send((price * 1e{PRICE_DECIMALS})::bigint) || int8send((fee * 1e{PRICE_DECIMALS})::bigint)
"""
_TRADE = struct.Struct("> q q ? q q q")


def columns(keys: Sequence[PositionKey]) -> dict[str, list[str]]:
    """Return the parts of keys as statement parameters."""
    return {
        "accounts": [key.account for key in keys],
        "tickers": [key.ticker for key in keys],
        "currencies": [key.currency for key in keys],
    }


class Snapshot:
    """The ledger as seen by one transaction, now or `as_of` an instant."""

    def __init__(self, cursor: "Cursor", as_of: datetime | None = None) -> None:
        cursor.execute("select now()")
        (self.now,) = cursor.fetchone() or (None,)
        self.as_of = as_of
        self.cursor = cursor
        # Ids and recorded_at are assigned before the commit, so a trade that is not yet visible may sort before visible
        # ones. But a trade recorded before this instant is committed or never will be.
        self.covered_before: datetime = self.now - SETTLED
        self._parameters = {"as_of": as_of, "covered_before": self.covered_before}
        by_then = " and change.changed_at <= %(as_of)s" if as_of else ""
        # Not `not exists`: that becomes a join, which may sort all trades of a position to read a few.
        self._is_active = (
            f"(select change.id from trade_changes as change where change.trade_id = trade.id{by_then})"  # noqa: S608
            " is null"
        )
        if as_of:
            self._is_active += " and trade.recorded_at <= %(as_of)s"

    def keys(self, account: str | None, after: PositionKey | None, limit: int) -> list[PositionKey]:
        """Return the keys of positions in order, including those whose trades are all voided.

        It skips from key to key in an index, so the cost does not depend on the number of trades.
        """
        after = after or PositionKey("", "", "")
        if account is None:
            begins = "(account, ticker, currency) > (%(after_account)s, %(after_ticker)s, %(after_currency)s)"
            follows = "(account, ticker, currency) > (position.account, position.ticker, position.currency)"
        elif after.account > account:
            return []
        else:
            # Not all three columns: with the equality, PostgreSQL would read all earlier rows of the account.
            begins = "account = %(account)s and (ticker, currency) > (%(after_ticker)s, %(after_currency)s)"
            follows = "account = %(account)s and (ticker, currency) > (position.ticker, position.currency)"
            if after.account < account:
                after = PositionKey(account, "", "")
        rows = self._query(
            f"""
            with recursive position as (
                (
                    select account, ticker, currency from trades where {begins}
                    order by account, ticker, currency limit 1
                )
                union all
                select following.* from position cross join lateral (
                    select account, ticker, currency from trades where {follows}
                    order by account, ticker, currency limit 1
                ) as following
            )
            select * from position limit %(limit)s
            """,  # noqa: S608 - constants
            account=account,
            limit=limit,
            **{f"after_{name}": part for name, part in after._asdict().items()},
        )
        return [PositionKey(*row) for row in rows]

    def keys_of(self, tickers: Sequence[str]) -> list[PositionKey]:
        """Return the keys of all positions of some tickers in order, like `keys`."""
        rows = self._query(
            """
            select position.account, ticker, position.currency
            from unnest(%(tickers)s::text[]) as wanted(ticker) cross join lateral (
                -- Steps through the currencies of an account, then to the next account, with an empty currency.
                with recursive step(account, currency) as (
                    values ('', '')
                    union all
                    select following.* from step cross join lateral (
                        (
                            select account, currency from trades
                            where account = step.account and ticker = wanted.ticker and currency > step.currency
                            order by currency limit 1
                        )
                        union all
                        (select account, '' from trades where account > step.account order by account limit 1)
                        limit 1
                    ) as following
                )
                select account, currency from step where currency <> ''
            ) as position
            """,
            tickers=list(tickers),
        )
        return sorted(PositionKey(*row) for row in rows)

    def tagged(self, account: str | None) -> list[PositionKey]:
        """Return the keys of the positions that have trades with tags, in order."""
        of_account = "and account = %(account)s" if account is not None else ""
        rows = self._query(
            "select distinct account, ticker, currency from trades"  # noqa: S608 - one of two constants
            f" where tags <> '{{}}' {of_account} order by account, ticker, currency",
            account=account,
        )
        return [PositionKey(*row) for row in rows]

    def tags(self, key: PositionKey, after: Key, last: Key) -> dict[int, list[str]]:
        """Return the tags of a position's trades in the key range (after, last], by id; untagged ones are omitted."""
        rows = self._query(
            """
            select id, tags from trades
            where account = %(account)s and ticker = %(ticker)s and currency = %(currency)s and tags <> '{}'
            and (timestamp, id) > (%(after_at)s::timestamptz, %(after_id)s)
            and (timestamp, id) <= (%(last_at)s::timestamptz, %(last_id)s)
            """,
            **key._asdict(),
            after_at=_parameter(after[0]),
            after_id=after[1],
            last_at=_parameter(last[0]),
            last_id=last[1],
        )
        return dict(rows)

    def newest_prices(self, keys: Sequence[PositionKey], at: datetime | None = None) -> dict[PositionKey, LastPrice]:
        """Return the price of each position's newest trade with shares, now or `at` a time."""
        until = "and trade.timestamp <= %(at)s" if at else ""
        rows = self._query(
            f"""
            select number, newest.*
            from unnest(%(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[])
            with ordinality as wanted(account, ticker, currency, number)
            cross join lateral (
                select trade.price, trade.timestamp from trades as trade
                where trade.account = wanted.account and trade.ticker = wanted.ticker
                and trade.currency = wanted.currency and trade.quantity > 0 and {self._is_active} {until}
                order by trade.timestamp desc, trade.id desc limit 1
            ) as newest
            """,  # noqa: S608 - constants
            at=at,
            **columns(keys),
        )
        return {keys[number - 1]: LastPrice(price, traded_at) for number, price, traded_at in rows}

    def flows_since(
        self, since: datetime, keys: Sequence[PositionKey], shares: Mapping[str, Shares]
    ) -> dict[PositionKey, Flow]:
        """Return the flow of the trades since an instant, for each position that has any."""
        rows = self._query(
            f"""
            select number, splits_before, (quantity * 1e{QUANTITY_DECIMALS})::numeric(60)::text,
                (received * 1e{MONEY_DECIMALS})::numeric(60)::text
            from unnest(%(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[])
            with ordinality as wanted(account, ticker, currency, number)
            cross join lateral (
                select splits_before, sum(sign * trade.quantity) as quantity,
                    -sum(sign * trade.price * trade.quantity + trade.fee) as received
                from trades as trade cross join lateral (
                    select case trade.side when 'BUY' then 1 else -1 end as sign, count(*) as splits_before
                    from splits where splits.ticker = trade.ticker and voided_at is null
                    and effective_at <= least(trade.timestamp, now())
                ) as signed
                where trade.account = wanted.account and trade.ticker = wanted.ticker
                and trade.currency = wanted.currency and trade.timestamp >= %(since)s and {self._is_active}
                group by splits_before
            ) as flow
            """,  # noqa: S608 - constants
            since=since,
            **columns(keys),
        )
        flows = dict.fromkeys(keys, Flow(0, 0))
        for number, splits_before, quantity, received in rows:
            key = keys[number - 1]
            known = flows[key]
            whole = int(quantity) * shares[key.ticker].factors[splits_before]
            flows[key] = Flow(known.shares + whole, known.received + int(received))
        return flows

    def shares(self, tickers: Iterable[str]) -> dict[str, Shares]:
        """Return the units of the shares of some tickers, with the splits that have taken effect."""
        counts = (
            "recorded_at <= %(as_of)s and (voided_at is null or voided_at > %(as_of)s) and effective_at <= %(as_of)s"
            if self.as_of
            else "voided_at is null and effective_at <= now()"
        )
        splits: dict[str, list[Split]] = {ticker: [] for ticker in tickers}
        for ticker, *split in self._query(
            "select ticker, id, effective_at, numerator, denominator from splits"  # noqa: S608 - a constant
            f" where ticker = any(%(tickers)s::text[]) and {counts} order by effective_at",
            tickers=list(splits),
        ):
            splits[ticker].append(Split(*split))
        return {ticker: Shares(each) for ticker, each in splits.items()}

    def entries(
        self,
        after: Mapping[PositionKey, Key],
        shares: Mapping[str, Shares],
        limit: int,
        bought: Mapping[PositionKey, bool] | None = None,
    ) -> dict[PositionKey, Chunk]:
        """Return the first `limit` trades of each position after a key.

        With `bought`, only the lots: the trades of that side with shares.
        """
        of_side = "and trade.side = (%(sides)s::text[])[wanted.number] and trade.quantity > 0" if bought else ""
        rows = self._query(
            f"""
            select packed.trades
            from unnest(
                %(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[], %(ats)s::timestamptz[],
                %(ids)s::bigint[]
            ) with ordinality as wanted(account, ticker, currency, at, id, number)
            cross join lateral (
                select coalesce(string_agg({_PACKED}, '' order by timestamp, id), '') as trades
                from (
                    select timestamp, id, side, quantity, price, fee from trades as trade
                    where trade.account = wanted.account and trade.ticker = wanted.ticker
                    and trade.currency = wanted.currency and (trade.timestamp, trade.id) > (wanted.at, wanted.id)
                    and {self._is_active} {of_side}
                    order by trade.timestamp, trade.id limit %(limit)s
                ) as entry
            ) as packed
            order by number
            """,  # noqa: S608 - constants
            **columns(list(after)),
            ats=[_parameter(at) for at, _ in after.values()],
            ids=[id_ for _, id_ in after.values()],
            sides=["BUY" if each else "SELL" for each in (bought or {}).values()],
            limit=limit,
        )
        return {
            key: Chunk(shares[key.ticker].entries(packed), is_full=len(packed) == limit * _TRADE.size)
            for key, (packed,) in zip(after, rows, strict=True)
        }

    def first_unsettled(self, keys: Sequence[PositionKey]) -> dict[PositionKey, Key]:
        """Return the key from which a checkpoint must not cover the trades of each position.

        Those trades were recorded, or have a timestamp, less than a minute ago. Keys show the latter.
        """
        rows = self._query(
            """
            select number, late.*
            from unnest(%(accounts)s::text[], %(tickers)s::text[], %(currencies)s::text[])
            with ordinality as wanted(account, ticker, currency, number)
            cross join lateral (
                select * from (
                    select timestamp, id from trades
                    where account = wanted.account and ticker = wanted.ticker and currency = wanted.currency
                    and recorded_at - timestamp > interval '1 minute' and recorded_at >= %(covered_before)s
                    offset 0 -- prevents a plan that scans all trades in order to find the first
                ) as late
                order by timestamp, id limit 1
            ) as late
            """,
            **columns(keys),
        )
        recent = timestamp_of(self.covered_before - timedelta(minutes=1)), 0
        late = {keys[number - 1]: (timestamp_of(at), id_) for number, at, id_ in rows}
        return {key: min(recent, late.get(key, recent)) for key in keys}

    def _query(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        self.cursor.execute(statement, {**self._parameters, **parameters})
        return self.cursor.fetchall()
