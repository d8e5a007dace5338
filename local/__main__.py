"""`python -m local`, or `make start`: runs the whole system on this machine until Ctrl-C."""

import asyncio
import logging
import os
import re
import secrets
import signal
import sys
import time
from functools import partial

from local.cli import console, feed, feed_server, live_prices
from local.host import authorizer, sign_in, system
from local.host.authorizer import Authorizer
from local.host.aws_services import AwsError
from local.host.postgres import PostgresError
from local.host.template import ROOT

FOLDER = ROOT / ".local"
SIGN_IN = """Sign in to the page with any name and the password {password}.

The API requires a token. Get one for everything, or name the scopes that it should allow:

  TOKEN=$(./trading token trades:read trades:write --subject desk-7)

"""
# The frequent requests of the mock market and an open page, which would drown out everything else.
ROUTINE = re.compile(r"GET +\S+ [23]|POST +/api/prices(/ticket)?/? 2")


async def serve(port: int, door: Authorizer | None) -> None:
    """Run the system and print its addresses, until this process is asked to stop."""
    started = time.perf_counter()
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    print("Starting PostgreSQL and AWS's services…", flush=True)
    options = feed.Options(seed=secrets.token_hex(4))
    for handler in logging.getLogger().handlers:  # the console only; the log is complete
        handler.addFilter(lambda record: not ROUTINE.match(record.getMessage()))
    token = partial(door.token, "market", ["prices:publish"]) if door else lambda: None
    say = logging.getLogger("local.prices").info
    async with (
        system.running(FOLDER, port, door) as running,
        live_prices.published(running.url, options, feed_server.PORT, say, token) as feed_url,
    ):
        invitation = SIGN_IN.format(password=sign_in.password_of(FOLDER)) if door else ""
        header = ' -H "Authorization: Bearer $TOKEN"' if door else ""
        print(
            f"""Ready after {time.perf_counter() - started:.1f} s.

  The page        {running.url}/
  HTTP API        {running.url}/api/trades/     its description: {running.url}/docs
  Price feed      {feed_url}, a mock market; its alerts appear here
  WebSocket API   {running.socket_url}, opened by a ticket of POST {running.url}/api/prices/ticket/
  PostgreSQL      port {running.postgres.port}, data in {running.postgres.folder}
  AWS's services  {running.aws.endpoint}
  Logs            {FOLDER / "logs"}
  Environment     set -a; . .local/environment; set +a

{invitation}Record a trade from another terminal, and its notification appears here:

  curl -i {running.url}/api/trades/ -H 'Content-Type: application/json'{header} \\
    -d '{{"ticker":"MSFT","price":"310.50","quantity":50,"side":"BUY","timestamp":"2025-06-03T12:00:00Z"}}'

Ctrl-C stops everything.
""",
            flush=True,
        )
        await stop.wait()
        print("\nStopping…", flush=True)
    print("Stopped. All recorded data is kept for the next start; `make reset` deletes it.", flush=True)


def main() -> int:
    """Serve on the port in the environment, 8000 by default; AUTH=on requires a token."""
    console.show_all()
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) <= system.LAST_PORT:
        print(f"Cannot start: PORT={port} is not a port number from 1 to 65535.", file=sys.stderr)
        return 1
    try:
        asyncio.run(serve(int(port), authorizer.chosen(FOLDER)))
    except KeyboardInterrupt:  # before anything was started
        return 130
    except (authorizer.UnknownChoiceError, system.StartError, PostgresError, AwsError) as error:
        print(f"Cannot start: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
