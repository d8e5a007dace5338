"""Tables: calls of DynamoDB, whose items are read and written as plain values."""

from collections.abc import Iterator, Mapping
from typing import Any

from trading.core import aws
from trading.core.errors import UnavailableError


class TableUnavailableError(UnavailableError):
    """DynamoDB did not answer, or refused."""


class ConditionError(Exception):
    """The item is not as the condition of a write wants it."""


def call(action: str, **parameters: Any) -> dict[str, Any]:
    """Call DynamoDB and return its answer; `Key`, `Item`, `Values` and what it answers are plain values.

    `Values` are the ExpressionAttributeValues.

    Raises:
        ConditionError: the condition does not hold, and nothing was written.
        TableUnavailableError: it did not answer, or refused.
    """
    client = aws.dynamodb()
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer  # noqa: PLC0415 - loaded with the client
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same

    def written(values: Mapping[str, Any]) -> dict[str, Any]:
        serialize = TypeSerializer().serialize
        return {name: serialize(value) for name, value in values.items()}

    def read(item: Mapping[str, Any]) -> dict[str, Any]:
        deserialize = TypeDeserializer().deserialize
        return {name: deserialize(value) for name, value in item.items()}

    if "Values" in parameters:
        parameters["ExpressionAttributeValues"] = written(parameters.pop("Values"))
    for name in {"Key", "Item", "ExclusiveStartKey"} & parameters.keys():
        parameters[name] = written(parameters[name])
    try:
        answer: dict[str, Any] = getattr(client, action)(**parameters)
    except client.exceptions.ConditionalCheckFailedException:
        raise ConditionError from None
    except (BotoCoreError, ClientError) as error:
        raise TableUnavailableError(str(error)) from error
    for name in {"Item", "Attributes", "LastEvaluatedKey"} & answer.keys():
        answer[name] = read(answer[name])
    if "Items" in answer:
        answer["Items"] = [read(item) for item in answer["Items"]]
    return answer


def every(action: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a query or scan, page by page.

    Raises:
        TableUnavailableError: DynamoDB did not answer, or refused.
    """
    while True:
        answer = call(action, **parameters)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
