"""The `Delivery` model: verifies and parses a raw HTTP request."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, Self, TypeAlias, cast, runtime_checkable
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import JSONObject, parse_id, parse_json
from webhooks_sdk._core.validation import MAX_BYTES, check_bool, check_count
from webhooks_sdk._models import EventNameMixin
from webhooks_sdk._receiving.signing import (
    DELIVERY_HEADER,
    EVENT_HEADER,
    SIGNATURE_HEADER,
    Secrets,
    parse_secrets,
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

_match_event_name = re.compile("[!-~]+").fullmatch

_HEADER_NAMES = (EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER)
_BY_LOWER_CASE_NAME = {name.lower(): name for name in _HEADER_NAMES}
# WSGI environ and Django's META. Case-sensitive: a request may have a header named like this.
_BY_ENVIRON_NAME = {f"HTTP_{name.upper().replace('-', '_')}": name for name in _HEADER_NAMES}


@runtime_checkable
class SupportsItems(Protocol):
    """An object with an `items` method, such as a mapping."""

    def items(self) -> Iterable[tuple[str | bytes, object]]:
        """Return pairs of names and values."""
        ...


HeadersLike: TypeAlias = SupportsItems | Iterable[tuple[str | bytes, str | bytes]]


@frozen(kw_only=True)
class Delivery(EventNameMixin):
    """An event as delivered to a subscriber. `repr` omits the payload.

    The signature covers the body only, and has no timestamp: `event` and `delivery_id` are only as
    trustworthy as the connection, and a captured delivery can be sent again.

    `delivery_id` is not an idempotency key: each attempt to deliver an event has a new one. The
    same event can arrive more than once, in any order, and no header identifies it. Use the ids in
    the payload together with the name of the event that the handler is registered for.
    `docs/receiving.md` compares this with other keys.

    Attributes:
        delivery_id: This delivery attempt: the `delivery_id` of a `WebhookEvent`.
        event: The event's name, `subject:action`, such as `"application_form:quoted"`, or
            `subject` alone.
        payload: The parsed JSON body, whose fields are largely undocumented. It holds personal
            data. Not part of the hash.
        signature_verified: Whether the delivery was signed and its signature verified.
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
        """Verify a request and parse it.

        Args:
            headers: The request's headers, names in any case: a mapping (a `dict`, the headers of
                httpx, Starlette, Django or Flask, a WSGI environ, Django's `META`), or pairs of
                names and values, as text or bytes (as in an ASGI scope).
            body: The raw body, byte for byte as received.
            secret: The subscription's secret; several during a rotation; None if the subscription
                has no secret.
            allow_unsigned: Accept deliveries without a signature although there is a secret, while
                a secret is being added to a live subscription. A signature that is present must
                still be valid, but anyone can omit it.
            max_body_bytes: Maximum size of the body in bytes, from 1 to 2,147,483,647.

        Raises:
            SignatureVerificationError: The signature is missing or wrong, or the request is signed
                and `secret` is None.
            DeliveryTooLargeError: The body is larger than `max_body_bytes`.
            DeliveryError: The request is invalid in another way: a header is missing, malformed or
                repeated, or the body is not a JSON object.
            ConfigurationError: `secret` holds no secret, an empty one, or one that cannot be
                encoded as UTF-8; `allow_unsigned` is not a bool; or `max_body_bytes` is out of
                range.
            TypeError: `body` is not bytes.
        """
        if not isinstance(cast("object", body), bytes | bytearray):
            raise TypeError(f"body must be the raw bytes, got {type(body).__name__}.")
        check_bool("allow_unsigned", allow_unsigned)
        check_max_body_bytes(max_body_bytes)
        check_body_size(len(body), max_body_bytes)
        delivery_headers = _select_headers(headers)
        verified = _verify(
            body, delivery_headers.get(SIGNATURE_HEADER), secret, allow_unsigned=allow_unsigned
        )
        return cls(
            delivery_id=_parse_delivery_id(delivery_headers),
            event=_parse_event(delivery_headers),
            payload=_parse_payload(body),
            signature_verified=verified,
        )


def check_max_body_bytes(limit: object) -> None:
    """Check the limit for the size of a body.

    Raises:
        ConfigurationError: It is not an integer, or out of range.
    """
    check_count("max_body_bytes", limit, maximum=MAX_BYTES)


def check_body_size(size: int, limit: int) -> None:
    """Raise an error if a body is larger than the limit, both in bytes.

    Raises:
        DeliveryTooLargeError: The body is too large.
    """
    if size > limit:
        raise DeliveryTooLargeError(f"The body is larger than max_body_bytes ({limit:,} bytes).")


def _select_headers(headers: HeadersLike) -> dict[str, str]:
    """Return the values of the delivery headers by their canonical names."""
    pairs = headers.items() if isinstance(headers, SupportsItems) else headers
    selected: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        text_name = raw_name.decode("latin-1") if isinstance(raw_name, bytes) else raw_name
        name = _BY_ENVIRON_NAME.get(text_name) or _BY_LOWER_CASE_NAME.get(text_name.lower())
        if name is None or raw_value is None:
            continue
        value = raw_value.decode("latin-1") if isinstance(raw_value, bytes) else raw_value
        if not isinstance(value, str):
            raise DeliveryError(f"The {name} header must be text or bytes.")
        # Many mappings join repeated headers with a comma, which no valid value contains.
        if name in selected or "," in value:
            raise DeliveryError(f"The {name} header is repeated.")
        selected[name] = value
    return selected


def _verify(
    body: bytes, signature: str | None, secret: Secrets | None, *, allow_unsigned: bool
) -> bool:
    if secret is None:
        if signature is not None:
            raise SignatureVerificationError(
                "The delivery is signed, but secret=None: pass the subscription's secret."
            )
        return False
    keys = parse_secrets(secret)
    if signature is None and allow_unsigned:
        return False
    verify_signature(body, signature, keys)
    return True


def _parse_event(headers: dict[str, str]) -> str:
    event = _required(headers, EVENT_HEADER)
    if not _match_event_name(event):
        raise DeliveryError(f"The {EVENT_HEADER} header is not a valid event name.")
    return event


def _parse_delivery_id(headers: dict[str, str]) -> UUID:
    text = _required(headers, DELIVERY_HEADER)
    # Raise outside the except block, so that the context does not quote the header.
    with suppress(InvalidArgumentError):
        return parse_id(text, DELIVERY_HEADER)
    raise DeliveryError(f"The {DELIVERY_HEADER} header is not a UUID.")


def _required(headers: dict[str, str], name: str) -> str:
    try:
        return headers[name]
    except KeyError:
        raise DeliveryError(f"The request has no {name} header, so it is not a delivery.") from None


def _parse_payload(body: bytes) -> JSONObject:
    try:
        payload = parse_json(body)
    except DecodeError as error:
        raise DeliveryError(f"The body cannot be decoded: {error}.") from None
    if not isinstance(payload, dict):
        raise DeliveryError("The body is not a JSON object.")
    return cast("JSONObject", payload)
