"""`trading completion SHELL`: the script that completes commands, options and choices."""

import click
from click.shell_completion import get_completion_class

from local.cli.options import examples


@click.command(epilog=examples('eval "$(./trading completion bash)"', "./trading completion fish | source"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in your shell.

    Evaluate it in the shell's startup file. In zsh and fish, `trading` must be on the PATH; a symbolic link is enough.
    """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(ctx.find_root().command, {}, "trading", "_TRADING_COMPLETE").source())
