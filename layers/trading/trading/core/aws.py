"""Clients of AWS's services: made at first use, kept, and never waited for long."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient

    from trading.core.signed_http import SignedHttp


@cache
def sqs(queue_url: str, seconds: float) -> "SignedHttp":
    """Return SQS where a queue is. A call takes at most so many seconds: who calls has the outbox behind it."""
    from trading.core.signed_http import SignedHttp  # noqa: PLC0415 - a quarter of a cold start: paid where it is used

    url = os.environ.get("AWS_ENDPOINT_URL") or "://".join(urlsplit(queue_url)[:2])
    return SignedHttp("sqs", url.rstrip("/"), connect_seconds=0.3 * seconds, read_seconds=0.7 * seconds)


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
def sockets(url: str) -> "SignedHttp":
    """Return where sockets are posted to: a post takes two seconds at most."""
    from trading.core.signed_http import SignedHttp  # noqa: PLC0415 - as above

    return SignedHttp("execute-api", url, connect_seconds=1, read_seconds=1)


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


def _client(service: str, *, attempts: int = 1, **limits: Any) -> Any:
    import boto3  # noqa: PLC0415 - a third of a cold start: paid where it is used
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(service, config=Config(retries=retries, **limits))
