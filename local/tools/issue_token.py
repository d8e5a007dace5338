"""`python -m local.tools.issue_token SCOPE...`: a token for the laptop's API when it runs with AUTH=on."""

import argparse

from local.host import authorizer, template
from local.host.template import ROOT


def main() -> None:
    """Print a token for the scopes that are named, or for all that there are."""
    parser = argparse.ArgumentParser(
        prog="python -m local.tools.issue_token", description="Print a token for this API."
    )
    parser.add_argument("scopes", nargs="*", metavar="SCOPE", help="such as trades:read trades:write; none: all")
    parser.add_argument("--subject", default="local", help="who is calling: recorded_by of the trades")
    parser.add_argument("--minutes", type=float, default=authorizer.TOKEN_SECONDS / 60, help="how long it holds")
    given = parser.parse_args()
    scopes = given.scopes or template.read(template.transformed()).scopes
    print(authorizer.of_this_laptop(ROOT / ".local").token(given.subject, scopes, given.minutes * 60))


if __name__ == "__main__":
    main()
