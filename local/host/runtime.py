"""The process that forks the functions' processes, and what these do.

It has imported what functions have in common, so that they share its memory and start sooner. The host asks on standard
input, a socket: with a line of JSON and two descriptors, of a socket and of a log. It is answered with the id of the
process, and told later how that ended. All end when the host does.

A function's process imports the handler as Lambda does, and writes a line when it is ready. Then events come as lines
of JSON on its socket, and answers go back as lines of JSON; whatever the function prints goes to its log.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWER_LIMIT = 6_291_556  # bytes of JSON: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CONNECTION = 3  # the descriptor of a function's socket


class ResponseSizeTooLargeError(Exception):
    """A handler's response is larger than Lambda allows."""


@dataclass
class Context:
    """The context that Lambda passes to a handler."""

    function_name: str
    memory_limit_in_mb: int
    aws_request_id: str
    deadline: float  # seconds since the epoch
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{os.environ['AWS_DEFAULT_REGION']}:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that the handler has left."""
        return max(0, int((self.deadline - time.time()) * 1_000))


def main(modules: list[str]) -> None:
    """Import modules, and fork a process whenever the host asks for one, until the host is gone."""
    sys.path.remove(str(Path(__file__).resolve().parent))  # a function does not see the laptop's modules
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # otherwise garbage collection would copy the shared pages
    host = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        readable, _, _ = select.select([host.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4_096)
            for process, status in _ended():
                _tell(host, {"pid": process, "status": status})
        if host.fileno() in readable:
            line, descriptors, _, _ = socket.recv_fds(host, 65_536, 2)
            if not line:
                return
            while not line.endswith(b"\n"):
                line += host.recv(65_536)  # the rest of a long one
            process = os.fork()
            if not process:
                _become(json.loads(line), *descriptors)
                return
            for descriptor in descriptors:
                os.close(descriptor)
            _tell(host, {"pid": process, "status": None})


def _ended() -> list[tuple[int, int]]:
    """Return the processes that have ended, with their status, which is negative for a signal."""
    found = []
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append((ended[0], os.waitstatus_to_exitcode(ended[1])))
    except ChildProcessError:
        pass  # no process is left
    return found


def _tell(host: socket.socket, what: dict[str, int | None]) -> None:
    host.sendall(json.dumps(what).encode() + b"\n")


def _become(function: dict[str, Any], connection: int, log: int) -> None:
    """Run as a function's process until its socket is closed."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    connection, log = os.dup(connection), os.dup(log)  # beyond those that they are to become
    for descriptor, name in ((nothing, 0), (log, 1), (log, 2), (connection, CONNECTION)):
        os.dup2(descriptor, name, inheritable=name < CONNECTION)
    os.closerange(CONNECTION + 1, 256)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what it printed is there, even if it dies
    os.chdir(function["folder"])
    os.environ.clear()
    os.environ.update(function["environment"])
    sys.path[:0] = function["path"]
    with socket.socket(fileno=CONNECTION) as host, host.makefile("rw", encoding="utf-8") as lines:
        _answer_all(lines)


def _answer_all(lines: Any) -> None:
    module, name = os.environ["_HANDLER"].rsplit(".", 1)
    handler = getattr(importlib.import_module(module), name)
    print("ready", file=lines, flush=True)
    for line in lines:
        print(_answer(handler, json.loads(line)), file=lines, flush=True)


def _answer(handler: Any, invocation: dict[str, Any]) -> str:
    try:
        return f'{{"result": {_result(handler, invocation)}}}'
    except Exception as error:  # noqa: BLE001 - Lambda answers for whatever a handler raises
        traceback.print_exc()
        return json.dumps({"error": {"errorType": type(error).__name__, "errorMessage": str(error)}})


def _result(handler: Any, invocation: dict[str, Any]) -> str:
    result = json.dumps(handler(invocation["event"], Context(**invocation["context"])))
    if len(result) > ANSWER_LIMIT:
        raise ResponseSizeTooLargeError(f"an answer of {len(result):,} bytes, and {ANSWER_LIMIT:,} are the most")
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
