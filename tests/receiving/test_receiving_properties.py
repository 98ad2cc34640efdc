"""Arbitrary input raises only the documented errors."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.receiving_helpers import (
    BODY,
    DELIVERY_ID,
    SECRET,
    delivery_headers,
    to_byte_pairs,
    to_environ,
)

from webhooks_sdk import (
    ConfigurationError,
    Delivery,
    DeliveryError,
    DeliveryRouter,
    SignatureVerificationError,
    sign,
    verify_signature,
)

if TYPE_CHECKING:
    from uuid import UUID

# These tests do not depend on the speed of the machine.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SECRETS = st.text(min_size=1, alphabet=st.characters(codec="utf-8")) | st.binary(min_size=1)
NAMES = st.sampled_from([*delivery_headers(), *to_environ(delivery_headers())])
ANY_NAME = NAMES | NAMES.map(str.lower) | st.text()
ANY_VALUE = st.text() | st.sampled_from(
    [*delivery_headers().values(), f"{DELIVERY_ID},{DELIVERY_ID}"]
)
HEADERS = (
    st.dictionaries(ANY_NAME, ANY_VALUE | st.none() | st.integers() | st.binary())
    | st.lists(st.tuples(ANY_NAME, ANY_VALUE))
    | st.lists(st.tuples(st.binary(), st.binary()))
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)
EVENTS = st.text(string.ascii_letters + string.digits + "_.-:", min_size=1)


def parse(headers: Any, body: bytes, **options: Any) -> Delivery | DeliveryError:
    try:
        return Delivery.from_http(headers, body, **options)
    except DeliveryError as error:
        return error


@untimed
@given(st.binary(), SECRETS)
def test_a_signed_body_is_verified(body: bytes, secret: str | bytes) -> None:
    verify_signature(body, sign(body, secret), ["another", secret])


@untimed
@given(st.binary(), st.text() | st.none(), SECRETS)
def test_arbitrary_text_is_not_a_valid_signature(
    body: bytes, signature: str | None, secret: str | bytes
) -> None:
    with pytest.raises(SignatureVerificationError):
        verify_signature(body, signature, secret)


@untimed
@given(st.text() | st.binary() | st.lists(st.text() | st.binary()))
def test_any_secret_is_usable_or_a_configuration_error(secret: str | bytes | list[Any]) -> None:
    with pytest.raises((SignatureVerificationError, ConfigurationError)):
        verify_signature(b"", "0" * 64, secret)


@untimed
@given(HEADERS, st.binary() | st.just(BODY), st.sampled_from([SECRET, None]), st.booleans())
def test_any_request_is_a_delivery_or_an_error(
    headers: Any, body: bytes, secret: str | None, allow_unsigned: bool
) -> None:
    result = parse(headers, body, secret=secret, allow_unsigned=allow_unsigned)
    if isinstance(result, Delivery):
        assert (body, str(result.delivery_id)) == (BODY, DELIVERY_ID)
    else:
        assert result.status in {400, 401}
        assert str(result).isprintable()


@untimed
@given(st.binary())
def test_any_signed_body_is_a_payload_or_an_error(body: bytes) -> None:
    result = parse(delivery_headers(body), body, secret=SECRET)
    if isinstance(result, Delivery):
        assert result.payload == json.loads(body)
    else:
        assert result.status == 400


@untimed
@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES),
    EVENTS,
    st.uuids(),
    SECRETS,
    st.sampled_from([dict[str, str], to_environ, to_byte_pairs]),
)
def test_every_valid_delivery_is_parsed(
    payload: dict[str, object], event: str, delivery_id: UUID, secret: str | bytes, convert: Any
) -> None:
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {
        "X-Emperor-Event": event,
        "X-Emperor-Delivery": str(delivery_id),
        "X-Signature": sign(body, secret),
    }
    delivery = Delivery.from_http(convert(headers), body, secret=secret)
    assert delivery == Delivery(
        delivery_id=delivery_id, event=event, payload=payload, signature_verified=True
    )
    assert event in {delivery.subject, f"{delivery.subject}:{delivery.action or ''}"}


@untimed
@given(st.text(), st.lists(st.text() | st.sampled_from(["a", "a:b", "*", "b"])))
def test_any_event_is_routed_to_a_registered_pattern(event: str, patterns: list[str]) -> None:
    router = DeliveryRouter()
    registered: set[str] = set()
    for pattern in patterns:
        try:
            router.on(pattern)(print)
        except ConfigurationError:
            continue
        registered.add(pattern)
    matching = {event, event.partition(":")[0], "*"}
    assert (router.handler_for(event) is print) == bool(matching & registered)
