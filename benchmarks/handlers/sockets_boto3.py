"""Posting to sockets through boto3's client, the peer of the broadcaster: it is told who is there."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

client = boto3.client(
    "apigatewaymanagementapi", endpoint_url=os.environ["SOCKETS_URL"], config=Config(max_pool_connections=64)
)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Post the event's frame to so many sockets; an error of any is one of all."""
    frame = event["frame"].encode()

    def post(number: int) -> None:
        client.post_to_connection(ConnectionId=f"{number}=", Data=frame)

    with ThreadPoolExecutor(event["at_once"]) as posters:
        list(posters.map(post, range(event["sockets"])))
    return {"statusCode": 200}
