"""Sample responses of the service, and one call of each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from webhooks_sdk import RetryPolicy, operations

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK_ID = UUID("0b9ab1dd-2d2c-4c5e-9f49-2f4c6f1d7a10")
REQUEST_ID = UUID("7f0d2f2e-6f3b-4b47-8df7-0c3f3f7d0a21")
TENANT_ID = UUID("5a3c8a54-9a05-4c3e-8a6b-9b8d3a1f4c32")
OWNER_ID = UUID("e1d6c1b0-38d5-4b8f-9f64-1f8f6f0f5d43")
DELIVERY_ID = UUID("c2a7a0de-8b46-4f0a-8f2b-6d5e4c3b2a54")

FAST = RetryPolicy(initial_backoff=0.001, max_backoff=0.002)
"""The default number of attempts, with almost no wait between them."""


def subscription(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(HOOK_ID),
        "active": True,
        "confirmed": False,
        "events": ["application_form:inactive", "quote_request"],
        "config": {"url": "https://subscriber.example/in", "secret": None, "header": None},
        "owner_id": str(OWNER_ID),
        "tenant_id": str(TENANT_ID),
        "created_at": "2020-09-30T21:18:03.353Z",
        "updated_at": "2020-10-01T08:00:00.000Z",
    } | changes


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(REQUEST_ID),
        "tenant_id": str(TENANT_ID),
        "delivery_id": str(DELIVERY_ID),
        "event": "application_form:inactive",
        "enqueued_at": "2020-09-30T21:18:03.353Z",
        "redelivery": True,
        "hook_id": str(HOOK_ID),
        "created_at": "2020-09-30T21:18:03.353Z",
        "updated_at": "2020-09-30T21:18:04.000Z",
        "response_status": 200,
        "response_duration_ms": 87,
    } | changes


def token(access_token: str = "token-1", **changes: Any) -> dict[str, Any]:  # noqa: S107 - a fake
    return {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": 43200,
        "refresh_token": "refresh-of-" + access_token,
        "scope": "",
        "uid": "tester",
        "info": {"name": "Tester", "email": None},
    } | changes


OPERATIONS: dict[str, Callable[[], operations.Operation[Any]]] = {
    "list": operations.list,
    "get": lambda: operations.get(HOOK_ID),
    "create": lambda: operations.create(url="https://subscriber.example/in"),
    "update": lambda: operations.update(HOOK_ID, active=False),
    "delete": lambda: operations.delete(HOOK_ID),
    "list_events": lambda: operations.list_events(HOOK_ID),
    "redeliver": lambda: operations.redeliver(HOOK_ID, REQUEST_ID),
}
"""Each operation, with valid arguments."""

NON_IDEMPOTENT = frozenset({"create", "redeliver"})
"""The operations that are not resent after an ambiguous failure by default."""
