"""Proxies named by environment variables."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator


def proxied_by_environment() -> bool:
    """Whether environment variables name a proxy, which httpx's whole client knows how to use."""
    return any(scheme in getproxies() for scheme in ("http", "https", "all"))


@contextmanager
def usable_proxy() -> Generator[None]:
    """Say that the environment names a proxy which cannot be used, should that be so."""
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # The URL is not quoted: it may hold a password.
        raise ConfigurationError(
            "The proxy that the environment names cannot be used: check HTTP_PROXY, HTTPS_PROXY"
            f" and ALL_PROXY ({type(error).__name__}; a SOCKS proxy needs 'httpx[socks]')."
        ) from error
