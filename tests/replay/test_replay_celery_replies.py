"""The example of replay with Celery: what travels as text, and the settings."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from celery_replay.replies import read_reply, write_reply
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
# What Celery's own JSON would read as a type.
ODD: dict[str, Any] = {"later": {"__type__": "uuid", "__value__": "no"}, "löst": [1.5, None]}


def through_text(answer: Exception) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - it is looked at by the test
        read_reply(write_reply(answer), TARGET)
    return raised.value


@pytest.mark.parametrize("status", [200, 503, None])
def test_an_event_comes_back_as_it_was(status: int | None) -> None:
    event = attempt(1, status, redelivery=True, extra=ODD)
    assert read_reply(write_reply(event), TARGET) == event


@pytest.mark.parametrize("kind", API_ERRORS)
@pytest.mark.parametrize(
    ("unknown", "wait"), [(True, None), (False, 1.5), (False, inf)], ids=["unknown", "wait", "inf"]
)
def test_an_error_comes_back_with_its_parts(
    kind: type[APIError], unknown: bool, wait: float | None
) -> None:
    error = kind(
        "redeliver: it failed.",
        operation="redeliver",
        hook_id=TARGET.hook_id,
        request_id=TARGET.request_id,
        status=None if unknown else 503,
        headers=Headers([("X-Request-Id", "r-1"), ("Via", "a"), ("via", "b")]),
        body="it says why",
        attempts=1,
        outcome_unknown=unknown,
        retry_after=wait,
    )
    twin = through_text(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert all(getattr(twin, name) == value for name, value in vars(error).items())


def test_the_code_of_the_token_endpoint_comes_back() -> None:
    error = AuthenticationError("no", operation="token", status=401)
    error.error, error.error_description = "invalid_client", "who is that?"
    twin = through_text(error)
    assert isinstance(twin, AuthenticationError)
    assert (twin.error, twin.error_description) == ("invalid_client", "who is that?")


@pytest.mark.parametrize("kind", [errors.ConfigurationError, errors.ClientClosedError])
def test_what_stops_a_run_comes_back(kind: type[Exception]) -> None:
    twin = through_text(kind("what to do"))
    assert type(twin) is kind
    assert str(twin) == "what to do"


def test_of_a_foreign_error_only_the_name_travels() -> None:
    foreign = OSError("it holds a secret")
    assert "secret" not in write_reply(foreign)
    twin = through_text(foreign)
    assert isinstance(twin, APIConnectionError)
    assert twin.outcome_unknown
    assert "OSError" in str(twin)
    assert (twin.hook_id, twin.request_id) == (TARGET.hook_id, TARGET.request_id)


@pytest.mark.parametrize("reply", ["{}", '"text"', "[]", '{"error": {}}', '{"error": 1}', "no"])
def test_what_is_no_reply_is_refused(reply: str) -> None:
    with pytest.raises(ValueError, match=r"reply is none|Expecting value"):
        read_reply(reply, TARGET)


def test_a_reply_is_plain_json() -> None:
    assert json.loads(write_reply(OSError())) == {"error": {"kind": "OSError"}}


def test_settings_have_defaults_and_show_no_password() -> None:
    settings = Settings.from_variables(
        {"REPLAY_REDIS_URL": "redis://:s3cret@redis.example/0", "REPLAY_QUEUE": ""}
    )
    assert (settings.queue, settings.queue_seconds, settings.answer_seconds) == (
        "redeliver",
        60.0,
        180.0,
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_seconds_that_are_none_are_refused(seconds: str) -> None:
    variables = {"REPLAY_REDIS_URL": "redis://127.0.0.1/0", "REPLAY_ANSWER_SECONDS": seconds}
    with pytest.raises(errors.ConfigurationError, match="REPLAY_ANSWER_SECONDS"):
        Settings.from_variables(variables)


def test_without_redis_the_variable_is_named() -> None:
    with pytest.raises(errors.ConfigurationError, match="REPLAY_REDIS_URL"):
        Settings.from_variables({})
