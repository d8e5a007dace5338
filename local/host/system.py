"""The whole system on one machine: started in order, and stopped in reverse order."""

import asyncio
import errno
import fcntl
import json
import shlex
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import psutil

from local.host import aws_services, gateway, supervisor, template, triggers, websocket_gateway
from local.host.authorizer import Authorizer
from local.host.aws_services import CREDENTIALS, Aws, AwsError, AwsServer
from local.host.fork_server import ForkServer
from local.host.functions import FunctionError, LocalFunction
from local.host.page import Page, headers
from local.host.postgres import Postgres, PostgresError
from local.host.serving import Server
from local.host.sign_in import SignIn, password_of
from local.host.supervisor import Supervisor
from local.host.template import System

LOOPBACK = "127.0.0.1"
POSTGRES = "postgres"  # the data folders
AWS = "aws"
DATABASE = "trading"
MIGRATOR = "SchemaMigrator"
# If one of these is taken, any free port is used; other programs read it from .local/environment.
# They are below the range of outgoing connections.
POSTGRES_PORT = 15432
AWS_PORT = 14566
SOCKET_PORT = 8001
PORT_TRIES = 3
# A setting that names what is not one of AWS's services here.
SOCKETS_SETTING = "SOCKETS_URL"
LAST_PORT = 65_535

Work = Callable[[], Awaitable[object]]


class Startable[Outcome](Protocol):
    """A part that listens on a port once it is started."""

    port: int

    def start(self) -> Outcome:
        """Start it, and return when it responds."""


class StartError(Exception):
    """The system cannot start; the message says why, and what to do."""


@dataclass(frozen=True)
class RunningSystem:
    """A running system: its addresses and its parts."""

    url: str
    socket_url: str
    aws: Aws
    postgres: Postgres
    functions: Mapping[str, LocalFunction]
    environment: Mapping[str, str]


@asynccontextmanager
async def running(folder: Path, port: int, authorizer: Authorizer | None = None) -> AsyncIterator[RunningSystem]:
    """Run the system that template.yaml declares, its data in `folder` and its HTTP API on `port` (0: any).

    Without an authorizer the door is open: nobody signs in on this machine.

    Raises:
        StartError: another one runs in this folder, the port is taken, or the schema cannot be brought up to date.
        local.host.postgres.PostgresError, local.host.aws_services.AwsError: one of these does not start.
        local.host.template.UnknownResourceError: the template has something that a laptop does not know.
    """
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    addresses = [LOOPBACK, *_docker_bridge()]
    async with AsyncExitStack() as stack:
        # Each poller waits in a thread for most of its time; the loop's own executor has six on a small machine.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
        stack.enter_context(alone_in(folder))
        watch = Supervisor(logs / "host.log")
        stack.enter_context(watch.logging())
        listener = _listen(port)
        stack.callback(listener.close)
        forks = await stack.enter_async_context(ForkServer(logs / "functions.log"))
        postgres = Postgres(folder / POSTGRES, free_port(POSTGRES_PORT, addresses), addresses=addresses)
        stack.callback(postgres.stop)
        aws_server = AwsServer(folder / AWS, free_port(AWS_PORT, addresses), addresses)
        stack.callback(aws_server.stop)
        with ThreadPoolExecutor() as threads:
            database = threads.submit(_start, postgres, addresses)
            system = template.read(template.kept())
            aws_server.declare(aws_services.cloudformation(system, _expressions(system)))
            values = _start(aws_server, addresses)
            _subscribe(system, aws_server.services, values)
            database.result()
        postgres.create_database(DATABASE)

        socket_port = free_port(SOCKET_PORT, addresses)
        sockets = [_listen(socket_port, address) for address in addresses]  # containers post to sockets too
        settings = {
            "DATABASE_URL": postgres.url(DATABASE),
            "AWS_ENDPOINT_URL": aws_server.services.endpoint,
            SOCKETS_SETTING: f"http://{LOOPBACK}:{socket_port}",
            "AUTH_REQUIRED": "false" if authorizer is None else "true",
            "WEBHOOKS_TO_LOOPBACK": "true",  # receivers on this machine
        }
        functions = {
            name: _function(declared, values, settings, logs, forks) for name, declared in system.functions.items()
        }
        for function in functions.values():
            stack.push_async_callback(function.close)
        # What functions are told of AWS's services; their database here is DATABASE_URL's.
        shared = {
            variable: value
            for owner, variable, value in ((*key.split("/"), value) for key, value in values.items())
            if owner in functions and not variable.startswith("DB_")
        }
        served_at = {"TRADING_URL": f"http://{LOOPBACK}:{listener.getsockname()[1]}"}
        stack.enter_context(_environment_files(folder, {**served_at, **CREDENTIALS, **shared, **settings}))

        await _migrate(functions[MIGRATOR])
        page = Page(headers(system.page_headers, f"ws://{LOOPBACK}:{socket_port}"))
        api = gateway.Gateway(system.routes, functions, authorizer)
        sign_in = SignIn(authorizer, password_of(folder), system.scopes) if authorizer else None
        await Server(gateway.application(api, page, sign_in), watch).start(stack, listener)
        socket_gateway = websocket_gateway.SocketGateway(system.socket_routes, functions)
        socket_application = websocket_gateway.application(socket_gateway, listener.getsockname()[1])
        await Server(socket_application, watch).start(stack, *sockets)
        stack.push_async_callback(socket_gateway.close)

        async with asyncio.TaskGroup() as group:
            rotation = partial(supervisor.rotate, logs, aws_server.log.parent, postgres.folder)
            work: list[tuple[str, Work]] = [
                *_triggers(system, aws_server.services, values, functions),
                ("Rotating logs", rotation),
            ]
            tasks = [
                *(group.create_task(watch.keep_running(part)) for part in (postgres, aws_server)),
                *(group.create_task(watch.keep_going(name, each)) for name, each in work),
            ]
            try:
                yield RunningSystem(
                    f"http://{LOOPBACK}:{listener.getsockname()[1]}",
                    f"ws://{LOOPBACK}:{socket_port}",
                    aws_server.services,
                    postgres,
                    functions,
                    {**shared, **settings},
                )
            finally:
                for task in tasks:
                    task.cancel()


async def _migrate(migrator: LocalFunction) -> None:
    try:
        await migrator.invoke({})
    except FunctionError as error:
        raise StartError(f"the database's schema: {error} - see {migrator.log}") from None
    await migrator.close()


def _subscribe(system: System, services: Aws, values: Mapping[str, str]) -> None:
    for number, _ in enumerate(system.subscriptions):
        topic, queue = values[f"subscribed-topic/{number}"], values[f"subscribed-queue/{number}"]
        triggers.subscribe(services, topic, queue)


def _triggers(
    system: System, services: Aws, values: Mapping[str, str], functions: Mapping[str, LocalFunction]
) -> Iterator[tuple[str, Work]]:
    """Yield the tasks that trigger functions, and that show their messages on the console, each with its name."""
    for number, source in enumerate(system.queue_sources):
        function, queue = functions[source.function], values[f"queue/{number}"]
        yield (
            f"The queue of {function.name}",
            partial(triggers.poll_queue, services, queue, function, source.batch_size),
        )
    for number, rule in enumerate(system.event_rules):
        function, queue = functions[rule.function], values[f"events/{number}"]
        name = queue.rpartition(":")[2]  # a function can have several
        yield f"The events of {name}", partial(triggers.hand_over_events, services, queue, function)
    for schedule in system.schedules:
        triggers.next_due(schedule.expression, datetime.now(UTC))  # raises if it is not supported
        work = partial(triggers.follow_clock, schedule, functions[schedule.function])
        yield f"The schedule {schedule.name}", work
    for key, arn in values.items():
        if key.startswith("topic/"):
            yield f"The {key.replace('/', ' ')}", partial(triggers.print_topic, services, arn)


def _function(
    declared: template.Function,
    values: Mapping[str, str],
    settings: Mapping[str, str],
    logs: Path,
    forks: ForkServer,
) -> LocalFunction:
    name = declared.name
    environment = {key: str(values.get(f"{name}/{key}", value)) for key, value in declared.environment.items()}
    return LocalFunction(declared, {**environment, **settings}, logs / f"{name}.log", forks)


def _start[Outcome](part: Startable[Outcome], addresses: Sequence[str]) -> Outcome:
    """Start a part, on another port if its own has been taken in the meantime."""
    for _ in range(PORT_TRIES - 1):
        try:
            return part.start()
        except (PostgresError, AwsError):
            if free_port(part.port, addresses) == part.port:
                raise
            part.port = free_port(0, addresses)
    return part.start()


def _expressions(system: System) -> dict[str, template.Expression]:
    """Return what has to be resolved, by keys that say what it is.

    `Function/VARIABLE` of each environment, `queue/number` of each queue source, `events/number` of each rule's queue,
    `subscribed-topic/number` and `subscribed-queue/number` of each queue that hears a topic, `topic/Name` of each
    topic.
    """
    variables = {
        f"{name}/{key}": value
        for name, function in system.functions.items()
        for key, value in function.environment.items()
        if not isinstance(value, str) and key != SOCKETS_SETTING
    }
    queues = {f"queue/{number}": source.queue for number, source in enumerate(system.queue_sources)}
    events = {f"events/{number}": rule.queue for number, rule in enumerate(system.event_rules)}
    subscriptions = {
        f"subscribed-{end}/{number}": expression
        for number, each in enumerate(system.subscriptions)
        for end, expression in (("topic", each.topic), ("queue", each.queue))
    }
    topics = {
        f"topic/{name}": {"Ref": name}
        for name, service in system.services.items()
        if service["Type"] == "AWS::SNS::Topic"
    }
    return {**variables, **queues, **events, **subscriptions, **topics}


@contextmanager
def _environment_files(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Write the addresses for other programs, for as long as the system runs.

    `environment` is for a shell on this machine, `sam-environment.json` for the containers of `sam local`. Those reach
    it at Docker's bridge, by its address (S3's clients would put a bucket's name before a host's), or else by name.
    """
    bridge = next(iter(_docker_bridge()), "host.docker.internal")
    shell, sam = folder / "environment", folder / "sam-environment.json"
    for file in (shell, sam):
        file.touch(mode=0o600)  # it contains the database's password
    shell.write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in environment.items()))
    inside = {key: value.replace(LOOPBACK, bridge) for key, value in environment.items()}
    sam.write_text(json.dumps({"Parameters": inside}, indent=2))
    try:
        yield
    finally:
        shell.unlink(missing_ok=True)
        sam.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock a folder, so that only one system runs in it.

    Raises:
        StartError: another one does.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                "the system is already running from this folder: use that one, or stop it with Ctrl-C"
            ) from None
        yield


def _listen(port: int, address: str = LOOPBACK) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        what = (
            "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise StartError(
            f"port {port} {what}: choose another, such as PORT={port + 1 if port < LAST_PORT else 8000} make start"
        ) from None
    return listener


def free_port(preferred: int, addresses: Sequence[str]) -> int:
    """Return a port that is free at every address: the preferred one, or any."""
    for port in (preferred, 0):
        with socket.socket() as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                first.bind((addresses[0], port))
                found: int = first.getsockname()[1]
                for address in addresses[1:]:
                    with socket.socket() as other:
                        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        other.bind((address, found))
            except OSError:
                continue
            return found
    raise StartError(f"no port is free on any of {', '.join(addresses)}: try again")


def _docker_bridge() -> list[str]:
    """Return the address at which containers reach this machine, if Docker has created one."""
    addresses = psutil.net_if_addrs().get("docker0", [])
    return [address.address for address in addresses if address.family == socket.AF_INET]
