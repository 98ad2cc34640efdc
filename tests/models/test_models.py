"""Parsing and formatting of models, and their derived properties."""

from __future__ import annotations

import json
import pickle
from copy import copy, deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import (
    AccessToken,
    DecodeError,
    SubscriptionConfig,
    WebhookEvent,
    WebhookSubscription,
)

SAMPLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "samples" / "redeliver.json").read_text("utf-8")
)
SUBSCRIPTION: dict[str, Any] = {
    "id": SAMPLE["hook_id"],
    "active": True,
    "confirmed": False,
    "events": ["application_form", "quote_request:failed", "*"],
    "config": {"url": "https://subscriber.example/in", "secret": "s3cr3t", "header": "X-Key: k3y"},
    "owner_id": SAMPLE["id"],
    "tenant_id": SAMPLE["tenant_id"],
    "created_at": "2020-09-30T21:18:03.426Z",
    "updated_at": "2020-09-30T21:18:03.426Z",
}
TOKEN: dict[str, Any] = {
    "access_token": "t0k3n",
    "token_type": "bearer",
    "expires_in": 43200,
    "refresh_token": "r3fr3sh",
    "scope": "",
    "uid": "uid-1",
    "info": {"name": "N", "email": None, "first_name": "F", "last_name": "L"},
}

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
MOMENTS = st.datetimes(timezones=st.just(UTC))


def extras(model: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = {field.name for field in fields(model)} - {"extra"}
    names = st.text(max_size=8).filter(lambda name: name not in known) | st.just("extra")
    return st.dictionaries(names, JSON_VALUES, max_size=3)


EVENTS = st.builds(
    WebhookEvent,
    id=st.uuids(),
    tenant_id=st.uuids(),
    delivery_id=st.uuids(),
    event=st.text(),
    enqueued_at=MOMENTS,
    redelivery=st.booleans(),
    hook_id=st.uuids(),
    created_at=MOMENTS,
    updated_at=MOMENTS,
    response_status=st.none() | st.integers(),
    response_duration_ms=st.none() | st.integers(),
    extra=extras(WebhookEvent),
)
CONFIGS = st.builds(
    SubscriptionConfig,
    url=st.text(),
    secret=st.none() | st.text(),
    header=st.none() | st.text(),
    extra=extras(SubscriptionConfig),
)
SUBSCRIPTIONS = st.builds(
    WebhookSubscription,
    id=st.uuids(),
    active=st.booleans(),
    confirmed=st.booleans(),
    events=st.lists(st.text(), max_size=4),
    config=CONFIGS,
    owner_id=st.uuids(),
    tenant_id=st.uuids(),
    created_at=MOMENTS,
    updated_at=MOMENTS,
    extra=extras(WebhookSubscription),
)
TOKENS = st.builds(
    AccessToken,
    access_token=st.text(
        alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1
    ),
    token_type=st.none() | st.text(),
    expires_in=st.none() | st.integers(),
    refresh_token=st.none() | st.text(),
    scope=st.none() | st.text(),
    uid=st.none() | st.text(),
    info=st.none() | st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3),
    extra=extras(AccessToken),
)
Model = WebhookEvent | SubscriptionConfig | WebhookSubscription | AccessToken
MODELS: st.SearchStrategy[Model] = st.one_of(EVENTS, CONFIGS, SUBSCRIPTIONS, TOKENS)
PICKLED: st.SearchStrategy[Model] = st.one_of(EVENTS, CONFIGS, SUBSCRIPTIONS)


@given(MODELS)
@settings(deadline=None)
def test_dict_round_trip(model: Model) -> None:
    twin = type(model).from_dict(model.to_dict())
    assert twin == model
    assert hash(twin) == hash(model)


@given(MODELS)
@settings(deadline=None)
def test_json_round_trip(model: Model) -> None:
    text = json.dumps(model.to_dict(), allow_nan=False)
    assert type(model).from_dict(json.loads(text)) == model


@given(PICKLED)
@settings(deadline=None)
def test_pickle_round_trip(model: Model) -> None:
    twin = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert type(twin) is type(model)
    assert twin == model
    assert hash(twin) == hash(model)


@given(MODELS)
@settings(deadline=None)
def test_deepcopy_is_equal_and_independent(model: Model) -> None:
    twin = deepcopy(model)
    assert twin == model
    assert hash(twin) == hash(model)
    assert copy(model) == model
    before = dict(model.extra)
    twin.extra["a name of its own"] = 1
    assert model.extra == before


@given(PICKLED, JSON_VALUES)
@settings(deadline=None)
def test_extra_is_part_of_equality_but_not_of_the_hash(model: Model, value: object) -> None:
    other = evolve(model, extra={**model.extra, "a name of its own": value})
    assert hash(other) == hash(model)
    assert other != model


@given(EVENTS)
@settings(deadline=None)
def test_datetimes_are_in_utc(event: WebhookEvent) -> None:
    wire = event.to_dict()
    for name in ("enqueued_at", "created_at", "updated_at"):
        assert wire[name].endswith("Z")
        assert getattr(WebhookEvent.from_dict(wire), name).utcoffset() == timedelta(0)


def test_event_from_documented_sample() -> None:
    event = WebhookEvent.from_dict(SAMPLE)
    assert event == WebhookEvent(
        id=UUID("29dd8606-4e01-46cb-aca2-dd6022e74865"),
        tenant_id=UUID("5323b917-54f9-4866-aec7-67a5f1062be1"),
        delivery_id=UUID("2f2611b4-9f41-4dd2-81b2-3c74eb6a79b8"),
        event="application_form:inactive",
        enqueued_at=datetime(2020, 9, 30, 21, 18, 3, 353_000, tzinfo=UTC),
        redelivery=True,
        hook_id=UUID("e6db9c1a-d15f-4248-81fa-5b61fc321def"),
        created_at=datetime(2020, 9, 30, 21, 18, 3, 426_000, tzinfo=UTC),
        updated_at=datetime(2020, 9, 30, 21, 18, 3, 426_000, tzinfo=UTC),
        response_status=200,
        response_duration_ms=293,
    )
    assert event.subject == "application_form"
    assert event.action == "inactive"
    assert event.delivered
    assert event.response_duration == timedelta(milliseconds=293)
    assert event.extra == {}


def test_event_sample_round_trip() -> None:
    assert WebhookEvent.from_dict(SAMPLE).to_dict() == SAMPLE


def test_subscription_sample_round_trip() -> None:
    subscription = WebhookSubscription.from_dict(SUBSCRIPTION)
    assert subscription.events == ("application_form", "quote_request:failed", "*")
    assert subscription.config.secret == "s3cr3t"
    assert subscription.config.header == "X-Key: k3y"
    assert subscription.id == UUID(SAMPLE["hook_id"])
    assert subscription.to_dict() == SUBSCRIPTION


def test_token_sample_round_trip() -> None:
    token = AccessToken.from_dict(TOKEN)
    assert (token.access_token, token.expires_in, token.scope) == ("t0k3n", 43200, "")
    assert token.info == TOKEN["info"]
    assert token.to_dict() == TOKEN


@pytest.mark.parametrize("name", ["response_status", "response_duration_ms"])
@pytest.mark.parametrize("present", [True, False], ids=["null", "missing"])
def test_response_fields_may_be_null_or_missing(name: str, present: bool) -> None:
    data = {key: value for key, value in SAMPLE.items() if key != name}
    data |= {name: None} if present else {}
    assert getattr(WebhookEvent.from_dict(data), name) is None


@pytest.mark.parametrize("name", ["secret", "header"])
@pytest.mark.parametrize("present", [True, False], ids=["null", "missing"])
def test_config_secret_and_header_may_be_null_or_missing(name: str, present: bool) -> None:
    data = {"url": "https://subscriber.example/", "secret": "s", "header": "a: b"}
    del data[name]
    config = SubscriptionConfig.from_dict({**data, **({name: None} if present else {})})
    assert getattr(config, name) is None


def test_token_requires_only_access_token() -> None:
    token = AccessToken.from_dict({"access_token": "abc"})
    assert token == AccessToken(access_token="abc")
    assert token.expires_in is None


@pytest.mark.parametrize(
    "name", ["token_type", "expires_in", "refresh_token", "scope", "uid", "info"]
)
def test_optional_token_fields_may_be_null(name: str) -> None:
    assert getattr(AccessToken.from_dict({**TOKEN, name: None}), name) is None


OPTIONAL = {"response_status", "response_duration_ms"}


@pytest.mark.parametrize("name", sorted(SAMPLE.keys() - OPTIONAL))
def test_missing_event_field_is_named(name: str) -> None:
    data = {key: value for key, value in SAMPLE.items() if key != name}
    with pytest.raises(DecodeError, match=rf"^required field is missing @ \$\.{name}$"):
        WebhookEvent.from_dict(data)


@pytest.mark.parametrize("name", sorted(SUBSCRIPTION))
def test_missing_subscription_field_is_named(name: str) -> None:
    data = {key: value for key, value in SUBSCRIPTION.items() if key != name}
    with pytest.raises(DecodeError, match=rf"^required field is missing @ \$\.{name}$"):
        WebhookSubscription.from_dict(data)


WRONG_EVENT_FIELDS: list[tuple[str, object]] = [
    ("id", "29dd8606"),
    ("id", "29dd86064e0146cbaca2dd6022e74865"),
    ("id", "{29dd8606-4e01-46cb-aca2-dd6022e74865}"),
    ("id", "29dd8606-4e01-46cb-aca2-dd6022e74865\n"),
    ("id", 7),
    ("id", None),
    ("event", 1),
    ("event", None),
    ("event", ["application_form"]),
    ("redelivery", "yes"),
    ("redelivery", "true"),
    ("redelivery", 1),
    ("redelivery", 0),
    ("redelivery", None),
    ("enqueued_at", 1601500683),
    ("enqueued_at", 1601500683.353),
    ("enqueued_at", "2020-09-30"),
    ("enqueued_at", "yesterday"),
    ("enqueued_at", None),
    ("response_status", "200"),
    ("response_status", 200.0),
    ("response_status", True),
    ("response_status", float("nan")),
    ("response_duration_ms", "293"),
    ("response_duration_ms", 293.5),
    ("response_duration_ms", float("inf")),
    ("response_duration_ms", [293]),
]


@pytest.mark.parametrize(("name", "value"), WRONG_EVENT_FIELDS)
def test_event_fields_are_not_coerced(name: str, value: object) -> None:
    with pytest.raises(DecodeError, match=rf"@ \$\.{name}$"):
        WebhookEvent.from_dict({**SAMPLE, name: value})


WRONG_SUBSCRIPTION_FIELDS: list[tuple[str, object, str]] = [
    ("active", "yes", "$.active"),
    ("confirmed", 0, "$.confirmed"),
    ("events", "application_form", "$.events"),
    ("events", None, "$.events"),
    ("events", {"application_form": 1}, "$.events"),
    ("events", ["a", 1], "$.events[1]"),
    ("events", ["a", "b", None], "$.events[2]"),
    ("config", None, "$.config"),
    ("config", [], "$.config"),
    ("config", {}, "$.config.url"),
    ("config", {"url": None}, "$.config.url"),
    ("config", {"url": "u", "secret": 5}, "$.config.secret"),
    ("config", {"url": "u", "header": {"a": "b"}}, "$.config.header"),
]


@pytest.mark.parametrize(("name", "value", "path"), WRONG_SUBSCRIPTION_FIELDS)
def test_subscription_fields_are_not_coerced(name: str, value: object, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        WebhookSubscription.from_dict({**SUBSCRIPTION, name: value})
    assert str(caught.value).endswith(f" @ {path}")


WRONG_TOKEN_FIELDS: list[tuple[str, object]] = [
    ("access_token", None),
    ("access_token", 5),
    ("access_token", ["t"]),
    ("token_type", 5),
    ("expires_in", "43200"),
    ("expires_in", 43200.0),
    ("expires_in", True),
    ("refresh_token", {}),
    ("scope", []),
    ("uid", 12),
    ("info", "N"),
    ("info", []),
]


@pytest.mark.parametrize(("name", "value"), WRONG_TOKEN_FIELDS)
def test_token_fields_are_not_coerced(name: str, value: object) -> None:
    with pytest.raises(DecodeError, match=rf"@ \$\.{name}$"):
        AccessToken.from_dict({**TOKEN, name: value})


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "a\r\nX: y", "a\0", "tök", "\x7f"])
def test_invalid_token_is_rejected_and_not_quoted(token: str) -> None:
    with pytest.raises(DecodeError, match="visible ASCII") as caught:
        AccessToken.from_dict({**TOKEN, "access_token": token})
    assert len(token) < 2 or token not in str(caught.value)


def test_token_with_the_name_of_the_scheme_is_rejected_with_the_reason() -> None:
    with pytest.raises(DecodeError, match="begins with 'Bearer '") as caught:
        AccessToken.from_dict({**TOKEN, "access_token": "bearer hunter2"})
    assert "hunter2" not in str(caught.value)


def test_events_given_as_one_string_are_refused() -> None:
    subscription = WebhookSubscription.from_dict(SUBSCRIPTION)
    one: Any = "carrier"
    with pytest.raises(TypeError, match=r"^events must be a list of event names, got 'carrier'"):
        evolve(subscription, events=one)
    assert evolve(subscription, events=["carrier"]).events == ("carrier",)


def test_all_invalid_fields_are_named() -> None:
    with pytest.raises(DecodeError) as caught:
        WebhookEvent.from_dict({**SAMPLE, "id": 1, "event": 2, "redelivery": 3})
    assert [part.rpartition(" @ ")[2] for part in str(caught.value).split("; ")] == [
        "$.id",
        "$.event",
        "$.redelivery",
    ]


def test_reported_problems_are_limited() -> None:
    with pytest.raises(DecodeError, match=r", and more$") as caught:
        WebhookEvent.from_dict({})
    assert str(caught.value).count(" @ ") == 5


def test_invalid_value_is_not_quoted() -> None:
    with pytest.raises(DecodeError) as caught:
        WebhookSubscription.from_dict(
            {**SUBSCRIPTION, "config": {"url": "u", "secret": ["hidden"]}, "id": "hidden"}
        )
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("data", [None, [], [["id", 1]], "text", 5])
def test_from_dict_rejects_other_types(data: Any) -> None:
    with pytest.raises(DecodeError):
        WebhookEvent.from_dict(data)


def test_unknown_fields_are_kept_at_their_level() -> None:
    subscription = WebhookSubscription.from_dict(
        {
            **SUBSCRIPTION,
            "labels": ["a", {"b": None}],
            "extra": 1,
            "config": {"url": "u", "retries": {"max": 3}},
        }
    )
    assert subscription.extra == {"labels": ["a", {"b": None}], "extra": 1}
    assert subscription.config.extra == {"retries": {"max": 3}}
    wire = subscription.to_dict()
    assert wire["labels"] == ["a", {"b": None}]
    assert wire["extra"] == 1
    assert wire["config"]["retries"] == {"max": 3}


def test_events_list_is_converted_to_a_tuple() -> None:
    subscription = evolve(WebhookSubscription.from_dict(SUBSCRIPTION), events=["carrier"])
    assert subscription.events == ("carrier",)
    assert hash(subscription) == hash(evolve(subscription, events=("carrier",)))


@pytest.mark.parametrize(
    ("event", "subject", "action"),
    [
        ("application_form:inactive", "application_form", "inactive"),
        ("carrier", "carrier", None),
        ("carrier:", "carrier", None),
        ("new_thing:a:b", "new_thing", "a:b"),
        (":odd", "", "odd"),
        ("", "", None),
    ],
)
def test_subject_and_action(event: str, subject: str, action: str | None) -> None:
    model = WebhookEvent.from_dict({**SAMPLE, "event": event})
    assert (model.subject, model.action) == (subject, action)


@pytest.mark.parametrize(
    ("status", "delivered"),
    [
        (None, False),
        (0, False),
        (199, False),
        (200, True),
        (204, True),
        (299, True),
        (300, False),
        (404, False),
        (500, False),
        (-200, False),
    ],
)
def test_delivered_is_true_for_2xx_only(status: int | None, delivered: bool) -> None:
    event = WebhookEvent.from_dict({**SAMPLE, "response_status": status})
    assert event.delivered is delivered


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (None, None),
        (0, timedelta(0)),
        (1500, timedelta(seconds=1.5)),
        (10**30, timedelta.max),
        (-(10**30), timedelta.min),
    ],
)
def test_response_duration_is_a_timedelta(duration: int | None, expected: timedelta | None) -> None:
    event = WebhookEvent.from_dict({**SAMPLE, "response_duration_ms": duration})
    assert event.response_duration == expected


@pytest.mark.parametrize(
    "model",
    [
        WebhookEvent.from_dict(SAMPLE),
        WebhookSubscription.from_dict(SUBSCRIPTION),
        SubscriptionConfig(url="u"),
        AccessToken(access_token="t"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_are_frozen_and_slotted(model: Model) -> None:
    name = fields(type(model))[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(model, name, None)
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(model, "unknown name", None)
    assert not hasattr(model, "__dict__")


def test_models_take_keyword_arguments_only() -> None:
    with pytest.raises(TypeError):
        SubscriptionConfig("u")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


CREDENTIALS = st.text(alphabet="ABCDEFGHIJ0123456789", min_size=12, max_size=20)


@given(CREDENTIALS, CREDENTIALS, CREDENTIALS, CREDENTIALS)
@settings(deadline=None)
def test_repr_hides_credentials(a: str, b: str, c: str, d: str) -> None:
    config = {"url": "u", "secret": a, "header": f"X-Key: {b}", "new_secret": c}
    subscription = WebhookSubscription.from_dict({**SUBSCRIPTION, "config": config, "more": d})
    token = AccessToken.from_dict(
        {"access_token": a, "refresh_token": b, "info": {"key": c}, "id_token": d}
    )
    for shown in (repr(subscription), str(subscription), repr(token), str(token), f"{token}"):
        assert not any(secret in shown for secret in (a, b, c, d))
        assert "***" in shown
    assert "new_secret" in repr(subscription)
    assert "id_token" in repr(token)


def test_repr_shows_missing_credentials_as_none() -> None:
    assert repr(SubscriptionConfig(url="u")) == (
        "SubscriptionConfig(url='u', secret=None, header=None, extra=<>)"
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_token_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps([AccessToken.from_dict(TOKEN)], protocol)
    assert "t0k3n" not in str(caught.value)


def test_copy_and_deepcopy_of_a_token() -> None:
    token = AccessToken.from_dict({**TOKEN, "extra_list": [1]})
    assert copy(token) is token
    twin = deepcopy(token)
    assert twin == token
    assert twin.extra["extra_list"] is not token.extra["extra_list"]
