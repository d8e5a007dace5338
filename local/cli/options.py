"""What several commands have in common: options, and the shape of their examples."""

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines that can be typed as they stand."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
