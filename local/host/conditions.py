"""Evaluates a template's conditions as CloudFormation does."""

import json
from collections.abc import Mapping
from typing import Any

NOTHING = {"Ref": "AWS::NoValue"}


def resolved(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a transformed template with its conditions evaluated for these parameters, and defaults for the others.

    One side of each Fn::If is left, and resources and outputs whose condition is false are removed.

    Raises:
        ValueError: a kind of condition is not supported.
    """
    declared = template.get("Parameters", {})
    values = {name: parameters.get(name, each.get("Default")) for name, each in declared.items()}
    choice = _Choice(template.get("Conditions", {}), values)
    sections = {section: choice.entries(template.get(section, {})) for section in ("Resources", "Outputs")}
    return {**template, **sections, "Conditions": {}}


class _Choice:
    def __init__(self, conditions: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._conditions, self._values = conditions, values

    def entries(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resources or outputs whose condition holds, with each Fn::If in them evaluated."""
        there = {
            name: {key: value for key, value in each.items() if key != "Condition"}
            for name, each in entries.items()
            if "Condition" not in each or self._is_true(each["Condition"])
        }
        # Most contain no Fn::If, and a search is ten times faster than a walk.
        return {name: self._chosen(each) if "Fn::If" in json.dumps(each) else each for name, each in there.items()}

    def _chosen(self, part: Any) -> Any:
        match part:
            case {"Fn::If": [condition, then, otherwise]} if len(part) == 1:
                return self._chosen(then if self._is_true(condition) else otherwise)
            case dict():
                return {key: chosen for key, each in part.items() if (chosen := self._chosen(each)) != NOTHING}
            case list():
                return [chosen for each in part if (chosen := self._chosen(each)) != NOTHING]
        return part

    def _is_true(self, condition: Any) -> bool:
        match condition:
            case {"Condition": str(name)} | str(name):
                return self._is_true(self._conditions[name])
            case {"Fn::Not": [negated]}:
                return not self._is_true(negated)
            case {"Fn::And": [*parts]}:
                return all(map(self._is_true, parts))
            case {"Fn::Equals": [{"Ref": name}, value]}:
                return bool(self._values[name] == value)
            case {"Fn::Equals": [one, other]}:
                return bool(one == other)
        raise ValueError(f"{condition} is a condition that local/host/conditions.py does not support")
