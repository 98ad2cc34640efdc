"""Tells pages that something has changed, as server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox.inspector._responses import HEADERS

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from webhooks_sdk.sandbox._service.change_signal import ChangeSignal

# Changes that come together are told of together.
_PAUSE = 0.1
# So that a connection that leads nowhere any more is noticed.
_HEARTBEAT = 15.0


async def stream(changes: ChangeSignal, run: str, receive: Receive, send: Send) -> None:
    """Send the version of a tenant's state now and after each change, until the client leaves.

    Args:
        changes: Tells of them.
        run: What tells this run of the sandbox from another, whose versions mean nothing here.
        receive: The ASGI callable.
        send: Likewise.
    """
    headers = {**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    telling = asyncio.get_running_loop().create_task(_tell(changes, run, send))
    leaving = asyncio.get_running_loop().create_task(_until_left(receive))
    try:
        await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (telling, leaving):
            task.cancel()
        await asyncio.gather(telling, leaving, return_exceptions=True)
    # It ends by failing alone.
    if not telling.cancelled() and (error := telling.exception()) is not None:
        raise error


async def _tell(changes: ChangeSignal, run: str, send: Send) -> None:
    version = changes.version
    await _send(send, f"data: {run}-{version}\n\n")
    while True:
        text = ":\n\n"
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT):
                version = await changes.wait(version)
            await asyncio.sleep(_PAUSE)
            version = changes.version
            text = f"data: {run}-{version}\n\n"
        await _send(send, text)


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
