"""AWS's services on a laptop: moto's server, and CloudFormation in it to make what the template declares."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from local.host.template import REGION, Expression, System

if TYPE_CHECKING:
    from collections.abc import Iterator

STACK = "trading"
# moto asks for no more than that there are some.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}


class Aws:
    """The services at an endpoint, and the stack that was made there."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service here."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),  # a service on this machine answers or is gone
        )

    def deploy(self, system: System, expressions: Mapping[str, Expression]) -> dict[str, str]:
        """Make the template's services, and return what its expressions mean there, by the same keys.

        An expression that means nothing (AWS::NoValue) is left out.
        """
        outputs = {f"Value{number}": {"Value": value} for number, value in enumerate(expressions.values())}
        keys = dict(zip(outputs, expressions, strict=True))
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(
                {
                    "Parameters": system.parameters,
                    "Conditions": system.conditions,
                    "Resources": {name: _named(name, service) for name, service in system.services.items()},
                    "Outputs": outputs,
                }
            ),
        )
        for name, service in system.services.items():
            self._finish(name, service)
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return {keys[output["OutputKey"]]: output["OutputValue"] for output in stack["Outputs"]}

    def _finish(self, name: str, service: Mapping[str, Any]) -> None:
        """Do what moto's CloudFormation leaves out: tell a bucket to tell EventBridge."""
        if "EventBridgeConfiguration" in service.get("Properties", {}).get("NotificationConfiguration", {}):
            resource = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=name)
            self.client("s3").put_bucket_notification_configuration(
                Bucket=resource["StackResourceDetail"]["PhysicalResourceId"],
                NotificationConfiguration={"EventBridgeConfiguration": {}},
            )


def _named(name: str, service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource as it is declared; CloudFormation, but not moto's, gives a FIFO queue a name that ends so."""
    if not service.get("Properties", {}).get("FifoQueue"):
        return service
    return {**service, "Properties": {**service["Properties"], "QueueName": f"{name}.fifo"}}


@contextmanager
def running(port: int, addresses: Sequence[str] = ("127.0.0.1",)) -> "Iterator[Aws]":
    """Serve AWS's services on a port of each address; what they hold is in memory and the same at all of them."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto logs every request otherwise
    servers = [ThreadedMotoServer(address, port, verbose=False) for address in addresses]
    for server in servers:
        server.start()
    try:
        yield Aws(f"http://{addresses[0]}:{port}")
    finally:
        for server in servers:
            server.stop()
