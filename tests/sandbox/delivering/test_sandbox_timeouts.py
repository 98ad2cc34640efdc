"""The timeouts of deliveries, per tenant."""

from __future__ import annotations

import math

import pytest
from support.sandbox_helpers import EVENT, SandboxClient, address_that_never_accepts

from webhooks_sdk.sandbox import Sandbox, Subscriber, Tenant


def test_tenants_inherit_timeouts_and_can_change_them() -> None:
    with Sandbox(connect_timeout=3, response_timeout=30) as sandbox, sandbox.add_tenant() as tenant:
        assert (tenant.connect_timeout, tenant.response_timeout) == (3, 30)
        tenant.response_timeout = 0.5
        tenant.connect_timeout = 0.25
        assert (tenant.connect_timeout, tenant.response_timeout) == (0.25, 0.5)
        assert (sandbox.connect_timeout, sandbox.response_timeout) == (3, 30)


def test_default_timeouts() -> None:
    with Sandbox() as sandbox:
        assert (sandbox.connect_timeout, sandbox.response_timeout) == (5, 60)


def test_the_response_timeout_of_a_tenant_applies(
    webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    webhooks_sandbox.response_timeout = 0.05
    webhooks_subscriber.hang()
    with SandboxClient(webhooks_sandbox) as client:
        client.subscribe(webhooks_subscriber.url)
        (attempt,) = webhooks_sandbox.publish(EVENT, {})
    assert attempt.error == "no response within 0.05 s"


def test_the_connect_timeout_of_a_tenant_applies(webhooks_sandbox: Tenant) -> None:
    webhooks_sandbox.connect_timeout = 0.05
    with address_that_never_accepts() as url, SandboxClient(webhooks_sandbox) as client:
        client.subscribe(url)
        (attempt,) = webhooks_sandbox.publish(EVENT, {})
    assert attempt.error == "the connection did not open within 0.05 s"


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_invalid_timeouts_are_rejected(webhooks_sandbox: Tenant, seconds: float) -> None:
    with pytest.raises(ValueError, match="response_timeout must be"):
        webhooks_sandbox.response_timeout = seconds
    with pytest.raises(ValueError, match="connect_timeout must be"):
        webhooks_sandbox.connect_timeout = seconds
    with pytest.raises(ValueError, match="connect_timeout must be"):
        Sandbox(connect_timeout=seconds)
    assert webhooks_sandbox.response_timeout == 60
