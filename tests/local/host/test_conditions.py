"""A template's conditions are decided as CloudFormation decides them."""

import json
import re
from typing import Any

import pytest

from local.host import conditions, template

STACKS = [("dev", "serverless"), ("dev", "db.t4g.small"), ("prod", "serverless"), ("prod", "db.t4g.small")]


def test_nothing_speaks_of_what_is_not_there() -> None:
    whole = template.kept()
    for environment, database in STACKS:
        chosen = conditions.resolved(whole, {"Environment": environment, "DatabaseClass": database})
        gone = whole["Resources"].keys() - chosen["Resources"].keys()
        assert gone
        assert "Fn::If" not in json.dumps(chosen)
        assert set(re.findall(r"\w+", json.dumps(chosen["Resources"]))) & gone == set()


def test_of_each_choice_one_side_is_left() -> None:
    written: dict[str, Any] = {
        "Parameters": {"Size": {"Default": "small"}, "Zone": {}},
        "Conditions": {
            "IsBig": {"Fn::Equals": [{"Ref": "Size"}, "big"]},
            "IsSmallHere": {"Fn::And": [{"Fn::Not": [{"Condition": "IsBig"}]}, {"Fn::Equals": [{"Ref": "Zone"}, "a"]}]},
        },
        "Resources": {
            "Big": {"Type": "Thing", "Condition": "IsBig"},
            "Small": {
                "Type": "Thing",
                "Condition": "IsSmallHere",
                "Properties": {
                    "Name": {"Fn::If": ["IsBig", "big", "small"]},
                    "Weight": {"Fn::If": ["IsBig", 1, {"Ref": "AWS::NoValue"}]},
                    "Parts": [1, {"Fn::If": ["IsBig", 2, {"Ref": "AWS::NoValue"}]}],
                },
            },
        },
    }
    assert conditions.resolved(written, {"Zone": "a"})["Resources"] == {
        "Small": {"Type": "Thing", "Properties": {"Name": "small", "Parts": [1]}}
    }
    assert conditions.resolved(written, {"Size": "big"})["Resources"] == {"Big": {"Type": "Thing"}}


def test_a_kind_of_condition_that_is_not_known_is_refused() -> None:
    written = {"Conditions": {"A": {"Fn::Or": []}}, "Resources": {"B": {"Condition": "A"}}}
    with pytest.raises(ValueError, match="does not support"):
        conditions.resolved(written, {})
