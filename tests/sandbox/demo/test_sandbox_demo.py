"""The demo history of an empty sandbox."""

from __future__ import annotations

import json
import socket
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.sandbox_helpers import SandboxClient

from webhooks_sdk import Client, ClientCredentials, Delivery
from webhooks_sdk.sandbox import Sandbox, Tenant
from webhooks_sdk.sandbox._samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path


def outline(tenant: Tenant) -> list[tuple[Any, ...]]:
    """Return the part of the attempts that is independent of IDs, times and URLs."""
    return [
        (
            attempt.event,
            attempt.number,
            attempt.retry,
            attempt.status,
            attempt.failure,
            attempt.duration_ms,
        )
        for attempt in tenant.attempts
    ]


@pytest.fixture(scope="module")
def demo() -> Sandbox:
    with Sandbox(seed=1, seed_demo=True) as sandbox:
        pass
    return sandbox


def test_the_history_has_everything_the_inspector_shows(demo: Sandbox) -> None:
    attempts = demo.attempts
    assert len({attempt.event_id for attempt in attempts}) >= 200
    assert len(demo.subscriptions) == 4
    assert Counter(subscription.active for subscription in demo.subscriptions) == {
        True: 3,
        False: 1,
    }
    failures = {attempt.failure for attempt in attempts}
    assert failures >= {
        None,
        "the subscriber returned 503",
        "the subscriber returned 502",
        "no response within 60 s",
        "the connection did not open within 5 s",
    }
    assert any(attempt.redelivery for attempt in attempts)
    assert any(attempt.retry and attempt.delivered for attempt in attempts)
    assert any(attempt.signature for attempt in attempts)
    assert len(demo.pending_retries) >= 10


def test_its_payloads_have_the_fields_of_the_samples(demo: Sandbox) -> None:
    names: set[str] = set()
    for attempt in demo.attempts:
        payload = json.loads(demo.event_body(attempt.event_id))
        sample = SAMPLES.get(attempt.event) or SAMPLES[attempt.event.partition(":")[0]]
        assert payload.keys() == json.loads(sample).keys()
        assert "id" in payload
        names.add(attempt.event.partition(":")[0])
    assert names == {name.partition(":")[0] for name in SAMPLES}


def test_failed_attempts_show_what_the_subscriber_responded(demo: Sandbox) -> None:
    for attempt in demo.attempts:
        if attempt.failure is not None and attempt.status is not None:
            assert attempt.response_text
            assert attempt.response_content_type


def test_the_history_is_chronological_and_ends_now(demo: Sandbox) -> None:
    starts = [attempt.started_at for attempt in demo.attempts]
    assert starts == sorted(starts)
    assert all(
        attempt.finished_at and attempt.finished_at >= attempt.started_at
        for attempt in demo.attempts
    )
    assert timedelta(days=4) < demo.now - starts[0] < timedelta(days=6)
    assert demo.now - starts[-1] < timedelta(hours=2)
    assert max(attempt.finished_at for attempt in demo.attempts if attempt.finished_at) <= demo.now
    assert all(retry.due_at > demo.now - timedelta(minutes=5) for retry in demo.pending_retries)


def test_the_history_follows_the_rules_of_the_service(demo: Sandbox) -> None:
    by_event: dict[object, list[Any]] = {}
    for attempt in demo.attempts:
        by_event.setdefault(attempt.event_id, []).append(attempt)
    for attempts in by_event.values():
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        retries = [attempt for attempt in attempts if attempt.retry is not None]
        assert [retry.retry for retry in retries] == list(range(len(retries)))
        assert not any(retry.delivered for retry in retries[:-1])
    pending = {retry.event_id: retry.retry for retry in demo.pending_retries}
    for event_id, retry in pending.items():
        assert sum(attempt.retry is not None for attempt in by_event[event_id]) == retry


def test_signatures_in_the_history_are_valid(demo: Sandbox) -> None:
    signed = next(attempt for attempt in demo.attempts if attempt.signature)
    (secret,) = (
        subscription.secret
        for subscription in demo.subscriptions
        if subscription.id == signed.hook_id
    )
    delivery = Delivery.from_http(
        signed.request_headers, demo.event_body(signed.event_id), secret=secret
    )
    assert delivery.event == signed.event


def test_the_history_is_reproducible_from_the_seed(demo: Sandbox) -> None:
    with Sandbox(seed=1, seed_demo=True) as again, Sandbox(seed=2, seed_demo=True) as other:
        assert outline(again) == outline(demo) != outline(other)
        assert [attempt.delivery_id for attempt in again.attempts] == [
            attempt.delivery_id for attempt in demo.attempts
        ]


def test_the_history_continues_without_contacting_other_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contacted: set[str] = set()
    real_connect = socket.socket.connect

    def recording_connect(self: socket.socket, address: Any) -> None:
        contacted.add(address[0])
        real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording_connect)
    with Sandbox(seed=1, seed_demo=True) as sandbox:
        assert contacted == set()
        assert {
            subscription.url.split("/_sandbox")[0] for subscription in sandbox.subscriptions
        } == {sandbox.base_url}
        retries = sandbox.advance(timedelta(hours=1))
        assert retries
        assert {retry.status for retry in retries} <= {503, 202}
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            crm = sandbox.subscriptions[0]
            event = client.hooks.list_events(crm.id)[0]
            assert client.hooks.redeliver(crm.id, event.id).delivered


def test_a_database_with_data_is_not_filled(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    with Sandbox(database=path) as sandbox, SandboxClient(sandbox) as client:
        client.subscribe("http://127.0.0.1:9/")
    with Sandbox(database=path, seed_demo=True) as sandbox:
        assert len(sandbox.subscriptions) == 1
        assert sandbox.attempts == ()


def test_the_history_is_stored_and_created_once(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    with Sandbox(database=path, seed_demo=True) as sandbox:
        attempts, pending = outline(sandbox), len(sandbox.pending_retries)
        due = [retry.due_at for retry in sandbox.pending_retries]
    with Sandbox(database=path, seed_demo=True) as sandbox:
        assert outline(sandbox) == attempts
        assert len(sandbox.pending_retries) == pending
        assert [retry.due_at for retry in sandbox.pending_retries] >= due
