"""No page of another origin can use a port of the laptop; programs, and the laptop's own page, can."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import requests
from aiohttp import ClientSession, WSServerHandshakeError, web
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from local.host import doors, gateway, websocket_gateway
from local.host.aws_services import CREDENTIALS
from local.host.gateway import Gateway
from local.host.page import Page
from local.host.template import SocketRoute
from local.host.websocket_gateway import SocketGateway

HOSTS = doors.own_hosts("172.17.0.1", 8000)
OWN = "127.0.0.1:8000"
PAGES = doors.own_hosts("127.0.0.1", 9000)


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "172.17.0.1:8000",
        "host.docker.internal:8000",
    ],
)
def test_a_program_that_uses_one_of_our_names_may_pass(host: str) -> None:
    assert doors.refusal({"Host": host}, HOSTS) is None


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "evil.example:8000", "localhost", "localhost:8001", "127.0.0.1:80", "127.0.0.2:8000",
        "localhost.evil.example:8000", "127.0.0.1:8000.evil.example", "localhost:8000:8000", "user@localhost:8000",
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused_for_it_may_resolve_to_this_machine(host: str) -> None:
    assert doors.refusal({"Host": host} if host else {}, HOSTS)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "https://evil.example", "http://localhost", "http://localhost:3000", "https://127.0.0.1:8000",
        "http://127.0.0.1:8000.evil.example", "http://127.0.0.1:8000/", "file://",
    ],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert doors.refusal({"Host": OWN, "Origin": origin}, HOSTS)
    assert doors.refusal({"Host": OWN, "Origin": origin, "Sec-Fetch-Site": "same-origin"}, HOSTS, PAGES)


def test_the_servers_own_page_and_those_that_are_named_may_pass() -> None:
    assert (
        doors.refusal({"Host": OWN, "Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, HOSTS) is None
    )
    page = {"Host": OWN, "Origin": "http://127.0.0.1:9000", "Sec-Fetch-Site": "same-site"}
    assert doors.refusal(page, HOSTS, PAGES) is None
    assert doors.refusal(page, HOSTS)


@pytest.mark.parametrize(("site", "passes"), [("none", 1), ("same-origin", 1), ("same-site", 0), ("cross-site", 0)])
def test_what_a_page_loads_without_an_origin_is_known_by_its_site(site: str, passes: int) -> None:
    assert (doors.refusal({"Host": OWN, "Sec-Fetch-Site": site}, HOSTS) is None) == bool(passes)


LINK = {"Host": OWN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_a_link_may_open_the_page_in_a_tab_and_in_nothing_else() -> None:
    assert doors.refusal(LINK, HOSTS, is_visit=True) is None
    assert doors.refusal(LINK, HOSTS)
    assert doors.refusal({**LINK, "Sec-Fetch-Dest": "iframe"}, HOSTS, is_visit=True)
    assert doors.refusal({**LINK, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, HOSTS, is_visit=True)
    assert doors.refusal({**LINK, "Host": "evil.example"}, HOSTS, is_visit=True)


def test_the_port_of_http_need_not_be_said() -> None:
    assert doors.refusal({"Host": "localhost"}, doors.own_hosts("127.0.0.1", 80)) is None


# What a browser sends for a page of another origin, and for one that calls itself by another name.
FOREIGN = [
    {"Host": "evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]


async def serving(application: web.Application, ask: Callable[[str], Awaitable[Any]]) -> Any:
    """Return what somebody hears who asks an application at an address of its own."""
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        return await ask("http://{}:{}".format(*runner.addresses[0][:2]))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/docs", "/api/trades"])
def test_no_other_page_reaches_the_http_api_or_the_page(path: str, headers: dict[str, str]) -> None:
    async def ask(url: str) -> list[int]:
        async with ClientSession() as session:
            statuses = []
            for method, sent in (("GET", headers), ("POST", headers), ("OPTIONS", headers), ("GET", {})):
                async with session.request(method, f"{url}{path}", headers=sent) as answer:
                    assert "Access-Control-Allow-Origin" not in answer.headers
                    statuses.append(answer.status)
            return statuses

    *refused, from_a_program = asyncio.run(serving(gateway.application(Gateway([], {}), Page({})), ask))
    assert refused == [403] * 3
    assert from_a_program != 403


class Doorman:
    """A function that lets every socket in."""

    async def invoke(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"statusCode": 200}


def sockets() -> web.Application:
    routes = [SocketRoute(key, "Doorman", has_response=False) for key in ("$connect", "$disconnect", "$default")]
    functions: Any = {"Doorman": Doorman()}
    return websocket_gateway.application(SocketGateway(routes, functions), 9000)


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_other_page_opens_a_socket_or_posts_to_one(headers: dict[str, str]) -> None:
    async def ask(url: str) -> None:
        async with ClientSession() as session:
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect(url, headers=headers)
            assert refused.value.status == 403
            async with session.post(f"{url}/@connections/x", headers=headers) as answer:
                assert answer.status == 403

    asyncio.run(serving(sockets(), ask))


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:9000"}, {"Origin": "http://localhost:9000"}])
def test_programs_and_our_page_open_sockets(headers: dict[str, str]) -> None:
    async def ask(url: str) -> None:
        async with ClientSession() as session, session.ws_connect(url, headers=headers):
            pass

    asyncio.run(serving(sockets(), ask))


@contextmanager
def moto() -> Iterator[str]:
    """The address of AWS's services behind their door."""
    server = make_server("127.0.0.1", 0, doors.guarded(DomainDispatcherApplication(create_backend_app)), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_other_page_reaches_awss_services_and_boto3_does() -> None:
    with moto() as url:
        sqs = boto3.client(
            "sqs",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        sqs.create_queue(QueueName="kept")
        for headers in [*FOREIGN, {name: value for name, value in LINK.items() if name != "Host"}]:
            for method in ("GET", "POST", "OPTIONS"):
                answer = requests.request(
                    method, f"{url}/?Action=CreateQueue&QueueName=of-another-page", headers=headers, timeout=10
                )
                assert answer.status_code == 403
                assert "Access-Control-Allow-Origin" not in answer.headers
        # The services of other tests in this process are the same ones.
        names = {url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]}
        assert "kept" in names
        assert "of-another-page" not in names
