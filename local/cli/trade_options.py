"""Trades on the command line: the options for their fields, and their description as text or as a command."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import click

OPTIONS = {
    "ticker": "--ticker",
    "side": "--side",
    "quantity": "--quantity",
    "price": "--price",
    "timestamp": "--at",
    "account": "--account",
    "fee": "--fee",
    "currency": "--currency",
    "note": "--note",
    "tags": "--tag",
    "client_trade_id": "--client-trade-id",
}
UNSAID: dict[str, Any] = {"account": "main", "fee": "0", "currency": "USD", "note": None, "tags": []}

type Command = Callable[..., None]


def trade_options(command: Command) -> Command:
    """Add the options that recording and correcting a trade have in common."""
    for option in reversed(
        (
            click.option(
                "--at", "timestamp", metavar="TIMESTAMP", help="Time of the trade, such as 2025-06-03T12:00:00Z."
            ),
            click.option("--account", metavar="NAME"),
            click.option("--fee", metavar="AMOUNT", help="Fee of the trade."),
            click.option("--currency", metavar="CODE", help="Currency of price and fee, such as EUR."),
            click.option("--note", metavar="TEXT"),
            click.option("--tag", "tags", metavar="WORD", multiple=True, help="May be repeated."),
        )
    ):
        command = option(command)
    return command


def body_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request body: the given fields, with the ticker in upper case."""
    given = {name: value for name, value in fields.items() if value not in (None, ())}
    if "ticker" in given:
        given["ticker"] = given["ticker"].upper()
    return given


def described(trade: Mapping[str, Any]) -> str:
    """Return a trade in one line."""
    fee = "" if trade["fee"] == "0" else f", fee {trade['fee']}"
    return (
        f"{trade['side']} {trade['quantity']} {trade['ticker']} at {trade['price']} {trade['currency']}{fee},"
        f" {shown_time(trade['timestamp'])} UTC, account {trade['account']}"
    )


def shown_time(timestamp: str) -> str:
    """Return a timestamp of the API to the second, in a readable form."""
    return timestamp[:19].replace("T", " ")


def recording_command(trade: Mapping[str, Any]) -> str:
    """Return the command that records this trade."""
    options = {
        name: trade[name]
        for name in OPTIONS
        if name not in {"side", "ticker", "quantity", "price"} and name in trade and trade[name] != UNSAID.get(name)
    }
    return command_line(trade["side"].lower(), trade["ticker"], trade["quantity"], trade["price"], **options)


def command_line(*words: object, **fields: Any) -> str:
    """Return a shell command with options for these fields."""
    line = ["./trading", *map(str, words)]
    for name, value in fields.items():
        for each in (value or [""]) if isinstance(value, list | tuple) else [value or ""]:
            line += [OPTIONS[name], str(each)]
    return shlex.join(line)
