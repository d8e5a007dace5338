"""The tables of docs/inventory.md: the settings in each column, by resource type."""

from collections.abc import Mapping
from dataclasses import dataclass

NAME, VALUE, ENTRIES, ITEMS, ONLY = "@", "=", "%", "*", "?"


@dataclass(frozen=True)
class Rows:
    """A row for each resource of a kind, or for each part of one of its settings.

    Attributes:
        kind: the resource type, without `AWS::`.
        cells: the settings in each column, separated by spaces; all but the first are shown with their names. `@` is
            the names of the entries on the path to the row, `=` an entry's value, `?` the only environment that has it,
            and `"text"` is literal text.
        each: a path to the parts, with `*` for each item of a list and `%` for each entry of a mapping.
    """

    kind: str
    cells: Mapping[str, str]
    each: str = ""


def _statements(kind: str, path: str) -> Rows:
    cells = {
        "effect": "Effect",
        "principal": "Principal NotPrincipal",
        "action": "Action NotAction",
        "resource": "Resource NotResource",
        "condition": "Condition",
        "only in": ONLY,
    }
    return Rows(kind, cells, f"{path}.Statement.*")


def _connections(kind: str, direction: str, peer: str, each: str = "") -> Rows:
    cells = {
        "": f'"{direction}"',
        "group or CIDR": f"{peer} CidrIp CidrIpv6",
        "protocol": "IpProtocol",
        "from port": "FromPort",
        "to port": "ToPort",
    }
    return Rows(kind, cells if each else {"of": "GroupId", **cells, "exists if": "Condition"}, each)


def _database(kind: str) -> Rows:
    cells = {
        "exists if": "Condition",
        "engine": "Engine EngineVersion AutoMinorVersionUpgrade",
        "class": "DBInstanceClass ServerlessV2ScalingConfiguration",
        "multi-AZ": "MultiAZ",
        "backups, days": "BackupRetentionPeriod",
        "deletion protection": "DeletionProtection",
        "on deletion": "DeletionPolicy UpdateReplacePolicy",
        "public": "PubliclyAccessible",
        "encrypted": "StorageEncrypted",
    }
    return Rows(kind, cells)


def _behaviors(path: str, each: str) -> Rows:
    cells = {
        "path": path,
        "origin": "TargetOriginId",
        "protocol": "ViewerProtocolPolicy",
        "methods": "AllowedMethods",
        "cache policy": "CachePolicyId",
        "origin request policy": "OriginRequestPolicyId",
        "response headers policy": "ResponseHeadersPolicyId",
        "compressed": "Compress",
    }
    return Rows("CloudFront::Distribution", cells, f"DistributionConfig.{each}")


_FUNCTION, _INTEGRATION, _JWT = "Lambda::Function", "=.x-amazon-apigateway-integration", "jwtConfiguration"
_AUTHORIZER = "=.x-amazon-apigateway-authorizer"
_PAGE_HEADERS = "ResponseHeadersPolicyConfig"

TABLES = {
    "Permissions": [
        _statements("IAM::Role", "Policies.*.PolicyDocument"),
        Rows("IAM::Role", {"effect": '"Allow"', "action": "="}, "ManagedPolicyArns.*"),
        _statements("IAM::Role", "AssumeRolePolicyDocument"),
        _statements("EC2::VPCEndpoint", "PolicyDocument"),
        _statements("S3::BucketPolicy", "PolicyDocument"),
        _statements("SQS::QueuePolicy", "PolicyDocument"),
        _statements("SNS::TopicPolicy", "PolicyDocument"),
        _statements("KMS::Key", "KeyPolicy"),
    ],
    "Permissions to invoke functions": [
        Rows(
            "Lambda::Permission",
            {
                "function": "FunctionName",
                "principal": "Principal",
                "source": "SourceArn SourceAccount EventSourceToken FunctionUrlAuthType",
                "action": "Action",
            },
        )
    ],
    "Routes of the HTTP API": [
        Rows(
            "ApiGatewayV2::Api",
            {
                "route": "@",
                "function": f"{_INTEGRATION}.uri",
                "authorizer and scopes": "=.security",
                "integration": f"{_INTEGRATION} =",
            },
            "Body.paths.%.=.%",
        )
    ],
    "Authorizers": [
        Rows(
            "ApiGatewayV2::Api",
            {
                "authorizer": "@",
                "identity source": f"{_AUTHORIZER}.identitySource",
                "issuer": f"{_AUTHORIZER}.{_JWT}.issuer",
                "audience": f"{_AUTHORIZER}.{_JWT}.audience",
                "kind": f"{_AUTHORIZER} =",
            },
            "Body.components.securitySchemes.%",
        )
    ],
    "Routes of the price socket": [
        Rows(
            "ApiGatewayV2::Route",
            {
                "key": "RouteKey",
                "response": "RouteResponseSelectionExpression",
                "target": "Target",
                "authorizer": "AuthorizationType",
            },
        ),
        Rows("ApiGatewayV2::RouteResponse", {"response": "RouteResponseKey", "target": "RouteId"}),
    ],
    "Stages": [
        Rows(
            "ApiGatewayV2::Stage",
            {
                "of": "ApiId",
                "requests per second": "DefaultRouteSettings.ThrottlingRateLimit",
                "burst": "DefaultRouteSettings.ThrottlingBurstLimit",
                "access log": "AccessLogSettings.DestinationArn",
                "log format": "AccessLogSettings.Format",
            },
        )
    ],
    "Security group rules": [
        _connections("EC2::SecurityGroup", "to", "DestinationSecurityGroupId", "SecurityGroupEgress.*"),
        _connections("EC2::SecurityGroup", "from", "SourceSecurityGroupId", "SecurityGroupIngress.*"),
        _connections("EC2::SecurityGroupEgress", "to", "DestinationSecurityGroupId"),
        _connections("EC2::SecurityGroupIngress", "from", "SourceSecurityGroupId"),
    ],
    "VPC endpoints": [
        Rows(
            "EC2::VPCEndpoint",
            {
                "service": "ServiceName",
                "kind": "VpcEndpointType",
                "subnets or route tables": "SubnetIds RouteTableIds",
                "groups": "SecurityGroupIds",
                "private names": "PrivateDnsEnabled",
                "exists if": "Condition",
            },
        )
    ],
    "Subnets and routes": [
        Rows("EC2::VPC", {"addresses": "CidrBlock"}),
        Rows("EC2::VPCCidrBlock", {"addresses": "AmazonProvidedIpv6CidrBlock", "exists if": "Condition"}),
        Rows("EC2::SubnetCidrBlock", {"addresses": "SubnetId Ipv6CidrBlock", "exists if": "Condition"}),
        Rows(
            "EC2::Route",
            {
                "addresses": "DestinationIpv6CidrBlock DestinationCidrBlock",
                "route table": "RouteTableId",
                "to": "EgressOnlyInternetGatewayId GatewayId NatGatewayId",
                "exists if": "Condition",
            },
        ),
        Rows("EC2::Subnet", {"addresses": "CidrBlock", "zone": "AvailabilityZone"}),
        Rows("EC2::SubnetRouteTableAssociation", {"addresses": "SubnetId", "route table": "RouteTableId"}),
    ],
    "Functions": [
        Rows(
            _FUNCTION,
            {
                "memory, MB": "MemorySize",
                "timeout, s": "Timeout",
                "concurrency": "ReservedConcurrentExecutions",
                "layers": "Layers",
                "subnets": "VpcConfig.SubnetIds",
                "groups": "VpcConfig.SecurityGroupIds",
                "IPv6": "VpcConfig.Ipv6AllowedForDualStack",
                "role": "Role",
                "log": "LoggingConfig.LogGroup",
                "depends on": "DependsOn",
            },
        )
    ],
    "Code": [
        Rows(
            _FUNCTION,
            {"code": "Code.S3Key", "handler": "Handler", "runtime": "Runtime", "architectures": "Architectures"},
        ),
        Rows(
            "Lambda::LayerVersion",
            {"code": "Content.S3Key", "runtime": "CompatibleRuntimes", "architectures": "CompatibleArchitectures"},
        ),
    ],
    "Environment variables": [Rows(_FUNCTION, {"variable": "@", "value": "="}, "Environment.Variables.%")],
    "Queue triggers": [
        Rows(
            "Lambda::EventSourceMapping",
            {
                "queue": "EventSourceArn",
                "function": "FunctionName",
                "batch": "BatchSize",
                "batching window, s": "MaximumBatchingWindowInSeconds",
                "maximum concurrency": "ScalingConfig.MaximumConcurrency",
                "response": "FunctionResponseTypes",
                "filter": "FilterCriteria",
                "enabled": "Enabled",
            },
        )
    ],
    "Event triggers": [
        Rows(
            "Events::Rule",
            {"event": "EventPattern", "schedule": "ScheduleExpression", "state": "State", "targets": "Targets"},
        )
    ],
    "Schedules": [
        Rows(
            "Scheduler::Schedule",
            {
                "when": "ScheduleExpression StartDate EndDate",
                "zone": "ScheduleExpressionTimezone",
                "state": "State",
                "function": "Target.Arn",
                "input": "Target.Input",
                "retries": "Target.RetryPolicy",
                "dead-letter queue": "Target.DeadLetterConfig.Arn",
                "role": "Target.RoleArn",
            },
        )
    ],
    "Asynchronous invocations": [
        Rows(
            "Lambda::EventInvokeConfig",
            {
                "function": "FunctionName",
                "retries": "MaximumRetryAttempts",
                "maximum age, s": "MaximumEventAgeInSeconds",
                "on failure": "DestinationConfig.OnFailure",
            },
        )
    ],
    "Queues": [
        Rows(
            "SQS::Queue",
            {
                "visibility timeout, s": "VisibilityTimeout",
                "retention, s": "MessageRetentionPeriod",
                "maximum receives": "RedrivePolicy.maxReceiveCount",
                "dead-letter queue": "RedrivePolicy.deadLetterTargetArn",
                "FIFO": "FifoQueue ContentBasedDeduplication DeduplicationScope FifoThroughputLimit",
                "encrypted": "SqsManagedSseEnabled KmsMasterKeyId",
            },
        )
    ],
    "Topics": [
        Rows("SNS::Topic", {"key": "KmsMasterKeyId"}),
        Rows(
            "SNS::Subscription",
            {"topic": "TopicArn", "protocol": "Protocol", "endpoint": "Endpoint", "exists if": "Condition"},
        ),
    ],
    "Alarms": [
        Rows(
            "CloudWatch::Alarm",
            {
                "metric": "MetricName Metrics",
                "namespace": "Namespace",
                "dimensions": "Dimensions",
                "comparison": "ComparisonOperator",
                "threshold": "Threshold",
                "statistic": "Statistic ExtendedStatistic",
                "period, s": "Period",
                "periods": "EvaluationPeriods DatapointsToAlarm",
                "missing data": "TreatMissingData",
                "alarm actions": "AlarmActions ActionsEnabled",
                "OK actions": "OKActions",
                "exists if": "Condition",
            },
        )
    ],
    "Databases": [_database("RDS::DBInstance"), _database("RDS::DBCluster")],
    "Tables": [
        Rows(
            "DynamoDB::Table",
            {
                "key": "KeySchema",
                "billing": "BillingMode",
                "time to live": "TimeToLiveSpecification",
                "encrypted": "SSESpecification",
                "backups": "PointInTimeRecoverySpecification",
                "on deletion": "DeletionPolicy UpdateReplacePolicy",
            },
        )
    ],
    "Buckets": [
        Rows(
            "S3::Bucket",
            {
                "public access": "PublicAccessBlockConfiguration",
                "encrypted": "BucketEncryption",
                "versions": "VersioningConfiguration.Status",
                "notifications": "NotificationConfiguration",
                "on deletion": "DeletionPolicy UpdateReplacePolicy",
            },
        )
    ],
    "Lifecycle rules": [
        Rows(
            "S3::Bucket",
            {
                "rule": "Id",
                "state": "Status",
                "filter": "Prefix Filter TagFilters",
                "current versions": "ExpirationInDays ExpirationDate",
                "old versions": "NoncurrentVersionExpiration ExpiredObjectDeleteMarker",
                "unfinished uploads": "AbortIncompleteMultipartUpload",
            },
            "LifecycleConfiguration.Rules.*",
        )
    ],
    "Logs": [Rows("Logs::LogGroup", {"retention, days": "RetentionInDays"})],
    "CloudFront behaviors": [
        _behaviors("PathPattern", "CacheBehaviors.*"),
        _behaviors('"default"', "DefaultCacheBehavior"),
    ],
    "CloudFront origins": [
        Rows(
            "CloudFront::Distribution",
            {
                "origin": "Id",
                "address": "DomainName",
                "access": "OriginAccessControlId CustomOriginConfig S3OriginConfig",
            },
            "DistributionConfig.Origins.*",
        )
    ],
    "Response headers of the page": [
        Rows(
            "CloudFront::ResponseHeadersPolicy",
            {"header": "@", "value": "="},
            f"{_PAGE_HEADERS}.SecurityHeadersConfig.%",
        ),
        Rows(
            "CloudFront::ResponseHeadersPolicy",
            {"header": "Header", "value": "Value Override"},
            f"{_PAGE_HEADERS}.CustomHeadersConfig.Items.*",
        ),
    ],
    "User pool": [Rows("Cognito::UserPool", {"setting": "@", "value": "="}, "%")],
    "User pool clients": [Rows("Cognito::UserPoolClient", {"setting": "@", "value": "="}, "%")],
    "User pool scopes": [
        Rows("Cognito::UserPoolResourceServer", {"scope": "ScopeName", "for": "ScopeDescription"}, "Scopes.*")
    ],
    "Database proxy, subnets and parameters": [
        Rows(f"RDS::{kind}", {"setting": "@", "value": "="}, "%")
        for kind in ("DBProxy", "DBProxyTargetGroup", "DBParameterGroup", "DBClusterParameterGroup", "DBSubnetGroup")
    ],
    "Schema migration": [Rows("Custom::SchemaMigration", {"setting": "@", "value": "="}, "%")],
}
