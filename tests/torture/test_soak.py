from collections.abc import Callable

import pytest

from tests.torture.soak import Sample, slopes


@pytest.mark.parametrize(
    ("megabytes", "grows"),
    [
        (lambda _: 50, False),
        (lambda hours: 50 + 3 * hours, True),
        (lambda hours: 50 + 100 * min(hours, 1), False),  # it warms up
        (lambda hours: 50 if hours < 1.2 else 80, False),  # it loads a library
    ],
)
def test_what_grows_all_the_time_is_a_leak_and_what_grows_once_is_none(
    megabytes: Callable[[float], float], *, grows: bool
) -> None:
    samples = [Sample(number / 120, megabytes(number / 120), files=9, threads=3) for number in range(240)]
    table, does_grow = slopes({"a process": samples}, hours=2)
    assert does_grow is grows
    assert len(table) == 2


def test_a_process_that_was_started_late_is_not_judged() -> None:
    samples = [Sample(hours, 50 + 100 * hours, files=9, threads=3) for hours in (1.9, 1.92, 1.94, 1.96, 1.98)]
    table, grows = slopes({"a process": samples}, hours=2)
    assert len(table) == 1
    assert not grows
