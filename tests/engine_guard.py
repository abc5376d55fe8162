"""Ends the engines of a folder when the process that it was started by is gone.

It waits on its standard input, which ends with that process, whatever ended it.
"""

import shutil
import sys
from pathlib import Path

from ledger.app.engines import Cassandra, Kafka


def main() -> None:
    """Wait for the end, and see that nothing is left."""
    folder = Path(sys.argv[1])
    sys.stdin.read()
    if folder.is_dir():
        for cluster in (Kafka(folder), Cassandra(folder)):
            cluster.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
