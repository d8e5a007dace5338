from datetime import UTC, datetime, timedelta
from decimal import Decimal

from local.cli.watches import Watches
from trading.prices.alert_rules import Outcome
from trading.prices.ticks import Tick

START = datetime(2025, 6, 3, 12, tzinfo=UTC)


def judged(*ticks: tuple[int, str]) -> list[tuple[Outcome, bool, bool]]:
    """Return what becomes of ticks: the outcome, whether it is an alert, and whether the ticker begins anew."""
    watches = Watches()
    found = []
    for second, price in ticks:
        judgement, is_new_run = watches.update(Tick("AAPL", Decimal(price), START + timedelta(seconds=second)))
        found.append((judgement.outcome, bool(judgement.alerts), is_new_run))
    return found


def test_a_straggler_changes_nothing() -> None:
    late = (Outcome.TOO_OLD, False, False)
    assert judged((60, "100"), (0, "90"), (61, "103"), (1, "90"), (62, "103"))[1:] == [
        late,
        (Outcome.COUNTED, True, False),
        late,
        (Outcome.COUNTED, False, False),
    ]


def test_two_ticks_in_a_row_that_are_too_old_begin_anew_and_may_alert_at_once() -> None:
    assert judged((60, "100"), (0, "100"), (20, "103"))[1:] == [
        (Outcome.TOO_OLD, False, False),
        (Outcome.COUNTED, True, True),
    ]


def test_two_stragglers_out_of_order_do_not_begin_anew() -> None:
    assert [is_new for _, _, is_new in judged((60, "100"), (20, "90"), (10, "90"), (30, "90"))] == [
        False,
        False,
        False,
        True,
    ]
