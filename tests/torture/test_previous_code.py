import pytest

from local.host.aws_services import Aws
from local.host.postgres import Postgres
from tests.torture.previous_code import check, has_history, steps


@pytest.mark.skipif(not has_history(), reason="the code before the newest migration is in the history of a whole clone")
def test_the_code_before_the_newest_migration_and_the_code_after_it_work_side_by_side(
    postgres: Postgres, aws_services: Aws
) -> None:
    check(steps()[-1], postgres, aws_services)
