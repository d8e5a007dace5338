"""`trading upload FILE`: uploads a trade file to the running system's bucket, where it is analyzed."""

import json
import os
from datetime import datetime
from pathlib import Path

import click
from botocore.exceptions import BotoCoreError, ClientError

from local.cli.client import environment, find_url
from local.cli.console import printable
from local.cli.options import as_json, examples
from trading.analysis import keys
from trading.core import aws


@click.command(epilog=examples("trading upload events/2024/05/15/trades.csv --date 2024-05-15"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--date", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The date of the trades.")
@as_json
def command(*, file: Path, date: datetime, as_json: bool) -> None:
    """Upload a file of trades to the bucket of the running system, as the trades of a day.

    It replaces the day's existing file and triggers the analysis.
    """
    os.environ.update(environment())
    bucket = os.environ.get("DATA_BUCKET")
    if not bucket:
        raise click.ClickException("No system is running from this checkout. Start one with `make start`.")
    key = keys.trades_key(date.date())
    try:
        with file.open("rb") as body:
            aws.s3().put_object(Bucket=bucket, Key=key, Body=body)
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(f"Cannot write s3://{bucket}/{key}: {printable(str(error))}.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot read {printable(str(file))}: {error.strerror}.") from None
    uploaded = {"object": f"s3://{bucket}/{key}", "analysis": f"{find_url(None)}/api/analyses/{date:%Y-%m-%d}"}
    click.echo(json.dumps(uploaded) if as_json else "\n".join(uploaded.values()))
