"""What a description of the API takes away from the clients of an earlier one."""

from collections.abc import Iterator, Mapping
from typing import Any

from local.host.template import ROOT

METHODS = ("get", "put", "post", "patch", "delete")
type Json = Mapping[str, Any]


def breaking(old: Json, new: Json) -> list[str]:
    """Return what clients of the old description can no longer do, or are no longer told, a line for each.

    A line begins with the method and the path of an operation. Operations, their parameters, bodies and answers are
    compared: what was there must be there, what may be sent may still be sent, and what is answered has no new type.
    """
    found = []
    for path, operations in old["paths"].items():
        for method in operations.keys() & set(METHODS):
            after = new["paths"].get(path, {}).get(method)
            problems = ["is gone"] if after is None else _of_operation(old, operations[method], new, after)
            found += [f"{method.upper()} {path} {problem}" for problem in problems]
    return sorted(found)


def _of_operation(old: Json, before: Json, new: Json, after: Json) -> Iterator[str]:
    yield from _of_parameters(old, before, new, after)
    bodies = after.get("requestBody", {}).get("content", {})
    for kind, content in before.get("requestBody", {}).get("content", {}).items():
        if kind not in bodies:
            yield f"takes no {kind}"
        else:
            yield from _of_requests(old, content.get("schema", {}), new, bodies[kind].get("schema", {}), "body")
    for status, answer in before.get("responses", {}).items():
        if status in after.get("responses", {}):
            yield from _of_contents(old, answer, new, after["responses"][status], status)
        elif status.startswith("2"):
            yield f"does not answer {status}"


def _of_parameters(old: Json, before: Json, new: Json, after: Json) -> Iterator[str]:
    known, given = (
        {(each["in"], each["name"]): each for each in operation.get("parameters", [])} for operation in (before, after)
    )
    for key, each in known.items():
        if key not in given:
            yield f"has no parameter {key[1]}"
        else:
            yield from _of_requests(old, each.get("schema", {}), new, given[key].get("schema", {}), key[1])
    for key, each in given.items():
        if each.get("required") and not known.get(key, {}).get("required"):
            yield f"wants a parameter {key[1]}"


def _of_contents(old: Json, before: Json, new: Json, after: Json, status: str) -> Iterator[str]:
    given = after.get("content", {})
    for kind, content in before.get("content", {}).items():
        if kind not in given:
            yield f"answers {status} without {kind}"
        else:
            yield from _of_answers(old, content.get("schema", {}), new, given[kind].get("schema", {}), status)


def _of_requests(old: Json, before: Json, new: Json, after: Json, name: str) -> Iterator[str]:
    before, after = _resolved(old, before), _resolved(new, after)
    if not _types(new, after) >= _types(old, before):
        yield f"takes {name} as {sorted(_types(new, after))} only"
    if "enum" in after and not set(after["enum"]) >= set(before.get("enum", [None])):
        yield f"takes fewer values of {name}"
    for each in set(after.get("required", [])) - set(before.get("required", [])):
        yield f"wants {name}.{each}"
    for each, schema in before.get("properties", {}).items():
        if each in after.get("properties", {}):
            yield from _of_requests(old, schema, new, after["properties"][each], f"{name}.{each}")
        elif after.get("additionalProperties") is False:
            yield f"takes no {name}.{each}"


def _of_answers(old: Json, before: Json, new: Json, after: Json, name: str) -> Iterator[str]:
    before, after = _resolved(old, before), _resolved(new, after)
    if not _types(new, after) <= _types(old, before):
        yield f"answers {name} as {sorted(_types(new, after))}"
    if "items" in before and "items" in after:
        yield from _of_answers(old, before["items"], new, after["items"], f"{name}[]")
    for each, schema in before.get("properties", {}).items():
        if each not in after.get("properties", {}):
            yield f"answers {name} without {each}"
        else:
            yield from _of_answers(old, schema, new, after["properties"][each], f"{name}.{each}")


def _resolved(description: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _types(description: Json, schema: Json) -> set[str]:
    schema = _resolved(description, schema)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return set().union(*(_types(description, choice) for choice in choices))
    types = schema.get("type", ["any"])
    return {types} if isinstance(types, str) else set(types)


def unreleased() -> str:
    """Return what the changelog says of the next release."""
    return (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
