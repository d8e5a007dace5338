import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.host.template import ROOT

TRADES = "ticker,price,quantity,side,timestamp\nAAPL,170.50,100,BUY,2024-05-15T10:00:00Z\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    (folder / "requirements").mkdir(parents=True)
    for name in ("trading", "Makefile", "requirements/dev.txt"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("local", "layers"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".ready":
            (folder / ".venv" / part.name).symlink_to(part)
    (folder / ".venv/.ready").touch()
    return folder


def run(program: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_works_in_a_folder_with_a_space_and_from_another_where_a_module_lies_in_wait(
    checkout: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "random.py").write_text("raise SystemExit('the wrong module')")
    (elsewhere / "trades.csv").write_text(TRADES)
    done = run(checkout / "trading", "analyze", "trades.csv", "--json", cwd=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"ticker": "AAPL"' in done.stdout


def test_a_link_to_it_finds_its_checkout(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "trading"
    link.symlink_to(checkout / "trading")
    assert run(link, "--version", cwd=tmp_path).stdout.startswith("trading, version ")


def test_what_is_due_is_set_up_first_and_said_on_standard_error(checkout: Path, tmp_path: Path) -> None:
    (checkout / "Makefile").write_text(".venv/.ready: requirements/dev.txt\n\t@echo setting up; touch $@\n")
    os.utime(checkout / ".venv/.ready", (0, 0))
    done = run(checkout / "trading", "--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "setting up\n")
    assert done.stdout.startswith("trading, version ")
    assert run(checkout / "trading", "--version", cwd=tmp_path).stderr == ""


def test_a_machine_without_make_is_told_what_is_missing(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dirname", "readlink"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    done = run(checkout / "trading", "--version", cwd=tmp_path, PATH=str(programs))
    assert (done.returncode, "trading needs make" in done.stderr) == (1, True)
