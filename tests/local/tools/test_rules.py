"""Each rule of `local/tools/rules.py` accepts this template and refuses a broken one."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from local.host import template
from local.tools import rules, rules_at_rest, rules_of_access, rules_of_code
from local.tools.deployed import Deployed

Resources = dict[str, Any]
Rule = Callable[[Deployed], Iterable[str]]
QUEUE, FUNCTION = "NotificationsQueue", "NotificationPublisher"


def test_nothing_is_wrong_with_this_template() -> None:
    assert list(rules.complaints(template.kept())) == []


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


def open_to(policy: str, document: str, **statement: Any) -> Callable[[Resources], Any]:
    """Return a way to break a template: a policy that allows something more."""
    more = {"Effect": "Allow", "Action": "*", "Resource": "*", **statement}
    return lambda resources: properties(resources, policy)[document]["Statement"].append(more)


def own_statement(**statement: Any) -> Callable[[Resources], Any]:
    """Return a way to break a template: a role that may do something else."""

    def break_it(resources: Resources) -> None:
        found = own_policy(resources, FUNCTION)
        found.clear()
        found.update(Effect="Allow", **statement)

    return break_it


def distribution(resources: Resources) -> dict[str, Any]:
    found: dict[str, Any] = properties(resources, "PageDistribution")["DistributionConfig"]
    return found


HERE = {"Fn::GetAtt": [QUEUE, "Arn"]}
NIGHTLY = "TradeExporterEveryNight"
NOBODY = [{"Name": "service", "Value": "nobody"}]
SOURCE = "NotificationPublisherAnnounced"
TRADES = "ANY /api/trades"

BROKEN: dict[Rule, list[tuple[Callable[[Resources], Any], str]]] = {
    rules.every_queue_is_watched: [
        (take(QUEUE, "RedrivePolicy"), f"{QUEUE} has no dead-letter queue"),
        (drop("NotificationsQueueAgeAlarm"), f"{QUEUE} has no alarm on the age"),
        (
            drop("NotificationsDeadLetterQueueAlarm"),
            "NotificationsDeadLetterQueue is a dead-letter queue, and has no alarm",
        ),
        (drop("FailedEventsQueueAlarm"), "FailedEventsQueue is a dead-letter queue, and has no alarm"),
        (add("Lost", "AWS::SQS::Queue", SqsManagedSseEnabled=True), "Lost has no dead-letter queue"),
    ],
    rules.every_message_stays_hidden_long_enough: [
        (put(179, QUEUE, "VisibilityTimeout"), f"{QUEUE} has a visibility timeout below"),
        (take(QUEUE, "VisibilityTimeout"), f"{QUEUE} has a visibility timeout below"),
        (take(SOURCE, "ScalingConfig"), f"{SOURCE} has no MaximumConcurrency"),
        (take(SOURCE, "FunctionResponseTypes"), f"{SOURCE} does not report batch item failures"),
        (
            put(1, SOURCE, "MaximumBatchingWindowInSeconds"),
            f"{QUEUE} has a visibility timeout below the batching window",
        ),
    ],
    rules.every_function_stands_on_its_own: [
        (take(FUNCTION, "LoggingConfig", "LogGroup"), f"{FUNCTION} has no log group of its own"),
        (
            put({"Ref": "TradesApiLogs"}, FUNCTION, "LoggingConfig", "LogGroup"),
            "NotificationPublisher and TradesApi share a log",
        ),
        (take(FUNCTION, "Timeout"), f"{FUNCTION} has no Timeout"),
        (
            take("TradesApi", "Environment", "Variables", "POWERTOOLS_METRICS_NAMESPACE"),
            "TradesApi has no metrics namespace",
        ),
        (take(FUNCTION, "MemorySize"), f"{FUNCTION} has no MemorySize"),
        (put("arn:aws:iam::1:role/x", FUNCTION, "Role"), f"{FUNCTION} has no role of its own"),
        (
            put({"Fn::GetAtt": ["TradesApiRole", "Arn"]}, FUNCTION, "Role"),
            "NotificationPublisher and TradesApi share a role",
        ),
    ],
    rules.every_log_ends: [
        (take("TradesApiLogs", "RetentionInDays"), "TradesApiLogs keeps its logs forever"),
    ],
    rules.every_route_can_be_created: [
        (add_route("GET /api/trades/"), "API Gateway refuses the route GET /api/trades/: the path ends with a slash"),
        (
            add_route("GET /{proxy+}/x"),
            "API Gateway refuses the route GET /{proxy+}/x: a greedy variable is not at the end",
        ),
        (add_route("TRACE /x"), "API Gateway refuses the route TRACE /x: TRACE is not a method"),
    ],
    rules.every_route_wants_a_token: [
        (lambda resources: route(resources, TRADES).pop("security"), f"{TRADES} requires no token"),
        (
            lambda resources: route(resources, TRADES).update(security=[{"NONE": []}]),
            f"{TRADES} names an authorizer that does not exist",
        ),
        (lambda resources: route(resources, TRADES).update(security=[{"Token": []}]), f"{TRADES} requires no scope"),
        (
            lambda resources: route(resources, "ANY /api/health").update(security=[{"Token": []}]),
            "ANY /api/health is public, and requires a token",
        ),
    ],
    rules.what_no_route_matches_reaches_no_rights: [
        (
            lambda resources: put(properties(resources, f"{FUNCTION}Role")["Policies"], "NotFoundRole", "Policies")(
                resources
            ),
            "NotFound serves $default, and may do more than write its log",
        ),
    ],
    rules.every_scope_can_be_had: [
        (
            lambda resources: route(resources, TRADES)["security"][0]["Token"].remove("trading/trades:write"),
            f"{TRADES} requires trades:write in one form only",
        ),
        (
            each_of("AWS::Cognito::UserPoolResourceServer", lambda server: server["Scopes"].pop(0)),
            f"{TRADES} requires trades:read, which no client can request",
        ),
        (
            each_of(
                "AWS::Cognito::UserPoolClient",
                lambda client: client["AllowedOAuthScopes"].remove("trading/trades:write"),
            ),
            f"{TRADES} requires trades:write, which no client can request",
        ),
    ],
    rules.every_api_is_throttled_and_logged: [
        (
            each_of("AWS::ApiGatewayV2::Stage", lambda stage: stage["DefaultRouteSettings"].pop("ThrottlingRateLimit")),
            "is not throttled",
        ),
        (each_of("AWS::ApiGatewayV2::Stage", lambda stage: stage.pop("AccessLogSettings")), "writes no access log"),
    ],
    rules.every_schedule_and_rule_has_a_dead_letter_target: [
        (
            each_of("AWS::Scheduler::Schedule", lambda schedule: schedule["Target"].pop("DeadLetterConfig")),
            "has no dead-letter target",
        ),
        (
            each_of("AWS::Events::Rule", lambda rule: rule["Targets"][0].pop("DeadLetterConfig")),
            "has no dead-letter target",
        ),
    ],
    rules.every_failure_that_nobody_waits_for_is_heard: [
        (drop("SweeperErrorsAlarm"), "NotificationSweeper is invoked asynchronously, without a failure destination"),
        (
            take("TradeExporterEventInvokeConfig", "DestinationConfig"),
            "TradeExporter is invoked asynchronously, without a failure destination",
        ),
    ],
    rules.every_alarm_is_heard_and_explained: [
        (put([], "LatencyAlarm", "AlarmActions"), "LatencyAlarm does not notify AlarmsTopic"),
        (take("LatencyAlarm", "TreatMissingData"), "LatencyAlarm does not say how to treat missing data"),
        (
            lambda resources: resources.update(UnheardOfAlarm=resources["LatencyAlarm"]),
            "UnheardOfAlarm has no entry in docs/runbook.md",
        ),
        (put(False, "LatencyAlarm", "ActionsEnabled"), "LatencyAlarm notifies nobody"),  # noqa: FBT003 - AWS's words
    ],
    rules.every_own_metric_is_written_by_somebody: [
        (
            put("NotificationsLag", "NotificationLagAlarm", "MetricName"),
            "is on the metric NotificationsLag, which no code writes",
        ),
        (put(NOBODY, "NotificationLagAlarm", "Dimensions"), "is on a service that no function has"),
    ],
    rules_of_access.no_role_may_do_everything: [
        (lambda resources: own_policy(resources, FUNCTION).update(Action="sns:*"), "allows the wildcard action sns:*"),
        (lambda resources: own_policy(resources, FUNCTION).update(Resource="*"), "on all resources"),
        (own_statement(NotAction="sqs:DeleteQueue", Resource=HERE), "allows everything except what a statement names"),
        (own_statement(Action="sqs:SendMessage", NotResource=HERE), "allows everything except what a statement names"),
        (
            own_statement(Action="s3:GetObject", Resource="arn:aws:s3:::*"),
            "on a resource outside this stack: arn:aws:s3:::*",
        ),
        (
            own_statement(Action="rds-db:connect", Resource={"Fn::Sub": "arn:${AWS::Partition}:rds-db:*:*:dbuser:*/*"}),
            "on a resource outside this stack",
        ),
    ],
    rules.only_functions_with_sql_are_in_the_vpc: [
        (take(FUNCTION, "VpcConfig"), f"{FUNCTION} is outside the VPC"),
        (put({"SubnetIds": []}, "TradeAnalyzer", "VpcConfig"), "TradeAnalyzer is in the VPC"),
        (lambda resources: resources[FUNCTION].pop("DependsOn"), f"{FUNCTION} uses the database, and does not depend"),
    ],
    rules.only_functions_with_sql_know_the_database: [
        (take(FUNCTION, "Environment", "Variables", "DB_USER"), f"{FUNCTION} uses the database, and has no DB_USER"),
        (
            put("proxy", "TradeAnalyzer", "Environment", "Variables", "DB_HOST"),
            "TradeAnalyzer does not use the database, and has DB_HOST",
        ),
    ],
    rules.the_newest_migration_wakes_the_migrator: [
        (put("0000_older.sql", "Schema", "NewestMigration"), "as its NewestMigration, and the newest is"),
        (drop("Schema"), "as its NewestMigration, and the newest is"),
    ],
    rules.what_could_fail_everywhere_fails_in_the_migrator: [
        (take("Schema", "Architecture"), "Schema does not depend on the architecture"),
        (take("Schema", "Database"), "Schema does not depend on the database"),
    ],
    rules.everything_is_encrypted: [
        (take(QUEUE, "SqsManagedSseEnabled"), f"{QUEUE} is not encrypted"),
        (take("NotificationsTopic", "KmsMasterKeyId"), "NotificationsTopic is not encrypted"),
        (take("DataBucket", "BucketEncryption"), "DataBucket is not encrypted"),
        (take("DatabaseInstance", "StorageEncrypted"), "DatabaseInstance is not encrypted"),
        (take("DatabaseCluster", "StorageEncrypted"), "DatabaseCluster is not encrypted"),
    ],
    rules.every_bucket_is_private: [
        (
            put(False, "DataBucket", "PublicAccessBlockConfiguration", "BlockPublicAcls"),  # noqa: FBT003 - AWS's words
            "DataBucket may become public",
        ),
        (take("DataBucket", "PublicAccessBlockConfiguration", "RestrictPublicBuckets"), "DataBucket may become public"),
        (drop("DataBucketPolicy"), "DataBucket accepts requests without TLS"),
    ],
    rules.the_database_is_private: [
        (take("DatabaseInstance", "PubliclyAccessible"), "DatabaseInstance is public"),
        (put("NONE", "DatabaseProxy", "DefaultAuthScheme"), "DatabaseProxy does not require TLS and IAM tokens"),
        (take("DatabaseProxy", "RequireTLS"), "DatabaseProxy does not require TLS and IAM tokens"),
        (
            put("0", "DatabaseClusterParameters", "Parameters", "rds.force_ssl"),
            "DatabaseClusterParameters does not require TLS",
        ),
    ],
    rules_of_code.nothing_of_the_laptop_is_deployed: [
        (
            put("false", "TradesApi", "Environment", "Variables", "AUTH_REQUIRED"),
            "TradesApi must have AUTH_REQUIRED",
        ),
        (
            put("true", "WebhookSender", "Environment", "Variables", "WEBHOOKS_TO_LOOPBACK"),
            "WebhookSender has WEBHOOKS_TO_LOOPBACK, which is for local use only",
        ),
    ],
    rules_of_code.the_laptop_knows_all_of_it: [
        (take("WebhookSubscription", "RawMessageDelivery"), "the local system does not support this"),
        (
            add("Url", "AWS::Lambda::Url", AuthType="NONE"),
            "the local system does not support this: UnknownResourceError: Url is an",
        ),
        (
            add("Way", "AWS::EC2::InternetGateway"),
            "the local system does not support this: UnknownResourceError: Way is an",
        ),
    ],
    rules.no_name_is_taken_twice: [
        (put("notifications", QUEUE, "QueueName"), f"{QUEUE} has the fixed name notifications"),
    ],
    rules_of_access.nobody_is_let_in_without_a_source: [
        (open_to("PageBucketPolicy", "PolicyDocument", Principal="*"), "PageBucketPolicy is open to *"),
        (open_to("FailedEventsQueuePolicy", "PolicyDocument", Principal={"AWS": "*"}), "Policy is open to AWS: *"),
        (
            open_to("AlarmsKey", "KeyPolicy", Principal={"Service": "sns.amazonaws.com"}),
            "AlarmsKey is open to Service: sns",
        ),
        (open_to("AlarmsTopicPolicy", "PolicyDocument", NotPrincipal="1"), "AlarmsTopicPolicy is open to all but 1"),
        (open_to("SqsEndpoint", "PolicyDocument", Principal="*"), "SqsEndpoint is open to *"),
        (
            open_to("S3Endpoint", "PolicyDocument", Principal="*", Resource="arn:aws:s3:::cloudformation-*/*"),
            "S3Endpoint is open to *",
        ),
        (take("TradesApiTradesPermission", "SourceArn"), "TradesApiTradesPermission is open to apigateway"),
    ],
    rules_of_access.every_role_is_a_services: [
        (
            open_to("TradesApiRole", "AssumeRolePolicyDocument", Principal={"AWS": "1", "Service": "ec2"}),
            "TradesApiRole can be assumed by AWS: 1",
        ),
    ],
    rules_of_access.no_role_has_a_wide_policy_of_aws: [
        (
            lambda resources: properties(resources, "TradesApiRole")["ManagedPolicyArns"].append(
                "arn:aws:iam::aws:policy/X"
            ),
            "TradesApiRole has the AWS managed policy arn:aws:iam::aws:policy/X",
        ),
    ],
    rules_of_access.groups_let_in_groups: [
        (
            add("Open", "AWS::EC2::SecurityGroupIngress", GroupId=HERE, CidrIp="0.0.0.0/0", IpProtocol="-1"),
            "Open allows ingress from addresses",
        ),
        (
            put([{"CidrIpv6": "::/0"}], "ProxySecurityGroup", "SecurityGroupIngress"),
            "ProxySecurityGroup allows ingress from addresses",
        ),
        (
            lambda resources: properties(resources, "FunctionsSecurityGroup")["SecurityGroupEgress"][1].update(
                IpProtocol="-1"
            ),
            "FunctionsSecurityGroup allows egress to addresses on ports other",
        ),
        (
            put([{"CidrIp": "0.0.0.0/0", "FromPort": 0, "ToPort": 443}], "ProxySecurityGroup", "SecurityGroupEgress"),
            "ProxySecurityGroup allows egress to addresses on ports other",
        ),
    ],
    rules_of_code.code_and_template_agree_on_time: [
        (put(60, FUNCTION, "Timeout"), f"{FUNCTION} may still run when its lease of 60 seconds expires"),
        (put(20, "PositionsApi", "Timeout"), "PositionsApi times out before its own deadline of 20 seconds"),
        (put(360, "SchemaMigrator", "Timeout"), "Schema does not wait as long as SchemaMigrator may run"),
    ],
    rules_of_code.every_function_has_the_layers_that_it_imports: [
        (
            lambda resources: properties(resources, "TradeAnalyzer")["Layers"].pop(),
            "TradeAnalyzer imports duckdb, which none of its layers has",
        ),
        (
            lambda resources: properties(resources, "NotFound")["Layers"].pop(0),
            "NotFound imports trading, which none of its layers has",
        ),
    ],
    rules_of_code.every_function_is_told_what_it_asks_for: [
        (
            take("TradesApi", "Environment", "Variables", "NOTIFICATIONS_QUEUE_URL"),
            "TradesApi reads NOTIFICATIONS_QUEUE",
        ),
        (
            put("x", "TradesApi", "Environment", "Variables", "PRICES_QUEUE_URL"),
            "TradesApi has PRICES_QUEUE_URL, which it does not read",
        ),
    ],
    rules_of_code.every_clock_runs_in_utc_and_in_order: [
        (
            put("America/New_York", NIGHTLY, "ScheduleExpressionTimezone"),
            f"{NIGHTLY} is in the time zone America/New_York",
        ),
        (
            put("cron(46 1 * * ? *)", NIGHTLY, "ScheduleExpression"),
            "TradeAnalyzer starts before TradeExporter has ended",
        ),
        (put("cron(0 3)", NIGHTLY, "ScheduleExpression"), f"{NIGHTLY}: cron(0 3): only rate"),
        (put("DISABLED", "NotificationSweeperSweep", "State"), "NotificationSweeperSweep is disabled"),
    ],
    rules_of_code.nothing_that_wakes_functions_is_switched_off: [
        (put("DISABLED", "TradeAnalyzerTradesPut", "State"), "TradeAnalyzerTradesPut is disabled"),
        (put(False, SOURCE, "Enabled"), f"{SOURCE} is disabled"),  # noqa: FBT003 - AWS's words
    ],
    rules_of_code.every_dashboard_is_json: [
        (put('{"widgets": [}', "Dashboard", "DashboardBody"), "Dashboard is not JSON with widgets"),
    ],
    rules_at_rest.what_may_pause_is_left_alone: [
        (
            lambda resources: resources["DatabaseProxy"].pop("Condition"),
            "DatabaseCluster never pauses, for a proxy keeps connections to it",
        ),
        (
            take("DatabaseClusterParameters", "Parameters", "idle_session_timeout"),
            "DatabaseCluster never pauses, for DatabaseClusterParameters lets connections idle",
        ),
        (
            put("rate(1 hour)", "NotificationSweeperSweep", "ScheduleExpression"),
            "NotificationSweeperSweep wakes a database that would pause, more than once a day",
        ),
    ],
    rules_at_rest.who_wakes_a_database_waits_for_it: [
        (
            take("TradesApi", "Environment", "Variables", "DB_CONNECT_SECONDS"),
            "TradesApi does not wait until a paused database has resumed",
        ),
        (put(15, "PricesApi", "Timeout"), "PricesApi is ended while it waits for a paused database"),
    ],
    rules_at_rest.every_function_reaches_what_it_calls: [
        (
            put("true", "TradesApi", "Environment", "Variables", "AWS_USE_DUALSTACK_ENDPOINT"),
            "TradesApi asks for other names than those that the endpoints have",
        ),
        (take("TradesApi", "VpcConfig", "Ipv6AllowedForDualStack"), "TradesApi does not say whether it uses IPv6"),
        (drop("FunctionsOverIpv6"), "TradesApi may sqs:SendMessage, and does not reach sqs"),
        (drop("Ipv6BlockOfB"), "PricesApi may sqs:SendMessage, and does not reach sqs"),
        (drop("Ipv6Route"), "NotificationPublisher may sns:Publish, and does not reach sns"),
        (drop("SnsEndpoint"), "NotificationPublisher may sns:Publish, and does not reach sns"),
        (
            drop("SecretsEndpoint"),
            "SchemaMigrator may secretsmanager:GetSecretValue, and does not reach secretsmanager",
        ),
    ],
    rules_at_rest.the_writer_alone_is_asked: [
        (put("postgres", "DatabaseCluster", "Engine"), "DatabaseCluster is a Multi-AZ cluster of RDS"),
        (add("Readers", "AWS::RDS::DBProxyEndpoint", TargetRole="READ_ONLY"), "a proxy has a second endpoint"),
        (
            put(
                {"Fn::GetAtt": ["DatabaseCluster", "ReadEndpoint.Address"]},
                *("TradesApi", "Environment", "Variables", "DB_HOST"),
            ),
            "TradesApi speaks of the readers' endpoint",
        ),
    ],
    rules.what_cannot_be_made_again_is_kept: [
        (
            lambda resources: resources["DatabaseInstance"].update(DeletionPolicy="Delete"),
            "DatabaseInstance is deleted with its stack",
        ),
        (
            lambda resources: resources["DataBucket"].pop("UpdateReplacePolicy"),
            "DataBucket is deleted with its stack, or when it is replaced",
        ),
        (
            put({"Fn::If": ["IsProduction", 14, 0]}, "DatabaseCluster", "BackupRetentionPeriod"),
            "Cluster has no backups",
        ),
        (
            put([{"Status": "Enabled", "ExpirationInDays": 9}], "DataBucket", "LifecycleConfiguration", "Rules"),
            "DataBucket deletes current objects",
        ),
    ],
    rules.nobody_signs_in_carelessly: [
        (take("UserPool", "AdminCreateUserConfig"), "UserPool allows self sign-up"),
        (put(["code", "implicit"], "PageClient", "AllowedOAuthFlows"), "PageClient puts tokens into URLs"),
        (
            put(24, "PageClient", "AccessTokenValidity"),
            "PageClient issues tokens that are not valid for exactly an hour",
        ),
    ],
    rules.cloudfront_passes_on_and_protects: [
        (
            lambda resources: distribution(resources)["CacheBehaviors"][0].update(CachePolicyId="x"),
            "PageDistribution caches API responses",
        ),
        (
            lambda resources: distribution(resources)["DefaultCacheBehavior"].pop("ResponseHeadersPolicyId"),
            "PageDistribution sends the page without security headers",
        ),
        (
            take("PageHeaders", "ResponseHeadersPolicyConfig", "SecurityHeadersConfig", "StrictTransportSecurity"),
            "PageHeaders has no Strict-Transport-Security",
        ),
    ],
}


@pytest.mark.parametrize(
    ("rule", "break_it", "complaint"),
    [pytest.param(rule, *each, id=each[1]) for rule, broken in BROKEN.items() for each in broken],
)
def test_a_template_that_is_broken_is_complained_about(
    rule: Rule, break_it: Callable[[Resources], Any], complaint: str
) -> None:
    broken = template.kept()
    break_it(broken["Resources"])
    assert any(complaint in each for variant in rules.variants(broken) for each in rule(variant))


def test_every_rule_is_shown_failing() -> None:
    assert BROKEN.keys() == set(rules.RULES)
