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
    """Return whether environment variables name a proxy for HTTP or HTTPS."""
    return any(scheme in getproxies() for scheme in ("http", "https", "all"))


@contextmanager
def translate_proxy_errors() -> Generator[None]:
    """Translate the errors that httpx raises for an unusable proxy.

    Raises:
        ConfigurationError: Environment variables name a proxy that httpx cannot use.
    """
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # The URL is not quoted: it may contain a password.
        raise ConfigurationError(
            "The proxy named by the environment cannot be used: check HTTP_PROXY, HTTPS_PROXY and"
            f" ALL_PROXY ({type(error).__name__}; a SOCKS proxy needs 'httpx[socks]')."
        ) from error
