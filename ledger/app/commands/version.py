"""`parcel-ledger version`: what is installed."""

from __future__ import annotations

from ledger.app.exits import DONE


def version() -> int:
    """Say which version this is, and those of what it stands on."""
    import platform
    from importlib.metadata import version as version_of

    from ledger.app.commands.screen import answers

    console = answers()
    console.print(f"parcel-ledger {version_of('parcel-ledger')}")
    console.print(
        f"Python {platform.python_version()}",
        *(f"{name} {version_of(name)}" for name in ("grpcio", "protobuf", "rocksdict")),
        sep=", ",
    )
    return DONE
