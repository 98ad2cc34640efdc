"""The main job, end to end, on this machine alone: run it with `make demo`.

A subscriber is down and misses an event. It comes up again, and the event is redelivered: with the
sync client, then with the async one. Exit status 0 means that every step held.
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

SIGNING_SECRET = "the key that both sides know"  # noqa: S105 - of this demo alone
STEPS = 8


def main() -> None:
    """Run the steps."""
    with Sandbox() as sandbox, Subscriber() as subscriber:
        print(f"A sandbox of the service listens on {sandbox.base_url}, on this machine alone.")
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            miss_and_redeliver(sandbox, subscriber, client)
        asyncio.run(redeliver_async(sandbox, subscriber, credentials))
    print("\nEvery step held.")


def miss_and_redeliver(sandbox: Sandbox, subscriber: Subscriber, client: Client) -> None:
    """Miss an event, then redeliver it with the sync client."""
    subscription = client.hooks.create(
        url=subscriber.url, events=["application_form"], active=True, secret=SIGNING_SECRET
    )
    step(1, "an access token, asked for once", sandbox.token_requests == 1)
    step(2, f"a subscription, {subscription.id}", subscription.active)

    subscriber.stop()
    (attempt,) = sandbox.publish("application_form:quoted", {"application_form_id": 4711})
    step(3, f"the subscriber is down: {attempt.error}", not attempt.delivered)

    (missed,) = client.hooks.list_events(subscription.id)
    step(4, f"the event that it missed, {missed.id}", not missed.delivered)

    subscriber.start()
    event = client.hooks.redeliver(missed.hook_id, missed.id)
    step(5, "the subscriber is up, and client.hooks.redeliver(...) returns", event.delivered)
    show(event)
    step(6, "the delivery arrived, its signature is valid", arrived(subscriber, 1, event))


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
    step(7, "await client.hooks.redeliver(...) returns", event.delivered and event.redelivery)
    show(event)
    step(8, "the delivery arrived, its signature is valid", arrived(subscriber, 2, event))


def arrived(subscriber: Subscriber, count: int, event: WebhookEvent) -> bool:
    """Whether the subscriber has this delivery as its latest, rightly signed."""
    delivery: ReceivedDelivery = subscriber.wait_for(count)[-1]
    expected = hmac.digest(SIGNING_SECRET.encode(), delivery.body, "sha256").hex()
    return (
        delivery.headers["X-Signature"] == expected
        and delivery.headers["X-Emperor-Delivery"] == str(event.delivery_id)
        and delivery.json() == {"application_form_id": 4711}
    )


def step(number: int, what: str, held: bool) -> None:
    """Print a step, and end the demo if it did not hold."""
    print(f"{'✓' if held else '✗'} {number}/{STEPS} {what}")
    if not held:
        sys.exit(f"Step {number} did not hold.")


def show(event: WebhookEvent) -> None:
    """Print a typed event, a field a line."""
    print("  WebhookEvent(")
    for name in ("id", "event", "delivery_id", "enqueued_at", "redelivery", "response_status"):
        print(f"    {name}={getattr(event, name)!r},")
    print(f"    response_duration={event.response_duration!r}, ...)")


if __name__ == "__main__":
    main()
