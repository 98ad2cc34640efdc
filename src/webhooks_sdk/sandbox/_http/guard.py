"""Protection against web pages of other sites.

A browser on this machine runs pages from anywhere. Such a page can send requests to the sandbox
(CSRF). If its host name resolves to this machine, it can also read the responses (DNS rebinding).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import field, frozen

from webhooks_sdk.sandbox._http.response import Response, error_response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HTTP_PORT = 80
_match_host = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::(?P<port>[0-9]{1,5}))?"
).fullmatch
_ALLOWED_FETCH_SITES = frozenset({None, "same-origin", "none"})


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_host(host: str) -> str:
    """Return the host part of a URL for a server that listens on `host`.

    The unspecified addresses are replaced by loopback, since clients cannot connect to them.
    """
    if _is_ip(host) and ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _lower(name: str) -> str:
    return name.lower()


def _all_lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen(kw_only=True)
class Guard:
    """Checks the `Host`, `Origin` and `Sec-Fetch-Site` headers of requests.

    The sandbox's own hosts are `localhost`, every loopback address and its listening address, each
    with its port. If it listens on all addresses, every IP address is accepted: DNS rebinding needs
    a name.

    Attributes:
        host: The host that the sandbox listens on.
        port: Its port.
        allowed: Additional host names, such as that of a container. A name with a port matches that
            port only, a name without one matches any port.
    """

    host: str = field(converter=_lower)
    port: int
    allowed: frozenset[str] = field(default=frozenset[str](), converter=_all_lower)

    def check(self, headers: Mapping[str, str]) -> Response | None:
        """Return the error response to a forbidden request, None if it is allowed.

        Args:
            headers: The request headers, with lower-case names.
        """
        host = headers.get("host", "").lower()
        if not self._is_own_host(host):
            return error_response(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"The sandbox does not accept the Host header {host!r}. If the name is correct, add"
                " it to the allowed hosts of the sandbox.",
            )
        origin = headers.get("origin")
        # An allowed name can belong to a tunnel that terminates TLS.
        schemes = ("http", "https") if self._is_allowed(host) else ("http",)
        if origin is not None and origin.lower() not in {
            f"{scheme}://{host}" for scheme in schemes
        }:
            return error_response(
                HTTPStatus.FORBIDDEN, "Requests from other origins are not allowed."
            )
        if headers.get("sec-fetch-site") not in _ALLOWED_FETCH_SITES:
            return error_response(
                HTTPStatus.FORBIDDEN, "Requests from other sites are not allowed."
            )
        return None

    def _is_own_host(self, host: str) -> bool:
        match = _match_host(host)
        if match is None:
            return False
        if self._is_allowed(host):
            return True
        name = match["ipv6"] or match["name"]
        if int(match["port"] or _HTTP_PORT) != self.port:
            return False
        return name == self.host or is_loopback(name) or (self._listens_on_all and _is_ip(name))

    def _is_allowed(self, host: str) -> bool:
        match = _match_host(host)
        if match is None:
            return False
        return host in self.allowed or (match["ipv6"] or match["name"]) in self.allowed

    @property
    def _listens_on_all(self) -> bool:
        return _is_ip(self.host) and ip_address(self.host).is_unspecified


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
