"""`python -m local.cli`, which the launcher `./trading` runs."""

import sys


def run() -> int:
    """Run the command line, and return its exit code."""
    try:
        from local.cli.main import main  # noqa: PLC0415 - so that Ctrl-C during the import shows no traceback

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
