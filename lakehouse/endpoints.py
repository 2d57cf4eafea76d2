"""Which addresses a config may name: encrypted ones, or this machine; no metadata service."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

# Amazon's metadata service by IPv6: in a range of private networks, not in the link-local one
_METADATA = frozenset({ip_address("fd00:ec2::254")})
_METADATA_NAMES = frozenset(
    {"metadata.google.internal", "instance-data", "instance-data.ec2.internal"}
)
# whose last four bytes are an address of IPv4 that is reached by it: IPv4-compatible ones, NAT64
_AROUND_IPV4 = tuple(map(IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))
_SERVER = re.compile(r"(?P<host>\[[^\]\s]+\]|[^\[\]:/@\s]+):[1-9]\d{0,4}", re.ASCII)


def checked_address(value: str) -> str:
    """The address itself, if a client may be sent there. Looks up no name.

    Raises:
        ValueError: it is no http(s) address, carries a user or password, names a link-local or
            unspecified host or one that is not ASCII, or is not encrypted and leaves this machine.
    """
    try:
        address = urlsplit(value)
        is_complete = bool(address.scheme in ("http", "https") and address.hostname)
        is_complete &= address.port != 0 and not re.search(r"\s", value)
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError("expected an address such as https://HOST:PORT/PATH, or http://HOST:PORT"
                         " on this machine")  # fmt: skip
    if address.username is not None or address.password is not None:
        raise ValueError(
            "an address holds no user and no password: secrets are named, never written"
        )
    host = address.hostname or ""
    _refuse(host)
    if address.scheme != "https" and not _is_here(host):
        raise ValueError("http:// only on this machine: expected https://HOST:PORT/PATH")
    return value


def checked_servers(value: str) -> str:
    """Kafka's first brokers themselves, `HOST:PORT` each and commas between. Looks up no name.

    Raises:
        ValueError: one is no such pair, or names a link-local or unspecified host, or one that is
            not ASCII.
    """
    for host in _hosts_of(value):
        if not host:
            raise ValueError("expected HOST:PORT, and commas between several")
        _refuse(host)
    return value


def are_here(servers: str) -> bool:
    """Whether brokers, as `checked_servers` takes them, are all on this machine."""
    return all(_is_here(host) for host in _hosts_of(servers))


def _hosts_of(servers: str) -> list[str]:
    """The host of each; an empty text where it is none, or its port is missing."""
    found = [_SERVER.fullmatch(each.strip()) for each in servers.split(",")]
    return [each["host"].strip("[]") if each else "" for each in found]


def _refuse(host: str) -> None:
    if not host.isascii():
        # a client would make others of such letters: of a wide full stop a plain one
        raise ValueError("expected a host in ASCII: an international name begins with xn--")
    number = _number_of(_bare(host))
    if _bare(host) in _METADATA_NAMES or (number is not None and _is_forbidden(number)):
        raise ValueError(
            "a link-local address is refused: there a cloud gives away the role's keys"
        )


def _is_here(host: str) -> bool:
    number = _number_of(_bare(host))
    return _bare(host) == "localhost" or (number is not None and number.is_loopback)


def _bare(host: str) -> str:
    return host.rstrip(".").lower()


def _number_of(host: str) -> IPv4Address | IPv6Address | None:
    """A host that is a number, in whichever spelling a client takes: 169.254.1.1, 0xa9fe0101."""
    with suppress(ValueError):
        number = ip_address(host.partition("%")[0])
        inside = number.ipv4_mapped if isinstance(number, IPv6Address) else None
        return inside or number
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(host))
    return None


def _is_forbidden(number: IPv4Address | IPv6Address) -> bool:
    reached = [number]
    if any(number in network for network in _AROUND_IPV4):
        reached.append(IPv4Address(number.packed[-4:]))
    if isinstance(number, IPv6Address):
        reached += [each for each in (number.sixtofour, *(number.teredo or ())) if each]
    return any(each.is_link_local or each.is_unspecified or each in _METADATA for each in reached)
