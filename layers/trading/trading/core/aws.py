"""Clients of AWS's services: made at first use, kept, and never waited for long."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


@cache
def sqs(seconds: float) -> "SQSClient":
    """Return a client whose calls take at most so many seconds: who calls has the outbox behind it, and no retry."""
    # Connecting and reading are bounded one by one, and the two together by their sum.
    client: SQSClient = _client("sqs", connect_timeout=0.3 * seconds, read_timeout=0.7 * seconds)
    return client


@cache
def sns() -> "SNSClient":
    """Return a client whose calls take at most four seconds, and are not repeated: the first may have been heard."""
    client: SNSClient = _client("sns", connect_timeout=1, read_timeout=3)
    return client


@cache
def s3() -> "S3Client":
    """Return a client that reads and writes objects, trying each call three times."""
    client: S3Client = _client("s3", connect_timeout=3, read_timeout=30, attempts=3)
    return client


@cache
def dynamodb() -> "DynamoDBClient":
    """Return a client whose calls take a second each, tried three times: what is asked of it is small."""
    client: DynamoDBClient = _client("dynamodb", connect_timeout=1, read_timeout=1, attempts=3)
    return client


@cache
def sockets(url: str) -> "ApiGatewayManagementApiClient":
    """Return a client that posts to sockets, many at a time: each for two seconds at most, and none twice."""
    client: ApiGatewayManagementApiClient = _client(
        "apigatewaymanagementapi", url, connect_timeout=1, read_timeout=1, max_pool_connections=64
    )
    return client


@cache
def events() -> "EventBridgeClient":
    """Return a client whose calls take at most three seconds, tried twice: an event may come twice as well."""
    client: EventBridgeClient = _client("events", connect_timeout=1, read_timeout=2, attempts=2)
    return client


@cache
def secrets() -> "SecretsManagerClient":
    """Return a client that reads secrets, trying each call three times."""
    client: SecretsManagerClient = _client("secretsmanager", connect_timeout=3, read_timeout=5, attempts=3)
    return client


def _client(service: str, url: str | None = None, *, attempts: int = 1, **limits: Any) -> Any:
    import boto3  # noqa: PLC0415 - a third of a cold start: paid where it is used
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(service, endpoint_url=url, config=Config(retries=retries, **limits))
