"""Calls of the API that follow from the answers of others, as its description implies: an id is read, changed, voided.

CASES says how many, 200 where nothing does, as in `make test`; `make torture` makes 20,000.
"""

import os
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from schemathesis.core.failures import FailureGroup

from tests.local.tools.test_openapi import answered, assert_described, schema, silent_queue

__all__ = ["silent_queue"]  # a fixture
CASES = int(os.environ.get("CASES", "200"))
STEPS = 10


@pytest.mark.filterwarnings("default")  # the library's own
@pytest.mark.usefixtures("silent_queue")
def test_whatever_follows_from_an_answer_is_answered_as_described(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Counter[str] = Counter()
    problems: dict[str, str] = {}

    class Machine(schema.as_state_machine()):  # type: ignore[misc]  # a class that is made at runtime
        """Rows stay from one example to the next, so that a failure may not come again: it is kept, not raised."""

        def call(self, case: schemathesis.Case[Any], **_: Any) -> schemathesis.Response:
            answer = answered(case)
            answers[f"{case.method} {case.path} {answer.status_code}"] += 1
            return answer

        def validate_response(self, response: schemathesis.Response, case: schemathesis.Case[Any], **_: Any) -> None:
            try:
                assert_described(case, response)
            except (AssertionError, FailureGroup) as error:
                problems.setdefault(f"{case.method} {case.path} {response.status_code}", f"{case.body!r}: {error}")

    some = settings(
        max_examples=min(100, CASES // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )
    while answers.total() < CASES:
        with suppress(Flaky):  # a sequence that was begun again met the rows of the first time
            Machine.run(settings=some)
    with capsys.disabled():
        print("\n".join(["", *(f"{count:>6} {answer}" for answer, count in sorted(answers.items()))]))
    assert not problems, "\n\n".join(f"{where}: {what}" for where, what in problems.items())
