import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from local.host.system import LOOPBACK
from local.host.template import ROOT, kept, read
from tests.sam.conftest import SAM, WEBHOOK, Database, run, serving

FUNCTIONS = {function.code.name: name for name, function in read(kept()).functions.items()}
EVENTS = sorted(str(path.relative_to(ROOT / "events")) for path in (ROOT / "events").rglob("*.json"))


def delivered(database: Database) -> int:
    return int(database.rows("select count(delivered_at) from notifications")[0][0])


def records_the_trade(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 201
    trade = json.loads(answer["body"])
    assert (trade["ticker"], trade["price"], trade["quantity"], trade["side"]) == ("MSFT", "310.50", 50, "BUY")
    assert database.rows("select 1 from trades where id = %s", trade["id"])


def records_both_trades(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 201
    assert [trade["client_trade_id"] for trade in json.loads(answer["body"])] == ["order-1001", "order-1002"]
    assert database.rows("select count(*) from trades where client_trade_id like 'order-%%'") == [(2,)]


def refuses_its_ticker_and_price(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 400
    assert {error["field"] for error in json.loads(answer["body"])["errors"]} == {"ticker", "price"}
    assert database.rows("select count(*) from trades") == [(4,)]


def finds_the_newest_first(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [trade["id"] for trade in json.loads(answer["body"])] == [9002, 9001]


def shows_the_trade(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    trade = json.loads(answer["body"])
    assert (trade["id"], trade["status"], trade["notified_at"]) == (9001, "active", None)


def annotates_the_trade(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert database.rows("select note, tags from trades where id = 9001") == [("by phone", ["earnings"])]


def voids_the_trade(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["status"] == "voided"
    assert database.rows("select reason from trade_changes where trade_id = 9001") == [("Entered twice",)]


def replaces_the_trade(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 201
    trade = json.loads(answer["body"])
    assert (trade["price"], trade["replaces"]) == ("311.50", 9001)
    assert database.rows("select replaced_by from trade_changes where trade_id = 9001") == [(trade["id"],)]


def refuses_another_ratio(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 409
    assert database.rows("select id from splits") == [(9001,)]


def finds_the_split(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [(split["id"], split["ratio"]) for split in json.loads(answer["body"])] == [(9001, "4:1")]


def voids_the_split(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert database.rows("select void_reason from splits") == [("Wrong ratio",)]


def is_healthy(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})


def delivers_both(answer: Any, database: Database) -> None:
    assert answer == {"batchItemFailures": []}
    assert delivered(database) == 2


def gives_back_the_poisoned_one(answer: Any, database: Database) -> None:
    assert answer == {"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000002"}]}
    assert delivered(database) == 2


def announces_both_to_who_delivers_them(answer: Any, database: Database) -> None:
    assert answer == {"announced": 2, "refused": 0, "given_up": 0}
    deadline = time.monotonic() + 20
    while delivered(database) < 2:
        assert time.monotonic() < deadline, "nobody delivered what was announced"
        time.sleep(0.2)


def finds_the_schema_up_to_date(answer: Any, _: Database) -> None:
    assert answer == {"applied": []}


ANALYSED = {
    "input_file": "2024/05/15/trades.csv",
    "output_file": "2024/05/15/analysis_2024-05-15.csv",
    "records_processed": 6,
    "analysis_summary_count": 3,
    "rejected": 0,
}


def analyses_the_sample(answer: Any, _: Database) -> None:
    assert answer == ANALYSED


def analyses_the_sample_by_hand(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, ANALYSED)


def answers_the_rows_of_the_sample(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    rows = json.loads(answer["body"])["rows"]
    assert [(row["ticker"], row["average_price"]) for row in rows] == [
        ("AAPL", "170.666667"),
        ("GOOG", "2796.916667"),
        ("MSFT", "305.200000"),
    ]


def accepts_the_day(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 202
    assert json.loads(answer["body"]) == {"date": "2024-05-15", "status": "running"}


def answers_the_stored_csv(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer["body"].splitlines()[1].startswith("AAPL,180,170.666667,")


def finds_no_rejects(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, [])


def finds_the_day_done(answer: Any, _: Database) -> None:
    assert answer == {"skipped": "2024-05-15"}


def does_nothing(answer: Any, _: Database) -> None:
    assert answer == {"skipped": "2024/02/30/trades.csv"}


def exports_both_trades(answer: Any, _: Database) -> None:
    assert answer == {"output_file": "2025/06/03/trades.csv", "records_exported": 2}


def stores_five_bars(answer: Any, _: Database) -> None:
    assert answer["statusCode"] in {200, 201}  # a repeated run finds the first one's
    stored = {"ticker": "AAPL", "bars": 5, "first": "2022-01-03", "last": "2022-01-07"}
    assert json.loads(answer["body"]).items() >= stored.items()


def finds_no_history_to_delete(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 404


def lists_histories(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert isinstance(json.loads(answer["body"]), list)


def answers_a_history_as_csv(answer: Any, _: Database) -> None:
    assert answer["statusCode"] in {200, 404}  # by the time of the event that stores it


def exports_what_changed(answer: Any, _: Database) -> None:
    assert answer.keys() == {"exported"}


def simulates_and_records(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 201
    recorded = json.loads(answer["body"])
    assert recorded["result"]["trades"]
    assert database.rows("select ticker from simulations where id = %s", recorded["id"]) == [("MSFT",)]


def simulates_the_best_pair(answer: Any, database: Database) -> None:
    simulates_and_records(answer, database)
    result = json.loads(answer["body"])["result"]
    values = {(pair["fast"], pair["slow"]): pair["value"] for pair in result["sweep"]["pairs"]}
    assert values[result["strategy"]["fast"], result["strategy"]["slow"]] == max(values.values())


def refuses_its_windows(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 400
    assert [error["field"] for error in json.loads(answer["body"])["errors"]] == ["fast"]
    assert database.rows("select id from simulations") == [(9001,)]


def answers_the_recorded_simulation(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["id"] == 9001


def lists_the_recorded_simulation(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])[0]["id"] == 9001


def answers_a_page(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "MSFT: 20/50 moving-average crossover" in answer["body"]


def takes_both_prices(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])) == (202, {"accepted": 2})


def refuses_the_price(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 400
    assert [error["field"] for error in json.loads(answer["body"])["errors"]] == ["prices[0].price"]


def finds_the_average(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    newest = json.loads(answer["body"])[0]
    assert (newest["bucket_start"], newest["mean"], newest["count"]) == ("2025-06-03T12:05:00Z", "99.050000", 2)


def finds_the_alert(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    newest = json.loads(answer["body"])[0]
    assert (newest["ticker"], newest["rise_percent"]) == ("AAPL", "2.14")


def creates_the_rule(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 201
    rule = json.loads(answer["body"])
    assert (rule["percent"], rule["window_seconds"], rule["paused"]) == ("3", 300, False)
    assert database.rows("select kind from alert_rules where id > 1 and id < 9001") == [("fall",)]


def lists_the_rules(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [rule["id"] for rule in json.loads(answer["body"])] == [1, 9001]


def answers_the_rule(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["price"] == "180"


def pauses_the_rule(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert database.rows("select paused from alert_rules where id = 9001") == [(True,)]


def deletes_the_rule(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert database.rows("select deleted_at is not null from alert_rules where id = 9001") == [(True,)]


def issues_a_ticket(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 201
    ticket = json.loads(answer["body"])
    assert ticket["url"].endswith(f"?ticket={ticket['ticket']}")


def records_prices_and_their_alert(answer: Any, database: Database) -> None:
    assert answer == {"batchItemFailures": []}
    bucket = "select ticker, count from price_averages where bucket_start = '2025-06-03T12:00Z' order by ticker"
    assert database.rows(bucket) == [("AAPL", 3), ("MSFT", 1)]
    assert database.rows("select count(*) from alerts join notifications on alert_id = alerts.id") == [(1,)]


def gives_back_the_poisoned_price(answer: Any, database: Database) -> None:
    assert answer == {"batchItemFailures": [{"itemIdentifier": "3c7f2a10-51c4-4f0e-9d0b-0a0000000004"}]}
    assert database.rows("select ticker from price_windows") == [("GOOG",)]


def posts_to_who_is_gone_and_forgets_them(answer: Any, database: Database) -> None:
    assert answer == {"batchItemFailures": []}
    assert database.connections() == []


def gives_back_the_unknown_broadcast(answer: Any, _: Database) -> None:
    assert answer == {"batchItemFailures": [{"itemIdentifier": "5d7f2a10-51c4-4f0e-9d0b-0b0000000002"}]}


def lets_it_in_or_go(answer: Any, _: Database) -> None:
    assert answer == {"statusCode": 200}


def says(**expected: object) -> Callable[[Any, Database], None]:
    def check(answer: Any, _: Database) -> None:
        said = json.loads(answer["body"])
        assert answer["statusCode"] == 200
        assert {name: said[name] for name in expected} == expected

    return check


def says_that_there_is_nothing(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (404, "Not Found")


def redirects_to_the_path_without_its_slash(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], answer["headers"]["location"]) == (308, "/api/health")


def finds_the_position(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    found = [(each["ticker"], each["quantity"], each["cost_basis"]) for each in json.loads(answer["body"])]
    assert found == [("MSFT", "100", "31050")]


def shows_its_lots(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [(lot["trade_id"], lot["cost"]) for lot in json.loads(answer["body"])["lots"]] == [
        (9001, "15525"),
        (9002, "15525"),
    ]


def finds_nothing(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, [])


def sums_the_position(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [(each["currency"], each["market_value"]) for each in json.loads(answer["body"])] == [("USD", "31050")]


def imports_both_trades(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    result = json.loads(answer["body"])
    assert [result[name] for name in ("format", "recorded", "skipped")] == ["schwab", 2, 1]
    assert database.rows("select count(*) from trades where account = 'ira'") == [(2,)]


def says_what_would_be(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert (json.loads(answer["body"])["import_id"], json.loads(answer["body"])["recorded"]) == (None, 2)
    assert database.rows("select count(*) from imports") == [(1,)]


def lacks_both_trades(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert (json.loads(answer["body"])["agrees"], json.loads(answer["body"])["missing_here"]) == (0, 2)


def refuses_its_file(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 400
    assert "'When,What'" in json.loads(answer["body"])["detail"]
    assert database.rows("select count(*) from imports") == [(1,)]


def finds_the_import(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [each["id"] for each in json.loads(answer["body"])] == [9001]


def lists_the_formats(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert "schwab" in [each["name"] for each in json.loads(answer["body"])]


def finds_its_row(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert [(row["line"], row["trade"]["ticker"]) for row in json.loads(answer["body"])] == [(2, "MSFT")]


def voids_the_import(answer: Any, database: Database) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["void_reason"] == "Wrong account"
    assert database.rows("select reason from trade_changes where trade_id = 9001") == [("Wrong account",)]


def creates_a_webhook(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 201
    assert json.loads(answer["body"])["secret"].startswith("whsec_")


def refuses_its_url(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 400
    assert [error["field"] for error in json.loads(answer["body"])["errors"]] == ["url"]


def finds_the_webhook(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    assert WEBHOOK in [webhook["id"] for webhook in json.loads(answer["body"])]


def answers_the_webhook(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], json.loads(answer["body"])["id"]) == (200, WEBHOOK)


def says_why_it_did_not_arrive(answer: Any, _: Database) -> None:
    assert answer["statusCode"] == 200
    delivery = json.loads(answer["body"])
    assert delivery["status"] == "failed"
    assert delivery["attempts"][0]["error"]


def lists_deliveries(answer: Any, _: Database) -> None:
    assert (answer["statusCode"], type(json.loads(answer["body"]))) == (200, list)


def records_it_for_the_webhook(answer: Any, _: Database) -> None:
    assert answer == {"batchItemFailures": []}


def gives_back_the_unknown_event(answer: Any, _: Database) -> None:
    assert answer == {"batchItemFailures": [{"itemIdentifier": "7c2f9a10-51c4-4f0e-9d0b-0b0000000002"}]}


def sweeps(answer: Any, _: Database) -> None:
    assert answer.keys() == {"delivered", "postponed", "given_up", "paused"}


OUTCOMES: dict[str, Callable[[Any, Database], None]] = {
    "not_found/no_such_path.json": says_that_there_is_nothing,
    "not_found/slash_at_the_end.json": redirects_to_the_path_without_its_slash,
    "imports_api/compare_file.json": lacks_both_trades,
    "imports_api/find_imports.json": finds_the_import,
    "imports_api/find_rows.json": finds_its_row,
    "imports_api/import_file.json": imports_both_trades,
    "imports_api/import_refused.json": refuses_its_file,
    "imports_api/list_formats.json": lists_the_formats,
    "imports_api/try_file.json": says_what_would_be,
    "imports_api/void_import.json": voids_the_import,
    "notification_publisher/announced.json": delivers_both,
    "notification_publisher/announced_changes.json": delivers_both,
    "notification_publisher/announced_one_poisoned.json": gives_back_the_poisoned_one,
    "notification_sweeper/sweep.json": announces_both_to_who_delivers_them,
    "positions_api/find_matches.json": finds_nothing,
    "positions_api/find_positions.json": finds_the_position,
    "positions_api/find_profit.json": finds_nothing,
    "positions_api/get_portfolio.json": sums_the_position,
    "positions_api/get_position.json": shows_its_lots,
    "price_broadcaster/broadcast.json": posts_to_who_is_gone_and_forgets_them,
    "price_broadcaster/broadcast_one_poisoned.json": gives_back_the_unknown_broadcast,
    "price_processor/published.json": records_prices_and_their_alert,
    "price_processor/published_one_poisoned.json": gives_back_the_poisoned_price,
    "price_socket/connect.json": lets_it_in_or_go,
    "price_socket/disconnect.json": lets_it_in_or_go,
    "price_socket/list.json": says(type="subscribed", tickers=["AAPL", "MSFT"]),
    "price_socket/ping.json": says(type="pong"),
    "price_socket/subscribe.json": says(type="subscribed", tickers=["AAPL", "MSFT"]),
    "price_socket/unknown.json": says(type="error", code="unknown_action"),
    "price_socket/unsubscribe.json": says(type="subscribed", tickers=["AAPL"]),
    "prices_api/change_rule.json": pauses_the_rule,
    "prices_api/create_rule.json": creates_the_rule,
    "prices_api/delete_rule.json": deletes_the_rule,
    "prices_api/find_alerts.json": finds_the_alert,
    "prices_api/find_averages.json": finds_the_average,
    "prices_api/find_rules.json": lists_the_rules,
    "prices_api/get_rule.json": answers_the_rule,
    "prices_api/issue_ticket.json": issues_a_ticket,
    "prices_api/publish_prices.json": takes_both_prices,
    "prices_api/publish_prices_refused.json": refuses_the_price,
    "schema_migrator/deployed.json": finds_the_schema_up_to_date,
    "strategy_simulator/delete_history.json": finds_no_history_to_delete,
    "strategy_simulator/find_histories.json": lists_histories,
    "strategy_simulator/find_simulations.json": lists_the_recorded_simulation,
    "strategy_simulator/get_history.json": answers_a_history_as_csv,
    "strategy_simulator/get_report.json": answers_a_page,
    "strategy_simulator/get_simulation.json": answers_the_recorded_simulation,
    "strategy_simulator/simulate.json": simulates_and_records,
    "strategy_simulator/simulate_refused.json": refuses_its_windows,
    "strategy_simulator/simulate_sweep.json": simulates_the_best_pair,
    "strategy_simulator/store_history.json": stores_five_bars,
    "trade_analyzer/by_hand.json": analyses_the_sample_by_hand,
    "trade_analyzer/every_night.json": finds_the_day_done,
    "trade_analyzer/find_rejects.json": finds_no_rejects,
    "trade_analyzer/get_analysis.json": answers_the_rows_of_the_sample,
    "trade_analyzer/get_analysis_as_csv.json": answers_the_stored_csv,
    "trade_analyzer/impossible_day_put.json": does_nothing,
    "trade_analyzer/run_analysis.json": accepts_the_day,
    "trade_analyzer/trades_put.json": analyses_the_sample,
    "trade_exporter/by_hand.json": exports_both_trades,
    "trade_exporter/stale_days.json": exports_what_changed,
    "trade_exporter/every_night.json": exports_both_trades,
    "trades_api/annotate_trade.json": annotates_the_trade,
    "trades_api/check_health.json": is_healthy,
    "trades_api/correct_trade.json": replaces_the_trade,
    "trades_api/find_splits.json": finds_the_split,
    "trades_api/find_trades.json": finds_the_newest_first,
    "trades_api/get_trade.json": shows_the_trade,
    "trades_api/record_split.json": refuses_another_ratio,
    "trades_api/record_trade.json": records_the_trade,
    "trades_api/record_trade_refused.json": refuses_its_ticker_and_price,
    "trades_api/record_trades.json": records_both_trades,
    "trades_api/void_split.json": voids_the_split,
    "trades_api/void_trade.json": voids_the_trade,
    "webhook_sender/every_minute.json": sweeps,
    "webhook_sender/published.json": records_it_for_the_webhook,
    "webhook_sender/published_one_poisoned.json": gives_back_the_unknown_event,
    "webhooks_api/change_webhook.json": answers_the_webhook,
    "webhooks_api/create_webhook.json": creates_a_webhook,
    "webhooks_api/create_webhook_refused.json": refuses_its_url,
    "webhooks_api/delete_webhook.json": answers_the_webhook,
    "webhooks_api/find_deliveries.json": lists_deliveries,
    "webhooks_api/find_webhooks.json": finds_the_webhook,
    "webhooks_api/test_webhook.json": says_why_it_did_not_arrive,
}


def test_every_event_has_its_outcome_and_every_function_its_event() -> None:
    assert set(EVENTS) == set(OUTCOMES)
    assert {event.partition("/")[0] for event in EVENTS} == set(FUNCTIONS)


@pytest.fixture(scope="module")
def port(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which `sam local start-lambda` answers: it keeps its containers, one for each function."""
    with serving("start-lambda", options, tmp_path_factory.mktemp("start-lambda") / "log") as port:
        yield port


@pytest.mark.usefixtures("sample", "client")
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_has_its_outcome_in_lambdas_container(event: str, port: int, database: Database) -> None:
    function = FUNCTIONS[event.partition("/")[0]]
    with closing(HTTPConnection(LOOPBACK, port, timeout=120)) as connection:
        path = f"/2015-03-31/functions/{function}/invocations"
        connection.request("POST", path, (ROOT / "events" / event).read_bytes())
        answer = json.load(connection.getresponse())
    OUTCOMES[event](answer, database)


def test_an_event_has_its_outcome_in_a_container_made_for_it(options: list[str], database: Database) -> None:
    event = "trades_api/record_trade.json"
    answer = run(*SAM, "local", "invoke", "TradesApi", "--event", ROOT / "events" / event, *options)
    OUTCOMES[event](json.loads(answer), database)
