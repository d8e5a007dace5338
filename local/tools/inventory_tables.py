"""What docs/inventory.md shows in tables: which settings of which resources stand in which column."""

from collections.abc import Mapping
from dataclasses import dataclass

NAME, VALUE, ENTRIES, ITEMS = "@", "=", "%", "*"


@dataclass(frozen=True)
class Rows:
    """A row for each resource of a kind, or for each part of one of its settings.

    Attributes:
        kind: the resources' type, without `AWS::`.
        cells: for each column the settings that it shows, separated by spaces; all but the first come with their names.
            `@` is the names of the entries that led to the row, `=` an entry's value, and `"text"` is that text.
        each: a path to the parts, with `*` for each item of a list, and `%` for each entry of a mapping.
    """

    kind: str
    cells: Mapping[str, str]
    each: str = ""


def _statements(kind: str, path: str) -> Rows:
    cells = {
        "effect": "Effect",
        "who": "Principal NotPrincipal",
        "may do": "Action NotAction",
        "to": "Resource NotResource",
        "if": "Condition",
    }
    return Rows(kind, cells, f"{path}.Statement.*")


def _connections(kind: str, direction: str, peer: str, each: str = "") -> Rows:
    cells = {
        "": f'"{direction}"',
        "group or addresses": f"{peer} CidrIp",
        "protocol": "IpProtocol",
        "ports from": "FromPort",
        "to": "ToPort",
    }
    return Rows(kind, {"of": "GroupId", **cells} if not each else cells, each)


def _database(kind: str) -> Rows:
    cells = {
        "exists if": "Condition",
        "engine": "Engine EngineVersion AutoMinorVersionUpgrade",
        "class": "DBInstanceClass ServerlessV2ScalingConfiguration",
        "two zones": "MultiAZ",
        "backups, days": "BackupRetentionPeriod",
        "protected": "DeletionProtection",
        "deleted as": "DeletionPolicy UpdateReplacePolicy",
        "public": "PubliclyAccessible",
        "encrypted": "StorageEncrypted",
    }
    return Rows(kind, cells)


def _behaviors(path: str, each: str) -> Rows:
    cells = {
        "path": path,
        "from": "TargetOriginId",
        "viewers": "ViewerProtocolPolicy",
        "methods": "AllowedMethods",
        "cache": "CachePolicyId",
        "sent on": "OriginRequestPolicyId",
        "headers": "ResponseHeadersPolicyId",
        "packed": "Compress",
    }
    return Rows("CloudFront::Distribution", cells, f"DistributionConfig.{each}")


_FUNCTION, _INTEGRATION, _JWT = "Lambda::Function", "=.x-amazon-apigateway-integration", "jwtConfiguration"
_AUTHORIZER = "=.x-amazon-apigateway-authorizer"
_PAGE_HEADERS = "ResponseHeadersPolicyConfig"

TABLES = {
    "Who may do what": [
        _statements("IAM::Role", "Policies.*.PolicyDocument"),
        Rows("IAM::Role", {"effect": '"Allow"', "may do": "="}, "ManagedPolicyArns.*"),
        _statements("IAM::Role", "AssumeRolePolicyDocument"),
        _statements("EC2::VPCEndpoint", "PolicyDocument"),
        _statements("S3::BucketPolicy", "PolicyDocument"),
        _statements("SQS::QueuePolicy", "PolicyDocument"),
        _statements("SNS::TopicPolicy", "PolicyDocument"),
        _statements("KMS::Key", "KeyPolicy"),
    ],
    "Who may invoke functions": [
        Rows(
            "Lambda::Permission",
            {
                "function": "FunctionName",
                "by": "Principal",
                "from": "SourceArn SourceAccount EventSourceToken FunctionUrlAuthType",
                "may do": "Action",
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
                "token from": f"{_AUTHORIZER}.identitySource",
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
                "answers": "RouteResponseSelectionExpression",
                "to": "Target",
                "authorizer": "AuthorizationType",
            },
        ),
        Rows("ApiGatewayV2::RouteResponse", {"answers": "RouteResponseKey", "to": "RouteId"}),
    ],
    "Stages": [
        Rows(
            "ApiGatewayV2::Stage",
            {
                "of": "ApiId",
                "requests a second": "DefaultRouteSettings.ThrottlingRateLimit",
                "at once": "DefaultRouteSettings.ThrottlingBurstLimit",
                "access log": "AccessLogSettings.DestinationArn",
                "in it": "AccessLogSettings.Format",
            },
        )
    ],
    "Who may connect to whom": [
        _connections("EC2::SecurityGroup", "to", "DestinationSecurityGroupId", "SecurityGroupEgress.*"),
        _connections("EC2::SecurityGroup", "from", "SourceSecurityGroupId", "SecurityGroupIngress.*"),
        _connections("EC2::SecurityGroupIngress", "from", "SourceSecurityGroupId"),
    ],
    "Endpoints of AWS's services": [
        Rows(
            "EC2::VPCEndpoint",
            {
                "service": "ServiceName",
                "kind": "VpcEndpointType",
                "subnets or route tables": "SubnetIds RouteTableIds",
                "groups": "SecurityGroupIds",
                "private names": "PrivateDnsEnabled",
            },
        )
    ],
    "Subnets and their routes": [
        Rows("EC2::VPC", {"addresses": "CidrBlock"}),
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
                "role": "Role",
                "log": "LoggingConfig.LogGroup",
                "after": "DependsOn",
            },
        )
    ],
    "Code": [
        Rows(
            _FUNCTION,
            {"code": "Code.S3Key", "entry": "Handler", "runtime": "Runtime", "processors": "Architectures"},
        ),
        Rows(
            "Lambda::LayerVersion",
            {"code": "Content.S3Key", "runtime": "CompatibleRuntimes", "processors": "CompatibleArchitectures"},
        ),
    ],
    "What functions are told": [Rows(_FUNCTION, {"variable": "@", "value": "="}, "Environment.Variables.%")],
    "Queues that wake functions": [
        Rows(
            "Lambda::EventSourceMapping",
            {
                "queue": "EventSourceArn",
                "function": "FunctionName",
                "batch": "BatchSize",
                "window, s": "MaximumBatchingWindowInSeconds",
                "at once": "ScalingConfig.MaximumConcurrency",
                "failures": "FunctionResponseTypes",
                "only": "FilterCriteria",
                "enabled": "Enabled",
            },
        )
    ],
    "Events that wake functions": [
        Rows(
            "Events::Rule",
            {"event": "EventPattern", "schedule": "ScheduleExpression", "state": "State", "to": "Targets"},
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
                "with": "Target.Input",
                "retries": "Target.RetryPolicy",
                "dead letters": "Target.DeadLetterConfig.Arn",
                "role": "Target.RoleArn",
            },
        )
    ],
    "What becomes of failed invocations": [
        Rows(
            "Lambda::EventInvokeConfig",
            {
                "function": "FunctionName",
                "retries": "MaximumRetryAttempts",
                "oldest, s": "MaximumEventAgeInSeconds",
                "then to": "DestinationConfig.OnFailure",
            },
        )
    ],
    "Queues": [
        Rows(
            "SQS::Queue",
            {
                "hidden, s": "VisibilityTimeout",
                "kept, s": "MessageRetentionPeriod",
                "attempts": "RedrivePolicy.maxReceiveCount",
                "then to": "RedrivePolicy.deadLetterTargetArn",
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
                "of": "Dimensions",
                "is": "ComparisonOperator",
                "than": "Threshold",
                "as": "Statistic ExtendedStatistic",
                "period, s": "Period",
                "periods": "EvaluationPeriods DatapointsToAlarm",
                "missing data": "TreatMissingData",
                "tells": "AlarmActions ActionsEnabled",
                "and when over": "OKActions",
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
                "rows expire": "TimeToLiveSpecification",
                "encrypted": "SSESpecification",
                "backups": "PointInTimeRecoverySpecification",
                "deleted as": "DeletionPolicy UpdateReplacePolicy",
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
                "tells": "NotificationConfiguration",
                "deleted as": "DeletionPolicy UpdateReplacePolicy",
            },
        )
    ],
    "What buckets delete": [
        Rows(
            "S3::Bucket",
            {
                "rule": "Id",
                "state": "Status",
                "of": "Prefix Filter TagFilters",
                "objects": "ExpirationInDays ExpirationDate",
                "old versions": "NoncurrentVersionExpiration ExpiredObjectDeleteMarker",
                "unfinished uploads": "AbortIncompleteMultipartUpload",
            },
            "LifecycleConfiguration.Rules.*",
        )
    ],
    "Logs": [Rows("Logs::LogGroup", {"kept, days": "RetentionInDays"})],
    "What CloudFront serves": [
        _behaviors("PathPattern", "CacheBehaviors.*"),
        _behaviors('"everything else"', "DefaultCacheBehavior"),
    ],
    "Where CloudFront gets it": [
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
    "Headers of the page": [
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
    "The user pool": [Rows("Cognito::UserPool", {"setting": "@", "value": "="}, "%")],
    "Clients of the user pool": [Rows("Cognito::UserPoolClient", {"setting": "@", "value": "="}, "%")],
    "Scopes of the user pool": [
        Rows("Cognito::UserPoolResourceServer", {"scope": "ScopeName", "for": "ScopeDescription"}, "Scopes.*")
    ],
    "The database's proxy and settings": [
        Rows(f"RDS::{kind}", {"setting": "@", "value": "="}, "%")
        for kind in ("DBProxy", "DBProxyTargetGroup", "DBParameterGroup", "DBClusterParameterGroup", "DBSubnetGroup")
    ],
    "The migration": [Rows("Custom::SchemaMigration", {"setting": "@", "value": "="}, "%")],
}
