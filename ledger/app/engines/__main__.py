"""`python -m ledger.app.engines` fetches the jars of all engines: a step of the set-up."""

import sys

from ledger.app.engines.jars import ENGINES, fetch, jars_of, version_of
from ledger.app.exits import DONE, CommandFailed


def main() -> int:
    """Fetch what is not there yet."""
    for engine in ENGINES:
        words = f"set-up: fetching {engine} {version_of(engine)} into {jars_of(engine)}"
        try:
            fetch(engine, on_fetch=lambda words=words: print(words, flush=True))  # type: ignore[misc] # noqa: T201
        except CommandFailed as failure:
            print(f"set-up: {failure}", file=sys.stderr)  # noqa: T201 - for whoever called make.
            return failure.code
    return DONE


if __name__ == "__main__":
    sys.exit(main())
