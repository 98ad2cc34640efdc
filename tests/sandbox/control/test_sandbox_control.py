"""The control API: what Python can do with a sandbox, over HTTP."""

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


def test_it_publishes_events(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    with Subscriber() as subscriber:
        row = client.subscribe(subscriber.url, secret="hush")
        answer = control.post("events", json={"event": EVENT, "payload": {"id": "ä"}})
        (delivery,) = subscriber.deliveries
    assert delivery.json() == {"id": "ä"}
    assert answer.status_code == 200
    (attempt,) = answer.json()["attempts"]
    (recorded,) = sandbox.attempts
    assert attempt["delivery_id"] == str(recorded.delivery_id)
    assert attempt["hook_id"] == row["id"]
    assert (attempt["delivered"], attempt["status"], attempt["failure"]) == (True, 200, None)
    assert dict(attempt["request_headers"])["X-Signature"] == recorded.signature
    assert datetime.fromisoformat(attempt["started_at"]) == recorded.started_at


def test_it_steps_the_clock(sandbox: Sandbox, control: httpx.Client, client: SandboxClient) -> None:
    with Subscriber(status=503) as subscriber:
        client.subscribe(subscriber.url)
        control.post("events", json={"event": EVENT})
        (retry,) = control.get("retries").json()
        assert retry["retry"] == 1
        answer = control.post("advance", json={"weeks": 3}).json()
    assert [one["retry"] for one in answer["attempts"]] == list(range(1, 26))
    assert datetime.fromisoformat(answer["now"]) <= sandbox.now
    assert control.get("retries").json() == []
    assert control.post("advance", json={"days": 0, "seconds": 0.5}).json()["attempts"] == []


def test_it_sets_lists_and_clears_faults(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    one = {"kind": "rate_limited", "operation": "list", "times": 2, "retry_after": 3}
    answer = control.post("faults", json=[one, {"kind": "reset_after", "operation": "get"}])
    assert answer.status_code == 200
    assert sandbox.faults == (
        Fault("rate_limited", operation="list", times=2, retry_after=3),
        Fault("reset_after", operation="get"),
    )
    assert client.get("/hooks").headers["retry-after"] == "3"
    assert control.get("faults").json() == [
        {**one, "times": 1, "probability": 1.0},
        {"kind": "reset_after", "operation": "get", "times": None, "probability": 1.0},
    ]
    assert control.post("faults", json={"kind": "latency"}).json()[-1]["seconds"] == 1
    assert control.delete("faults").status_code == 204
    assert control.get("faults").json() == []


def test_it_sets_variants(sandbox: Sandbox, control: httpx.Client) -> None:
    assert control.put("variants", json={"name": "contrary"}).json()["create_status"] == 200
    assert sandbox.variants == Variants.named("contrary")
    control.put("variants", json={"seed": 4})
    assert sandbox.variants == Variants.from_seed(4)
    control.put("variants", json={"order": "shuffled", "listed": 7})
    assert sandbox.variants == Variants(order="shuffled", listed=7)
    assert control.get("variants").json()["listed"] == 7


@pytest.mark.parametrize("variants", [{"create_status": 200.0}, {"listed": 10**30}])
def test_variants_that_could_not_be_answered_are_refused(
    sandbox: Sandbox, control: httpx.Client, variants: dict[str, object]
) -> None:
    assert control.put("variants", json=variants).status_code == 422
    assert sandbox.variants == Variants()


def test_it_pages_attempts(sandbox: Sandbox, control: httpx.Client, client: SandboxClient) -> None:
    with Subscriber() as subscriber:
        row = client.subscribe(subscriber.url)
        for number in range(5):
            subscriber.status = 200 if number % 2 else 500
            sandbox.publish(EVENT, {})
    first = control.get("attempts", params={"limit": 3}).json()
    rest = control.get("attempts", params={"before": first["next_before"]}).json()
    assert rest["next_before"] is None
    found = [one["delivery_id"] for one in first["attempts"] + rest["attempts"]]
    assert found == [str(one.delivery_id) for one in reversed(sandbox.attempts)]
    failed = control.get("attempts", params={"outcome": "failed", "hook_id": row["id"]}).json()
    assert [one["failure"] for one in failed["attempts"]] == 3 * ["the subscriber returned 500"]
    event_id = found and first["attempts"][0]["event_id"]
    assert len(control.get("attempts", params={"event_id": event_id}).json()["attempts"]) == 1


def test_it_adds_lists_and_deletes_tenants(sandbox: Sandbox, control: httpx.Client) -> None:
    made = control.post("tenants", json={"environment": "staging", "client_id": "them"})
    assert made.status_code == 201
    row = made.json()
    assert row["base_url"] == f"{sandbox.base_url}/staging"
    tenant = sandbox.tenants[1]
    assert (row["client_id"], row["client_secret"]) == ("them", tenant.client_secret)
    listed = control.get("tenants").json()
    assert [one["tenant_id"] for one in listed] == [str(one.tenant_id) for one in sandbox.tenants]
    assert "secret" not in str(listed)
    of_tenant = {"tenant": row["tenant_id"]}
    control.post("faults", json={"kind": "server_error"}, params=of_tenant)
    assert (sandbox.faults, len(tenant.faults)) == ((), 1)
    assert control.get("state", params=of_tenant).json()["client_id"] == "them"
    assert control.delete(f"tenants/{row['tenant_id']}").status_code == 204
    assert control.get("state", params=of_tenant).status_code == 404
    assert len(sandbox.tenants) == 1
    assert control.delete(f"tenants/{sandbox.tenant_id}").status_code == 409


def test_it_expires_tokens_resets_and_says_how_things_stand(
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


def test_it_has_subscribers_that_answer_what_they_are_told(
    sandbox: Sandbox, control: httpx.Client, client: SandboxClient
) -> None:
    for status in (200, 204, 302, 503):
        client.subscribe(f"{control.base_url}subscriber/{status}/name")
    statuses = {one.status for one in sandbox.publish(EVENT, {"id": 1})}
    assert statuses == {200, 204, 302, 503}


def test_its_own_requests_are_not_in_the_log(sandbox: Sandbox, control: httpx.Client) -> None:
    control.get("state")
    assert sandbox.requests == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
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
        ("POST", "events", {}, 422, "event must be a string"),
        ("POST", "events", {"event": "a b"}, 422, "event must be such as"),
        ("POST", "events", {"event": "a", "payload": 1}, 422, "payload must be an object"),
        ("POST", "events", {"event": "a", "body": 1}, 422, "Unknown: body"),
        ("POST", "advance", {}, 422, "Say how far"),
        ("POST", "advance", {"seconds": "1"}, 422, "seconds must be a number"),
        ("POST", "advance", {"seconds": True}, 422, "seconds must be a number"),
        ("POST", "advance", {"seconds": -1}, 422, "step must not be negative"),
        ("POST", "advance", {"weeks": 1e300}, 422, "too long"),
        ("POST", "advance", {"weeks": 10**6}, 422, "beyond the year"),
        ("POST", "advance", {"years": 1}, 422, "Unknown: years"),
        ("POST", "faults", 1, 422, "A fault must be an object"),
        ("POST", "faults", {"kind": "x"}, 422, "kind must be one of"),
        ("POST", "faults", [{"kind": "latency"}, {"time": 1}], 422, "A fault has no 'time'"),
        ("PUT", "variants", {"name": "x"}, 422, "Unknown variants 'x'"),
        ("PUT", "variants", {"seed": "x"}, 422, "Unknown variants 'x'"),
        ("PUT", "variants", {"seed": 1.5}, 422, "got 1.5"),
        ("PUT", "variants", {"listed": "x"}, 422, "listed"),
        ("PUT", "variants", {"colour": 1}, 422, "Unknown: colour"),
        ("POST", "tenants", {"environment": "moon"}, 422, "environment must be"),
        ("POST", "tenants", {"client_id": 1}, 422, "must be strings"),
        ("POST", "tenants", {"client_id": ""}, 422, "must not be empty"),
        ("POST", "tenants", {"name": "x"}, 422, "Unknown: name"),
        ("DELETE", "tenants/x", None, 422, "must be a UUID"),
        ("GET", "attempts?limit=0", None, 422, "limit must be a whole number"),
        ("GET", "attempts?limit=1001", None, 422, "limit must be a whole number"),
        ("GET", "attempts?before=99999999999999999999", None, 422, "before"),
        ("GET", "attempts?before=\u0663", None, 422, "before"),
        ("GET", "attempts?hook_id=x", None, 422, "hook_id must be a UUID"),
        ("GET", "attempts?outcome=x", None, 422, "outcome must be one of"),
        ("GET", "attempts?page=1", None, 422, "Unknown: page"),
    ],
)
def test_what_it_cannot_do_it_says(
    control: httpx.Client, *, method: str, path: str, body: Any, status: int, words: str
) -> None:
    answer = control.request(method, path, json=body)
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_faults_are_added_all_or_none(sandbox: Sandbox, control: httpx.Client) -> None:
    control.post("faults", json=[{"kind": "latency"}, {"kind": "nonsense"}])
    assert sandbox.faults == ()


def test_a_sandbox_that_ends_waits_for_no_order() -> None:
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


def test_a_tenant_can_be_deleted_while_an_event_of_it_is_delivered(
    sandbox: Sandbox, control: httpx.Client
) -> None:
    with Subscriber(delay=600) as subscriber:
        tenant = sandbox.add_tenant()
        with SandboxClient(tenant) as client:
            client.subscribe(subscriber.url)
        statuses: list[int] = []

        def publish() -> None:
            answer = httpx.post(
                f"{control.base_url}events",
                json={"event": EVENT},
                params={"tenant": str(tenant.tenant_id)},
                timeout=60,
            )
            statuses.append(answer.status_code)

        thread = threading.Thread(target=publish)
        thread.start()
        subscriber.wait_for(1)
        assert control.delete(f"tenants/{tenant.tenant_id}").status_code == 204
        subscriber.stop()
        thread.join()
    assert statuses == [200]


def test_a_tenant_can_be_deleted_while_its_clock_is_stepped(
    sandbox: Sandbox, control: httpx.Client
) -> None:
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


def test_timedelta_units_add_up(sandbox: Sandbox, control: httpx.Client) -> None:
    before = sandbox.now
    control.post("advance", json={"days": 1, "hours": 2, "minutes": 3})
    assert sandbox.now - before >= timedelta(days=1, hours=2, minutes=3)
