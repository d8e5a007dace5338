"""docs/inventory.md shows the template as it is, and so that no change of it goes unseen."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.host import template
from local.tools import inventory, rules

Template = dict[str, Any]
Change = Callable[[Template], Any]
ATTRIBUTES = {"Condition", "DeletionPolicy", "DependsOn", "UpdateReplacePolicy"}


@pytest.fixture(scope="module")
def deployed() -> Template:
    """What this project's template deploys."""
    return template.kept()


@pytest.fixture(scope="module")
def shown(deployed: Template) -> str:
    """The inventory of that."""
    return inventory.text(deployed)


def test_the_inventory_is_the_templates(shown: str) -> None:
    assert inventory.FILE.read_text() == shown, "run `make inventory`, read what has changed, and commit it"


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Return the paths of all that is no mapping and no list."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        yield from leaves(each, *path, key)
    if not isinstance(value, dict | list):
        yield path


def test_whatever_is_changed_changes_the_inventory_but_for_words(deployed: Template, shown: str) -> None:
    changed = copy.deepcopy(deployed)
    told = [path for path in leaves(changed["Resources"]) if not inventory.WORDS & set(path) and "Tags" not in path]
    for *way, last in random.Random(21).sample(told, 30):  # noqa: S311 - all of them, over the years
        found = changed["Resources"]
        for key in way:
            found = found[key]
        before, found[last] = found[last], "changed"
        assert inventory.text(changed) != shown, (*way, last)
        found[last] = before


def at(changed: Template, path: str) -> tuple[Any, Any]:
    """Return what holds the end of a path, and the end: `TradesApi VpcConfig SubnetIds 0` or `# Parameters x`."""
    name, *keys = path.split()
    found: Any = changed if name == "#" else changed["Resources"][name]
    if name != "#" and keys[0] not in ATTRIBUTES:
        found = found["Properties"]
    *way, last = (int(key) if key.isdigit() else key for key in keys)
    for key in way:
        found = found[key]
    return found, last


def put(path: str, value: Any) -> Change:
    """Return a change: there is another value."""

    def change(changed: Template) -> None:
        found, last = at(changed, path)
        found[last] = value

    return change


def take(path: str) -> Change:
    """Return a change: there is nothing."""

    def change(changed: Template) -> None:
        found, last = at(changed, path)
        found.pop(last)

    return change


def more(path: str, value: Any) -> Change:
    """Return a change: a list has one item more."""

    def change(changed: Template) -> None:
        found, last = at(changed, path)
        found[last].append(value)

    return change


def drop(name: str) -> Change:
    """Return a change: a resource is gone."""
    return lambda changed: changed["Resources"].pop(name)


def new(name: str, kind: str, **properties: Any) -> Change:
    """Return a change: there is a resource more."""
    return lambda changed: changed["Resources"].update({name: {"Type": f"AWS::{kind}", "Properties": properties}})


def statement(policy: str, document: str = "PolicyDocument", **changes: Any) -> Change:
    """Return a change: a policy allows something to somebody else as well."""
    return more(f"{policy} {document} Statement", {"Effect": "Allow", "Resource": "*", **changes})


ANYBODY: dict[str, Any] = {"Principal": "*", "Action": "*"}
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYWHERE = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIp": "0.0.0.0/0"}
ROUTE = "HttpApi Body paths /api/trades x-amazon-apigateway-any-method"
SCHEMES = "HttpApi Body components securitySchemes Token x-amazon-apigateway-authorizer"
DISTRIBUTION, SECURITY = "PageDistribution DistributionConfig", "PageHeaders ResponseHeadersPolicyConfig"
POLICY, OWN_POLICY = (f"Policies {number} PolicyDocument Statement" for number in (0, 1))
RULE = "LifecycleConfiguration Rules"
CACHED = "658327ea-f89d-4fab-a63d-7e88639e58f6"

MUTATIONS: dict[str, Change] = {
    # Who may do what
    "TradesApi may not announce": take(f"TradesApiRole {POLICY} 1"),
    "TradesApi may do all with the queue": put(f"TradesApiRole {POLICY} 1 Action", "sqs:*"),
    "TradesApi may send to any queue": put(f"TradesApiRole {POLICY} 1 Resource", "*"),
    "TradesApi may send to any queue of the account": put(f"TradesApiRole {POLICY} 1 Resource", "arn:aws:sqs:*:*:*"),
    "TradesApi may do all but delete": put(
        f"TradesApiRole {POLICY} 1", {"Effect": "Allow", "NotAction": "sqs:DeleteQueue"}
    ),
    "TradesApi is denied to sign in": put(f"TradesApiRole {POLICY} 0 Effect", "Deny"),
    "TradesApi is an administrator": more("TradesApiRole ManagedPolicyArns", ADMINISTRATOR),
    "the analyzer reads every bucket": put(f"TradeAnalyzerRole {OWN_POLICY} 0 Resource", "arn:aws:s3:::*"),
    "the analyzer overwrites trades": more(
        f"TradeAnalyzerRole {OWN_POLICY} 1 Resource", {"Fn::Sub": "${DataBucket.Arn}/*"}
    ),
    "the analyzer sends any event": take(f"TradeAnalyzerRole {OWN_POLICY} 3 Condition"),
    "the exporter cannot list": take(f"TradeExporterRole {OWN_POLICY} 4"),
    "the migrator reads any secret": put(f"SchemaMigratorRole {POLICY} 0 Fn::If 1 Resource", "*"),
    "the migrator cannot use a token": take(f"SchemaMigratorRole {POLICY} 1"),
    "the proxy signs in as anybody": put(f"DatabaseProxyRole {POLICY} 0 Resource", "arn:aws:rds-db:*:*:dbuser:*/*"),
    "anybody takes the role of the proxy": put("DatabaseProxyRole AssumeRolePolicyDocument Statement 0 Principal", "*"),
    "another service takes a function's role": put(
        "TradesApiRole AssumeRolePolicyDocument Statement 0 Principal Service", ["ec2.amazonaws.com"]
    ),
    "the socket reads no connection": put(f"PriceSocketRole {POLICY} 1 Action", ["dynamodb:PutItem"]),
    "the broadcaster posts to all APIs": put(f"PriceBroadcasterRole {POLICY} 1 Resource", "arn:aws:execute-api:*:*:*"),
    "a role more": new("Spare", "IAM::Role", AssumeRolePolicyDocument={}),
    "the page's bucket is everybody's": statement("PageBucketPolicy", **ANYBODY),
    "the queue of failed events is everybody's": statement("FailedEventsQueuePolicy", **ANYBODY),
    "the alarms' topic is everybody's": statement("AlarmsTopicPolicy", **ANYBODY),
    "the alarms' key is everybody's": statement("AlarmsKey", "KeyPolicy", **ANYBODY),
    "any account's rule writes to the queue": take("FailedEventsQueuePolicy PolicyDocument Statement 0 Condition"),
    "any account's alarm tells the topic": take("AlarmsTopicPolicy PolicyDocument Statement 0 Condition"),
    "any distribution reads the page": take("PageBucketPolicy PolicyDocument Statement 1 Condition"),
    "the bucket takes plain HTTP": take("DataBucketPolicy PolicyDocument Statement 0"),
    "an endpoint leads to other accounts": take("SqsEndpoint PolicyDocument Statement 0 Condition"),
    "the S3 endpoint leads to all of S3": put("S3Endpoint PolicyDocument Statement 1 Resource", "*"),
    "anybody invokes a function": take("TradesApiTradesPermission SourceArn"),
    "another service invokes a function": put("TradesApiTradesPermission Principal", "*"),
    "a function has a URL": new("Url", "Lambda::Url", AuthType="NONE", TargetFunctionArn={"Ref": "TradesApi"}),
    # The HTTP API
    "a route is open": take(f"{ROUTE} security"),
    "a route asks for no scope": put(f"{ROUTE} security 0 Token", []),
    "a route asks for a lesser scope": put(f"{ROUTE} security 0 Token", ["trading/prices:read", "prices:read"]),
    "a route leads to another function": put(
        f"{ROUTE} x-amazon-apigateway-integration uri", {"Fn::Sub": "${PricesApi.Arn}/invocations"}
    ),
    "a route is gone": take("HttpApi Body paths /api/splits"),
    "another issuer's tokens are taken": put(f"{SCHEMES} jwtConfiguration issuer", "https://issuer.example"),
    "tokens for somebody else are taken": put(f"{SCHEMES} jwtConfiguration audience", ["anybody"]),
    "the token is in the query": put(f"{SCHEMES} identitySource", "$request.querystring.token"),
    "requests are not limited": take("HttpApiApiGatewayDefaultStage DefaultRouteSettings"),
    "many more requests": put("HttpApiApiGatewayDefaultStage DefaultRouteSettings ThrottlingRateLimit", 10_000),
    "the access log holds tokens": put("HttpApiApiGatewayDefaultStage AccessLogSettings Format", '{"t":"$request"}'),
    "other origins are let in": put("HttpApi Body x-amazon-apigateway-cors", {"allowOrigins": ["*"]}),
    "routes that are refused are left out": put("HttpApi FailOnWarnings", value=False),
    # The price socket
    "the socket connects without a function": drop("PriceSocketApiConnectRoute"),
    "a subscription is not answered": drop("PriceSocketSubscribeAnswer"),
    "a message leads nowhere": take("PriceSocketApiPingRoute Target"),
    "the socket's route is chosen otherwise": put("PriceSocketApi RouteSelectionExpression", "$request.body.type"),
    "the socket's stage has another name": put("PriceSocketApiliveStage StageName", "prod"),
    # The network
    "the database is open to the internet": new(
        "Open", "EC2::SecurityGroupIngress", GroupId={"Ref": "DatabaseSecurityGroup"}, **EVERYWHERE
    ),
    "the proxy is open to the VPC": put(
        "ProxySecurityGroup SecurityGroupIngress", [{**EVERYWHERE, "CidrIp": "10.0.0.0/16"}]
    ),
    "functions reach the database directly": put(
        "FunctionsSecurityGroup SecurityGroupEgress 0 DestinationSecurityGroupId", {"Ref": "DatabaseSecurityGroup"}
    ),
    "functions reach every port": put("FunctionsSecurityGroup SecurityGroupEgress 1 IpProtocol", "-1"),
    "the database calls others": put("DatabaseSecurityGroup SecurityGroupEgress 0 CidrIp", "0.0.0.0/0"),
    "the proxy reaches nobody": put("ProxySecurityGroup SecurityGroupEgress", []),
    "the migrator's way to the database is gone": drop("DatabaseFromMigrator"),
    "the proxy's way to the database is gone": drop("DatabaseFromProxy"),
    "the functions' way to the proxy is gone": drop("ProxyFromFunctions"),
    "the migrator's way to secrets is gone": take("EndpointsSecurityGroup SecurityGroupIngress 1"),
    "the SNS endpoint is gone": drop("SnsEndpoint"),
    "the secrets' endpoint is gone": drop("SecretsEndpoint"),
    "the endpoint of DynamoDB has no routes": put("DynamoDbEndpoint RouteTableIds", []),
    "an endpoint is for another service": put("SnsEndpoint ServiceName", "com.amazonaws.eu-west-1.sqs"),
    "an endpoint is not found by its name": put("SqsEndpoint PrivateDnsEnabled", value=False),
    "an endpoint is in one zone in prod": put("SqsEndpoint SubnetIds", [{"Ref": "PrivateSubnetA"}]),
    "there is a way to the internet": new("Gateway", "EC2::InternetGateway"),
    "a subnet has no routes": drop("PrivateRoutesOfB"),
    "both subnets are in one zone": put("PrivateSubnetB AvailabilityZone", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
    "a subnet gives out public addresses": put("PrivateSubnetA MapPublicIpOnLaunch", value=True),
    # What dev costs at rest
    "dev's database never pauses": put("DatabaseCluster ServerlessV2ScalingConfiguration MinCapacity", 0.5),
    "dev's database pauses after an hour": put(
        "DatabaseCluster ServerlessV2ScalingConfiguration SecondsUntilAutoPause", 3_600
    ),
    "dev has a proxy": take("DatabaseProxy Condition"),
    "dev has an endpoint": take("SnsEndpoint Condition"),
    "dev's connections idle for an hour": put("DatabaseClusterParameters Parameters idle_session_timeout", "3600000"),
    "dev's sweeper wakes the database each hour": put("NotificationSweeperSweep ScheduleExpression", "rate(1 hour)"),
    "dev's functions do not wait for the database": take("TradesApi Environment Variables DB_CONNECT_SECONDS"),
    "dev's administrator has a password": put("DatabaseCluster MasterUserAuthenticationType", "password"),
    "prod's administrator has none": take("DatabaseInstance ManageMasterUserPassword"),
    "a reader is asked": put(
        "TradesApi Environment Variables DB_HOST", {"Fn::GetAtt": ["DatabaseCluster", "ReadEndpoint.Address"]}
    ),
    "the cluster is of RDS": put("DatabaseCluster Engine", "postgres"),
    "functions reach nothing over IPv6": drop("FunctionsOverIpv6"),
    "functions reach other ports over IPv6": put("FunctionsOverIpv6 ToPort", 65_535),
    "prod reaches the internet": take("FunctionsOverIpv6 Condition"),
    "the migrator reaches the internet": put("FunctionsOverIpv6 GroupId", {"Ref": "MigratorSecurityGroup"}),
    "there is no IPv6 route": drop("Ipv6Route"),
    "IPv6 lets others in": put("Ipv6Route GatewayId", {"Ref": "Gateway"}),
    "a subnet has no IPv6": drop("Ipv6BlockOfB"),
    "a function does not use IPv6": put("TradesApi VpcConfig Ipv6AllowedForDualStack", value=False),
    "a function asks for other names": put("TradesApi Environment Variables AWS_USE_DUALSTACK_ENDPOINT", "true"),
    "functions' way to dev's database is gone": drop("DatabaseFromFunctions"),
    "functions sign in to dev's database as anybody": put(
        f"TradesApiRole {POLICY} 0 Resource", {"Fn::Sub": "arn:aws:rds-db:*:*:dbuser:${DatabaseCluster}/*"}
    ),
    "nobody hears that dev's database stays awake": drop("DatabaseAwakeAlarm"),
    "there is always a machine client": put("MachineClient Condition", "HasOwnUserPool"),
    # Functions
    "a function runs for ever": put("TradesApi Timeout", 900),
    "a function has little memory": put("TradeAnalyzer MemorySize", 128),
    "a layer is missing": take("StrategySimulator Layers 2"),
    "a function has the wrong processors": put("TradesApi Architectures", ["arm64"]),
    "another runtime": put("PriceSocket Runtime", "python3.9"),
    "another entry": put("PriceSocket Handler", "app.main"),
    "another function's code": put("PriceSocket Code S3Key", "functions/prices_api/"),
    "a function outside the VPC": take("PositionsApi VpcConfig"),
    "a function in the migrator's group": put(
        "TradesApi VpcConfig SecurityGroupIds", [{"Ref": "MigratorSecurityGroup"}]
    ),
    "a variable is missing": take("TradesApi Environment Variables NOTIFICATIONS_QUEUE_URL"),
    "a variable names another queue": put(
        "PricesApi Environment Variables PRICES_QUEUE_URL", {"Ref": "BroadcastQueue"}
    ),
    "nobody is asked for a scope": put("TradesApi Environment Variables AUTH_REQUIRED", "false"),
    "a secret in a variable": put("TradesApi Environment Variables DATABASE_URL", "postgresql://u:p@h/d"),
    "a function before the schema": take("TradesApi DependsOn"),
    "a function has another's role": put("NotFound Role", {"Fn::GetAtt": ["TradesApiRole", "Arn"]}),
    "a function may run only once": put("TradesApi ReservedConcurrentExecutions", 1),
    "no traces": take("TradesApi TracingConfig"),
    # Queues and what wakes functions
    "a batch waits longer than it is hidden": put("NotificationPublisherAnnounced MaximumBatchingWindowInSeconds", 300),
    "a batch of one": put("NotificationPublisherAnnounced BatchSize", 1),
    "a batch fails as a whole": take("PriceProcessorPublished FunctionResponseTypes"),
    "as many at once as there are": take("PriceProcessorPublished ScalingConfig"),
    "some messages are left out": put("PriceProcessorPublished FilterCriteria", {"Filters": [{"Pattern": "{}"}]}),
    "nobody takes messages": put("PriceProcessorPublished Enabled", value=False),
    "the publisher outlives its lease": put("NotificationPublisher Timeout", 61),
    "messages come back at once": put("NotificationsQueue VisibilityTimeout", 30),
    "messages are dropped after a minute": put("NotificationsQueue MessageRetentionPeriod", 60),
    "dead letters are dropped after a minute": put("NotificationsDeadLetterQueue MessageRetentionPeriod", 60),
    "one attempt": put("NotificationsQueue RedrivePolicy maxReceiveCount", 1),
    "dead letters go elsewhere": put(
        "PricesQueue RedrivePolicy deadLetterTargetArn", {"Fn::GetAtt": ["BroadcastDeadLetterQueue", "Arn"]}
    ),
    "prices are not deduplicated": put("PricesQueue ContentBasedDeduplication", value=False),
    "prices are deduplicated across tickers": put("PricesQueue DeduplicationScope", "queue"),
    "a queue is not encrypted": put("PricesQueue SqsManagedSseEnabled", value=False),
    "another file wakes the analyzer": put(
        "TradeAnalyzerTradesPut EventPattern detail object key", [{"suffix": ".csv"}]
    ),
    "a rule is disabled": put("TradeAnalyzerTradesPut State", "DISABLED"),
    "a rule has no dead letters": take("TradeAnalyzerTradesPut Targets 0 DeadLetterConfig"),
    "a rule repeats for ever": put("TradeAnalyzerTradesPut Targets 0 RetryPolicy MaximumRetryAttempts", 185),
    "the bucket tells nobody": take("DataBucket NotificationConfiguration"),
    "a failed export is forgotten": take("TradeExporterEventInvokeConfig DestinationConfig"),
    "a sweep is repeated": put("NotificationSweeperEventInvokeConfig MaximumRetryAttempts", 2),
    # Schedules
    "the export is in New York's time": put("TradeExporterEveryNight ScheduleExpressionTimezone", "America/New_York"),
    "the export is after the analysis": put("TradeExporterEveryNight ScheduleExpression", "cron(15 3 * * ? *)"),
    "the sweeper is disabled": put("NotificationSweeperSweep State", "DISABLED"),
    "the sweeper runs once a day": put("NotificationSweeperSweep ScheduleExpression", "rate(1 day)"),
    "a schedule without a time": put("TradeAnalyzerEveryNight ScheduleExpression", ""),
    "the export of stale days exports yesterday": take("TradeExporterStaleDays Target Input"),
    "a schedule wakes another function": put(
        "TradeAnalyzerEveryNight Target Arn", {"Fn::GetAtt": ["TradeExporter", "Arn"]}
    ),
    "a schedule ends": put("TradeExporterEveryNight EndDate", "2027-01-01T00:00:00Z"),
    "a schedule somewhen in an hour": put(
        "TradeExporterEveryNight FlexibleTimeWindow", {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1_440}
    ),
    # Alarms and the dashboard
    "an alarm on another function": put("LatencyAlarm Dimensions 0 Value", {"Ref": "NotFound"}),
    "an alarm on no queue": put("NotificationsQueueAgeAlarm Dimensions 0 Name", "Queue"),
    "an alarm at a million": put("NotificationsQueueAgeAlarm Threshold", 1_000_000),
    "an alarm the wrong way round": put("DatabaseStorageAlarm ComparisonOperator", "GreaterThanThreshold"),
    "an alarm tells nobody": put("LatencyAlarm AlarmActions", []),
    "an alarm's actions are disabled": put("ServerErrorsAlarm ActionsEnabled", value=False),
    "an alarm is silent about its end": take("ServerErrorsAlarm OKActions"),
    "an alarm takes its time": put("FailedEventsQueueAlarm EvaluationPeriods", 60),
    "an alarm on the average": put("FailedEventsQueueAlarm Statistic", "Average"),
    "an alarm takes silence for trouble": put("LatencyAlarm TreatMissingData", "breaching"),
    "an alarm is gone": drop("ThrottlesAlarm"),
    "nobody is mailed": put("AlarmsByMail Endpoint", "nobody@example.com"),
    "the dashboard is no JSON": put("Dashboard DashboardBody Fn::Sub 0", '{"widgets": [}'),
    "the dashboard is without its titles": put("Dashboard DashboardBody Fn::Sub 0", '{"widgets": []}'),
    # What is kept
    "the database goes with the stack": put("DatabaseInstance DeletionPolicy", "Delete"),
    "the cluster goes when it is replaced": put("DatabaseCluster UpdateReplacePolicy", "Delete"),
    "no backups": put("DatabaseInstance BackupRetentionPeriod", 0),
    "backups for a day in prod": put("DatabaseCluster BackupRetentionPeriod", 1),
    "anybody deletes the database in prod": put("DatabaseInstance DeletionProtection", value=False),
    "one zone in prod": put("DatabaseInstance MultiAZ", value=False),
    "the database is public": put("DatabaseInstance PubliclyAccessible", value=True),
    "the database is not encrypted": put("DatabaseInstance StorageEncrypted", value=False),
    "the database takes plain connections": put("DatabaseInstanceParameters Parameters rds.force_ssl", "0"),
    "the database takes no tokens": put("DatabaseInstance EnableIAMDatabaseAuthentication", value=False),
    "the database's password is in the template": put("DatabaseInstance MasterUserPassword", "secret"),
    "the proxy takes passwords": put("DatabaseProxy DefaultAuthScheme", "NONE"),
    "the proxy takes plain connections": put("DatabaseProxy RequireTLS", value=False),
    "the proxy takes all connections": put(
        "DatabaseProxyTargets ConnectionPoolConfigurationInfo MaxConnectionsPercent", 100
    ),
    "the trades go with the stack": put("DataBucket DeletionPolicy", "Delete"),
    "trades are deleted after a day": more(f"DataBucket {RULE}", {"Status": "Enabled", "ExpirationInDays": 1}),
    "old versions are deleted after a day": put(f"DataBucket {RULE} 0 NoncurrentVersionExpiration NoncurrentDays", 1),
    "old versions are kept for ever": put(f"DataBucket {RULE} 0 Status", "Disabled"),
    "trades have no versions": put("DataBucket VersioningConfiguration Status", "Suspended"),
    "the bucket may become public": take("DataBucket PublicAccessBlockConfiguration RestrictPublicBuckets"),
    "tickets do not expire": put("TicketsTable TimeToLiveSpecification Enabled", value=False),
    "connections expire by another column": put("ConnectionsTable TimeToLiveSpecification AttributeName", "opened_at"),
    "logs for ever": take("TradesApiLogs RetentionInDays"),
    "logs for a day": put("TradesApiLogs RetentionInDays", 1),
    "the key does not rotate": put("AlarmsKey EnableKeyRotation", value=False),
    # CloudFront
    "answers of the API are cached": put(f"{DISTRIBUTION} CacheBehaviors 0 CachePolicyId", CACHED),
    "the API loses its headers": take(f"{DISTRIBUTION} CacheBehaviors 0 OriginRequestPolicyId"),
    "the API over plain HTTP": put(f"{DISTRIBUTION} CacheBehaviors 0 ViewerProtocolPolicy", "allow-all"),
    "the API is read only": put(f"{DISTRIBUTION} CacheBehaviors 0 AllowedMethods", ["GET", "HEAD"]),
    "the page has no headers": take(f"{DISTRIBUTION} DefaultCacheBehavior ResponseHeadersPolicyId"),
    "the API is asked over plain HTTP": put(
        f"{DISTRIBUTION} Origins 1 CustomOriginConfig OriginProtocolPolicy", "http-only"
    ),
    "the page's bucket is asked unsigned": take(f"{DISTRIBUTION} Origins 0 OriginAccessControlId"),
    "requests to the bucket are not signed": put("PageAccess OriginAccessControlConfig SigningBehavior", "never"),
    "no HSTS": take(f"{SECURITY} SecurityHeadersConfig StrictTransportSecurity"),
    "scripts from anywhere": put(
        f"{SECURITY} SecurityHeadersConfig ContentSecurityPolicy ContentSecurityPolicy", "default-src *"
    ),
    "frames from anywhere": put(f"{SECURITY} SecurityHeadersConfig FrameOptions FrameOption", "SAMEORIGIN"),
    "other pages keep hold of it": put(f"{SECURITY} CustomHeadersConfig Items", []),
    # Cognito
    "people sign themselves up": put("UserPool AdminCreateUserConfig AllowAdminCreateUserOnly", value=False),
    "short passwords": put("UserPool Policies PasswordPolicy MinimumLength", 6),
    "no second factor": put("UserPool MfaConfiguration", "OFF"),
    "anybody deletes the pool in prod": put("UserPool DeletionProtection", "INACTIVE"),
    "tokens in addresses": put("PageClient AllowedOAuthFlows", ["code", "implicit"]),
    "tokens for a day": put("PageClient AccessTokenValidity", 24),
    "sessions for a month": put("PageClient RefreshTokenValidity", 720),
    "the page publishes prices": more("PageClient AllowedOAuthScopes", "trading/prices:publish"),
    "tokens go to another page": more("PageClient CallbackURLs", "https://elsewhere.example/"),
    "who has an account is told": take("PageClient PreventUserExistenceErrors"),
    "passwords over the API": put("PageClient ExplicitAuthFlows", ["ALLOW_USER_PASSWORD_AUTH"]),
    "tokens cannot be taken back": put("MachineClient EnableTokenRevocation", value=False),
    "the machine has no secret": put("MachineClient GenerateSecret", value=False),
    # The migration
    "a deployment does not wait for the migrator": put("Schema ServiceTimeout", 30),
    "an old migration": put("Schema NewestMigration", "0001_trades.sql"),
    "the migrator runs before there is a way": take("Schema DependsOn"),
    "the migrator has longer than CloudFormation waits": put("SchemaMigrator Timeout", 600),
    # What is chosen
    "any issuer": take("# Parameters TokenIssuer AllowedPattern"),
    "prod where none is named": put("# Parameters Environment Default", "prod"),
    "a small database counts as production": put("# Conditions IsProduction", {"Fn::Equals": ["1", "1"]}),
    "an output tells a secret": put("# Outputs Secret", {"Value": {"Fn::GetAtt": ["MachineClient", "ClientSecret"]}}),
}


def test_there_are_enough_mutations() -> None:
    assert len(MUTATIONS) >= 120


def test_of_ten_careless_changes_nine_at_least_are_seen(deployed: Template, shown: str) -> None:
    unseen, text = [], json.dumps(deployed)
    for name, change in MUTATIONS.items():
        changed = json.loads(text)
        change(changed)
        assert changed != deployed, f"{name}: nothing is changed"
        if inventory.text(changed) == shown and not any(rules.complaints(changed)):
            unseen.append(name)
    assert len(unseen) <= len(MUTATIONS) / 10, unseen
