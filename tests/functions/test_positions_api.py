import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Answer, Call


@pytest.fixture
def desk(call: Call, trade: dict[str, Any]) -> Call:
    """An API whose ledger has the README's trade, and 20 of its shares sold in two parts."""
    for change in (
        {},
        {"quantity": 15, "side": "SELL", "price": "320", "timestamp": "2025-06-04T12:00:00Z", "fee": "1.5"},
        {"quantity": 5, "side": "SELL", "price": "300", "timestamp": "2025-06-05T12:00:00Z", "tags": ["earnings"]},
    ):
        assert call("POST", "/api/trades", {**trade, **change}).status == 201
    return call


def test_a_position_says_what_is_held_and_what_was_earned(desk: Call) -> None:
    assert desk("GET", "/api/positions").body == [
        {
            "account": "main",
            "ticker": "MSFT",
            "currency": "USD",
            "quantity": "30",
            "average_cost": "310.5",
            "cost_basis": "9315",
            "realized_profit": "88.5",
            "fees": "1.5",
            "trade_count": 3,
            "last_price": "300",
            "last_price_at": "2025-06-05T12:00:00Z",
            "price_source": "trade",
            "market_value": "9000",
            "unrealized_profit": "-315",
            "unrealized_percent": "-3.381643",
        }
    ]


def test_matches_explain_the_profit_to_the_digit(desk: Call) -> None:
    answer = desk("GET", "/api/positions/msft/matches")
    assert [
        (each["opening_trade_id"], each["closing_trade_id"], each["quantity"], each["profit"]) for each in answer.body
    ] == [(1, 3, "5", "-52.5"), (1, 2, "15", "141")]
    assert answer.body[1] == {
        "opening_trade_id": 1,
        "closing_trade_id": 2,
        "quantity": "15",
        "opened_at": "2025-06-03T12:00:00Z",
        "closed_at": "2025-06-04T12:00:00Z",
        "cost": "4657.5",
        "proceeds": "4798.5",
        "fees": "1.5",
        "profit": "141",
    }


def test_a_position_shows_its_lots(desk: Call) -> None:
    position = desk("GET", "/api/positions/MSFT").body
    assert position["lots"] == [
        {
            "trade_id": 1,
            "opened_at": "2025-06-03T12:00:00Z",
            "quantity": "30",
            "price": "310.5",
            "fee": "0",
            "cost": "9315",
        }
    ]


def test_profit_is_added_up_by_groups(desk: Call) -> None:
    def profits(by: str) -> dict[str, str]:
        return {each["group"]: each["profit"] for each in desk("GET", "/api/profit", query={"by": by}).body}

    assert profits("day") == {"2025-06-04": "141", "2025-06-05": "-52.5"}
    assert profits("month") == {"2025-06": "88.5"}
    assert profits("ticker") == {"MSFT": "88.5"}
    assert profits("account") == {"main": "88.5"}
    assert profits("tag") == {"earnings": "-52.5"}


def test_the_portfolio_has_an_entry_for_each_currency(desk: Call) -> None:
    assert desk("GET", "/api/portfolio").body == [
        {
            "currency": "USD",
            "cost_basis": "9315",
            "market_value": "9000",
            "unrealized_profit": "-315",
            "realized_profit": "88.5",
            "change_today": "0",
        }
    ]


@pytest.mark.parametrize(
    ("path", "limit", "pages"),
    [("/api/positions", 2, 2), ("/api/positions/MSFT", 1, 2), ("/api/positions/MSFT/matches", 1, 2)],
)
def test_the_link_leads_from_page_to_page(desk: Call, trade: dict[str, Any], path: str, limit: int, pages: int) -> None:
    for ticker in ("AAPL", "GOOG", "SAP", "MSFT"):
        assert desk("POST", "/api/trades", {**trade, "ticker": ticker}).status == 201
    answer = desk("GET", path, query={"limit": str(limit)})
    seen = 1
    while link := answer.headers.get("link"):
        answer = followed(desk, link)
        assert answer.status == 200
        seen += 1
    assert seen == pages


def followed(call: Call, link: str) -> Answer:
    match = re.fullmatch(r'<([^?]+)\?(.*)>; rel="next"', link)
    assert match is not None
    return call("GET", match[1], query=match[2])


def test_a_position_in_several_currencies_needs_one_named(desk: Call, trade: dict[str, Any]) -> None:
    assert desk("POST", "/api/trades", {**trade, "currency": "EUR"}).status == 201
    for path in ("/api/positions/MSFT", "/api/positions/MSFT/matches"):
        answer = desk("GET", path)
        assert (answer.status, answer.names()) == (400, ["currency"])
        assert "EUR, USD" in answer.body["errors"][0]["message"]
        assert desk("GET", path, query={"currency": "EUR"}).status == 200


@pytest.mark.parametrize("path", ["/api/positions/AAPL", "/api/positions/AAPL/matches"])
def test_a_position_that_there_is_not_is_a_404(desk: Call, path: str) -> None:
    assert desk("GET", path).status == 404


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/api/positions", {"method": "lifo"}, "method"),
        ("/api/positions", {"open": "perhaps"}, "open"),
        ("/api/positions", {"cursor": "x"}, "cursor"),
        ("/api/positions", {"cursor": ""}, "cursor"),
        ("/api/positions/MSFT", {"cursor": ""}, "cursor"),
        ("/api/positions/MSFT/matches", {"cursor": ""}, "cursor"),
        ("/api/positions", {"cursor": "WzEsMiwzXQ"}, "cursor"),
        ("/api/positions", {"limit": "0"}, "limit"),
        ("/api/positions", {"currency": "USD"}, "currency"),
        ("/api/positions", {"as_of": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "as_of"),
        ("/api/positions/MSFT", {"account": "a,b"}, "account"),
        ("/api/positions/MSFT/matches", {"cursor": "WyJ4IiwxLCJ5IiwiMiJd"}, "cursor"),
        ("/api/profit", {"by": "year"}, "by"),
        ("/api/profit", {"by": "day", "start_date": "2025-06-03T12:00:00Z"}, "start_date"),
        ("/api/profit", {"by": "day", "start_date": "2025-06-04", "end_date": "2025-06-03"}, "start_date"),
        ("/api/portfolio", {"ticker": "MSFT"}, "ticker"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(desk: Call, path: str, query: dict[str, str], field: str) -> None:
    answer = desk("GET", path, query=query)
    assert (answer.status, answer.names()) == (400, [field])


def test_as_of_tells_what_was_known_then(desk: Call) -> None:
    answer = desk("GET", "/api/positions", query={"as_of": "2025-06-05T00:00:00Z"})
    assert (answer.status, answer.body) == (200, [])
