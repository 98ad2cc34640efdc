"""Replay through `client.hooks`, against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from support.fault_server import respond
from support.harness import BACKENDS
from support.samples import HOOK_ID
from support.samples import event as sample_event

from webhooks_sdk import AsyncClient, Client, ClientCredentials, InvalidArgumentError
from webhooks_sdk.replay import Journal, Target
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fault_server import Behaviour, FaultServer
    from support.harness import Backend, ClientHarness

    from webhooks_sdk.replay import TargetLike

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


def respond_at(now: datetime, *events: dict[str, Any]) -> Behaviour:
    """List events, with a date."""
    return respond(200, [*events], [("Date", format_datetime(now, usegmt=True))])


def event_at(moment: datetime, status: int | None) -> dict[str, Any]:
    times = dict.fromkeys(("enqueued_at", "created_at", "updated_at"), moment.isoformat())
    return sample_event(response_status=status, redelivery=False) | times


def test_list_undelivered_uses_the_clock_of_the_service_if_it_is_ahead(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client("token", base_url=server.url)
    now = datetime.now(UTC) + timedelta(days=1)
    since = now - timedelta(hours=1)
    server.add(respond_at(now, event_at(now - timedelta(minutes=3), None)))
    found = client.hooks.list_undelivered(HOOK_ID, since=since)
    assert (len(found), found.coverage.pending) == (1, 0)
    server.add(respond_at(now, event_at(now - timedelta(minutes=1), None)))
    found = client.hooks.list_undelivered(HOOK_ID, since=since)
    assert (len(found), found.coverage.pending) == (0, 1)
    # Without a date, the window is in the future.
    with pytest.raises(InvalidArgumentError, match="since must not be in the future"):
        client.hooks.list_undelivered(HOOK_ID, since=since)


def test_recover_uses_the_clock_of_the_service_if_it_is_ahead(
    server: FaultServer, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    since = now - timedelta(hours=1)
    journal = tmp_path / "journal"
    with Client("token", base_url=server.url) as client:
        with (
            pytest.raises(InvalidArgumentError, match="since must not be in the future"),
            client.hooks.recover(HOOK_ID, since=since, journal=journal),
        ):
            pass
        server.add(respond_at(now, event_at(now - timedelta(minutes=3), None)))
        with client.hooks.recover(HOOK_ID, since=since, journal=journal) as replay:
            assert replay.run().counts["delivered"] == 1
    with Journal(journal) as reader:
        assert reader.plan is not None
        assert reader.plan.until is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_recover_uses_the_clock_of_the_service_if_it_is_ahead_async(
    server: FaultServer, backend: Backend
) -> None:
    async def main() -> None:
        now = datetime.now(UTC) + timedelta(days=1)
        since = now - timedelta(hours=1)
        async with AsyncClient("token", base_url=server.url) as client:
            with pytest.raises(InvalidArgumentError, match="since must not be in the future"):
                async with client.hooks.recover(HOOK_ID, since=since):
                    pass
            server.add(respond_at(now, event_at(now - timedelta(minutes=3), None)))
            async with client.hooks.recover(HOOK_ID, since=since) as replay:
                assert (await replay.run()).counts["delivered"] == 1

    anyio.run(main, backend=backend)


def test_without_until_the_window_ends_now_even_if_the_clock_of_the_service_is_ahead() -> None:
    with Sandbox() as sandbox, Subscriber() as subscriber:
        outage = Outage(sandbox, subscriber)
        subscriber.fail(503)
        sandbox.advance(timedelta(hours=3))
        [later] = sandbox.publish("application_form:quoted", {})
        subscriber.recover()
        with outage.client() as client:
            with client.hooks.recover(outage.hook_id, since=outage.since) as replay:
                sent = {outcome.request_id for outcome in replay}
            assert sent == {*outage.missed, later.event_id}


def test_targets_can_be_pairs_events_and_targets(outage: Outage) -> None:
    first, second, third, *_ = outage.missed
    with outage.client() as client:
        events = {attempt.id: attempt for attempt in client.hooks.list_events(outage.hook_id)}
        targets: list[TargetLike] = [
            (str(outage.hook_id), first),
            events[second],
            Target(outage.hook_id, third),
        ]
        with client.hooks.redeliver_many(targets) as replay:
            assert replay.run().counts["delivered"] == 3
        with (
            client.hooks.redeliver_many([*targets, [first]]) as replay,  # type: ignore[list-item]
            pytest.raises(
                InvalidArgumentError,
                match=r"^targets\[3\] must be a \(hook_id, request_id\) pair, .* got list\.$",
            ),
        ):
            replay.run()


def test_arguments_are_validated_on_the_call(outage: Outage) -> None:
    with outage.client() as client:
        with pytest.raises(InvalidArgumentError, match="hook_id"):
            client.hooks.recover("no id", since=outage.since)
        with pytest.raises(InvalidArgumentError, match="since must be an aware datetime"):
            client.hooks.recover(outage.hook_id, since=outage.since.replace(tzinfo=None))
        with pytest.raises(InvalidArgumentError, match="concurrency must be"):
            client.hooks.redeliver_many([], concurrency=0)
