"""The process that a function runs in: it imports the handler as Lambda does and answers one event after another.

It writes a line when it is ready. Then events come as lines of JSON on standard input, and answers go as lines of JSON
to what was standard output; whatever the function prints goes to standard error, which is its log. The process ends
when its input does.
"""

import importlib
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWER_LIMIT = 6_291_556  # bytes of JSON: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


class ResponseSizeTooLargeError(Exception):
    """A handler answered with more than Lambda hands on."""


@dataclass
class Context:
    """What Lambda tells a handler about its invocation."""

    function_name: str
    memory_limit_in_mb: int
    aws_request_id: str
    deadline: float  # seconds since the epoch
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        """The function's name as AWS writes it in full."""
        return f"arn:aws:lambda:{os.environ['AWS_DEFAULT_REGION']}:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run, in milliseconds."""
        return max(0, int((self.deadline - time.time()) * 1_000))


def main() -> None:
    """Answer events until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    sys.path.remove(str(Path(__file__).resolve().parent))  # a function does not see the laptop's modules
    module, name = os.environ["_HANDLER"].rsplit(".", 1)
    handler = getattr(importlib.import_module(module), name)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(_answer(handler, json.loads(line)), file=answers, flush=True)


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
    main()
