"""Expressions of a template in readable form: `{"Fn::GetAtt": ["Queue", "Arn"]}` is `Queue.Arn`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.host.template import Expression

SHORTER = {
    "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/": "",
    "/invocations": "",
    "arn:${AWS::Partition}:": "arn:",
    ":${AWS::Region}:${AWS::AccountId}:": ":here:",
    "x-amazon-apigateway-any-method": "ANY",
    "x-amazon-apigateway-": "",
}
_RESOURCE = re.compile(r"\$\{([A-Z]\w*(\.\w+)*)\}")


def is_function(value: Any) -> bool:
    """Whether a value is a CloudFormation intrinsic function with its arguments."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref", "Condition"))


def shortened(text: str) -> str:
    """Return an expression's text in one line, without parts that are the same everywhere."""
    if "$" in text or "amazon" in text:
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        text = _RESOURCE.sub(r"\1", text)
    return " ".join(text.split())


def written(value: Expression) -> str:
    """Return an expression as text."""
    if is_function(value):
        [(name, arguments)] = value.items()
        return _applied(name.removeprefix("Fn::"), arguments)
    match value:
        case dict():
            text = ", ".join(f"{key}: {_part(each)}" for key, each in value.items())
        case [only]:
            text = written(only)
        case list():
            text = ", ".join(_part(each) for each in value)
        case bool() | None | "":
            text = json.dumps(value)
        case _:
            text = str(value)
    return text


def _applied(name: str, arguments: Any) -> str:
    match name, arguments:
        case "Ref", "AWS::NoValue":
            text = "nothing"
        case (("Ref" | "Condition"), str()):
            text = arguments
        case "GetAtt", [resource, attribute]:
            text = f"{resource}.{attribute}"
        case "If", ["IsProduction", then, otherwise]:
            text = f"prod: {_part(then)}, dev: {_part(otherwise)}"
        case "If", [condition, then, otherwise]:
            text = f"{condition}: {_part(then)}, else: {_part(otherwise)}"
        case "Sub", [str(text), dict() as names]:
            for variable, each in names.items():
                text = text.replace(f"${{{variable}}}", _part(each))
        case "Sub", str(text):
            pass
        case _:
            text = f"{name}({written(arguments)})"
    return text


def _part(value: Expression) -> str:
    """Return an expression inside another one, in brackets if it would otherwise be ambiguous."""
    is_long = "Fn::If" in value if is_function(value) else isinstance(value, dict | list)
    is_long = is_long and not (isinstance(value, list) and len(value) == 1 and not isinstance(value[0], dict | list))
    return f"({written(value)})" if is_long else written(value)
