"""template.yaml, read with AWS's own SAM transform, so that the local wiring is the same as in AWS."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local.host.conditions import resolved

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
KEPT = ROOT / ".build"
REGION = "eu-west-1"  # of the local services
METHODS = {"ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
SOCKET_SELECTION = "$request.body.action"
ANY_METHOD = "x-amazon-apigateway-any-method"  # as in the transform's output

# A value of a template: text, or an intrinsic function that CloudFormation resolves.
Expression = Any

# Deployed locally exactly as declared.
SERVICES = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue"}
# Not needed locally, or replaced: the network, the database (`postgres.py`), authorization (`authorizer.py`), alarms,
# permissions, logs, layers (imported from the checkout).
UNUSED = {
    "AWS::ApiGatewayV2::Integration",  # followed from its route
    "AWS::ApiGatewayV2::RouteResponse",  # the same
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudFront::Distribution",  # locally, the page and the API have the same origin anyway
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",  # `System.page_headers`
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::EC2::EgressOnlyInternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetCidrBlock",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCCidrBlock",
    "AWS::EC2::VPCEndpoint",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",  # `System.subscriptions`; no mail is sent locally
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "Custom::SchemaMigration",  # `local/host/system.py` invokes the migrator itself
}


class UnknownResourceError(Exception):
    """The template has a resource that `local` does not support yet."""


class RouteKeyError(Exception):
    """API Gateway would refuse to create a route with this key."""


@dataclass(frozen=True)
class Function:
    """A Lambda function: its code, layers and environment."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    timeout: float  # seconds
    memory: int  # MB
    environment: Mapping[str, Expression]


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API: a method (or ANY) and path, or `$default`, with its function and scopes."""

    key: str
    function: str
    has_authorizer: bool = False
    scopes: tuple[str, ...] = ()  # a token must have one of them, if there are any


@dataclass(frozen=True)
class SocketRoute:
    """A route of the WebSocket API, its function, and whether the response is sent to the client."""

    key: str
    function: str
    has_response: bool


@dataclass(frozen=True)
class QueueSource:
    """A queue whose messages invoke a function, in batches of at most this size."""

    queue: Expression
    function: str
    batch_size: int


@dataclass(frozen=True)
class Subscription:
    """A queue that receives the messages of a topic, with raw message delivery."""

    topic: Expression
    queue: Expression


@dataclass(frozen=True)
class Schedule:
    """A schedule that invokes a function, with an event if the template has one."""

    name: str
    expression: str
    function: str
    input: str | None = None  # JSON


@dataclass(frozen=True)
class EventRule:
    """An EventBridge rule whose events invoke a function; locally they are delivered through a queue."""

    queue: Expression
    function: str


@dataclass
class System:
    """The whole template, grouped by how the local system uses it."""

    functions: dict[str, Function] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    socket_routes: list[SocketRoute] = field(default_factory=list)
    queue_sources: list[QueueSource] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    event_rules: list[EventRule] = field(default_factory=list)
    page_headers: dict[str, Expression] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        """The scopes of all routes, without Cognito's prefix."""
        return sorted({scope for route in self.routes for scope in route.scopes if "/" not in scope})


def transformed(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return the CloudFormation template that AWS's SAM transform creates from a SAM template.

    Code folders become S3 keys in a bucket named `local`, because the transform does not accept folders.
    """
    # Half a second, and memory, that a start need not spend: see `kept`.
    from boto3 import Session  # noqa: PLC0415
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415

    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns about unavailable metrics
    template = yaml_parse(path.read_text())
    for resource in template["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = {"Bucket": "local", "Key": resource["Properties"][key]}
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=Session(region_name=REGION))
    result: dict[str, Any] = translator.translate(template, parameter_values={})
    return result


def kept() -> dict[str, Any]:
    """Return this project's transformed template, which is transformed anew only when something of it has changed."""
    made_of = TEMPLATE.read_bytes(), Path(__file__).read_bytes(), version("aws-sam-translator").encode()
    file = KEPT / f"template-{hashlib.sha256(b''.join(made_of)).hexdigest()[:16]}.json"
    if not file.exists():
        KEPT.mkdir(exist_ok=True)
        for outdated in KEPT.glob("template-*.json"):
            outdated.unlink(missing_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(transformed()))
        new.rename(file)  # whole, even if this ends before it is written, or another process writes it too
    result: dict[str, Any] = json.loads(file.read_text())
    return result


def read(template: Mapping[str, Any]) -> System:
    """Group the resources of a transformed template, as in `prod`, by how the local system uses them.

    Raises:
        UnknownResourceError: it has a kind of resource, route or event that `local` does not support.
        RouteKeyError: it has a route that API Gateway refuses to create.
    """
    resources = resolved(template, {"Environment": "prod"})["Resources"]
    names = {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Function"}
    unused = {name for name, resource in resources.items() if resource["Type"] in UNUSED}
    system = System(
        subscriptions=list(_subscriptions(resources)),
        page_headers=_page_headers(resources),
        parameters=template.get("Parameters", {}),
    )
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Lambda::Function":
                system.functions[name] = _function(name, properties, resources, unused)
            case "AWS::ApiGatewayV2::Api":
                system.routes.extend(_routes(name, properties, names))
            case "AWS::ApiGatewayV2::Route":
                system.socket_routes.append(_socket_route(name, properties, resources, names))
            case "AWS::Lambda::EventSourceMapping":
                system.queue_sources.append(_queue_source(name, properties, names))
            case "AWS::Scheduler::Schedule":
                function = _function_in(properties["Target"]["Arn"], names)
                system.schedules.append(
                    Schedule(name, properties["ScheduleExpression"], function, properties["Target"].get("Input"))
                )
            case "AWS::Events::Rule":
                [target] = properties["Targets"]
                queue = {"Fn::GetAtt": [f"{name}Events", "Arn"]}
                system.event_rules.append(EventRule(queue, _function_in(target["Arn"], names)))
                system.services[f"{name}Events"] = {"Type": "AWS::SQS::Queue"}
                system.services[name] = {
                    "Type": resource["Type"],
                    "Properties": {**properties, "Targets": [{"Id": target["Id"], "Arn": queue}]},
                }
            case kind if kind in SERVICES:
                system.services[name] = {**resource, "Properties": _without(properties, unused)}
            case kind if kind not in UNUSED:
                raise UnknownResourceError(f"{name} is an {kind}, which local/host/template.py does not know")
    return system


def _without(settings: Mapping[str, Expression], unused: set[str]) -> dict[str, Expression]:
    """Return the settings that do not refer to unused resources."""
    return {key: value for key, value in settings.items() if not names_in(value) & unused}


def names_in(expression: Expression) -> set[str]:
    """Return all names in an expression, including those in its Ref, GetAtt and Sub."""
    return set(re.findall(r"\w+", json.dumps(expression))) if isinstance(expression, dict | list) else set()


def _function(name: str, properties: Mapping[str, Any], resources: Mapping[str, Any], unused: set[str]) -> Function:
    layers = [resources[layer["Ref"]]["Properties"]["Content"]["S3Key"] for layer in properties["Layers"]]
    return Function(
        name=name,
        handler=properties["Handler"],
        code=ROOT / properties["Code"]["S3Key"],
        layers=tuple(ROOT / layer for layer in layers),
        timeout=properties["Timeout"],
        memory=properties["MemorySize"],
        environment=_without(properties["Environment"]["Variables"], unused),
    )


def _queue_source(name: str, properties: Mapping[str, Any], functions: set[str]) -> QueueSource:
    if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        raise UnknownResourceError(f"{name} does not report failures item by item")
    function = _function_in(properties["FunctionName"], functions)
    return QueueSource(properties["EventSourceArn"], function, properties["BatchSize"])


def _subscriptions(resources: Mapping[str, Any]) -> Iterator[Subscription]:
    """Yield the subscriptions of queues to topics."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::SNS::Subscription" and resource["Properties"]["Protocol"] == "sqs":
            properties = resource["Properties"]
            if properties.get("RawMessageDelivery") is not True:
                raise UnknownResourceError(f"{name} does not hand over messages as they were published")
            yield Subscription(properties["TopicArn"], properties["Endpoint"])


def _routes(name: str, properties: Mapping[str, Any], functions: set[str]) -> Iterator[Route]:
    """Yield the routes of an HTTP API; those of a WebSocket API are separate resources."""
    if properties.get("ProtocolType") == "WEBSOCKET":
        if properties["RouteSelectionExpression"] != SOCKET_SELECTION:
            raise UnknownResourceError(f"{name} does not choose its routes by {SOCKET_SELECTION}")
        return
    for key, operation in operations(properties).items():
        check_route_key(key)
        function = _function_in(operation["x-amazon-apigateway-integration"]["uri"], functions)
        scopes = [scope for each in operation.get("security", []) for its in each.values() for scope in its]
        yield Route(key, function, bool(operation.get("security")), tuple(scopes))


def operations(api: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the routes in the OpenAPI body of an HTTP API, by key."""
    return {
        "$default" if operation.get("isDefaultRoute") else f"{_verb(method)} {path}": operation
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }


def _verb(method: str) -> str:
    return "ANY" if method == ANY_METHOD else method.upper()


def check_route_key(key: str) -> None:
    """Check that API Gateway accepts a route key.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html

    Raises:
        RouteKeyError: it would refuse the key.
    """
    if key == "$default":
        return
    method, _, path = key.partition(" ")
    segments = path.split("/")[1:]
    variables = [segment for segment in segments if "{" in segment or "}" in segment]
    if method not in METHODS:
        fault = f"{method or 'nothing'} is not a method"
    elif not path.startswith("/"):
        fault = "the path does not start with a slash"
    elif path != "/" and "" in segments:
        fault = "the path ends with a slash" if path.endswith("/") else "a segment of the path is empty"
    elif not all(re.fullmatch(r"\{\w+\+?\}", segment) for segment in variables):
        fault = "a variable is not a whole segment"
    elif len(set(variables)) < len(variables):
        fault = "two variables have one name"
    elif any("+" in segment for segment in variables if segment is not segments[-1]):
        fault = "a greedy variable is not at the end"
    else:
        return
    raise RouteKeyError(f"API Gateway refuses the route {key}: {fault}")


def _socket_route(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Any], functions: set[str]
) -> SocketRoute:
    [_, [_, integration]] = properties["Target"]["Fn::Join"]
    uri = resources[integration["Ref"]]["Properties"]["IntegrationUri"]
    has_response = properties.get("RouteResponseSelectionExpression") == "$default" and any(
        resource["Type"] == "AWS::ApiGatewayV2::RouteResponse" and resource["Properties"]["RouteId"] == {"Ref": name}
        for resource in resources.values()
    )
    return SocketRoute(properties["RouteKey"], _function_in(uri, functions), has_response)


def _page_headers(resources: Mapping[str, Any]) -> dict[str, Expression]:
    """Return the headers of the page, without HSTS, which applies only to HTTPS."""
    headers: dict[str, Expression] = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::CloudFront::ResponseHeadersPolicy":
            headers |= _headers_of(resource["Properties"]["ResponseHeadersPolicyConfig"])
    return headers


def _headers_of(policy: Mapping[str, Any]) -> dict[str, Expression]:
    security = policy["SecurityHeadersConfig"]
    return {
        "Content-Security-Policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        **{item["Header"]: item["Value"] for item in policy["CustomHeadersConfig"]["Items"]},
    }


def _function_in(expression: Expression, functions: set[str]) -> str:
    """Return the function that an expression (Ref, GetAtt or Sub) refers to."""
    named = functions & names_in(expression)
    if len(named) != 1:
        raise UnknownResourceError(f"{expression} does not lead to one function")
    return named.pop()


if __name__ == "__main__":  # for the linters that read what is deployed
    print(json.dumps(transformed(), indent=2))
