"""The rooms of the house, and which of them may look into which: docs/architecture.md draws the same arrows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.host.template import ROOT

PACKAGE = ROOT / "layers" / "trading" / "trading"
# What each package of the business may import besides `core` and itself.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "trades": {"prices"},
    "prices": set(),
    "analysis": set(),
    "simulation": {"prices"},
    "notifications": {"trades", "prices", "analysis"},
    "streaming": {"prices"},
    "http": set(),
}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def packages(file: Path, top: str) -> set[str]:
    """Return the packages below `top` that a file imports."""
    parts = (name.split(".") for name in imported(file))
    return {part[1] for part in parts if part[0] == top and len(part) > 1}


def test_every_package_of_the_business_is_known() -> None:
    assert {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {"core", package}
    wrong = {
        f"{file.relative_to(PACKAGE)} imports {other}"
        for file in (PACKAGE / package).rglob("*.py")
        for other in packages(file, "trading") - allowed
    }
    assert not wrong


@pytest.mark.parametrize("folder", ["layers/trading/trading", "functions", "local"])
def test_a_package_says_what_it_is_and_imports_nothing(folder: str) -> None:
    for file in (ROOT / folder).rglob("__init__.py"):
        if file.parent.name == "migrations":  # a module of its own, with its files beside it
            continue
        tree = ast.parse(file.read_text())
        assert len(tree.body) == 1, f"{file} has more than its docstring"
        assert ast.get_docstring(tree), f"{file} does not say what the package is"


def test_functions_import_nothing_of_the_laptop_and_nothing_of_one_another() -> None:
    for file in (ROOT / "functions").rglob("*.py"):
        assert not packages(file, "local")
        assert not packages(file, "functions")


def test_the_host_and_the_commands_do_not_know_each_other() -> None:
    for file in (ROOT / "local" / "host").rglob("*.py"):
        if file.name != "demo.py":
            assert "cli" not in packages(file, "local"), file
        assert "tools" not in packages(file, "local"), file
    checkout = {"local.host.template", "local.host.authorizer"}  # where the checkout is, and the key of its tokens
    for file in (ROOT / "local" / "cli").rglob("*.py"):
        modules = {".".join(name.split(".")[:3]) for name in imported(file) if name.startswith("local.host.")}
        assert modules <= checkout, file


def test_only_the_http_edge_knows_the_http_edge() -> None:
    for file in PACKAGE.rglob("*.py"):
        if file.parent.name != "http":
            assert "http" not in packages(file, "trading"), file
