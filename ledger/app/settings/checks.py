"""What a setting may be: addresses, and how a bad value is said."""

from __future__ import annotations

import ipaddress

from ledger.errors import Refused


def split_address(name: str, address: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets. Raises Refused."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise invalid(
            name, f"`{name}` is `{address}`; it reads host:port, for example 127.0.0.1:50731."
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def invalid(name: str, message: str) -> Refused:
    """Make the error for a setting that cannot be what it is."""
    return Refused(message, reason="SETTING_INVALID", field=name, metadata={"setting": name})
