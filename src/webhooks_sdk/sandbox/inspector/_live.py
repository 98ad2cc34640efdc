"""Change notifications for open pages, as server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox.inspector._responses import HEADERS

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from webhooks_sdk.sandbox._service.change_signal import ChangeSignal

# Seconds in which several changes are combined into one message.
_BATCH_DELAY = 0.1
# Seconds between comments that reveal a dead connection.
_HEARTBEAT = 15.0


async def stream(changes: ChangeSignal, run_id: str, receive: Receive, send: Send) -> None:
    """Send the version of a tenant's state, now and after each change, until the client leaves.

    Args:
        changes: The changes of the tenant.
        run_id: Identifies this run of the sandbox. Versions of different runs are unrelated.
        receive: The ASGI callable.
        send: The ASGI callable.
    """
    headers = {**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    sender = asyncio.get_running_loop().create_task(_send_versions(changes, run_id, send))
    disconnect = asyncio.get_running_loop().create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({sender, disconnect}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, disconnect):
            task.cancel()
        await asyncio.gather(sender, disconnect, return_exceptions=True)
    # The sender never returns: it was cancelled, or it failed.
    if not sender.cancelled() and (error := sender.exception()) is not None:
        raise error


async def _send_versions(changes: ChangeSignal, run_id: str, send: Send) -> None:
    version = changes.version
    await _send(send, f"data: {run_id}-{version}\n\n")
    while True:
        text = ":\n\n"
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT):
                version = await changes.wait(version)
            await asyncio.sleep(_BATCH_DELAY)
            version = changes.version
            text = f"data: {run_id}-{version}\n\n"
        await _send(send, text)


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
