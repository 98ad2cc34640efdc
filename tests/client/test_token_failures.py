"""Failed token requests: what the error shows, and what waiting calls get."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import evolve
from support import fault_server as fs
from support.fault_server import FaultServer, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, REQUEST_ID, token
from support.threads import wait_for_threads_in

from webhooks_sdk import (
    APIError,
    AsyncClient,
    AuthenticationError,
    Client,
    ClientCredentials,
    DecodeError,
    ResponseDecodeError,
    RetryPolicy,
)

if TYPE_CHECKING:
    from support.harness import Backend, ClientHarness

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")
CALLS = 20


def with_credentials(harness: ClientHarness, server: FaultServer) -> Client:
    return harness.client(
        CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token", retry=FAST
    )


SECRET = "s3cret-of-unknown-shape"
SHAPES: dict[str, bytes] = {
    "camel case": json.dumps({"accessToken": SECRET}).encode(),
    "nested": json.dumps({"data": {"jwt": SECRET}}).encode(),
    "a string": json.dumps(SECRET).encode(),
    "in an array": json.dumps([SECRET]).encode(),
    "form": f"access_token={SECRET}&token_type=bearer".encode(),
    "plain text": SECRET.encode(),
    "in HTML": f"<p>{SECRET}</p>".encode(),
    "truncated JSON": f'{{"access_token": "t", "x": "{SECRET}'.encode(),
    "another type": json.dumps({"access_token": {"value": SECRET}}).encode(),
    "invalid header value": json.dumps({"access_token": f"{SECRET} {SECRET}"}).encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_undecodable_token_response_is_not_shown(
    harness: ClientHarness, shape: str, server: FaultServer
) -> None:
    server.add(respond(200, SHAPES[shape]))
    with pytest.raises(ResponseDecodeError, match="no access token") as caught:
        with_credentials(harness, server).hooks.list()
    error = caught.value
    assert error.body is None
    assert error.status == 200
    assert SECRET not in f"{error} {error!r} {error.__dict__} {error.__cause__!r}"


def test_other_undecodable_bodies_are_shown(harness: ClientHarness, server: FaultServer) -> None:
    server.add(fs.default_response(), respond(200, b"<html>"))
    with pytest.raises(ResponseDecodeError) as caught:
        with_credentials(harness, server).hooks.list()
    assert caught.value.body == "<html>"


def test_a_long_description_is_shortened_to_one_line(
    harness: ClientHarness, server: FaultServer
) -> None:
    description = "who\r\n\x1b[31m\x00\u2028are\u202e you?\x85" * 60_000
    assert len(description) > 1_000_000
    server.add(respond(400, {"error": "bad\n" * 1000, "error_description": description}))
    with pytest.raises(AuthenticationError) as caught:
        with_credentials(harness, server).hooks.list()
    error = caught.value
    assert error.error is not None
    assert error.error_description is not None
    assert error.error_description.startswith("who [31m are you?")
    assert len(str(error)) < 1000
    for text in (str(error), error.error, error.error_description):
        assert text.isprintable()
        assert len(text.splitlines()) == 1


# Token providers


@pytest.mark.parametrize("second", [None, "", "two words", b"bytes"])
def test_a_failing_token_provider_keeps_outcome_unknown(
    harness: ClientHarness, second: object, server: FaultServer
) -> None:
    server.add(fs.close_after_request())
    tokens: list[Any] = ["token", second]
    client = harness.client(
        lambda: tokens.pop(0), base_url=server.url, retry=evolve(FAST, resend_unknown=True)
    )
    with pytest.raises(AuthenticationError, match="no access token") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert (caught.value.operation, caught.value.request_id) == ("redeliver", REQUEST_ID)
    assert tokens == []
    assert len(server.requests) == caught.value.attempts == 1


# Waiting calls


def outcomes_of_threads(server: FaultServer, first: fs.Behaviour) -> list[object]:
    """Make calls from threads that wait for one token request, and return their outcomes."""
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, first))
    with (
        Client(
            CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token", retry=FAST
        ) as client,
        ThreadPoolExecutor(CALLS) as pool,
    ):
        calls = [pool.submit(client.hooks.list)]
        assert arrived.wait(30)
        calls += [pool.submit(client.hooks.list) for _ in range(CALLS - 1)]
        wait_for_threads_in("acquire", "sync_tokens.py", CALLS - 1)
        release.set()
        return [call.exception(30) or call.result() for call in calls]


def outcomes_of_tasks(backend: Backend, server: FaultServer, first: fs.Behaviour) -> list[object]:
    """Make calls from tasks that wait for one token request, and return their outcomes."""
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, first))
    outcomes: list[object] = []

    async def main() -> None:
        client = AsyncClient(
            CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token", retry=FAST
        )

        async def call() -> None:
            try:
                outcomes.append(await client.hooks.list())
            except APIError as error:
                outcomes.append(error)

        async with client, anyio.create_task_group() as group:
            for _ in range(CALLS):
                group.start_soon(call)
            await anyio.to_thread.run_sync(arrived.wait, 30)
            await anyio.wait_all_tasks_blocked()
            release.set()

    anyio.run(main, backend=backend)
    return outcomes


def outcomes_of_calls(
    harness: ClientHarness, server: FaultServer, first: fs.Behaviour
) -> list[object]:
    outcomes = (
        outcomes_of_threads(server, first)
        if harness.name == "sync"
        else outcomes_of_tasks(harness.name, server, first)
    )
    assert len(outcomes) == CALLS
    return outcomes


def token_requests(server: FaultServer) -> int:
    return len(server.received("POST", "/token"))


@pytest.mark.parametrize("expires_in", [0, -5])
def test_waiting_calls_use_an_already_expired_token(
    harness: ClientHarness, expires_in: int, server: FaultServer
) -> None:
    outcomes = outcomes_of_calls(
        harness, server, respond(200, token("expired", expires_in=expires_in))
    )
    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    assert token_requests(server) == 1
    sent = [request.headers["authorization"] for request in server.received("GET", "/hooks")]
    assert sent == ["Bearer expired"] * CALLS


def test_later_calls_do_not_use_an_expired_token(server: FaultServer) -> None:
    server.add(respond(200, token("expired", expires_in=0)))
    with Client(CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token") as client:
        client.hooks.list()
        client.hooks.list()
    assert token_requests(server) == 2


def test_all_waiting_calls_get_the_cause(harness: ClientHarness, server: FaultServer) -> None:
    outcomes = outcomes_of_calls(harness, server, respond(200, b"<html>"))
    assert token_requests(server) == 1
    for outcome in outcomes:
        assert isinstance(outcome, ResponseDecodeError)
        assert isinstance(outcome.__cause__, DecodeError)
    assert len({id(outcome) for outcome in outcomes}) == CALLS


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_waiting_tasks_get_the_cause_of_a_lost_connection(
    backend: Backend, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, fs.close_after_request()))
    causes: list[BaseException | None] = []

    async def main() -> None:
        client = AsyncClient(
            CREDENTIALS,
            base_url=server.url,
            token_url=f"{server.url}/token",
            retry=RetryPolicy.none(),
        )

        async def call() -> None:
            with pytest.raises(APIError) as caught:
                await client.hooks.list()
            causes.append(caught.value.__cause__)

        async with client, anyio.create_task_group() as group:
            for _ in range(CALLS):
                group.start_soon(call)
            await anyio.to_thread.run_sync(arrived.wait, 30)
            await anyio.wait_all_tasks_blocked()
            release.set()

    anyio.run(main, backend=backend)
    assert len(causes) == CALLS
    assert None not in causes
