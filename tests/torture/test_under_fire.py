from tests.torture.system import System, checkout
from tests.torture.under_fire import Fire, counts, judged, under_fire


def test_a_system_under_fire_loses_nothing_and_doubles_nothing() -> None:
    with checkout() as folder:
        fire = Fire(seed=19, seconds=5, postgres=1, functions=6, aws=1, calm=1, clients=8, pause=0.05)
        history = under_fire(System(folder), fire)
    assert judged(history) == [], counts(history)
    assert len(history.kills) == 9
