from tests.torture.under_fire import Fire, System, checkout, under_fire


def test_a_system_under_fire_loses_nothing_and_doubles_nothing() -> None:
    with checkout() as folder:
        counts = under_fire(System(folder), Fire(seconds=10, postgres=2, functions=15, aws=1))
    assert counts.problems() == []
    assert counts.answered.trades
    assert sum(counts.kills.values()) == 19
