import re
import subprocess
from pathlib import Path
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
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert set(job.get("permissions", {}).items()) <= {("contents", "read"), ("id-token", "write")}
    assert "secrets." not in str(workflow)


def test_what_may_ask_for_a_token_builds_nothing(workflow: Any) -> None:
    for job in workflow["jobs"].values():
        commands = " ".join(step.get("run", "") for step in job["steps"])
        assert "id-token" not in job.get("permissions", {}) or not re.search(r"make (build|page|deploy)\b", commands)


def test_every_list_of_pinned_libraries_is_kept_up_to_date() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    looked_at = {
        folder for update in updates for folder in update.get("directories", [update.get("directory")]) if folder != "/"
    }
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    locks = {f"/{Path(file).parent}" for file in listed if re.search(r"requirements.*\.txt$|package-lock\.json$", file)}
    assert locks == looked_at


def test_every_command_is_a_target_of_the_makefile(workflow: Any) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow["jobs"].values():
        named = job.get("strategy", {}).get("matrix", {}).get("target", [])
        commands = [step["run"].replace("${{ matrix.target }}", "each") for step in job["steps"] if "run" in step]
        used = {word for command in commands for word in re.findall(r"^make (\S+)", command) or [command]}
        assert (used - {"each"}) | set(named) <= targets
