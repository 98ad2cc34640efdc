"""What a client logs about retries, by default to stderr: no text of a response."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from support.fault_server import close_after_request, respond
from support.samples import FAST, HOOK_ID, REQUEST_ID

from webhooks_sdk import ClientCredentials, RateLimitError, RetryEvent

if TYPE_CHECKING:
    from support.fault_server import Behaviour, FaultServer
    from support.harness import ClientHarness

PERSONAL = "the subscriber jane.doe@example.com was busy"
PATTERN = (
    rf"retrying redeliver \(subscription {HOOK_ID}, event {REQUEST_ID}\) in 0\.00 s after attempt 1"
    r" failed: "
)


@pytest.mark.parametrize(
    ("failure", "described"),
    [
        pytest.param(respond(429, {"message": PERSONAL}), "status 429", id="json"),
        pytest.param(
            respond(429, PERSONAL.encode(), [("Content-Type", "text/plain")]),
            "status 429",
            id="text",
        ),
        pytest.param(
            close_after_request(),
            "APIConnectionError, caused by RemoteProtocolError",
            id="no response",
        ),
    ],
)
def test_a_retry_is_logged_with_ids_and_without_text_of_the_response(
    harness: ClientHarness,
    server: FaultServer,
    caplog: pytest.LogCaptureFixture,
    failure: Behaviour,
    described: str,
) -> None:
    caplog.set_level(logging.WARNING, "webhooks_sdk")
    policy = evolve(FAST, resend_unknown=True)
    client = harness.client("token", base_url=server.url, retry=policy)
    server.add(failure)
    client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    [message] = retry_messages(caplog)
    assert re.fullmatch(PATTERN + described, message)


def test_a_retry_of_a_token_request_is_logged_without_text_of_the_response(
    harness: ClientHarness, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "webhooks_sdk")
    credentials = ClientCredentials("an-id", "a-client-secret")
    client = harness.client(
        credentials, base_url=server.url, token_url=f"{server.url}/token", retry=FAST
    )
    server.add(respond(503, {"error": PERSONAL}))
    assert client.hooks.list()
    [message] = retry_messages(caplog)
    assert re.fullmatch(r"retrying token in 0\.00 s after attempt 1 failed: status 503", message)


def test_the_raised_error_quotes_the_response(harness: ClientHarness, server: FaultServer) -> None:
    errors: list[Exception] = []

    def record(retry: RetryEvent) -> None:
        errors.append(retry.error)

    client = harness.client(
        "token",
        base_url=server.url,
        retry=FAST,
        on_retry=record,
    )
    server.add(*[respond(429, {"message": PERSONAL})] * 3)
    with pytest.raises(RateLimitError, match=re.escape(PERSONAL)):
        client.hooks.list()
    assert [PERSONAL in str(error) for error in errors] == [True, True]


def retry_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "webhooks_sdk"]
