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
    """Return the part of the attempts that is independent of ids, times and URLs."""
    return [
        (one.event, one.number, one.retry, one.status, one.failure, one.duration_ms)
        for one in tenant.attempts
    ]


@pytest.fixture(scope="module")
def demo() -> Sandbox:
    with Sandbox(seed=1, seed_demo=True) as sandbox:
        pass
    return sandbox


def test_the_history_has_everything_the_inspector_shows(demo: Sandbox) -> None:
    attempts = demo.attempts
    assert len({one.event_id for one in attempts}) >= 200
    assert len(demo.subscriptions) == 4
    assert Counter(one.active for one in demo.subscriptions) == {True: 3, False: 1}
    failures = {one.failure for one in attempts}
    assert failures >= {
        None,
        "the subscriber returned 503",
        "the subscriber returned 502",
        "no response within 60 s",
        "the connection did not open within 5 s",
    }
    assert any(one.redelivery for one in attempts)
    assert any(one.retry and one.delivered for one in attempts)
    assert any(one.signature for one in attempts)
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
    starts = [one.started_at for one in demo.attempts]
    assert starts == sorted(starts)
    assert all(one.finished_at and one.finished_at >= one.started_at for one in demo.attempts)
    assert timedelta(days=4) < demo.now - starts[0] < timedelta(days=6)
    assert demo.now - starts[-1] < timedelta(hours=2)
    assert max(one.finished_at for one in demo.attempts if one.finished_at) <= demo.now
    assert all(one.due_at > demo.now - timedelta(minutes=5) for one in demo.pending_retries)


def test_the_history_follows_the_rules_of_the_service(demo: Sandbox) -> None:
    by_event: dict[object, list[Any]] = {}
    for one in demo.attempts:
        by_event.setdefault(one.event_id, []).append(one)
    for attempts in by_event.values():
        assert [one.number for one in attempts] == list(range(1, len(attempts) + 1))
        retries = [one for one in attempts if one.retry is not None]
        assert [one.retry for one in retries] == list(range(len(retries)))
        assert not any(one.delivered for one in retries[:-1])
    pending = {one.event_id: one.retry for one in demo.pending_retries}
    for event_id, retry in pending.items():
        assert sum(one.retry is not None for one in by_event[event_id]) == retry


def test_signatures_in_the_history_are_valid(demo: Sandbox) -> None:
    signed = next(one for one in demo.attempts if one.signature)
    (secret,) = (one.secret for one in demo.subscriptions if one.id == signed.hook_id)
    delivery = Delivery.from_http(
        signed.request_headers, demo.event_body(signed.event_id), secret=secret
    )
    assert delivery.event == signed.event


def test_the_history_is_reproducible_from_the_seed(demo: Sandbox) -> None:
    with Sandbox(seed=1, seed_demo=True) as again, Sandbox(seed=2, seed_demo=True) as other:
        assert outline(again) == outline(demo) != outline(other)
        assert [one.delivery_id for one in again.attempts] == [
            one.delivery_id for one in demo.attempts
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
        assert {one.url.split("/_sandbox")[0] for one in sandbox.subscriptions} == {
            sandbox.base_url
        }
        retries = sandbox.advance(timedelta(hours=1))
        assert retries
        assert {one.status for one in retries} <= {503, 202}
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
        due = [one.due_at for one in sandbox.pending_retries]
    with Sandbox(database=path, seed_demo=True) as sandbox:
        assert outline(sandbox) == attempts
        assert len(sandbox.pending_retries) == pending
        assert [one.due_at for one in sandbox.pending_retries] >= due
