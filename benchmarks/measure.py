"""What every benchmark measures with: handlers in processes, rounds that take turns, ratios, a table.

The machine's noise hits whoever runs at the moment. So contenders take turns in short rounds, and what counts is the
median over the rounds of the ratio within a round, not a ratio of two figures that were taken at different times.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

ROOT = Path(__file__).parents[1]
OURS = ROOT / ".venv" / "bin" / "python"
PEERS = ROOT / ".venv-peers" / "bin" / "python"


_most_rounds = 1_000


class HandlerError(Exception):
    """A handler answered something else than it was measured for, or its process ended."""


@dataclass(frozen=True)
class Figure:
    """A line of the table; without a target it is there to be known."""

    name: str
    value: str
    target: str = "-"
    met: bool | None = None


@dataclass(frozen=True)
class Rounds:
    """What contenders took, each by its name: the median of each round, in seconds."""

    seconds: Mapping[str, Sequence[float]]

    def at_most(self, name: str, limit: float | None, one: str, other: str) -> Figure:
        """Return the line of a contender that may take so many times as long as another; without a limit, any."""
        ratio = self._ratio(one, other)
        value = self._wording(ratio, one, other)
        return Figure(name, value) if limit is None else Figure(name, value, f"<= {limit} x", ratio <= limit)

    def times_as_fast(self, name: str, limit: float | None, one: str, other: str) -> Figure:
        """Return the line of a contender that shall be so many times as fast as another; without a limit, any."""
        ratio = self._ratio(other, one)
        value = self._wording(ratio, one, other)
        return Figure(name, value) if limit is None else Figure(name, value, f">= {limit} x as fast", ratio >= limit)

    def _ratio(self, one: str, other: str) -> float:
        return median(mine / theirs for mine, theirs in zip(self.seconds[one], self.seconds[other], strict=True))

    def _wording(self, ratio: float, one: str, other: str) -> str:
        return f"{ratio:.2f} x ({_milliseconds(self.seconds[one])} against {_milliseconds(self.seconds[other])})"


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

    def call(self, event: Mapping[str, Any], times: int, status: int) -> list[float]:
        """Return the seconds that each of some calls took, all of which must answer `status`."""
        answer = self._ask({"event": event, "calls": times, "status": status})
        if answer["wrong"]:
            raise HandlerError(f"{self._name} should answer {status}, and answered {answer['wrong']}")
        seconds: list[float] = answer["seconds"]
        return seconds

    def peak_bytes(self) -> int:
        """Return the most memory that the process has had so far."""
        peak: int = self._ask({"event": None, "calls": 0})["peak_bytes"]
        return peak

    def processor_seconds(self) -> float:
        """Return the time that the process has had a processor so far, or several, each counted."""
        seconds: float = self._ask({"event": None, "calls": 0})["processor_seconds"]
        return seconds

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
) -> list[float]:
    """Return the seconds from the start of a new interpreter to a handler's first answer."""
    started = time.perf_counter()
    with Handler(name, environment, python) as handler:
        handler.call(event, 1, status)
        return [time.perf_counter() - started]


def be_brief() -> None:
    """Measure in few rounds from now on: for a look, not for a figure."""
    global _most_rounds  # noqa: PLW0603 - of the whole run
    _most_rounds = 3


def rounds(wanted: int) -> int:
    """Return how many rounds to measure, of those that a part wants."""
    return min(wanted, _most_rounds)


def take_turns(number_of_rounds: int, **contenders: Callable[[], Sequence[float]]) -> Rounds:
    """Let contenders measure themselves in rounds, each of which begins with another one."""
    names = list(contenders)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds(number_of_rounds)):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(median(contenders[name]()))
    return Rounds(taken)


def megabytes(size: float) -> str:
    """Return bytes as text in megabytes."""
    return f"{size / 1e6:.2f} MB"


def say(text: str) -> None:
    """Tell whoever waits what is being done, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as the markdown table that `docs/benchmarks.md` has of them."""
    verdicts = {True: "met", False: "**missed**", None: "-"}
    rows = ((figure.name, figure.value, figure.target, verdicts[figure.met]) for figure in figures)
    lines = ["| what | figure | target | |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1_000:.2f} ms"
