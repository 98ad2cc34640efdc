"""From the delivery id in a receiver's log to the event, and the warning about inactive hooks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from support.samples import DELIVERY_ID, HOOK_ID, REQUEST_ID, event, subscription

from webhooks_sdk import (
    UNSET,
    AttemptNotListedError,
    InvalidArgumentError,
    RetryPolicy,
    Unset,
    WebhooksError,
)

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock
    from support.harness import ClientHarness

    from webhooks_sdk import Client

OTHER = UUID(int=1)


@pytest.fixture
def client(harness: ClientHarness) -> Client:
    return harness.client("a-token", base_url="https://api.example", retry=RetryPolicy.none())


def test_an_attempt_is_found_by_its_delivery_id(client: Client, httpx_mock: HTTPXMock) -> None:
    others = [event(delivery_id=str(UUID(int=n)), id=str(UUID(int=n))) for n in range(2, 5)]
    httpx_mock.add_response(json=[*others, event()])
    found = client.hooks.find_attempt(HOOK_ID, str(DELIVERY_ID))
    assert (found.delivery_id, found.id) == (DELIVERY_ID, REQUEST_ID)
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.path) == ("GET", f"/hooks/{HOOK_ID}/requests")


def test_an_attempt_that_is_not_listed_is_an_error(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=[event(created_at="2020-09-30T21:18:03.426Z")])
    with pytest.raises(AttemptNotListedError) as caught:
        client.hooks.find_attempt(HOOK_ID, OTHER)
    assert isinstance(caught.value, WebhooksError)
    assert isinstance(caught.value, LookupError)
    message = str(caught.value)
    for part in (str(OTHER), str(HOOK_ID), "1 attempts", "2020-09-30T21:18:03.426Z"):
        assert part in message


def test_an_empty_list_is_named_as_such(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=[])
    with pytest.raises(AttemptNotListedError, match="which is empty"):
        client.hooks.find_attempt(HOOK_ID, OTHER)


@pytest.mark.parametrize(
    ("hook_id", "delivery_id", "named"), [("x", OTHER, "hook_id"), (HOOK_ID, "x", "delivery_id")]
)
def test_ids_are_checked_before_anything_is_sent(
    client: Client, httpx_mock: HTTPXMock, hook_id: str, delivery_id: str, named: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        client.hooks.find_attempt(hook_id, delivery_id)
    assert httpx_mock.get_requests() == []


CREATED_INACTIVE = f"subscription {HOOK_ID} was created inactive"


@pytest.mark.parametrize(
    ("requested", "returned", "warning"),
    [
        (UNSET, False, f"{CREATED_INACTIVE}: "),
        (True, False, f"{CREATED_INACTIVE} although active=True was requested: "),
        (False, False, None),
        (UNSET, True, None),
        (True, True, None),
        (False, True, None),
    ],
)
def test_creating_an_inactive_subscription_logs_a_warning_unless_requested(  # noqa: PLR0917
    client: Client,
    httpx_mock: HTTPXMock,
    caplog: pytest.LogCaptureFixture,
    requested: bool | Unset,
    returned: bool,
    warning: str | None,
) -> None:
    httpx_mock.add_response(json=subscription(active=returned))
    client.hooks.create(url="https://example.com", events=["*"], active=requested)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == (0 if warning is None else 1)
    assert all(one.startswith(str(warning)) for one in warnings)
