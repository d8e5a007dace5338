"""Rules of access: roles, resource policies and the network."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.host.template import Expression
from local.tools.deployed import Deployed, as_list
from local.tools.expressions import written

# The managed policies that SAM attaches to functions: for logs, traces, the network and queues.
# .github/deploy-role.yaml allows no others.
MANAGED_POLICIES = {
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
}
# The conditions that restrict the source of a request, or the owner of its target.
SOURCES = {
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:ResourceAccount",
    "aws:SourceAccount",
    "aws:SourceArn",
}
ENDPOINT = "AWS::EC2::VPCEndpoint"
# The settings with resource policies.
POLICIES = {
    "AWS::EC2::VPCEndpoint": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
}
ADDRESSES = {"CidrIp", "CidrIpv6", "SourcePrefixListId"}
TLS_PORT = 443
NOBODY = "127.0.0.1/32"


def nobody_is_let_in_without_a_source(deployed: Deployed) -> Iterator[str]:
    """A resource that is open to everyone, or to a service that acts for everyone, restricts the source.

    An endpoint may name buckets instead.
    """
    for kind, document in POLICIES.items():
        for name, resource in deployed.of(kind).items():
            for statement in _allowed(resource.get(document, {})):
                is_bounded = bool(_sources(statement)) or (kind == ENDPOINT and _names_buckets(statement))
                if "NotPrincipal" in statement:
                    yield f"{name} is open to all but {statement['NotPrincipal']}"
                elif _is_open(statement.get("Principal")) and not is_bounded:
                    yield f"{name} is open to {written(statement['Principal'])}, without a condition on the source"
    for name, permission in deployed.of("AWS::Lambda::Permission").items():
        if not {"SourceAccount", "SourceArn"} & permission.keys() or permission["Principal"] == "*":
            yield f"{name} is open to {permission['Principal']}, without a condition on the source"


def every_role_is_a_services(deployed: Deployed) -> Iterator[str]:
    """Only AWS services can assume a role."""
    for name, role in deployed.of("AWS::IAM::Role").items():
        for statement in _allowed(role["AssumeRolePolicyDocument"]):
            principal = statement.get("Principal")
            if not isinstance(principal, dict) or principal.keys() != {"Service"}:
                yield f"{name} can be assumed by {written(principal)}"


def no_role_may_do_everything(deployed: Deployed) -> Iterator[str]:
    """A role names the actions that it allows, and the resources of this stack."""
    for name, role in deployed.of("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in _allowed(policy["PolicyDocument"]):
                if "NotAction" in statement or "NotResource" in statement:
                    yield f"{name} allows everything except what a statement names"
                if any("*" in action for action in as_list(statement.get("Action", []))):
                    yield f"{name} allows the wildcard action {statement['Action']}"
                for resource in _resources(statement):
                    if resource == "*":
                        yield f"{name} allows {statement.get('Action')} on all resources"
                    elif not _is_of_this_stack(resource, deployed):
                        yield f"{name} allows {statement.get('Action')} on a resource outside this stack: {resource}"


def no_role_has_a_wide_policy_of_aws(deployed: Deployed) -> Iterator[str]:
    """A role has only the AWS managed policies that SAM attaches."""
    for name, role in deployed.of("AWS::IAM::Role").items():
        for policy in role.get("ManagedPolicyArns", []):
            if policy not in MANAGED_POLICIES:
                yield f"{name} has the AWS managed policy {written(policy)}"


def groups_let_in_groups(deployed: Deployed) -> Iterator[str]:
    """A security group allows ingress from groups only, and egress to addresses over TLS only."""
    for name, rule in _connections(deployed, "Ingress"):
        if ADDRESSES & rule.keys():
            yield f"{name} allows ingress from addresses"
    for name, rule in _connections(deployed, "Egress"):
        is_tls = (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")) == ("tcp", TLS_PORT, TLS_PORT)
        if ADDRESSES & rule.keys() and rule.get("CidrIp") != NOBODY and not is_tls:
            yield f"{name} allows egress to addresses on ports other than {TLS_PORT}"


def _connections(deployed: Deployed, direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from deployed.of(f"AWS::EC2::SecurityGroup{direction}").items()
    for name, group in deployed.of("AWS::EC2::SecurityGroup").items():
        yield from ((name, rule) for rule in group.get(f"SecurityGroup{direction}", []))


def _allowed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in as_list(document.get("Statement", [])) if each["Effect"] == "Allow"]


def _resources(statement: Mapping[str, Any]) -> list[str]:
    return [_text(resource) for resource in as_list(statement.get("Resource", []))]


def _names_buckets(statement: Mapping[str, Any]) -> bool:
    """Whether a statement names complete buckets, not a prefix of their names."""
    return all("/" in each and "*" not in each.partition("/")[0] for each in _resources(statement))


def _text(resource: Expression) -> str:
    """Return an expression as text, with unresolved references in braces."""
    match resource:
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]} | str(text):
            return text
        case _:
            return f"${{{written(resource)}}}"


def _is_of_this_stack(resource: str, deployed: Deployed) -> bool:
    """Whether a name has no wildcard, or a resource of the template before its first wildcard."""
    before, wildcard, _ = resource.partition("*")
    return not wildcard or any(name in deployed.resources for name in re.findall(r"\$\{(\w+)", before))


def _sources(statement: Mapping[str, Any]) -> set[str]:
    return SOURCES & {key for condition in statement.get("Condition", {}).values() for key in condition}


def _is_open(principal: Any) -> bool:
    """Whether a principal is everyone, or a service."""
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return "Service" in principal or any("*" in as_list(each) for each in principal.values())
