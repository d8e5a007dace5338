"""`python -m local.tools.inventory`: writes docs/inventory.md, everything that the template deploys, in tables.

Each table removes what it shows from a copy of the transformed template, and the last one shows the remainder. So any
change in the template changes the file, except for settings that have no effect in AWS (`WORDS`).
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from local.host import template
from local.host.template import ROOT
from local.tools.deployed import environments
from local.tools.expressions import is_function, shortened, written
from local.tools.inventory_tables import ENTRIES, ITEMS, NAME, ONLY, TABLES, VALUE, Rows

FILE = ROOT / "docs" / "inventory.md"
INTRODUCTION = """# Inventory

Everything that `template.yaml` deploys, after AWS's SAM transform. `make inventory` writes this file, and a test
compares it with the template. When you review a change of the template, review the diff of this file.

Resources with equal rows share one. A capitalized word is a resource, a parameter or a condition of the template.
`here` in an ARN stands for the stack's region and account. CloudFront's managed policies are named in the template.
"""
# Settings that are only informative, or never change.
WORDS = {
    "AlarmDescription",
    "Comment",
    "DBSubnetGroupDescription",
    "Description",
    "GroupDescription",
    "Label",
    "PolicyName",
    "S3Bucket",
    "Sid",
    "Version",
    "parameters",  # of a route: its path parameters
    "responses",
}
_MARKDOWN = re.compile(r"[*<_\[]")  # characters with a meaning in Markdown
BY_SAM = "SAM"  # the value of the tags that SAM adds to everything


class Inventory:
    """A transformed template, from which tables remove what they show."""

    def __init__(self, transformed: Mapping[str, Any]) -> None:
        # The name of a layer ends with a digest of its declaration.
        text = re.sub(r"Layer[0-9a-f]{10}\b", "Layer", json.dumps(transformed))
        self.template: dict[str, Any] = _without_words(json.loads(text))
        self.resources = {
            name: {**resource.pop("Properties", {}), **resource}
            for name, resource in self.template["Resources"].items()
        }
        self.kinds: dict[str, list[str]] = {}
        for name, resource in self.resources.items():
            self.kinds.setdefault(resource.pop("Type").removeprefix("AWS::"), []).append(name)
        self.shown: set[str] = set()

    def rows(self, rows: Rows, columns: Iterable[str]) -> Iterator[list[str]]:
        """Remove and return the rows of a table, each preceded by its resource's name."""
        for name in self.kinds.get(rows.kind, []):
            for label, item in _each(self.resources[name], rows.each):
                self.shown.add(name)
                yield [name, *(_cell(item, label, rows.cells.get(column, "")) for column in columns)]

    def remainder(self) -> Iterator[list[str]]:
        """Return the settings and resources that no table has shown."""
        for kind, names in self.kinds.items():
            for name in names:
                left = _pruned(self.resources[name])
                if left or name not in self.shown:
                    yield [name, kind, written(left) if left else ""]


def _each(resource: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the mappings at the end of a path, each with the names of the entries on the way."""
    found: list[tuple[str, Any]] = [("", resource)]
    for step in path.split(".") if path else []:
        found = [pair for label, node in found for pair in _step(label, node, step)]
    return ((label, node) for label, node in found if isinstance(node, dict))


def _step(label: str, node: Any, step: str) -> Iterator[tuple[str, Any]]:
    if step == ITEMS and isinstance(node, list):
        node[:] = [_item(each) for each in node]
        yield from ((label, each) for each in node)
    elif step == ITEMS:  # a list of one item may be written without brackets
        yield label, node
    elif step == ENTRIES and isinstance(node, dict):
        node.update({name: {VALUE: each} for name, each in node.items()})
        yield from ((f"{name} {label}".strip(), node[name]) for name in sorted(node))
    elif isinstance(node, dict) and step in node:
        yield label, node[step]


def _item(item: Any) -> dict[str, Any]:
    """Return an item of a list as a mapping; one that only some stacks have says which."""
    if isinstance(item, dict) and not is_function(item):
        return item
    match item:
        case {"Fn::If": ["IsProduction", dict() as there, {"Ref": "AWS::NoValue"}]} if not is_function(there):
            return {**there, ONLY: "prod"}
        case {"Fn::If": ["IsProduction", {"Ref": "AWS::NoValue"}, dict() as there]} if not is_function(there):
            return {**there, ONLY: "dev"}
    return {VALUE: item}


def _cell(item: dict[str, Any], label: str, cell: str) -> str:
    if cell.startswith('"'):
        return cell.strip('"')
    if cell == NAME:
        return label
    parts = [(path, _take(item, path)) for path in cell.split()]
    return ", ".join(
        written(value) if position == 0 or path == VALUE else f"{path.rpartition('.')[2]}: {written(value)}"
        for position, (path, value) in enumerate(parts)
        if value is not None
    )


def _take(item: dict[str, Any], path: str) -> Any:
    *way, last = path.split(".")
    for step in way:
        item = item[step] if isinstance(item.get(step), dict) else {}
    return _pruned(item.pop(last, None))


def _pruned(value: Any) -> Any:
    """Return a value without its empty parts, or None if nothing is left."""
    if isinstance(value, dict):
        return {key: left for key, each in value.items() if (left := _pruned(each)) is not None} or None
    if isinstance(value, list):
        return [left for each in value if (left := _pruned(each)) is not None] or None
    return value


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_words(each) for key, each in value.items() if key not in WORDS}
    if isinstance(value, list):
        return [_without_words(each) for each in value if not (isinstance(each, dict) and BY_SAM in each.values())]
    return value


def table(title: str, columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    """Return a table; resources with equal rows share one, and a value common to all rows is in the title."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, *cells in rows:
        names.setdefault(tuple(cells), []).append(name)
    lines = [[", ".join(dict.fromkeys(who)), *cells] for cells, who in names.items()]
    whose = {line[0] for line in lines}
    head = ["", *columns]
    if len(whose) == 1 and len(lines) > 1:
        title, head, lines = f"{title}: {whose.pop()}", head[1:], [line[1:] for line in lines]
    text = [f"| {' | '.join(map(_escaped, line))} |" for line in [head, ["---"] * len(head), *lines]]
    return "\n".join([f"## {title}", "", *text, ""])


def _escaped(text: str) -> str:
    text = shortened(text).replace("|", "\\|")
    return f"`{text}`" if _MARKDOWN.search(text) else text


def _choices(deployed: Mapping[str, Any]) -> Iterator[str]:
    """Return the tables of parameters and conditions."""
    dev, prod = environments().values()
    parameters = (
        [name, written(each.pop("Default", None)), dev.get(name, ""), prod.get(name, ""), written(each)]
        for name, each in deployed["Parameters"].items()
    )
    yield table("Parameters", ("default", "in dev", "in prod", "may be"), parameters)
    yield table("Conditions", ("when",), ([name, written(each)] for name, each in deployed["Conditions"].items()))
    yield table("Outputs", ("output",), ([name, written(each)] for name, each in deployed["Outputs"].items()))


@cache
def _scopes_of_the_code() -> str:
    """Return the scopes that the code requires, from docs/openapi.json, which a test compares with the code."""
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    operations = (
        [f"{method.upper()} {path}", written(operation.get("security", "public"))]
        for path, methods in paths.items()
        for method, operation in methods.items()
    )
    return table("Scopes of the code", ("scopes",), operations)


def _dashboards(inventory: Inventory) -> Iterator[list[str]]:
    for name in inventory.kinds.get("CloudWatch::Dashboard", []):
        inventory.shown.add(name)
        body = written(inventory.resources[name].pop("DashboardBody"))
        try:
            widgets = json.loads(body)["widgets"]
        except ValueError:  # reported by a rule
            widgets = [{"properties": {"title": body}}]
        for widget in widgets:
            shown = widget.pop("properties", {})
            yield [name, *(written(shown.pop(each, None)) for each in ("title", "metrics")), written(shown | widget)]


def text(transformed: Mapping[str, Any]) -> str:
    """Return the whole inventory of a transformed template."""
    inventory = Inventory(transformed)
    parts = [INTRODUCTION, *_choices(inventory.template)]
    for title, sources in TABLES.items():
        columns = list(dict.fromkeys(column for source in sources for column in source.cells))
        parts.append(table(title, columns, [row for source in sources for row in inventory.rows(source, columns)]))
    parts.append(_scopes_of_the_code())
    parts.append(table("Dashboard", ("title", "metrics", "how"), _dashboards(inventory)))
    parts.append(table("Everything else", ("kind", "settings"), inventory.remainder()))
    return "\n".join(parts)


def main() -> int:
    """Write docs/inventory.md."""
    FILE.write_text(text(template.transformed()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
