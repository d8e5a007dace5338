"""Clients of AWS's services: made at first use, kept, and never waited for long."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


@cache
def sqs(seconds: float) -> "SQSClient":
    """Return a client whose calls take at most so many seconds: who calls has the outbox behind it, and no retry."""
    import boto3  # noqa: PLC0415 - a third of a cold start: paid where it is used
    from botocore.config import Config  # noqa: PLC0415

    # Connecting and reading are bounded one by one, and the two together by their sum.
    config = Config(connect_timeout=0.3 * seconds, read_timeout=0.7 * seconds, retries={"total_max_attempts": 1})
    client: SQSClient = boto3.client("sqs", config=config)
    return client


@cache
def sns() -> "SNSClient":
    """Return a client whose calls take at most four seconds, and are not repeated: the first may have been heard."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    client: SNSClient = boto3.client(
        "sns", config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    )
    return client


@cache
def s3() -> "S3Client":
    """Return a client that reads and writes objects, trying each call three times."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
    client: S3Client = boto3.client("s3", config=config)
    return client


@cache
def dynamodb() -> "DynamoDBClient":
    """Return a client whose calls take a second each, tried three times: what is asked of it is small."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 3})
    client: DynamoDBClient = boto3.client("dynamodb", config=config)
    return client


@cache
def sockets(url: str) -> "ApiGatewayManagementApiClient":
    """Return a client that posts to sockets, many at a time: each for two seconds at most, and none twice."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}, max_pool_connections=64)
    client: ApiGatewayManagementApiClient = boto3.client("apigatewaymanagementapi", endpoint_url=url, config=config)
    return client


@cache
def secrets() -> "SecretsManagerClient":
    """Return a client that reads secrets, trying each call three times."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    client: SecretsManagerClient = boto3.client("secretsmanager", config=config)
    return client
