"""The subcommands of `trading`, one to a file."""
