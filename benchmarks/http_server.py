"""A server in front of a handler: processes that answer HTTP with what the handler answers to an event.

`python -P http_server.py HANDLER PROCESSES` reads events by method, a line of JSON, and writes its port. Each process
answers one request at a time, as a function of Lambda does. It runs in the peers' environment too: so only what comes
with Python. It ends when its input does.
"""

import importlib
import json
import os
import re
import selectors
import signal
import socket
import sys
from typing import Any

from benchmarks.worker import CONTEXT

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def main(name: str, processes: int) -> None:
    """Serve until standard input ends."""
    events = json.loads(sys.stdin.readline())
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setblocking(False)  # noqa: FBT003 - of several that wake for a connection, one gets it
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    children = []
    for _ in range(processes):
        if child := os.fork():
            children.append(child)
        else:
            module, function = name.rsplit(".", 1)
            _serve(listener, events, getattr(importlib.import_module(module), function))
    print(listener.getsockname()[1], file=answers, flush=True)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)


def _serve(listener: socket.socket, events: dict[str, Any], handler: Any) -> None:
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is listener:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(connection, selectors.EVENT_READ)
            elif request := _request(key.fileobj):
                method, body = request
                answer = handler({**events[method], "body": body, "isBase64Encoded": False}, CONTEXT)
                text = answer["body"].encode()
                head = f"HTTP/1.1 {answer['statusCode']} -\r\nContent-Length: {len(text)}\r\n\r\n"
                key.fileobj.sendall(head.encode() + text)  # type: ignore[union-attr]  # a socket
            else:
                ready.unregister(key.fileobj)


def _request(connection: Any) -> tuple[str, str] | None:
    """Return the method and the body of a request, or nothing at the end of a connection."""
    received = b""
    while True:
        more = connection.recv(65_536)
        if not more:
            return None
        received += more
        head, end, body = received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(body) == (int(length[1]) if length else 0):
            return head.split(b" ", 1)[0].decode(), body.decode()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
