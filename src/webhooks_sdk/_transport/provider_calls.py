"""Detects an `auth` callable that uses the client that called it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from attrs import define

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator


@define(eq=False)
class _ProviderCall:
    """A call of an `auth` callable; `owner` is None after it has returned."""

    owner: object


# A context variable also finds the client in tasks that the callable starts and awaits.
_calls: ContextVar[tuple[_ProviderCall, ...]] = ContextVar("webhooks_sdk_auth_calls", default=())


@contextmanager
def provider_call(owner: object) -> Generator[None]:
    """Mark the block as the call of an `auth` callable.

    Args:
        owner: What all drivers of the client have in common.

    Raises:
        ConfigurationError: The callable of the same owner is being called.
    """
    # A task that outlives the call which started it inherits that call, with no owner.
    enclosing = tuple(call for call in _calls.get() if call.owner is not None)
    if any(call.owner is owner for call in enclosing):
        raise ConfigurationError(
            "The client was used by its own auth callable, which it calls before each attempt."
            " Get the token in another way, such as with a second client."
        )
    call = _ProviderCall(owner)
    reset_token = _calls.set((*enclosing, call))
    try:
        yield
    finally:
        call.owner = None
        _calls.reset(reset_token)
