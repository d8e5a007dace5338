"""`python -m local.host.reset`, or `make reset`: deletes all data of the local system."""

import shutil
import sys

from local.host.postgres import Postgres, PostgresError
from local.host.system import AWS, POSTGRES, StartError, alone_in
from local.host.template import ROOT

FOLDER = ROOT / ".local"


def main() -> int:
    """Delete the database and the state of the AWS services; refuse while the system runs."""
    FOLDER.mkdir(exist_ok=True)
    try:
        with alone_in(FOLDER):
            postgres = Postgres(FOLDER / POSTGRES, 0)
            postgres.erase()
            print(f"Deleted the database: {postgres.folder}")
            shutil.rmtree(FOLDER / AWS, ignore_errors=True)
            print(f"Deleted the queues, buckets and tables: {FOLDER / AWS}")
    except (StartError, PostgresError) as error:
        print(f"Nothing was deleted: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
