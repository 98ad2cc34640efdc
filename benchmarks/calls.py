"""The calls compared: each sends a POST without a body to the same server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import httpx

from benchmarks.event import HOOK_ID, REQUEST_ID
from benchmarks.report import BASELINE, SDK
from webhooks_sdk import AsyncClient, Client

if TYPE_CHECKING:
    from benchmarks.rounds import Benchmark

Call: TypeAlias = Callable[[], object]
AsyncCall: TypeAlias = Callable[[], Awaitable[object]]

TOKEN = "an-access-token"  # noqa: S105 - the server accepts any
PATH = f"/hooks/{HOOK_ID}/requests/{REQUEST_ID}/redeliver"
OTHER_SDKS = ("svix", "openai")


def importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


@contextmanager
def sync_benchmarks(
    base_url: str, other_sdks: Sequence[str], calls: int
) -> Generator[Mapping[str, Benchmark]]:
    with httpx.Client() as httpx_client, Client(TOKEN, base_url=base_url) as client:
        named_calls: dict[str, Call] = {
            BASELINE: lambda: post_with_httpx(httpx_client, base_url),
            SDK: lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
            **{name: OTHER_SDK_CALLS[name](base_url) for name in other_sdks},
        }
        yield {name: partial(time_batch, call, calls) for name, call in named_calls.items()}


@contextmanager
def async_benchmarks(
    base_url: str, other_sdks: Sequence[str], calls: int
) -> Generator[Mapping[str, Benchmark]]:
    with asyncio.Runner() as runner:
        httpx_client, client = httpx.AsyncClient(), AsyncClient(TOKEN, base_url=base_url)
        named_calls: dict[str, AsyncCall] = {
            BASELINE: lambda: post_with_httpx_async(httpx_client, base_url),
            SDK: lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
            **{name: ASYNC_OTHER_SDK_CALLS[name](base_url) for name in other_sdks},
        }
        try:
            yield {
                name: partial(run_async_batch, runner, call, calls)
                for name, call in named_calls.items()
            }
        finally:
            runner.run(httpx_client.aclose())
            runner.run(client.aclose())


def time_batch(call: Call, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) / calls


def run_async_batch(runner: asyncio.Runner, call: AsyncCall, calls: int) -> float:
    return runner.run(time_async_batch(call, calls))


async def time_async_batch(call: AsyncCall, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        await call()
    return (time.process_time() - started) / calls


def post_with_httpx(client: httpx.Client, base_url: str) -> object:
    """Make the call without an SDK."""
    return client.post(f"{base_url}{PATH}", headers={"Authorization": f"Bearer {TOKEN}"}).json()


async def post_with_httpx_async(client: httpx.AsyncClient, base_url: str) -> object:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return (await client.post(f"{base_url}{PATH}", headers=headers)).json()


# Imported by name, so that the benchmarks run and type-check without the other SDKs.


def svix_call(base_url: str) -> Call:
    svix = import_module("svix.api")
    client = svix.Svix(TOKEN, svix.SvixOptions(server_url=base_url, retry_schedule=[]))
    return lambda: client.message_attempt.resend("app", REQUEST_ID, HOOK_ID)


def svix_async_call(base_url: str) -> AsyncCall:
    svix = import_module("svix.api")
    client = svix.SvixAsync(TOKEN, svix.SvixOptions(server_url=base_url, retry_schedule=[]))
    return lambda: client.message_attempt.resend("app", REQUEST_ID, HOOK_ID)


def openai_call(base_url: str) -> Call:
    client = import_module("openai").OpenAI(api_key=TOKEN, base_url=base_url, max_retries=0)
    return lambda: client.post(PATH, cast_to=object)


def openai_async_call(base_url: str) -> AsyncCall:
    client = import_module("openai").AsyncOpenAI(api_key=TOKEN, base_url=base_url, max_retries=0)
    return lambda: client.post(PATH, cast_to=object)


OTHER_SDK_CALLS: Mapping[str, Callable[[str], Call]] = {"svix": svix_call, "openai": openai_call}
ASYNC_OTHER_SDK_CALLS: Mapping[str, Callable[[str], AsyncCall]] = {
    "svix": svix_async_call,
    "openai": openai_async_call,
}
