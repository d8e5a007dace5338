"""The floor of posting to sockets: the same bytes over connections that are kept, signed once for all."""

import os
import selectors
import socket
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

url = urlsplit(os.environ["SOCKETS_URL"])
kept: list[socket.socket] = []


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Post the event's frame to so many sockets; 200 when all of them take it."""
    frame = event["frame"].encode()
    request = AWSRequest("POST", url.geturl(), data=frame)
    SigV4Auth(Credentials("local", "local"), "execute-api", "eu-west-1").add_auth(request)
    lines = {"Host": url.netloc, "Content-Length": len(frame), **request.headers}
    rest = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + frame
    while len(kept) < event["at_once"]:
        kept.append(socket.create_connection((url.hostname, url.port)))

    paths = iter(
        [f"POST /@connections/{quote(f'{number}=')} HTTP/1.1\r\n".encode() for number in range(event["sockets"])]
    )
    taken = 0
    with selectors.DefaultSelector() as waiting:
        for connection, path in zip(kept, paths, strict=False):
            connection.sendall(path + rest)
            waiting.register(connection, selectors.EVENT_READ, connection)
        while taken < event["sockets"]:
            for key, _ in waiting.select():
                if not key.data.recv(65_536).startswith(b"HTTP/1.1 200"):
                    return {"statusCode": 500}
                taken += 1
                if path := next(paths, b""):
                    key.data.sendall(path + rest)
    return {"statusCode": 200}
