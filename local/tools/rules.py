"""This system's own rules for what is deployed: `python -m local.tools.rules`, a part of `make validate`.

Linters check what AWS accepts. These rules check what this system promises: no failure goes unnoticed, every request
needs a token, and every function has least privilege. They apply to everything that the template declares.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from local.host import conditions, template
from local.host.template import ROOT, RouteKeyError, check_route_key, names_in
from local.tools import rules_at_rest, rules_of_access, rules_of_code
from local.tools.deployed import Deployed, as_list, environments, is_socket, scopes_of, variables_of

ALARMS_TOPIC = {"Ref": "AlarmsTopic"}
PUBLIC = {"ANY /api/health", "$default"}
VISIBILITY_PER_TIMEOUT = 6  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
# The settings that encrypt a resource at rest; an instance of a cluster stores nothing itself.
ENCRYPTION = {
    "AWS::RDS::DBCluster": ["StorageEncrypted"],
    "AWS::RDS::DBInstance": ["StorageEncrypted"],
    "AWS::S3::Bucket": ["BucketEncryption"],
    "AWS::SNS::Topic": ["KmsMasterKeyId"],
    "AWS::SQS::Queue": ["SqsManagedSseEnabled", "KmsMasterKeyId"],
}
KEPT = {
    "AWS::RDS::DBCluster": {"Snapshot"},
    "AWS::RDS::DBInstance": {"Snapshot"},
    "AWS::S3::Bucket": {"Retain", "RetainExceptOnCreate"},
}
PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's name for it
RESOURCE_SERVER = "trading"
DATABASES = ("serverless", "db.t4g.small")  # of Aurora, which may pause, and an instance
DATABASE_SETTINGS = {"DB_HOST", "DB_NAME", "DB_USER"}
# The settings that give a resource a fixed name in an account, which would prevent a second stack.
NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBProxy": "DBProxyName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
}


def every_queue_is_watched(deployed: Deployed) -> Iterator[str]:
    """A queue has a dead-letter queue and an alarm on its age; a dead-letter queue has an alarm on its messages."""
    dead_letter_queues = deployed.dead_letter_queues()
    for name, queue in deployed.of("AWS::SQS::Queue").items():
        if name in dead_letter_queues:
            if not deployed.has_alarm("ApproximateNumberOfMessagesVisible", name):
                yield f"{name} is a dead-letter queue, and has no alarm on its messages"
            continue
        if not deployed.among(queue.get("RedrivePolicy"), "AWS::SQS::Queue"):
            yield f"{name} has no dead-letter queue"
        if not deployed.has_alarm("ApproximateAgeOfOldestMessage", name):
            yield f"{name} has no alarm on the age of its oldest message"


def every_message_stays_hidden_long_enough(deployed: Deployed) -> Iterator[str]:
    """A queue's visibility timeout covers the batching window and six function timeouts; concurrency is limited."""
    functions, queues = deployed.of("AWS::Lambda::Function"), deployed.of("AWS::SQS::Queue")
    for name, source in deployed.of("AWS::Lambda::EventSourceMapping").items():
        for queue in deployed.among(source["EventSourceArn"], "AWS::SQS::Queue"):
            [function] = names_in(source["FunctionName"]) & functions.keys()
            needed = source.get("MaximumBatchingWindowInSeconds", 0) + VISIBILITY_PER_TIMEOUT * functions[function].get(
                "Timeout", 3
            )
            if queues[queue].get("VisibilityTimeout", 30) < needed:
                yield f"{queue} has a visibility timeout below the batching window and six timeouts of {function}"
            if "MaximumConcurrency" not in source.get("ScalingConfig", {}):
                yield f"{name} has no MaximumConcurrency, so it could exhaust the database's connections"
            if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
                yield f"{name} does not report batch item failures"


def every_function_stands_on_its_own(deployed: Deployed) -> Iterator[str]:
    """A function has its own log group and role, limits, and a metrics namespace."""
    functions = deployed.of("AWS::Lambda::Function")
    for name, function in functions.items():
        log_groups = deployed.among(function.get("LoggingConfig", {}).get("LogGroup"), "AWS::Logs::LogGroup")
        roles = deployed.among(function.get("Role"), "AWS::IAM::Role")
        if not log_groups:
            yield f"{name} has no log group of its own in this template"
        if not roles:
            yield f"{name} has no role of its own in this template"
        for limit in ("Timeout", "MemorySize"):
            if limit not in function:
                yield f"{name} has no {limit}"
        if "POWERTOOLS_METRICS_NAMESPACE" not in variables_of(function):
            yield f"{name} has no metrics namespace, so writing a metric would fail"
        for other, its in functions.items():
            if other > name and names_in(its.get("Role")) & roles:
                yield f"{name} and {other} share a role"
            if other > name and names_in(its.get("LoggingConfig", {}).get("LogGroup")) & log_groups:
                yield f"{name} and {other} share a log group"


def every_log_ends(deployed: Deployed) -> Iterator[str]:
    """A log group has a retention period."""
    for name, group in deployed.of("AWS::Logs::LogGroup").items():
        if "RetentionInDays" not in group:
            yield f"{name} keeps its logs forever"


def every_route_can_be_created(deployed: Deployed) -> Iterator[str]:
    """A route has a key that API Gateway accepts: with FailOnWarnings, any other key fails the deployment."""
    for key in deployed.routes():
        try:
            check_route_key(key)
        except RouteKeyError as error:
            yield str(error)


def every_route_wants_a_token(deployed: Deployed) -> Iterator[str]:
    """A route has the authorizer and a scope; health and $default are public, and declare no security."""
    for key, operation in deployed.routes().items():
        security = operation.get("security", [])
        if {name for each in security for name in each} - deployed.authorizers():
            yield f"{key} names an authorizer that does not exist, about which API Gateway warns"
        elif key in PUBLIC and security:
            yield f"{key} is public, and requires a token"
        elif key not in PUBLIC and not security:
            yield f"{key} requires no token"
        elif key not in PUBLIC and not scopes_of(operation):
            yield f"{key} requires no scope"


def what_no_route_matches_reaches_no_rights(deployed: Deployed) -> Iterator[str]:
    """The function of $default, which anyone can call, has no permissions except to write its log."""
    functions = deployed.of("AWS::Lambda::Function")
    integration = deployed.routes()["$default"]["x-amazon-apigateway-integration"]
    for name in deployed.among(integration["uri"], "AWS::Lambda::Function"):
        if "VpcConfig" in functions[name] or any(deployed.statements(functions[name])):
            yield f"{name} serves $default, and may do more than write its log"


def every_scope_can_be_had(deployed: Deployed) -> Iterator[str]:
    """A route has its scope in both spellings, and the machine client, if there is one, may request that scope."""
    servers = deployed.of("AWS::Cognito::UserPoolResourceServer").values()
    clients = [
        client
        for client in deployed.of("AWS::Cognito::UserPoolClient").values()
        if "client_credentials" in client["AllowedOAuthFlows"]
    ]
    known = {f"{server['Identifier']}/{scope['ScopeName']}" for server in servers for scope in server["Scopes"]}
    allowed = {scope for client in clients for scope in client["AllowedOAuthScopes"]} if clients else known
    for key, operation in deployed.routes().items():
        scopes = scopes_of(operation)
        for scope in sorted({scope.rpartition("/")[2] for scope in scopes}):
            spellings = {scope, f"{RESOURCE_SERVER}/{scope}"}
            if not spellings <= scopes:
                yield f"{key} requires {scope} in one form only"
            if not spellings & known & allowed:
                yield f"{key} requires {scope}, which no client can request"


def every_api_is_throttled_and_logged(deployed: Deployed) -> Iterator[str]:
    """A stage limits its requests and writes an access log."""
    apis = deployed.of("AWS::ApiGatewayV2::Api")
    for name, stage in deployed.of("AWS::ApiGatewayV2::Stage").items():
        [api] = names_in(stage["ApiId"]) & apis.keys()
        if not {"ThrottlingBurstLimit", "ThrottlingRateLimit"} <= stage.get("DefaultRouteSettings", {}).keys():
            yield f"{name} is not throttled"
        if is_socket(apis[api]):
            continue  # an access log would need an account-wide role
        if not deployed.among(stage.get("AccessLogSettings"), "AWS::Logs::LogGroup"):
            yield f"{name} writes no access log"


def every_schedule_and_rule_has_a_dead_letter_target(deployed: Deployed) -> Iterator[str]:
    """Events that EventBridge cannot deliver are kept."""
    for name, schedule in deployed.of("AWS::Scheduler::Schedule").items():
        if not deployed.among(schedule["Target"].get("DeadLetterConfig"), "AWS::SQS::Queue"):
            yield f"{name} has no dead-letter target"
    for name, rule in deployed.of("AWS::Events::Rule").items():
        if not all(deployed.among(each.get("DeadLetterConfig"), "AWS::SQS::Queue") for each in rule["Targets"]):
            yield f"{name} has no dead-letter target"


def every_failure_that_nobody_waits_for_is_heard(deployed: Deployed) -> Iterator[str]:
    """A function that a schedule or rule invokes has a failure destination, or an alarm on its errors."""
    schedules, event_rules = deployed.of("AWS::Scheduler::Schedule"), deployed.of("AWS::Events::Rule")
    woken: set[str] = set()
    for target in [each["Target"] for each in schedules.values()] + [each["Targets"] for each in event_rules.values()]:
        woken |= deployed.among(target, "AWS::Lambda::Function")
    kept: set[str] = set()
    for config in deployed.of("AWS::Lambda::EventInvokeConfig").values():
        if "OnFailure" in config.get("DestinationConfig", {}):
            kept |= deployed.among(config["FunctionName"], "AWS::Lambda::Function")
    for name in sorted(woken - kept):
        if not deployed.has_alarm("Errors", name):
            yield f"{name} is invoked asynchronously, without a failure destination or an alarm on errors"


def every_alarm_is_heard_and_explained(deployed: Deployed) -> Iterator[str]:
    """An alarm notifies AlarmsTopic, says how to treat missing data, and has an entry in the runbook."""
    entries = set(re.findall(r"^## (\w+)", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))
    for name, alarm in deployed.of("AWS::CloudWatch::Alarm").items():
        if alarm.get("AlarmActions") != [ALARMS_TOPIC]:
            yield f"{name} does not notify AlarmsTopic"
        if alarm.get("ActionsEnabled") is False:
            yield f"{name} notifies nobody, because its actions are disabled"
        if "TreatMissingData" not in alarm:
            yield f"{name} does not say how to treat missing data"
        if name not in entries:
            yield f"{name} has no entry in docs/runbook.md"


def every_own_metric_is_written_by_somebody(deployed: Deployed) -> Iterator[str]:
    """A custom metric of an alarm is written by the code of a function with that service name."""
    written = _words_of_the_code()
    functions = deployed.of("AWS::Lambda::Function").values()
    services = [
        {"Name": "service", "Value": variables_of(function).get("POWERTOOLS_SERVICE_NAME")} for function in functions
    ]
    for name, alarm in deployed.of("AWS::CloudWatch::Alarm").items():
        if alarm.get("Namespace") == {"Ref": "AWS::StackName"}:
            if alarm["MetricName"] not in written:
                yield f"{name} is on the metric {alarm['MetricName']}, which no code writes"
            if any(dimension not in services for dimension in alarm["Dimensions"]):
                yield f"{name} is on a service that no function has"


@cache
def _words_of_the_code() -> set[str]:
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    return {word for source in sources for word in re.findall(r'"(\w+)"', source.read_text())}


def only_functions_with_sql_are_in_the_vpc(deployed: Deployed) -> Iterator[str]:
    """A function is in the VPC if it uses the database, and then it waits for the schema."""
    for name, function in deployed.of("AWS::Lambda::Function").items():
        uses_database, migrates = deployed.uses_database(function), deployed.migrates(function)
        if ("VpcConfig" in function) != (uses_database or migrates):
            where = "in" if "VpcConfig" in function else "outside"
            yield f"{name} is {where} the VPC, which does not match its use of the database"
        if uses_database and "Schema" not in as_list(deployed.resources[name].get("DependsOn", [])):
            yield f"{name} uses the database, and does not depend on Schema"


def only_functions_with_sql_know_the_database(deployed: Deployed) -> Iterator[str]:
    """A function has the database settings only if it uses the database, because they make it wait for the proxy."""
    for name, function in deployed.of("AWS::Lambda::Function").items():
        told = DATABASE_SETTINGS & variables_of(function).keys()
        if deployed.uses_database(function) and told != DATABASE_SETTINGS:
            yield f"{name} uses the database, and has no {', '.join(sorted(DATABASE_SETTINGS - told))}"
        elif told and not deployed.uses_database(function) and not deployed.migrates(function):
            yield f"{name} does not use the database, and has {', '.join(sorted(told))}"


def the_newest_migration_wakes_the_migrator(deployed: Deployed) -> Iterator[str]:
    """The custom resource names the newest migration, because CloudFormation runs it only if a property changes."""
    newest = max(path.name for path in (ROOT / "layers/trading/trading/core/migrations").glob("*.sql"))
    named = {each.get("NewestMigration") for each in deployed.of("Custom::SchemaMigration").values()}
    if named != {newest}:
        yield f"Schema names {named} as its NewestMigration, and the newest is {newest}"


def what_could_fail_everywhere_fails_in_the_migrator(deployed: Deployed) -> Iterator[str]:
    """A change of database or architecture also invokes the migrator, so a mismatch fails the deployment."""
    for name, schema in deployed.of("Custom::SchemaMigration").items():
        if schema.get("Architecture") != {"Ref": "Architecture"}:
            yield f"{name} does not depend on the architecture"
        if not deployed.among(schema.get("Database"), "AWS::RDS::DBInstance"):
            yield f"{name} does not depend on the database"


def everything_is_encrypted(deployed: Deployed) -> Iterator[str]:
    """Stored data is encrypted at rest."""
    for kind, settings in ENCRYPTION.items():
        for name, resource in deployed.of(kind).items():
            if not any(resource.get(each) for each in settings) and "DBClusterIdentifier" not in resource:
                yield f"{name} is not encrypted"


def every_bucket_is_private(deployed: Deployed) -> Iterator[str]:
    """A bucket cannot become public, and refuses requests without TLS."""
    policies = deployed.of("AWS::S3::BucketPolicy").values()
    for name, bucket in deployed.of("AWS::S3::Bucket").items():
        if bucket.get("PublicAccessBlockConfiguration") != dict.fromkeys(PUBLIC_ACCESS, True):
            yield f"{name} may become public"
        if not any(name in names_in(each["Bucket"]) and "aws:SecureTransport" in json.dumps(each) for each in policies):
            yield f"{name} accepts requests without TLS"


def what_cannot_be_made_again_is_kept(deployed: Deployed) -> Iterator[str]:
    """Databases and buckets outlive their stack, databases have backups, and buckets delete no current objects."""
    for kind, kept in KEPT.items():
        for name in deployed.of(kind):
            resource = deployed.resources[name]
            if "DBClusterIdentifier" in resource["Properties"]:
                continue  # the cluster has the data
            if not {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} <= kept:
                yield f"{name} is deleted with its stack, or when it is replaced"
            if "S3" not in kind and not resource["Properties"].get("BackupRetentionPeriod"):
                yield f"{name} has no backups"
    for name, bucket in deployed.of("AWS::S3::Bucket").items():
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", []):
            if {"ExpirationInDays", "ExpirationDate"} & rule.keys():
                yield f"{name} deletes current objects"


def nobody_signs_in_carelessly(deployed: Deployed) -> Iterator[str]:
    """Self sign-up is disabled; tokens are not put into URLs, and are valid for an hour."""
    for name, pool in deployed.of("AWS::Cognito::UserPool").items():
        if pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly") is not True:
            yield f"{name} allows self sign-up"
    for name, client in deployed.of("AWS::Cognito::UserPoolClient").items():
        if "implicit" in client["AllowedOAuthFlows"]:
            yield f"{name} puts tokens into URLs"
        if (client.get("AccessTokenValidity"), client.get("TokenValidityUnits", {}).get("AccessToken")) != (1, "hours"):
            yield f"{name} issues tokens that are not valid for exactly an hour"


def cloudfront_passes_on_and_protects(deployed: Deployed) -> Iterator[str]:
    """CloudFront does not cache API responses, and sends Strict-Transport-Security."""
    for name, distribution in deployed.of("AWS::CloudFront::Distribution").items():
        config = distribution["DistributionConfig"]
        apis = {each["Id"] for each in config["Origins"] if "CustomOriginConfig" in each}
        for behavior in [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", [])]:
            if behavior["TargetOriginId"] in apis and behavior.get("CachePolicyId") != CACHING_DISABLED:
                yield f"{name} caches API responses"
            if "ResponseHeadersPolicyId" not in behavior:
                yield f"{name} sends {behavior.get('PathPattern', 'the page')} without security headers"
    for name, policy in deployed.of("AWS::CloudFront::ResponseHeadersPolicy").items():
        if "StrictTransportSecurity" not in policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]:
            yield f"{name} has no Strict-Transport-Security"


def the_database_is_private(deployed: Deployed) -> Iterator[str]:
    """A database has no public address and requires TLS, and its proxy requires IAM tokens."""
    for name, instance in deployed.of("AWS::RDS::DBInstance").items():
        if instance.get("PubliclyAccessible") is not False:
            yield f"{name} is public"
    for name, proxy in deployed.of("AWS::RDS::DBProxy").items():
        if not proxy.get("RequireTLS") or proxy.get("DefaultAuthScheme") != "IAM_AUTH":
            yield f"{name} does not require TLS and IAM tokens"
    for kind in ("AWS::RDS::DBParameterGroup", "AWS::RDS::DBClusterParameterGroup"):
        for name, group in deployed.of(kind).items():
            if group["Parameters"].get("rds.force_ssl") != "1":
                yield f"{name} does not require TLS"


def no_name_is_taken_twice(deployed: Deployed) -> Iterator[str]:
    """Names are generated by CloudFormation, so that a second stack is possible."""
    for kind, setting in NAMES.items():
        for name, resource in deployed.of(kind).items():
            if isinstance(resource.get(setting), str):
                yield f"{name} has the fixed name {resource[setting]}"


RULES = (
    every_queue_is_watched,
    every_message_stays_hidden_long_enough,
    every_function_stands_on_its_own,
    every_log_ends,
    every_route_can_be_created,
    every_route_wants_a_token,
    what_no_route_matches_reaches_no_rights,
    every_scope_can_be_had,
    every_api_is_throttled_and_logged,
    every_schedule_and_rule_has_a_dead_letter_target,
    every_failure_that_nobody_waits_for_is_heard,
    every_alarm_is_heard_and_explained,
    every_own_metric_is_written_by_somebody,
    rules_of_access.nobody_is_let_in_without_a_source,
    rules_of_access.every_role_is_a_services,
    rules_of_access.no_role_may_do_everything,
    rules_of_access.no_role_has_a_wide_policy_of_aws,
    rules_of_access.groups_let_in_groups,
    *rules_at_rest.RULES,
    rules_of_code.code_and_template_agree_on_time,
    rules_of_code.every_function_has_the_layers_that_it_imports,
    rules_of_code.every_function_is_told_what_it_asks_for,
    rules_of_code.nothing_of_the_laptop_is_deployed,
    rules_of_code.every_clock_runs_in_utc_and_in_order,
    rules_of_code.nothing_that_wakes_functions_is_switched_off,
    rules_of_code.every_dashboard_is_json,
    rules_of_code.the_laptop_knows_all_of_it,
    only_functions_with_sql_are_in_the_vpc,
    only_functions_with_sql_know_the_database,
    the_newest_migration_wakes_the_migrator,
    what_could_fail_everywhere_fails_in_the_migrator,
    everything_is_encrypted,
    every_bucket_is_private,
    what_cannot_be_made_again_is_kept,
    nobody_signs_in_carelessly,
    cloudfront_passes_on_and_protects,
    the_database_is_private,
    no_name_is_taken_twice,
)


def variants(transformed: Mapping[str, Any]) -> Iterator[Deployed]:
    """Return what a transformed template deploys in each environment, with each kind of database."""
    for parameters in environments().values():
        for database in DATABASES:
            yield Deployed(conditions.resolved(transformed, {**parameters, "DatabaseClass": database}))


def complaints(transformed: Mapping[str, Any]) -> Iterator[str]:
    """Return the violations of the rules in each variant of a transformed template."""
    return (complaint for deployed in variants(transformed) for rule in RULES for complaint in rule(deployed))


def main() -> int:
    """Print the violations of the rules in template.yaml, and return 1 if there are any."""
    found = dict.fromkeys(complaints(template.transformed()))
    for complaint in found:
        print(complaint, file=sys.stderr)
    print(f"{len(RULES)} custom rules: {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
