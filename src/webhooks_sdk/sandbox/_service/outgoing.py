"""The request that a delivery sends, and whether a subscription can receive one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, sign
from webhooks_sdk.sandbox._records import Address, OutgoingRequest
from webhooks_sdk.sandbox._service.rules import split_header

if TYPE_CHECKING:
    from uuid import UUID

    from webhooks_sdk.sandbox._records import Event, Subscription

_PORTS = {"http": 80, "https": 443}
_match_printable_ascii = re.compile("[!-~]+").fullmatch


def parse_address(url: str) -> Address | None:
    """Parse the URL of a subscription; return None if it is not a usable http or https URL."""
    if not _match_printable_ascii(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return Address(
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        secure=parts.scheme == "https",
        authority=parts.netloc,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def can_receive(subscription: Subscription) -> bool:
    """Return whether a subscription is active, has events and has a valid URL."""
    return _delivery_address(subscription) is not None


def build_request(
    subscription: Subscription, event: Event, delivery_id: UUID
) -> OutgoingRequest | None:
    """Build the request of a delivery attempt; return None if the subscription cannot receive."""
    address = _delivery_address(subscription)
    if address is None:
        return None
    headers = [
        ("Host", address.authority),
        ("User-Agent", "Hookshot"),
        ("Connection", "close"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(event.body))),
        (EVENT_HEADER, event.name),
        (DELIVERY_HEADER, str(delivery_id)),
    ]
    if subscription.secret:
        headers.append((SIGNATURE_HEADER, sign(event.body, subscription.secret)))
    if subscription.header and (static := split_header(subscription.header)):
        headers.append(static)
    return OutgoingRequest(address=address, headers=tuple(headers), body=event.body)


def _delivery_address(subscription: Subscription) -> Address | None:
    """Return the address of a subscription; None if it cannot receive."""
    is_ready = subscription.active and subscription.events
    return parse_address(subscription.url) if is_ready else None
