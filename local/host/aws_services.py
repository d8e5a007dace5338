"""Local AWS services: moto's server in a separate process (`aws_server.py`), which can be restarted."""

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.host.template import REGION, ROOT, Expression, System

START_SECONDS = 30
STOP_SECONDS = 5
# moto accepts any credentials.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}
# The name properties of resources; without them moto would generate a new name at each start.
NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}


class AwsError(Exception):
    """The services did not start; the message says why."""


class Aws:
    """The services at an endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def client(self, service: str, **limits: Any) -> Any:
        """Return a boto3 client for a local service."""
        return _client(self.endpoint, service, **limits)


@cache
def _client(endpoint: str, service: str, **limits: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        # No retries: a local service either responds or has stopped.
        config=Config(retries={"total_max_attempts": 1}, **limits),
    )


class AwsServer:
    """A process that serves the state in `folder`; acknowledged changes survive a restart."""

    name = "AWS's services"

    def __init__(self, folder: Path, port: int, addresses: Sequence[str] = ("127.0.0.1",)) -> None:
        self.port = port
        self.log = folder / "server.log"
        self._folder = folder
        self._addresses = addresses
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.RLock()  # a stop waits for a start in progress

    @property
    def services(self) -> Aws:
        """The services, at the first of the addresses."""
        return Aws(f"http://{self._addresses[0]}:{self.port}")

    def declare(self, template: Mapping[str, Any]) -> None:
        """Set the CloudFormation template that the server deploys at its next start."""
        self._make_folder()
        (self._folder / "template.json").write_text(json.dumps(template))

    def start(self) -> dict[str, str]:
        """Start the server, wait until it is ready, and return the values of the template's expressions by key.

        Raises:
            AwsError: it did not start.
        """
        with self._changing:
            self.stop()  # cleans up after a process that ended
            self._make_folder()
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "local.host.aws_server", self._folder, str(self.port), *self._addresses],
                    stdin=subprocess.PIPE,  # the server ends when this process does, in any way
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=ROOT,
                    # The C library would otherwise keep memory for each of several threads. As one request is
                    # processed at a time, the threads gain nothing by it, and the process grows for hours.
                    env={**os.environ, **CREDENTIALS, "MALLOC_ARENA_MAX": "1"},
                    start_new_session=True,  # Ctrl-C must reach only the parent process
                )
            assert self._process.stdout is not None
            readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
            line = self._process.stdout.readline() if readable else b""
            if not line:
                self.stop()
                lines = self.log.read_text(errors="replace").splitlines()
                raise AwsError(f"AWS's services did not start: {lines[-1] if lines else 'no answer'} - see {self.log}")
            outputs: dict[str, str] = json.loads(line)
            return outputs

    def ended(self) -> str | None:
        """Return how the process ended unexpectedly; None while it runs or if it is not meant to."""
        return exit_of(self._process.poll()) if self._process else None

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # private, because its contents are trusted

    @property
    def pid(self) -> int | None:
        """The process id, if it was started."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Stop the server."""
        with self._changing:
            if self._process is None:
                return
            process, self._process = self._process, None
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def exit_of(status: int | None) -> str | None:
    """Return how a process exited, by its signal or status, in words; None while it runs."""
    if status is None:
        return None
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def cloudformation(system: System, expressions: Mapping[str, Expression]) -> dict[str, Any]:
    """Return a CloudFormation template of the services that run locally, with an output for each expression.

    Expressions that are AWS::NoValue have no output.
    """
    return {
        "Parameters": system.parameters,
        "Resources": {name: _named(name, service) for name, service in system.services.items()},
        "Outputs": {
            f"Value{number}": {"Description": key, "Value": value}
            for number, (key, value) in enumerate(expressions.items())
        },
    }


def _named(name: str, service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource with a fixed name, so that it is the same at each start."""
    if service["Type"] not in NAMES:
        return service
    properties = service.get("Properties", {})
    if service["Type"] == "AWS::S3::Bucket":
        given = f"trading-{name}".lower()
    else:
        given = f"{name}.fifo" if properties.get("FifoQueue") else name
    return {**service, "Properties": {NAMES[service["Type"]]: given, **properties}}


@contextmanager
def running(port: int) -> Iterator[Aws]:
    """Run empty AWS services while the block runs."""
    with tempfile.TemporaryDirectory(prefix="trading-aws-") as folder:
        server = AwsServer(Path(folder), port)
        server.start()
        try:
            yield server.services
        finally:
            server.stop()
