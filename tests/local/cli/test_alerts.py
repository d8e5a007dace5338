import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from local.cli.main import main
from local.cli.rules import described, lines_of, settings_of, window_seconds
from tests.local.cli.conftest import Api
from trading.prices.alert_rules import DEFAULT_RULE
from trading.prices.rule_records import NewAlertRule, rule_of

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(api: Api, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command on rules; returns its exit code, its output and its errors."""
    del api

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["alerts", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def listed(run: Run) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = json.loads(run("list", "--json")[1])
    return rules


def test_rules_of_each_kind_are_created_and_listed(run: Run) -> None:
    assert run("add", "aapl", "--rise", "3%", "--within", "5m") == (0, "Created rule 2: AAPL rise 3% in 300s.\n", "")
    assert run("add", "*", "--fall", "2.5", "--within", "90s")[0] == 0
    assert run("add", "AAPL", "--above", "200")[0] == 0
    assert run("add", "BRK.B", "--below", "180", "--once") == (0, "Created rule 5: BRK.B below 180 once.\n", "")
    _, out, _ = run("list")
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert [row for row in rows if row[0] in {"1", "3"}] == [
        ["1", "* rise 2% in 60s", "active", "system"],
        ["3", "* fall 2.5% in 90s", "active", "local"],
    ]
    texts = [described(rule) for rule in listed(run)]
    assert [str(rule_of(NewAlertRule.model_validate(settings_of(text)))) for text in texts] == texts
    assert texts[0] == str(DEFAULT_RULE)


def test_a_rule_is_paused_resumed_and_deleted(run: Run) -> None:
    assert run("pause", "1") == (0, "Paused rule 1: * rise 2% in 60s.\n", "")
    assert "paused" in run("list")[1]
    assert run("resume", "1") == (0, "Resumed rule 1: * rise 2% in 60s.\n", "")
    assert not listed(run)[0]["paused"]
    assert json.loads(run("rm", "1", "--json")[1])["id"] == 1
    assert run("list") == (0, "There are no rules.\n", "")
    assert run("rm", "1") == (1, "", "Error: HTTP 404: There is no alert rule 1.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["AAPL"], "Name one of --rise, --fall, --above and --below."),
        (["AAPL", "--above", "1", "--below", "2"], "Name one of --rise, --fall, --above and --below."),
        (["AAPL", "--rise", "3%"], "--rise needs --within, such as 5m."),
        (["AAPL", "--above", "3", "--within", "5m"], "--within is not for --above."),
        (["AAPL", "--rise", "3%", "--within", "soon"], "'soon' is not a time such as 5m or 90s"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["alerts", "add", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_what_the_system_refuses_is_said_in_its_words(run: Run) -> None:
    code, _, err = run("add", "AAPL", "--fall", "100", "--within", "5m")
    assert (code, err) == (1, "Error: HTTP 400: percent: must be below 100 for fall.\n")


def test_a_time_is_seconds_or_minutes() -> None:
    assert [window_seconds(text) for text in ("90", "90s", "15m")] == [90, 90, 900]


def test_a_file_of_rules_may_have_comments_and_empty_lines() -> None:
    assert lines_of(["# mine\n", "\n", "AAPL below 180\n", "  * rise 2% in 60s"]) == [
        "AAPL below 180",
        "* rise 2% in 60s",
    ]
