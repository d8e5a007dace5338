"""Local AWS services in a separate process: moto's server with the services of the template.

`python -m local.host.aws_server FOLDER PORT ADDRESS…` serves the state in FOLDER on a port of each address, and prints
the values of the template's expressions when it is ready. It ends when its standard input ends. No cleanup is needed:
everything that was acknowledged is in the folder.
"""

import io
import json
import os
import re
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from local.host.aws_state import State, UnreadableStateError, adapt_moto, turn
from local.host.doors import guarded

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

STACK = "trading"
EXPIRY_SECONDS = 60
_READS = re.compile(r"Get|List|Describe|Query|Scan|BatchGet|TransactGet|ReceiveMessage")
# Frequent requests that change only messages and items.
_WRITES = re.compile(
    r"SendMessage|DeleteMessage|ChangeMessageVisibility|Publish|PutEvents|(Put|Update|Delete|BatchWrite|TransactWrite)Item"
)
_SERVICE = re.compile(r"[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")


class Application:
    """moto's application, processing one request at a time, and responding after its changes are stored."""

    def __init__(self, state: State) -> None:
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._state = state

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle a request."""
        body = _body(environ)  # before taking the lock, so that a slow client blocks no others
        environ["wsgi.input"] = io.BytesIO(body)
        with turn:
            parts, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
            try:
                self._keep(environ, body)
            except BaseException:  # noqa: BLE001 - after any error, a change that is not stored must not be acknowledged
                traceback.print_exc()
                os._exit(1)
        start_response(status, list(headers))
        return parts

    def _keep(self, environ: "WSGIEnvironment", body: bytes) -> None:
        service = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", "") + environ.get("QUERY_STRING", ""))
        if service is None or service[1] == "s3":
            path = environ["PATH_INFO"].strip("/")
            changes = environ["REQUEST_METHOD"] not in {"GET", "HEAD"}
            self._state.save(objects=changes, resources=path if changes and "/" not in path else "")
            return
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if not action and (named := _ACTION.search(body)):
            action = named[1].decode()
        if _READS.match(action):
            self._state.save()
        elif _WRITES.match(action):
            self._state.save(items=True)
        else:
            self._state.save(items=True, resources=unquote_plus(body.decode(errors="replace")) or action)


def _body(environ: "WSGIEnvironment") -> bytes:
    length, stream = environ.get("CONTENT_LENGTH"), environ["wsgi.input"]
    if not length and not environ.get("wsgi.input_terminated"):
        return b""
    body: bytes = stream.read(int(length)) if length else stream.read()
    return body


def deploy(template: Mapping[str, Any], region: str) -> dict[str, str]:
    """Create the resources of a template, and return the values of its outputs by their descriptions."""
    # It imports nearly all of moto, which takes two seconds and is not needed at the next start.
    from moto.cloudformation.models import cloudformation_backends  # noqa: PLC0415

    cloudformation = cloudformation_backends[DEFAULT_ACCOUNT_ID][region]
    stack = cloudformation.create_stack(STACK, json.dumps(template), parameters={})
    for resource in template["Resources"].values():
        _complete(resource["Properties"], region)
    return {output["Description"]: output["OutputValue"] for output in stack.outputs or []}


def _complete(properties: Mapping[str, Any], region: str) -> None:
    """Apply settings that moto's CloudFormation ignores."""
    if "EventBridgeConfiguration" in properties.get("NotificationConfiguration", {}):
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_bucket(properties["BucketName"])
        bucket.set_notification_configuration({"EventBridgeConfiguration": {}})
    if "TimeToLiveSpecification" in properties:
        tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][region]
        tables.update_time_to_live(properties["TableName"], properties["TimeToLiveSpecification"])


def main(folder: Path, port: int, *addresses: str) -> None:
    """Serve until standard input ends."""
    region = os.environ["AWS_DEFAULT_REGION"]
    adapt_moto()
    file = sqlite3.connect(folder / "state.sqlite", isolation_level=None, check_same_thread=False)
    state = State(file, region)
    template = folder / "template.json"
    declared = template.read_text() if template.exists() else ""
    # A changed template is deployed and the stored state is added to it; otherwise everything is in the stored state.
    outputs = deploy(json.loads(declared), region) if declared != state.note("template") else None
    try:
        state.restore()
    except UnreadableStateError as error:
        raise SystemExit(f"{folder} cannot be read ({error}): `make reset` deletes it") from None
    if outputs is not None:
        state.write_note("outputs", json.dumps(outputs))
        state.write_note("template", declared)
    application = Application(state)
    for address in addresses:
        server = make_server(address, port, guarded(application), threaded=True, request_handler=_QuietHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=_expire, args=[state], daemon=True).start()
    print(state.note("outputs") or "{}", flush=True)
    sys.stdin.read()
    os._exit(0)


class _QuietHandler(MotoRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Do not log requests."""


def _expire(state: State) -> None:
    while True:
        time.sleep(EXPIRY_SECONDS)
        with turn:
            state.expire_items()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
