"""Faults that are put into the code on purpose: a system with one of them under fire, and what the judge says of it.

Part of `make torture`, and not of `make test`.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.host.template import ROOT
from local.tools import checkout

FIRE = ["--seed=19", "--seconds=4", "--postgres=1", "--functions=5", "--aws=1", "--system=0", "--pause=0.1"]
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Fault:
    """What a file of `layers/trading/trading` says, what it says with the fault, and what the judge says of that."""

    file: str
    changes: dict[str, str]
    said: str


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            Fault(
                "trades/ledger.py",
                {
                    "select id from recorded returning": "select id from recorded where id %% 10 > 0 returning",
                    "from recorded join announced": "from recorded left join announced",
                },
                "was not heard",
            ),
            id="an outbox row is not written",
        ),
        pytest.param(
            Fault("core/pagination.py", {"(*page[-1]": "(*rows[-1]"}, "is skipped"), id="a cursor is off by one"
        ),
        pytest.param(
            Fault(
                "notifications/outbox.py",
                {"and (sending_until is null or sending_until < now())": ""},
                "was heard 2 times, and nothing was killed",
            ),
            id="a lease is ignored",
        ),
    ],
)
def test_a_fault_is_caught(fault: Fault, tmp_path: Path) -> None:
    checkout.copy(tmp_path)
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    packages = tmp_path / "layers" / "trading"
    code = (packages / "trading" / fault.file).read_text()
    for right, wrong in fault.changes.items():
        assert code.count(right) == 1
        code = code.replace(right, wrong)
    (packages / "trading" / fault.file).write_text(code)
    fire = subprocess.run(
        [sys.executable, "-m", "tests.torture.under_fire", *FIRE],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert fire.returncode == 1
    assert fault.said in fire.stdout
