"""Replay through `client.hooks`, against the sandbox."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from support.harness import BACKENDS

from webhooks_sdk import AsyncClient, Client, ClientCredentials, InvalidArgumentError
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.harness import Backend

EVENTS = 6


class Outage:
    """A subscription that received one event, and missed the following ones."""

    def __init__(self, sandbox: Sandbox, subscriber: Subscriber) -> None:
        self.credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        self.urls: dict[str, Any] = {
            "base_url": sandbox.base_url,
            "token_url": sandbox.token_url,
        }
        with self.client() as client:
            self.hook_id = client.hooks.create(url=subscriber.url, events=["*"], active=True).id
        sandbox.publish("application_form:quoted", {})
        subscriber.fail(503)
        missed = [sandbox.publish("application_form:quoted", {"n": n}) for n in range(EVENTS)]
        subscriber.recover()
        self.missed = [attempt.event_id for (attempt,) in missed]
        self.targets = [(self.hook_id, event_id) for event_id in self.missed]
        self.since = sandbox.now - timedelta(hours=1)

    def client(self, **options: Any) -> Client:
        return Client(self.credentials, **self.urls, **options)

    def async_client(self, **options: Any) -> AsyncClient:
        return AsyncClient(self.credentials, **self.urls, **options)


@pytest.fixture
def outage() -> Iterator[Outage]:
    with Sandbox() as sandbox, Subscriber() as subscriber:
        yield Outage(sandbox, subscriber)


def test_recover_sends_the_events_of_list_undelivered(outage: Outage, tmp_path: Path) -> None:
    with outage.client() as client:
        found = client.hooks.list_undelivered(outage.hook_id, since=outage.since)
        assert [event.id for event in found] == outage.missed
        journal = tmp_path / "outage.sqlite"
        with client.hooks.recover(outage.hook_id, since=outage.since, journal=journal) as replay:
            assert {outcome.request_id for outcome in replay} == set(outage.missed)
        assert replay.report.counts["delivered"] == EVENTS
        assert len(client.hooks.list_undelivered(outage.hook_id, since=outage.since)) == 0
        with client.hooks.recover(outage.hook_id, since=outage.since, journal=journal) as replay:
            assert replay.run().counts["skipped"] == EVENTS


@pytest.mark.parametrize("backend", BACKENDS)
def test_recover_sends_the_events_of_list_undelivered_async(
    outage: Outage, backend: Backend, tmp_path: Path
) -> None:
    async def main() -> None:
        hook_id, since, journal = outage.hook_id, outage.since, tmp_path / "outage.sqlite"
        async with outage.async_client() as client:
            found = await client.hooks.list_undelivered(hook_id, since=since)
            assert [event.id for event in found] == outage.missed
            async with client.hooks.recover(hook_id, since=since, journal=journal) as replay:
                assert {outcome.request_id async for outcome in replay} == set(outage.missed)
            assert replay.report.counts["delivered"] == EVENTS
            async with client.hooks.recover(hook_id, since=since, journal=journal) as replay:
                assert (await replay.run()).counts["skipped"] == EVENTS

    anyio.run(main, backend=backend)


def test_more_requests_in_flight_than_connections(outage: Outage) -> None:
    with (
        outage.client(max_connections=1) as client,
        client.hooks.redeliver_many(outage.targets, concurrency=4) as replay,
    ):
        assert replay.run().counts["delivered"] == EVENTS


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_requests_in_flight_than_connections_async(outage: Outage, backend: Backend) -> None:
    async def main() -> None:
        async with (
            outage.async_client(max_connections=1) as client,
            client.hooks.redeliver_many(outage.targets, concurrency=4) as replay,
        ):
            assert (await replay.run()).counts["delivered"] == EVENTS

    anyio.run(main, backend=backend)


def test_a_custom_http_client_is_used(outage: Outage) -> None:
    seen: list[str] = []

    def note(request: httpx.Request) -> None:
        seen.append(request.url.path)

    with (
        httpx.Client(event_hooks={"request": [note]}) as http_client,
        outage.client(http_client=http_client) as client,
        client.hooks.redeliver_many(outage.targets, concurrency=200) as replay,
    ):
        replay.run()
    assert sum(path.endswith("/redeliver") for path in seen) == EVENTS


def test_arguments_are_validated_on_the_call(outage: Outage) -> None:
    with outage.client() as client:
        with pytest.raises(InvalidArgumentError, match="hook_id"):
            client.hooks.recover("no id", since=outage.since)
        with pytest.raises(InvalidArgumentError, match="since must be an aware datetime"):
            client.hooks.recover(outage.hook_id, since=outage.since.replace(tzinfo=None))
        with pytest.raises(InvalidArgumentError, match="concurrency must be"):
            client.hooks.redeliver_many([], concurrency=0)
