import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from local.cli import client
from local.cli.main import COMMANDS, main
from local.host import authorizer
from local.host.template import ROOT

PROGRAM = [sys.executable, "-m", "local.cli"]


def test_the_help_lists_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)
    asked = "import sys; from local.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert "'click'" in loaded
    assert not [name for name in ("pydantic", "rich", "aiohttp", "asyncio", "trading") if f"'{name}'" in loaded]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples_that_name_it(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: trading {name} " in out
    assert re.search(rf"^    .*trading {name}( |$)", out.partition("Examples:")[2], re.MULTILINE)


@pytest.mark.parametrize("arguments", [["nothing"], ["feed", "--nothing"], ["completion", "cmd"], []])
def test_wrong_usage_is_said_on_standard_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Usage: trading" in said.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script_of_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"_TRADING_COMPLETE={shell}_complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "completed"),
    [("trading wa", ["watch"]), ("trading feed --vol", ["--volatile"]), ("trading completion z", ["zsh"])],
)
def test_commands_options_and_choices_are_completed(words: str, completed: list[str]) -> None:
    environment = {"_TRADING_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    asked = subprocess.run(
        PROGRAM, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert [line.partition(",")[2] for line in asked.stdout.splitlines()] == completed


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "local.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C, which is for all processes of a terminal, and return the exit code and all that is said."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    return process.returncode, (out + err).strip()


def sweeping(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a long sweep, and return it and its processes once some are at work."""
    history = str(ROOT / "events/history/MSFT.csv")
    process = started(folder, "simulate", history, "--sweep", "fast=1:300:1", "slow=301:700:1")
    deadline = time.monotonic() + 30
    while not (working := [each for each in psutil.Process(process.pid).children() if each.cpu_times().user > 0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process, working


def test_ctrl_c_ends_a_long_sweep_without_a_traceback(tmp_path: Path) -> None:
    process, _ = sweeping(tmp_path)
    assert interrupted(process) == (130, "")


def test_a_process_of_a_sweep_that_is_killed_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    process, working = sweeping(tmp_path)
    working[0].kill()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "A process of the sweep was killed" in errors
    assert "Traceback" not in errors


def test_ctrl_c_ends_the_reading_of_a_file_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trades.csv")
    process = started(tmp_path, "analyze", "trades.csv")
    with (tmp_path / "trades.csv").open("w") as writer:
        writer.write("ticker,price,quantity,side,timestamp\n")
        writer.flush()
        wait_until_idle(process)  # a signal just before a read begins does not interrupt it: that is Python's
        assert interrupted(process) == (130, "")


def wait_until_idle(process: subprocess.Popen[str]) -> None:
    """Wait until a process that has begun does nothing but wait."""
    before, now = None, psutil.Process(process.pid).cpu_times()
    while now != before:
        time.sleep(0.3)
        before, now = now, psutil.Process(process.pid).cpu_times()


def test_a_disk_that_is_full_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_text("ticker,price,quantity,side,timestamp\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "analyze", str(tmp_path / "trades.csv")],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "No space left on device" in done.stderr


def test_a_reader_that_leaves_ends_a_command_quietly(tmp_path: Path) -> None:
    rows = "".join(f"line {number}\n" for number in range(100))
    (tmp_path / "trades.csv").write_text(f"ticker,price,quantity,side,timestamp\n{rows}")
    command = f"'{sys.executable}' -m local.cli analyze '{tmp_path / 'trades.csv'}' | exit 0"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_token_allows_what_it_names_for_as_long_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    monkeypatch.setattr("local.cli.commands.token.FOLDER", tmp_path)
    assert main(["token", "trades:read", "trades:write", "--subject", "desk-7", "--minutes", "5", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    claims = authorizer.of_this_laptop(tmp_path).authorize(f"Bearer {said['token']}", ["trades:read"])["claims"]
    assert (
        (said["subject"], said["scopes"])
        == (claims["sub"], claims["scope"].split())
        == ("desk-7", ["trades:read", "trades:write"])
    )
    left = datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC)
    assert 290 < left.total_seconds() <= 300
    assert main(["token"]) == 0
    everything = authorizer.of_this_laptop(tmp_path).authorize(
        f"Bearer {capsys.readouterr().out.strip()}", ["prices:publish"]
    )
    assert everything["claims"]["sub"] == "local"
