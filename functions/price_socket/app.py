"""The price socket: connects, messages and disconnects."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.streaming import connections
from trading.streaming.connections import TooManyConnectionsError

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an event of API Gateway's WebSocket API; the response body is sent to the client."""
    connection_id = event["requestContext"]["connectionId"]
    match event["requestContext"]["routeKey"]:
        case "$connect":
            return {"statusCode": _connect(connection_id, event.get("queryStringParameters") or {})}
        case "$disconnect":
            connections.forget(connection_id)
            return {"statusCode": 200}
        case _:
            return {"statusCode": 200, "body": connections.answer(connection_id, event.get("body") or "")}


def _connect(connection_id: str, parameters: dict[str, str]) -> int:
    subject = connections.redeem_ticket(parameters.get("ticket", ""))
    if subject is None:
        logger.info("refused", connection_id=connection_id)
        return 401
    try:
        connections.remember(connection_id, subject)
    except TooManyConnectionsError:
        logger.warning("too many connections", connection_id=connection_id, subject=subject)
        return 429
    logger.info("connected", connection_id=connection_id, subject=subject)
    return 200
