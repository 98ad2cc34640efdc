"""The exceptions: names, base classes, attributes, pickling and messages."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from typing import Any
from uuid import UUID

import pytest

import webhooks_sdk
from webhooks_sdk import Headers, errors

HOOK, REQUEST = UUID(int=1), UUID(int=2)
API_ERRORS: list[type[errors.APIError]] = [
    errors.APIError,
    errors.APIConnectionError,
    errors.APITimeoutError,
    errors.ResponseDecodeError,
    errors.APIStatusError,
    errors.BadRequestError,
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.UnprocessableEntityError,
    errors.RateLimitError,
    errors.InternalServerError,
]
OTHER_ERRORS: list[type[errors.WebhooksError]] = [
    errors.WebhooksError,
    errors.ConfigurationError,
    errors.InvalidArgumentError,
    errors.AttemptNotListedError,
    errors.ClientClosedError,
    errors.DecodeError,
    errors.DeliveryError,
    errors.DeliveryTooLargeError,
    errors.JournalError,
    errors.JournalLockedError,
    errors.ReplayError,
    errors.ReplayStoppedError,
    errors.SignatureVerificationError,
]
ATTRIBUTES: dict[str, Any] = {
    "operation": "redeliver",
    "hook_id": HOOK,
    "request_id": REQUEST,
    "status": 503,
    "headers": Headers([("Retry-After", "7"), ("X-Request-Id", "r-1")]),
    "body": "try later",
    "attempts": 3,
    "outcome_unknown": True,
    "retry_after": 7.0,
}


@pytest.mark.parametrize("kind", API_ERRORS)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_error_keeps_all_attributes(kind: type[errors.APIError], protocol: int) -> None:
    error = kind("redeliver: failed.", **ATTRIBUTES)
    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error) == ATTRIBUTES
    assert twin.correlation_id == "r-1"


@pytest.mark.parametrize("kind", API_ERRORS)
@pytest.mark.parametrize("duplicate", [copy, deepcopy])
def test_copied_error_keeps_all_attributes(kind: type[errors.APIError], duplicate: Any) -> None:
    error = kind("list: failed.", **ATTRIBUTES)
    twin = duplicate(error)
    assert twin is not error
    assert type(twin) is kind
    assert (str(twin), vars(twin)) == (str(error), vars(error))


@pytest.mark.parametrize("kind", OTHER_ERRORS)
def test_other_errors_can_be_pickled(kind: type[errors.WebhooksError]) -> None:
    twin = pickle.loads(pickle.dumps(kind("what to do")))  # noqa: S301
    assert type(twin) is kind
    assert str(twin) == "what to do"


def test_pickled_error_keeps_oauth_fields() -> None:
    error = errors.AuthenticationError("token: 401.", operation="token", status=401)
    assert (error.error, error.error_description) == (None, None)
    error.error, error.error_description = "invalid_client", "unknown client"
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (twin.error, twin.error_description) == ("invalid_client", "unknown client")
    assert errors.AuthenticationError("again", operation="token").error is None


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (errors.ConfigurationError, (errors.WebhooksError, ValueError)),
        (errors.InvalidArgumentError, (errors.WebhooksError, ValueError)),
        (errors.DecodeError, (errors.WebhooksError, ValueError)),
        (errors.ClientClosedError, (errors.WebhooksError, RuntimeError)),
        (errors.JournalError, (errors.ReplayError,)),
        (errors.ReplayStoppedError, (errors.ReplayError,)),
        (errors.JournalLockedError, (errors.JournalError,)),
        (errors.APIConnectionError, (errors.APIError,)),
        (errors.APITimeoutError, (errors.APIConnectionError,)),
        (errors.APIStatusError, (errors.APIError,)),
        (errors.ResponseDecodeError, (errors.APIError,)),
        (errors.BadRequestError, (errors.APIStatusError,)),
        (errors.AuthenticationError, (errors.APIStatusError,)),
        (errors.PermissionDeniedError, (errors.APIStatusError,)),
        (errors.NotFoundError, (errors.APIStatusError,)),
        (errors.ConflictError, (errors.APIStatusError,)),
        (errors.UnprocessableEntityError, (errors.APIStatusError,)),
        (errors.RateLimitError, (errors.APIStatusError,)),
        (errors.InternalServerError, (errors.APIStatusError,)),
    ],
)
def test_base_classes(kind: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(kind, base) for base in bases)
    assert issubclass(kind, errors.WebhooksError)


def test_every_error_is_exported() -> None:
    kinds = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert kinds == {*API_ERRORS, *OTHER_ERRORS}
    assert {kind.__name__ for kind in kinds} == set(errors.__all__)
    assert all(getattr(webhooks_sdk, kind.__name__) is kind for kind in kinds)


def test_defaults_without_a_response() -> None:
    error = errors.APIConnectionError("get: lost.", operation="get")
    assert error.headers == Headers()
    assert (error.status, error.body, error.retry_after, error.hook_id) == (None, None, None, None)
    assert (error.attempts, error.outcome_unknown) == (0, False)
    assert error.correlation_id is None


@pytest.mark.parametrize(
    ("operation", "advice"),
    [
        (
            "redeliver",
            "The event may have been delivered: check `list_events` before sending it again.",
        ),
        (
            "create",
            "The subscription may have been created: check `list` before creating it again.",
        ),
        ("update", "The request may have taken effect: check `get` before updating again."),
        ("delete", "The request may have taken effect: check `list` before deleting again."),
        ("unknown", "The request may have taken effect: check before sending it again."),
    ],
)
def test_advice_after_an_unknown_outcome(operation: str, advice: str) -> None:
    error = errors.APIError("It failed.", operation=operation, outcome_unknown=True)
    assert str(error) == f"It failed. {advice}"
    error.outcome_unknown = False
    assert str(error) == "It failed."


@pytest.mark.parametrize("unknown", [True, False])
def test_message_includes_advice_if_the_outcome_is_unknown(unknown: bool) -> None:
    error = errors.APITimeoutError("redeliver: timed out.", operation="redeliver")
    error.outcome_unknown = unknown
    assert str(error).startswith("redeliver: timed out.")
    assert ("may have been delivered" in str(error)) is unknown
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["X-Request-Id", "Request-Id", "X-Correlation-ID", "x-amzn-RequestId", "X-Trace-Id"]
)
def test_correlation_id_headers(name: str) -> None:
    error = errors.APIError("m", operation="list", headers=Headers([("Date", "d"), (name, "id-1")]))
    assert error.correlation_id == "id-1"


def test_request_id_is_not_the_correlation_id() -> None:
    error = errors.APIError("m", operation="redeliver", request_id=REQUEST)
    assert error.request_id == REQUEST
    assert error.correlation_id is None
