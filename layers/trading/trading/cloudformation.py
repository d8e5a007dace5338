"""CloudFormation: answering it where it waits for a custom resource.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

ATTEMPTS = 3
TIMEOUT_SECONDS = 10
REASON_LIMIT = 1_000  # characters; the whole answer may have 4 KB


def answer(event: Mapping[str, Any], physical_id: str, failure: str | None = None) -> None:
    """Tell CloudFormation that a request was met, or why not, at the address that came with it.

    Raises:
        OSError, http.client.HTTPException: the address took no answer in three attempts, and CloudFormation waits on.
    """
    body = json.dumps(
        {
            "Status": "FAILED" if failure else "SUCCESS",
            "Reason": (failure or "")[:REASON_LIMIT],
            "PhysicalResourceId": event.get("PhysicalResourceId", physical_id),
            **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
    ).encode()
    # The address is signed for a request without a type.
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except (OSError, HTTPException):  # refused, timed out, hung up, or answered with something else than HTTP
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
