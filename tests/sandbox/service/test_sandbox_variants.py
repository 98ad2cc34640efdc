"""Variants: the SDK's clients work with all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import asdict, evolve
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk import ClientCredentials, NotFoundError
from webhooks_sdk.sandbox import Sandbox, Subscriber, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.harness import ClientHarness

    from webhooks_sdk import Client, WebhookEvent

SEEDS = range(8)
ALL = [*Variants.names(), *SEEDS]


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


@pytest.fixture(params=ALL)
def varied(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(variants=request.param) as sandbox:
        yield sandbox


@pytest.fixture
def client(harness: ClientHarness, varied: Sandbox) -> Client:
    credentials = ClientCredentials(varied.client_id, varied.client_secret)
    return harness.client(credentials, base_url=varied.base_url, token_url=varied.token_url)


def list_events_when_settled(varied: Sandbox, client: Client, hook: Any) -> list[WebhookEvent]:
    """Return the list of events after background deliveries have ended."""
    varied.advance(timedelta())
    return list(client.hooks.list_events(hook.id))


def test_a_subscription_is_created_updated_and_deleted(client: Client) -> None:
    hook = client.hooks.create(url="http://127.0.0.1:9/", events=["carrier"], secret="s")
    assert client.hooks.get(hook.id) == hook
    changed = client.hooks.update(hook.id, active=True, secret=None)
    assert (changed.active, changed.config.secret) == (True, None)
    assert [listed.id for listed in client.hooks.list()] == [hook.id]
    client.hooks.delete(hook.id)
    with pytest.raises(NotFoundError):
        client.hooks.get(hook.id)


def test_a_missed_event_is_found_and_redelivered(
    varied: Sandbox, client: Client, subscriber: Subscriber
) -> None:
    hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
    varied.publish("carrier:bridged", {})
    subscriber.stop()
    (missed,) = varied.publish(EVENT, {"n": 1})
    (found,) = [event for event in client.hooks.list_events(hook.id) if not event.delivered]
    assert (found.id, found.event) == (missed.event_id, EVENT)
    assert (found.response_status, found.response_duration_ms) == (None, None)

    subscriber.start()
    again = client.hooks.redeliver(found.hook_id, found.id)
    assert (again.id, again.redelivery) == (found.id, True)
    assert again.delivery_id != found.delivery_id
    assert subscriber.wait_for(2)[1].json() == {"n": 1}
    after = {event.delivery_id: event for event in list_events_when_settled(varied, client, hook)}
    listed = after[again.delivery_id]
    assert (listed.delivered, listed.response_status) == (True, 200)
    assert listed.id == found.id
    if varied.variants.redelivery == "waits":
        assert listed == again


def test_a_failed_redelivery_is_a_successful_response(
    varied: Sandbox, client: Client, subscriber: Subscriber
) -> None:
    hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
    (attempt,) = varied.publish(EVENT, {})
    for status in (500, None):
        if status is None:
            subscriber.stop()
        else:
            subscriber.status = status
        again = client.hooks.redeliver(attempt.hook_id, attempt.event_id)
        assert not again.delivered
        after = {
            event.delivery_id: event for event in list_events_when_settled(varied, client, hook)
        }
        assert after[again.delivery_id].response_status == status


def test_an_event_with_several_attempts_has_one_id(
    varied: Sandbox, client: Client, subscriber: Subscriber
) -> None:
    hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
    (attempt,) = varied.publish(EVENT, {})
    client.hooks.redeliver(hook.id, attempt.event_id)
    events = list_events_when_settled(varied, client, hook)
    assert {event.id for event in events} == {attempt.event_id}
    deliveries = {event.delivery_id for event in events}
    assert len(deliveries) == len(events) == (1 if varied.variants.list_items == "events" else 2)


def test_only_the_latest_events_are_listed(
    varied: Sandbox, client: Client, subscriber: Subscriber
) -> None:
    hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
    varied.variants = evolve(varied.variants, max_listed=3)
    published = [varied.publish(EVENT, {})[0].event_id for _ in range(5)]
    listed = [event.id for event in client.hooks.list_events(hook.id)]
    assert set(listed) == set(published[2:])
    expected = {"newest_first": published[:1:-1], "oldest_first": published[2:]}
    assert listed == expected.get(varied.variants.order, listed)


# The exact responses.


def listed_items(
    sandbox: Sandbox, subscriber: Subscriber, variants: Variants
) -> list[dict[str, Any]]:
    """Return the listed items of three events, the second of which was missed and redelivered."""
    sandbox.reset()
    sandbox.variants = variants
    with SandboxClient(sandbox) as client:
        hook_id = client.subscribe(subscriber.url)["id"]
        sandbox.publish(EVENT, {})
        subscriber.stop()
        (missed,) = sandbox.publish(EVENT, {})
        subscriber.start()
        sandbox.publish(EVENT, {})
        client.redeliver(missed)
        listed: list[dict[str, Any]] = client.get(f"/hooks/{hook_id}/requests").json()
        assert client.get(f"/hooks/{hook_id}/requests").json() == listed
    return listed


def test_status_and_duration_without_a_response_are_null_or_missing(subscriber: Subscriber) -> None:
    with Sandbox() as sandbox:
        null = listed_items(sandbox, subscriber, Variants())[2]
        assert (null["response_status"], null["response_duration_ms"]) == (None, None)
        missing = listed_items(sandbox, subscriber, Variants(missing_response="missing"))[2]
        assert null.keys() - missing.keys() == {"response_status", "response_duration_ms"}


def test_rows_are_attempts_or_events(subscriber: Subscriber) -> None:
    with Sandbox() as sandbox:
        attempts = listed_items(sandbox, subscriber, Variants())
        assert [attempt["redelivery"] for attempt in attempts] == [True, False, False, False]
        events = listed_items(sandbox, subscriber, Variants(list_items="events"))
        assert [event["redelivery"] for event in events] == [True, False, False]
        assert len({event["id"] for event in events}) == 3


def test_a_shuffled_list_has_a_stable_arbitrary_order(subscriber: Subscriber) -> None:
    with Sandbox() as sandbox, SandboxClient(sandbox) as client:
        hook_id = client.subscribe(subscriber.url)["id"]
        for _ in range(20):
            sandbox.publish(EVENT, {})

        def ids() -> list[str]:
            return [item["id"] for item in client.get(f"/hooks/{hook_id}/requests").json()]

        newest_first = ids()
        sandbox.variants = "shuffled"
        shuffled = ids()
        assert sorted(shuffled) == sorted(newest_first)
        assert shuffled not in (newest_first, newest_first[::-1])
        assert ids() == shuffled


def test_an_early_response_does_not_wait_for_the_subscriber(subscriber: Subscriber) -> None:
    with Sandbox(variants="responds_early") as sandbox, SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        (attempt,) = sandbox.publish(EVENT, {})
        subscriber.delay = 600
        row = client.redeliver(attempt)
        assert (row["response_status"], row["response_duration_ms"]) == (None, None)
        assert row["redelivery"] is True
        subscriber.wait_for(2)
        assert sandbox.attempts[1].finished_at is None
    assert "cancelled" in (sandbox.attempts[1].error or "")


def test_background_redeliveries_are_cancelled_with_their_tenant(subscriber: Subscriber) -> None:
    with Sandbox() as sandbox:
        tenant = sandbox.add_tenant()
        for owner in (sandbox, tenant):
            owner.variants = "responds_early"
            with SandboxClient(owner) as client:
                client.subscribe(subscriber.url)
                (attempt,) = owner.publish(EVENT, {})
                subscriber.delay = 600
                client.redeliver(attempt)
                subscriber.delay = 0
        subscriber.wait_for(4)
        tenant.close()
        sandbox.reset()
        assert sandbox.attempts == ()
        # There are no background deliveries left.
        assert sandbox.advance(timedelta()) == ()


# The choice of variants.


def test_variants_by_name_and_seed() -> None:
    assert Variants.of("default") == Variants.named("default") == Variants()
    assert Variants.of(7) == Variants.from_seed(7)
    assert Variants.of(Variants(max_listed=1)) == Variants(max_listed=1)
    assert len({Variants.named(name) for name in Variants.names()}) == len(Variants.names())


def test_names_and_seeds_cover_every_choice() -> None:
    drawn = [asdict(Variants.of(variants)) for variants in ALL]
    seeded = [asdict(Variants.from_seed(seed)) for seed in SEEDS]
    for some in (drawn, seeded):
        assert {item["create_status"] for item in some} == {200, 201}
        assert {item["missing_response"] for item in some} == {"null", "missing"}
        assert {item["order"] for item in some} == {"newest_first", "oldest_first", "shuffled"}
        assert {item["list_items"] for item in some} == {"attempts", "events"}
        assert {item["redelivery"] for item in some} == {"waits", "responds_early"}


def test_seeds_are_stable() -> None:
    assert Variants.from_seed(0) == Variants(
        create_status=201,
        missing_response="missing",
        order="oldest_first",
        max_listed=25,
        list_items="events",
        redelivery="waits",
    )


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"create_status": 204}, ValueError),
        ({"missing_response": "zero"}, ValueError),
        ({"order": "random"}, ValueError),
        ({"list_items": "all"}, ValueError),
        ({"redelivery": "never"}, ValueError),
        ({"max_listed": 0}, ValueError),
        ({"max_listed": 10**30}, ValueError),
        ({"max_listed": "10"}, TypeError),
        ({"max_listed": True}, TypeError),
        ({"create_status": 200.0}, TypeError),
    ],
)
def test_invalid_choices_are_rejected(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Variants(**wrong)


def test_unknown_variants_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"'nothing'\. Use one of: default, "):
        Sandbox(variants="nothing")
    for wrong in (True, 1.5, None):
        with pytest.raises(TypeError):
            Variants.of(wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - tests the error
