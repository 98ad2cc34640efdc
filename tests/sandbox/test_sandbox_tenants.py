"""Tenants and environments: nothing of one is seen by another."""

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


def test_each_tenant_has_its_own_state(sandbox: Sandbox) -> None:
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


def test_ten_active_subscriptions_are_each_tenants_own(sandbox: Sandbox) -> None:
    with sandbox.add_tenant() as other:
        for tenant in (sandbox, other):
            with SandboxClient(tenant) as client:
                for _ in range(10):
                    client.subscribe("http://127.0.0.1:9/")


def test_the_second_environment_is_under_a_path(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging")
    assert (sandbox.environment, tenant.environment) == ("production", "staging")
    assert tenant.base_url == f"{sandbox.base_url}/staging"
    assert tenant.token_url == f"{sandbox.base_url}/staging/auth/token"
    with SandboxClient(tenant) as client, Subscriber() as subscriber:
        client.subscribe(subscriber.url)
        (attempt,) = tenant.publish(EVENT, {})
        assert client.redeliver(attempt)["response_status"] == 200


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_token_of_another_environment_is_refused(sandbox: Sandbox, environment: str) -> None:
    tenants: dict[str, Tenant] = {
        "production": sandbox,
        "staging": sandbox.add_tenant("staging"),
    }
    own = tenants.pop(environment)
    (other,) = tenants.values()
    with SandboxClient(own) as client:
        assert client.get(f"{own.base_url}/hooks").status_code == 200
        answer = client.get(f"{other.base_url}/hooks")
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    form = {
        "grant_type": GRANT,
        "client_id": own.client_id,
        "client_secret": own.client_secret,
    }
    answer = httpx.post(other.token_url, data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_id_can_be_in_both_environments_once(sandbox: Sandbox) -> None:
    sandbox.add_tenant(client_id="me", client_secret="one")
    sandbox.add_tenant("staging", client_id="me", client_secret="two")
    with pytest.raises(ValueError, match="'me'"):
        sandbox.add_tenant(client_id="me")
    with pytest.raises(ValueError, match="'production' or 'staging'"):
        sandbox.add_tenant("test")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - what is tested
    with pytest.raises(ValueError, match="empty"):
        sandbox.add_tenant(client_id="")


def test_requests_are_those_of_the_tenants_own_clients(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging")
    with SandboxClient(tenant) as client:
        client.get("/hooks")
        tenant.expire_tokens()
        assert client.get("/hooks").status_code == 401
        form = {"grant_type": GRANT, "client_id": tenant.client_id, "client_secret": "wrong"}
        assert httpx.post(tenant.token_url, data=form).status_code == 401
    httpx.get(f"{tenant.base_url}/hooks")
    assert [(one.path, one.status) for one in tenant.requests] == [
        ("/staging/auth/token", 200),
        ("/staging/hooks", 200),
        ("/staging/hooks", 401),
        ("/staging/auth/token", 401),
    ]
    assert tenant.token_requests == 2
    # Nobody's: it has no token.
    assert [(one.path, one.status) for one in sandbox.requests] == [("/staging/hooks", 401)]
    assert sandbox.token_requests == 0


def test_expiring_tokens_touches_no_other_tenant(sandbox: Sandbox) -> None:
    with sandbox.add_tenant() as other, SandboxClient(sandbox) as ours, SandboxClient(other):
        other.expire_tokens()
        assert ours.get("/hooks").status_code == 200


def test_a_closed_tenant_is_forgotten(sandbox: Sandbox) -> None:
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


def test_a_request_of_a_tenant_that_is_closed_meanwhile_is_refused(sandbox: Sandbox) -> None:
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


def test_a_reset_tenant_has_its_credentials_and_nothing_else(sandbox: Sandbox) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe("http://127.0.0.1:9/")
        sandbox.publish(EVENT, {})
        sandbox.reset()
        assert (sandbox.subscriptions, sandbox.attempts, sandbox.requests) == ((), (), ())
        assert sandbox.pending_retries == ()
        assert client.get("/hooks").json() == []


def test_a_tenant_says_who_it_is_and_hides_its_secret(sandbox: Sandbox) -> None:
    tenant = sandbox.add_tenant("staging", client_id="me", client_secret="hush")
    assert repr(tenant) == "<Tenant 'me', staging>"
    assert "hush" not in repr(tenant)
