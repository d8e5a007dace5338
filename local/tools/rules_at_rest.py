"""Rules for an idle system: its database can pause, and its functions reach AWS without paid endpoints."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from local.host.template import names_in
from local.tools.deployed import Deployed, values_under, variables_of

IDLE_LIMIT_MS = 300_000  # Aurora pauses after five minutes without a connection, and no sooner
RESUME_SECONDS = 15  # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
DUAL_STACK = "AWS_USE_DUALSTACK_ENDPOINT"


def what_may_pause_is_left_alone(deployed: Deployed) -> Iterator[str]:
    """Nothing keeps a database that may pause awake: no proxy, no idle connections, and only nightly schedules."""
    pausing = _pausing(deployed)
    for name, cluster in pausing.items():
        if deployed.of("AWS::RDS::DBProxy"):
            yield f"{name} never pauses, for a proxy keeps connections to it"
        groups = deployed.of("AWS::RDS::DBClusterParameterGroup")
        for group in deployed.among(cluster.get("DBClusterParameterGroupName"), "AWS::RDS::DBClusterParameterGroup"):
            limit = int(groups[group]["Parameters"].get("idle_session_timeout", 0))
            if not 0 < limit <= IDLE_LIMIT_MS:
                yield f"{name} never pauses, for {group} lets connections idle"
    functions = deployed.of("AWS::Lambda::Function")
    for name, schedule in deployed.of("AWS::Scheduler::Schedule").items():
        woken = names_in(schedule["Target"]["Arn"]) & functions.keys()
        uses_database = any(deployed.uses_database(functions[each]) for each in woken)
        if pausing and uses_database and not schedule.get("ScheduleExpression", "").startswith("cron"):
            yield f"{name} wakes a database that would pause, more than once a day"


def who_wakes_a_database_waits_for_it(deployed: Deployed) -> Iterator[str]:
    """A function tries to connect for longer than a paused database needs to resume, and has time left to answer."""
    for name, function in deployed.of("AWS::Lambda::Function").items():
        if not _pausing(deployed) or not (deployed.uses_database(function) or deployed.migrates(function)):
            continue
        seconds = float(variables_of(function).get("DB_CONNECT_SECONDS", 0))
        if seconds <= RESUME_SECONDS:
            yield f"{name} does not wait until a paused database has resumed"
        elif function.get("Timeout", 3) <= seconds:
            yield f"{name} is ended while it waits for a paused database"


def _pausing(deployed: Deployed) -> Mapping[str, Mapping[str, Any]]:
    clusters = deployed.of("AWS::RDS::DBCluster")
    return {
        name: each
        for name, each in clusters.items()
        if each.get("ServerlessV2ScalingConfiguration", {}).get("MinCapacity") == 0
    }


def every_function_reaches_what_it_calls(deployed: Deployed) -> Iterator[str]:
    """A function in the VPC reaches what it may call through an endpoint or over IPv6, at the ordinary names."""
    endpoints = json.dumps([each["ServiceName"] for each in deployed.of("AWS::EC2::VPCEndpoint").values()])
    open_groups = {
        names.pop()
        for each in deployed.of("AWS::EC2::SecurityGroupEgress").values()
        if each.get("CidrIpv6") == "::/0" and (names := deployed.among(each["GroupId"], "AWS::EC2::SecurityGroup"))
    }
    for name, function in deployed.of("AWS::Lambda::Function").items():
        if DUAL_STACK in variables_of(function):
            yield f"{name} asks for other names than those that the endpoints have"
        if "VpcConfig" not in function:
            continue
        has_ipv6 = function["VpcConfig"].get("Ipv6AllowedForDualStack")
        if not isinstance(has_ipv6, bool):
            yield f"{name} does not say whether it uses IPv6"
        for action in _actions(deployed, function):
            service = action.partition(":")[0]
            leaves = (
                has_ipv6 and names_in(function["VpcConfig"]["SecurityGroupIds"]) & open_groups and _routes(deployed)
            )
            if service in {"sqs", "sns", "secretsmanager"} and f".{service}" not in endpoints and not leaves:
                yield f"{name} may {action}, and does not reach {service}"


def _actions(deployed: Deployed, function: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for action in values_under(list(deployed.statements(function)), {"Action"}):
        found |= {action} if isinstance(action, str) else set(action)
    return found


def _routes(deployed: Deployed) -> bool:
    """Whether every subnet has IPv6 and a route through a gateway that only lets out."""
    numbered = {
        name
        for each in deployed.of("AWS::EC2::SubnetCidrBlock").values()
        for name in deployed.among(each["SubnetId"], "AWS::EC2::Subnet")
    }
    routes = deployed.of("AWS::EC2::Route").values()
    return numbered == deployed.of("AWS::EC2::Subnet").keys() and any(
        each.get("DestinationIpv6CidrBlock") == "::/0" and "EgressOnlyInternetGatewayId" in each for each in routes
    )


def the_writer_alone_is_asked(deployed: Deployed) -> Iterator[str]:
    """Only the writer is queried: readers and Multi-AZ clusters may return stale or inconsistent data.

    https://jepsen.io/analyses/amazon-rds-for-postgresql-17.4
    """
    for name, cluster in deployed.of("AWS::RDS::DBCluster").items():
        if cluster.get("Engine") != "aurora-postgresql":
            yield f"{name} is a Multi-AZ cluster of RDS"
    if deployed.of("AWS::RDS::DBProxyEndpoint"):
        yield "a proxy has a second endpoint"
    for name, resource in deployed.resources.items():
        if "ReadEndpoint" in json.dumps(resource):
            yield f"{name} speaks of the readers' endpoint"


RULES = (
    what_may_pause_is_left_alone,
    who_wakes_a_database_waits_for_it,
    every_function_reaches_what_it_calls,
    the_writer_alone_is_asked,
)
