"""Positions: quantity, cost basis and market value, open lots, and matches."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from datetime import datetime
from decimal import localcontext
from itertools import batched
from typing import Any, Literal, cast

from trading.core import pagination
from trading.core.errors import FieldError, InvalidError, NotFoundError
from trading.core.values import PAGE_DEFAULT, PRECISION, Amount, divided
from trading.prices import last_prices
from trading.prices.last_prices import LastPrice
from trading.trades import fifo, standings
from trading.trades.checkpoints import Method
from trading.trades.fifo import Entry, part, rest
from trading.trades.snapshots import PositionKey, instant_of, money, timestamp_of
from trading.trades.standings import POSITIONS_AT_ONCE, Reading, Standing

type PriceSource = Literal["tick", "trade"]


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one account, ticker and currency; a negative quantity is a short position.

    `average_cost` is per share, to six decimals. If no price is known, the fields that depend on it are null.
    """

    account: str
    ticker: str
    currency: str
    quantity: Amount
    average_cost: Amount | None
    cost_basis: Amount
    realized_profit: Amount
    fees: Amount
    trade_count: int
    last_price: Amount | None
    last_price_at: datetime | None
    price_source: PriceSource | None
    market_value: Amount | None
    unrealized_profit: Amount | None
    unrealized_percent: Amount | None


@dataclass(frozen=True, slots=True)
class Lot:
    """The open part of a trade: `quantity` and `cost` are negative if it was a sale."""

    trade_id: int
    opened_at: datetime
    quantity: Amount
    price: Amount
    fee: Amount
    cost: Amount


@dataclass(frozen=True, slots=True)
class DetailedPosition(Position):
    """A position and a page of its open lots, oldest first."""

    _: KW_ONLY
    lots: list[Lot]


@dataclass(frozen=True, slots=True)
class Match:
    """Shares that one trade opened and another closed: `profit` is `proceeds` less `cost`, fees included."""

    opening_trade_id: int
    closing_trade_id: int
    quantity: Amount
    opened_at: datetime
    closed_at: datetime
    cost: Amount
    proceeds: Amount
    fees: Amount
    profit: Amount


@dataclass(frozen=True, slots=True)
class PositionFilter:
    """The parameters of a search for positions."""

    account: str | None = None
    ticker: str | None = None
    is_open: bool | None = None
    method: Method = "fifo"
    as_of: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class WantedPosition:
    """A position, the instant to read it as of, and the page of its lots or matches."""

    ticker: str
    account: str
    currency: str | None = None
    as_of: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


def find(wanted: PositionFilter) -> tuple[list[Position], str | None]:
    """Return a page of positions by account, ticker and currency, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the cursor is not valid.
        standings.StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    after = PositionKey(*pagination.decode_key(wanted.cursor, str, str, str)) if wanted.cursor is not None else None

    def page(reading: Reading) -> tuple[list[Position], bool]:
        found: list[Standing] = []
        for keys in _keys(reading, wanted, after):
            found += [
                standing
                for standing in reading.standings(keys, wanted.method)
                if wanted.is_open is None or wanted.is_open == (standing.state.shares != 0)
            ]
            if len(found) > wanted.limit:
                break
        return valued(reading, found[: wanted.limit]), len(found) > wanted.limit

    positions, has_more = standings.read(page, wanted.as_of)
    last = positions[-1] if has_more else None
    return positions, pagination.encode_key(last.account, last.ticker, last.currency) if last else None


def _keys(reading: Reading, wanted: PositionFilter, after: PositionKey | None) -> Iterator[Sequence[PositionKey]]:
    at_once = min(wanted.limit + 1, POSITIONS_AT_ONCE)
    if wanted.ticker is None:
        return reading.pages(wanted.account, after, at_once)
    keys = reading.snapshot.keys_of([wanted.ticker])
    return batched(
        (key for key in keys if wanted.account in (None, key.account) and (after is None or key > after)),
        at_once,
        strict=False,
    )


def get(wanted: WantedPosition) -> tuple[DetailedPosition, str | None]:
    """Return a position with a page of its open lots, and the cursor of their next page if there is one.

    Raises:
        NotFoundError: there is no such position.
        InvalidError: there are several, in different currencies, or the cursor is not valid.
        standings.StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    after = pagination.decode_cursor(wanted.cursor) if wanted.cursor is not None else None

    def with_lots(reading: Reading, standing: Standing) -> tuple[DetailedPosition, str | None]:
        [position] = valued(reading, [standing])
        lots, cursor = _lots(reading, standing, after, wanted.limit)
        return DetailedPosition(**asdict(position), lots=lots), cursor

    return _of_one(wanted, with_lots)


def _lots(
    reading: Reading, standing: Standing, after: tuple[datetime, int] | None, limit: int
) -> tuple[list[Lot], str | None]:
    state = standing.state
    if not state.lots:
        return [], None
    closed, taken = state.closed, state.taken
    if after is not None and (key := (timestamp_of(after[0]), after[1])) > closed:
        closed, taken = key, 0
    lots = []
    for entry in reading.lots(standing, closed, limit + 1):
        lots.append(_lot(standing, entry, taken))
        taken = 0  # only the first lot can be partly closed
    page = lots[:limit]
    return page, pagination.encode_cursor(page[-1].opened_at, page[-1].trade_id) if len(lots) > limit else None


def _lot(standing: Standing, entry: Entry, taken: int) -> Lot:
    at, trade_id, shares, price, factor, fee = entry
    size = abs(shares)
    amount, fee_left = part(price, factor, taken, size), rest(fee, size, taken)
    return Lot(
        trade_id=trade_id,
        opened_at=instant_of(at),
        quantity=standing.shares.quantity(size - taken if shares > 0 else taken - size),
        price=standing.shares.price(entry),
        fee=money(fee_left),
        cost=money(amount + fee_left if shares > 0 else fee_left - amount),
    )


def find_matches(wanted: WantedPosition) -> tuple[list[Match], str | None]:
    """Return a page of a position's matches, newest first, and the cursor of the next page if there is one.

    Raises:
        NotFoundError: there is no such position.
        InvalidError: there are several, in different currencies, or the cursor is not valid.
        standings.StillReadingError: time ran out; the next call continues from there.
        database.DatabaseUnavailableError: the database does not answer.
    """
    before = pagination.decode_key(wanted.cursor, int, int, int, int) if wanted.cursor is not None else None

    def page(reading: Reading, standing: Standing) -> tuple[list[Match], str | None]:
        found = _last_matches(reading, standing, before, wanted.limit + 1)
        newest_first = found[-wanted.limit :][::-1]
        cursor = pagination.encode_key(*_match_key(newest_first[-1])) if len(found) > wanted.limit else None
        return [_match(standing, match) for match in newest_first], cursor

    return _of_one(wanted, page)


def _last_matches(reading: Reading, standing: Standing, before: list[Any] | None, limit: int) -> list[fifo.Match]:
    """Return the last `limit` matches of a position before a key, reading backwards from mark to mark."""
    found: list[fifo.Match] = []
    for begin, end in reversed(reading.stretches(standing)):
        if before is None or begin.last < tuple(before[:2]):
            matches = reading.matches(standing, begin, end)
            found[:0] = deque((each for each in matches if before is None or _match_key(each) < before), limit)
            if len(found) >= limit:
                break
    return found[-limit:]


def _match_key(match: fifo.Match) -> list[Any]:
    opening, closing, *_ = match
    return [*closing[:2], *opening[:2]]


def _match(standing: Standing, match: fifo.Match) -> Match:
    opening, closing, shares, cost, proceeds, fees = match
    return Match(
        opening_trade_id=opening[1],
        closing_trade_id=closing[1],
        quantity=standing.shares.quantity(shares),
        opened_at=instant_of(opening[0]),
        closed_at=instant_of(closing[0]),
        cost=money(cost),
        proceeds=money(proceeds),
        fees=money(fees),
        profit=money(proceeds - cost),
    )


def _of_one[Result](wanted: WantedPosition, work: Callable[[Reading, Standing], Result]) -> Result:
    """Call `work` with the requested position and return its result.

    Raises:
        NotFoundError: there is no such position.
        InvalidError: there are several, in different currencies.
    """

    def of_those_that_fit(reading: Reading) -> tuple[list[str], Result | None]:
        keys = [
            key
            for key in reading.snapshot.keys_of([wanted.ticker])
            if key.account == wanted.account and wanted.currency in (None, key.currency)
        ]
        fit = reading.standings(keys)
        return [each.key.currency for each in fit], work(reading, fit[0]) if len(fit) == 1 else None

    currencies, result = standings.read(of_those_that_fit, wanted.as_of)
    if not currencies:
        raise NotFoundError(f"Account {wanted.account} has no position in {wanted.ticker}.")
    if len(currencies) > 1:
        raise InvalidError(
            FieldError("currency", f"must be one of {', '.join(currencies)}: there is a position in each")
        )
    return cast("Result", result)


def valued(reading: Reading, found: Sequence[Standing]) -> list[Position]:
    """Return positions, valued at the last prices of the snapshot."""
    prices = prices_of(reading, found)
    return [_position(standing, *prices.get(standing.key, (None, None))) for standing in found]


def prices_of(
    reading: Reading, found: Sequence[Standing], at: datetime | None = None
) -> dict[PositionKey, tuple[LastPrice, PriceSource]]:
    """Return the last price per share of each position, now or `at` a time, adjusted for splits since.

    Ticks have no currency, so a tick's price is used only if all trades of the ticker have one currency; otherwise it
    is the price of the position's last trade.
    """
    snapshot = reading.snapshot
    tickers = sorted({standing.key.ticker for standing in found})
    ticks = last_prices.find(snapshot.cursor, tickers, at or snapshot.as_of)
    trades: dict[tuple[str, str], LastPrice] = {}
    currencies: dict[str, set[str]] = defaultdict(set)
    for key, price in snapshot.newest_prices(snapshot.keys_of(tickers), at).items():
        currencies[key.ticker].add(key.currency)
        known = trades.setdefault((key.ticker, key.currency), price)
        if price.at > known.at:
            trades[key.ticker, key.currency] = price

    prices: dict[PositionKey, tuple[LastPrice, PriceSource]] = {}
    for standing in found:
        _, ticker, currency = standing.key
        is_tick = ticker in ticks and len(currencies[ticker]) == 1
        last = ticks[ticker] if is_tick else trades.get((ticker, currency))
        if last:
            now = LastPrice(standing.shares.price_now(last.price, last.at), last.at)
            prices[standing.key] = now, "tick" if is_tick else "trade"
    return prices


def _position(standing: Standing, last: LastPrice | None, source: PriceSource | None) -> Position:
    state = standing.state
    quantity, cost_basis = standing.shares.quantity(state.shares), money(state.cost_basis)
    market_value = unrealized_profit = unrealized_percent = None
    with localcontext(prec=PRECISION):
        if last:
            market_value = quantity * last.price
            unrealized_profit = market_value - cost_basis
            if cost_basis:
                unrealized_percent = divided(100 * unrealized_profit, abs(cost_basis))
        return Position(
            *standing.key,
            quantity=quantity,
            average_cost=divided(cost_basis, quantity) if quantity else None,
            cost_basis=cost_basis,
            realized_profit=money(state.realized_profit),
            fees=money(state.fees),
            trade_count=state.trade_count,
            last_price=last.price if last else None,
            last_price_at=last.at if last else None,
            price_source=source,
            market_value=market_value,
            unrealized_profit=unrealized_profit,
            unrealized_percent=unrealized_percent,
        )
