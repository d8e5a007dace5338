import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from local.host import functions
from local.host.fork_server import ForkServer
from local.host.functions import FunctionError, LocalFunction
from local.host.template import Function

CODE = """
    import os, resource, signal, sys, time

    ANSWERS = 3  # the first that the process opened

    def handler(event, context):
        print("working")
        match event["do"]:
            case "answer":
                given, home = os.environ.get("GIVEN"), os.environ.get("HOME")
                return {"pid": os.getpid(), "parent": os.getppid(), "variable": given, "home": home}
            case "raise": raise ValueError("on purpose")
            case "sleep": time.sleep(event["seconds"]); return "slept"
            case "die": os._exit(3)
            case "die while answering": os.write(ANSWERS, b'{"result": "ha'); os._exit(3)
            # Lambda ends a process that needs more memory than its function has; allocations may fail before that.
            case "need too much": os.kill(os.getpid(), signal.SIGKILL)
            case "allocate too much":
                resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
                return len(b"x" * 2**30)
            case "babble": os.write(ANSWERS, b"no JSON\\n"); time.sleep(1)
            case "import": import local
            case "time": return context.get_remaining_time_in_millis()
            case "big": return "x" * event["length"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a function's code in it."""
    (tmp_path / "app.py").write_text(dedent(CODE))
    return tmp_path


def run(folder: Path, use: Callable[[LocalFunction], Awaitable[Any]], timeout: float = 10) -> Any:
    @asynccontextmanager
    async def opened() -> AsyncIterator[LocalFunction]:
        declared = Function("Worker", "app.handler", folder, (), timeout, 256, {})
        async with ForkServer(folder / "forks.log", modules=()) as forks:
            function = LocalFunction(declared, {"GIVEN": "value"}, folder / "log", forks)
            yield function
            await function.close()

    async def main() -> Any:
        async with opened() as function:
            return await use(function)

    return asyncio.run(main())


def test_a_function_answers_in_a_process_of_its_own_that_is_kept_and_sees_its_own_environment(folder: Path) -> None:
    async def twice(function: LocalFunction) -> list[Any]:
        return [await function.invoke({"do": "answer"}) for _ in range(2)]

    first, second = run(folder, twice)
    assert first == second == {"pid": first["pid"], "parent": first["parent"], "variable": "value", "home": None}
    assert (folder / "log").read_text() == "working\nworking\n"


def test_events_at_the_same_time_get_processes_of_their_own(folder: Path) -> None:
    async def at_once(function: LocalFunction) -> Any:
        slow = asyncio.create_task(function.invoke({"do": "sleep", "seconds": 1}))
        await asyncio.sleep(0.1)
        answer = await asyncio.wait_for(function.invoke({"do": "answer"}), 0.8)
        await slow
        return answer

    assert run(folder, at_once)["variable"] == "value"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"do": "raise"}, "ValueError: on purpose"),
        ({"do": "die"}, "Worker ended with status 3 before it answered"),
        ({"do": "die while answering"}, "Worker ended with status 3 before it answered"),
        ({"do": "need too much"}, "Worker was ended by signal 9 before it answered"),
        ({"do": "allocate too much"}, "MemoryError"),
        ({"do": "babble"}, "Worker gave an unreadable answer"),
        ({"do": "sleep", "seconds": 30}, "timed out after 1 s"),
        ({"do": "import"}, "ModuleNotFoundError"),
        ({"do": "big", "length": 6_291_555}, "6,291,557 bytes, and 6,291,556 are the most"),
    ],
)
def test_what_goes_wrong_is_said_and_the_next_event_is_answered(folder: Path, event: dict[str, Any], said: str) -> None:
    async def fail(function: LocalFunction) -> Any:
        with pytest.raises(FunctionError, match=said):
            await function.invoke(event)
        return await function.invoke({"do": "answer"})

    assert run(folder, fail, timeout=1)["variable"] == "value"


def test_a_process_that_died_while_it_had_nothing_to_do_is_said_and_replaced_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(functions, "SHORT_LIFE_SECONDS", 0)

    async def outlive(function: LocalFunction) -> list[Any]:
        first = await function.invoke({"do": "answer"})
        os.kill(first["pid"], signal.SIGKILL)
        await asyncio.sleep(0.3)
        return [first["pid"], function.processes, (await function.invoke({"do": "answer"}))["pid"]]

    dead, processes, alive = run(folder, outlive)
    assert dead != alive
    assert processes == [alive]
    assert caplog.messages == [f"A process of Worker was ended by signal 9 - see {folder / 'log'}"]


def test_functions_go_on_after_the_end_of_the_process_of_which_they_are_forked(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def outlive(function: LocalFunction) -> list[int]:
        first = await function.invoke({"do": "answer"})
        asyncio.get_running_loop().call_later(0.2, os.kill, first["parent"], signal.SIGKILL)
        with pytest.raises(FunctionError, match="was ended by signal 9 before it answered"):
            await function.invoke({"do": "sleep", "seconds": 30})
        return [first["pid"], (await function.invoke({"do": "answer"}))["pid"]]

    dead, alive = run(folder, outlive)
    assert dead != alive
    assert caplog.messages == [
        f"The process of which functions are forked was ended by signal 9 - see {folder / 'forks.log'}"
    ]


def test_an_event_that_a_dead_process_did_not_get_is_given_to_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: Any, __: Any) -> None:
        await asyncio.sleep(60)

    async def ask_the_dead(function: LocalFunction) -> Any:
        monkeypatch.setattr(LocalFunction, "_watch", never)  # as if its end were not known yet
        first = await function.invoke({"do": "answer"})
        os.kill(first["pid"], signal.SIGKILL)
        await asyncio.sleep(0.1)
        return await function.invoke({"do": "answer"})

    assert run(folder, ask_the_dead)["variable"] == "value"


def test_a_handler_that_cannot_be_imported_is_said_and_not_tried_for_ever(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "app.py").write_text("import nothing_of_this_name")

    async def warm(function: LocalFunction) -> None:
        await function.warm()
        await asyncio.sleep(0.5)
        assert function.processes == []

    run(folder, warm)
    assert caplog.messages == [f"Worker ended with status 1 before it was ready - see {folder / 'log'}"]
    assert "nothing_of_this_name" in (folder / "log").read_text()


def test_a_function_knows_how_long_it_may_run(folder: Path) -> None:
    assert 1_000 < run(folder, lambda function: function.invoke({"do": "time"}), timeout=2) <= 2_000


def test_an_answer_of_megabytes_arrives_whole(folder: Path) -> None:
    length = 6_291_556 - len('""')
    assert len(run(folder, lambda function: function.invoke({"do": "big", "length": length}))) == length
