"""What a delivery sends, and whether a subscription can receive at all."""

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
_is_printable_ascii = re.compile("[!-~]+").fullmatch


def read_address(url: str) -> Address | None:
    """Return where a URL leads; None if it is no http or https URL to deliver to."""
    if not _is_printable_ascii(url):
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


def receives(subscription: Subscription) -> bool:
    """Return whether the subscription is in a state to receive events."""
    return _address_of(subscription) is not None


def compose(subscription: Subscription, event: Event, delivery_id: UUID) -> OutgoingRequest | None:
    """Return what to send for one delivery attempt; None if the subscription cannot receive."""
    address = _address_of(subscription)
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


def _address_of(subscription: Subscription) -> Address | None:
    """Return where a subscription receives, None if it does not."""
    ready = subscription.active and subscription.events
    return read_address(subscription.url) if ready else None
