"""Every command in a code block of the documents runs as printed, or is marked as needing AWS."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.cli import client
from local.cli.main import COMMANDS, main
from local.host.system import RunningSystem
from local.host.template import ROOT
from tests.test_docs import TESTS
from trading.core import aws

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
# A block of `sh` has commands only; one without a language has commands behind "$ ", and what they print.
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
NEEDS_AWS = "sh needs-aws"
# Those that go on until Ctrl-C or need Docker, each with the test that runs it.
ELSEWHERE = {
    "make start": "test_start_serves_heals_and_stops_cleanly",
    "./trading watch --replay": "test_rules_of_each_kind_are_tried_on_it_in_the_place_of_the_default",
    "./trading watch": "test_as_a_program_it_leaves_at_ctrl_c_with_a_summary",
    "./trading webhooks listen": "test_listening_creates_a_webhook_prints_what_arrives_and_deletes_it",
    "make build": "test_a_function_is_one_small_file",
    ". .venv-sam/bin/activate": "test_a_function_is_one_small_file",
    "sam local start-api": "test_a_trade_is_recorded_and_found_as_it_was_sent",
    "sam local invoke": "test_an_event_has_its_outcome_in_lambdas_container",
}


@dataclass(frozen=True)
class Command:
    """A command of a document, and what the document shows of its output."""

    text: str
    output: str


def commands() -> Iterator[Command]:
    """Yield the commands of all documents, but those that need AWS."""
    for document in DOCUMENTS:
        for block in BLOCK.finditer(document.read_text()):
            text = re.sub(r"\\\n\s*", "", block["text"])
            if block["language"] == "sh":
                yield from (Command(line.partition(" #")[0].strip(), "") for line in text.splitlines())
            elif not block["language"]:
                for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                    yield Command(*part.partition("\n")[::2])


def status_of(curl: str, folder: Path) -> str:
    """Return the status of the answer to a command, which writes it last because of the folder's .curlrc."""
    (folder / ".curlrc").write_text('write-out = "\\n%{http_code}"\nsilent\n')
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(folder)}
    done = subprocess.run(["/bin/sh", "-c", curl], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (curl, done.stderr)
    return done.stdout.rpartition("\n")[2]


@pytest.fixture
def folder(running: RunningSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder like the checkout, from which the running system runs, as far as commands can tell."""
    (tmp_path / "events").symlink_to(ROOT / "events")
    samples = ROOT / "tests" / "trading" / "trades" / "imports" / "samples"
    (tmp_path / "Transactions.csv").symlink_to(samples / "schwab.csv")
    (tmp_path / "My.csv").write_text("Symbol,Day,Shares,Price,Action,Costs,Ccy\nMSFT,03.06.2025,5,310.50,buy,1,USD\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "FOLDER", running.postgres.folder.parent)
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRADING_URL", running.url)
    aws.s3.cache_clear()
    yield tmp_path
    aws.s3.cache_clear()


def test_every_command_of_the_documents_does_what_they_say(
    running: RunningSystem, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = [each for each in commands() if not each.text.startswith(tuple(ELSEWHERE))]
    assert len(tried) > 10
    for command in tried:
        program, *arguments = shlex.split(command.text)
        if program == "./trading":
            assert main(arguments) == 0, (command.text, capsys.readouterr().err)
            continue
        assert program == "curl", command.text
        shown = re.search(r'(?:HTTP/1.1 |"status": )(\d+)', command.output)
        expected = shown[1] if shown else "200"
        deadline = time.monotonic() + 10  # for what works in the background, such as an analysis
        while (status := status_of(command.text.replace(client.DEFAULT_URL, running.url), folder)) != expected:
            assert time.monotonic() < deadline, (command.text, status)
            time.sleep(0.1)


def test_every_command_that_runs_elsewhere_has_its_test_there() -> None:
    assert set(ELSEWHERE.values()) <= TESTS
    texts = [command.text for command in commands()]
    assert not [prefix for prefix in ELSEWHERE if not any(text.startswith(prefix) for text in texts)]


def test_whatever_uses_aws_says_so() -> None:
    for document in DOCUMENTS:
        for block in BLOCK.finditer(document.read_text()):
            uses_aws = re.search(r"^\s*(aws|make deploy|make destroy)\b|\$\(output", block["text"], re.MULTILINE)
            assert bool(uses_aws) == (block["language"] == NEEDS_AWS), (document.name, block["text"])


def test_every_target_and_command_that_the_documents_name_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        assert set(re.findall(r"`(?:[A-Z]+=\S+ )*make ([a-z-]+)", text)) <= targets, document
        assert set(re.findall(r"\./trading ([a-z]+)", text)) <= COMMANDS.keys(), document
