"""The pytest plugin with pytest-httpx, which patches httpx, and freezegun, which freezes clocks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import httpx
import pytest
from freezegun import freeze_time
from support.sandbox_helpers import EVENT

from webhooks_sdk import Client, ClientCredentials

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

    from webhooks_sdk.sandbox import Subscriber, Tenant

pytest_plugins = ["pytester"]


def create_client(sandbox: Tenant) -> Client:
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    return Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url)


def test_pytest_httpx_does_not_affect_deliveries(
    httpx_mock: HTTPXMock, webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    subscribe_without_httpx(webhooks_sandbox, webhooks_subscriber.url)
    (attempt,) = webhooks_sandbox.publish(EVENT, {"id": 1})
    assert attempt.delivered
    assert [delivery.json() for delivery in webhooks_subscriber.deliveries] == [{"id": 1}]
    assert httpx_mock.get_requests() == []


def subscribe_without_httpx(sandbox: Tenant, url: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
    }
    with urlopen(sandbox.token_url, urlencode(form).encode()) as response:
        token = json.load(response)["access_token"]
    body = json.dumps({"url": url, "events": ["*"], "active": True}).encode()
    bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urlopen(Request(f"{sandbox.base_url}/hooks", body, bearer)) as response:
        assert response.status in {200, 201}


def test_pytest_httpx_mocks_requests_of_the_client_by_default(
    httpx_mock: HTTPXMock, webhooks_sandbox: Tenant
) -> None:
    token = {"access_token": "a", "token_type": "bearer", "expires_in": 60}
    httpx_mock.add_response(url=webhooks_sandbox.token_url, json=token)
    httpx_mock.add_response(url=f"{webhooks_sandbox.base_url}/hooks", json=[])
    with create_client(webhooks_sandbox) as client:
        assert client.hooks.list() == []
    assert webhooks_sandbox.requests == ()


def is_not_local(request: httpx.Request) -> bool:
    return request.url.host != "127.0.0.1"


@pytest.mark.httpx_mock(should_mock=is_not_local)
def test_should_mock_lets_requests_of_the_client_through(
    httpx_mock: HTTPXMock, webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    httpx_mock.add_response(url="https://example.com/", text="mocked")
    with create_client(webhooks_sandbox) as client:
        client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
        (attempt,) = webhooks_sandbox.publish(EVENT, {"id": 1})
        assert client.hooks.redeliver(attempt.hook_id, attempt.event_id).delivered
    assert len(webhooks_subscriber.deliveries) == 2
    assert httpx.get("https://example.com/").text == "mocked"


@freeze_time("2001-02-03 04:05:06")
def test_freezegun_does_not_affect_the_delay_of_the_subscriber(
    webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    with create_client(webhooks_sandbox) as client:
        client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
        webhooks_subscriber.delay = 0.01
        (attempt,) = webhooks_sandbox.publish(EVENT, {})
    assert attempt.delivered
    assert attempt.duration_ms is not None
    assert attempt.duration_ms >= 10
    # The real time, not the frozen one.
    assert attempt.started_at.year > 2001


@freeze_time("2001-02-03 04:05:06")
def test_freezegun_does_not_affect_timeouts_of_the_sandbox(
    webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    webhooks_sandbox.response_timeout = 0.05
    with create_client(webhooks_sandbox) as client:
        client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
        webhooks_subscriber.hang()
        (attempt,) = webhooks_sandbox.publish(EVENT, {})
    assert attempt.status is None
    assert "within 0.05 s" in (attempt.error or "")


def test_the_clock_may_be_frozen_before_the_sdk_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makepyfile("""
        import sys
        from datetime import datetime

        import pytest
        from freezegun import freeze_time

        @pytest.fixture(scope="session", autouse=True)
        def freezer():
            assert "webhooks_sdk" not in sys.modules
            freezer = freeze_time("2001-02-03")
            freezer.start()
            return freezer

        def use(webhooks_sandbox, webhooks_subscriber):
            from webhooks_sdk import Client, ClientCredentials

            credentials = ClientCredentials(
                webhooks_sandbox.client_id, webhooks_sandbox.client_secret
            )
            with Client(
                credentials,
                base_url=webhooks_sandbox.base_url,
                token_url=webhooks_sandbox.token_url,
            ) as client:
                hook = client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
                webhooks_subscriber.delay = 0.01
                (attempt,) = webhooks_sandbox.publish("application_form:quoted", {})
                assert attempt.delivered
                assert attempt.duration_ms >= 10
                assert attempt.started_at.year > 2001
                event = client.hooks.redeliver(hook.id, attempt.event_id)
                assert event.enqueued_at.year > 2001
                assert [listed.id for listed in client.hooks.list_events(hook.id)] == [event.id] * 2

        def test_frozen(webhooks_sandbox, webhooks_subscriber):
            assert datetime.now().year == 2001
            use(webhooks_sandbox, webhooks_subscriber)

        def test_afterwards(freezer, webhooks_sandbox, webhooks_subscriber):
            freezer.stop()
            assert datetime.now().year > 2001
            use(webhooks_sandbox, webhooks_subscriber)
    """)
    # schemathesis would import the SDK's dependencies before the clock is frozen.
    options = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
    result = pytester.runpytest_subprocess(*options, timeout=120)
    result.assert_outcomes(passed=2)
