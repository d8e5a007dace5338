"""Clients of AWS services: created at first use, cached, and with short timeouts."""

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
    """Return a client for a queue's SQS. A call takes at most so many seconds: the outbox covers a failure."""
    from trading.core.signed_http import SignedHttp  # noqa: PLC0415 - a quarter of a cold start: only where it is used

    url = os.environ.get("AWS_ENDPOINT_URL") or "://".join(urlsplit(queue_url)[:2])
    return SignedHttp("sqs", url.rstrip("/"), connect_seconds=0.3 * seconds, read_seconds=0.7 * seconds)


@cache
def sns() -> "SNSClient":
    """Return a client whose calls take at most four seconds and are not retried: the first may have been published."""
    client: SNSClient = _client("sns", connect_timeout=1, read_timeout=3)
    return client


@cache
def s3() -> "S3Client":
    """Return a client that reads and writes objects, with up to three attempts."""
    client: S3Client = _client("s3", connect_timeout=3, read_timeout=30, attempts=3)
    return client


@cache
def dynamodb() -> "DynamoDBClient":
    """Return a client whose calls take at most a second, with up to three attempts: they are all small."""
    client: DynamoDBClient = _client("dynamodb", connect_timeout=1, read_timeout=1, attempts=3)
    return client


@cache
def sockets(url: str) -> "SignedHttp":
    """Return a client that posts to sockets; a post takes at most two seconds."""
    from trading.core.signed_http import SignedHttp  # noqa: PLC0415 - as above

    return SignedHttp("execute-api", url, connect_seconds=1, read_seconds=1)


@cache
def events() -> "EventBridgeClient":
    """Return a client whose calls take at most three seconds, with two attempts: duplicate events are harmless."""
    client: EventBridgeClient = _client("events", connect_timeout=1, read_timeout=2, attempts=2)
    return client


@cache
def secrets() -> "SecretsManagerClient":
    """Return a client that reads secrets, with up to three attempts."""
    client: SecretsManagerClient = _client("secretsmanager", connect_timeout=3, read_timeout=5, attempts=3)
    return client


def _client(service: str, *, attempts: int = 1, **limits: Any) -> Any:
    import boto3  # noqa: PLC0415 - a third of a cold start: only where it is used
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(service, config=Config(retries=retries, **limits))
