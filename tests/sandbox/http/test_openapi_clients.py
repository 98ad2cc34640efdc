"""What both clients send and the sandbox answers and delivers, held against the document."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.testing import MockRequest, MockResponse
from support.openapi_helpers import DOCUMENT, Exchange, OverheardSandbox, described
from support.samples import HOOK_ID, REQUEST_ID
from support.sandbox_helpers import EVENT
from werkzeug.datastructures import Headers

from webhooks_sdk import AuthenticationError, ClientCredentials, NotFoundError, RetryPolicy
from webhooks_sdk.sandbox import Subscriber, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.harness import ClientHarness

    from webhooks_sdk import Client
    from webhooks_sdk.sandbox import ReceivedDelivery

ODD_CREDENTIALS = ("the id", "se+cr&t=: ü%")
CREATES: list[dict[str, Any]] = [
    {"url": "https://subscriber.example/in"},
    {"url": "https://subscriber.example/in", "events": ("application_form",)},
    {"url": "https://subscriber.example/ü", "events": ["*"], "active": True},
    {"url": "x", "events": ["a:b", "c"], "active": False, "secret": "ß", "header": "X-Key: é"},
    {"url": "x", "secret": "", "header": "X-Empty:"},
]
UPDATES: list[dict[str, Any]] = [
    {"url": "https://elsewhere.example"},
    {"events": ["quote_request:failed", "*"]},
    {"active": False},
    {"events": ()},
    {"active": True, "events": ["*"]},
    {"secret": "k"},
    {"header": "X-Key: a b"},
    {"secret": None, "header": None},
    {"url": "x", "events": ["*"], "active": False, "secret": "k", "header": "A: b"},
]

document = OpenAPI.from_dict(DOCUMENT)


@pytest.fixture
def sandbox() -> Iterator[OverheardSandbox]:
    client_id, client_secret = ODD_CREDENTIALS
    with OverheardSandbox(client_id=client_id, client_secret=client_secret) as sandbox:
        yield sandbox


@pytest.fixture
def client(harness: ClientHarness, sandbox: OverheardSandbox) -> Client:
    return connect(harness, sandbox)


def connect(harness: ClientHarness, sandbox: OverheardSandbox, **credentials: Any) -> Client:
    return harness.client(
        ClientCredentials(sandbox.client_id, sandbox.client_secret, **credentials),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        retry=RetryPolicy.none(),
    )


def hold(exchange: Exchange) -> str:
    """Hold an exchange against the document, and return the id of its operation."""
    request = MockRequest(
        "http://sandbox.example",
        exchange.method,
        exchange.path,
        args=dict(parse_qsl(exchange.query, keep_blank_values=True)),
        headers=exchange.headers,
        data=exchange.body,
        content_type=exchange.headers.get("content-type", ""),
    )
    answer = MockResponse(
        exchange.answer,
        exchange.status,
        headers=exchange.answer_headers,
        content_type=exchange.answer_headers.get("content-type", ""),
    )
    document.validate_request(request)
    document.validate_response(request, answer)
    return find_operation(exchange)


def find_operation(exchange: Exchange) -> str:
    """Find the operation by other means; beyond openapi-core, nothing undescribed may be sent."""
    ways = exchange.path.split("/")
    for path, method, operation in described():
        template = path.split("/")
        pairs = zip(template, ways, strict=False)
        same = all(one == other or one.startswith("{") for one, other in pairs)
        if method != exchange.method.lower() or len(template) != len(ways) or not same:
            continue
        parameters = {
            one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"
        }
        assert {name for name, _ in parse_qsl(exchange.query)} <= parameters
        assert "requestBody" in operation or exchange.body == b""
        return str(operation["operationId"])
    raise AssertionError(exchange)


def test_every_argument_shape_of_every_operation(client: Client, sandbox: OverheardSandbox) -> None:
    with Subscriber() as subscriber:
        client.hooks.list()
        hook = client.hooks.create(
            url=subscriber.url, events=[EVENT], active=True, secret="k", header="X-Key: v"
        )
        for arguments in CREATES:
            client.hooks.create(**arguments)
        client.hooks.list()
        for hook_id in (hook.id, str(hook.id), hook.id.hex, str(hook.id).upper()):
            client.hooks.get(hook_id)
            client.hooks.list_events(hook_id)
        (attempt,) = sandbox.publish(EVENT, {"id": 1})
        client.hooks.redeliver(hook.id, attempt.event_id)
        client.hooks.redeliver(str(hook.id), attempt.event_id.hex)
        for arguments in UPDATES:
            client.hooks.update(hook.id, **arguments)
        client.hooks.delete(hook.id)
    seen = {hold(exchange) for exchange in sandbox.exchanges}
    # PUT does what PATCH does, and is not used.
    every = {operation["operationId"] for _, _, operation in described()}
    assert seen == every - {"updateSubscriptionWithPut"}


@pytest.mark.parametrize("variants", [*Variants.names(), *range(5)])
def test_every_variant_of_an_answer(
    client: Client, sandbox: OverheardSandbox, variants: str | int
) -> None:
    sandbox.variants = Variants.of(variants)
    with Subscriber() as subscriber:
        hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
        sandbox.publish(EVENT, {})
        client.hooks.redeliver(hook.id, sandbox.attempts[0].event_id)
        subscriber.stop()
        sandbox.publish(EVENT, {})
        client.hooks.redeliver(hook.id, sandbox.attempts[0].event_id)
        assert len(client.hooks.list_events(hook.id)) >= 2
    for exchange in sandbox.exchanges:
        hold(exchange)


@pytest.mark.parametrize("style", ["form", "multipart", "basic"])
def test_every_style_of_a_token_request(
    harness: ClientHarness, sandbox: OverheardSandbox, style: str
) -> None:
    connect(harness, sandbox, style=style).hooks.list()
    asked, _ = sandbox.exchanges
    assert hold(asked) == "requestAccessToken"
    assert asked.status == 200
    if style == "basic":
        assert (asked.query, asked.body) == ("grant_type=client_credentials", b"")
        assert asked.headers["authorization"].startswith("Basic ")
    else:
        assert asked.query == ""
        assert "authorization" not in asked.headers


def test_refusals_are_described_too(
    harness: ClientHarness, client: Client, sandbox: OverheardSandbox
) -> None:
    client.hooks.list()
    sandbox.expire_tokens()
    client.hooks.list()
    calls = (
        lambda: client.hooks.get(HOOK_ID),
        lambda: client.hooks.update(HOOK_ID, active=False),
        lambda: client.hooks.delete(HOOK_ID),
        lambda: client.hooks.list_events(HOOK_ID),
        lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
    )
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    stranger = harness.client(
        ClientCredentials("nobody", "nothing"),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
    )
    with contextlib.suppress(AuthenticationError):
        stranger.hooks.list()
    for exchange in sandbox.exchanges:
        hold(exchange)
    statuses = [exchange.status for exchange in sandbox.exchanges]
    assert statuses == [200, 200, 401, 200, 200, 404, 404, 404, 404, 404, 401]


class WebhookRequest:
    """A delivery, in the shape that openapi-core asks for."""

    name = "delivery"

    def __init__(self, delivery: ReceivedDelivery) -> None:
        self.method = delivery.method.lower()
        self.body = delivery.body
        self.content_type = delivery.headers["content-type"]
        self.parameters = RequestParameters(header=Headers(list(delivery.headers.items())))


def test_deliveries_are_as_the_document_says(client: Client, sandbox: OverheardSandbox) -> None:
    with Subscriber() as subscriber:
        client.hooks.create(url=subscriber.url, events=["*"], active=True)
        client.hooks.create(url=subscriber.url, events=["*"], active=True, secret="k")
        for event in (EVENT, "question_set"):
            sandbox.publish(event, {"owner": {"id": "ü"}})
        deliveries = subscriber.wait_for(4)
    for delivery in deliveries:
        document.validate_webhook_request(WebhookRequest(delivery))
    assert sum("x-signature" in delivery.headers for delivery in deliveries) == 2
