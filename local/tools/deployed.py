"""A transformed template, with the queries that the rules need."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from local.host.template import ROOT, Expression, names_in, operations

ADMINISTRATOR = "trading_admin"


class Deployed:
    """A template after AWS's SAM transform, with the queries that the rules need."""

    def __init__(self, transformed: Mapping[str, Any]) -> None:
        self.resources: dict[str, dict[str, Any]] = {
            name: {**resource, "Properties": resource.get("Properties", {})}
            for name, resource in transformed["Resources"].items()
        }

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of a kind, by their names."""
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] == kind}

    def among(self, expression: Expression, kind: str) -> set[str]:
        """Return the resources of a kind that an expression refers to."""
        return names_in(expression) & self.of(kind).keys()

    def statements(self, function: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the statements of a function's role that are in this template."""
        for role in self.among(function["Role"], "AWS::IAM::Role"):
            for policy in self.of("AWS::IAM::Role")[role].get("Policies", []):
                yield from as_list(policy["PolicyDocument"]["Statement"])

    def uses_database(self, function: Mapping[str, Any]) -> bool:
        """Whether a function signs in to the database, but for the migrator."""
        connects = any("rds-db:connect" in as_list(each.get("Action", [])) for each in self.statements(function))
        return connects and not self.migrates(function)

    def migrates(self, function: Mapping[str, Any]) -> bool:
        """Whether a function signs in to the database directly, as its administrator."""
        variables = variables_of(function)
        return "DB_SECRET_ARN" in variables or variables.get("DB_USER") == ADMINISTRATOR

    def routes(self) -> dict[str, dict[str, Any]]:
        """Return the routes of the HTTP API by key.

        Socket routes are not included: a browser cannot send a token there, so $connect requires a ticket.
        """
        apis = (api for api in self.of("AWS::ApiGatewayV2::Api").values() if not is_socket(api))
        return {key: operation for api in apis for key, operation in operations(api).items()}

    def authorizers(self) -> set[str]:
        """Return the names of the HTTP API's authorizers."""
        apis = (api for api in self.of("AWS::ApiGatewayV2::Api").values() if not is_socket(api))
        return {name for api in apis for name in api["Body"]["components"]["securitySchemes"]}

    def dead_letter_queues(self) -> set[str]:
        """Return the queues that receive failed messages or events."""
        found: set[str] = set()
        for each in self.resources.values():
            for target in values_under(each["Properties"], {"deadLetterTargetArn", "DeadLetterConfig", "OnFailure"}):
                found |= self.among(target, "AWS::SQS::Queue")
        return found

    def has_alarm(self, metric: str, resource: str) -> bool:
        """Whether there is an alarm on a metric of a resource."""
        return any(
            alarm.get("MetricName") == metric and resource in names_in(alarm.get("Dimensions"))
            for alarm in self.of("AWS::CloudWatch::Alarm").values()
        )


def environments() -> dict[str, dict[str, str]]:
    """Return the parameters that samconfig.toml chooses for each environment."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {
        environment: dict(
            re.findall(r"(\w+)=(\S+)", config[environment]["deploy"]["parameters"]["parameter_overrides"])
        )
        for environment in ("dev", "prod")
    }


def as_list(value: Any) -> list[Any]:
    """Return a value as a list; a list of one item may be written without brackets."""
    return value if isinstance(value, list) else [value]


def scopes_of(operation: Mapping[str, Any]) -> set[str]:
    """Return the scopes of a route; a token must have one of them."""
    return {scope for each in operation.get("security", []) for scopes in each.values() for scope in scopes}


def is_socket(api: Mapping[str, Any]) -> bool:
    """Whether an API is that of the price socket."""
    return api.get("ProtocolType") == "WEBSOCKET"


def variables_of(function: Mapping[str, Any]) -> Mapping[str, Expression]:
    """Return the environment variables of a function."""
    variables: Mapping[str, Expression] = function.get("Environment", {}).get("Variables", {})
    return variables


def values_under(properties: Any, keys: set[str]) -> Iterator[Any]:
    """Return the values of these keys at any depth."""
    if isinstance(properties, dict):
        for key, value in properties.items():
            if key in keys:
                yield value
            yield from values_under(value, keys)
    elif isinstance(properties, list):
        for value in properties:
            yield from values_under(value, keys)
