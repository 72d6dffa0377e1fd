"""Who may see the debug page: a client on this machine that also asked for this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

# The port is not looked at; a name that only ends like ours ("localhost.example.org") is not ours.
_host = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+))(?::[0-9]*)?")

# A proxy that speaks for others makes every client look local.
_proxy_header = re.compile(rb"x-forwarded-.*|forwarded|via|x-real-ip")


def may_show(scope: Mapping[str, Any]) -> bool:
    """Whether the client of a request may see the debug page.

    Its address and the ``Host`` it asked for must both be this machine's. The second keeps out a
    web page that points its own name at this machine (DNS rebinding). A request without a client
    address (a Unix socket) or one that a proxy has forwarded comes from elsewhere.

    :param scope: the ASGI scope of the request.
    """
    client = scope.get("client")
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    hosts = [value for name, value in headers if name == b"host"]
    return (
        client is not None
        and _is_loopback_address(client[0])
        and len(hosts) == 1
        and _is_loopback_host(hosts[0].decode("latin-1"))
        and not any(_proxy_header.fullmatch(name) for name, _ in headers)
    )


def is_loopback(host: str) -> bool:
    """Whether a server that listens at ``host`` can be reached from this machine only.

    :param host: an address without brackets or port, or a name.
    """
    return _is_loopback_name(host) or _is_loopback_address(host)


def _is_loopback_host(value: str) -> bool:
    match = _host.fullmatch(value)
    return match is not None and is_loopback(match[1] or match[2])


def _is_loopback_name(name: str) -> bool:
    # RFC 6761, section 6.3: names under "localhost" are this machine too.
    name = name.lower()
    return name == "localhost" or name.endswith(".localhost")


def _is_loopback_address(value: str) -> bool:
    try:
        address = ip_address(value)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
