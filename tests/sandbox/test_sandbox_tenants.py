"""Tenants and environments are isolated from each other."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANT = "client_credentials"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_tenants_have_separate_state(sandbox: Sandbox) -> None:
    with (
        Subscriber() as subscriber,
        sandbox.add_tenant() as other,
        SandboxClient(sandbox) as ours,
        SandboxClient(other) as theirs,
    ):
        row = ours.subscribe(subscriber.url)
        assert theirs.get("/hooks").json() == []
        for method, path in (
            ("GET", f"/hooks/{row['id']}"),
            ("PATCH", f"/hooks/{row['id']}"),
            ("DELETE", f"/hooks/{row['id']}"),
            ("GET", f"/hooks/{row['id']}/requests"),
        ):
            assert theirs.request(method, path).status_code == 404
        assert other.publish(EVENT, {}) == ()
        (attempt,) = sandbox.publish(EVENT, {})
        path = f"/hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver"
        assert theirs.post(path).status_code == 404
        assert row["tenant_id"] == str(sandbox.tenant_id) != str(other.tenant_id)
        assert (len(sandbox.attempts), other.attempts) == (1, ())
        assert len(sandbox.subscriptions) == 1
        assert other.subscriptions == ()


def test_limit_of_active_subscriptions_is_per_tenant(sandbox: Sandbox) -> None:
    with sandbox.add_tenant() as other:
        for tenant in (sandbox, other):
            with SandboxClient(tenant) as client:
                for _ in range(10):
                    client.subscribe("http://127.0.0.1:9/")


def test_staging_is_under_a_path(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging")
    assert (sandbox.environment, tenant.environment) == ("production", "staging")
    assert tenant.base_url == f"{sandbox.base_url}/staging"
    assert tenant.token_url == f"{sandbox.base_url}/staging/auth/token"
    with SandboxClient(tenant) as client, Subscriber() as subscriber:
        client.subscribe(subscriber.url)
        (attempt,) = tenant.publish(EVENT, {})
        assert client.redeliver(attempt)["response_status"] == 200


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_token_of_another_environment_is_rejected(sandbox: Sandbox, environment: str) -> None:
    tenants: dict[str, Tenant] = {
        "production": sandbox,
        "staging": sandbox.add_tenant("staging"),
    }
    own = tenants.pop(environment)
    (other,) = tenants.values()
    with SandboxClient(own) as client:
        assert client.get(f"{own.base_url}/hooks").status_code == 200
        response = client.get(f"{other.base_url}/hooks")
        assert (response.status_code, response.json()["error"]) == (401, "unauthorized")
    form = {
        "grant_type": GRANT,
        "client_id": own.client_id,
        "client_secret": own.client_secret,
    }
    response = httpx.post(other.token_url, data=form)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_client_id_is_unique_per_environment(sandbox: Sandbox) -> None:
    sandbox.add_tenant(client_id="me", client_secret="one")
    sandbox.add_tenant("staging", client_id="me", client_secret="two")
    with pytest.raises(ValueError, match="'me'"):
        sandbox.add_tenant(client_id="me")
    with pytest.raises(ValueError, match="'production' or 'staging'"):
        sandbox.add_tenant("test")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - tested here
    with pytest.raises(ValueError, match="empty"):
        sandbox.add_tenant(client_id="")


def test_requests_are_recorded_per_tenant(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging")
    with SandboxClient(tenant) as client:
        client.get("/hooks")
        tenant.expire_tokens()
        assert client.get("/hooks").status_code == 401
        form = {"grant_type": GRANT, "client_id": tenant.client_id, "client_secret": "wrong"}
        assert httpx.post(tenant.token_url, data=form).status_code == 401
    httpx.get(f"{tenant.base_url}/hooks")
    assert [(request.path, request.status) for request in tenant.requests] == [
        ("/staging/auth/token", 200),
        ("/staging/hooks", 200),
        ("/staging/hooks", 401),
        ("/staging/auth/token", 401),
    ]
    assert tenant.token_request_count == 2
    # A request without a token belongs to the first tenant.
    assert [(request.path, request.status) for request in sandbox.requests] == [
        ("/staging/hooks", 401)
    ]
    assert sandbox.token_request_count == 0


def test_expiring_tokens_does_not_affect_other_tenants(sandbox: Sandbox) -> None:
    with sandbox.add_tenant() as other, SandboxClient(sandbox) as ours, SandboxClient(other):
        other.expire_tokens()
        assert ours.get("/hooks").status_code == 200


def test_closed_tenant_is_deleted(sandbox: Sandbox) -> None:
    with sandbox.add_tenant() as tenant, SandboxClient(tenant) as client:
        assert len(sandbox.tenants) == 2
        client.subscribe("http://127.0.0.1:9/")
        tenant.publish(EVENT, {})
        tenant.close()
        assert client.get("/hooks").status_code == 401
    assert [*sandbox.tenants] == [sandbox]
    with pytest.raises(RuntimeError, match="closed"):
        _ = tenant.attempts
    with pytest.raises(RuntimeError, match="closed"):
        tenant.publish(EVENT, {})
    sandbox.add_tenant(client_id=tenant.client_id)


def test_objects_for_the_same_tenant_are_equal(sandbox: Sandbox) -> None:
    first, second = sandbox.add_tenant(), sandbox.add_tenant("staging")
    assert first in sandbox.tenants
    assert sandbox.tenants == sandbox.tenants == (sandbox, first, second)
    assert {first, second, *sandbox.tenants} == {sandbox, first, second}
    assert len({first, second, sandbox}) == 3
    with Sandbox() as other:
        assert other != sandbox
        assert sandbox not in other.tenants
        assert other.add_tenant() != first
    assert first != first.client_id


def test_a_closed_tenant_stays_equal_to_itself_only(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant(client_id="me")
    (_, same) = sandbox.tenants
    tenant.close()
    assert tenant == same
    assert len({tenant, same}) == 1
    assert tenant not in sandbox.tenants
    assert sandbox.add_tenant(client_id="me") != tenant


def test_request_of_a_tenant_closed_in_the_meantime_is_rejected(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant()
    parts = urlsplit(sandbox.base_url)
    head = (
        f"POST /hooks HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 2\r\n"
        f"Authorization: Bearer {tenant.issue_token()}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode())
        while not tenant.requests:
            SandboxClient(sandbox).close()
        tenant.close()
        connection.sendall(b"{}")
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_reset_keeps_only_the_credentials(sandbox: Sandbox) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe("http://127.0.0.1:9/")
        sandbox.publish(EVENT, {})
        sandbox.reset()
        assert (sandbox.subscriptions, sandbox.attempts, sandbox.requests) == ((), (), ())
        assert sandbox.pending_retries == ()
        assert client.get("/hooks").json() == []


def test_repr_hides_the_secret(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging", client_id="me", client_secret="hush")
    assert repr(tenant) == "<Tenant 'me', staging>"
    assert "hush" not in repr(tenant)
