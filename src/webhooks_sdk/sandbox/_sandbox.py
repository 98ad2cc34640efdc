"""The sandbox as its user sees it."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from uuid import uuid4

from webhooks_sdk.sandbox._app import API, TOKEN_PATH
from webhooks_sdk.sandbox._delivery import Deliverer
from webhooks_sdk.sandbox._recorder import RequestRecorder
from webhooks_sdk.sandbox._rules import is_event_name
from webhooks_sdk.sandbox._server import ServerThread, bind
from webhooks_sdk.sandbox._service import Service
from webhooks_sdk.sandbox._tokens import TokenOffice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Literal, Self

    from webhooks_sdk.sandbox._records import DeliveryAttempt, ReceivedRequest


class Sandbox:
    """The service, on this machine: a context manager that can be entered once.

    It keeps everything in memory, and what it has recorded can be read after its end as well.
    Leaving it drops all connections. Its methods can be called from any thread; in async code, call
    `publish` in a worker thread (`asyncio.to_thread`), for it blocks.

    Args:
        host: Where it listens: an IP address, or `"localhost"`.
        port: The port, 0 for any that is free.
        client_id: The client id of the only client; generated if None.
        client_secret: Its secret; generated if None.
        token_lifetime: Seconds for which an access token is valid.
        create_status: The HTTP status of the answer to a create, which is undocumented.
        connect_timeout: Seconds within which a subscriber must accept the connection.
        answer_timeout: Seconds within which it must then have answered.
        allow_remote: Whether `host` may be one that other machines can reach.

    Raises:
        ValueError: `host` is not a loopback address.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        client_id: str | None = None,
        client_secret: str | None = None,
        token_lifetime: int = 43_200,
        create_status: Literal[200, 201] = 201,
        connect_timeout: float = 5.0,
        answer_timeout: float = 60.0,
        allow_remote: bool = False,
    ) -> None:
        if not allow_remote and not is_loopback(host):
            raise ValueError(
                f"{host!r} is no loopback address, so other machines could reach the sandbox:"
                " use 127.0.0.1, or allow_remote=True if that is meant."
            )
        self.client_id: str = client_id or f"sandbox-{secrets.token_hex(8)}"
        self.client_secret: str = client_secret or secrets.token_urlsafe(32)
        self._address = (host, port)
        self._service = Service(now=_now, new_id=uuid4)
        self._tokens = TokenOffice(
            self.client_id, self.client_secret, lifetime=token_lifetime, now=_now
        )
        self._deliverer = Deliverer(
            self._service, connect_timeout=connect_timeout, answer_timeout=answer_timeout
        )
        api = API(self._service, self._tokens, self._deliverer, create_status=create_status)
        self._recorder = RequestRecorder(api.build(), now=_now)
        self._server: ServerThread | None = None

    def __enter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("A Sandbox can be entered once: make a new one.")
        listener = bind(*self._address)
        self._address = (self._address[0], listener.getsockname()[1])
        self._server = ServerThread(self._recorder, listener)
        self._server.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running().close(during=exc)

    @property
    def base_url(self) -> str:
        """The base URL of the API, such as `"http://127.0.0.1:53211"`."""
        self._running()
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def token_url(self) -> str:
        """The token URL."""
        return self.base_url + TOKEN_PATH

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """Every delivery attempt so far, also those under way, in the order they began."""
        return self._service.attempts

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Every HTTP request received so far, token requests included, in the order they came."""
        return self._recorder.requests

    @property
    def token_requests(self) -> int:
        """How many access tokens were asked for so far, whether or not one was issued."""
        return sum(one.method == "POST" and one.path == TOKEN_PATH for one in self.requests)

    def publish(self, event: str, payload: Mapping[str, object]) -> tuple[DeliveryAttempt, ...]:
        """Let an event happen, and deliver it to every subscription that receives it.

        Args:
            event: What happens, as `subject:action` or `subject`.
            payload: What the deliveries carry, sent as JSON.

        Returns:
            One attempt for each of those subscriptions, when all of them have ended, well or not.

        Raises:
            ValueError: `event` is no such name, or `payload` has a value that JSON lacks.
            TypeError: As above.
            RuntimeError: The sandbox is not running.
        """
        if not is_event_name(event):
            raise ValueError(f"event must be such as 'subject:action', not {event!r}.")
        body = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False).encode()

        async def deliver() -> tuple[DeliveryAttempt, ...]:
            return await self._deliverer.deliver_all(self._service.publish(event, body))

        return self._running().run(deliver)

    def expire_tokens(self) -> None:
        """Refuse from now on every access token issued so far, with 401."""
        self._tokens.expire_all()

    def join(self) -> None:
        """Block until the sandbox ends: by a signal that is raised here, or by another thread."""
        self._running().join()

    def _running(self) -> ServerThread:
        if self._server is None:
            raise RuntimeError("The sandbox is not running: use it as `with Sandbox() as sandbox`.")
        return self._server


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> datetime:
    return datetime.now(UTC)
