from datetime import UTC, datetime
from decimal import Decimal

import pytest

from local.cli.reader import Answer, Prices, UnreadableError, read
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick

NOW = datetime(2025, 6, 3, 12, 0, 44, tzinfo=UTC)
EARLIER = datetime(2025, 6, 3, 12, 0, 3, tzinfo=UTC)
ALERT = """{"type":"alert","id":"1","ticker":"AAPL","price":"100.10","timestamp":"2025-06-03T12:00:44Z",
    "low_price":"98.00","low_timestamp":"2025-06-03T12:00:03Z","rise_percent":"2.14"}"""


def ticks(message: str | bytes) -> list[Tick]:
    prices = read(message, NOW)
    assert isinstance(prices, Prices)
    return prices.ticks


@pytest.mark.parametrize(
    ("timestamp", "instant"),
    [
        ('"2025-06-03T12:00:03Z"', EARLIER),
        ('"2025-06-03T12:00:03"', EARLIER),
        ('"2025-06-03 12:00:03"', EARLIER),
        ('"2025-06-03T14:00:03.000000+02:00"', EARLIER),
        ("1748952003", EARLIER),
        ("1748952003.0", EARLIER),
        ("1748952003000", EARLIER),
        ('"1748952003"', EARLIER),
        ('"1748952003.0"', EARLIER),
        ('"1748952003000"', EARLIER),
        ("null", NOW),
    ],
)
def test_a_timestamp_may_be_written_in_any_reasonable_way(timestamp: str, instant: datetime) -> None:
    assert ticks(f'[{{"ticker":"MOCKSTOCK_A","price":98.00,"timestamp":{timestamp}}}]') == [
        Tick("MOCKSTOCK_A", Decimal("98.00"), instant)
    ]


@pytest.mark.parametrize("price", ["187.42000000000002", '"98.00"', "98", "0.000000001"])
def test_a_price_has_the_very_digits_that_were_sent(price: str) -> None:
    assert [str(tick.price) for tick in ticks(f'{{"ticker":"A","price":{price}}}')] == [
        f"{Decimal(price.strip(chr(34)))}"
    ]


def test_numbers_in_sequence_are_kept_by_ticker() -> None:
    prices = read(
        '[{"ticker":"A","price":1,"seq":17},{"ticker":"B","price":1},{"ticker":"C","price":1,"seq":"x"}]', NOW
    )
    assert isinstance(prices, Prices)
    assert prices.seqs == {"A": 17}


def test_a_bad_row_costs_itself_alone() -> None:
    prices = read('[{"ticker":"A","price":1},{"ticker":"B"},7]', NOW)
    assert isinstance(prices, Prices)
    assert [tick.ticker for tick in prices.ticks] == ["A"]
    assert prices.unreadable == [
        "price: must be a number above zero",
        "a price is an object with ticker, price and timestamp",
    ]


@pytest.mark.parametrize(
    "row",
    [
        '"ticker":null,"price":1',
        '"ticker":"","price":1',
        '"ticker":"\\u001b[2J","price":1',
        '"ticker":"A\\"B","price":1',
        '"ticker":"A","price":0',
        '"ticker":"A","price":-1',
        '"ticker":"A","price":true',
        '"ticker":"A","price":NaN',
        '"ticker":"A","price":"one"',
        '"ticker":"A","price":1e400',
        '"ticker":"A","price":1e-400',
        '"ticker":"A","price":[1]',
        '"ticker":"A","price":1,"timestamp":"yesterday"',
        '"ticker":"A","price":1,"timestamp":1e30',
        '"ticker":"A","price":1,"timestamp":"17489520030001"',
        '"ticker":"A","price":1,"timestamp":NaN',
        '"ticker":"A","price":1,"timestamp":true',
    ],
)
def test_what_is_no_price_is_none(row: str) -> None:
    prices = read(f"[{{{row}}}]", NOW)
    assert isinstance(prices, Prices)
    assert prices.ticks == []
    assert len(prices.unreadable) == 1


@pytest.mark.parametrize("message", ["", "{", "7", '"AAPL"', b"\xff", "[" * 100_000, '{"type":"alert"}'])
def test_a_message_that_is_nothing_is_unreadable(message: str | bytes) -> None:
    with pytest.raises(UnreadableError):
        read(message, NOW)


def test_an_alert_and_any_other_answer_are_told_apart_by_their_type() -> None:
    assert read(ALERT, NOW) == Alert("1", "AAPL", Decimal("100.10"), NOW, Decimal("98.00"), EARLIER, Decimal("2.14"))
    assert read('{"type":"pong"}', NOW) == Answer("pong", {"type": "pong"})


def test_an_alert_whose_ticker_would_write_on_the_terminal_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        read(ALERT.replace("AAPL", "\\u001b[2J"), NOW)


def test_what_api_gateway_says_of_a_failure_is_an_error() -> None:
    answer = read('{"message": "Internal server error", "connectionId": "a=", "requestId": "b="}', NOW)
    assert isinstance(answer, Answer)
    assert answer.type == "error"
