"""What every benchmark measures with: handlers in processes, rounds that take turns, ratios, a table.

The machine's noise hits whoever runs at the moment. So contenders take turns in short rounds, and what counts is the
median over the rounds of the ratio within a round, not a ratio of two figures that were taken at different times.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

ROOT = Path(__file__).parents[1]
OURS = ROOT / ".venv" / "bin" / "python"
PEERS = ROOT / ".venv-peers" / "bin" / "python"

type Rounds = dict[str, list[float]]


class HandlerError(Exception):
    """A handler answered something else than it was measured for, or its process ended."""


@dataclass(frozen=True)
class Figure:
    """A line of the table; without a target it is there to be known."""

    name: str
    value: str
    target: str = "-"
    met: bool | None = None

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, wording: str, target: str) -> Self:
        """Return the line of a value that meets its target when it is not above `limit`."""
        return cls(name, wording, target, value <= limit)

    @classmethod
    def at_least(cls, name: str, value: float, limit: float, wording: str, target: str) -> Self:
        """Return the line of a value that meets its target when it is not below `limit`."""
        return cls(name, wording, target, value >= limit)


class Handler:
    """A handler in a process of its own, which has nothing of this one's environment."""

    def __init__(self, name: str, environment: Mapping[str, str], python: Path = OURS) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [python, "-P", ROOT / "benchmarks" / "worker.py", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
            start_new_session=True,  # Ctrl-C is for the process that stops this one
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def call(self, event: Mapping[str, Any], times: int = 1, status: int = 200) -> list[float]:
        """Return the seconds that each of some calls took, all of which must answer `status`."""
        answer = self._ask({"event": event, "calls": times})
        if answer["statuses"] != [status]:
            raise HandlerError(f"{self._name} answered {answer['statuses']}, not {status}")
        seconds: list[float] = answer["seconds"]
        return seconds

    def peak_bytes(self) -> int:
        """Return the most memory that the process has had so far."""
        peak: int = self._ask({"event": {}, "calls": 0})["peak_bytes"]
        return peak

    def _ask(self, command: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise HandlerError(f"{self._name} ended")
        return json.loads(line)


def first_answer(
    name: str, environment: Mapping[str, str], event: Mapping[str, Any], status: int, python: Path = OURS
) -> float:
    """Return the seconds from the start of a new interpreter to a handler's first answer."""
    started = time.perf_counter()
    with Handler(name, environment, python) as handler:
        handler.call(event, status=status)
        return time.perf_counter() - started


def take_turns(contenders: Mapping[str, Callable[[], Sequence[float]]], rounds: int) -> Rounds:
    """Return the median of what each contender measured in each round; each round begins with another one."""
    taken: Rounds = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            taken[name].append(median(contenders[name]()))
    return taken


def ratio(taken: Rounds, of: str, to: str) -> float:
    """Return the median over the rounds of how many times `to` one contender took."""
    return median(one / other for one, other in zip(taken[of], taken[to], strict=True))


def milliseconds(seconds: Iterable[float]) -> str:
    """Return the median of seconds, as text in milliseconds."""
    return f"{median(seconds) * 1_000:.2f} ms"


def say(text: str) -> None:
    """Tell whoever waits what is being done, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a markdown table that is readable as it is."""
    verdicts = {True: "met", False: "MISSED", None: "-"}
    rows = [
        ("What", "Figure", "Target", "Verdict"),
        *((figure.name, figure.value, figure.target, verdicts[figure.met]) for figure in figures),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])
