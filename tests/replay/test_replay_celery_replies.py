"""The Celery example: encoding of replies, and settings."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from celery_replay.replies import decode_reply, encode_reply
from celery_replay.settings import Settings
from support.replays import HOOK, attempt, event_id

from webhooks_sdk import Headers, errors
from webhooks_sdk.errors import APIConnectionError, APIError, AuthenticationError
from webhooks_sdk.replay import Target

TARGET = Target(HOOK, event_id(1))
API_ERRORS = [
    kind
    for kind in (getattr(errors, name) for name in errors.__all__)
    if issubclass(kind, APIError)
]
# Celery's own JSON decoder would interpret this as a type.
EXTRA: dict[str, Any] = {"later": {"__type__": "uuid", "__value__": "no"}, "löst": [1.5, None]}


def roundtrip(error: Exception) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - checked by the callers
        decode_reply(encode_reply(error), TARGET)
    return raised.value


@pytest.mark.parametrize("status", [200, 503, None])
def test_events_roundtrip(status: int | None) -> None:
    event = attempt(1, status, redelivery=True, extra=EXTRA)
    assert decode_reply(encode_reply(event), TARGET) == event


@pytest.mark.parametrize("kind", API_ERRORS)
@pytest.mark.parametrize(
    ("unknown", "wait"), [(True, None), (False, 1.5), (False, inf)], ids=["unknown", "wait", "inf"]
)
def test_api_errors_roundtrip(kind: type[APIError], unknown: bool, wait: float | None) -> None:
    error = kind(
        "redeliver: it failed.",
        operation="redeliver",
        hook_id=TARGET.hook_id,
        request_id=TARGET.request_id,
        status=None if unknown else 503,
        headers=Headers([("X-Request-Id", "r-1"), ("Via", "a"), ("via", "b")]),
        body="reason",
        attempts=1,
        outcome_unknown=unknown,
        retry_after=wait,
    )
    decoded = roundtrip(error)
    assert type(decoded) is kind
    assert str(decoded) == str(error)
    assert all(getattr(decoded, name) == value for name, value in vars(error).items())


def test_the_error_code_of_the_token_endpoint_roundtrips() -> None:
    error = AuthenticationError("no", operation="token", status=401)
    error.error, error.error_description = "invalid_client", "unknown client"
    decoded = roundtrip(error)
    assert isinstance(decoded, AuthenticationError)
    assert (decoded.error, decoded.error_description) == ("invalid_client", "unknown client")


@pytest.mark.parametrize("kind", [errors.ConfigurationError, errors.ClientClosedError])
def test_errors_that_stop_a_run_roundtrip(kind: type[Exception]) -> None:
    decoded = roundtrip(kind("what to do"))
    assert type(decoded) is kind
    assert str(decoded) == "what to do"


def test_only_the_name_of_a_foreign_error_is_sent() -> None:
    foreign = OSError("it holds a secret")
    assert "secret" not in encode_reply(foreign)
    decoded = roundtrip(foreign)
    assert isinstance(decoded, APIConnectionError)
    assert decoded.outcome_unknown
    assert "OSError" in str(decoded)
    assert (decoded.hook_id, decoded.request_id) == (TARGET.hook_id, TARGET.request_id)


@pytest.mark.parametrize("reply", ["{}", '"text"', "[]", '{"error": {}}', '{"error": 1}', "no"])
def test_an_invalid_reply_is_rejected(reply: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid reply|Expecting value"):
        decode_reply(reply, TARGET)


def test_a_reply_is_plain_json() -> None:
    assert json.loads(encode_reply(OSError())) == {"error": {"kind": "OSError"}}


def test_settings_have_defaults_and_hide_the_password() -> None:
    settings = Settings.from_variables(
        {"REPLAY_REDIS_URL": "redis://:s3cret@redis.example/0", "REPLAY_QUEUE": ""}
    )
    assert (settings.queue, settings.queue_seconds, settings.reply_seconds) == (
        "redeliver",
        60.0,
        180.0,
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e10", "soon"])
def test_invalid_seconds_are_rejected(seconds: str) -> None:
    variables = {"REPLAY_REDIS_URL": "redis://127.0.0.1/0", "REPLAY_REPLY_SECONDS": seconds}
    with pytest.raises(errors.ConfigurationError, match="REPLAY_REPLY_SECONDS"):
        Settings.from_variables(variables)


def test_a_missing_redis_url_is_an_error() -> None:
    with pytest.raises(errors.ConfigurationError, match="REPLAY_REDIS_URL"):
        Settings.from_variables({})
