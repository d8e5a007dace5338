"""`make start` in a checkout of its own, to be watched, killed and started again."""

import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil

from local.host.system import LOOPBACK, free_port
from local.tools.checkout import copied

START_SECONDS = 60
NEXT = re.compile('<([^>]+)>; rel="next"')


class System:
    """`python -m local` in a checkout of its own, which is started again when it is killed."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._console = checkout / "console.txt"
        self.port = free_port(0, [LOOPBACK])
        self.said = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local"],
                cwd=self._checkout,
                env={"PATH": "/usr/bin:/bin", "PORT": str(self.port), "PYTHONUNBUFFERED": "1"},
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while self.ask("GET", "/api/health")[0] != "200":
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not start: {self._console.read_text()}")
            time.sleep(0.1)

    def kill(self, part: str, chance: random.Random) -> bool:
        """Kill one process of a part, or the whole system if none is named, and return whether there was one."""
        assert self._process is not None
        host = psutil.Process(self._process.pid)
        victims = [host] if not part else children(host, part)
        if not victims:
            return False
        chance.choice(victims).kill()
        if not part:
            self._process.wait()
        return True

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)
        self._process = None
        self.said = self._console.read_text()

    def environment(self) -> dict[str, str]:
        """Return where its parts are."""
        lines = (self._checkout / ".local" / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[str, Any, str | None]:
        """Return the status of an answer, in a word or two, its JSON and its next page; `none` where there is none."""
        with closing(HTTPConnection(LOOPBACK, self.port, timeout=30)) as connection, suppress(OSError, HTTPException):
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.load(response)
            status = f"{response.status} with Retry-After" if response.headers["Retry-After"] else str(response.status)
            link = NEXT.match(response.headers["Link"] or "")
            return status, answer, link[1] if link else None
        return "none", None, None

    def processes(self) -> dict[str, psutil.Process]:
        """Return its processes, by what they do and their ids."""
        assert self._process is not None
        found = {}
        host = psutil.Process(self._process.pid)
        for process in (host, *host.children(recursive=True)):
            with suppress(psutil.Error):
                found[f"{_work(process)} {process.pid}"] = process
        return found


def children(host: psutil.Process, part: str) -> list[psutil.Process]:
    """Return the processes below a system's that have `part` in their command lines."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in host.children(recursive=True):
            with suppress(psutil.Error):
                if part in " ".join(child.cmdline()):
                    found.append(child)
    return found


def _work(process: psutil.Process) -> str:
    command = process.cmdline()
    if "local.host.aws_server" in command:
        return "AWS's services"
    if any("runtime.py" in word for word in command):
        return Path(process.cwd()).name  # a function's folder; the checkout, of the process that they are forked from
    return " ".join(command[0].split()[:2]).rpartition("/")[2] if "postgres" in command[0] else "local"


@contextmanager
def installed() -> Iterator[System]:
    """A system in a copy of what it needs of this checkout, which is stopped and removed with all that it leaves."""
    folder = Path(tempfile.mkdtemp(prefix="trading-fire-"))
    folder.chmod(0o755)
    with copied(folder):
        system = System(folder)
        try:
            yield system
        finally:
            system.stop()
