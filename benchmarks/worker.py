"""The process in which a handler is measured: it imports the handler as Lambda does, calls it and times it.

Commands are lines of JSON on standard input, and responses are lines of JSON on the original standard output; output of
the handler is discarded. The process ends when its input ends. It also runs in the peers' environment, and its imports
count in a cold start, so it imports only what the interpreter has (nearly) loaded anyway.
"""

import importlib
import json
import os
import resource
import sys
import time
from types import SimpleNamespace
from typing import Any

CONTEXT = SimpleNamespace(
    function_name="benchmark",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:benchmark",
    memory_limit_in_mb=1024,
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 30_000,
)


def main() -> None:
    """Execute commands until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    module, name = sys.argv[1].rsplit(".", 1)
    handler = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        print(json.dumps(_obey(handler, json.loads(line))), file=answers, flush=True)


def _obey(handler: Any, command: dict[str, Any]) -> dict[str, Any]:
    event, seconds, wrong = command["event"], [], None
    for _ in range(command["calls"]):
        started = time.perf_counter()
        answer = handler(event, CONTEXT)
        seconds.append(time.perf_counter() - started)
        if answer["statusCode"] != command["status"]:
            wrong = answer
    return {
        "seconds": seconds,
        "wrong": wrong,
        "peak_bytes": _peak_bytes(),
        "processor_seconds": time.process_time(),
    }


def _peak_bytes() -> int:
    if sys.platform == "linux":  # its ru_maxrss starts with that of the parent process
        with open("/proc/self/status") as status:  # noqa: PTH123 - pathlib would be another import
            return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
