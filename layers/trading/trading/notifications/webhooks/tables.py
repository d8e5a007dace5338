"""Tables: DynamoDB calls with items as plain Python values."""

from collections.abc import Iterator, Mapping
from typing import Any

from trading.core import aws
from trading.core.errors import UnavailableError


class TableUnavailableError(UnavailableError):
    """DynamoDB did not respond, or refused the call."""


class ConditionError(Exception):
    """The condition of a write does not hold."""


def call(action: str, **parameters: Any) -> dict[str, Any]:
    """Call DynamoDB and return the response; `Key`, `Item`, `Values` and the response contain plain values.

    `Values` are the ExpressionAttributeValues.

    Raises:
        ConditionError: the condition does not hold; nothing was written.
        TableUnavailableError: DynamoDB did not respond, or refused the call.
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
        TableUnavailableError: DynamoDB did not respond, or refused the call.
    """
    while True:
        answer = call(action, **parameters)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
