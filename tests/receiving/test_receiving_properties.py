"""Whatever comes: nothing but the documented errors."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.receiving_helpers import BODY, ID, SECRET, byte_pairs_of, delivery_headers, environ_of

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

# How fast the machine is at the moment is none of these tests' business.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SECRETS = st.text(min_size=1, alphabet=st.characters(codec="utf-8")) | st.binary(min_size=1)
NAMES = st.sampled_from([*delivery_headers(), *environ_of(delivery_headers())])
ANY_NAME = NAMES | NAMES.map(str.lower) | st.text()
ANY_VALUE = st.text() | st.sampled_from([*delivery_headers().values(), f"{ID},{ID}"])
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


def read(headers: Any, body: bytes, **options: Any) -> Delivery | DeliveryError:
    try:
        return Delivery.from_http(headers, body, **options)
    except DeliveryError as error:
        return error


@patient
@given(st.binary(), SECRETS)
def test_what_is_signed_is_verified(body: bytes, secret: str | bytes) -> None:
    verify_signature(body, sign(body, secret), ["another", secret])


@patient
@given(st.binary(), st.text() | st.none(), SECRETS)
def test_no_text_is_a_signature_but_the_one(
    body: bytes, signature: str | None, secret: str | bytes
) -> None:
    with pytest.raises(SignatureVerificationError):
        verify_signature(body, signature, secret)


@patient
@given(st.text() | st.binary() | st.lists(st.text() | st.binary()))
def test_any_secret_works_or_is_a_configuration_error(secret: str | bytes | list[Any]) -> None:
    with pytest.raises((SignatureVerificationError, ConfigurationError)):
        verify_signature(b"", "0" * 64, secret)


@patient
@given(HEADERS, st.binary() | st.just(BODY), st.sampled_from([SECRET, None]), st.booleans())
def test_any_request_is_a_delivery_or_an_error(
    headers: Any, body: bytes, secret: str | None, allow_unsigned: bool
) -> None:
    taken = read(headers, body, secret=secret, allow_unsigned=allow_unsigned)
    if isinstance(taken, Delivery):
        assert (body, str(taken.delivery_id)) == (BODY, ID)
    else:
        assert taken.status in {400, 401}
        assert str(taken).isprintable()


@patient
@given(st.binary())
def test_any_signed_body_is_a_payload_or_an_error(body: bytes) -> None:
    taken = read(delivery_headers(body), body, secret=SECRET)
    if isinstance(taken, Delivery):
        assert taken.payload == json.loads(body)
    else:
        assert taken.status == 400


@patient
@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES),
    EVENTS,
    st.uuids(),
    SECRETS,
    st.sampled_from([dict[str, str], environ_of, byte_pairs_of]),
)
def test_every_delivery_arrives_as_it_was_sent(
    payload: dict[str, object], event: str, delivery_id: UUID, secret: str | bytes, shape: Any
) -> None:
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {
        "X-Emperor-Event": event,
        "X-Emperor-Delivery": str(delivery_id),
        "X-Signature": sign(body, secret),
    }
    delivery = Delivery.from_http(shape(headers), body, secret=secret)
    assert delivery == Delivery(
        delivery_id=delivery_id, event=event, payload=payload, signature_verified=True
    )
    assert event in {delivery.subject, f"{delivery.subject}:{delivery.action or ''}"}


@patient
@given(st.text(), st.lists(st.text() | st.sampled_from(["a", "a:b", "*", "b"])))
def test_any_key_and_event_can_be_asked_for(event: str, keys: list[str]) -> None:
    router = DeliveryRouter()
    taken: set[str] = set()
    for key in keys:
        try:
            router.on(key)(print)
        except ConfigurationError:
            continue
        taken.add(key)
    wanted = {event, event.partition(":")[0], "*"}
    assert (router.handler_for(event) is print) == bool(wanted & taken)
