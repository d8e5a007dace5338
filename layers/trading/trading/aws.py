"""Clients of AWS's services: made at first use, kept, and never waited for long."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# A call costs at most the sum of these two and is not retried: whoever calls has the outbox behind it.
CONNECT_TIMEOUT = 0.2
READ_TIMEOUT = 0.3


@cache
def sqs() -> "SQSClient":
    """Return the SQS client of this process; one call takes at most half a second."""
    import boto3  # noqa: PLC0415 - a third of a cold start: paid where it is used
    from botocore.config import Config  # noqa: PLC0415

    client: SQSClient = boto3.client(
        "sqs",
        config=Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 1}),
    )
    return client


@cache
def sns() -> "SNSClient":
    """Return the SNS client of this process; one call, its one retry included, takes at most eight seconds."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    client: SNSClient = boto3.client(
        "sns", config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2})
    )
    return client
