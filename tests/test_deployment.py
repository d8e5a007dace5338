"""What is chosen when the system is deployed, and who may deploy it: what no checker of AWS knows."""

import re
import tomllib
from typing import Any

import pytest

from local.template import ROOT

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def architecture(environment: str, command: str) -> str | None:
    """Return the processors that samconfig.toml names for a command."""
    overrides = SAMCONFIG[environment][command]["parameters"].get("parameter_overrides", "")
    named = re.search(r"Architecture=(\w+)", overrides)
    return named and named[1]


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        (environment, command)
        for environment, commands in SAMCONFIG.items()
        if isinstance(commands, dict)
        for command in commands.keys() - {"global", "validate"}
    ],
)
def test_what_is_built_for_some_processors_runs_on_those(environment: str, command: str) -> None:
    assert architecture(environment, command) == architecture(environment, "build") in {"arm64", "x86_64"}


def test_where_no_environment_is_named_dev_is_meant() -> None:
    def of(environment: str) -> dict[str, Any]:
        deployed: dict[str, Any] = SAMCONFIG[environment]["deploy"]["parameters"]
        return {"stack_name": SAMCONFIG["default"]["global"]["parameters"]["stack_name"], **deployed}

    assert of("default") == of("dev")


def test_no_target_asks_after_the_build_what_it_was_built_for() -> None:
    commands = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("\t$(SAM)")]
    assert any(" deploy " in command for command in commands)
    assert not any("--guided" in command for command in commands)
