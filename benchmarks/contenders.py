"""The calls that are compared: all POST to the same server, without a body, and read its answer."""

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
    from benchmarks.rounds import Contender

Call: TypeAlias = Callable[[], object]
AsyncCall: TypeAlias = Callable[[], Awaitable[object]]

TOKEN = "an-access-token"  # noqa: S105 - the server takes any
PATH = f"/hooks/{HOOK_ID}/requests/{REQUEST_ID}/redeliver"
RIVALS = ("svix", "openai")


def importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


@contextmanager
def sync_contenders(
    base_url: str, rivals: Sequence[str], calls: int
) -> Generator[Mapping[str, Contender]]:
    with httpx.Client() as plain, Client(TOKEN, base_url=base_url) as client:
        contenders: dict[str, Call] = {
            BASELINE: lambda: post_by_hand(plain, base_url),
            SDK: lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
            **{name: RIVAL_CALLS[name](base_url) for name in rivals},
        }
        yield {name: partial(batch, call, calls) for name, call in contenders.items()}


@contextmanager
def async_contenders(
    base_url: str, rivals: Sequence[str], calls: int
) -> Generator[Mapping[str, Contender]]:
    with asyncio.Runner() as runner:
        plain, client = httpx.AsyncClient(), AsyncClient(TOKEN, base_url=base_url)
        contenders: dict[str, AsyncCall] = {
            BASELINE: lambda: post_by_hand_async(plain, base_url),
            SDK: lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
            **{name: ASYNC_RIVAL_CALLS[name](base_url) for name in rivals},
        }
        try:
            yield {
                name: partial(run_async_batch, runner, call, calls)
                for name, call in contenders.items()
            }
        finally:
            runner.run(plain.aclose())
            runner.run(client.aclose())


def batch(call: Call, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - began) / calls


def run_async_batch(runner: asyncio.Runner, call: AsyncCall, calls: int) -> float:
    return runner.run(async_batch(call, calls))


async def async_batch(call: AsyncCall, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        await call()
    return (time.process_time() - began) / calls


def post_by_hand(client: httpx.Client, base_url: str) -> object:
    """Do what an application does that has no SDK."""
    return client.post(f"{base_url}{PATH}", headers={"Authorization": f"Bearer {TOKEN}"}).json()


async def post_by_hand_async(client: httpx.AsyncClient, base_url: str) -> object:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return (await client.post(f"{base_url}{PATH}", headers=headers)).json()


# The rivals are imported by name: the benchmarks run, and type-check, where they are not installed.


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


RIVAL_CALLS: Mapping[str, Callable[[str], Call]] = {"svix": svix_call, "openai": openai_call}
ASYNC_RIVAL_CALLS: Mapping[str, Callable[[str], AsyncCall]] = {
    "svix": svix_async_call,
    "openai": openai_async_call,
}
