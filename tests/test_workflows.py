import re
from typing import Any

import pytest
import yaml

from local.host.template import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def workflow(request: pytest.FixtureRequest) -> Any:
    """What a workflow says."""
    return yaml.safe_load(request.param.read_text())


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_an_action_is_pinned_by_its_hash(workflow: Any) -> None:
    actions = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions)


def test_a_workflow_says_what_its_token_may_do_and_keeps_no_key(workflow: Any) -> None:
    assert set(workflow["permissions"].items()) <= {("contents", "read"), ("id-token", "write")}
    assert "secrets." not in str(workflow)


def test_every_command_is_a_target_of_the_makefile(workflow: Any) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow["jobs"].values():
        named = job.get("strategy", {}).get("matrix", {}).get("target", [])
        commands = [step["run"].replace("${{ matrix.target }}", "each") for step in job["steps"] if "run" in step]
        used = {word for command in commands for word in re.findall(r"^make (\S+)", command) or [command]}
        assert (used - {"each"}) | set(named) <= targets
