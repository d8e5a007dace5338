"""Each rule of `local/tools/rules.py` accepts this template and refuses a broken one."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from local.host import template
from local.tools import rules

Resources = dict[str, Any]
QUEUE, FUNCTION = "NotificationsQueue", "NotificationPublisher"


@pytest.fixture(scope="module")
def deployed() -> dict[str, Any]:
    """What this project's template deploys."""
    return template.transformed()


def test_nothing_is_wrong_with_this_template(deployed: dict[str, Any]) -> None:
    assert rules.complaints(deployed) == []


def properties(resources: Resources, name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def the(resources: Resources, kind: str) -> dict[str, Any]:
    """Return the properties of the first resource of a kind."""
    return next(properties(resources, name) for name, each in resources.items() if each["Type"] == kind)


def route(resources: Resources, key: str) -> dict[str, Any]:
    return template.operations(the(resources, "AWS::ApiGatewayV2::Api"))[key]


def add_route(key: str) -> Callable[[Resources], Any]:
    """Return a way to break a template: a route too many, for the caller of another."""

    def break_it(resources: Resources) -> None:
        method, path = key.split(" ")
        paths = the(resources, "AWS::ApiGatewayV2::Api")["Body"]["paths"]
        paths.setdefault(path, {})[method.lower()] = route(resources, "ANY /api/trades")

    return break_it


def own_policy(resources: Resources, function: str) -> dict[str, Any]:
    [policy] = properties(resources, f"{function}Role")["Policies"]
    statement: dict[str, Any] = policy["PolicyDocument"]["Statement"][0]
    return statement


def take(*path: str) -> Callable[[Resources], Any]:
    """Return a way to break a template: a setting of a resource is taken away."""

    def break_it(resources: Resources) -> None:
        found = properties(resources, path[0])
        for key in path[1:-1]:
            found = found[key]
        found.pop(path[-1])

    return break_it


def put(value: Any, *path: str) -> Callable[[Resources], Any]:
    """Return a way to break a template: a setting of a resource has another value."""

    def break_it(resources: Resources) -> None:
        found = properties(resources, path[0])
        for key in path[1:-1]:
            found = found[key]
        found[path[-1]] = value

    return break_it


def drop(name: str) -> Callable[[Resources], Any]:
    """Return a way to break a template: a resource is missing."""
    return lambda resources: resources.pop(name)


def add(name: str, kind: str, **settings: Any) -> Callable[[Resources], Any]:
    """Return a way to break a template: a resource too many."""
    return lambda resources: resources.update({name: {"Type": kind, "Properties": settings}})


def each_of(kind: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Resources], Any]:
    """Return a way to break a template: what is wrong with a resource of a kind."""
    return lambda resources: change(the(resources, kind))


NOBODY = [{"Name": "service", "Value": "nobody"}]
SOURCE = "NotificationPublisherAnnounced"
TRADES = "ANY /api/trades"

BROKEN: list[tuple[Callable[[Resources], Any], str]] = [
    (take(QUEUE, "RedrivePolicy"), f"{QUEUE} has no dead-letter queue"),
    (drop("NotificationsQueueAgeAlarm"), f"{QUEUE} has no alarm on the age"),
    (drop("NotificationsDeadLetterQueueAlarm"), "NotificationsDeadLetterQueue is a dead-letter queue, and no alarm"),
    (drop("FailedEventsQueueAlarm"), "FailedEventsQueue is a dead-letter queue, and no alarm"),
    (add("Lost", "AWS::SQS::Queue", SqsManagedSseEnabled=True), "Lost has no dead-letter queue"),
    (put(179, QUEUE, "VisibilityTimeout"), f"{QUEUE} shows a message again before"),
    (take(QUEUE, "VisibilityTimeout"), f"{QUEUE} shows a message again before"),
    (take(SOURCE, "ScalingConfig"), f"{SOURCE} has no MaximumConcurrency"),
    (take(SOURCE, "FunctionResponseTypes"), f"{SOURCE} takes a batch for failed"),
    (take(FUNCTION, "LoggingConfig", "LogGroup"), f"{FUNCTION} has no log group of its own"),
    (
        put({"Ref": "TradesApiLogs"}, FUNCTION, "LoggingConfig", "LogGroup"),
        "NotificationPublisher and TradesApi share a log",
    ),
    (take(FUNCTION, "Timeout"), f"{FUNCTION} has no Timeout"),
    (
        take("TradesApi", "Environment", "Variables", "POWERTOOLS_METRICS_NAMESPACE"),
        "TradesApi would fail when it writes a metric",
    ),
    (take(FUNCTION, "MemorySize"), f"{FUNCTION} has no MemorySize"),
    (put("arn:aws:iam::1:role/x", FUNCTION, "Role"), f"{FUNCTION} has no role of its own"),
    (
        put({"Fn::GetAtt": ["TradesApiRole", "Arn"]}, FUNCTION, "Role"),
        "NotificationPublisher and TradesApi share a role",
    ),
    (take("TradesApiLogs", "RetentionInDays"), "TradesApiLogs keeps its logs for ever"),
    (add_route("GET /api/trades/"), "API Gateway refuses the route GET /api/trades/: the path ends with a slash"),
    (
        add_route("GET /{proxy+}/x"),
        "API Gateway refuses the route GET /{proxy+}/x: a greedy variable is not at the end",
    ),
    (add_route("TRACE /x"), "API Gateway refuses the route TRACE /x: TRACE is not a method"),
    (lambda resources: route(resources, TRADES).pop("security"), f"{TRADES} is open to everybody"),
    (
        lambda resources: route(resources, TRADES).update(security=[{"NONE": []}]),
        f"{TRADES} names an authorizer that there is not",
    ),
    (lambda resources: route(resources, TRADES).update(security=[{"Token": []}]), f"{TRADES} asks for no scope"),
    (
        lambda resources: route(resources, "ANY /api/health").update(security=[{"Token": []}]),
        "ANY /api/health is public, and asks for a token",
    ),
    (
        lambda resources: put(properties(resources, f"{FUNCTION}Role")["Policies"], "NotFoundRole", "Policies")(
            resources
        ),
        "NotFound answers $default, and may do more than write its log",
    ),
    (
        lambda resources: route(resources, TRADES)["security"][0]["Token"].remove("trading/trades:write"),
        f"{TRADES} asks for trades:write in one spelling only",
    ),
    (
        each_of("AWS::Cognito::UserPoolResourceServer", lambda server: server["Scopes"].pop(0)),
        f"{TRADES} asks for trades:read, which nobody can have",
    ),
    (
        each_of(
            "AWS::Cognito::UserPoolClient", lambda client: client["AllowedOAuthScopes"].remove("trading/trades:write")
        ),
        f"{TRADES} asks for trades:write, which nobody can have",
    ),
    (
        each_of("AWS::ApiGatewayV2::Stage", lambda stage: stage["DefaultRouteSettings"].pop("ThrottlingRateLimit")),
        "is not throttled",
    ),
    (each_of("AWS::ApiGatewayV2::Stage", lambda stage: stage.pop("AccessLogSettings")), "writes no access log"),
    (
        each_of("AWS::Scheduler::Schedule", lambda schedule: schedule["Target"].pop("DeadLetterConfig")),
        "has no dead-letter target",
    ),
    (
        each_of("AWS::Events::Rule", lambda rule: rule["Targets"][0].pop("DeadLetterConfig")),
        "has no dead-letter target",
    ),
    (drop("SweeperErrorsAlarm"), "NotificationSweeper is not waited for, and nobody hears"),
    (take("TradeExporterEventInvokeConfig", "DestinationConfig"), "TradeExporter is not waited for, and nobody hears"),
    (put([], "LatencyAlarm", "AlarmActions"), "LatencyAlarm does not tell AlarmsTopic"),
    (take("LatencyAlarm", "TreatMissingData"), "LatencyAlarm does not say what missing data mean"),
    (
        lambda resources: resources.update(UnheardOfAlarm=resources["LatencyAlarm"]),
        "UnheardOfAlarm has no entry in docs/runbook.md",
    ),
    (put("NotificationsLag", "NotificationLagAlarm", "MetricName"), "waits for NotificationsLag, which nobody writes"),
    (put(NOBODY, "NotificationLagAlarm", "Dimensions"), "waits for a service that is none"),
    (lambda resources: own_policy(resources, FUNCTION).update(Action="sns:*"), "may do anything of sns:*"),
    (lambda resources: own_policy(resources, FUNCTION).update(Resource="*"), "to anything"),
    (take(FUNCTION, "VpcConfig"), f"{FUNCTION} is outside the VPC"),
    (put({"SubnetIds": []}, "TradeAnalyzer", "VpcConfig"), "TradeAnalyzer is in the VPC"),
    (lambda resources: resources[FUNCTION].pop("DependsOn"), f"{FUNCTION} uses the database, and does not wait"),
    (take(FUNCTION, "Environment", "Variables", "DB_USER"), f"{FUNCTION} uses the database, and has no DB_USER"),
    (
        put("proxy", "TradeAnalyzer", "Environment", "Variables", "DB_HOST"),
        "TradeAnalyzer does not use the database, and has DB_HOST",
    ),
    (put("0000_older.sql", "Schema", "NewestMigration"), "as its NewestMigration, and the newest is"),
    (drop("Schema"), "as its NewestMigration, and the newest is"),
    (take("Schema", "Architecture"), "Schema does not notice other processors"),
    (take("Schema", "Database"), "Schema does not notice another database"),
    (take(QUEUE, "SqsManagedSseEnabled"), f"{QUEUE} is not encrypted"),
    (take("NotificationsTopic", "KmsMasterKeyId"), "NotificationsTopic is not encrypted"),
    (take("DataBucket", "BucketEncryption"), "DataBucket is not encrypted"),
    (take("DatabaseInstance", "StorageEncrypted"), "DatabaseInstance is not encrypted"),
    (take("DatabaseCluster", "StorageEncrypted"), "DatabaseCluster is not encrypted"),
    (
        put(False, "DataBucket", "PublicAccessBlockConfiguration", "BlockPublicAcls"),  # noqa: FBT003 - AWS's words
        "DataBucket may become public",
    ),
    (drop("DataBucketPolicy"), "DataBucket takes requests without TLS"),
    (take("DatabaseInstance", "PubliclyAccessible"), "DatabaseInstance is public"),
    (put("NONE", "DatabaseProxy", "DefaultAuthScheme"), "DatabaseProxy lets in who has no TLS or no IAM token"),
    (take("DatabaseProxy", "RequireTLS"), "DatabaseProxy lets in who has no TLS or no IAM token"),
    (put("notifications", QUEUE, "QueueName"), f"{QUEUE} has the fixed name notifications"),
]


@pytest.mark.parametrize(("break_it", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_template_that_is_broken_is_complained_about(
    deployed: dict[str, Any], break_it: Callable[[Resources], Any], complaint: str
) -> None:
    broken = copy.deepcopy(deployed)
    break_it(broken["Resources"])
    assert any(complaint in each for each in rules.complaints(broken))


def test_every_rule_is_shown_failing(deployed: dict[str, Any]) -> None:
    complained: set[str] = set()
    for break_it, _ in BROKEN:
        broken = copy.deepcopy(deployed)
        break_it(broken["Resources"])
        judged = rules.Deployed(broken)
        complained |= {rule.__name__ for rule in rules.RULES if list(rule(judged))}
    assert complained == {rule.__name__ for rule in rules.RULES}
