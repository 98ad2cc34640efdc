"""The `Date` header: the time of the tenant's clock in responses of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from freezegun import freeze_time
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Fault, Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhooks_sdk.sandbox import Tenant

WEEK = timedelta(weeks=1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def date_of(response: httpx.Response) -> datetime:
    (date,) = response.headers.get_list("date")
    return parsedate_to_datetime(date)


def is_dated_by(clock: Callable[[], datetime], send: Callable[[], httpx.Response]) -> bool:
    """Return whether the date of a response is that of a clock, which is read before and after."""
    before = clock().replace(microsecond=0)
    date = date_of(send())
    return before <= date <= clock()


def uses_clock_of(tenant: Tenant, send: Callable[[], httpx.Response]) -> bool:
    return is_dated_by(lambda: tenant.now, send)


def test_every_response_to_a_client_is_dated_by_the_clock_of_its_tenant(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging")
    with SandboxClient(tenant) as client, Subscriber() as subscriber:
        client.subscribe(subscriber.url)
        (attempt,) = tenant.publish(EVENT, {})
        tenant.advance(WEEK)
        sandbox.advance(2 * WEEK)
        redelivery = f"/hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver"
        form = {"client_id": tenant.client_id, "client_secret": "wrong"}
        assert uses_clock_of(tenant, lambda: client.get("/hooks"))
        assert uses_clock_of(tenant, lambda: client.post(redelivery))
        assert uses_clock_of(tenant, lambda: client.get("/hooks/nothing"))
        assert uses_clock_of(tenant, lambda: client.post("/hooks", content=b" " * 2_000_000))
        assert uses_clock_of(tenant, lambda: httpx.post(tenant.token_url, data=form))
        for kind in ("rate_limited", "malformed_json", "slow_drip", "huge_body", "unauthorized"):
            settings = {"seconds": 0.0} if kind == "slow_drip" else {}
            tenant.inject(Fault(kind, times=1, **settings))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - valid settings
            assert uses_clock_of(tenant, lambda: client.get("/hooks"))
        tenant.expire_tokens()
        assert uses_clock_of(tenant, lambda: client.get("/hooks"))
        # A request without a token belongs to the first tenant.
        assert uses_clock_of(sandbox, lambda: httpx.get(f"{tenant.base_url}/hooks"))
        tenant.reset()
        assert tenant.now < sandbox.now - WEEK


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/_sandbox/state", "/inspector/nothing"])
def test_other_responses_have_the_real_time(sandbox: Sandbox, path: str) -> None:
    sandbox.advance(WEEK)
    assert is_dated_by(lambda: datetime.now(UTC), lambda: httpx.get(sandbox.base_url + path))


def test_a_frozen_clock_does_not_affect_the_date(sandbox: Sandbox) -> None:
    with SandboxClient(sandbox) as client, Subscriber() as subscriber:
        with freeze_time("2001-02-03"):
            response = client.get("/hooks")
            received = httpx.post(subscriber.url)
        assert sandbox.now - date_of(response) < timedelta(minutes=1)
        assert sandbox.now - date_of(received) < timedelta(minutes=1)
