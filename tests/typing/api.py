"""What a user's type checker has to see: read by mypy and pyright, here and against the wheel."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type
from uuid import UUID

import httpx

from webhooks_sdk import (
    UNSET,
    APIError,
    APIResponse,
    APIStatusError,
    AsyncClient,
    Client,
    ClientCredentials,
    Delivery,
    DeliveryError,
    DeliveryHandler,
    DeliveryRouter,
    Environment,
    Headers,
    RetryEvent,
    RetryPolicy,
    SignatureVerificationError,
    SubscriptionConfig,
    WebhookEvent,
    WebhooksError,
    WebhookSubscription,
    asgi,
    errors,
    operations,
    sign,
    verify_signature,
    wsgi,
)
from webhooks_sdk.sandbox import DeliveryAttempt, Sandbox, Tenant, Variants

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.types import WSGIApplication, WSGIEnvironment


def make_clients(token: str, transport: httpx.BaseTransport) -> None:
    """Each way to make a client."""
    assert_type(Client(token, environment="staging"), Client)
    assert_type(Client(ClientCredentials("id", "secret"), environment=Environment.STAGING), Client)
    Client(lambda: token, base_url="https://host.example", transport=transport)
    Client(token, base_url="https://host.example", http_client=httpx.Client())
    Client(token, environment="production", timeout=10, retry=RetryPolicy.none(), on_retry=print)
    Client(token, environment="production", timeout=httpx.Timeout(10, connect=1))
    assert_type(Client.from_env(timeout=5.0, on_retry=on_retry), Client)
    assert_type(AsyncClient.from_env(retry=RetryPolicy(max_attempts=5)), AsyncClient)

    async def ask_for_token() -> str:
        return token

    AsyncClient(ask_for_token, environment="staging")
    AsyncClient(lambda: token, environment="staging")
    Client(ask_for_token, environment="staging")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - async
    Client(token, environment="somewhere")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - unknown


def on_retry(event: RetryEvent) -> None:
    """Look at a retry."""
    assert_type(event.wait, float)
    assert_type(event.error, APIError)
    assert_type(event.hook_id, UUID | None)


def use_sync(client: Client, hook_id: UUID, request_id: str) -> None:
    """Each operation, sync."""
    hooks = client.hooks
    assert_type(hooks.redeliver(hook_id, request_id), WebhookEvent)
    assert_type(hooks.list(), list[WebhookSubscription])
    assert_type(hooks.get(hook_id), WebhookSubscription)
    assert_type(hooks.create(url="https://host.example", events=["*"]), WebhookSubscription)
    assert_type(hooks.update(hook_id, secret=None, header=UNSET), WebhookSubscription)
    assert_type(hooks.list_events(hook_id), list[WebhookEvent])
    hooks.delete(hook_id)
    response = client.send(operations.redeliver(hook_id, request_id))
    assert_type(response, APIResponse[WebhookEvent])
    assert_type(response.value, WebhookEvent)
    assert_type(response.headers, Headers)
    assert_type(client.send(operations.delete(hook_id)).value, None)
    with client.with_options(timeout=1.5) as view:
        assert_type(view, Client)
    hooks.update(hook_id, url=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - None takes no url away
    hooks.redeliver(hook_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - which event?


async def use_async(client: AsyncClient, hook_id: UUID, request_id: str) -> None:
    """Each operation, async."""
    async with client as same:
        assert_type(same, AsyncClient)
    hooks = client.hooks
    assert_type(await hooks.redeliver(hook_id, request_id), WebhookEvent)
    assert_type(await hooks.list(), list[WebhookSubscription])
    assert_type(await hooks.get(hook_id), WebhookSubscription)
    assert_type(await hooks.create(url="https://host.example"), WebhookSubscription)
    assert_type(await hooks.update(hook_id, active=True), WebhookSubscription)
    assert_type(await hooks.list_events(hook_id), list[WebhookEvent])
    await hooks.delete(hook_id)
    response = await client.send(operations.list())
    assert_type(response, APIResponse[list[WebhookSubscription]])


def look_at_models(event: WebhookEvent, subscription: WebhookSubscription) -> None:
    """The types of the fields."""
    assert_type(event.id, UUID)
    assert_type(event.enqueued_at, datetime)
    assert_type(event.response_status, int | None)
    assert_type(event.response_duration, timedelta | None)
    assert_type(event.action, str | None)
    assert_type(event.delivered, bool)
    assert_type(event.extra, dict[str, Any])
    assert_type(event.to_dict(), dict[str, Any])
    assert_type(subscription.config, SubscriptionConfig)
    assert_type(subscription.events, tuple[str, ...])
    event.event = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - frozen


def read_model(data: Mapping[str, object]) -> WebhookEvent:
    """Read a model from parsed JSON."""
    return assert_type(WebhookEvent.from_dict(data), WebhookEvent)


router = DeliveryRouter()


@router.on("application_form:quoted")
def on_quoted(delivery: Delivery) -> None:
    """Handle a delivery."""
    assert_type(delivery.delivery_id, UUID)
    assert_type(delivery.subject, str)
    assert_type(delivery.action, str | None)
    assert_type(delivery.payload, dict[str, Any])
    assert_type(delivery.signature_verified, bool)
    delivery.payload = {}  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - frozen


@router.on("*")
async def on_the_rest(delivery: Delivery) -> int:
    """Handle a delivery, async; decorated, it is the same."""
    on_quoted(delivery)
    return assert_type(await on_the_rest(delivery), int)


@router.on("carrier")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType] - of what?
def on_nothing() -> None:
    """Handle nothing."""


def receive(environ: WSGIEnvironment, headers: dict[str, str], body: bytes) -> int:
    """Each way to receive."""
    pairs = [(b"x-signature", sign(body, b"secret").encode())]
    try:
        assert_type(Delivery.from_http(environ, body, secret="a"), Delivery)
        Delivery.from_http(headers, body, secret=["new", b"old"], allow_unsigned=True)
        Delivery.from_http(pairs, body, secret=None, max_body_bytes=1000)
        Delivery.from_http(httpx.Headers(headers), body, secret=iter(["a"]))
        verify_signature(body, headers.get("x-signature"), "secret")
    except SignatureVerificationError as error:
        return assert_type(error.status, int)
    except DeliveryError as error:
        return assert_type(error.status, int)
    Delivery.from_http(headers, body)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - the secret?
    Delivery.from_http(headers, "text", secret=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - raw bytes
    assert_type(router.handler_for("carrier"), DeliveryHandler | None)
    return 204


wsgi_application: WSGIApplication = wsgi.DeliveryApp(router, secret="secret")
asgi_application = asgi.DeliveryApp(router, secret=None, allow_unsigned=False, max_body_bytes=1)


def in_the_sandbox(sandbox: Sandbox) -> None:
    """What a user's tests say to the sandbox."""
    with sandbox.add_tenant("staging", client_id="a") as tenant:
        assert_type(tenant, Tenant)
        assert_type(tenant.environment, Literal["production", "staging"])
    assert_type(sandbox.publish("carrier:bridged", {"id": 1}), tuple[DeliveryAttempt, ...])
    assert_type(sandbox.advance(timedelta(weeks=3)), tuple[DeliveryAttempt, ...])
    assert_type(sandbox.attempts[0].retry, int | None)
    assert_type(sandbox.pending_retries[0].due_at, datetime)
    sandbox.variants = "shuffled"
    sandbox.variants = 7
    sandbox.variants = Variants(order="oldest_first")
    assert_type(sandbox.variants, Variants)
    Variants(order="random")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - which?
    Sandbox(variants="answers_early", database=Path("sandbox.sqlite"), real_time=True)


def handle(error: WebhooksError) -> str | None:
    """What an error tells."""
    if isinstance(error, errors.AuthenticationError):
        return assert_type(error.error, str | None)
    if isinstance(error, APIStatusError):
        assert_type(error.status, int | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.outcome_unknown, bool)
        return error.body
    return None
