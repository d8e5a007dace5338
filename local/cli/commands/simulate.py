"""`trading simulate FILE`: what two moving averages would have earned on the prices of a file."""

import click

from local.cli import simulate


# Its options are those of the module, which reads them itself, `--help` too.
@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Try a moving-average strategy on a CSV file of prices."""
    return simulate.main(arguments)
