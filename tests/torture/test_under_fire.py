from tests.torture.system import installed
from tests.torture.under_fire import Fire, counts, judged, under_fire


def test_a_system_under_fire_loses_nothing_and_doubles_nothing() -> None:
    fire = Fire(seed=19, seconds=4, postgres=1, functions=5, aws=1, system=0, calm=1, clients=8, pause=0.1)
    with installed() as system:
        history = under_fire(system, fire)
    assert judged(history) == [], counts(history)
    assert len(history.kills) == 7
