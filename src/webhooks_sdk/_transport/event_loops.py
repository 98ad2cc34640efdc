"""What the transport asks about event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from collections.abc import MutableMapping

V = TypeVar("V")


def current_event_loop() -> object:
    """Return the running event loop: an asyncio loop, or the token of a trio run.

    Raises:
        RuntimeError: No event loop is running in this thread.
    """
    return current_token().native_token


def in_event_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    try:
        current_token()
    except RuntimeError:
        return False
    return True


def remove_closed_loops(by_loop: MutableMapping[object, V]) -> None:
    """Remove the entries of closed event loops, which may keep their loops alive."""
    for loop in list(by_loop):
        is_closed = getattr(loop, "is_closed", None)
        if is_closed is not None and is_closed():
            by_loop.pop(loop, None)
