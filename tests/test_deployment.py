"""What is chosen when the system is deployed, and who may deploy it: what no checker of AWS knows."""

import json
import re
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.host import conditions, template
from local.host.template import ROOT, Expression
from local.tools.deployed import environments

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def architecture(environment: str, command: str) -> str | None:
    """Return the processors that samconfig.toml names for a command."""
    overrides = SAMCONFIG[environment][command]["parameters"].get("parameter_overrides", "")
    named = re.search(r"Architecture=(\w+)", overrides)
    return named and named[1]


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        (environment, command)
        for environment, commands in SAMCONFIG.items()
        if isinstance(commands, dict)
        for command in sorted(commands.keys() - {"global", "validate"})
    ],
)
def test_what_is_built_for_some_processors_runs_on_those(environment: str, command: str) -> None:
    assert architecture(environment, command) == architecture(environment, "build") in {"arm64", "x86_64"}


def test_where_no_environment_is_named_dev_is_meant() -> None:
    def of(environment: str) -> dict[str, Any]:
        deployed: dict[str, Any] = SAMCONFIG[environment]["deploy"]["parameters"]
        return {"stack_name": SAMCONFIG["default"]["global"]["parameters"]["stack_name"], **deployed}

    assert of("default") == of("dev")


def test_no_target_asks_after_the_build_what_it_was_built_for() -> None:
    commands = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("\t$(SAM)")]
    assert any(" deploy " in command for command in commands)
    assert not any("--guided" in command for command in commands)


@pytest.fixture
def deploy_role() -> dict[str, Any]:
    """The role by which GitHub Actions deploys."""
    stack = yaml_parse((ROOT / ".github" / "deploy-role.yaml").read_text())
    role: dict[str, Any] = stack["Resources"]["DeployRole"]["Properties"]
    return role


def test_the_deploying_role_may_do_what_cloudformation_does_with_a_role(deploy_role: dict[str, Any]) -> None:
    found = find_spec("cfnlint")  # it carries AWS's own descriptions of resources, and takes seconds to import
    assert found
    assert found.origin
    texts = (file.read_text() for file in (Path(found.origin).parent / "data/schemas/resources").glob("*.json"))
    described = [json.loads(text) for text in texts if '"AWS::IAM::Role"' in text]
    handlers = [each["handlers"] for each in described if each["typeName"] == "AWS::IAM::Role"]
    assert handlers
    commands = ("create", "read", "update", "delete")
    needed = {action for each in handlers for command in commands for action in each[command]["permissions"]}
    unused = {"iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"}  # no role here has one
    statements = deploy_role["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}
    assert needed - unused <= allowed


def test_the_deploying_role_attaches_the_policies_that_the_stack_needs_and_no_others(
    deploy_role: dict[str, Any], deployed: dict[str, Any]
) -> None:
    roles = [each["Properties"] for each in deployed["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    needed = {
        arn.replace(":aws:", ":${AWS::Partition}:", 1) for role in roles for arn in role.get("ManagedPolicyArns", [])
    }
    [bounded] = [
        each
        for each in deploy_role["Policies"][0]["PolicyDocument"]["Statement"]
        if "iam:AttachRolePolicy" in each["Action"]
    ]
    assert {arn["Fn::Sub"] for arn in bounded["Condition"]["ArnEquals"]["iam:PolicyARN"]} == needed


def test_the_deploying_role_is_for_one_environment_and_may_not_change_itself(deploy_role: dict[str, Any]) -> None:
    [trust] = deploy_role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"] == {
        "Fn::Sub": "repo:${Repository}:environment:${Environment}"
    }
    refused = deploy_role["Policies"][0]["PolicyDocument"]["Statement"][-1]
    assert (refused["Effect"], refused["Action"]) == ("Deny", "iam:*")
    assert refused["Resource"]["Fn::Sub"].endswith(":role/${AWS::StackName}-*")  # where CloudFormation names it


@pytest.fixture(scope="module")
def deployed() -> dict[str, Any]:
    """What this project's template deploys."""
    return template.kept()


@pytest.mark.parametrize(
    ("parameter", "taken", "refused"),
    [
        (
            "TokenIssuer",
            ["", "https://issuer.example.com", "https://tenant.eu.auth0.com/", "https://login.example.com/id/v2.0"],
            ["issuer.example.com", "http://issuer.example.com", "https://"],
        ),
        (
            "MoreClients",
            ["", "4q8k3b1c", "4q8k3b1c,7abc"],
            [",", "4q8k3b1c,", ",7abc", "4q8k3b1c,,7abc", "4q8k3b1c, 7abc"],
        ),
    ],
)
def test_a_parameter_takes_what_holds_and_nothing_else(
    deployed: dict[str, Any], parameter: str, taken: list[str], refused: list[str]
) -> None:
    pattern = re.compile(deployed["Parameters"][parameter]["AllowedPattern"])
    assert all(pattern.fullmatch(value) for value in taken)
    assert not any(pattern.fullmatch(value) for value in refused)


def resolve(expression: Expression, values: Mapping[str, str]) -> Any:
    """Return what CloudFormation makes of an expression, once its conditions are decided."""

    def of(part: Expression) -> Any:
        made: Any
        match part:
            case {"Fn::Split": [separator, text]}:
                made = of(text).split(separator)
            case {"Fn::Select": [index, items]}:
                made = of(items)[int(index)]
            case {"Fn::Sub": str() | [str(), dict()] as substituted}:
                text, own = (substituted, {}) if isinstance(substituted, str) else substituted
                known = {**values, **{name: of(value) for name, value in own.items()}}
                made = re.sub(r"\$\{([\w:]+)\}", lambda name: known[name[1]], text)
            case {"Ref": name}:
                made = values[name]
            case list():
                made = [of(each) for each in part]
            case _:
                made = part
        return made

    return of(expression)


@pytest.mark.parametrize(
    ("chosen", "audience"),
    [
        ({"TokenIssuer": "", "MoreClients": ""}, ["machine", "page"]),
        ({"TokenIssuer": "", "MoreClients": "", "WithMachineClient": "false"}, ["page"]),
        ({"TokenIssuer": "", "MoreClients": "desk", "WithMachineClient": "false"}, ["page", "desk"]),
        ({"TokenIssuer": "", "MoreClients": "desk"}, ["machine", "page", "desk"]),
        ({"TokenIssuer": "", "MoreClients": "desk,bot"}, ["machine", "page", "desk", "bot"]),
        ({"TokenIssuer": "https://tenant.eu.auth0.com/", "MoreClients": "desk"}, ["trading"]),
    ],
)
def test_tokens_of_our_own_clients_and_of_those_that_are_named_open_the_api(
    deployed: dict[str, Any], chosen: dict[str, str], audience: list[str]
) -> None:
    resources = conditions.resolved(deployed, chosen)["Resources"]
    [scheme] = resources["HttpApi"]["Properties"]["Body"]["components"]["securitySchemes"].values()
    wanted = scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]["audience"]
    values = {"MachineClient": "machine", "PageClient": "page", "TokenAudience": "trading", **chosen}
    assert resolve(wanted, values) == audience


def test_the_database_is_of_one_version_that_the_migrator_and_the_proxy_know(deployed: dict[str, Any]) -> None:
    of = {name: each.get("Properties", {}) for name, each in deployed["Resources"].items()}
    version = of["DatabaseInstance"]["EngineVersion"]
    assert of["DatabaseCluster"]["EngineVersion"] == version
    major = version.partition(".")[0]
    assert major == "17"  # docs/decisions.md says why not 16, and why not 18
    assert of["DatabaseInstanceParameters"]["Family"] == f"postgres{major}"
    assert of["DatabaseClusterParameters"]["Family"] == f"aurora-postgresql{major}"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_costs_count_the_alarms_that_there_are(deployed: dict[str, Any], environment: str) -> None:
    resources = conditions.resolved(deployed, environments()[environment])["Resources"].values()
    alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    # An alarm on an expression is charged for each metric in it.
    metrics = [sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1 for alarm in alarms]
    costs = " ".join((ROOT / "docs" / "costs.md").read_text().split())
    assert f"{environment} has {len(alarms)} alarms on {sum(metrics)} metrics" in costs


def test_the_capacity_counts_the_routes_to_functions_that_use_the_database(deployed: dict[str, Any]) -> None:
    system = template.read(deployed)
    uses_database = {
        name
        for name in system.functions
        if "DB_USER" in deployed["Resources"][name]["Properties"]["Environment"]["Variables"]
    }
    routes = sum(route.function in uses_database for route in system.routes)
    capacity = " ".join((ROOT / "docs" / "capacity.md").read_text().split())
    assert f"{routes} routes lead to functions that use SQL" in capacity
    assert f"may send {200 * routes:,} at once and {100 * routes:,} per second" in capacity


def test_the_access_log_is_json_that_says_who_called_and_why_somebody_was_refused(deployed: dict[str, Any]) -> None:
    stages = [
        each["Properties"] for each in deployed["Resources"].values() if each["Type"] == "AWS::ApiGatewayV2::Stage"
    ]
    [format_] = [stage["AccessLogSettings"]["Format"] for stage in stages if "AccessLogSettings" in stage]
    logged = json.loads(format_)
    assert logged["subject"] == "$context.authorizer.claims.sub"
    assert logged["authorizerError"] == "$context.authorizer.error"


@pytest.mark.parametrize(
    ("issuer", "pages"),
    [("", ["https://trading-0af1.auth.eu-west-1.amazoncognito.com"]), ("https://issuer.example", [])],
)
def test_the_page_may_connect_to_the_sign_in_pages_of_its_own_stack_alone(
    deployed: dict[str, Any], issuer: str, pages: list[str]
) -> None:
    values = {
        "TokenIssuer": issuer,
        "PriceSocketApi": "socket",
        "AWS::Region": "eu-west-1",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackId": "arn:aws:cloudformation:eu-west-1:1:stack/trading/0af1",
    }
    resources = conditions.resolved(deployed, {"TokenIssuer": issuer})["Resources"]
    headers = resources["PageHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    policy = resolve(headers["ContentSecurityPolicy"]["ContentSecurityPolicy"], values)
    [connect] = [each.split() for each in policy.split(";") if each.split()[0] == "connect-src"]
    assert connect == ["connect-src", "'self'", "wss://socket.execute-api.eu-west-1.amazonaws.com", *pages]
