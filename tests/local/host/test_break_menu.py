import psutil
import pytest

from local.host.system import RunningSystem
from tests.torture import menu
from tests.torture.menu import Breaker


@pytest.mark.parametrize("what", ["junk", "twice", "clock"])
def test_what_the_menu_breaks_costs_no_trade_and_is_well_again(running: RunningSystem, what: str) -> None:
    breaker = Breaker(psutil.Process(), {"TRADING_URL": running.url, **running.environment})
    [name] = [each for each in breaker.menu if what in each]
    outcome = breaker.do(name, pause=0.2)
    assert outcome.answered
    assert (outcome.lost, outcome.doubled, outcome.waiting) == (0, 0, 0)
    assert "Lost: 0. Recorded twice: 0. All announced after" in str(outcome)


def test_where_nothing_runs_the_menu_says_what_to_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(menu, "running_host", lambda: None)
    assert menu.main() == 1
    assert "make start" in capsys.readouterr().out
