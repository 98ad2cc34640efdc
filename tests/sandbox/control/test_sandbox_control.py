"""The control API: the Python API of the sandbox over HTTP."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Fault, Sandbox, Subscriber, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    url = f"{sandbox.base_url}/_sandbox/"
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def test_publishes_events(sandbox: Sandbox, control: httpx.Client, client: SandboxClient) -> None:
    with Subscriber() as subscriber:
        row = client.subscribe(subscriber.url, secret="hush")
        response = control.post("events", json={"event": EVENT, "payload": {"id": "ä"}})
        (delivery,) = subscriber.deliveries
    assert delivery.json() == {"id": "ä"}
    assert response.status_code == 200
    (attempt,) = response.json()["attempts"]
    (recorded,) = sandbox.attempts
    assert attempt["delivery_id"] == str(recorded.delivery_id)
    assert attempt["hook_id"] == row["id"]
    assert (attempt["delivered"], attempt["status"], attempt["failure"]) == (True, 200, None)
    assert dict(attempt["request_headers"])["X-Signature"] == recorded.signature
    assert datetime.fromisoformat(attempt["started_at"]) == recorded.started_at


def test_advances_the_clock(sandbox: Sandbox, control: httpx.Client, client: SandboxClient) -> None:
    with Subscriber(status=503) as subscriber:
        client.subscribe(subscriber.url)
        control.post("events", json={"event": EVENT})
        (retry,) = control.get("retries").json()
        assert retry["retry"] == 1
        response = control.post("advance", json={"weeks": 3}).json()
    assert [attempt["retry"] for attempt in response["attempts"]] == list(range(1, 26))
    assert datetime.fromisoformat(response["now"]) <= sandbox.now
    assert control.get("retries").json() == []
    assert control.post("advance", json={"days": 0, "seconds": 0.5}).json()["attempts"] == []


def test_injects_lists_and_clears_faults(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    fault = {"kind": "rate_limited", "operation": "list", "times": 2, "retry_after": 3}
    response = control.post("faults", json=[fault, {"kind": "reset_after", "operation": "get"}])
    assert response.status_code == 200
    assert sandbox.faults == (
        Fault("rate_limited", operation="list", times=2, retry_after=3),
        Fault("reset_after", operation="get"),
    )
    assert client.get("/hooks").headers["retry-after"] == "3"
    assert control.get("faults").json() == [
        {**fault, "times": 1, "probability": 1.0},
        {"kind": "reset_after", "operation": "get", "times": None, "probability": 1.0},
    ]
    assert control.post("faults", json={"kind": "latency"}).json()[-1]["seconds"] == 1
    assert control.delete("faults").status_code == 204
    assert control.get("faults").json() == []


def test_sets_variants(sandbox: Sandbox, control: httpx.Client) -> None:
    assert control.put("variants", json={"name": "all_different"}).json()["create_status"] == 200
    assert sandbox.variants == Variants.named("all_different")
    control.put("variants", json={"seed": 4})
    assert sandbox.variants == Variants.from_seed(4)
    control.put("variants", json={"order": "shuffled", "max_listed": 7})
    assert sandbox.variants == Variants(order="shuffled", max_listed=7)
    assert control.get("variants").json()["max_listed"] == 7


@pytest.mark.parametrize("variants", [{"create_status": 200.0}, {"max_listed": 10**30}])
def test_invalid_variants_are_rejected(
    sandbox: Sandbox, control: httpx.Client, variants: dict[str, object]
) -> None:
    assert control.put("variants", json=variants).status_code == 422
    assert sandbox.variants == Variants()


def test_pages_attempts(sandbox: Sandbox, control: httpx.Client, client: SandboxClient) -> None:
    with Subscriber() as subscriber:
        row = client.subscribe(subscriber.url)
        for number in range(5):
            subscriber.status = 200 if number % 2 else 500
            sandbox.publish(EVENT, {})
    first = control.get("attempts", params={"limit": 3}).json()
    rest = control.get("attempts", params={"before": first["next_before"]}).json()
    assert rest["next_before"] is None
    found = [attempt["delivery_id"] for attempt in first["attempts"] + rest["attempts"]]
    assert found == [str(attempt.delivery_id) for attempt in reversed(sandbox.attempts)]
    failed = control.get("attempts", params={"state": "failed", "hook_id": row["id"]}).json()
    assert [attempt["failure"] for attempt in failed["attempts"]] == 3 * [
        "the subscriber returned 500"
    ]
    event_id = found and first["attempts"][0]["event_id"]
    assert len(control.get("attempts", params={"event_id": event_id}).json()["attempts"]) == 1


def test_adds_lists_and_deletes_tenants(sandbox: Sandbox, control: httpx.Client) -> None:
    created = control.post("tenants", json={"environment": "staging", "client_id": "them"})
    assert created.status_code == 201
    row = created.json()
    assert row["base_url"] == f"{sandbox.base_url}/staging"
    tenant = sandbox.tenants[1]
    assert (row["client_id"], row["client_secret"]) == ("them", tenant.client_secret)
    listed = control.get("tenants").json()
    assert [row["tenant_id"] for row in listed] == [str(item.tenant_id) for item in sandbox.tenants]
    assert "secret" not in str(listed)
    params = {"tenant": row["tenant_id"]}
    control.post("faults", json={"kind": "server_error"}, params=params)
    assert (sandbox.faults, len(tenant.faults)) == ((), 1)
    assert control.get("state", params=params).json()["client_id"] == "them"
    assert control.delete(f"tenants/{row['tenant_id']}").status_code == 204
    assert control.get("state", params=params).status_code == 404
    assert len(sandbox.tenants) == 1
    assert control.delete(f"tenants/{sandbox.tenant_id}").status_code == 409


def test_expires_tokens_resets_and_returns_the_state(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    client.subscribe("http://127.0.0.1:9/")
    state = control.get("state").json()
    assert (state["subscriptions"], state["pending_retries"]) == (1, [])
    assert datetime.fromisoformat(state["now"]) <= sandbox.now
    assert state["version"] == sandbox.changes.version
    assert sandbox.client_secret not in str(state)
    assert control.post("reset", json={}).status_code == 204
    assert sandbox.subscriptions == ()
    assert client.get("/hooks").status_code == 200
    assert control.post("tokens/expire", json={}).status_code == 204
    assert client.get("/hooks").status_code == 401


def test_subscriber_paths_respond_with_their_status(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    for status in (200, 204, 302, 503):
        client.subscribe(f"{control.base_url}subscriber/{status}/name")
    statuses = {attempt.status for attempt in sandbox.publish(EVENT, {"id": 1})}
    assert statuses == {200, 204, 302, 503}


def test_control_requests_are_not_recorded(sandbox: Sandbox, control: httpx.Client) -> None:
    control.get("state")
    assert sandbox.requests == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "nowhere", None, 404, "The control API has: state, tenants"),
        ("GET", "", None, 404, "The control API has"),
        ("PATCH", "state", None, 405, "Method not allowed"),
        ("GET", "state?tenant=me", None, 422, "tenant must be a UUID"),
        (
            "GET",
            "state?tenant=00000000-0000-4000-8000-000000000000",
            None,
            404,
            "There is no tenant",
        ),
        ("POST", "events", [], 400, "must be a JSON object"),
        ("POST", "events", {}, 422, "event must be a subject:action or a subject"),
        ("POST", "events", {"event": "a b"}, 422, "event must be a subject:action or a subject"),
        ("POST", "events", {"event": "a.b"}, 422, "did you mean 'a:b'?"),
        ("POST", "events", {"event": "a", "payload": 1}, 422, "payload must be an object"),
        ("POST", "events", {"event": "a", "body": 1}, 422, "Unknown fields: body"),
        ("POST", "advance", {}, 422, "The body has no step"),
        ("POST", "advance", {"seconds": "1"}, 422, "seconds must be a number"),
        ("POST", "advance", {"seconds": True}, 422, "seconds must be a number"),
        ("POST", "advance", {"seconds": -1}, 422, "step must not be negative"),
        ("POST", "advance", {"weeks": 1e300}, 422, "too long"),
        ("POST", "advance", {"weeks": 10**6}, 422, "past the year"),
        ("POST", "advance", {"years": 1}, 422, "Unknown fields: years"),
        ("POST", "faults", 1, 422, "A fault must be an object"),
        ("POST", "faults", {"kind": "x"}, 422, "kind must be one of"),
        (
            "POST",
            "faults",
            [{"kind": "latency"}, {"time": 1}],
            422,
            "Unknown settings of a fault: 'time'",
        ),
        ("PUT", "variants", {"name": "x"}, 422, "There are no variants named 'x'"),
        ("PUT", "variants", {"seed": "x"}, 422, "There are no variants named 'x'"),
        ("PUT", "variants", {"seed": 1.5}, 422, "got 1.5"),
        ("PUT", "variants", {"max_listed": "x"}, 422, "max_listed"),
        ("PUT", "variants", {"colour": 1}, 422, "Unknown fields: colour"),
        ("POST", "tenants", {"environment": "moon"}, 422, "environment must be"),
        ("POST", "tenants", {"client_id": 1}, 422, "must be strings"),
        ("POST", "tenants", {"client_id": ""}, 422, "must not be empty"),
        ("POST", "tenants", {"name": "x"}, 422, "Unknown fields: name"),
        ("DELETE", "tenants/x", None, 422, "must be a UUID"),
        ("GET", "attempts?limit=0", None, 422, "limit must be an integer"),
        ("GET", "attempts?limit=1001", None, 422, "limit must be an integer"),
        ("GET", "attempts?before=99999999999999999999", None, 422, "before"),
        ("GET", "attempts?before=\u0663", None, 422, "before"),
        ("GET", "attempts?hook_id=x", None, 422, "hook_id must be a UUID"),
        ("GET", "attempts?state=x", None, 422, "state must be one of"),
        ("GET", "attempts?page=1", None, 422, "Unknown fields: page"),
    ],
)
def test_reports_invalid_requests(
    control: httpx.Client, *, method: str, path: str, body: Any, status: int, message: str
) -> None:
    response = control.request(method, path, json=body)
    assert response.status_code == status
    assert message in response.json()["message"]


def test_faults_are_added_together_or_not_at_all(sandbox: Sandbox, control: httpx.Client) -> None:
    control.post("faults", json=[{"kind": "latency"}, {"kind": "nonsense"}])
    assert sandbox.faults == ()


def test_stopping_does_not_wait_for_control_requests() -> None:
    with Subscriber(delay=600) as subscriber:
        sandbox = Sandbox()
        failures: list[Exception] = []
        with sandbox, SandboxClient(sandbox) as client:
            client.subscribe(subscriber.url)
            url = f"{sandbox.base_url}/_sandbox/events"

            def publish() -> None:
                try:
                    httpx.post(url, json={"event": EVENT}, timeout=60)
                except httpx.TransportError as error:
                    failures.append(error)

            thread = threading.Thread(target=publish)
            thread.start()
            subscriber.wait_for(1)
        thread.join()
        assert len(failures) == 1


def test_tenant_can_be_deleted_during_a_delivery(sandbox: Sandbox, control: httpx.Client) -> None:
    with Subscriber(delay=600) as subscriber:
        tenant = sandbox.add_tenant()
        with SandboxClient(tenant) as client:
            client.subscribe(subscriber.url)
        statuses: list[int] = []

        def publish() -> None:
            response = httpx.post(
                f"{control.base_url}events",
                json={"event": EVENT},
                params={"tenant": str(tenant.tenant_id)},
                timeout=60,
            )
            statuses.append(response.status_code)

        thread = threading.Thread(target=publish)
        thread.start()
        subscriber.wait_for(1)
        assert control.delete(f"tenants/{tenant.tenant_id}").status_code == 204
        subscriber.stop()
        thread.join()
    assert statuses == [200]


def test_tenant_can_be_deleted_during_advance(sandbox: Sandbox, control: httpx.Client) -> None:
    with Subscriber(status=503) as subscriber, sandbox.add_tenant() as tenant:
        with SandboxClient(tenant) as client:
            client.subscribe(subscriber.url)
        tenant.publish(EVENT, {})
        subscriber.hang()
        statuses: list[int] = []

        def advance() -> None:
            url = f"{control.base_url}advance?tenant={tenant.tenant_id}"
            statuses.append(httpx.post(url, json={"hours": 1}, timeout=60).status_code)

        thread = threading.Thread(target=advance)
        thread.start()
        subscriber.wait_for(2)
        assert control.delete(f"tenants/{tenant.tenant_id}").status_code == 204
        subscriber.stop()
        thread.join()
    assert statuses == [404]


def test_units_of_a_step_add_up(sandbox: Sandbox, control: httpx.Client) -> None:
    before = sandbox.now
    control.post("advance", json={"days": 1, "hours": 2, "minutes": 3})
    assert sandbox.now - before >= timedelta(days=1, hours=2, minutes=3)
