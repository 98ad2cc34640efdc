"""Detects code that a client runs, and that waits for a call of the same client.

The code may also wait in a task that it starts, which inherits the context of the code. A thread
inherits no context by default, so code that waits for another thread is not detected.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from attrs import define

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator


@define(eq=False)
class _Block:
    """A block of code on behalf of `owner`, which is None after the block has ended."""

    owner: object


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("webhooks_sdk_blocks", default=())


@contextmanager
def provider_call(owner: object) -> Generator[None]:
    """Mark the block as the call of an `auth` callable.

    Args:
        owner: What all drivers of the client have in common.

    Raises:
        ConfigurationError: The callable of the same owner is being called.
    """
    if _in_block_of(owner):
        raise ConfigurationError(
            "The client was used by its own auth callable, which it calls before each attempt."
            " Get the token in another way, such as with a second client."
        )
    with _block_of(owner):
        yield


@contextmanager
def token_request(lock: object) -> Generator[None]:
    """Mark the block as a token request, in which event hooks and transports run.

    `on_retry` runs outside of it: it cannot wait for the tasks that it starts.

    Args:
        lock: The lock that is held during the request.
    """
    with _block_of(lock):
        yield


def in_token_request(lock: object) -> bool:
    """Return whether a token request that holds this lock runs the current code."""
    return _in_block_of(lock)


def _in_block_of(owner: object) -> bool:
    return any(block.owner is owner for block in _blocks.get())


@contextmanager
def _block_of(owner: object) -> Generator[None]:
    # A task that outlives the block which started it inherits that block, with no owner.
    enclosing = (block for block in _blocks.get() if block.owner is not None)
    block = _Block(owner)
    # Not reset at the end, as a coroutine can be closed in another context.
    _blocks.set((*enclosing, block))
    try:
        yield
    finally:
        block.owner = None
