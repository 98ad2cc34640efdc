"""Keeps web pages away: whom a request must address, and from where it must not come.

A browser on this machine runs pages of anybody. One can send requests here (CSRF), and with a host
name that it lets lead here it could even read the answers (DNS rebinding).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import field, frozen

from webhooks_sdk.sandbox._http.response import Answer, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HTTP_PORT = 80
_read_host = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::(?P<port>[0-9]{1,5}))?"
).fullmatch
_OWN_SITES = frozenset({None, "same-origin", "none"})


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of_url(host: str) -> str:
    """Return the host by which this machine reaches what listens at a host, as a URL has it."""
    if _is_ip(host) and ip_address(host).is_unspecified:
        # Every address, and so none that could be connected to, or be loopback to a client.
        host = "::1" if ":" in host else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _lower(name: str) -> str:
    return name.lower()


def _all_lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen(kw_only=True)
class Guard:
    """Judges requests by their headers.

    Its own are `localhost`, every loopback address, and where it listens, each with its port. If it
    listens at every address of the machine, every IP address is: no page can make one lead here.

    Attributes:
        host: Where the sandbox listens.
        port: Its port.
        allowed: Other names under which it is addressed, such as that of a container: with a port
            that one alone, without one any.
    """

    host: str = field(converter=_lower)
    port: int
    allowed: frozenset[str] = field(default=frozenset[str](), converter=_all_lower)

    def judge(self, headers: Mapping[str, str]) -> Answer | None:
        """Return the answer to a request that must not come in; None if it may.

        Args:
            headers: Its headers, with names in lower case.
        """
        host = headers.get("host", "").lower()
        if not self._is_own(host):
            return refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"The Host header {host!r} is not the sandbox's. If the name is meant to lead here,"
                " give it to the sandbox as an allowed host.",
            )
        origin = headers.get("origin")
        # What has another name may be the end of a tunnel that speaks TLS.
        schemes = ("http", "https") if self._is_allowed(host) else ("http",)
        if origin is not None and origin.lower() not in {f"{one}://{host}" for one in schemes}:
            return refuse(
                HTTPStatus.FORBIDDEN, "Pages of another origin must not reach the sandbox."
            )
        if headers.get("sec-fetch-site") not in _OWN_SITES:
            return refuse(HTTPStatus.FORBIDDEN, "Other sites must not reach the sandbox.")
        return None

    def _is_own(self, host: str) -> bool:
        match = _read_host(host)
        if match is None:
            return False
        if self._is_allowed(host):
            return True
        name = match["six"] or match["name"]
        if int(match["port"] or HTTP_PORT) != self.port:
            return False
        return name == self.host or is_loopback(name) or (self._is_everywhere and _is_ip(name))

    def _is_allowed(self, host: str) -> bool:
        match = _read_host(host)
        if match is None:
            return False
        return host in self.allowed or (match["six"] or match["name"]) in self.allowed

    @property
    def _is_everywhere(self) -> bool:
        return _is_ip(self.host) and ip_address(self.host).is_unspecified


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
