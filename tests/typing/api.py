"""The public API for type checkers: checked with mypy and pyright, here and for the wheel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type
from uuid import UUID

import httpx
from attrs import evolve

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
from webhooks_sdk.operations import Operation, Safety
from webhooks_sdk.replay import (
    AsyncReplay,
    Coverage,
    HistogramBucket,
    Journal,
    JournalEntry,
    NotSentReason,
    Outcome,
    OutcomeStatus,
    Progress,
    Replay,
    Report,
    Target,
    UndeliveredEvents,
)
from webhooks_sdk.sandbox import DeliveryAttempt, Sandbox, Subscriber, Tenant, Variants

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment


def make_clients(token: str, transport: httpx.BaseTransport) -> None:
    """Create clients in every supported way."""
    assert_type(Client(token, environment="staging"), Client)
    assert_type(Client(ClientCredentials("id", "secret"), environment=Environment.STAGING), Client)
    Client(lambda: token, base_url="https://host.example", transport=transport)
    Client(token, base_url="https://host.example", http_client=httpx.Client())
    Client(token, environment="production", timeout=10, retry=RetryPolicy.none(), on_retry=print)
    Client(token, environment="production", timeout=httpx.Timeout(10, connect=1))
    assert_type(RetryPolicy.none(deadline=1), RetryPolicy)
    assert_type(Client.from_env(timeout=5.0, on_retry=on_retry), Client)
    assert_type(AsyncClient.from_env(retry=RetryPolicy(max_attempts=5)), AsyncClient)

    async def fetch_token() -> str:
        return token

    AsyncClient(fetch_token, environment="staging")
    AsyncClient(lambda: token, environment="staging")
    Client(fetch_token, environment="staging")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - async
    Client(token, environment="somewhere")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - unknown


def on_retry(event: RetryEvent) -> None:
    """Read a retry event."""
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
    hooks.create(url="https://host.example", events=["*"], active=True)
    hooks.create(url="https://host.example", active=UNSET)
    hooks.create(url="https://host.example", active=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - UNSET omits it
    assert_type(hooks.update(hook_id, secret=None, header=UNSET), WebhookSubscription)
    assert_type(hooks.list_events(hook_id), list[WebhookEvent])
    assert_type(hooks.find_attempt(hook_id, request_id), WebhookEvent)
    hooks.delete(hook_id)
    response = client.send(operations.redeliver(hook_id, request_id))
    assert_type(response, APIResponse[WebhookEvent])
    assert_type(response.value, WebhookEvent)
    assert_type(response.headers, Headers)
    assert_type(Headers({"a": "b"}), Headers)
    assert_type(client.send(operations.delete(hook_id)).value, None)
    with client.with_options(timeout=1.5, retry=evolve(client.retry, max_attempts=5)) as view:
        assert_type(view, Client)
        assert_type(view.retry, RetryPolicy)
        assert_type(view.timeout, httpx.Timeout)
    hooks.update(hook_id, url=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a url cannot be removed
    hooks.redeliver(hook_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - request_id is missing


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
    assert_type(await hooks.find_attempt(hook_id, request_id), WebhookEvent)
    await hooks.delete(hook_id)
    response = await client.send(operations.list())
    assert_type(response, APIResponse[list[WebhookSubscription]])


def build_operation(client: Client, path: str) -> WebhookEvent:
    """Declare an operation that the SDK does not have."""
    operation = Operation(
        name="inspect",
        method="GET",
        path=path,
        safety=Safety.SAFE,
        success=frozenset({200}),
        response_type=WebhookEvent,
    )
    return assert_type(client.send(operation).value, WebhookEvent)


def on_progress(progress: Progress) -> None:
    """Read the progress of a replay."""
    assert_type(progress.done, int)
    assert_type(progress.total, int | None)


def replay_sync(client: Client, hook_id: UUID, since: datetime) -> None:
    """Replay many events, sync."""
    hooks = client.hooks
    undelivered = hooks.list_undelivered(hook_id, since=since, until=None, pending_grace=60)
    assert_type(undelivered, UndeliveredEvents)
    assert_type(undelivered.events, tuple[WebhookEvent, ...])
    assert_type(undelivered.coverage, Coverage)
    with hooks.redeliver_many(undelivered, journal=Path("outage.sqlite"), rate=10) as replay:
        assert_type(replay, Replay)
        for outcome in replay:
            assert_type(outcome, Outcome)
            assert_type(outcome.status, OutcomeStatus)
            assert_type(outcome.event, WebhookEvent | None)
            assert_type(outcome.error, Exception | None)
            assert_type(outcome.not_sent, NotSentReason | None)
        assert_type(replay.report, Report)
        replay.stop(grace=5)
    hooks.redeliver_many([("a", "b"), (hook_id, "c")])
    hooks.redeliver_many([Target(hook_id, hook_id), ("a", "b"), *undelivered])
    with hooks.recover(
        hook_id,
        since=since,
        until=since + timedelta(hours=1),
        pending_grace=120.0,
        journal="outage.sqlite",
        concurrency=4,
        rate=None,
        max_attempts=5,
        max_consecutive_failures=None,
        resend_unknown=True,
        durable=True,
        on_progress=on_progress,
    ) as recovery:
        report = assert_type(recovery.run(), Report)
    assert_type(report.response_times, tuple[HistogramBucket, ...])
    assert_type(report.done, int)
    assert_type(report.stop_reason, str | None)
    assert_type(report.not_sent, Mapping[str, int])
    assert_type(report.not_reached, int | None)
    assert_type(report.complete, bool)
    assert_type(report.notes, tuple[str, ...])
    hooks.redeliver_many([hook_id])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType] - not a target
    hooks.recover(hook_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - since is missing


async def replay_async(client: AsyncClient, hook_id: UUID, since: datetime) -> None:
    """Replay many events, async."""
    hooks = client.hooks
    assert_type(await hooks.list_undelivered(hook_id, since=since), UndeliveredEvents)
    async with hooks.redeliver_many([("a", "b")], journal="outage.sqlite") as replay:
        assert_type(replay, AsyncReplay)
        async for outcome in replay:
            assert_type(outcome, Outcome)
        replay.stop()
    async with hooks.recover(hook_id, since=since, on_progress=on_progress) as recovery:
        assert_type(await recovery.run(), Report)


def read_journal(path: Path) -> None:
    """Read the journal of a replay."""
    with Journal(path) as journal:
        assert_type(journal.base_url, str)
        for entry in journal.entries(OutcomeStatus.REJECTED):
            assert_type(entry, JournalEntry)
            assert_type(entry.outcome_at, datetime | None)


def look_at_models(event: WebhookEvent, subscription: WebhookSubscription) -> None:
    """Read the fields of the models."""
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
    """Handle a delivery in an async function; the decorator keeps its type."""
    on_quoted(delivery)
    return assert_type(await on_the_rest(delivery), int)


@router.on("carrier")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType] - a handler takes a delivery
def on_nothing() -> None:
    """Handle nothing."""


def receive(environ: WSGIEnvironment, headers: dict[str, str], body: bytes) -> int:
    """Receive deliveries in every supported way."""
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
    Delivery.from_http(headers, body)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - secret is missing
    Delivery.from_http(headers, "text", secret=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - raw bytes
    assert_type(router.handler_for("carrier"), DeliveryHandler | None)
    return 204


wsgi_application: WSGIApplication = wsgi.DeliveryApp(router, secret="secret")
asgi_application = asgi.DeliveryApp(router, secret=None, allow_unsigned=False, max_body_bytes=1)


def in_the_sandbox(sandbox: Sandbox) -> None:
    """Use the sandbox in a test."""
    with sandbox.add_tenant("staging", client_id="a") as tenant:
        assert_type(tenant, Tenant)
        assert_type(tenant.environment, Literal["production", "staging"])
    assert_type(sandbox.publish("carrier:bridged", {"id": 1}), tuple[DeliveryAttempt, ...])
    assert_type(sandbox.advance(timedelta(weeks=3)), tuple[DeliveryAttempt, ...])
    assert_type(sandbox.attempts[0].retry, int | None)
    assert_type(sandbox.attempts[0].response_text, str | None)
    assert_type(tenant.attempt(1), DeliveryAttempt)
    assert_type(sandbox.pending_retries[0].due_at, datetime)
    sandbox.variants = "shuffled"
    sandbox.variants = 7
    sandbox.variants = Variants(order="oldest_first")
    assert_type(sandbox.variants, Variants)
    Variants(order="random")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - not an order
    Sandbox(variants="responds_early", database=Path("sandbox.sqlite"), real_time=True)
    assert Subscriber().wait_for(1)[0].json()["id"] == 1


def handle(error: WebhooksError) -> str | None:
    """Read an error."""
    if isinstance(error, errors.AuthenticationError):
        return assert_type(error.error, str | None)
    if isinstance(error, APIStatusError):
        assert_type(error.status, int | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.outcome_unknown, bool)
        return error.body
    return None
