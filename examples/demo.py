"""Redeliver a missed event against the local sandbox: run it with `make demo`.

A subscriber is down and misses an event. When it is up again, the event is redelivered with the
sync client, then with the async client. The exit status is 0 if every step succeeds.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
from typing import TYPE_CHECKING

from webhooks_sdk import AsyncClient, Client, ClientCredentials, WebhookEvent
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from webhooks_sdk.sandbox import ReceivedDelivery

SIGNING_SECRET = "the key that both sides know"  # noqa: S105 - only for this demo
STEPS = 8


def main() -> None:
    """Run the steps."""
    with Sandbox() as sandbox, Subscriber() as subscriber:
        print(f"The sandbox is listening on {sandbox.base_url}.")
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            miss_and_redeliver(sandbox, subscriber, client)
        asyncio.run(redeliver_async(sandbox, subscriber, credentials))
    print("\nEvery step succeeded.")


def miss_and_redeliver(sandbox: Sandbox, subscriber: Subscriber, client: Client) -> None:
    """Miss an event, then redeliver it with the sync client."""
    subscription = client.hooks.create(
        url=subscriber.url, events=["application_form"], active=True, secret=SIGNING_SECRET
    )
    step(1, "requested one access token", sandbox.token_request_count == 1)
    step(2, f"created subscription {subscription.id}", subscription.active)

    subscriber.stop()
    (attempt,) = sandbox.publish("application_form:quoted", {"id": 4711})
    step(3, f"the subscriber is down, the delivery failed: {attempt.error}", not attempt.delivered)

    (missed,) = client.hooks.list_events(subscription.id)
    step(4, f"found the missed event {missed.id}", not missed.delivered)

    subscriber.start()
    event = client.hooks.redeliver(missed.hook_id, missed.id)
    step(5, "the subscriber is up again, client.hooks.redeliver(...) succeeded", event.delivered)
    show(event)
    step(6, "the subscriber received it with a valid signature", was_received(subscriber, 1, event))


async def redeliver_async(
    sandbox: Sandbox, subscriber: Subscriber, credentials: ClientCredentials
) -> None:
    """Redeliver the same event with the async client."""
    async with AsyncClient(
        credentials, base_url=sandbox.base_url, token_url=sandbox.token_url
    ) as client:
        (subscription,) = await client.hooks.list()
        missed = (await client.hooks.list_events(subscription.id))[-1]
        event = await client.hooks.redeliver(missed.hook_id, missed.id)
    step(7, "await client.hooks.redeliver(...) succeeded", event.delivered and event.redelivery)
    show(event)
    step(8, "the subscriber received it with a valid signature", was_received(subscriber, 2, event))


def was_received(subscriber: Subscriber, count: int, event: WebhookEvent) -> bool:
    """Return whether the last of `count` deliveries is this one, with a valid signature."""
    delivery: ReceivedDelivery = subscriber.wait_for(count)[-1]
    expected = hmac.digest(SIGNING_SECRET.encode(), delivery.body, "sha256").hex()
    return (
        delivery.headers["X-Signature"] == expected
        and delivery.headers["X-Emperor-Delivery"] == str(event.delivery_id)
        and delivery.json() == {"id": 4711}
    )


def step(number: int, description: str, succeeded: bool) -> None:
    """Print a step, and exit if it failed."""
    print(f"{'✓' if succeeded else '✗'} {number}/{STEPS} {description}")
    if not succeeded:
        sys.exit(f"Step {number} failed.")


def show(event: WebhookEvent) -> None:
    """Print an event, one field per line."""
    print("  WebhookEvent(")
    for name in ("id", "event", "delivery_id", "enqueued_at", "redelivery", "response_status"):
        print(f"    {name}={getattr(event, name)!r},")
    print(f"    response_duration={event.response_duration!r}, ...)")


if __name__ == "__main__":
    main()
