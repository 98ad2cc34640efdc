"""From a raw request to a verified, typed delivery."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, Self, TypeAlias, cast, runtime_checkable
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import JSONObject, parse_id, parse_json
from webhooks_sdk._models import EventNameMixin
from webhooks_sdk._receiving.signing import (
    DELIVERY_HEADER,
    EVENT_HEADER,
    SIGNATURE_HEADER,
    Secrets,
    read_keys,
    verify_signature,
)
from webhooks_sdk.errors import (
    DecodeError,
    DeliveryError,
    DeliveryTooLargeError,
    InvalidArgumentError,
    SignatureVerificationError,
)

DEFAULT_MAX_BODY_BYTES = 5 * 1024 * 1024

_is_event = re.compile("[!-~]+").fullmatch

_OURS = (EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER)
_NAMES = {name.lower(): name for name in _OURS}
# As a WSGI environ or Django's META has them, and only so: a header of a request can have any name.
_ENVIRON_NAMES = {f"HTTP_{name.upper().replace('-', '_')}": name for name in _OURS}


@runtime_checkable
class HasItems(Protocol):
    """A mapping, or what is like one."""

    def items(self) -> Iterable[tuple[str | bytes, object]]:
        """Return names and values."""
        ...


HeadersLike: TypeAlias = HasItems | Iterable[tuple[str | bytes, str | bytes]]


@frozen(kw_only=True)
class Delivery(EventNameMixin):
    """One event as it was delivered to a subscriber. `repr` leaves out the payload.

    The signature covers the body alone, and has no date: `event` and `delivery_id` are as
    trustworthy as the connection, and who has seen a delivery once can send its body again.

    `delivery_id` is no idempotency key: it differs from attempt to attempt, also of one event. The
    same event can arrive more than once, in any order, and no header says which event it is. Use
    what your payloads themselves say: the ids of the things they are about, together with the name
    of the event that your handler is for. `docs/receiving.md` weighs this against other keys.

    Attributes:
        delivery_id: This delivery attempt: the `delivery_id` of a `WebhookEvent`.
        event: What happened, as `subject:action`, such as `"application_form:quoted"`, or only as
            `subject`.
        payload: The body: parsed JSON, of which the documentation says little. It holds personal
            data. Not part of the hash.
        signature_verified: Whether the delivery was signed, and its signature was checked.
    """

    delivery_id: UUID
    event: str
    payload: JSONObject = field(hash=False, repr=False)
    signature_verified: bool

    @classmethod
    def from_http(
        cls,
        headers: HeadersLike,
        body: bytes,
        *,
        secret: Secrets | None,
        allow_unsigned: bool = False,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> Self:
        """Verify a request, then parse it.

        Args:
            headers: The request's headers, names in any case: a mapping (a `dict`, the headers of
                httpx, Starlette, Django or Flask, a WSGI environ, Django's `META`), or pairs of
                names and values, as text or bytes (those of an ASGI scope).
            body: The raw body, byte for byte as it was received.
            secret: The subscription's secret; several while one is being replaced; None if the
                subscription has no secret.
            allow_unsigned: Take deliveries without a signature although there is a secret: for the
                moment when a live subscription is given one. A signature that is there must hold,
                and anybody can leave it out.
            max_body_bytes: How large the body may be.

        Raises:
            SignatureVerificationError: The signature is missing or wrong, or there is one and no
                secret to check it with.
            DeliveryTooLargeError: The body is larger than `max_body_bytes`.
            DeliveryError: Anything else is wrong with the request: a header is missing, malformed
                or repeated, or the body is no JSON object.
            ConfigurationError: There is no secret in `secret`, or one that is empty or no UTF-8
                text.
            TypeError: `body` is not bytes.
        """
        if not isinstance(cast("object", body), bytes | bytearray):
            raise TypeError(f"body must be the raw bytes, not {type(body).__name__}.")
        check_size(len(body), max_body_bytes)
        found = _read_headers(headers)
        verified = _verify(body, found.get(SIGNATURE_HEADER), secret, allow_unsigned=allow_unsigned)
        return cls(
            delivery_id=_read_delivery_id(found),
            event=_read_event(found),
            payload=_read_payload(body),
            signature_verified=verified,
        )


def check_size(size: int, limit: int) -> None:
    """Refuse a body that is larger than the limit.

    Raises:
        DeliveryTooLargeError: It is.
    """
    if size > limit:
        raise DeliveryTooLargeError(f"The body is larger than max_body_bytes ({limit:,} bytes).")


def _read_headers(headers: HeadersLike) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, HasItems) else headers
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        as_given = raw_name.decode("latin-1") if isinstance(raw_name, bytes) else raw_name
        name = _ENVIRON_NAMES.get(as_given) or _NAMES.get(as_given.lower())
        if name is None or raw_value is None:
            continue
        value = raw_value.decode("latin-1") if isinstance(raw_value, bytes) else raw_value
        if not isinstance(value, str):
            raise DeliveryError(f"The {name} header is no text.")
        # Many mappings join the values of a repeated header; none of these three has a comma.
        if name in found or "," in value:
            raise DeliveryError(f"The {name} header came more than once.")
        found[name] = value
    return found


def _verify(
    body: bytes, signature: str | None, secret: Secrets | None, *, allow_unsigned: bool
) -> bool:
    if secret is None:
        if signature is not None:
            raise SignatureVerificationError(
                "The delivery is signed, and secret=None: give the subscription's secret."
            )
        return False
    keys = read_keys(secret)
    if signature is None and allow_unsigned:
        return False
    verify_signature(body, signature, keys)
    return True


def _read_event(found: dict[str, str]) -> str:
    event = _required(found, EVENT_HEADER)
    if not _is_event(event):
        raise DeliveryError(f"The {EVENT_HEADER} header is no name of an event.")
    return event


def _read_delivery_id(found: dict[str, str]) -> UUID:
    text = _required(found, DELIVERY_HEADER)
    # Raised outside of the except block: what it caught quotes the header.
    with suppress(InvalidArgumentError):
        return parse_id(text, DELIVERY_HEADER)
    raise DeliveryError(f"The {DELIVERY_HEADER} header is no UUID.")


def _required(found: dict[str, str], name: str) -> str:
    try:
        return found[name]
    except KeyError:
        raise DeliveryError(f"The request has no {name} header: it is no delivery.") from None


def _read_payload(body: bytes) -> JSONObject:
    try:
        payload = parse_json(body)
    except DecodeError as error:
        raise DeliveryError(f"The body cannot be read: {error}.") from None
    if not isinstance(payload, dict):
        raise DeliveryError("The body is JSON, but no object.")
    return cast("JSONObject", payload)
