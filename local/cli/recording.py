"""`trading buy` and `trading sell`: record a trade idempotently."""

import json
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import click

from local.cli.client import Client, ProblemError, url_option
from local.cli.options import as_json, examples, print_json
from local.cli.trade_options import body_of, command_line, described, recording_command, trade_options

HELP = """Record a {noun} of QUANTITY shares of TICKER at PRICE each.

Without --at, its time is now. Each trade has a client trade ID (an idempotency key), generated unless given. If there
is no response, the error shows a command that retries with the same ID, so that the trade is recorded only once."""


def command_of(side: Literal["BUY", "SELL"], noun: str, *lines: str) -> click.Command:
    """Return the command that records trades of this side; `lines` are its examples."""

    @click.command(help=HELP.format(noun=noun), epilog=examples(*lines))
    @click.argument("ticker")
    @click.argument("quantity")
    @click.argument("price")
    @trade_options
    @click.option("--client-trade-id", metavar="ID", help="Idempotency key: the trade is recorded only once.")
    @url_option
    @as_json
    def command(*, url: str | None, as_json: bool, **fields: Any) -> None:
        _record(Client(url, "trades:write"), {"side": side, **body_of(fields)}, as_json=as_json)

    return command


def _record(api: Client, trade: dict[str, Any], *, as_json: bool) -> None:
    trade.setdefault("timestamp", datetime.now(UTC).isoformat().replace("+00:00", "Z"))
    trade.setdefault("client_trade_id", str(uuid.uuid4()))
    try:
        answer = api.call("POST", "/api/trades", json.dumps(trade).encode())
    except ProblemError as problem:
        if problem.status is None or problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            again = f"To try again without recording the trade twice:\n  {recording_command(trade)}"
            raise ProblemError(f"{problem.message}\n{again}", problem.status) from None
        raise
    recorded, is_new = answer.body, answer.status == HTTPStatus.CREATED
    if as_json:
        print_json(recorded)
    elif is_new:
        click.echo(f"Recorded trade {recorded['id']}: {described(recorded)}.")
        void = command_line("void", recorded["id"], "--reason", "entered by mistake")
        click.echo(f"To undo: {void}")
    if not is_new:
        already = f"Nothing new: this was already recorded as trade {recorded['id']}: {described(recorded)}."
        click.echo(already, err=as_json)
