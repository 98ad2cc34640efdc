"""The sync and async classes are written by hand: here they are compared, method by method.

Names, parameters, kinds, defaults and annotations must be equal, and docstrings too, but for
`await`, `async` and the names of the classes.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from webhooks_sdk import AsyncClient, AsyncHooks, Client, Hooks, asgi, wsgi
from webhooks_sdk._transport.async_driver import AsyncDriver, AsyncSingleAttemptSender
from webhooks_sdk._transport.async_http import LoopHTTP, PerLoopHTTP
from webhooks_sdk._transport.async_pool import AsyncConnectionPool
from webhooks_sdk._transport.async_tokens import AsyncTokens
from webhooks_sdk._transport.sync_driver import SyncDriver, SyncSingleAttemptSender
from webhooks_sdk._transport.sync_http import PerProcessHTTP, ProcessHTTP
from webhooks_sdk._transport.sync_pool import ConnectionPool
from webhooks_sdk._transport.sync_tokens import SyncTokens
from webhooks_sdk.replay import AsyncReplay, Replay

if TYPE_CHECKING:
    from collections.abc import Callable

TWINS: tuple[tuple[type, type], ...] = (
    (Client, AsyncClient),
    (Hooks, AsyncHooks),
    (Replay, AsyncReplay),
)

# Private, with the same public methods and the same meaning; what waits differs.
INTERNAL_TWINS: tuple[tuple[type, type], ...] = (
    (SyncDriver, AsyncDriver),
    (SyncSingleAttemptSender, AsyncSingleAttemptSender),
    (ProcessHTTP, LoopHTTP),
    (PerProcessHTTP, PerLoopHTTP),
    (ConnectionPool, AsyncConnectionPool),
    (SyncTokens, AsyncTokens),
)
# A forked child closes the sockets that it inherits, and a sync client in an event loop is logged.
SYNC_ONLY = {"close_inherited", "log_event_loop"}

METHOD_NAMES = {
    "aclose": "close",
    "handle_async_request": "handle_request",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}

# From the async wording to the sync one, applied to docstrings and annotations alike.
WORDS = (
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(Client|Hooks|Replay|ClientOptions|TokenProvider|Auth)\b", r"\1"),
    (r"\bAsyncSingleAttemptSender\b", "SyncSingleAttemptSender"),
    (r"\bAsyncBaseTransport\b", "BaseTransport"),
    (r"\baclose\b", "close"),
    (r"(Iterable\[(?:replay\.)?TargetLike\]) \| AsyncIterable\[(?:replay\.)?TargetLike\]", r"\1"),
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"\bAsync(Iterator|Iterable)\b", r"\1"),
    (r", from an iterable or an async iterable, consumed", ", consumed"),
)


def as_sync(text: str) -> str:
    """Return a text of the async twin as the sync one should have it, with spaces folded."""
    text = " ".join(text.split())
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return text


def public_members(cls: type) -> dict[str, Any]:
    """Return what a class and its private bases define, by the name that the sync twin uses."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("webhooks_sdk"):
            continue
        for name, member in vars(base).items():
            plain = METHOD_NAMES.get(name, name)
            if plain.startswith("_") and not (name.startswith("__") and callable(member)):
                continue
            members[plain] = member
    return members


def function_of(member: Any) -> Callable[..., Any] | None:
    member = getattr(member, "__func__", member)  # of a class method
    if isinstance(member, property):
        return member.fget
    return member if inspect.isfunction(member) else None


PAIRS = [
    pytest.param(
        function_of(member),
        function_of(public_members(twin).get(name)),
        id=f"{cls.__name__}.{name}",
    )
    for cls, twin in TWINS
    for name, member in public_members(cls).items()
    if function_of(member) is not None
]


@pytest.mark.parametrize(("cls", "twin"), TWINS)
def test_twins_have_the_same_members_in_the_same_order(cls: type, twin: type) -> None:
    assert list(public_members(twin)) == list(public_members(cls))


@pytest.mark.parametrize(("method", "twin"), PAIRS)
def test_twins_take_the_same_arguments(
    method: Callable[..., Any], twin: Callable[..., Any]
) -> None:
    ours, theirs = inspect.signature(method), inspect.signature(twin)
    assert list(theirs.parameters) == list(ours.parameters)
    for name, parameter in ours.parameters.items():
        other = theirs.parameters[name]
        assert (other.kind, other.default) == (parameter.kind, parameter.default), name
        assert as_sync(str(other.annotation)) == as_sync(str(parameter.annotation)), name
    assert as_sync(str(theirs.return_annotation)) == as_sync(str(ours.return_annotation))


@pytest.mark.parametrize(("method", "twin"), PAIRS)
def test_twins_have_the_same_docstring(
    method: Callable[..., Any], twin: Callable[..., Any]
) -> None:
    assert as_sync(inspect.getdoc(twin) or "") == as_sync(inspect.getdoc(method) or "")


@pytest.mark.parametrize(("cls", "twin"), [*TWINS, (wsgi.DeliveryApp, asgi.DeliveryApp)])
def test_twins_document_the_same_arguments_and_errors(cls: type, twin: type) -> None:
    def documented(documented_class: type) -> list[str]:
        return re.findall(r"^\s+(\w+): ", inspect.getdoc(documented_class) or "", re.MULTILINE)

    assert documented(twin) == documented(cls)


@pytest.mark.parametrize(("cls", "twin"), INTERNAL_TWINS)
def test_internal_twins_have_the_same_methods_and_arguments(cls: type, twin: type) -> None:
    ours, theirs = public_members(cls), public_members(twin)
    assert set(theirs) == set(ours) - SYNC_ONLY
    for name in theirs:
        method, other = function_of(ours[name]), function_of(theirs[name])
        if method is None or other is None:
            assert method is other is None
            continue
        assert list(inspect.signature(other).parameters) == list(
            inspect.signature(method).parameters
        )


def test_the_comparison_finds_a_difference() -> None:
    assert as_sync("async with client:\n    await client.aclose()") == "with client: client.close()"
    assert as_sync("An AsyncClient.") != as_sync("A client.")
