import copy
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from local.host.template import ROOT
from tests.local.tools.breaking import breaking, unreleased

DESCRIPTION = json.loads((ROOT / "docs" / "openapi.json").read_text())


def last_release() -> str:
    """Return the newest tag of a version, or nothing where none was released, or the clone has none."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.skipif(not last_release(), reason="nothing was released yet, or this is no clone with tags")
def test_the_changelog_names_each_operation_that_breaks_clients_of_the_last_release() -> None:
    command = ["git", "show", f"{last_release()}:docs/openapi.json"]
    released = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    broken = breaking(released, DESCRIPTION)
    silent = [each for each in broken if " ".join(each.split()[:2]) not in unreleased()]
    assert not silent, f"name these under Unreleased in CHANGELOG.md: {silent}"


def operation(description: Any, method: str = "post") -> Any:
    return description["paths"]["/api/trades"][method]


def schema(description: Any, name: str) -> Any:
    return description["components"]["schemas"][name]


def test_the_same_description_and_one_that_offers_more_break_nothing() -> None:
    more = copy.deepcopy(DESCRIPTION)
    more["paths"]["/api/more"] = operation(more)
    schema(more, "Trade")["properties"]["venue"] = {"type": "string"}
    schema(more, "NewTrade")["properties"]["venue"] = {"type": "string"}
    operation(more, "get")["parameters"].append({"in": "query", "name": "venue", "schema": {"type": "string"}})
    assert breaking(DESCRIPTION, DESCRIPTION) == []
    assert breaking(DESCRIPTION, more) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda new: new["paths"]["/api/trades"].pop("post"), "POST /api/trades is gone"),
        (lambda new: operation(new, "get")["parameters"].pop(0), "GET /api/trades has no parameter"),
        (lambda new: operation(new)["responses"].pop("201"), "POST /api/trades does not answer 201"),
        (lambda new: operation(new)["requestBody"]["content"].clear(), "POST /api/trades takes no application/json"),
        (lambda new: schema(new, "NewTrade")["required"].append("note"), "POST /api/trades wants body.note"),
        (
            lambda new: schema(new, "NewTrade")["properties"].update(ticker={"type": "integer"}),
            "POST /api/trades takes body.ticker as",
        ),
        (lambda new: schema(new, "Trade")["properties"].pop("price"), "POST /api/trades answers 201 without price"),
        (
            lambda new: schema(new, "Trade")["properties"].update(id={"type": "string"}),
            "POST /api/trades answers 201.id as",
        ),
        (
            lambda new: operation(new, "get")["parameters"].append({"in": "query", "name": "desk", "required": True}),
            "GET /api/trades wants a parameter desk",
        ),
    ],
)
def test_what_breaks_clients_is_named(change: Callable[[Any], object], said: str) -> None:
    new = copy.deepcopy(DESCRIPTION)
    change(new)
    assert any(each.startswith(said) for each in breaking(DESCRIPTION, new)), breaking(DESCRIPTION, new)
